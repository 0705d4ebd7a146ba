/* The life of one child process as a table: which event leads from which state to which, how long a dead one waits
 * before it is started again, and when a silent one counts as dead. Pure; what the states mean for processes is in
 * children.c. */
#ifndef GATEWAY_SUPER_CHILD_H
#define GATEWAY_SUPER_CHILD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/roster.h"

enum child_event {
    CHILD_SPAWNED = 0, /* the process runs */
    CHILD_CONFIRMED,   /* it has taken a configuration */
    CHILD_DISMISSED,   /* it is to leave and not to come back */
    CHILD_EXITED,      /* it is gone, or could not be started */
    CHILD_EVENT_COUNT
};

/* The state after `event`, or ROSTER_UNUSED when the event cannot happen in `state`. */
enum roster_state child_next(enum roster_state state, enum child_event event);

/* A child is started again after 1 s, then 2 s, doubling up to 30 s; a minute of health wipes the slate. */
#define BACKOFF_FIRST_MS   1000
#define BACKOFF_MAX_MS     30000
#define BACKOFF_HEALTHY_MS 60000

struct backoff {
    uint32_t failure_count; /* in a row */
    int64_t ready_at_ms;    /* of the process that runs; 0: not yet */
};
void backoff_ready(struct backoff *b, int64_t now_ms);
/* The process is gone: how long to wait, in milliseconds. */
int64_t backoff_exited(struct backoff *b, int64_t now_ms);

/* A process that hangs is worse than one that ended: clients wait in its sockets. Each is asked again and again whether
 * it lives (MSG_PING), and any message of it is an answer. */
#define PULSE_EVERY_MS    1000
#define PULSE_PATIENCE_MS 10000

struct pulse {
    int64_t heard_at_ms;
    int64_t asked_at_ms;
};
void pulse_heard(struct pulse *p, int64_t now_ms);
/* To be called every PULSE_EVERY_MS: whether the process has been silent for too long. An asker who was away himself,
 * stopped or starved, could not hear and blames nobody. */
bool pulse_is_lost(struct pulse *p, int64_t now_ms);

#endif
