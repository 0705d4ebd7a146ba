/* When to ask next; see the header. */
#include "health/checker/schedule.h"

static int64_t min_ms(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t max_ms(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* `span_ms` scaled by a random share of 0 to 1. */
static int64_t share_ms(int64_t span_ms, uint32_t random)
{
    return (int64_t)((double)span_ms * ((double)random / (double)UINT32_MAX));
}

int64_t schedule_first_ms(const struct schedule *s, int64_t now_ms, uint32_t random)
{
    return now_ms + share_ms(min_ms(s->interval_ms, SCHEDULE_FIRST_MS), random);
}

static int64_t undecided_ms(const struct schedule *s)
{
    if (s->undecided_ms > 0)
        return s->undecided_ms;
    return max_ms(s->interval_ms / SCHEDULE_UNDECIDED_DIVISOR, SCHEDULE_GAP_MS);
}

int64_t schedule_next_ms(const struct schedule *s, int64_t started_ms, enum schedule_mood mood, uint32_t random)
{
    int64_t interval_ms = s->interval_ms;

    if (mood != SCHEDULE_CALM)
        interval_ms = min_ms(interval_ms, undecided_ms(s));
    if (mood == SCHEDULE_IN_DOUBT)
        interval_ms = min_ms(interval_ms, SCHEDULE_DOUBT_MS);
    int64_t jitter_ms = interval_ms * (int64_t)s->jitter_percent / 100;
    int64_t floor_ms = min_ms(mood == SCHEDULE_CALM ? s->interval_ms : interval_ms, SCHEDULE_GAP_MS);
    return started_ms + max_ms(interval_ms - jitter_ms + share_ms(2 * jitter_ms, random), floor_ms);
}

int64_t schedule_undecided_least_ms(const struct schedule *s)
{
    const int64_t interval_ms = min_ms(s->interval_ms, undecided_ms(s));
    return max_ms(interval_ms - interval_ms * (int64_t)s->jitter_percent / 100, min_ms(interval_ms, SCHEDULE_GAP_MS));
}

int64_t schedule_nudged_ms(int64_t started_ms, int64_t due_ms, int64_t now_ms)
{
    return min_ms(due_ms, max_ms(now_ms, started_ms + SCHEDULE_GAP_MS));
}
