/* What every steered name of a zone is answered with now (struct steering of health/dns/answer.h).
 *
 * It comes from the steering table, which the checker writes. Where the table says nothing about a record (it is new,
 * or the checker has not come up yet), the choice is made here from nothing: unknown is not down, and since something
 * may be known any moment, with the shortest TTL. Names among the candidates are resolved by somebody else (aliases.h);
 * here is the place their addresses are kept. Those of our own zone are known here (inner.h). */
#ifndef HEALTH_NAMESERVER_CHOICES_H
#define HEALTH_NAMESERVER_CHOICES_H

#include <stdbool.h>
#include <stdint.h>

#include "health/dns/answer.h"
#include "health/dns/zone_conf.h"
#include "health/steering.h"

struct choices;

/* `zone` and `table` are borrowed for good. `serial` is answered until the table has one. */
struct choices *choices_create(const struct zone_conf *zone, const struct steering_table *table, uint32_t serial);
void choices_destroy(struct choices **cp);

/* Looks whether the table has changed and takes over what it says: cheap when it has not. True when something was
 * taken over. */
bool choices_refresh(struct choices *c);
/* Valid, and up to date after each refresh, as long as `c` lives. */
const struct steering *choices_steering(const struct choices *c);
/* Whether the checker has decided anything yet. */
bool choices_are_decided(const struct choices *c);

/* Takes over what has become known about names that are aliases of each other; now and then. */
void choices_renew(struct choices *c);

/* Calls back for every candidate that is somebody else's name: `place` is where its addresses belong, for as long as
 * `c` lives. */
typedef void choices_alias_fn(void *arg, const struct dns_name *name, struct steering_alias *place);
void choices_each_alias(struct choices *c, choices_alias_fn *fn, void *arg);

#endif
