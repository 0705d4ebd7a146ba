/* TSIG of one request and its answer.
 *
 * The hard part is what the code covers: not the bytes of the record but a form of it that is the same whoever
 * compresses names, and the message as it was before the record was added, with the id it had then. What the server
 * says about our signature comes unsigned when it could not sign (BADKEY, BADSIG): that is told apart, never
 * believed. */
#include "health/dns/tsig.h"

#include <string.h>

#include "base/assert.h"
#include "base/base64.h"

#define ERROR_BADSIG  16u
#define ERROR_BADKEY  17u
#define ERROR_BADTIME 18u
#define TIME_BYTES    6u
/* name, class, TTL, algorithm, time, fudge, error, length of other data, other data (a time) */
#define VARIABLES_BYTES (DNS_NAME_BYTES + 6u + DNS_NAME_BYTES + TIME_BYTES + 6u + TIME_BYTES)

static const struct {
    enum digest_kind digest;
    const char *name;
} algorithms[] = {
    [TSIG_HMAC_SHA256] = {DIGEST_SHA256, "hmac-sha256."},
    [TSIG_HMAC_SHA384] = {DIGEST_SHA384, "hmac-sha384."},
    [TSIG_HMAC_SHA512] = {DIGEST_SHA512, "hmac-sha512."},
};

const char *tsig_verdict_text(enum tsig_verdict v)
{
    static const char *const texts[TSIG_VERDICT_COUNT] = {
#define X(id, text) [id] = (text),
        TSIG_VERDICT_TABLE(X)
#undef X
    };
    ASSERT((unsigned)v < TSIG_VERDICT_COUNT);
    return texts[v];
}

const char *tsig_key_of(struct tsig_key *out, const char *name, enum conf_tsig algorithm, const char *secret)
{
    uint8_t bytes[BASE64_ROOM(TSIG_SECRET_BYTES * 4 / 3 + 4)];
    const size_t text_len = strlen(secret);

    ASSERT((unsigned)algorithm < sizeof algorithms / sizeof *algorithms);
    *out = (struct tsig_key){.algorithm = algorithm};
    if (dns_name_of(&out->name, name) != NULL || out->name.len == 1)
        return "name is not a name";
    if (text_len > TSIG_SECRET_BYTES * 4 / 3 + 4)
        return "secret is too long";
    if (!base64_decode(secret, text_len, bytes, &out->secret_len))
        return "secret is not base64";
    if (out->secret_len == 0 || out->secret_len > TSIG_SECRET_BYTES)
        return out->secret_len == 0 ? "secret is empty" : "secret is too long";
    memcpy(out->secret, bytes, out->secret_len);
    return NULL;
}

/* ---- what is signed ---- */

struct signature { /* the data of the record */
    struct dns_name key_name, algorithm;
    uint64_t time_s;
    uint16_t fudge_s, mac_len, original_id, error, other_len;
    uint16_t additional_count;  /* of the message without it */
    const uint8_t *mac, *other; /* in the message */
};

static struct dns_name algorithm_name(enum conf_tsig algorithm)
{
    struct dns_name name;
    const char *why = dns_name_of(&name, algorithms[algorithm].name);
    ASSERT(why == NULL);
    return name;
}

static void write_time(struct wire_writer *w, uint64_t time_s)
{
    wire_write_u16(w, (uint16_t)(time_s >> 32));
    wire_write_u32(w, (uint32_t)time_s);
}

