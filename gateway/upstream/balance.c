/* The balancers.
 *
 * Smooth weighted round-robin: everybody's turn grows by its weight, the largest is chosen and pays the sum of all
 * weights. The sum of the turns does not change, so over one period of sum-of-weights choices each is chosen exactly as
 * often as its weight says.
 *
 * Weighted rendezvous: each server draws a number u in (0, 1) from the hash of key and name; -weight / ln(u) is
 * distributed such that the largest belongs to a server with probability weight / sum of weights (Schindelhauer and
 * Schomaker 2005). No ring, no table to keep, and no key moves that need not. */
#include "gateway/upstream/balance.h"

#include <math.h>

#include "base/assert.h"
#include "base/map.h"

/* Not a secret: it only has to be the same everywhere, for as long as keys are to stay where they are. */
static const uint8_t fixed_key[16] = "tidegate balance";

static size_t round_robin(const struct candidate *c, size_t count, uint64_t key)
{
    (void)key;
    ASSERT(count > 0);
    size_t best = 0;
    int64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        *c[i].turn += (int64_t)c[i].weight;
        total += (int64_t)c[i].weight;
        if (*c[i].turn > *c[best].turn)
            best = i;
    }
    *c[best].turn -= total;
    return best;
}

/* Whether `a` would be less loaded for its weight than `b` with one more tunnel each: <0, 0, >0. Cross-multiplied,
 * so that equal shares compare equal. */
static int compare_load(const struct candidate *a, const struct candidate *b)
{
    const uint64_t left = (a->load + 1) * b->weight;
    const uint64_t right = (b->load + 1) * a->weight;
    return (left > right) - (left < right);
}

static size_t least_connections(const struct candidate *c, size_t count, uint64_t key)
{
    ASSERT(count > 0 && count <= BALANCE_CANDIDATES_MAX);
    size_t least = 0;
    for (size_t i = 1; i < count; i++) {
        if (compare_load(&c[i], &c[least]) < 0)
            least = i;
    }
    struct candidate tied[BALANCE_CANDIDATES_MAX];
    size_t index_of[BALANCE_CANDIDATES_MAX];
    size_t tied_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (compare_load(&c[i], &c[least]) != 0)
            continue;
        tied[tied_count] = c[i];
        index_of[tied_count++] = i;
    }
    return index_of[round_robin(tied, tied_count, key)];
}

static double score(const struct candidate *c, uint64_t key)
{
    const uint64_t both[2] = {key, c->name_hash};
    /* 53 bits, and one half so that neither 0 nor 1 can come out */
    const double u = ((double)(siphash24(fixed_key, both, sizeof both) >> 11) + 0.5) * 0x1p-53;
    return -(double)c->weight / log(u);
}

static size_t rendezvous(const struct candidate *c, size_t count, uint64_t key)
{
    ASSERT(count > 0);
    size_t best = 0;
    double best_score = score(&c[0], key);
    for (size_t i = 1; i < count; i++) {
        const double s = score(&c[i], key);
        if (s > best_score) {
            best = i;
            best_score = s;
        }
    }
    return best;
}

balance_fn *balance_of(enum conf_balance b)
{
    static balance_fn *const table[] = {
        [BALANCE_ROUND_ROBIN] = round_robin,
        [BALANCE_LEAST_CONNECTIONS] = least_connections,
        [BALANCE_HASH] = rendezvous,
    };
    ASSERT((size_t)b < sizeof table / sizeof table[0]);
    return table[b];
}

uint64_t balance_key(const void *data, size_t len)
{
    return siphash24(fixed_key, data, len);
}
