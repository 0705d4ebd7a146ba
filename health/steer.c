/* The choice is small enough to be made anew for every "what if": the TTL asks, for every candidate, whether the choice
 * would be another one if this candidate's state flipped, and takes the earliest of those flips. That holds for every
 * policy without knowing any of them. */
#include "health/steer.h"

#include "base/assert.h"

#define CANDIDATES_MAX 32u

static uint32_t bit(size_t i)
{
    return UINT32_C(1) << i;
}

static uint32_t all_of(size_t count)
{
    return count >= CANDIDATES_MAX ? UINT32_MAX : bit(count) - 1;
}

static uint32_t in_tier(const struct steer_candidate *candidates, size_t count, enum conf_tier tier)
{
    uint32_t set = 0;
    for (size_t i = 0; i < count; i++)
        set |= candidates[i].tier == tier ? bit(i) : 0;
    return set;
}

/* What the kind of steering makes of those that stand. */
static uint32_t choose_among(const struct steer_policy *policy, const struct steer_candidate *candidates, size_t count,
                             uint32_t standing)
{
    const uint32_t emergency = in_tier(candidates, count, TIER_EMERGENCY);

    if (policy->kind == STEER_ALL_HEALTHY)
        return (standing & ~emergency) != 0 ? standing & ~emergency : standing;
    for (enum conf_tier tier = TIER_PRIMARY; tier <= TIER_EMERGENCY; tier++) {
        uint32_t here = standing & in_tier(candidates, count, tier);
        if (here != 0)
            return here;
    }
    return 0;
}

static uint32_t last_resort(const struct steer_policy *policy, const struct steer_candidate *candidates, size_t count,
                            uint32_t last_good)
{
    const uint32_t all = all_of(count);
    uint32_t wanted = all;

    if (policy->resort == RESORT_EMERGENCY)
        wanted = in_tier(candidates, count, TIER_EMERGENCY);
    else if (policy->resort == RESORT_FAIL_STATIC)
        wanted = last_good & all;
    return wanted != 0 ? wanted : all;
}

/* The choice without its TTL, with the candidates of `flipped` in the other state. */
static struct steer_choice choose(const struct steer_policy *policy, const struct steer_candidate *candidates,
                                  const struct steer_view *views, size_t count, uint32_t last_good, uint32_t flipped)
{
    struct steer_choice c = {0};
    uint32_t standing = 0, draining = 0;

    for (size_t i = 0; i < count; i++) {
        const bool is_down = (views[i].state == VERDICT_DOWN) != ((flipped & bit(i)) != 0);
        if (is_down || (policy->kind == STEER_WEIGHTED && candidates[i].weight == 0))
            continue;
        *(views[i].is_draining ? &draining : &standing) |= bit(i);
    }
    c.chosen = choose_among(policy, candidates, count, standing);
    if (c.chosen == 0) {
        c.chosen = choose_among(policy, candidates, count, draining);
        c.is_draining = c.chosen != 0;
    }
    if (c.chosen == 0) {
        c.chosen = last_resort(policy, candidates, count, last_good);
        c.is_last_resort = true;
    }
    return c;
}

/* Milliseconds until the candidate could flip; an operator's word and a candidate without checks never do. */
static uint64_t flip_ms(const struct steer_view *v)
{
    if (v->is_forced || v->interval_ms == 0)
        return UINT64_MAX;
    return (uint64_t)v->checks_left * v->interval_ms;
}

struct steer_choice steer_choose(const struct steer_policy *policy, const struct steer_candidate *candidates,
                                 const struct steer_view *views, size_t count, uint32_t last_good)
{
    uint64_t earliest_ms = UINT64_MAX;

    ASSERT(count >= 1 && count <= CANDIDATES_MAX);
    ASSERT(policy->ttl_min_s <= policy->ttl_max_s);
    struct steer_choice c = choose(policy, candidates, views, count, last_good, 0);
    for (size_t i = 0; i < count; i++) {
        if (flip_ms(&views[i]) >= earliest_ms)
            continue;
        if (choose(policy, candidates, views, count, last_good, bit(i)).chosen != c.chosen)
            earliest_ms = flip_ms(&views[i]);
    }
    const uint64_t ttl_s = earliest_ms / 1000;
    c.ttl_s = ttl_s < policy->ttl_min_s   ? policy->ttl_min_s
              : ttl_s > policy->ttl_max_s ? policy->ttl_max_s
                                          : (uint32_t)ttl_s;
    return c;
}

unsigned steer_pick(uint32_t chosen, const uint16_t *weights, uint32_t random)
{
    uint32_t total = 0, left = chosen;
    unsigned last = 0;

    ASSERT(chosen != 0);
    for (; left != 0; left &= left - 1)
        total += weights[__builtin_ctz(left)];
    const bool is_even = total == 0;
    if (is_even)
        total = (uint32_t)__builtin_popcount(chosen);
    /* The upper half of a product spreads 32 random bits evenly over `total` (Lemire), without a division. */
    uint32_t at = (uint32_t)((uint64_t)random * total >> 32);
    for (left = chosen; left != 0; left &= left - 1) {
        const uint32_t share = is_even ? 1 : weights[__builtin_ctz(left)];
        last = (unsigned)__builtin_ctz(left);
        if (at < share)
            return last;
        at -= share;
    }
    return last;
}
