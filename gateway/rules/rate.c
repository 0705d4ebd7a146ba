/* The table is an array of sets of eight words, one cache line each; a key's hash names the set and the mark. In a set
 * a new client takes a word whose bucket is full (nobody needs it), else the one that will be full first: the client
 * who loses least. To push out a client who is being held back, an attacker must make eight others in the same set
 * who asked more, from addresses of his own, without knowing the secret of the hash; and all that client then gains is
 * a full bucket.
 *
 * Two clients of one set share a bucket when their marks agree, one chance in a million each. Time is counted in
 * 1/64 ms since the boot of the machine, the same for all processes, in 44 bits: eight years. */
#include "gateway/rules/rate.h"

#include <string.h>

#include "base/assert.h"
#include "base/map.h"

#define SET_WORDS    8u
#define TICKS_PER_MS 64
#define TIME_BITS    44
#define TIME_MASK    ((UINT64_C(1) << TIME_BITS) - 1)
#define MARK_OF(key) ((key) >> TIME_BITS) /* the set comes from the other end */
#define SWAPS_MAX    64u
/* A word further ahead than a bucket can be, and than the clocks of two passes differ, is from before a reload that
 * made buckets smaller: it must not keep its client out until tomorrow. */
#define SKEW          ((uint64_t)2000 * TICKS_PER_MS)
#define ROUTE_KEY_MAX 512u /* of a text; the rest of a longer one does not tell clients apart */

_Static_assert((STATS_BUCKETS & (STATS_BUCKETS - 1)) == 0 && STATS_BUCKETS >= SET_WORDS, "sets are found by a mask");
_Static_assert(STATS_BUCKETS / SET_WORDS <= UINT64_C(1) << 32, "mark and set must not share bits of the key");

uint64_t rate_key_of_text(const struct stats *shared, int route_slot, const char *text, size_t len)
{
    char whole[ROUTE_KEY_MAX + sizeof route_slot];
    if (len > ROUTE_KEY_MAX)
        len = ROUTE_KEY_MAX;
    memcpy(whole, &route_slot, sizeof route_slot);
    if (len > 0)
        memcpy(whole + sizeof route_slot, text, len);
    return siphash24(shared->client_key, whole, len + sizeof route_slot);
}

uint64_t rate_key_of_address(const struct stats *shared, int route_slot, const struct addr *a)
{
    struct { /* no holes: it is hashed as it lies there */
        uint8_t ip[8];
        int32_t family;
        int32_t route_slot;
        uint64_t not_text; /* longer than an int: no header value makes the same bytes */
    } who = {.family = a->sa.sa_family, .route_slot = route_slot, .not_text = UINT64_MAX};
    if (a->sa.sa_family == AF_INET)
        memcpy(who.ip, &a->v4.sin_addr, sizeof a->v4.sin_addr);
    else if (a->sa.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&a->v6.sin6_addr))
        memcpy(who.ip, a->v6.sin6_addr.s6_addr + 12, 4), who.family = AF_INET;
    else if (a->sa.sa_family == AF_INET6)
        memcpy(who.ip, &a->v6.sin6_addr, sizeof who.ip); /* one subscriber holds a /64 */
    return siphash24(shared->client_key, &who, sizeof who);
}

static uint64_t full_at(uint64_t word)
{
    return word & TIME_MASK;
}

/* The word of the key, else the one it may take. */
static _Atomic uint64_t *find_word(_Atomic uint64_t *set, uint64_t mark, uint64_t *seen)
{
    _Atomic uint64_t *best = &set[0];
    *seen = atomic_load_explicit(best, memory_order_relaxed);
    for (unsigned i = 0; i < SET_WORDS; i++) {
        const uint64_t word = atomic_load_explicit(&set[i], memory_order_relaxed);
        if (word >> TIME_BITS == mark && word != 0) {
            *seen = word;
            return &set[i];
        }
        if (full_at(word) < full_at(*seen)) {
            best = &set[i];
            *seen = word;
        }
    }
    return best;
}

bool rate_take(struct stats *shared, const struct conf_rate *rate, uint64_t key, int64_t now_ms,
               uint32_t *retry_after_s)
{
    const uint64_t mark = MARK_OF(key);
    const uint64_t now = (uint64_t)now_ms * TICKS_PER_MS;
    const uint64_t every = (uint64_t)rate->every_ms * TICKS_PER_MS;
    const uint64_t one = every / rate->requests; /* the time in which one is refilled */
    const uint64_t most =
        every * (rate->burst - 1) / rate->requests; /* how far from full it may be to still hold one */
    _Atomic uint64_t *set = &shared->bucket[(key & (STATS_BUCKETS / SET_WORDS - 1)) * SET_WORDS];
    ASSERT(rate->requests > 0 && rate->burst > 0);
    for (unsigned i = 0; i < SWAPS_MAX; i++) {
        uint64_t seen = 0;
        _Atomic uint64_t *word = find_word(set, mark, &seen);
        uint64_t full = now;
        if (seen >> TIME_BITS == mark && full_at(seen) > now && full_at(seen) - now <= most + one + SKEW)
            full = full_at(seen);
        if (full - now > most) {
            const uint64_t wait = full - now - most;
            *retry_after_s = (uint32_t)((wait + 1000 * TICKS_PER_MS - 1) / (1000 * TICKS_PER_MS));
            return false;
        }
        if (atomic_compare_exchange_weak_explicit(word, &seen, mark << TIME_BITS | ((full + one) & TIME_MASK),
                                                  memory_order_relaxed, memory_order_relaxed))
            break;
    }
    return true; /* also after losing every time, which needs as many workers at the same instant */
}
