/* The data of a record, from the way people write it to the way it travels (RFC 1035 section 3.3; SRV 2782, CAA 8659,
 * SVCB and HTTPS 9460). Names in it are written out, not compressed: compression is the answer's business. */
#ifndef HEALTH_DNS_RDATA_H
#define HEALTH_DNS_RDATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "health/dns/wire.h"

#define RDATA_BYTES     4096u /* more than any sane record; a TXT of 16 strings */
#define RDATA_WHY_BYTES 128u

struct rdata {
    size_t len;
    uint8_t data[RDATA_BYTES];
};

/* Presentation form of `type`: A, AAAA, NS, CNAME, MX, TXT, SRV, CAA, SVCB, HTTPS. A TXT is the text itself, without
 * quotes, cut into strings of 255 bytes; names are absolute, with or without the dot at the end. False: `why` says
 * what is wrong. */
bool rdata_parse(struct rdata *out, uint16_t type, const char *text, char why[RDATA_WHY_BYTES]);

struct rdata_soa {
    const char *mname; /* the first nameserver */
    const char *rname; /* who is responsible: a mail address or the name made of one */
    uint32_t serial, refresh_s, retry_s, expire_s, minimum_s;
};
bool rdata_soa(struct rdata *out, const struct rdata_soa *soa, char why[RDATA_WHY_BYTES]);

/* Where in the data of a type names stand that may be compressed (RFC 3597 section 4: those of RFC 1035 only). */
struct rdata_shape {
    uint8_t names_at;   /* bytes before the first name */
    uint8_t name_count; /* 0: the data is copied as it is */
};
struct rdata_shape rdata_shape(uint16_t type);
/* The name in the data that an additional section has addresses for (NS, MX, SRV, SVCB, HTTPS), or NULL. */
const uint8_t *rdata_target(uint16_t type, const uint8_t *data);

#endif
