/* Slow start. A come-back is told from the generation of the verdict word, which grows with every change, so that a
 * server that went down and up again between two looks is noticed as well. */
#include "gateway/upstream/ramp.h"

static bool is_usable(const struct verdict *v)
{
    return v->state != VERDICT_DOWN && !v->is_draining;
}

bool ramp_observe(struct ramp *r, const struct verdict *v)
{
    const struct verdict before = r->seen;
    const bool has_before = r->has_seen;

    r->seen = *v;
    r->has_seen = v->generation != 0; /* 0: nobody has written about this server yet, so there was nothing to see */
    if (!has_before || before.generation == v->generation)
        return false;
    if (v->state != VERDICT_UP || v->is_draining)
        return false;
    return !is_usable(&before) || v->generation - before.generation >= 2;
}

void ramp_start(struct ramp *r, int64_t start_ms)
{
    r->is_rising = true;
    r->start_ms = start_ms;
}

uint32_t ramp_percent(struct ramp *r, int64_t slow_start_ms, int64_t now_ms)
{
    if (!r->is_rising)
        return RAMP_FULL_PERCENT;
    const int64_t elapsed_ms = now_ms - r->start_ms;
    if (elapsed_ms >= slow_start_ms) {
        r->is_rising = false;
        return RAMP_FULL_PERCENT;
    }
    if (elapsed_ms <= 0)
        return RAMP_FLOOR_PERCENT;
    return RAMP_FLOOR_PERCENT + (uint32_t)((RAMP_FULL_PERCENT - RAMP_FLOOR_PERCENT) * elapsed_ms / slow_start_ms);
}
