/* Slow start, pure: how much of its weight a server may use after it came back.
 *
 * A server that returns with cold caches is not given its full share at once: from the moment its verdict turned
 * usable again its weight grows in a line from RAMP_FLOOR_PERCENT to 100 percent over the pool's slow_start. */
#ifndef GATEWAY_UPSTREAM_RAMP_H
#define GATEWAY_UPSTREAM_RAMP_H

#include <stdbool.h>
#include <stdint.h>

#include "health/verdict.h"

#define RAMP_FLOOR_PERCENT 10u
#define RAMP_FULL_PERCENT  100u

struct ramp {
    bool has_seen;       /* `seen` is valid */
    struct verdict seen; /* the verdict at the last look */
    bool is_rising;
    int64_t start_ms; /* while rising */
};

/* Looks at the verdict. True when the server came back since the last look: it had been down or draining, or had
 * changed more than once meanwhile, and is up now. The first look, and the first verdict about a server nobody had
 * judged, are no come-back. A caller who gets true starts the ramp. */
bool ramp_observe(struct ramp *r, const struct verdict *v);
void ramp_start(struct ramp *r, int64_t start_ms);
/* RAMP_FLOOR_PERCENT .. RAMP_FULL_PERCENT; always full with `slow_start_ms` 0. */
uint32_t ramp_percent(struct ramp *r, int64_t slow_start_ms, int64_t now_ms);

#endif
