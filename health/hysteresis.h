/* From single probe results to a state that does not flap.
 *
 * A target goes UP after `rise` successes in a row and DOWN after `fall` failures in a row. One nobody has judged yet
 * goes UP with its first success, because traffic may be waiting for it, and DOWN after `fall` failures like any
 * other. An operator's word (forced) hides what the probes say for as long as it stands; they go on being counted, so
 * that the right state is there when it is taken back. What the results ask for may have to wait for its time
 * (health/damping.h). Pure: times are the caller's, of one clock that does not jump. */
#ifndef HEALTH_HYSTERESIS_H
#define HEALTH_HYSTERESIS_H

#include <stdbool.h>
#include <stdint.h>

#include "health/damping.h"
#include "health/verdict.h"

struct hysteresis {
    uint32_t rise, fall;       /* at least 1 */
    enum verdict_state probed; /* what the probes say */
    enum verdict_state forced; /* what the operator says; VERDICT_UNKNOWN: nothing */
    uint32_t successes_in_row;
    uint32_t failures_in_row;
    int64_t probed_since_ms; /* of `probed` */
    enum verdict_held held;  /* why `probed` is not what enough results in a row ask for */
    struct damping damping;
};

/* Starts in `state`, which held since `since_ms`, with no results counted. */
void hysteresis_init(struct hysteresis *h, uint32_t rise, uint32_t fall, enum verdict_state state, int64_t since_ms);
/* New limits, state and counts stay; what they now add up to shows with the next result. */
void hysteresis_set_limits(struct hysteresis *h, uint32_t rise, uint32_t fall);
void hysteresis_set_damping(struct hysteresis *h, const struct damping_limits *limits); /* none at first */

/* Counts one result. True when the state shown changed. */
bool hysteresis_result(struct hysteresis *h, bool is_success, int64_t now_ms);
/* An operator's word (UP or DOWN), or VERDICT_UNKNOWN to take it back. True when the state shown changed. */
bool hysteresis_force(struct hysteresis *h, enum verdict_state state);

enum verdict_state hysteresis_state(const struct hysteresis *h); /* the one to show */
bool hysteresis_is_forced(const struct hysteresis *h);
/* Results the state still withstands: 0 when it may flip with the next one. Forced: 255, no result flips it. */
uint8_t hysteresis_checks_left(const struct hysteresis *h);
/* True when results contradict the state but are not enough yet, or nothing is known: worth asking again soon. Not
 * while enough of them only wait for their time. */
bool hysteresis_is_undecided(const struct hysteresis *h);
/* True when one more failure would make what is probed DOWN, as far as counting goes. */
bool hysteresis_is_at_the_edge(const struct hysteresis *h);

#endif
