/* Doubling, and what jitter takes off. The configuration may change between two failures, so only their number is
 * kept. */
#include "gateway/realtime/backoff.h"

#define HINT_MIN_MS 1000  /* the window of one client's hint */
#define HINT_MAX_MS 30000 /* of any number of clients */

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

int64_t backoff_hint_ms(uint32_t client_count, uint64_t random)
{
    const uint64_t wanted_ms = HINT_MIN_MS + (uint64_t)client_count;
    const uint64_t window_ms = wanted_ms < HINT_MAX_MS ? wanted_ms : HINT_MAX_MS;
    return 1 + (int64_t)(random % window_ms);
}
