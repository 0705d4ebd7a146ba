/* The addresses of names that are answered in their place (at the apex, beside other records): asked for in the
 * background, again and again before they grow old, never while somebody waits for an answer. What was known stays
 * known while the name cannot be resolved, for its owner's server may be down when ours must answer. Its TTL runs out
 * as in every cache. */
#ifndef HEALTH_NAMESERVER_ALIASES_H
#define HEALTH_NAMESERVER_ALIASES_H

#include "base/loop.h"
#include "base/resolve.h"
#include "health/dns/answer.h"

#define ALIASES_FIRST_RETRY_MS 1000
#define ALIASES_RETRY_MAX_MS   30000
#define ALIASES_TTL_MIN_S      1u
#define ALIASES_TTL_MAX_S      300u
#define ALIASES_TTL_HOSTS_S    30u /* for what the hosts file says */
#define ALIASES_TTL_STALE_S    30u /* of addresses that could not be asked for again (RFC 8767 section 4) */

struct aliases;

/* `resolver` is borrowed. */
struct aliases *aliases_create(struct loop *l, struct resolver *resolver);
void aliases_destroy(struct aliases **ap);

/* A new configuration: begin forgets all places, want names those there are now (written at once when the name is
 * known, and whenever its addresses change), end forgets the names nobody wants any more. */
void aliases_begin(struct aliases *a);
void aliases_want(struct aliases *a, const struct dns_name *name, struct steering_alias *place);
void aliases_end(struct aliases *a);

#endif
