/* The authoritative answer to one query that was read. No socket, no clock, no allocation.
 *
 * What is followed: RFC 1034/1035 (answers, AA, CNAME chains), 2308 (SOA with NXDOMAIN and NODATA), 4592 (wildcards),
 * 8020 (empty non-terminals), 6604 (the code of a chain is its end's), 6891 (EDNS), 5001 (NSID), 7873 and 9018
 * (cookies), 8482 (ANY), 9471 (glue). Transfers, other classes and names outside the zone are refused, other opcodes
 * not implemented. The question goes back in the client's own letters. What does not fit is left out by whole RRsets,
 * and TC says so when it was part of the answer. */
#ifndef HEALTH_DNS_ANSWER_H
#define HEALTH_DNS_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "health/dns/cookie.h"
#include "health/dns/query.h"
#include "health/dns/wire.h"
#include "health/dns/zone.h"

#define DNS_UDP_ANSWER_BYTES 1232u /* what fits one packet everywhere; a client may ask for less, not for more */
#define DNS_NSID_BYTES       64u
#define DNS_CHASE_MAX        8u /* CNAMEs of one answer */

/* ---- what is chosen from outside; the caller replaces it between two answers ---- */
struct steering_alias { /* what the name of a candidate resolves to */
    bool is_known;      /* false: not resolved yet; asked for, the answer is SERVFAIL, never "has no address" */
    uint8_t a_count, aaaa_count;
    uint32_t ttl_s;
    uint8_t a[ZONE_ADDRESSES_MAX][4];
    uint8_t aaaa[ZONE_ADDRESSES_MAX][16];
};
struct steering_set {
    uint32_t chosen; /* bit per candidate; 0 is answered like all of them */
    uint32_t ttl_s;
    const uint16_t *weights;              /* NULL: all that are chosen; else one of them, by weight, per query */
    const struct steering_alias *aliases; /* per candidate, or NULL: none is resolved */
};
struct steering {
    uint32_t serial; /* of the SOA */
    uint32_t set_count;
    const struct steering_set *sets; /* by the number of the steered set */
};

/* ---- what holds for every answer ---- */
struct dns_service {
    const struct zone *zone;
    const struct cookie_secrets *cookies; /* NULL: cookies are ignored */
    bool is_cookie_required;              /* over UDP a client that speaks cookies has to come back with ours */
    uint8_t nsid_len;                     /* 0: not told */
    uint8_t nsid[DNS_NSID_BYTES];
};

struct dns_query_info {
    uint8_t address[16]; /* of the client, network order; IPv4 in the first four */
    uint8_t address_len; /* 4 or 16; a mapped IPv4 address is 4 */
    bool is_tcp;
    uint32_t now_s;  /* wall clock, for cookies */
    uint32_t random; /* anew for every query: weights and the order of steered addresses */
};

/* What kind of answer it is, for limits and counters. */
enum dns_kind {
    DNS_KIND_NONE = 0, /* nothing goes out */
    DNS_KIND_ANSWER,
    DNS_KIND_NODATA,
    DNS_KIND_NXDOMAIN,
    DNS_KIND_REFERRAL,
    DNS_KIND_ERROR,
};
#define DNS_KIND_COUNT 6
struct dns_outcome {
    enum dns_kind kind;
    uint16_t rcode;    /* enum dns_rcode */
    uint16_t qtype;    /* 0: there was no question */
    uint16_t head_len; /* header and question of the answer */
    uint16_t opt_len;  /* of the OPT record at its end; 0: it has none */
    bool is_truncated;
    enum cookie_verdict cookie;
};

/* A query that was read and will be answered soon: what that needs of the zone comes nearer meanwhile. May be left out.
 */
void dns_foresee(const struct dns_service *service, const struct query *query);

/* Answers a query that was read into `out`; how many bytes go out, 0: nothing does (not a query, or too short to have a
 * sender who could be told). `cap_bytes` is at least DNS_UDP_BYTES; `out` does not overlap the query's bytes.
 * `steering` has a set for every steered name of the zone. */
size_t dns_answer(const struct dns_service *service, const struct steering *steering, const struct dns_query_info *info,
                  const struct query *query, uint8_t *out, size_t cap_bytes, struct dns_outcome *outcome);

/* Makes the answer of `len` bytes one that says "ask again by TCP" and nothing else (a slip of health/dns/limit.h):
 * header with TC, question, OPT. `outcome` is what dns_answer() told. Returns its length. */
size_t dns_answer_slip(uint8_t *out, size_t len, const struct dns_outcome *outcome);

#endif
