/* The next decision from the last one: a choice for every steered record, its TTL, and the numbers it goes under.
 *
 * Pure: no clock, no fleet, no file. The votes are counted before (ballot_count()). */
#ifndef HEALTH_CHECKER_DECIDER_H
#define HEALTH_CHECKER_DECIDER_H

#include "health/checker/ballot.h"
#include "health/checker/steered.h"
#include "health/decision.h"
#include "health/steering.h"

struct decider {
    const struct steered *names;
    size_t name_count;
    const struct ballot *ballot;
    const struct decision *last;     /* what we answered up to now */
    const struct decision *standing; /* not ours to change, where it has the record: the leader's, or `last`; or NULL */
    const struct decision *base;     /* a new leader goes on from it: what was decided last by anybody; or NULL */
    const char *node;                /* ours */
    uint64_t term;                   /* of ours; 0: that of `last` */
    uint64_t zone_mark;              /* zone_mark() */
    bool has_zone;                   /* without one there is no serial */
    uint32_t serial_of_others;       /* who leads goes ahead of it; 0: nobody else's is known, or we do not lead */
    int64_t wall_ms;
};

/* Fills `next` and the rows of `record`. The serial goes forward whenever something is answered differently, and when
 * the rest of the zone is not what it was given to; it never goes back, whatever others say. */
void decider_decide(const struct decider *d, struct decision *next, struct steering_record *record);

/* The row of this record, if it chooses any of its answers; or NULL. `d` may be NULL. */
const struct decision_row *decider_find(const struct decision *d, const struct steered *n);
bool decider_is_same_choice(const struct decision_row *a, const struct decision_row *b); /* neither is NULL */
/* Apart from the time, which follows the version. */
bool decider_is_same(const struct decision *a, const struct decision *b);

#endif
