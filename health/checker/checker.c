/* Configuration in, verdicts out.
 *
 * A new configuration is taken over target by target, by slot and name: who stays keeps his state, his schedule and
 * even the probe under way. The old one is held until the last target has let go of it. The first one is special:
 * targets the table knows nothing about begin with what the file of the last run says. */
#include "health/checker/checker.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/ipc.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/resolve.h"
#include "conf/conf.h"
#include "health/checker/lws_engine.h"
#include "health/checker/ourselves.h"
#include "health/checker/steerer.h"
#include "health/checker/target.h"
#include "health/steering.h"
#include "health/verdict.h"

#define CHECKER_MAGIC 0xc4ec8e5du

#define SAVE_DELAY_MS 1000 /* flips within it are saved together */
/* Nudges come with every failure of every worker; sums over all their counters are made this often at most. */
#define NUDGE_PAUSE_MS 20

struct checker {
    uint32_t magic;
    struct loop *loop;
    const struct birth *birth;
    struct verdict_table *verdicts;
    struct ipc *ipc;
    struct resolver *resolver;
    struct lws_engine *engine;
    struct commands *commands;
    struct ourselves *ourselves;
    struct steerer *steerer;
    struct conf *conf; /* NULL until the first one */
    struct target_env env;
    struct target *targets[SLOTS_SERVERS]; /* by slot */
    uint64_t failures_seen[SLOTS_SERVERS]; /* by slot: sum of the workers' counters */
    struct persist *last;                  /* of the last run; NULL after the first configuration */
    struct state_file *file;
    bool must_save;
    struct timer save;
    struct timer heartbeat;
    struct io nudge;
    struct timer nudge_pause;
    struct timer drain;
    uint64_t log_dropped_counted; /* of log_dropped_count(), already in the counters */
};

/* ---- keeping verdicts ---- */

/* False when it could not be kept. */
static bool save_now(struct checker *c)
{
    struct persist *p;

    timer_cancel(&c->save);
    if (!c->must_save)
        return true;
    c->must_save = false;
    p = mem_alloc(sizeof *p);
    for (size_t i = 0; i < SLOTS_SERVERS; i++) {
        if (c->targets[i] == NULL)
            continue;
        struct persist_entry e = target_entry(c->targets[i]);
        persist_add(p, &e);
    }
    bool is_kept = state_file_save(c->file, p, loop_now_ms(c->loop));
    mem_free(p);
    return is_kept;
}

static void on_save(void *arg)
{
    (void)save_now(arg);
}

static void save_soon(struct checker *c)
{
    c->must_save = true;
    if (!timer_is_active(&c->save))
        timer_start(&c->save, SAVE_DELAY_MS);
}

static void on_flip(void *arg, const struct target *t, enum verdict_state before, const char *cause)
{
    struct checker *c = arg;
    struct msg_text m = {0};

    CHECK_OBJ(c, CHECKER_MAGIC);
    snprintf(m.text, sizeof m.text, "%s %s %s %s", target_name(t), verdict_state_text(before),
             verdict_state_text(target_state(t)), cause);
    enum err e = ipc_send(c->ipc, MSG_VERDICT_FLIP, &m, -1);
    if (e != ERR_NONE)
        LOG_DEBUG("flip not reported", KV_STR("server", target_name(t)), KV_STR("cause", err_text(e)));
    save_soon(c);
}

/* ---- is it us? ---- */

static bool is_sure(void *arg, const struct target *t)
{
    struct checker *c = arg;
    int64_t since_ms = target_failing_since_ms(t);
    size_t count = 0, unseen_count = 0;

    CHECK_OBJ(c, CHECKER_MAGIC);
    for (size_t i = 0; i < SLOTS_SERVERS; i++) {
        if (c->targets[i] == NULL || !target_is_checked(c->targets[i]))
            continue;
        count++;
        unseen_count += target_answered_ms(c->targets[i]) < since_ms;
    }
    const bool is_so = ourselves_are_sure(c->ourselves, unseen_count, count, since_ms);
    if (!is_so)
        steerer_touch(c->steerer); /* we may be cut off: no vote any more */
    return is_so;
}

