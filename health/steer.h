/* Which candidates of a steered name are answered, and for how long a resolver may believe it.
 *
 * Unknown is not down: a candidate nobody has judged is answered as one that is up. One that drains is answered only
 * when nothing else stands. When nothing stands at all, the policy's last resort decides; a blind checker must not take
 * a name off the net. Pure: the same policy and the same views give the same choice on every gateway. */
#ifndef HEALTH_STEER_H
#define HEALTH_STEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "health/verdict.h"

struct steer_policy {
    enum conf_steer kind;
    enum conf_resort resort;
    uint32_t ttl_min_s, ttl_max_s;
};
struct steer_candidate {
    enum conf_tier tier;
    uint16_t weight;
};
struct steer_view { /* what is believed about a candidate now */
    enum verdict_state state;
    bool is_draining;
    bool is_forced;       /* an operator said so: no check flips it */
    uint8_t checks_left;  /* as in health/verdict.h */
    uint32_t interval_ms; /* of its checks; 0: it has none, and stays unknown */
};

struct steer_choice {
    uint32_t chosen; /* bit per candidate, never 0 */
    uint32_t ttl_s;
    bool is_last_resort; /* nothing stands */
    bool is_draining;    /* only what drains is left */
};
/* `count` candidates, at least 1, at most 32. `last_good` is the last choice that was not a last resort, kept by the
 * caller; 0: there was none. The TTL is not longer than the earliest moment at which a check could change the choice,
 * within the policy's bounds. */
struct steer_choice steer_choose(const struct steer_policy *policy, const struct steer_candidate *candidates,
                                 const struct steer_view *views, size_t count, uint32_t last_good);

/* One of the `chosen` candidates, by weight: the same `random` gives the same one. All weights 0: each alike. Returns
 * its number. `chosen` is not 0 and has no bit beyond `weights`. */
unsigned steer_pick(uint32_t chosen, const uint16_t *weights, uint32_t random);

#endif
