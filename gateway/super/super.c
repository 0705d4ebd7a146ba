/* Birth, signals and death of the supervisor. What happens in between is in children.c and reload.c.
 *
 * Leaving is the hard part: on QUIT the workers drain first, while checker and admin go on working for them; on TERM
 * all leave at once. Either way every child has a deadline after which it is killed, so this process always ends. */
#include "gateway/super/super.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "gateway/report/report.h"

/* ---- commands of the control socket ---- */

static void command_status(void *arg, struct control_request *r, const char *rest)
{
    struct super *s = arg;
    const struct report_view view = {.conf = s->current.conf,
                                     .slots = s->tables.slots,
                                     .roster = s->tables.roster,
                                     .stats = s->tables.stats,
                                     .verdicts = &s->tables.health->verdicts,
                                     .steering = &s->tables.health->steering,
                                     .wall_ms = loop_wall_ms(s->loop)};
    (void)rest;
    report_status_json(&view, &r->body);
    control_answer(&r, NULL);
}

static void command_reload(void *arg, struct control_request *r, const char *rest)
{
    (void)rest;
    reload_start(arg, r);
}

static void command_purge(void *arg, struct control_request *r, const char *rest)
{
    purger_start(arg, r, rest);
}

static void command_force(void *arg, struct control_request *r, const char *rest)
{
    overrider_force(arg, r, rest);
}

static void command_drain(void *arg, struct control_request *r, const char *rest)
{
    overrider_drain(arg, r, rest);
}

static void command_undrain(void *arg, struct control_request *r, const char *rest)
{
    overrider_undrain(arg, r, rest);
}

static void command_ack(void *arg, struct control_request *r, const char *rest)
{
    alerter_ack(arg, r, rest);
}

static void command_alerts(void *arg, struct control_request *r, const char *rest)
{
    alerter_alerts(arg, r, rest);
}

static void command_sessions(void *arg, struct control_request *r, const char *rest)
{
    lister_start(arg, r, rest);
}

static void command_events(void *arg, struct control_request *r, const char *rest)
{
    events_command(arg, r, rest);
}

static void reopen_logs(struct super *s)
{
    log_reopen();
    edition_reopen_access_log(&s->current);
    edition_reopen_access_log(&s->reload.offer);
    children_reopen_log(s, s->reload.offer.conf != NULL ? &s->reload.offer : &s->current);
    LOG_INFO("log opened again");
}

static void command_reopen_logs(void *arg, struct control_request *r, const char *rest)
{
    (void)rest;
    reopen_logs(arg);
    control_answer(&r, NULL);
}

static const struct control_command commands[] = {
    {"status", command_status},
    {"reload", command_reload},
    {"purge", command_purge},
    {"force", command_force},
    {"drain", command_drain},
    {"undrain", command_undrain},
    {"events", command_events},
    {"ack", command_ack},
    {"alerts", command_alerts},
    {"sessions", command_sessions},
    {"reopen-logs", command_reopen_logs},
    {NULL, NULL},
};

/* ---- leaving ---- */

bool super_is_leaving(const struct super *s)
{
    return s->state == SUPER_DRAINING || s->state == SUPER_STOPPING;
}

static void dismiss_role(struct super *s, enum role role, int64_t drain_ms)
{
    for (uint32_t i = 0; i < CHILDREN_MAX; i++)
        if (role == ROLE_COUNT || s->child[i].role == role)
            child_dismiss(&s->child[i], drain_ms);
}

static void end_if_empty(struct super *s)
{
    if (s->state == SUPER_DRAINING && children_alive_count(s, ROLE_WORKER) == 0)
        super_stop(s, s->exit_code);
    if (s->state == SUPER_STOPPING && children_alive_count(s, ROLE_COUNT) == 0)
        loop_stop(s->loop);
}

void super_stop(struct super *s, int exit_code)
{
    if (s->state == SUPER_STOPPING)
        return;
    LOG_INFO("stopping");
    s->state = SUPER_STOPPING;
    struct event stop;
    event_init(&stop, EVENT_STOP, EVENT_ONCE, s->current.conf->node.name, "", "", "");
    events_add(s->events, &stop);
    s->exit_code = exit_code;
    notify_stopping(s->notify);
    reload_abandon(s);
    dismiss_role(s, ROLE_COUNT, 0);
    listeners_close_all(s->listeners);
    end_if_empty(s);
}

