/* Where servers are: keeps every server's addresses fresh and its TLS context ready, so that an attempt never waits for
 * a name. Addresses are looked up again when their TTL ends; while a lookup fails the last known ones stay in use. */
#ifndef GATEWAY_UPSTREAM_NAMES_H
#define GATEWAY_UPSTREAM_NAMES_H

#include <stdbool.h>

#include "base/loop.h"
#include "base/resolve.h"
#include "gateway/upstream/pool.h"

struct names;

/* Called when the last first lookup has ended, one way or the other; from the loop, or within names_learn(). */
typedef void names_settled_fn(void *arg);

struct names *names_create(struct loop *l, names_settled_fn *on_settled, void *arg);
void names_destroy(struct names **np); /* all servers must be released */

/* Whether every certificate and key of a configuration can be used; a sentence goes to `error` (TLS_ERROR_TEXT_BYTES).
 */
bool names_check(struct names *n, const struct conf *c, char *error) MUST_CHECK;
/* Makes every server of the set known: numeric addresses at once, names by lookup. Call after each pool_set_update()
 * with a configuration that passed names_check(); on_settled follows, exactly once per call. */
void names_learn(struct names *n, const struct pool_set *ps, const struct conf *c);
/* Stops the lookups of one server and drops its TLS context; for server_ops.on_free and on_removed. */
void names_forget(struct server *s);

#endif
