/* What is known about one server, and what follows: results and an operator's words go in, the verdict comes out.
 *
 * Pure: no probe, no table, no clock. Ages are measured in monotonic time; the wall clock only labels. */
#ifndef HEALTH_CHECKER_STANDING_H
#define HEALTH_CHECKER_STANDING_H

#include "conf/conf.h"
#include "health/checker/latency.h"
#include "health/checker/probe.h"
#include "health/hysteresis.h"
#include "health/persist.h"
#include "health/verdict.h"

struct standing_time {
    int64_t now_ms; /* the loop's */
    int64_t wall_ms;
};

struct standing {
    struct hysteresis hysteresis;
    struct latency latency;
    struct verdict_detail detail;
};

/* Goes on from what the table says, where a predecessor may have left it, else from `last` (NULL: nothing is known). */
void standing_init(struct standing *s, const struct conf_check *check, const struct verdict *v,
                   const struct verdict_detail *d, const struct persist_entry *last, struct standing_time t);
/* New limits. Without a check everything is forgotten but what an operator said. */
void standing_set_check(struct standing *s, const struct conf_check *check);
/* Counts the result of a probe; true when the state shown changed. */
bool standing_result(struct standing *s, const struct conf_check *check, const struct probe_result *r,
                     struct standing_time t);
/* A failure that says nothing about the server: noted, not counted. */
void standing_ignore(struct standing *s, const struct probe_result *r, struct standing_time t);
/* An operator's word: UP, DOWN, or UNKNOWN to take it back. True when the state shown changed. */
bool standing_force(struct standing *s, enum verdict_state state, struct standing_time t);
void standing_drain(struct standing *s, bool is_draining);

enum verdict_state standing_state(const struct standing *s); /* the one to show */
/* For the table; `is_draining` by configuration. */
struct verdict standing_verdict(const struct standing *s, bool is_draining);
struct verdict_detail standing_detail(const struct standing *s);
/* For the file; the name is the caller's to fill in. */
struct persist_entry standing_entry(const struct standing *s);

#endif
