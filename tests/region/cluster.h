/* The other regions: what is shouted and who is present is passed on over one Redis channel, and a region whose
 * heartbeat is missing is forgotten with everybody it had. Without Redis, or while it is away, a region is alone and
 * goes on. */
#ifndef REGION_CLUSTER_H
#define REGION_CLUSTER_H

#include <jansson.h>
#include <stddef.h>

#include "tests/region/wire.h"

#define CLUSTER_ALIVE_MS 500  /* heartbeat */
#define CLUSTER_GONE_MS  2000 /* silence after which a region is gone */

struct cluster;
struct region;

struct cluster *cluster_create(struct region *r, const char *redis_url); /* NULL when the url is none */
void cluster_destroy(struct cluster **cp);                               /* says good-bye */

void cluster_shout(struct cluster *c, const struct shout *s);
void cluster_presence(struct cluster *c, const json_t *joins, const json_t *leaves);
/* A change of a row: the data of its frame. */
void cluster_change(struct cluster *c, const char *data, size_t len);
json_t *cluster_names(const struct cluster *c); /* of the other regions heard; new reference */

#endif
