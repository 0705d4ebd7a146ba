/* Doubling, and what jitter takes off. The configuration may change between two failures, so only their number is
 * kept. */
#include "gateway/realtime/backoff.h"

int64_t backoff_next_ms(struct backoff *b, const struct conf_backoff *c, uint64_t random)
{
    int64_t wait_ms = c->first_ms;
    for (uint32_t i = 0; i < b->failure_count && wait_ms < c->max_ms; i++)
        wait_ms *= 2;
    if (wait_ms > c->max_ms)
        wait_ms = c->max_ms;
    if (b->failure_count < UINT32_MAX)
        b->failure_count++;
    const int64_t most_ms = wait_ms * c->jitter_percent / 100;
    wait_ms -= (int64_t)(random % (uint64_t)(most_ms + 1));
    return wait_ms > 0 ? wait_ms : 1;
}

void backoff_reset(struct backoff *b)
{
    *b = (struct backoff){0};
}
