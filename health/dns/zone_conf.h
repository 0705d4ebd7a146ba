/* The zone a configuration describes: section `dns` in, struct zone out.
 *
 * A record of the configuration is either fixed, several RRsets of one name, or steered, one set of candidates. An
 * `alias` is a steered set with one candidate that never changes, answered by the addresses of what it names. Which set
 * belongs to which record is told by a list in the order of the sets. */
#ifndef HEALTH_DNS_ZONE_CONF_H
#define HEALTH_DNS_ZONE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "health/dns/zone.h"

#define ZONE_CONF_WHY_BYTES (ZONE_WHY_BYTES + 128u)

struct zone_conf_set {
    const struct conf_dns_record *record; /* borrowed from the configuration */
    uint64_t steering_id;                 /* of its row in health/steering.h; 0: an alias, which has none */
};
struct zone_conf {
    struct zone *zone;
    size_t set_count;
    struct zone_conf_set *sets; /* by the number of the set */
};

/* False, and nothing to free, when there can be no such zone: `why` says which key is wrong and what about it. `serial`
 * is the SOA's until somebody knows better. `dns` has a zone; it is borrowed until zone_conf_fini(). */
bool zone_conf_init(struct zone_conf *z, const struct conf_dns *dns, uint32_t serial, char why[ZONE_CONF_WHY_BYTES]);
void zone_conf_fini(struct zone_conf *z);

#endif
