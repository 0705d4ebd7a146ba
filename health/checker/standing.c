/* The hard part is memory. The table holds the state shown, and beside it the one probed: an operator's word may be
 * taken back after this process has died and come back. Where the table knows nothing, as after a restart of the
 * gateway, the file of the last run speaks. The wall clock may have jumped meanwhile, so an age out of it is never
 * negative. */
#include "health/checker/standing.h"

#include <stdio.h>
#include <string.h>

static struct damping_limits limits_of(const struct conf_check *c)
{
    return (struct damping_limits){.hold_ms = c->hold_ms,
                                   .fail_back_ms = c->fail_back_ms,
                                   .flap_changes = c->flap_changes,
                                   .flap_window_ms = c->flap_window_ms,
                                   .flap_quiet_ms = c->flap_quiet_ms};
}

/* ---- memory ---- */

/* Both in one form: the table's row, when it says anything, else the file's line. */
static struct persist_entry remembered(const struct verdict *v, const struct verdict_detail *d,
                                       const struct persist_entry *last)
{
    struct persist_entry e = {
        .state = d->probed <= VERDICT_DOWN ? (enum verdict_state)d->probed : VERDICT_UNKNOWN,
        .forced = v->is_forced ? v->state : VERDICT_UNKNOWN,
        .is_draining = d->is_operator_drain != 0,
        .since_wall_ms = d->since_wall_ms,
    };

    if (!v->is_forced && e.state != v->state) /* nothing but the word was written */
        e.state = v->state;
    return e.state == VERDICT_UNKNOWN && !v->is_forced && !e.is_draining && last != NULL ? *last : e;
}

void standing_init(struct standing *s, const struct conf_check *check, const struct verdict *v,
                   const struct verdict_detail *d, const struct persist_entry *last, struct standing_time t)
{
    struct persist_entry e = remembered(v, d, last);
    enum verdict_state probed = check->type == CHECK_NONE ? VERDICT_UNKNOWN : e.state;
    int64_t age_ms = t.wall_ms - e.since_wall_ms;

    *s = (struct standing){.detail = *d};
    hysteresis_init(&s->hysteresis, check->rise, check->fall, probed, t.now_ms - (age_ms > 0 ? age_ms : 0));
    standing_set_check(s, check);
    if (probed == (enum verdict_state)d->probed) {
        s->hysteresis.successes_in_row = d->successes_in_row;
        s->hysteresis.failures_in_row = d->failures_in_row;
    }
    (void)hysteresis_force(&s->hysteresis, e.forced);
    standing_drain(s, e.is_draining);
    s->detail.since_wall_ms = standing_state(s) == VERDICT_UNKNOWN ? 0 : e.since_wall_ms;
}

struct persist_entry standing_entry(const struct standing *s)
{
    return (struct persist_entry){.state = s->hysteresis.probed,
                                  .forced = s->hysteresis.forced,
                                  .is_draining = s->detail.is_operator_drain != 0,
                                  .since_wall_ms = s->detail.since_wall_ms};
}

/* ---- what goes in ---- */

void standing_set_check(struct standing *s, const struct conf_check *check)
{
    struct damping_limits limits = limits_of(check);
    enum verdict_state forced = s->hysteresis.forced;

    if (check->type == CHECK_NONE) {
        hysteresis_init(&s->hysteresis, check->rise, check->fall, VERDICT_UNKNOWN, 0);
        (void)hysteresis_force(&s->hysteresis, forced);
        s->latency = (struct latency){0};
        s->detail = (struct verdict_detail){
            .since_wall_ms = forced != VERDICT_UNKNOWN ? s->detail.since_wall_ms : 0,
            .is_operator_drain = s->detail.is_operator_drain,
        };
    }
    hysteresis_set_limits(&s->hysteresis, check->rise, check->fall);
    hysteresis_set_damping(&s->hysteresis, &limits);
}

static void note(struct standing *s, const struct probe_result *r, struct standing_time t)
{
    s->detail.last_probe_wall_ms = t.wall_ms;
    s->detail.is_silent = r->err == ERR_TIMEOUT;
    memcpy(s->detail.cause, r->cause, sizeof s->detail.cause);
}

static uint32_t degradation(const struct standing *s, const struct conf_check *check, const struct probe_result *r)
{
    bool was_slow = (s->detail.degraded & VERDICT_DEGRADED_SLOW) != 0;
    uint32_t bits = 0;

    if (latency_is_slow(&s->latency, (uint64_t)check->degraded_over_ms * 1000, was_slow))
        bits |= VERDICT_DEGRADED_SLOW;
    if (r->is_certificate_ending)
        bits |= VERDICT_DEGRADED_CERTIFICATE;
    return bits;
}

static void measure(struct standing *s, const struct conf_check *check, const struct probe_result *r)
{
    latency_add(&s->latency, r->latency_us);
    s->detail.latency_us = r->latency_us;
    s->detail.latency_mean_us = s->latency.mean_us;
    s->detail.latency_p95_us = latency_p95_us(&s->latency);
    s->detail.degraded = degradation(s, check, r);
}

bool standing_result(struct standing *s, const struct conf_check *check, const struct probe_result *r,
                     struct standing_time t)
{
    bool is_success = r->err == ERR_NONE;
    bool is_change = hysteresis_result(&s->hysteresis, is_success, t.now_ms);

    note(s, r, t);
    if (is_success)
        measure(s, check, r);
    if (r->certificate_ends_wall_ms != 0)
        s->detail.certificate_ends_wall_ms = r->certificate_ends_wall_ms;
    if (is_change)
        s->detail.since_wall_ms = t.wall_ms;
    return is_change;
}

void standing_ignore(struct standing *s, const struct probe_result *r, struct standing_time t)
{
    note(s, r, t);
}

bool standing_force(struct standing *s, enum verdict_state state, struct standing_time t)
{
    bool is_change = hysteresis_force(&s->hysteresis, state);

    if (is_change)
        s->detail.since_wall_ms = standing_state(s) == VERDICT_UNKNOWN ? 0 : t.wall_ms;
    return is_change;
}

void standing_drain(struct standing *s, bool is_draining)
{
    s->detail.is_operator_drain = is_draining ? 1 : 0;
}

/* ---- what comes out ---- */

enum verdict_state standing_state(const struct standing *s)
{
    return hysteresis_state(&s->hysteresis);
}

struct verdict standing_verdict(const struct standing *s, bool is_draining)
{
    return (struct verdict){
        .state = standing_state(s),
        .is_draining = is_draining || s->detail.is_operator_drain != 0,
        .is_forced = hysteresis_is_forced(&s->hysteresis),
        .is_degraded = standing_state(s) == VERDICT_UP && s->detail.degraded != 0,
        .checks_left = hysteresis_checks_left(&s->hysteresis),
    };
}

struct verdict_detail standing_detail(const struct standing *s)
{
    struct verdict_detail d = s->detail;

    d.successes_in_row = s->hysteresis.successes_in_row;
    d.failures_in_row = s->hysteresis.failures_in_row;
    d.probed = s->hysteresis.probed;
    d.held = s->hysteresis.held;
    return d;
}
