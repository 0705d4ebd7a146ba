/* When to ask next. Pure: times in, times out, all in the loop's monotonic milliseconds.
 *
 * Probes of one target start an interval apart, moved by jitter so that many checkers and targets do not fall into
 * step. While the results contradict the state shown, the interval is a quarter, or what is configured, so that a
 * verdict is reached soon and calm targets cost little. A failure seen by the traffic asks at once, and until the
 * probes have confirmed or denied it they follow each other quickly, however long the interval is: clients are running
 * into it. One success does not deny it: a process that dies hangs up on its clients a moment before it stops to
 * listen. */
#ifndef HEALTH_CHECKER_SCHEDULE_H
#define HEALTH_CHECKER_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

/* No two probes of one target start closer together, unless the interval itself is shorter. */
#define SCHEDULE_GAP_MS 100
/* A new target waits up to this long for its first probe: a gateway with hundreds of them must not begin with a burst.
 */
#define SCHEDULE_FIRST_MS          200
#define SCHEDULE_UNDECIDED_DIVISOR 4
/* The longest interval while in doubt, and the successes it takes to be rid of it. */
#define SCHEDULE_DOUBT_MS        250
#define SCHEDULE_DOUBT_SUCCESSES 2u

struct schedule {
    int64_t interval_ms;
    int64_t undecided_ms;    /* 0: a quarter of it */
    uint32_t jitter_percent; /* of the interval, to both sides; up to 100 */
};

/* `random` is any 32 random bits. */
int64_t schedule_first_ms(const struct schedule *s, int64_t now_ms, uint32_t random);
/* What the results so far say. */
enum schedule_mood {
    SCHEDULE_CALM = 0,
    SCHEDULE_UNDECIDED, /* they contradict the state shown */
    SCHEDULE_IN_DOUBT,  /* the traffic met a failure, which they have not settled yet */
};
/* After a probe that started at `started_ms` and is over now; may lie in the past, then it is due at once. */
int64_t schedule_next_ms(const struct schedule *s, int64_t started_ms, enum schedule_mood mood, uint32_t random);
/* The least time between two probes of a target whose state is in question, jitter taken off: what stands between the
 * first result that contradicts it and the one that changes it, once for every result more that it takes. */
int64_t schedule_undecided_least_ms(const struct schedule *s);
/* After a failure in the traffic; never later than `due_ms`, which was planned before. */
int64_t schedule_nudged_ms(int64_t started_ms, int64_t due_ms, int64_t now_ms);

#endif
