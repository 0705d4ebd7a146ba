/* Latencies of any number of round trips in fixed memory: 64 linear steps per power of two, so that a quantile is off
 * by less than 2 percent. */
#ifndef GATEWAY_BENCH_HISTOGRAM_H
#define GATEWAY_BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_STEPS  64u
#define HISTOGRAM_POWERS 34u /* up to 2^40 ns, about 18 minutes */

struct histogram { /* all zero: empty */
    uint64_t count;
    uint64_t max_ns;
    uint64_t bucket[HISTOGRAM_POWERS * HISTOGRAM_STEPS];
};

void histogram_add(struct histogram *h, uint64_t ns);
/* The value below or at which `fraction` (0..1) of all lie; 0 when empty. */
uint64_t histogram_quantile_ns(const struct histogram *h, double fraction);

#endif
