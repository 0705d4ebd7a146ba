/* Filling and emptying a bucket. Doubles, for a share of a small rate over a few milliseconds is far less than one. */
#include "gateway/upstream/pace.h"

#include <math.h>

struct pace_limits pace_share(uint32_t per_s, uint32_t burst, uint32_t share_count)
{
    const double shares = share_count > 0 ? share_count : 1;
    const double part = burst / shares;
    return (struct pace_limits){.per_s = per_s / shares, .burst = part > 1 ? part : 1};
}

static void fill(struct pace *p, const struct pace_limits *l, int64_t now_ms)
{
    if (now_ms > p->at_ms) {
        p->missing -= (double)(now_ms - p->at_ms) * l->per_s / 1000;
        p->at_ms = now_ms;
    }
    if (p->missing < 0)
        p->missing = 0;
}

int64_t pace_wait_ms(struct pace *p, const struct pace_limits *l, uint32_t cost, int64_t now_ms)
{
    if (l->per_s <= 0)
        return 0;
    fill(p, l, now_ms);
    const double needed = cost < l->burst ? cost : l->burst;
    const double short_of = p->missing - (l->burst - needed);
    /* A rest that rounding left is no reason to wait. */
    return short_of < 1e-6 ? 0 : (int64_t)ceil(short_of * 1000 / l->per_s);
}

void pace_take(struct pace *p, const struct pace_limits *l, uint32_t cost, int64_t now_ms)
{
    if (l->per_s <= 0)
        return;
    fill(p, l, now_ms);
    p->missing += cost;
}
