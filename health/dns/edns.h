/* The OPT record (RFC 6891) of a query and of its answer: size, version, DO, and the options this server knows, NSID
 * (RFC 5001) and COOKIE (RFC 7873). Options it does not know are passed over. */
#ifndef HEALTH_DNS_EDNS_H
#define HEALTH_DNS_EDNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "health/dns/cookie.h"
#include "health/dns/wire.h"

struct edns { /* of a query */
    bool is_there;
    bool is_broken; /* options that do not end where the record does */
    bool wants_dnssec;
    bool wants_nsid;
    uint8_t version;
    uint16_t payload_bytes;
    uint16_t cookie_len;
    const uint8_t *cookie; /* the first COOKIE option, borrowed from the query; NULL: none */
};
/* Reads what follows the type of an OPT record: class, TTL, data. Options of another version are not looked at. */
void edns_read(struct edns *e, struct wire_reader *r);

struct edns_answer {
    uint16_t payload_bytes; /* what this server takes */
    uint16_t rcode;         /* whole; the upper eight bits travel here */
    bool wants_dnssec;      /* as it was in the query */
    const uint8_t *cookie;  /* COOKIE_BYTES, or NULL */
    const uint8_t *nsid;
    size_t nsid_len; /* 0: not told */
};
size_t edns_answer_len(const struct edns_answer *a);
void edns_write(struct wire_writer *w, const struct edns_answer *a);

#endif
