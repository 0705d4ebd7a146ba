/* Children as processes. The life of each is the table in child.c; this file does what the moves mean.
 *
 * The hard part is that a process may be anywhere between two messages when it dies. So nothing is remembered about a
 * process beyond its end: a new one gets all sockets and the whole configuration, and only the counters of its
 * predecessor stay, without the gauges. */
#include "gateway/super/children.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/birth.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/super/super.h"

#define READY_DEADLINE_MS 20000 /* from fork to the first confirmation */
#define LEAVE_DEADLINE_MS 5000  /* beyond the time a child was given */
/* Clients queue in the sockets of a worker that died; not for longer than they are willing to wait. */
#define KEEP_SOCKETS_MS 2000
/* A process with some open files and no clients. */
#define HELPER_FD_LIMIT 4096u
/* Two per WebSocket, one per client of DNS over TCP; the kernel's own default ceiling. What the hard limit does not
 * allow is cut off. */
#define WORKER_FD_LIMIT    1048576u
#define QUIET_FAILURES_MAX 3u

/* ---- who should run ---- */

static bool has_checks(const struct conf *c)
{
    if (c->target_count > 0)
        return true;
    for (size_t i = 0; i < c->pool_count; i++)
        for (size_t j = 0; j < c->pools[i].server_count; j++)
            if (c->pools[i].servers[j].check.type != CHECK_NONE)
                return true;
    return false;
}

static bool is_wanted(const struct child *c, const struct conf *conf)
{
    switch (c->role) {
    case ROLE_WORKER:
        return c->index < conf_worker_count(conf);
    case ROLE_CHECKER:
        return has_checks(conf) || (conf_wants_dns(conf) && conf_has_steered_records(conf));
    case ROLE_ADMIN:
        return conf->admin.text[0] != '\0' || conf->alert_count > 0;
    case ROLE_DNS:
        return conf_wants_dns(conf);
    case ROLE_SUPERVISOR:
    case ROLE_COUNT:
        break;
    }
    return false;
}

bool child_is_running(const struct child *c)
{
    return c->state == ROSTER_STARTING || c->state == ROSTER_READY;
}

bool child_owes_answer(const struct child *c, uint64_t generation)
{
    return child_is_running(c) && c->sent_generation == generation && c->held_generation < generation;
}

uint32_t children_alive_count(const struct super *s, enum role role)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < CHILDREN_MAX; i++)
        count += s->child[i].pid > 0 && (role == ROLE_COUNT || s->child[i].role == role);
    return count;
}

uint64_t children_away(const struct super *s)
{
    uint64_t away = 0;
    for (uint32_t i = 0; i < CHILDREN_MAX; i++) {
        const struct child *c = &s->child[i];
        bool is_away = c->state == ROSTER_DRAINING || (c->state == ROSTER_WAITING && c->wait_ms > KEEP_SOCKETS_MS);
        if (c->role == ROLE_WORKER && c->index < 64 && is_away)
            away |= UINT64_C(1) << c->index;
    }
    return away;
}

bool children_are_ready(const struct super *s)
{
    for (uint32_t i = 0; i < CHILDREN_MAX; i++)
        if (is_wanted(&s->child[i], s->current.conf) && s->child[i].state != ROSTER_READY)
            return false;
    return true;
}

/* ---- state ---- */

static struct roster_row *row_of(const struct child *c)
{
    return &c->super->tables.roster->row[c->row];
}

/* The one place where a state changes. */
static void apply(struct child *c, enum child_event event)
{
    enum roster_state next = child_next(c->state, event);
    ASSERT(next != ROSTER_UNUSED);
    if (next != c->state)
        LOG_DEBUG("child changes state", KV_STR("child", c->name), KV_STR("from", roster_state_text(c->state)),
                  KV_STR("to", roster_state_text(next)));
    c->state = next;
    row_of(c)->role = c->role;
    row_of(c)->index = c->index;
    atomic_store(&row_of(c)->state, (uint32_t)next);
}

static void kill_child(struct child *c, const char *why)
{
    if (c->pid <= 0)
        return;
    LOG_WARN("child killed", KV_STR("child", c->name), KV_INT("pid", c->pid), KV_STR("cause", why));
    c->is_killed = true;
    kill(c->pid, SIGKILL);
    timer_start(&c->deadline, LEAVE_DEADLINE_MS);
}

/* ---- messages ---- */

static void forget_confs(struct child *c)
{
    if (c->sent_conf != NULL)
        conf_unref(&c->sent_conf);
    if (c->held_conf != NULL)
        conf_unref(&c->held_conf);
    c->sent_generation = c->held_generation = 0;
}

