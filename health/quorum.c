/* Counting votes; see the header. A vote without a state is still heard about draining and about when it may change. */
#include "health/quorum.h"

#include "base/assert.h"

/* More than half of those who have a state and are forced, or not, as `is_forced` says. */
static enum verdict_state majority(const struct quorum_vote *votes, size_t count, bool is_forced,
                                   enum verdict_state before)
{
    size_t up_count = 0, down_count = 0;

    for (size_t i = 0; i < count; i++) {
        up_count += votes[i].is_forced == is_forced && votes[i].state == VERDICT_UP;
        down_count += votes[i].is_forced == is_forced && votes[i].state == VERDICT_DOWN;
    }
    return up_count > down_count ? VERDICT_UP : down_count > up_count ? VERDICT_DOWN : before;
}

static uint64_t flip_ms(uint8_t checks_left, uint32_t interval_ms)
{
    return (uint64_t)checks_left * interval_ms;
}

/* An operator's vote and one that nobody checks never change by themselves. */
static void take_earliest(struct quorum_verdict *v, const struct quorum_vote *vote)
{
    if (vote->is_forced || vote->interval_ms == 0)
        return;
    if (v->interval_ms != 0 && flip_ms(v->checks_left, v->interval_ms) <= flip_ms(vote->checks_left, vote->interval_ms))
        return;
    v->checks_left = vote->checks_left;
    v->interval_ms = vote->interval_ms;
}

struct quorum_verdict quorum_decide(const struct quorum_vote *votes, size_t count, enum verdict_state before)
{
    struct quorum_verdict v = {.state = before};
    bool is_checked = false;

    ASSERT(count == 0 || votes != NULL);
    for (size_t i = 0; i < count; i++) {
        v.up_count += votes[i].state == VERDICT_UP;
        v.down_count += votes[i].state == VERDICT_DOWN;
        v.is_draining |= votes[i].is_draining;
        v.is_forced |= votes[i].is_forced && votes[i].state != VERDICT_UNKNOWN;
        is_checked |= votes[i].interval_ms != 0;
        take_earliest(&v, &votes[i]);
    }
    if (v.up_count + v.down_count > 0)
        v.state = majority(votes, count, v.is_forced, before);
    else if (count > 0 && !is_checked)
        v.state = VERDICT_UNKNOWN; /* its check was taken away: what it once found says nothing any more */
    return v;
}
