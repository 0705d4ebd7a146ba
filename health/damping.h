/* What keeps a state from changing too soon or too often, beside the counting of results (hysteresis.h).
 *
 * hold: a state lasts this long before it changes. fail_back: a server that was down has answered every probe for this
 * long before it is up. Flapping: a server that went down with its `flap_changes`th change within `flap_window_ms`
 * comes up only after every probe of `flap_quiet_ms` was answered. A server nobody has judged yet is held back by
 * nothing: traffic may be waiting for it. Pure; times are the caller's, of one clock that does not jump. */
#ifndef HEALTH_DAMPING_H
#define HEALTH_DAMPING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "health/verdict.h"

#define DAMPING_CHANGES_MAX CONF_FLAP_CHANGES_MAX

struct damping_limits {
    int64_t hold_ms;       /* 0: no such time */
    int64_t fail_back_ms;  /* 0: none */
    uint32_t flap_changes; /* 0: never flapping; up to DAMPING_CHANGES_MAX */
    int64_t flap_window_ms;
    int64_t flap_quiet_ms;
};

struct damping {
    struct damping_limits limits;
    bool is_flapping;
    bool is_well;          /* the last result was a success ... */
    int64_t well_since_ms; /* ... and the first of its row came then */
    size_t changed_at;     /* where the next goes */
    size_t changed_count;
    int64_t changed_ms[DAMPING_CHANGES_MAX]; /* the last changes, in a ring */
};

/* All zero is a beginning. Changes and results so far are kept; a server that flaps goes on to until it was quiet or
 * the rule is gone. */
void damping_set_limits(struct damping *d, const struct damping_limits *limits);
void damping_result(struct damping *d, bool is_success, int64_t now_ms);
/* What forbids to change from `from`, which lasts since `since_ms`, to `to`; VERDICT_FREE when nothing does. Asked
 * after damping_result. */
enum verdict_held damping_forbids(const struct damping *d, enum verdict_state from, enum verdict_state to,
                                  int64_t since_ms, int64_t now_ms);
/* The state changed to `to`. */
void damping_changed(struct damping *d, enum verdict_state to, int64_t now_ms);

#endif