static void replace_conf(struct conf **slot, const struct conf *with)
{
    struct conf *old = *slot;
    *slot = with != NULL ? conf_ref(with) : NULL;
    if (old != NULL)
        conf_unref(&old);
}

static bool names_address(const struct conf *c, const char *address)
{
    for (size_t i = 0; c != NULL && i < c->listen_count; i++)
        if (strcmp(c->listen[i].text, address) == 0)
            return true;
    return false;
}

static bool names_dns_address(const struct conf *c, const char *address)
{
    for (size_t i = 0; c != NULL && i < c->dns.listen_count; i++)
        if (strcmp(c->dns.listen[i].text, address) == 0)
            return true;
    return false;
}

static enum err send_listener(struct child *c, const char *address, int fd)
{
    struct msg_listener m = {.address = ""};
    if (fd < 0)
        return ERR_NONE;
    snprintf(m.address, sizeof m.address, "%s", address);
    return ipc_send(c->ipc, MSG_LISTENER, &m, fd);
}

/* Which is which is told by the sockets themselves. */
static enum err send_dns_listeners(struct child *c, const struct conf *conf)
{
    struct listeners *l = c->super->listeners;
    enum err e = ERR_NONE;
    for (size_t i = 0; i < conf->dns.listen_count; i++) {
        const char *address = conf->dns.listen[i].text;
        for (unsigned k = 0; !names_dns_address(c->sent_conf, address) && k < LISTENERS_DNS_COUNT; k++)
            if (e == ERR_NONE)
                e = send_listener(c, address, listeners_dns_fd(l, address, (enum listeners_dns)k));
    }
    return e;
}

static enum err send_listeners(struct child *c, const struct conf *conf)
{
    struct listeners *l = c->super->listeners;
    if (c->role == ROLE_ADMIN)
        return send_listener(c, conf->admin.text, listeners_admin_fd(l, conf->admin.text));
    if (c->role == ROLE_DNS)
        return send_dns_listeners(c, conf);
    enum err e = ERR_NONE;
    for (size_t i = 0; c->role == ROLE_WORKER && i < conf->listen_count && e == ERR_NONE; i++) {
        const char *address = conf->listen[i].text;
        if (!names_address(c->sent_conf, address))
            e = send_listener(c, address, listeners_worker_fd(l, address, c->index));
    }
    return e;
}

static enum err send_access_log(struct child *c, const struct edition *e)
{
    static const struct msg_empty m = {0};
    return c->role == ROLE_WORKER ? ipc_send(c->ipc, MSG_ACCESS_LOG, &m, e->access_fd) : ERR_NONE;
}

void child_offer(struct child *c, const struct edition *e)
{
    const struct msg_conf m = {.generation = e->generation};
    if (c->ipc == NULL)
        return;
    enum err err = send_listeners(c, e->conf);
    if (err == ERR_NONE)
        err = send_access_log(c, e);
    if (err == ERR_NONE)
        err = ipc_send(c->ipc, MSG_CONF, &m, e->fd);
    if (err != ERR_NONE) {
        kill_child(c, "takes no messages");
        return;
    }
    c->sent_generation = e->generation;
    replace_conf(&c->sent_conf, e->conf);
}

static void took_conf(struct child *c, uint64_t generation)
{
    bool was_starting = c->state == ROSTER_STARTING;
    c->held_generation = generation;
    if (generation == c->sent_generation)
        replace_conf(&c->held_conf, c->sent_conf);
    atomic_store(&row_of(c)->conf_generation, generation);
    apply(c, CHILD_CONFIRMED);
    if (was_starting) {
        c->pulse =
            (struct pulse){.heard_at_ms = loop_now_ms(c->super->loop), .asked_at_ms = loop_now_ms(c->super->loop)};
        timer_cancel(&c->deadline);
        backoff_ready(&c->backoff, loop_now_ms(c->super->loop));
        events_child_ready(c->super, c);
        LOG_INFO("child ready", KV_STR("child", c->name), KV_INT("pid", c->pid));
    }
}

static void refused_conf(struct child *c, const struct msg_conf_ack *m, const char *error)
{
    struct super *s = c->super;
    LOG_ERR("configuration refused by child", KV_STR("child", c->name), KV_UINT("generation", m->generation),
            KV_STR("cause", error));
    bool is_last = m->generation == c->sent_generation;
    if (is_last) {
        c->sent_generation = c->held_generation;
        replace_conf(&c->sent_conf, c->held_conf);
    }
    if (super_is_leaving(s))
        return;
    bool is_offer = reload_refused(s, c, m->generation, error);
    if (is_last && !is_offer && s->state == SUPER_STARTING)
        super_stop(s, EX_CONFIG);
    else if (is_last && !is_offer)
        kill_child(c, "cannot work under the current configuration");
    super_child_changed(s);
}