/* The code over `request` (NULL: none), the message up to its signature, and the variables (RFC 8945 section 4.3). */
static size_t make_mac(const struct tsig_key *key, const struct tsig_mac *request, const uint8_t *message, size_t len,
                       const struct signature *s, uint8_t out[DIGEST_MAX_BYTES])
{
    uint8_t header[DNS_HEADER_BYTES], request_len[2] = {0}, variables[VARIABLES_BYTES];
    struct wire_writer w;

    memcpy(header, message, sizeof header);
    wire_put_u16(header, s->original_id);
    wire_put_u16(header + 10, s->additional_count);
    wire_write_begin(&w, variables, sizeof variables);
    wire_write_bytes(&w, s->key_name.wire, s->key_name.len);
    wire_write_u16(&w, DNS_CLASS_ANY);
    wire_write_u32(&w, 0); /* TTL */
    wire_write_bytes(&w, s->algorithm.wire, s->algorithm.len);
    write_time(&w, s->time_s);
    wire_write_u16(&w, s->fudge_s);
    wire_write_u16(&w, s->error);
    wire_write_u16(&w, s->other_len);
    wire_write_bytes(&w, s->other, s->other_len);
    ASSERT(!w.failed);
    if (request != NULL)
        wire_put_u16(request_len, (uint16_t)request->len);
    const struct digest_part parts[] = {
        {request_len, request != NULL ? sizeof request_len : 0},
        {request != NULL ? request->bytes : NULL, request != NULL ? request->len : 0},
        {header, sizeof header},
        {message + DNS_HEADER_BYTES, len - DNS_HEADER_BYTES},
        {variables, w.len},
    };
    return digest_hmac(algorithms[key->algorithm].digest, key->secret, key->secret_len, parts,
                       sizeof parts / sizeof *parts, out);
}

size_t tsig_sign(uint8_t *message, size_t len, const struct tsig_key *key, uint64_t now_s, struct tsig_mac *mac)
{
    struct wire_writer w;

    ASSERT(len >= DNS_HEADER_BYTES && len <= DNS_MESSAGE_BYTES - TSIG_RECORD_BYTES);
    const struct signature s = {.key_name = key->name,
                                .algorithm = algorithm_name(key->algorithm),
                                .time_s = now_s,
                                .fudge_s = TSIG_FUDGE_S,
                                .original_id = wire_get_u16(message),
                                .additional_count = wire_get_u16(message + 10)};
    mac->len = make_mac(key, NULL, message, len, &s, mac->bytes);
    wire_write_begin(&w, message + len, TSIG_RECORD_BYTES);
    wire_write_bytes(&w, key->name.wire, key->name.len);
    wire_write_u16(&w, DNS_TYPE_TSIG);
    wire_write_u16(&w, DNS_CLASS_ANY);
    wire_write_u32(&w, 0);
    wire_write_u16(&w, (uint16_t)(s.algorithm.len + TIME_BYTES + 10 + mac->len));
    wire_write_bytes(&w, s.algorithm.wire, s.algorithm.len);
    write_time(&w, now_s);
    wire_write_u16(&w, TSIG_FUDGE_S);
    wire_write_u16(&w, (uint16_t)mac->len);
    wire_write_bytes(&w, mac->bytes, mac->len);
    wire_write_u16(&w, s.original_id);
    wire_write_u16(&w, 0); /* error */
    wire_write_u16(&w, 0); /* other data */
    ASSERT(!w.failed);
    wire_put_u16(message + 10, (uint16_t)(s.additional_count + 1));
    return len + w.len;
}

/* ---- reading ---- */

static void read_signature(struct wire_reader *r, struct signature *s)
{
    wire_read_name(r, &s->algorithm);
    s->time_s = (uint64_t)wire_read_u16(r) << 32;
    s->time_s |= wire_read_u32(r);
    s->fudge_s = wire_read_u16(r);
    s->mac_len = wire_read_u16(r);
    s->mac = wire_read_bytes(r, s->mac_len);
    s->original_id = wire_read_u16(r);
    s->error = wire_read_u16(r);
    s->other_len = wire_read_u16(r);
    s->other = wire_read_bytes(r, s->other_len);
    if (s->other_len != 0 && s->other_len != TIME_BYTES)
        r->failed = true;
}

/* Over one record; when it is a signature it is read, and has to be the last thing there is. */
static bool take_record(struct wire_reader *r, struct signature *s, size_t *signed_at)
{
    const size_t begin = r->at;

    wire_skip_name(r);
    const uint16_t type = wire_read_u16(r), class = wire_read_u16(r);
    const uint32_t ttl_s = wire_read_u32(r);
    const uint16_t data_len = wire_read_u16(r);
    const size_t end = r->at + data_len;
    if (type != DNS_TYPE_TSIG || r->failed) {
        (void)wire_read_bytes(r, data_len);
        return !r->failed;
    }
    *signed_at = begin;
    r->at = begin;
    wire_read_name(r, &s->key_name);
    (void)wire_read_bytes(r, DNS_RR_FIXED_BYTES);
    read_signature(r, s);
    return !r->failed && class == DNS_CLASS_ANY && ttl_s == 0 && r->at == end && end == r->len;
}

