/* Asking one server again and again. IDLE until due, then RESOLVING while its name has no address yet, then PROBING;
 * the deadline runs from the start of the first to the end of the last. Everything ends in conclude(). */
#include "health/checker/target.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"
#include "base/mem.h"
#include "health/checker/addresses.h"
#include "health/checker/probe.h"
#include "health/checker/question.h"
#include "health/checker/schedule.h"
#include "health/checker/standing.h"
#include "health/checker/watch.h"

#define TARGET_MAGIC 0x7a59e70bu

/* A deadline this late was missed by this process, not by the server. */
#define HELD_UP_MS 500

enum phase { PHASE_IDLE = 0, PHASE_RESOLVING, PHASE_PROBING };

struct target {
    uint32_t magic;
    struct target_env env;
    int slot;
    const struct conf_server *server;
    struct standing standing;

    enum phase phase;
    struct timer due;
    struct timer deadline;
    int64_t due_ms;
    int64_t started_ms;  /* of the last probe */
    int64_t answered_ms; /* -1: never */
    bool is_failing;     /* since: */
    int64_t failing_since_ms;
    bool is_nudged;  /* while a probe was under way */
    uint32_t doubts; /* the traffic met a failure: successes still needed to forget it */

    struct addresses addresses;
    size_t tried_count;
    struct lws_host *host;      /* NULL until first needed, as the next */
    struct tls_ctx *tls;        /* of a probe that is not libwebsockets' */
    bool is_http11;             /* what was agreed on when there was a choice; until a probe fails */
    struct lws_host *peer_host; /* of a canary */
    struct addresses peer_addresses;
    struct probe *probe;
    struct watch watch;
};

static void on_addresses(void *arg, enum err e);
static void on_due(void *arg);
static void on_deadline(void *arg);

/* ---- verdict ---- */

static struct standing_time time_now(const struct target *t)
{
    return (struct standing_time){.now_ms = loop_now_ms(t->env.loop), .wall_ms = loop_wall_ms(t->env.loop)};
}

static void publish(struct target *t)
{
    struct verdict v = standing_verdict(&t->standing, t->server->drain);
    struct verdict_detail d = standing_detail(&t->standing);

    verdict_write(t->env.verdicts, t->slot, &v, &d);
}

static void remember(struct target *t, const struct persist_entry *last)
{
    struct verdict v = verdict_read(t->env.verdicts, t->slot);
    struct verdict_detail d;

    (void)verdict_read_detail(t->env.verdicts, t->slot, &d);
    standing_init(&t->standing, &t->server->check, &v, &d, last, time_now(t));
}

/* ---- schedule ---- */

/* Not for secrets: it keeps targets out of step. */
static uint32_t random_bits(void)
{
    uint32_t r = 0;
    (void)!getrandom(&r, sizeof r, GRND_NONBLOCK);
    return r;
}

static struct schedule schedule_of(const struct target *t)
{
    return (struct schedule){.interval_ms = t->server->check.interval_ms,
                             .undecided_ms = t->server->check.interval_undecided_ms,
                             .jitter_percent = t->server->check.jitter_percent};
}

static void plan_at(struct target *t, int64_t due_ms)
{
    int64_t delay_ms = due_ms - loop_now_ms(t->env.loop);

    t->due_ms = due_ms;
    timer_start(&t->due, delay_ms > 0 ? delay_ms : 0);
}

static void plan_first(struct target *t)
{
    struct schedule s = schedule_of(t);

    timer_cancel(&t->due);
    if (t->server->check.type != CHECK_NONE)
        plan_at(t, schedule_first_ms(&s, loop_now_ms(t->env.loop), random_bits()));
}

/* After a result. What a flip has settled is no longer in doubt. */
static enum schedule_mood mood_after(struct target *t, bool is_flip)
{
    bool is_undecided = hysteresis_is_undecided(&t->standing.hysteresis);

    if (is_flip)
        t->doubts = 0;
    else if (!is_undecided && t->doubts > 0)
        t->doubts--;
    if (t->doubts > 0)
        return SCHEDULE_IN_DOUBT;
    return is_undecided ? SCHEDULE_UNDECIDED : SCHEDULE_CALM;
}

