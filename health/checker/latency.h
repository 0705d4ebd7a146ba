/* How long a server takes to answer: a mean that leans towards the last answers, and the 95th percentile of the last
 * LATENCY_COUNT. Pure. */
#ifndef HEALTH_CHECKER_LATENCY_H
#define HEALTH_CHECKER_LATENCY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LATENCY_COUNT 64u
/* The share of a new answer in the mean is one in so many. Eight quick answers make up for one that is slow. */
#define LATENCY_WEIGHT 4u
/* What was found slow is slow until it is below this share of the limit. */
#define LATENCY_RELIEF_PERCENT 80u

struct latency { /* zeroed: nothing known */
    uint32_t mean_us;
    size_t at; /* where the next goes */
    size_t count;
    uint32_t last_us[LATENCY_COUNT];
};

void latency_add(struct latency *l, uint32_t us);
uint32_t latency_p95_us(const struct latency *l); /* 0: nothing known */
/* Whether the mean is above `limit_us` (0: nothing is slow), given whether it was so far. */
bool latency_is_slow(const struct latency *l, uint64_t limit_us, bool was_slow);

#endif
