/* The leases this process holds in Redis: which random token stands for which, so that a release removes ours and
 * nobody else's. Bounded; forgotten when their time is over. */
#ifndef CACHE_L2_LEASES_H
#define CACHE_L2_LEASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define L2_LEASES_MAX        16384u
#define L2_LEASE_TOKEN_BYTES 33u /* hexadecimal digits and NUL */

struct l2_leases;

struct l2_leases *l2_leases_create(void);
void l2_leases_destroy(struct l2_leases **lp);
/* A new token for the lease `name`, valid until the next call here; NULL when it has one that is not over, or there are
 * too many. */
const char *l2_leases_add(struct l2_leases *l, const char *name, size_t name_len, int64_t until_ms, int64_t now_ms);
/* Copies the token to `out` and forgets it; false when there is none. */
bool l2_leases_take(struct l2_leases *l, const char *name, size_t name_len, char out[L2_LEASE_TOKEN_BYTES]);

#endif
