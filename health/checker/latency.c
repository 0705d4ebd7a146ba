/* Mean and percentile; see the header. */
#include "health/checker/latency.h"

#include <string.h>

void latency_add(struct latency *l, uint32_t us)
{
    int64_t step_us = ((int64_t)us - (int64_t)l->mean_us) / (int64_t)LATENCY_WEIGHT;

    l->mean_us = l->count == 0 ? us : (uint32_t)((int64_t)l->mean_us + step_us);
    l->last_us[l->at] = us;
    l->at = (l->at + 1) % LATENCY_COUNT;
    if (l->count < LATENCY_COUNT)
        l->count++;
}

/* By insertion: there are few, and once per probe. */
static void sort(uint32_t *values, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        uint32_t value = values[i];
        size_t k = i;

        for (; k > 0 && values[k - 1] > value; k--)
            values[k] = values[k - 1];
        values[k] = value;
    }
}

uint32_t latency_p95_us(const struct latency *l)
{
    uint32_t sorted[LATENCY_COUNT];

    if (l->count == 0)
        return 0;
    memcpy(sorted, l->last_us, l->count * sizeof sorted[0]);
    sort(sorted, l->count);
    return sorted[(l->count * 95 + 99) / 100 - 1]; /* the nearest rank */
}

bool latency_is_slow(const struct latency *l, uint64_t limit_us, bool was_slow)
{
    if (limit_us == 0 || l->count == 0)
        return false;
    return l->mean_us > (was_slow ? limit_us * LATENCY_RELIEF_PERCENT / 100 : limit_us);
}
