/* Counting results in a row; see the header for the rules. The counters stop at their type's end instead of wrapping:
 * a target that has failed for years must not look as if it had just begun to. */
#include "health/hysteresis.h"

#include "base/assert.h"

#define CHECKS_LEFT_MAX 255u

void hysteresis_init(struct hysteresis *h, uint32_t rise, uint32_t fall, enum verdict_state state, int64_t since_ms)
{
    *h = (struct hysteresis){.probed = state, .forced = VERDICT_UNKNOWN, .probed_since_ms = since_ms};
    hysteresis_set_limits(h, rise, fall);
}

void hysteresis_set_limits(struct hysteresis *h, uint32_t rise, uint32_t fall)
{
    ASSERT(rise > 0 && fall > 0);
    h->rise = rise;
    h->fall = fall;
}

void hysteresis_set_damping(struct hysteresis *h, const struct damping_limits *limits)
{
    damping_set_limits(&h->damping, limits);
}

enum verdict_state hysteresis_state(const struct hysteresis *h)
{
    return h->forced != VERDICT_UNKNOWN ? h->forced : h->probed;
}

bool hysteresis_is_forced(const struct hysteresis *h)
{
    return h->forced != VERDICT_UNKNOWN;
}

static uint32_t successes_needed(const struct hysteresis *h)
{
    return h->probed == VERDICT_UNKNOWN ? 1 : h->rise;
}

/* The state that enough results in a row ask for; the one there is when there are not enough. */
static enum verdict_state wanted(const struct hysteresis *h)
{
    if (h->probed != VERDICT_UP && h->successes_in_row >= successes_needed(h))
        return VERDICT_UP;
    if (h->probed != VERDICT_DOWN && h->failures_in_row >= h->fall)
        return VERDICT_DOWN;
    return h->probed;
}

bool hysteresis_result(struct hysteresis *h, bool is_success, int64_t now_ms)
{
    enum verdict_state before = hysteresis_state(h);
    uint32_t *in_row = is_success ? &h->successes_in_row : &h->failures_in_row;

    *(is_success ? &h->failures_in_row : &h->successes_in_row) = 0;
    if (*in_row < UINT32_MAX)
        ++*in_row;
    damping_result(&h->damping, is_success, now_ms);
    enum verdict_state next = wanted(h);
    h->held = VERDICT_FREE;
    if (next == h->probed)
        return false;
    h->held = damping_forbids(&h->damping, h->probed, next, h->probed_since_ms, now_ms);
    if (h->held != VERDICT_FREE)
        return false;
    h->probed = next;
    h->probed_since_ms = now_ms;
    damping_changed(&h->damping, next, now_ms);
    return hysteresis_state(h) != before;
}

bool hysteresis_force(struct hysteresis *h, enum verdict_state state)
{
    enum verdict_state before = hysteresis_state(h);

    h->forced = state;
    return hysteresis_state(h) != before;
}

uint8_t hysteresis_checks_left(const struct hysteresis *h)
{
    if (hysteresis_is_forced(h))
        return CHECKS_LEFT_MAX;
    if (h->probed == VERDICT_UNKNOWN)
        return 0;
    uint32_t needed = h->probed == VERDICT_UP ? h->fall : h->rise;
    uint32_t counted = h->probed == VERDICT_UP ? h->failures_in_row : h->successes_in_row;
    /* New limits may be lower than what is counted already. */
    uint32_t left = needed > counted ? needed - counted - 1 : 0;
    return (uint8_t)(left < CHECKS_LEFT_MAX ? left : CHECKS_LEFT_MAX);
}

bool hysteresis_is_undecided(const struct hysteresis *h)
{
    if (h->held != VERDICT_FREE)
        return false;
    switch (h->probed) {
    case VERDICT_UNKNOWN:
        return true;
    case VERDICT_UP:
        return h->failures_in_row > 0;
    case VERDICT_DOWN:
        return h->successes_in_row > 0;
    }
    return false;
}

bool hysteresis_is_at_the_edge(const struct hysteresis *h)
{
    return h->probed != VERDICT_DOWN && h->failures_in_row + 1 >= h->fall;
}