/* False: not a message from its beginning to its end, or a signature stands where none may. */
static bool find_signature(const uint8_t *message, size_t len, struct signature *s, size_t *signed_at)
{
    struct wire_reader r;

    *signed_at = len;
    if (len < DNS_HEADER_BYTES)
        return false;
    wire_read_begin(&r, message, len);
    (void)wire_read_bytes(&r, 4);
    const uint16_t question_count = wire_read_u16(&r);
    uint32_t record_count = wire_read_u16(&r);
    record_count += wire_read_u16(&r);
    const uint32_t additional_at = record_count;
    record_count += wire_read_u16(&r);
    for (uint32_t i = 0; i < question_count && !r.failed; i++) {
        wire_skip_name(&r);
        (void)wire_read_bytes(&r, 4);
    }
    for (uint32_t i = 0; i < record_count; i++) {
        if (!take_record(&r, s, signed_at))
            return false;
        if (*signed_at < len && (i < additional_at || i + 1 < record_count))
            return false;
    }
    return !r.failed && r.at == len;
}

static bool is_same_name(const struct dns_name *a, const struct dns_name *b)
{
    return a->len == b->len && memcmp(a->wire, b->wire, a->len) == 0;
}

/* The server's own words. BADKEY and BADSIG come without a code of their own (RFC 8945 section 5.3.2). */
static enum tsig_verdict verdict_of(uint16_t error)
{
    switch (error) {
    case DNS_RCODE_NOERROR:
        return TSIG_GOOD;
    case ERROR_BADSIG:
        return TSIG_SAYS_BADSIG;
    case ERROR_BADKEY:
        return TSIG_SAYS_BADKEY;
    case ERROR_BADTIME:
        return TSIG_SAYS_BADTIME;
    default:
        return TSIG_SAYS_ERROR;
    }
}

static uint64_t distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

/* In the order of RFC 8945 section 5.2: key, code, time. */
static enum tsig_verdict judge(const uint8_t *message, size_t signed_at, const struct tsig_key *key,
                               const struct tsig_mac *request, uint64_t now_s, const struct signature *s)
{
    const enum tsig_verdict said = verdict_of(s->error);
    const struct dns_name algorithm = algorithm_name(key->algorithm);
    uint8_t mac[DIGEST_MAX_BYTES];

    if (said == TSIG_SAYS_BADSIG || said == TSIG_SAYS_BADKEY)
        return said;
    if (!is_same_name(&s->key_name, &key->name) || !is_same_name(&s->algorithm, &algorithm))
        return TSIG_OTHER_KEY;
    const size_t mac_len = make_mac(key, request, message, signed_at, s, mac);
    if (s->mac_len != mac_len || !digest_equal(s->mac, mac, mac_len))
        return TSIG_FORGED;
    if (said == TSIG_GOOD && distance(s->time_s, now_s) > s->fudge_s)
        return TSIG_STALE;
    return said;
}

struct tsig_result tsig_verify(const uint8_t *message, size_t len, const struct tsig_key *key,
                               const struct tsig_mac *request, uint64_t now_s)
{
    struct tsig_result result = {.verdict = TSIG_MALFORMED, .signed_at = len};
    struct signature s = {0};

    if (!find_signature(message, len, &s, &result.signed_at))
        return result;
    if (result.signed_at == len) {
        result.verdict = TSIG_ABSENT;
        return result;
    }
    s.additional_count = (uint16_t)(wire_get_u16(message + 10) - 1);
    result.error = s.error;
    result.time_s = (int64_t)s.time_s;
    result.verdict = judge(message, result.signed_at, key, request, now_s, &s);
    if (result.verdict == TSIG_SAYS_BADTIME && s.other_len == TIME_BYTES)
        result.time_s = (int64_t)wire_get_u16(s.other) << 32 | wire_get_u32(s.other + 2);
    return result;
}