static void plan_next(struct target *t, bool is_flip)
{
    struct schedule s = schedule_of(t);
    int64_t due_ms = schedule_next_ms(&s, t->started_ms, mood_after(t, is_flip), random_bits());

    if (t->is_nudged) {
        t->doubts = SCHEDULE_DOUBT_SUCCESSES;
        due_ms = schedule_nudged_ms(t->started_ms, due_ms, loop_now_ms(t->env.loop));
    }
    t->is_nudged = false;
    plan_at(t, due_ms);
}

/* ---- the end of a probe ---- */

static void count(struct target *t, bool is_success)
{
    stat_add(&t->env.block->process[STAT_PROBES], 1);
    if (!is_success)
        stat_add(&t->env.block->process[STAT_PROBE_FAILURES], 1);
}

static void report_flip(struct target *t, enum verdict_state before, const char *cause)
{
    enum verdict_state now = standing_state(&t->standing);
    int64_t next_ms = t->due_ms - loop_now_ms(t->env.loop);

    LOG_AT(now == VERDICT_DOWN ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "server changed", KV_STR("server", target_name(t)),
           KV_STR("old", verdict_state_text(before)), KV_STR("new", verdict_state_text(now)), KV_STR("cause", cause),
           KV_UINT("fails", t->standing.hysteresis.failures_in_row),
           KV_INT("next_check_ms", next_ms > 0 ? next_ms : 0));
    t->env.on_flip(t->env.arg, t, before, cause);
}

/* What stays below a change of state. */
static void report_shades(const struct target *t, uint32_t held_before, uint32_t degraded_before)
{
    uint32_t held = t->standing.hysteresis.held, degraded = t->standing.detail.degraded;

    if (held != held_before && held != VERDICT_FREE)
        LOG_INFO("server would change, but has to wait", KV_STR("server", target_name(t)),
                 KV_STR("state", verdict_state_text(target_state(t))),
                 KV_STR("cause", verdict_held_text((enum verdict_held)held)));
    if (degraded != degraded_before)
        LOG_AT(degraded != 0 ? LOG_LEVEL_WARN : LOG_LEVEL_INFO,
               degraded != 0 ? "server is degraded" : "server is not degraded any more",
               KV_STR("server", target_name(t)), KV_BOOL("slow", (degraded & VERDICT_DEGRADED_SLOW) != 0),
               KV_BOOL("certificate", (degraded & VERDICT_DEGRADED_CERTIFICATE) != 0),
               KV_UINT("mean_us", t->standing.detail.latency_mean_us));
}

/* Not calm: soon enough after the canaries' answer, however long the interval is. */
static void plan_again(struct target *t)
{
    plan_next(t, false);
    int64_t soon_ms = loop_now_ms(t->env.loop) + SCHEDULE_DOUBT_MS;
    if (soon_ms < t->due_ms)
        plan_at(t, soon_ms);
}

static void note_answer(struct target *t, bool is_success)
{
    if (!is_success && !t->is_failing)
        t->failing_since_ms = t->started_ms;
    t->is_failing = !is_success;
    if (is_success) {
        t->answered_ms = loop_now_ms(t->env.loop);
        if (t->env.on_answered != NULL)
            t->env.on_answered(t->env.arg);
    }
}

/* An answer has it watched until the next one; a failure is what its end would have told. */
static void renew_watch(struct target *t, bool is_success)
{
    if (!is_success)
        watch_confirm(&t->watch);
    else if (question_is_watched(t->server))
        watch_keep(&t->watch, addresses_get(&t->addresses), t->server->check.interval_ms);
}

static bool is_our_own(const struct target *t, bool is_success)
{
    return !is_success && t->env.is_sure != NULL && hysteresis_is_at_the_edge(&t->standing.hysteresis) &&
           !t->env.is_sure(t->env.arg, t);
}

