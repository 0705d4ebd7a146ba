/* DNS cookies (RFC 7873) in the form all servers of an address can share (RFC 9018): version 1, three reserved bytes,
 * the time, and SipHash-2-4 over all that with the client's cookie before it and its address behind.
 *
 * A good server cookie proves that the client receives what is sent to its address, so its answers are not limited
 * (health/dns/limit.h). A bad one is not an attack: secrets roll and addresses change. It is answered like a query with
 * a client cookie alone, and where cookies are required both get BADCOOKIE and the right cookie to come back with. */
#ifndef HEALTH_DNS_COOKIE_H
#define HEALTH_DNS_COOKIE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COOKIE_CLIENT_BYTES 8u
#define COOKIE_SERVER_BYTES 16u
#define COOKIE_BYTES        (COOKIE_CLIENT_BYTES + COOKIE_SERVER_BYTES)
#define COOKIE_SECRET_BYTES 16u
#define COOKIE_PAST_MAX_S   3600u /* RFC 9018 section 4.3: older ones are refused, */
#define COOKIE_FUTURE_MAX_S 300u  /* as those from a clock so far ahead */
#define COOKIE_RENEW_S      1800u /* older than this: a new one is handed out */

/* All gateways of one address hold the same. A secret is rolled in three steps, each once all have done the one before:
 * the next one is accepted as well, then it makes cookies and the old one is accepted, then it is alone. */
struct cookie_secrets {
    uint8_t active[COOKIE_SECRET_BYTES]; /* makes and accepts */
    uint8_t other[COOKIE_SECRET_BYTES];  /* accepts alone: the next one or the last one */
    bool has_other;
};
void cookie_secrets_init(struct cookie_secrets *s, const uint8_t secret[COOKIE_SECRET_BYTES]);
void cookie_secrets_accept(struct cookie_secrets *s, const uint8_t other[COOKIE_SECRET_BYTES]);

enum cookie_verdict {
    COOKIE_NONE = 0,  /* the client sent none, or the server does not look */
    COOKIE_MALFORMED, /* FORMERR */
    COOKIE_CLIENT,    /* a client's alone */
    COOKIE_BAD,       /* with a server's that is not ours, or no longer */
    COOKIE_GOOD,
};
/* Judges the content of a COOKIE option and, unless it is malformed, writes the one to answer with: the client's own
 * while it is good and young, else a new one. `address` is the client's, 4 or 16 bytes. */
enum cookie_verdict cookie_judge(const struct cookie_secrets *s, const uint8_t *option, size_t len,
                                 const uint8_t *address, size_t address_len, uint32_t now_s,
                                 uint8_t answer[COOKIE_BYTES]);

#endif