static void drain(struct super *s)
{
    int64_t time_ms = s->current.conf->drain.time_ms;
    if (super_is_leaving(s))
        return;
    LOG_INFO("draining", KV_INT("within_ms", time_ms));
    s->state = SUPER_DRAINING;
    notify_stopping(s->notify);
    notify_status(s->notify, "draining");
    reload_abandon(s);
    dismiss_role(s, ROLE_WORKER, time_ms);
    listeners_close_all(s->listeners);
    end_if_empty(s);
}

void super_child_changed(struct super *s)
{
    CHECK_OBJ(s, SUPER_MAGIC);
    if (super_is_leaving(s)) {
        end_if_empty(s);
        return;
    }
    if (s->state == SUPER_STARTING && children_are_ready(s)) {
        s->state = SUPER_RUNNING;
        LOG_INFO("ready", KV_UINT("workers", conf_worker_count(s->current.conf)));
        notify_status(s->notify, "running");
        notify_ready(s->notify);
    }
    children_adjust(s); /* a worker that drained may be wanted again by now */
    reload_check(s);
}

/* ---- signals ---- */

static void on_stop_signal(struct super *s)
{
    super_stop(s, s->exit_code);
}

static void on_reload_signal(struct super *s)
{
    reload_start(s, NULL);
}

static void on_upgrade_signal(struct super *s)
{
    (void)s;
    LOG_WARN("signal ignored, this version does not hand over to another one", KV_STR("signal", "USR2"));
}

static const struct {
    int signo;
    void (*run)(struct super *s);
} signals[SUPER_SIG_COUNT] = {
    {SIGTERM, on_stop_signal},    {SIGINT, on_stop_signal}, {SIGQUIT, drain},
    {SIGHUP, on_reload_signal},   {SIGUSR1, reopen_logs},   {SIGCHLD, children_reap},
    {SIGUSR2, on_upgrade_signal},
};

static void on_signal(void *arg, int signo)
{
    for (size_t i = 0; i < SUPER_SIG_COUNT; i++)
        if (signals[i].signo == signo)
            signals[i].run(arg);
}

static void on_pulse(void *arg)
{
    struct super *s = arg;
    timer_start(&s->pulse, PULSE_EVERY_MS);
    children_feel_pulse(s);
}

/* ---- getting ready ---- */

static int complain(const char *what, const char *object, const char *cause, int exit_code)
{
    LOG_ERR(what, KV_STR("object", object), KV_STR("cause", cause));
    return exit_code;
}

/* Whom the children become; nobody when we are nobody special ourselves. */
static int find_user(struct super *s)
{
    const char *name = s->current.conf->user;
    if (name[0] == '\0')
        return EX_OK;
    const struct passwd *p = getpwnam(name);
    if (p == NULL)
        return complain("no such user", name, "not_found", EX_CONFIG);
    if (geteuid() == 0) {
        s->uid = p->pw_uid;
        s->gid = p->pw_gid;
    } else if (p->pw_uid != geteuid()) {
        LOG_WARN("not started as root, children keep our identity", KV_STR("user", name));
    }
    return EX_OK;
}

static int make_state_dir(struct super *s)
{
    const char *path = s->current.conf->state_dir;
    if (path[0] == '\0')
        return EX_OK;
    if (mkdir(path, S_IRWXU | S_IRGRP | S_IXGRP) != 0 && errno != EEXIST)
        return complain("directory cannot be made", path, strerror(errno), EX_OSERR);
    if (s->uid != 0 && chown(path, s->uid, s->gid) != 0)
        return complain("directory cannot be given away", path, strerror(errno), EX_OSERR);
    return EX_OK;
}

/* Cuts a path with a slash in it down to its directory. */
static char *cut_to_dir(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash != NULL)
        slash[slash == path ? 1 : 0] = '\0';
    return path;
}

static int open_events(struct super *s)
{
    s->events = events_create(s);
    return EX_OK;
}

/* A socket that answers belongs to another gateway, and two under one name is a mistake. Any other failure, such as a
 * directory that is not ours, costs the operator's tool and nothing else. */
static int open_control(struct super *s)
{
    const char *path = s->current.conf->control.path;
    enum err e = ERR_NONE;
    if (path[0] == '\0')
        return EX_OK;
    if (strchr(path, '/') != NULL) {
        char *copy = mem_strdup(path);
        (void)mkdir(cut_to_dir(copy), S_IRWXU | S_IRGRP | S_IXGRP | S_IROTH | S_IXOTH);
        mem_free(copy);
    }
    s->control = control_create(s->loop, path, commands, s, &e);
    if (e == ERR_BUSY)
        return complain("another gateway answers on the control socket", path, err_text(e), EX_OSERR);
    if (e != ERR_NONE)
        LOG_WARN("no control socket, tidegatectl will not work", KV_STR("path", path),
                 KV_STR("cause", e == ERR_INVALID ? "the file there is not a socket" : err_text(e)));
    return EX_OK;
}

