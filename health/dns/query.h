/* What a client sent, taken apart: header, question, OPT. A query is read to its end, and nothing may follow; records
 * it has no use for (the SOA of an IXFR, a signature) are stepped over. */
#ifndef HEALTH_DNS_QUERY_H
#define HEALTH_DNS_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "health/dns/edns.h"
#include "health/dns/wire.h"

enum query_verdict {
    QUERY_IGNORED = 1, /* no answer: too short to have an id, or itself an answer; but for `data` nothing else is set */
    QUERY_UNKNOWN,     /* another opcode: nothing behind the header was read */
    QUERY_MALFORMED,   /* what could be read is set */
    QUERY_READ,
};
struct query {
    enum query_verdict verdict;
    const uint8_t *data; /* as it came; borrowed */
    uint16_t flags;
    uint16_t qtype, qclass;
    bool has_question; /* false: there is no type, class or name */
    struct edns edns;
    struct dns_name qname; /* stands uncompressed behind the header, in letters of the client's choice */
};

/* Borrows `data` as long as `q` is used. */
void query_read(struct query *q, const uint8_t *data, size_t len);

#endif
