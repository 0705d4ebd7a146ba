/* Controls of the replay loop, which keeps the promises of base/loop.h under a clock that is only a number.
 *
 * A pass polls the real descriptors without waiting. When none is ready, no `later` is posted and nothing is on its way
 * over loopback, the clock jumps to the next timer; when there is no timer either, nothing can ever happen again and
 * loop_run() returns. An hour of heartbeats passes in the time it takes to run its callbacks. */
#ifndef TESTS_REPLAY_SIM_H
#define TESTS_REPLAY_SIM_H

#include <stdint.h>

#include "base/loop.h"

/* A run of more passes than this aborts the test instead of hanging it. */
#define SIM_PASSES_MAX 1000000u
void sim_limit_passes(struct loop *l, uint32_t passes_max);

/* Lets the wall clock read `wall_ms` now; the monotonic clock is not touched. */
void sim_set_wall(struct loop *l, int64_t wall_ms);
/* Lets `time_ms` pass: runs what becomes due on the way, and ends with the clock exactly that much later. */
void sim_advance(struct loop *l, int64_t time_ms);
/* Runs until no descriptor is ready and no `later` is posted; the clock stands still. */
void sim_settle(struct loop *l);
/* Time to the next timer, -1 when there is none. */
int64_t sim_next_timer_ms(const struct loop *l);
/* Brings a signal about: its callbacks run in the next pass. */
void sim_signal(struct loop *l, int signo);

#endif