static void on_ack(struct child *c, const struct msg_conf_ack *m)
{
    char error[IPC_TEXT_BYTES];
    snprintf(error, sizeof error, "%.*s", (int)sizeof m->error - 1, m->error);
    if (!m->ok) {
        refused_conf(c, m, error);
        return;
    }
    if (m->generation > c->sent_generation || m->generation <= c->held_generation) {
        LOG_WARN("child confirms what it was not asked", KV_STR("child", c->name),
                 KV_UINT("generation", m->generation));
        return;
    }
    took_conf(c, m->generation);
    super_child_changed(c->super);
}

static void on_message(void *arg, enum ipc_type type, const void *payload, int fd)
{
    struct child *c = arg;
    pulse_heard(&c->pulse, loop_now_ms(c->super->loop));
    if (type == MSG_CONF_ACK)
        on_ack(c, payload);
    else if (type == MSG_PURGE && c->role == ROLE_WORKER)
        purger_take(c->super, c, payload);
    else if (type == MSG_PURGE_ACK && c->role == ROLE_WORKER)
        purger_acked(c->super, c, payload);
    else if (type == MSG_OVERRIDE_ACK && c->role == ROLE_CHECKER)
        overrider_acked(c->super, payload);
    else if (type == MSG_VERDICT_FLIP && c->role == ROLE_CHECKER)
        events_flip(c->super, payload);
    else if (type == MSG_ALERT_ANSWER && c->role == ROLE_ADMIN)
        alerter_answered(c->super, payload, fd);
    else if (type == MSG_SESSIONS_ANSWER && c->role == ROLE_WORKER)
        lister_answered(c->super, c, payload, fd);
    else if (type == MSG_LOSSES && c->role == ROLE_WORKER)
        tallies_take(c->super, c, payload);
    else if (type == MSG_EVENT)
        events_take(c->super->events, c, payload);
    else if (type != MSG_PONG)
        LOG_WARN("message not understood", KV_STR("child", c->name), KV_STR("message", ipc_type_text(type)));
    if (fd >= 0)
        close(fd); /* nobody keeps what a child sends */
}

/* Usually its end is near; if not, it is of no use any more. */
static void on_hung_up(void *arg)
{
    struct child *c = arg;
    ipc_destroy(&c->ipc);
    if (!c->is_killed && c->state != ROSTER_DRAINING)
        timer_start(&c->deadline, LEAVE_DEADLINE_MS);
}

/* ---- birth ---- */

static struct birth_gift gift_for(const struct child *c)
{
    const struct super *s = c->super;
    const struct tables *t = &s->tables;
    const struct conf *conf = s->current.conf;
    bool is_checker = c->role == ROLE_CHECKER;
    struct birth_gift g = {
        .note = {.magic = BIRTH_MAGIC,
                 .role = c->role,
                 .index = c->index,
                 .roster_row = c->row,
                 .worker_count = conf_worker_count(conf),
                 .log_level = conf->log.level,
                 .log_format = conf->log.format,
                 .uid = s->uid,
                 .gid = s->gid,
                 .fd_limit = c->role == ROLE_WORKER || c->role == ROLE_DNS ? WORKER_FD_LIMIT : HELPER_FD_LIMIT},
        .slots_fd = t->slots_reader_fd,
        .roster_fd = t->roster_reader_fd,
        .stats_fd = t->stats_shm.fd,
        .verdicts_fd = is_checker ? t->verdicts_shm.fd : t->verdicts_reader_fd,
        .nudge_fd = t->nudge_fd,
        .last_words_fd = c->last_words.fd,
        .log_fd = log_fd(),
    };
    if (is_checker || c->role == ROLE_ADMIN)
        snprintf(g.note.state_dir, sizeof g.note.state_dir, "%s", conf->state_dir);
    return g;
}

static enum err try_spawn(struct child *c, int *control_fd)
{
    struct super *s = c->super;
    char error[LISTENERS_ERROR_BYTES];
    enum err e = ERR_NONE;
    if (c->last_words.base == NULL)
        e = shm_create(&c->last_words, "last-words", LAST_WORDS_BYTES);
    if (e != ERR_NONE)
        return e;
    memset(c->last_words.base, 0, LAST_WORDS_BYTES);
    /* The sockets of a worker that was away for long were closed; those of others who are away stay so. */
    uint64_t others = ~(UINT64_C(1) << (c->index % 64));
    if (c->role == ROLE_WORKER && !listeners_bind(s->listeners, s->current.conf, others, error))
        LOG_ERR("listening socket missing", KV_STR("child", c->name), KV_STR("cause", error));
    struct birth_gift gift = gift_for(c);
    char *exe = mem_printf("%s/%s", s->program_dir, role_executable(c->role));
    e = birth_spawn(exe, &gift, &c->pid, control_fd);
    mem_free(exe);
    return e;
}