static void on_probed(void *arg, int slot)
{
    struct checker *c = arg;
    CHECK_OBJ(c, CHECKER_MAGIC);
    steerer_probed(c->steerer, slot);
}

static void on_answered(void *arg)
{
    struct checker *c = arg;
    ourselves_saw_somebody(c->ourselves);
}

static const struct conf_server *find_server(void *arg, const char *name)
{
    struct checker *c = arg;
    return c->conf != NULL ? conf_find_server(c->conf, name) : NULL;
}

/* ---- the journal ---- */

static void on_event(void *arg, const struct event *what)
{
    struct checker *c = arg;

    CHECK_OBJ(c, CHECKER_MAGIC);
    enum err e = ipc_has_room(c->ipc) ? ipc_send(c->ipc, MSG_EVENT, what, -1) : ERR_FULL;
    if (e != ERR_NONE)
        LOG_WARN("event not reported", KV_STR("kind", event_kind_text((enum event_kind)what->kind)),
                 KV_STR("subject", what->subject), KV_STR("cause", err_text(e)));
}

/* ---- heartbeat ---- */

static void on_heartbeat(void *arg)
{
    struct checker *c = arg;

    CHECK_OBJ(c, CHECKER_MAGIC);
    verdict_heartbeat(c->verdicts, loop_wall_ms(c->loop));
    uint64_t dropped = log_dropped_count();
    stat_add(&c->birth->block->process[STAT_LOG_DROPPED], (int64_t)(dropped - c->log_dropped_counted));
    c->log_dropped_counted = dropped;
    timer_start(&c->heartbeat, VERDICT_HEARTBEAT_MS);
}

/* ---- failures seen by the traffic ---- */

static uint64_t failures_of(const struct checker *c, int slot)
{
    return stats_sum_server(c->birth->stats, slot, STAT_SERVER_FAILURES);
}

static void on_nudge(void *arg, unsigned events)
{
    struct checker *c = arg;
    uint64_t unused;

    (void)events;
    CHECK_OBJ(c, CHECKER_MAGIC);
    (void)!read(c->birth->nudge_fd, &unused, sizeof unused);
    for (int slot = 0; slot < (int)SLOTS_SERVERS; slot++) {
        if (c->targets[slot] == NULL)
            continue;
        uint64_t sum = failures_of(c, slot);
        if (sum > c->failures_seen[slot])
            target_nudge(c->targets[slot]);
        c->failures_seen[slot] = sum;
    }
    io_want(&c->nudge, 0);
    timer_start(&c->nudge_pause, NUDGE_PAUSE_MS);
}

static void on_nudge_pause_over(void *arg)
{
    struct checker *c = arg;
    io_want(&c->nudge, IO_READ);
}

/* ---- configuration ---- */

static void drop_target(struct checker *c, int slot)
{
    LOG_DEBUG("target dropped", KV_STR("server", target_name(c->targets[slot])));
    target_destroy(&c->targets[slot]);
}

static void take_server(struct checker *c, const struct conf_server *s, bool *is_wanted)
{
    int slot = slots_find(c->birth->slots, SLOT_SERVER, s->slot_name);

    if (slot < 0) {
        LOG_ERR("server is not checked, it has no slot", KV_STR("server", s->slot_name));
        return;
    }
    struct target **t = &c->targets[slot];
    is_wanted[slot] = true;
    if (*t != NULL && strcmp(target_name(*t), s->slot_name) == 0) {
        target_set_server(*t, s);
        return;
    }
    if (*t != NULL)
        drop_target(c, slot);
    (void)verdict_adopt(c->verdicts, slot,
                        atomic_load_explicit(&c->birth->slots->server[slot].era, memory_order_relaxed));
    *t = target_create(&c->env, slot, s, c->last != NULL ? persist_find(c->last, s->slot_name) : NULL);
    c->failures_seen[slot] = failures_of(c, slot);
}

