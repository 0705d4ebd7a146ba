/* See child.h. UNUSED and GONE differ only in that the latter has had a process. */
#include "gateway/super/child.h"

#include "base/assert.h"

#define STATE_COUNT (ROSTER_GONE + 1)

/* What is not named here is ROSTER_UNUSED: cannot happen. A spawn that failed is an exit from where the child stood. */
static const enum roster_state moves[STATE_COUNT][CHILD_EVENT_COUNT] = {
    [ROSTER_UNUSED] = {[CHILD_SPAWNED] = ROSTER_STARTING, [CHILD_EXITED] = ROSTER_WAITING},
    [ROSTER_STARTING] =
        {[CHILD_CONFIRMED] = ROSTER_READY, [CHILD_DISMISSED] = ROSTER_DRAINING, [CHILD_EXITED] = ROSTER_WAITING},
    [ROSTER_READY] =
        {[CHILD_CONFIRMED] = ROSTER_READY, [CHILD_DISMISSED] = ROSTER_DRAINING, [CHILD_EXITED] = ROSTER_WAITING},
    [ROSTER_DRAINING] =
        {[CHILD_CONFIRMED] = ROSTER_DRAINING, [CHILD_DISMISSED] = ROSTER_DRAINING, [CHILD_EXITED] = ROSTER_GONE},
    [ROSTER_WAITING] =
        {[CHILD_SPAWNED] = ROSTER_STARTING, [CHILD_DISMISSED] = ROSTER_GONE, [CHILD_EXITED] = ROSTER_WAITING},
    [ROSTER_GONE] =
        {[CHILD_SPAWNED] = ROSTER_STARTING, [CHILD_DISMISSED] = ROSTER_GONE, [CHILD_EXITED] = ROSTER_WAITING},
};

enum roster_state child_next(enum roster_state state, enum child_event event)
{
    ASSERT((unsigned)state < STATE_COUNT && (unsigned)event < CHILD_EVENT_COUNT);
    return moves[state][event];
}

void backoff_ready(struct backoff *b, int64_t now_ms)
{
    if (b->ready_at_ms == 0)
        b->ready_at_ms = now_ms;
}

int64_t backoff_exited(struct backoff *b, int64_t now_ms)
{
    if (b->ready_at_ms != 0 && now_ms - b->ready_at_ms >= BACKOFF_HEALTHY_MS)
        b->failure_count = 0;
    b->ready_at_ms = 0;
    int64_t delay_ms = BACKOFF_FIRST_MS;
    for (uint32_t i = 0; i < b->failure_count && delay_ms < BACKOFF_MAX_MS; i++)
        delay_ms *= 2;
    b->failure_count++;
    return delay_ms < BACKOFF_MAX_MS ? delay_ms : BACKOFF_MAX_MS;
}

void pulse_heard(struct pulse *p, int64_t now_ms)
{
    p->heard_at_ms = now_ms;
}

bool pulse_is_lost(struct pulse *p, int64_t now_ms)
{
    if (now_ms - p->asked_at_ms >= 3 * PULSE_EVERY_MS)
        p->heard_at_ms = now_ms;
    p->asked_at_ms = now_ms;
    return now_ms - p->heard_at_ms >= PULSE_PATIENCE_MS;
}
