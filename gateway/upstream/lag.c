/* Late is what comes `limit_ms` after it was asked for. What is owed since long is as late as an answer would be now:
 * who asks a server right after it woke up may be answered before the one who asked while it was frozen. */
#include "gateway/upstream/lag.h"

void lag_asked(struct lag *l, int64_t now_ms)
{
    if (l->asked_ms == 0)
        l->asked_ms = now_ms;
}

void lag_forget(struct lag *l)
{
    l->asked_ms = 0;
}

void lag_answered(struct lag *l, int64_t took_ms, int64_t limit_ms, int64_t now_ms)
{
    if (took_ms >= limit_ms)
        l->late_ms = now_ms;
}

void lag_went_down(struct lag *l, bool is_silent)
{
    l->is_silent = is_silent;
}

void lag_came_up(struct lag *l, int64_t now_ms)
{
    if (l->is_silent)
        l->late_ms = now_ms;
    l->is_silent = false;
}

int64_t lag_calm_in_ms(struct lag *l, int64_t limit_ms, int64_t now_ms)
{
    const bool owes = l->asked_ms != 0 && now_ms - l->asked_ms >= limit_ms;
    if (owes || l->is_silent) /* it has just shown that it goes on; the checks may not have told yet */
        l->late_ms = now_ms;
    if (owes)
        lag_forget(l); /* once is enough */
    const int64_t left_ms = l->late_ms + LAG_CALM_MS - now_ms;
    return l->late_ms != 0 && left_ms > 0 ? left_ms : 0;
}