static void take_conf(struct checker *c, struct conf *conf)
{
    bool is_wanted[SLOTS_SERVERS] = {false};

    for (size_t i = 0; i < conf->pool_count; i++)
        for (size_t k = 0; k < conf->pools[i].server_count; k++)
            take_server(c, &conf->pools[i].servers[k], is_wanted);
    for (size_t i = 0; i < conf->target_count; i++)
        take_server(c, &conf->targets[i], is_wanted);
    for (int slot = 0; slot < (int)SLOTS_SERVERS; slot++)
        if (c->targets[slot] != NULL && !is_wanted[slot])
            drop_target(c, slot);
    ourselves_set(c->ourselves, &conf->canaries);
    if (c->conf != NULL)
        conf_unref(&c->conf);
    c->conf = conf;
    mem_free(c->last);
    c->last = NULL;
    steerer_take_conf(c->steerer, conf);
    save_soon(c);
}

static void on_conf(struct checker *c, const void *payload, int fd)
{
    const struct msg_conf *m = payload;
    struct conf_errors errors;
    struct conf *conf = conf_load_sealed(fd, &errors);

    if (conf != NULL) {
        take_conf(c, conf);
        LOG_DEBUG("configuration taken", KV_UINT("generation", m->generation));
    }
    ipc_answer_conf(c->ipc, m->generation, errors.text);
    conf_errors_fini(&errors);
}

/* ---- an operator's words ---- */

static struct target *find_target(struct checker *c, const char *name)
{
    for (int slot = 0; slot < (int)SLOTS_SERVERS; slot++)
        if (c->targets[slot] != NULL && strcmp(target_name(c->targets[slot]), name) == 0)
            return c->targets[slot];
    return NULL;
}

/* Confirmed only when it is on the disk as well: what an operator was told is done must not be undone by a crash. */
static void on_override(struct checker *c, const void *payload, int fd)
{
    struct msg_override m = *(const struct msg_override *)payload;
    struct msg_override_ack ack = {.number = m.number};

    (void)fd;
    m.server[sizeof m.server - 1] = '\0';
    struct target *t = find_target(c, m.server);
    if (t == NULL || m.kind >= OVERRIDE_COUNT) {
        snprintf(ack.text, sizeof ack.text, "%s", t == NULL ? "no such server" : "not a word about servers");
    } else {
        target_override(t, (enum override_kind)m.kind);
        steerer_touch(c->steerer);
        c->must_save = true;
        ack.ok = 1;
        if (!save_now(c))
            snprintf(ack.text, sizeof ack.text, "%s", "it will not survive a restart of the gateway");
    }
    enum err e = ipc_send(c->ipc, MSG_OVERRIDE_ACK, &ack, -1);
    if (e != ERR_NONE)
        LOG_ERR("operator's word not confirmed", KV_STR("server", m.server), KV_STR("cause", err_text(e)));
}

/* ---- messages ---- */

static void on_drained(void *arg)
{
    struct checker *c = arg;
    loop_stop(c->loop);
}

/* The workers still need verdicts while they drain. */
static void on_drain(struct checker *c, const void *payload, int fd)
{
    const struct msg_drain *m = payload;

    (void)fd;
    timer_start(&c->drain, m->time_ms > 0 ? m->time_ms : 0);
}

static void on_stop(struct checker *c, const void *payload, int fd)
{
    (void)payload;
    (void)fd;
    loop_stop(c->loop);
}

static void on_reopen_log(struct checker *c, const void *payload, int fd)
{
    (void)c;
    (void)payload;
    if (fd >= 0)
        log_use_fd(dup(fd));
}

/* What this process listens to; descriptors stay with the caller. */
static void (*const handlers[MSG_COUNT])(struct checker *c, const void *payload, int fd) = {
    [MSG_CONF] = on_conf,         [MSG_DRAIN] = on_drain,           [MSG_STOP] = on_stop,
    [MSG_OVERRIDE] = on_override, [MSG_REOPEN_LOG] = on_reopen_log,
};

