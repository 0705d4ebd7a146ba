/* Latencies of any number of messages in fixed memory, as HDR histograms keep them: each power of two is cut into 1,024
 * equal steps, so that a quantile is off by less than 0.1 percent (three significant digits), whatever its size. Values
 * are exact below 1,024 ns, and those over 18 minutes count as that. Two histograms can be added up. */
#ifndef GATEWAY_BENCH_HISTOGRAM_H
#define GATEWAY_BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_STEP_BITS 10u
#define HISTOGRAM_STEPS     (1u << HISTOGRAM_STEP_BITS)
#define HISTOGRAM_BITS      40u /* of the largest value told apart: 2^40 ns are 18 minutes */
#define HISTOGRAM_BUCKETS   ((HISTOGRAM_BITS - HISTOGRAM_STEP_BITS + 1u) * HISTOGRAM_STEPS)

struct histogram { /* all zero: empty */
    uint64_t count;
    uint64_t sum_ns;
    uint64_t max_ns;
    uint64_t bucket[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *h, uint64_t ns);
/* Adds all that `from` has. */
void histogram_merge(struct histogram *h, const struct histogram *from);
/* The smallest value (to three digits, never too small) that at least `fraction` (0..1) of all do not exceed; 0 when
 * empty. 1 is the largest. */
uint64_t histogram_quantile_ns(const struct histogram *h, double fraction);

#endif
