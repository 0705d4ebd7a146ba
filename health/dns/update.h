/* Messages that change somebody else's zone (RFC 2136), and what comes back.
 *
 * A message replaces what a name is answered with: its A, AAAA and CNAME records go, those of the set come, all names
 * in one message, which the server does as a whole or not at all. Nobody sees a name without an answer, sending the
 * same twice changes nothing, and as everything goes before something comes a name may turn from addresses into a CNAME
 * and back. What else stands at a name is left alone. Where it leaves no room for a CNAME a server would drop the CNAME
 * in silence (section 3.4.2.2) and leave the name without an answer; so a message may require that nothing is there,
 * and is refused as a whole (YXRRSET) when something is. Pure. */
#ifndef HEALTH_DNS_UPDATE_H
#define HEALTH_DNS_UPDATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "health/dns/tsig.h"
#include "health/dns/wire.h"

struct update_set {
    const struct dns_name *name;  /* in the zone */
    const struct dns_name *cname; /* NULL: addresses */
    uint32_t ttl_s;
    size_t a_count, aaaa_count; /* one of them at least, without a CNAME */
    const uint8_t (*a)[4];
    const uint8_t (*aaaa)[16];
};

/* ---- making one ---- */
struct update {
    struct wire_writer writer;
    uint16_t required_count, record_count;
};
/* `cap_bytes` with room for a signature; `zone` is borrowed until update_end(), as are the names of the sets. */
void update_begin(struct update *u, uint8_t *data, size_t cap_bytes, uint16_t id, const struct dns_name *zone);
/* Before the first set: there must be nothing at this name that a CNAME cannot stand beside. */
void update_require_room(struct update *u, const struct dns_name *name);
/* False: it does not fit, and nothing of it is in the message. */
bool update_add(struct update *u, const struct update_set *s);
/* The signed message's length, and its code for the answer. */
size_t update_end(struct update *u, const struct tsig_key *key, uint64_t now_s, struct tsig_mac *mac);

/* ---- what comes back ---- */
struct update_answer {
    bool is_done;  /* signed and NOERROR */
    bool is_other; /* not the answer to this request */
    uint16_t rcode;
    struct tsig_result tsig;
};
struct update_answer update_read(const uint8_t *data, size_t len, uint16_t id, const struct tsig_key *key,
                                 const struct tsig_mac *mac, uint64_t now_s);
/* Why it is not done, in plain words; returns `out`. */
#define UPDATE_WHY_BYTES 160u
const char *update_why(const struct update_answer *a, uint64_t now_s, char out[UPDATE_WHY_BYTES]);

#endif