static void on_message(void *arg, enum ipc_type type, const void *payload, int fd)
{
    struct checker *c = arg;

    CHECK_OBJ(c, CHECKER_MAGIC);
    if (handlers[type] != NULL)
        handlers[type](c, payload, fd);
    if (fd >= 0)
        close(fd);
}

static void on_supervisor_gone(void *arg)
{
    struct checker *c = arg;

    LOG_WARN("supervisor gone, ending");
    loop_stop(c->loop);
}

/* ---- life ---- */

static void start_timers(struct checker *c)
{
    timer_init(&c->save, c->loop, on_save, c);
    timer_init(&c->heartbeat, c->loop, on_heartbeat, c);
    timer_init(&c->nudge_pause, c->loop, on_nudge_pause_over, c);
    timer_init(&c->drain, c->loop, on_drained, c);
    io_init(&c->nudge, c->loop, c->birth->nudge_fd, on_nudge, c);
    io_want(&c->nudge, IO_READ);
    on_heartbeat(c);
}

struct checker *checker_create(struct loop *l, const struct birth *b, struct state_file *f)
{
    struct checker *c;
    struct lws_engine *engine = lws_engine_create(l);

    if (engine == NULL) {
        state_file_close(&f);
        return NULL;
    }
    OBJ_NEW(c, CHECKER_MAGIC);
    c->loop = l;
    c->birth = b;
    c->verdicts = b->verdicts.base;
    c->engine = engine;
    c->commands = commands_create(l);
    c->resolver = resolver_create(l);
    c->ourselves = ourselves_create(l, c->resolver, c->verdicts);
    c->file = f;
    c->last = mem_alloc(sizeof *c->last);
    state_file_load(f, c->last);
    c->env = (struct target_env){
        .loop = l,
        .resolver = c->resolver,
        .engine = engine,
        .commands = c->commands,
        .verdicts = c->verdicts,
        .block = b->block,
        .on_flip = on_flip,
        .is_sure = is_sure,
        .on_answered = on_answered,
        .on_probed = on_probed,
        .find_server = find_server,
        .arg = c,
    };
    const struct steerer_env steering = {
        .loop = l, .birth = b, .table = b->verdicts.base, .file = f, .on_event = on_event, .arg = c};
    c->steerer = steerer_create(&steering);
    start_timers(c);
    c->ipc = ipc_create(l, b->control_fd, on_message, on_supervisor_gone, c);
    return c;
}

void checker_destroy(struct checker **cp)
{
    struct checker *c = *cp;

    CHECK_OBJ(c, CHECKER_MAGIC);
    (void)save_now(c);
    for (int slot = 0; slot < (int)SLOTS_SERVERS; slot++)
        if (c->targets[slot] != NULL)
            target_destroy(&c->targets[slot]);
    timer_cancel(&c->heartbeat);
    timer_cancel(&c->nudge_pause);
    timer_cancel(&c->drain);
    io_fini(&c->nudge);
    ipc_destroy(&c->ipc);
    steerer_destroy(&c->steerer); /* turns the loop: what could call back is gone */
    ourselves_destroy(&c->ourselves);
    resolver_destroy(&c->resolver);
    commands_destroy(&c->commands);
    lws_engine_destroy(&c->engine);
    state_file_close(&c->file);
    if (c->conf != NULL)
        conf_unref(&c->conf);
    mem_free(c->last);
    OBJ_FREE(cp, CHECKER_MAGIC);
}

static void on_term(void *arg, int signo)
{
    (void)signo;
    loop_stop(arg);
}

int checker_main(void)
{
    struct birth birth;
    struct sig term;

    birth_attach(&birth, ROLE_CHECKER, sizeof(struct health_table));
    struct loop *loop = loop_create();
    struct state_file *file = state_file_open(birth.note.state_dir);
    birth_drop_privileges(&birth);
    struct checker *c = checker_create(loop, &birth, file);
    if (c == NULL)
        return EX_UNAVAILABLE;
    sig_init(&term, loop, SIGTERM, on_term, loop);
    loop_run(loop);
    sig_fini(&term);
    checker_destroy(&c);
    loop_destroy(&loop);
    log_close();
    return EX_OK;
}
