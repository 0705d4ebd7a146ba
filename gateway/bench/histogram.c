/* The first HISTOGRAM_STEPS buckets are one nanosecond wide; from there each power of two is cut into as many equal
 * steps. */
#include "gateway/bench/histogram.h"

#define STEP_BITS 6u
_Static_assert(1u << STEP_BITS == HISTOGRAM_STEPS, "steps are a power of two");

static uint32_t bucket_of(uint64_t ns)
{
    if (ns < HISTOGRAM_STEPS)
        return (uint32_t)ns;
    const uint32_t power = 63u - (uint32_t)__builtin_clzll(ns); /* at least STEP_BITS */
    const uint32_t step = (uint32_t)(ns >> (power - STEP_BITS)) & (HISTOGRAM_STEPS - 1u);
    const uint32_t bucket = (power - STEP_BITS + 1u) * HISTOGRAM_STEPS + step;
    return bucket < HISTOGRAM_POWERS * HISTOGRAM_STEPS ? bucket : HISTOGRAM_POWERS * HISTOGRAM_STEPS - 1u;
}

/* The largest value that falls into the bucket. */
static uint64_t upper_ns(uint32_t bucket)
{
    if (bucket < HISTOGRAM_STEPS)
        return bucket;
    const uint32_t shift = bucket / HISTOGRAM_STEPS - 1u;
    return (((uint64_t)HISTOGRAM_STEPS + bucket % HISTOGRAM_STEPS + 1u) << shift) - 1u;
}

void histogram_add(struct histogram *h, uint64_t ns)
{
    h->count++;
    if (ns > h->max_ns)
        h->max_ns = ns;
    h->bucket[bucket_of(ns)]++;
}

uint64_t histogram_quantile_ns(const struct histogram *h, double fraction)
{
    const uint64_t due = (uint64_t)(fraction * (double)h->count);
    uint64_t below = 0;
    for (uint32_t b = 0; b < HISTOGRAM_POWERS * HISTOGRAM_STEPS; b++) {
        below += h->bucket[b];
        if (below > due || (below == h->count && below > 0))
            return upper_ns(b) < h->max_ns ? upper_ns(b) : h->max_ns;
    }
    return h->max_ns;
}