static void conclude(struct target *t, const struct probe_result *r)
{
    enum verdict_state before = standing_state(&t->standing);
    uint32_t held = t->standing.hysteresis.held, degraded = t->standing.detail.degraded;
    bool is_success = r->err == ERR_NONE;

    timer_cancel(&t->deadline);
    t->phase = PHASE_IDLE;
    t->is_http11 = t->is_http11 && is_success;
    count(t, is_success);
    note_answer(t, is_success);
    renew_watch(t, is_success);
    if (is_our_own(t, is_success)) {
        standing_ignore(&t->standing, r, time_now(t));
        publish(t);
        plan_again(t);
        return;
    }
    bool is_flip = standing_result(&t->standing, &t->server->check, r, time_now(t));
    publish(t);
    plan_next(t, is_flip);
    if (is_flip)
        report_flip(t, before, is_success ? "answered" : r->cause);
    report_shades(t, held, degraded);
    if (!is_flip && !is_success)
        LOG_DEBUG("probe failed", KV_STR("server", target_name(t)), KV_STR("cause", r->cause),
                  KV_UINT("fails", t->standing.hysteresis.failures_in_row));
    if (t->env.on_probed != NULL)
        t->env.on_probed(t->env.arg, t->slot);
}

/* A failure that is not the server's. */
static void conclude_nothing(struct target *t, const struct probe_result *r)
{
    timer_cancel(&t->deadline);
    t->phase = PHASE_IDLE;
    standing_ignore(&t->standing, r, time_now(t));
    publish(t);
    plan_next(t, false);
    LOG_DEBUG("probe without a result", KV_STR("server", target_name(t)), KV_STR("cause", r->cause));
}

static void conclude_failure(struct target *t, enum err e, const char *detail)
{
    struct probe_result r = {.err = e};

    snprintf(r.cause, sizeof r.cause, "%s: %s", err_text(e), detail);
    conclude(t, &r);
}

static void abandon(struct target *t)
{
    timer_cancel(&t->deadline);
    addresses_unwant(&t->addresses);
    if (t->probe != NULL)
        probe_cancel(&t->probe);
    t->phase = PHASE_IDLE;
}

/* Whether this process itself stood still (a paused machine, a disk that hung): then nobody was given his time. */
static bool was_held_up(const struct target *t)
{
    return loop_now_ms(t->env.loop) - t->started_ms - t->server->check.timeout_ms > HELD_UP_MS;
}

static void on_deadline(void *arg)
{
    struct target *t = arg;
    char detail[VERDICT_CAUSE_BYTES];

    CHECK_OBJ(t, TARGET_MAGIC);
    if (t->phase == PHASE_PROBING && probe_expire(t->probe))
        return; /* its answer comes at the end of this pass */
    snprintf(detail, sizeof detail, "waiting for %s",
             t->phase == PHASE_RESOLVING ? "address" : probe_waiting_for(t->probe));
    abandon(t);
    if (was_held_up(t)) {
        LOG_DEBUG("probe without a result, the checker was held up", KV_STR("server", target_name(t)));
        plan_at(t, loop_now_ms(t->env.loop));
        return;
    }
    addresses_next(&t->addresses); /* this one may be a black hole, and the next one well */
    conclude_failure(t, ERR_TIMEOUT, detail);
}

/* ---- probing ---- */

static bool is_about_the_address(enum err e)
{
    return e == ERR_REFUSED || e == ERR_UNREACHABLE;
}

static void probe_address(struct target *t);

static void on_probe_done(void *arg, const struct probe_result *r)
{
    struct target *t = arg;

    CHECK_OBJ(t, TARGET_MAGIC);
    t->probe = NULL;
    if (r->is_peer_lost)
        addresses_next(&t->peer_addresses);
    if (r->is_http11 && question_over(t->server) == OVER_AUTO) {
        t->is_http11 = true;
        probe_address(t);
        return;
    }
    if (is_about_the_address(r->err)) {
        addresses_next(&t->addresses);
        if (++t->tried_count < t->addresses.count) {
            probe_address(t);
            return;
        }
    }
    if (r->is_void)
        conclude_nothing(t, r);
    else
        conclude(t, r);
}

static bool is_h2(const struct target *t)
{
    return question_over(t->server) == OVER_H2 || (question_over(t->server) == OVER_AUTO && !t->is_http11);
}

