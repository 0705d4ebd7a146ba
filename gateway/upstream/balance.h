/* The balancers: which of several equally good servers. Pure functions over an array of candidates, one row per enum
 * conf_balance.
 *
 * Round-robin is smooth and weighted: with weights 5, 1, 1 it gives a a b a c a a, not five in a row. Least-connections
 * takes the server whose load after one more tunnel is smallest for its weight, ties by round-robin. Hash is weighted
 * rendezvous hashing: every worker and every gateway computes the same choice from the key and the servers' names
 * alone, and a server that joins or leaves moves no key but its own. */
#ifndef GATEWAY_UPSTREAM_BALANCE_H
#define GATEWAY_UPSTREAM_BALANCE_H

#include <stddef.h>
#include <stdint.h>

#include "base/slots.h"
#include "conf/conf.h"

struct candidate {
    uint64_t weight;    /* at least 1, below BALANCE_WEIGHT_MAX */
    uint64_t load;      /* tunnels and attempts, below BALANCE_LOAD_MAX; used by least-connections */
    uint64_t name_hash; /* balance_key() of its name; used by hash */
    int64_t *turn;      /* round-robin state, kept between calls by the owner, zero at first */
};
/* Products of one weight and one load stay below 2^63. */
#define BALANCE_WEIGHT_MAX (1ull << 32)
#define BALANCE_LOAD_MAX   (1ull << 30)

#define BALANCE_CANDIDATES_MAX SLOTS_SERVERS

/* Index of the chosen one of `count` (1 to BALANCE_CANDIDATES_MAX) candidates. `key` is used by hash alone. */
typedef size_t balance_fn(const struct candidate *c, size_t count, uint64_t key);
balance_fn *balance_of(enum conf_balance b);

/* Hash of a client's key or of a server's name: SipHash under a fixed key, the same in every process. */
uint64_t balance_key(const void *data, size_t len);

#endif