static void wait_for_restart(struct child *c)
{
    int64_t delay_ms = backoff_exited(&c->backoff, loop_now_ms(c->super->loop));
    timer_start(&c->restart, delay_ms);
    c->wait_ms = delay_ms;
    if (c->role == ROLE_WORKER && delay_ms > KEEP_SOCKETS_MS)
        listeners_close_worker(c->super->listeners, c->index);
    if (c->backoff.failure_count >= QUIET_FAILURES_MAX)
        LOG_ERR("child keeps failing", KV_STR("child", c->name), KV_UINT("failures", c->backoff.failure_count),
                KV_INT("next_start_ms", delay_ms));
    else
        LOG_INFO("child will be started again", KV_STR("child", c->name), KV_INT("next_start_ms", delay_ms));
}

static void spawn(struct child *c)
{
    struct super *s = c->super;
    int control_fd = -1;
    enum err e = try_spawn(c, &control_fd);
    if (e != ERR_NONE) {
        LOG_ERR("child cannot be started", KV_STR("child", c->name), KV_STR("program", role_executable(c->role)),
                KV_STR("cause", err_text(e)));
        apply(c, CHILD_EXITED);
        wait_for_restart(c);
        return;
    }
    c->is_killed = false;
    c->ipc = ipc_create(s->loop, control_fd, on_message, on_hung_up, c);
    atomic_store(&row_of(c)->pid, c->pid);
    atomic_store(&row_of(c)->started_wall_ms, loop_wall_ms(s->loop));
    apply(c, CHILD_SPAWNED);
    LOG_INFO("child started", KV_STR("child", c->name), KV_INT("pid", c->pid));
    timer_start(&c->deadline, READY_DEADLINE_MS);
    if (tickets_give(s, c) != ERR_NONE) {
        kill_child(c, "takes no messages");
        return;
    }
    child_offer(c, &s->current);
    if (c->role == ROLE_ADMIN)
        events_tell_anew(s);
}

static void on_restart(void *arg)
{
    struct child *c = arg;
    atomic_fetch_add(&row_of(c)->restarts, 1);
    spawn(c);
}

static void on_deadline(void *arg)
{
    struct child *c = arg;
    if (!c->is_killed)
        kill_child(c, c->state == ROSTER_STARTING ? "not ready in time" : "still there after its time");
    else if (super_is_leaving(c->super)) /* stuck in the kernel; nothing left to wait for */
        loop_stop(c->super->loop);
}

/* ---- leaving ---- */

void child_dismiss(struct child *c, int64_t drain_ms)
{
    static const struct msg_empty stop = {0};
    const struct msg_drain drain = {.time_ms = drain_ms};
    if (c->state == ROSTER_UNUSED || c->state == ROSTER_GONE)
        return;
    timer_cancel(&c->restart);
    apply(c, CHILD_DISMISSED);
    if (c->state == ROSTER_GONE || c->is_killed)
        return;
    enum err e = ERR_EOF;
    if (c->ipc != NULL)
        e = drain_ms > 0 ? ipc_send(c->ipc, MSG_DRAIN, &drain, -1) : ipc_send(c->ipc, MSG_STOP, &stop, -1);
    if (e != ERR_NONE)
        kill_child(c, "takes no messages");
    else
        timer_start(&c->deadline, drain_ms + LEAVE_DEADLINE_MS);
}

/* Says how it ended, and tells the journal when that was no leave-taking. */
static void log_end(const struct child *c, int status)
{
    char how[48];
    const char *words = c->last_words.base;
    bool is_bad = c->state != ROSTER_DRAINING || !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    if (WIFEXITED(status)) {
        snprintf(how, sizeof how, "exit %d", WEXITSTATUS(status));
    } else {
        const char *name = sigabbrev_np(WTERMSIG(status));
        snprintf(how, sizeof how, "signal %s", name != NULL ? name : "unknown");
    }
    LOG_AT(is_bad ? LOG_LEVEL_ERR : LOG_LEVEL_INFO, "child ended", KV_STR("child", c->name), KV_INT("pid", c->pid),
           KV_STR("status", how));
    if (words[0] != '\0')
        LOG_ERR("last words of child", KV_STR("child", c->name), KV_INT("pid", c->pid),
                KV_STRN("text", words, strnlen(words, LAST_WORDS_BYTES)));
    if (!is_bad)
        return;
    char *cause =
        mem_printf("%s%s%.*s", how, words[0] != '\0' ? ": " : "", (int)strnlen(words, LAST_WORDS_BYTES), words);
    events_child_ended(c->super, c, cause);
    mem_free(cause);
}