/* What the kind of probe needs for longer than one; false after concluding that it cannot be had. */
static bool is_equipped(struct target *t)
{
    char error[TLS_ERROR_TEXT_BYTES] = "";
    struct tls_client_opts tls = question_tls(t->server);
    bool needs_host = question_needs_host(t->server) && !is_h2(t);
    bool needs_tls = t->server->check.type == CHECK_TLS || (is_h2(t) && t->server->url.is_tls);

    if (needs_host && t->host == NULL)
        t->host =
            lws_host_create(t->env.engine, t->server->url.is_tls ? &tls : NULL, question_server_name(t->server), error);
    if (needs_tls && t->tls == NULL)
        t->tls = tls_ctx_create_client(&tls, error);
    if ((!needs_host || t->host != NULL) && (!needs_tls || t->tls != NULL))
        return true;
    conclude_failure(t, ERR_TLS, error);
    return false;
}

static void on_peer_addresses(void *arg, enum err e)
{
    (void)arg; /* nobody waits for them */
    (void)e;
}

/* The other end of a canary, if there is one. Its address is looked up beside the probes: this one may have to do
 * without. */
static struct probe_peer peer_of(struct target *t, char host_header[QUESTION_HOST_BYTES])
{
    const struct conf_server *peer = question_has_canary(t->server) && t->env.find_server != NULL
                                         ? t->env.find_server(t->env.arg, t->server->check.canary_peer)
                                         : NULL;
    char error[TLS_ERROR_TEXT_BYTES];

    if (peer == NULL)
        return (struct probe_peer){.host = NULL};
    struct tls_client_opts tls = question_tls(peer);
    if (t->peer_host == NULL)
        t->peer_host =
            lws_host_create(t->env.engine, peer->url.is_tls ? &tls : NULL, question_server_name(peer), error);
    if (!addresses_want(&t->peer_addresses, peer->url.host, question_port(peer))) {
        addresses_unwant(&t->peer_addresses);
        return (struct probe_peer){.host = NULL};
    }
    return (struct probe_peer){
        .host = t->peer_host,
        .addr = *addresses_get(&t->peer_addresses),
        .host_header = question_host_header(peer, host_header),
        .path = peer->check.path, /* it is checked by WebSocket as well */
    };
}

static void probe_address(struct target *t)
{
    char host_header[QUESTION_HOST_BYTES], peer_host_header[QUESTION_HOST_BYTES];

    t->phase = PHASE_PROBING;
    if (!is_equipped(t))
        return;
    struct probe_plan plan = {
        .check = &t->server->check,
        .addr = *addresses_get(&t->addresses),
        .server = target_name(t),
        .host = t->host,
        .host_header = question_host_header(t->server, host_header),
        .is_h2 = is_h2(t),
        .tls = t->tls,
        .tls_name = question_server_name(t->server),
        .commands = t->env.commands,
        .peer = peer_of(t, peer_host_header),
    };
    t->probe = probe_start(t->env.loop, &plan, on_probe_done, t);
}

static void on_addresses(void *arg, enum err e)
{
    struct target *t = arg;

    CHECK_OBJ(t, TARGET_MAGIC);
    if (e == ERR_NONE)
        probe_address(t);
    else
        conclude_failure(t, e, "name lookup");
}

static void on_due(void *arg)
{
    struct target *t = arg;
    const struct conf_check *check = &t->server->check;

    CHECK_OBJ(t, TARGET_MAGIC);
    ASSERT(t->phase == PHASE_IDLE);
    t->started_ms = loop_now_ms(t->env.loop);
    t->tried_count = 0;
    t->phase = PHASE_RESOLVING;
    timer_start(&t->deadline, check->timeout_ms);
    if (addresses_want(&t->addresses, t->server->url.host, question_port(t->server)))
        probe_address(t);
}

void target_nudge(struct target *t)
{
    CHECK_OBJ(t, TARGET_MAGIC);
    if (t->server->check.type == CHECK_NONE)
        return;
    if (t->phase != PHASE_IDLE) {
        t->is_nudged = true;
    } else {
        t->doubts = SCHEDULE_DOUBT_SUCCESSES;
        plan_at(t, schedule_nudged_ms(t->started_ms, t->due_ms, loop_now_ms(t->env.loop)));
    }
}

static void on_watch_ended(void *arg)
{
    struct target *t = arg;

    CHECK_OBJ(t, TARGET_MAGIC);
    LOG_DEBUG("connection that was watched has ended", KV_STR("server", target_name(t)));
    target_nudge(t);
}

/* ---- life ---- */

