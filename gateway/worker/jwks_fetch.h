/* Key sets (RFC 7517) that routes want from a pool: asks the rules which are due, gets them from a server of the pool
 * as any client would, and hands them over. One at a time, each bounded in time and size; the rules say when to come
 * again.
 */
#ifndef GATEWAY_WORKER_JWKS_FETCH_H
#define GATEWAY_WORKER_JWKS_FETCH_H

#include "conf/conf.h"
#include "gateway/net/conn.h"
#include "gateway/rules/rules.h"
#include "gateway/upstream/pool.h"

struct jwks_fetch;

/* All are borrowed until it is destroyed. */
struct jwks_fetch *jwks_fetch_create(struct net *n, const struct pool_set *pools, struct rules *rules);
/* A configuration that pools and rules have taken already (a reference is taken): begins with what is due. */
void jwks_fetch_follow(struct jwks_fetch *f, const struct conf *c);
void jwks_fetch_destroy(struct jwks_fetch **fp);

#endif
