/* Times and changes; see the header for the rules. Only as many changes are kept as a rule may ask for: the oldest of
 * the last N tells whether N of them fell into the window. */
#include "health/damping.h"

#include <string.h>

#include "base/assert.h"

void damping_set_limits(struct damping *d, const struct damping_limits *limits)
{
    ASSERT(limits->flap_changes <= DAMPING_CHANGES_MAX);
    d->limits = *limits;
    if (limits->flap_changes == 0)
        d->is_flapping = false;
}

void damping_result(struct damping *d, bool is_success, int64_t now_ms)
{
    if (is_success && !d->is_well)
        d->well_since_ms = now_ms;
    d->is_well = is_success;
}

static bool is_well_for(const struct damping *d, int64_t ms, int64_t now_ms)
{
    return ms == 0 || (d->is_well && now_ms - d->well_since_ms >= ms);
}

enum verdict_held damping_forbids(const struct damping *d, enum verdict_state from, enum verdict_state to,
                                  int64_t since_ms, int64_t now_ms)
{
    if (from == VERDICT_UNKNOWN)
        return VERDICT_FREE;
    if (to == VERDICT_UP && d->is_flapping && !is_well_for(d, d->limits.flap_quiet_ms, now_ms))
        return VERDICT_HELD_FLAPPING;
    if (to == VERDICT_UP && !is_well_for(d, d->limits.fail_back_ms, now_ms))
        return VERDICT_HELD_FAIL_BACK;
    return now_ms - since_ms < d->limits.hold_ms ? VERDICT_HELD : VERDICT_FREE;
}

/* Whether the last `flap_changes` changes fell into the window that ends now. */
static bool has_flapped(const struct damping *d, int64_t now_ms)
{
    uint32_t wanted = d->limits.flap_changes;

    if (wanted == 0 || d->changed_count < wanted)
        return false;
    int64_t oldest_ms = d->changed_ms[(d->changed_at + DAMPING_CHANGES_MAX - wanted) % DAMPING_CHANGES_MAX];
    return now_ms - oldest_ms <= d->limits.flap_window_ms;
}

void damping_changed(struct damping *d, enum verdict_state to, int64_t now_ms)
{
    d->changed_ms[d->changed_at] = now_ms;
    d->changed_at = (d->changed_at + 1) % DAMPING_CHANGES_MAX;
    if (d->changed_count < DAMPING_CHANGES_MAX)
        d->changed_count++;
    if (to == VERDICT_DOWN && has_flapped(d, now_ms))
        d->is_flapping = true;
    if (to != VERDICT_UP || !d->is_flapping)
        return;
    d->is_flapping = false; /* it was quiet: what lies before does not count against it again */
    d->changed_count = 0;
}
