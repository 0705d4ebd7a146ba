/* The addresses of a name of our own zone, for who is an alias of it: looked up in the zone itself and in the choices
 * of now, so that it follows a failover at once and asks nobody. Pure. */
#ifndef HEALTH_NAMESERVER_INNER_H
#define HEALTH_NAMESERVER_INNER_H

#include <stdbool.h>

#include "health/dns/answer.h"
#include "health/dns/zone.h"

/* Whether the name's addresses stand in the zone, CNAMEs followed: then `node` is where. False: it is somebody else's,
 * or leads to him. */
bool inner_find(const struct zone *zone, const struct dns_name *name, const struct zone_node **node);
/* What `node` is answered with. A candidate there that is a name itself counts when its own alias is known. */
void inner_addresses(const struct zone_node *node, const struct steering *steering, struct steering_alias *out);

#endif