struct target *target_create(const struct target_env *env, int slot, const struct conf_server *server,
                             const struct persist_entry *last)
{
    struct target *t;

    OBJ_NEW(t, TARGET_MAGIC);
    t->env = *env;
    t->slot = slot;
    t->server = server;
    t->answered_ms = -1;
    timer_init(&t->due, env->loop, on_due, t);
    timer_init(&t->deadline, env->loop, on_deadline, t);
    addresses_init(&t->addresses, env->loop, env->resolver, on_addresses, t);
    addresses_init(&t->peer_addresses, env->loop, env->resolver, on_peer_addresses, t);
    watch_init(&t->watch, env->loop, on_watch_ended, t);
    remember(t, last);
    publish(t);
    t->started_ms = loop_now_ms(env->loop) - SCHEDULE_GAP_MS;
    plan_first(t);
    return t;
}

static void forget_question(struct target *t)
{
    abandon(t);
    watch_drop(&t->watch);
    t->is_http11 = false;
    addresses_reset(&t->addresses);
    if (t->host != NULL)
        lws_host_destroy(&t->host);
    if (t->tls != NULL)
        tls_ctx_unref(&t->tls);
    addresses_reset(&t->peer_addresses);
    if (t->peer_host != NULL)
        lws_host_destroy(&t->peer_host);
}

void target_destroy(struct target **tp)
{
    struct target *t = *tp;

    CHECK_OBJ(t, TARGET_MAGIC);
    timer_cancel(&t->due);
    forget_question(t);
    addresses_fini(&t->addresses);
    addresses_fini(&t->peer_addresses);
    watch_fini(&t->watch);
    OBJ_FREE(tp, TARGET_MAGIC);
}

void target_set_server(struct target *t, const struct conf_server *server)
{
    CHECK_OBJ(t, TARGET_MAGIC);
    const struct conf_server *old = t->server;
    const struct conf_check *check = &server->check;
    /* Of a canary's peer nothing is known here; it may be another one now. */
    bool is_same = question_is_same(old, server) && !question_has_canary(server);

    t->server = server;
    standing_set_check(&t->standing, check);
    publish(t);
    if (!is_same)
        forget_question(t);
    if (!question_is_watched(server))
        watch_drop(&t->watch);
    if (!is_same || (t->phase == PHASE_IDLE && check->interval_ms < old->check.interval_ms))
        plan_first(t);
}

const char *target_name(const struct target *t)
{
    CHECK_OBJ(t, TARGET_MAGIC);
    return t->server->slot_name;
}

enum verdict_state target_state(const struct target *t)
{
    CHECK_OBJ(t, TARGET_MAGIC);
    return standing_state(&t->standing);
}

bool target_is_checked(const struct target *t)
{
    CHECK_OBJ(t, TARGET_MAGIC);
    return t->server->check.type != CHECK_NONE;
}

int64_t target_answered_ms(const struct target *t)
{
    CHECK_OBJ(t, TARGET_MAGIC);
    return t->answered_ms;
}

int64_t target_failing_since_ms(const struct target *t)
{
    CHECK_OBJ(t, TARGET_MAGIC);
    return t->failing_since_ms;
}

struct persist_entry target_entry(const struct target *t)
{
    CHECK_OBJ(t, TARGET_MAGIC);
    struct persist_entry e = standing_entry(&t->standing);

    snprintf(e.name, sizeof e.name, "%s", target_name(t));
    return e;
}

void target_override(struct target *t, enum override_kind kind)
{
    CHECK_OBJ(t, TARGET_MAGIC);
    static const enum verdict_state states[OVERRIDE_COUNT] = {
        [OVERRIDE_UP] = VERDICT_UP, [OVERRIDE_DOWN] = VERDICT_DOWN};
    enum verdict_state before = target_state(t);
    bool is_flip = false;

    if (kind == OVERRIDE_DRAIN || kind == OVERRIDE_UNDRAIN)
        standing_drain(&t->standing, kind == OVERRIDE_DRAIN);
    else
        is_flip = standing_force(&t->standing, states[kind], time_now(t));
    publish(t);
    LOG_INFO("operator's word taken", KV_STR("server", target_name(t)), KV_STR("word", override_text(kind)),
             KV_STR("state", verdict_state_text(target_state(t))));
    if (is_flip)
        report_flip(t, before, kind == OVERRIDE_AUTO ? "no longer forced" : "forced");
}