static void bury(struct child *c, int status)
{
    struct super *s = c->super;
    log_end(c, status);
    /* Whoever dies over a new configuration is not able to work under it. */
    if (child_is_running(c) && c->sent_generation > c->held_generation)
        (void)reload_refused(s, c, c->sent_generation, "ended without an answer");
    c->pid = 0;
    atomic_store(&row_of(c)->pid, 0);
    timer_cancel(&c->deadline);
    if (c->ipc != NULL)
        ipc_destroy(&c->ipc);
    forget_confs(c);
    stats_clear_gauges(&s->tables.stats->block[c->row]);
    apply(c, CHILD_EXITED);
    if (c->state == ROSTER_WAITING)
        wait_for_restart(c);
    purger_forget(s, c);
    overrider_forget(s, c);
    alerter_forget(s, c);
    lister_forget(s, c);
    tallies_forget(s, c);
    super_child_changed(s);
}

void children_reap(struct super *s)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (uint32_t i = 0; i < CHILDREN_MAX; i++)
            if (s->child[i].pid == pid)
                bury(&s->child[i], status);
}

/* ---- all of them ---- */

static void child_init(struct child *c, struct super *s, uint32_t row, enum role role, uint32_t index)
{
    c->super = s;
    c->row = row;
    c->role = role;
    c->index = index;
    if (role == ROLE_WORKER)
        snprintf(c->name, sizeof c->name, "%s-%" PRIu32, role_name(role), index);
    else
        snprintf(c->name, sizeof c->name, "%s", role_name(role));
    timer_init(&c->restart, s->loop, on_restart, c);
    timer_init(&c->deadline, s->loop, on_deadline, c);
}

void children_init(struct super *s)
{
    static const enum role singles[] = {ROLE_CHECKER, ROLE_ADMIN, ROLE_DNS};
    uint32_t i = 0;
    for (; i < sizeof singles / sizeof *singles; i++)
        child_init(&s->child[i], s, i + 1, singles[i], 0);
    for (uint32_t index = 0; i < CHILDREN_MAX; i++, index++)
        child_init(&s->child[i], s, i + 1, ROLE_WORKER, index);
}

void children_fini(struct super *s)
{
    for (uint32_t i = 0; i < CHILDREN_MAX; i++) {
        struct child *c = &s->child[i];
        timer_cancel(&c->restart);
        timer_cancel(&c->deadline);
        if (c->ipc != NULL)
            ipc_destroy(&c->ipc);
        forget_confs(c);
        shm_fini(&c->last_words);
    }
}

void children_adjust(struct super *s)
{
    for (uint32_t i = 0; i < CHILDREN_MAX; i++) {
        struct child *c = &s->child[i];
        bool wanted = is_wanted(c, s->current.conf);
        if (wanted && (c->state == ROSTER_UNUSED || c->state == ROSTER_GONE))
            spawn(c);
        else if (!wanted && (child_is_running(c) || c->state == ROSTER_WAITING))
            child_dismiss(c, c->role == ROLE_WORKER ? s->current.conf->drain.time_ms : 0);
    }
}

static void feel_pulse(struct child *c)
{
    static const struct msg_empty ping = {0};
    if (c->state != ROSTER_READY || c->ipc == NULL || c->is_killed)
        return;
    if (pulse_is_lost(&c->pulse, loop_now_ms(c->super->loop)))
        kill_child(c, "does not answer");
    else
        (void)!ipc_send(c->ipc, MSG_PING, &ping, -1); /* its silence will tell */
}

void children_feel_pulse(struct super *s)
{
    for (uint32_t i = 0; i < CHILDREN_MAX; i++)
        feel_pulse(&s->child[i]);
}

void children_reopen_log(struct super *s, const struct edition *newest)
{
    static const struct msg_empty m = {0};
    for (uint32_t i = 0; i < CHILDREN_MAX; i++) {
        struct child *c = &s->child[i];
        if (c->ipc != NULL &&
            (ipc_send(c->ipc, MSG_REOPEN_LOG, &m, log_fd()) != ERR_NONE || send_access_log(c, newest) != ERR_NONE))
            LOG_WARN("child keeps the old log", KV_STR("child", c->name));
    }
}
