/* Messages signed with a secret both sides know (TSIG, RFC 8945), for one request and its one answer.
 *
 * Pure: bytes and the time come in, bytes and a verdict come out. A request is signed over itself, the key's name and
 * the time; the answer over the request's code as well, so that no answer fits another request. Nothing that a verdict
 * other than TSIG_GOOD comes with is proven: it may be logged, and is no reason to do anything but to try again. */
#ifndef HEALTH_DNS_TSIG_H
#define HEALTH_DNS_TSIG_H

#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "conf/conf.h"
#include "health/dns/wire.h"

#define TSIG_FUDGE_S      300u /* how far clocks may be apart (RFC 8945 section 10) */
#define TSIG_SECRET_BYTES 384u
#define TSIG_RECORD_BYTES                                                                                              \
    400u /* more than a request's signature can take: name 255, the rest with its longest MAC 117 */

struct tsig_key {
    struct dns_name name;
    enum conf_tsig algorithm;
    size_t secret_len; /* at least 1 */
    uint8_t secret[TSIG_SECRET_BYTES];
};
/* `secret` in base64. NULL, or what is wrong: "name is ...", "secret is ...". */
const char *tsig_key_of(struct tsig_key *out, const char *name, enum conf_tsig algorithm, const char *secret);

struct tsig_mac { /* of a request, for its answer */
    size_t len;
    uint8_t bytes[DIGEST_MAX_BYTES];
};

/* Appends the signature to the `len` bytes at `message`, a whole message with room for TSIG_RECORD_BYTES more; the new
 * length. `now_s` is Unix time. */
size_t tsig_sign(uint8_t *message, size_t len, const struct tsig_key *key, uint64_t now_s, struct tsig_mac *mac);

/* clang-format off */
/*    verdict            what it means */
#define TSIG_VERDICT_TABLE(X)                                                                        \
    X(TSIG_GOOD,         "signed as it should be")                                                   \
    X(TSIG_MALFORMED,    "the answer is no DNS message")                                             \
    X(TSIG_ABSENT,       "the answer is not signed")                                                 \
    X(TSIG_OTHER_KEY,    "the answer is signed with another key or algorithm")                       \
    X(TSIG_FORGED,       "the answer's signature does not fit: somebody else's, or another secret")  \
    X(TSIG_STALE,        "the answer was signed at another time than our clock says")                \
    X(TSIG_SAYS_BADSIG,  "our signature does not fit there: another secret for this key (BADSIG)")   \
    X(TSIG_SAYS_BADKEY,  "the key or its algorithm is not known there (BADKEY)")                     \
    X(TSIG_SAYS_BADTIME, "our clock and the server's are too far apart (BADTIME)")                   \
    X(TSIG_SAYS_ERROR,   "the server found something else wrong with our signature")

enum tsig_verdict {
#define X(id, text) id,
    TSIG_VERDICT_TABLE(X)
#undef X
    TSIG_VERDICT_COUNT
};
/* clang-format on */
const char *tsig_verdict_text(enum tsig_verdict v);

struct tsig_result {
    enum tsig_verdict verdict;
    uint16_t error;   /* the server's, as it stands in its signature */
    int64_t time_s;   /* of the signature, Unix time; with TSIG_SAYS_BADTIME the server's clock */
    size_t signed_at; /* where the signature begins; the message's length when there is none */
};
/* Checks the `len` bytes at `message`, an answer to the request whose code is `request`; NULL: a request. It is walked
 * through to its end: with another verdict than TSIG_MALFORMED its records can be read. */
struct tsig_result tsig_verify(const uint8_t *message, size_t len, const struct tsig_key *key,
                               const struct tsig_mac *request, uint64_t now_s);

#endif