/* The children's programs stand beside this one. */
static int find_programs(struct super *s)
{
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (len <= 0)
        return complain("own program not found", "/proc/self/exe", strerror(errno), EX_OSERR);
    self[len] = '\0';
    s->program_dir = mem_strdup(cut_to_dir(self));
    char *worker = mem_printf("%s/%s", s->program_dir, role_executable(ROLE_WORKER));
    int code = access(worker, X_OK) == 0 ? EX_OK : complain("program missing", worker, strerror(errno), EX_UNAVAILABLE);
    mem_free(worker);
    return code;
}

static int load(struct super *s)
{
    struct strbuf complaints;
    strbuf_init(&complaints, 1u << 20);
    int code = edition_make(s, &s->current, &complaints);
    if (code == EX_OK)
        edition_publish(s);
    else
        fputs(complaints.data, stderr);
    strbuf_fini(&complaints);
    return code;
}

static int create_tables(struct super *s)
{
    enum err e = tables_create(&s->tables);
    if (e != ERR_NONE)
        return complain("shared memory cannot be made", "tables", err_text(e), EX_OSERR);
    struct roster *r = s->tables.roster;
    r->row[0].role = ROLE_SUPERVISOR;
    atomic_store(&r->row[0].pid, getpid());
    atomic_store(&r->row[0].started_wall_ms, loop_wall_ms(s->loop));
    atomic_store(&r->row[0].state, ROSTER_READY);
    atomic_store(&r->started_wall_ms, loop_wall_ms(s->loop));
    atomic_store(&r->conf_loaded_wall_ms, loop_wall_ms(s->loop));
    atomic_store(&r->reload_ok, 1);
    return EX_OK;
}

/* Listening sockets times workers; children have limits of their own. */
static int raise_limit(struct super *s)
{
    struct rlimit files;
    (void)s;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    return EX_OK;
}

struct super *super_create(struct loop *l, const char *conf_path, int *exit_code)
{
    static int (*const steps[])(struct super *) = {create_tables, raise_limit,    load,         find_user,
                                                   find_programs, make_state_dir, open_control, open_events};
    struct super *s;
    OBJ_NEW(s, SUPER_MAGIC);
    s->loop = l;
    s->conf_path = conf_path;
    s->current = EDITION_NONE;
    s->listeners = listeners_create();
    s->notify = notify_create_from_environment(l);
    children_init(s);
    reload_init(s);
    tickets_init(s);
    purger_init(s);
    overrider_init(s);
    alerter_init(s);
    lister_init(s);
    tallies_init(s);
    timer_init(&s->pulse, l, on_pulse, s);
    for (size_t i = 0; i < SUPER_SIG_COUNT; i++)
        sig_init(&s->sigs[i], l, signals[i].signo, on_signal, s);
    *exit_code = EX_OK;
    for (size_t i = 0; i < sizeof steps / sizeof *steps && *exit_code == EX_OK; i++)
        *exit_code = steps[i](s);
    if (*exit_code != EX_OK)
        super_destroy(&s);
    return s;
}

int super_run(struct super *s)
{
    CHECK_OBJ(s, SUPER_MAGIC);
    LOG_INFO("starting", KV_STR("version", TIDEGATE_VERSION), KV_STR("config", s->conf_path), KV_INT("pid", getpid()));
    events_started(s);
    children_adjust(s);
    on_pulse(s);
    loop_run(s->loop);
    LOG_INFO("stopped", KV_INT("exit", s->exit_code));
    return s->exit_code;
}

void super_destroy(struct super **sp)
{
    struct super *s = *sp;
    CHECK_OBJ(s, SUPER_MAGIC);
    for (size_t i = 0; i < SUPER_SIG_COUNT; i++)
        sig_fini(&s->sigs[i]);
    if (s->control != NULL)
        control_destroy(&s->control);
    timer_cancel(&s->pulse);
    reload_fini(s);
    tickets_fini(s);
    purger_fini(s);
    overrider_fini(s);
    alerter_fini(s);
    lister_fini(s);
    tallies_fini(s);
    children_fini(s);
    if (s->events != NULL)
        events_destroy(&s->events);
    notify_destroy(&s->notify);
    listeners_destroy(&s->listeners);
    edition_drop(&s->current);
    tables_fini(&s->tables);
    mem_free(s->program_dir);
    OBJ_FREE(sp, SUPER_MAGIC);
}
