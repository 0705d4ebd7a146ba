/* The first HISTOGRAM_STEPS buckets are one nanosecond wide; from there each power of two is cut into as many equal
 * steps. A quantile is the upper end of its bucket: no figure is made to look better than it was. */
#include "gateway/bench/histogram.h"

#include <math.h>

static uint32_t bucket_of(uint64_t ns)
{
    if (ns < HISTOGRAM_STEPS)
        return (uint32_t)ns;
    const uint32_t power = 63u - (uint32_t)__builtin_clzll(ns); /* at least HISTOGRAM_STEP_BITS */
    if (power >= HISTOGRAM_BITS)
        return HISTOGRAM_BUCKETS - 1u;
    const uint32_t step = (uint32_t)(ns >> (power - HISTOGRAM_STEP_BITS)) & (HISTOGRAM_STEPS - 1u);
    return (power - HISTOGRAM_STEP_BITS + 1u) * HISTOGRAM_STEPS + step;
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
    h->sum_ns += ns;
    if (ns > h->max_ns)
        h->max_ns = ns;
    h->bucket[bucket_of(ns)]++;
}

void histogram_merge(struct histogram *h, const struct histogram *from)
{
    h->count += from->count;
    h->sum_ns += from->sum_ns;
    if (from->max_ns > h->max_ns)
        h->max_ns = from->max_ns;
    for (uint32_t b = 0; b < HISTOGRAM_BUCKETS; b++)
        h->bucket[b] += from->bucket[b];
}

uint64_t histogram_quantile_ns(const struct histogram *h, double fraction)
{
    /* the rank that is asked for; the little that is taken off is for fractions that have no exact double */
    const double rank = ceil(fraction * (double)h->count - 1e-6);
    uint64_t so_far = 0;
    for (uint32_t b = 0; b < HISTOGRAM_BUCKETS; b++) {
        so_far += h->bucket[b];
        if (so_far > 0 && (double)so_far >= rank)
            return b + 1u < HISTOGRAM_BUCKETS && upper_ns(b) < h->max_ns ? upper_ns(b) : h->max_ns;
    }
    return h->max_ns;
}
