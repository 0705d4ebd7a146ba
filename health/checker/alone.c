/* A supervisor of one checker in its own process: the checker is the same as under a gateway, down to the socketpair on
 * which it is given configurations, and this file is at the other end of it. Its tables are memory that nobody shares.
 *
 * Privileges go before the first probe and never come back, so a reload reads the file as the user the process became.
 */
#include "health/checker/alone.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/birth.h"
#include "base/ipc.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "health/checker/checker.h"
#include "health/steering.h"

#define ALONE_MAGIC 0xa10e5c4bu

enum mode { MODE_RUN = 0, MODE_CHECK, MODE_VERSION, MODE_HELP };

struct alone {
    uint32_t magic;
    struct loop *loop;
    const char *path;
    int exit_code;
    struct birth birth; /* as a supervisor would have handed it over */
    struct slots *slots;
    struct roster *roster;
    struct health_table *health;
    struct ipc *ipc;
    struct checker *checker;

    struct conf *conf;    /* the checker works with it; NULL before the first one */
    struct conf *offered; /* it has not answered yet; NULL: nothing is offered */
    uint64_t generation;
    bool is_asked_again; /* a reload was asked for during another */
    struct sig hup, usr1, term, interrupt;
};

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'}, {"check", no_argument, NULL, 't'}, {"version", no_argument, NULL, 'v'},
    {"build", no_argument, NULL, 'V'},        {"help", no_argument, NULL, 'h'},  {NULL, 0, NULL, 0},
};

static const char usage[] =
    "usage: tidegate-checker -c FILE [-t] | -v | -h\n"
    "\n"
    "Checks the targets and servers of FILE without a gateway, and takes part in its quorum.\n"
    "\n"
    "  -c, --config FILE  configuration\n"
    "  -t, --check        check the configuration and exit: 0 good, 78 not\n"
    "  -v, -V, --version  print the version\n"
    "  -h, --help         print this\n"
    "\n"
    "Runs in the foreground. Signals: TERM and INT stop, HUP reloads the configuration, USR1 opens\n"
    "the log file again. Under a gateway, tidegate starts it.\n";

/* ---- the file ---- */

static size_t server_count(const struct conf *c)
{
    size_t count = c->target_count;
    for (size_t i = 0; i < c->pool_count; i++)
        count += c->pools[i].server_count;
    return count;
}

/* What only we want of a file; NULL: nothing is wrong. */
static const char *find_fault(const struct conf *c)
{
    if (server_count(c) == 0)
        return "there is nothing to check, expected targets or pools";
    if (c->user[0] != '\0' && getpwnam(c->user) == NULL)
        return "user: does not exist on this system";
    return NULL;
}

/* The configuration, or NULL with every complaint in `complaints`, one per line. */
static struct conf *load(const char *path, struct strbuf *complaints)
{
    struct conf_errors errors = {.count = 0};
    struct conf *c = conf_load_file(path, &errors);
    const char *fault = c != NULL ? find_fault(c) : NULL;

    if (c == NULL)
        strbuf_puts(complaints, errors.text != NULL ? errors.text : "the configuration cannot be read\n");
    conf_errors_fini(&errors);
    if (fault != NULL) {
        strbuf_printf(complaints, "%s: %s\n", path, fault);
        conf_unref(&c);
    }
    return c;
}

#define COMPLAINTS_BYTES_MAX (1u << 20)

static struct conf *load_or_print(const char *path)
{
    struct strbuf complaints;
    strbuf_init(&complaints, COMPLAINTS_BYTES_MAX);
    struct conf *c = load(path, &complaints);
    if (c == NULL)
        fputs(complaints.data, stderr);
    strbuf_fini(&complaints);
    return c;
}

/* ---- configurations for the checker ---- */

static bool claim(struct alone *a, const struct conf_server *s)
{
    bool is_new = false;
    const int slot = slots_claim(a->slots, SLOT_SERVER, s->slot_name, &is_new);

    if (slot >= 0 && is_new)
        stats_clear_server(a->birth.stats, slot);
    if (slot >= 0)
        return true;
    LOG_ERR("no room for another server", KV_STR("server", s->slot_name), KV_UINT("servers_max", SLOTS_SERVERS));
    return false;
}

static bool claim_all(struct alone *a, const struct conf *c)
{
    bool ok = true;
    for (size_t i = 0; i < c->target_count && ok; i++)
        ok = claim(a, &c->targets[i]);
    for (size_t i = 0; i < c->pool_count; i++)
        for (size_t k = 0; k < c->pools[i].server_count && ok; k++)
            ok = claim(a, &c->pools[i].servers[k]);
    return ok;
}

/* Rows of servers that are in neither configuration. */
static void retire(struct alone *a)
{
    for (int slot = 0; slot < (int)SLOTS_SERVERS; slot++) {
        const char *name = slots_name(a->slots, SLOT_SERVER, slot);
        if (name != NULL && (a->conf == NULL || conf_find_server(a->conf, name) == NULL))
            slots_retire(a->slots, SLOT_SERVER, slot);
    }
}

/* Takes `c`. */
static void offer(struct alone *a, struct conf *c)
{
    struct msg_conf m = {.generation = ++a->generation};
    int fd = -1;

    a->offered = c;
    char *text = conf_seal(c);
    enum err e = claim_all(a, c) ? shm_seal_bytes("conf", text, strlen(text), &fd) : ERR_FULL;
    mem_wipe(text, strlen(text));
    mem_free(text);
    if (e == ERR_NONE)
        e = ipc_send(a->ipc, MSG_CONF, &m, fd);
    if (fd >= 0)
        close(fd);
    if (e == ERR_NONE)
        return;
    LOG_ERR("configuration not taken", KV_STR("path", a->path), KV_STR("cause", err_text(e)));
    conf_unref(&a->offered);
    retire(a);
    if (a->conf == NULL) {
        a->exit_code = EX_CONFIG;
        loop_stop(a->loop);
    }
}

/* Each complaint is a line of the log. */
static void refuse(const struct alone *a, const struct strbuf *complaints)
{
    const char *line = complaints->data;
    for (const char *end; (end = strchr(line, '\n')) != NULL; line = end + 1)
        LOG_ERR("configuration refused, the old one stays", KV_STR("path", a->path),
                KV_STRN("complaint", line, end - line));
}

static void on_hup(void *arg, int signo)
{
    struct alone *a = arg;
    struct strbuf complaints;
    CHECK_OBJ(a, ALONE_MAGIC);

    (void)signo;
    a->is_asked_again = a->offered != NULL;
    if (a->is_asked_again)
        return;
    strbuf_init(&complaints, COMPLAINTS_BYTES_MAX);
    struct conf *c = load(a->path, &complaints);
    if (c != NULL)
        offer(a, c);
    else
        refuse(a, &complaints);
    strbuf_fini(&complaints);
}

static void on_ack(struct alone *a, const struct msg_conf_ack *m)
{
    if (m->generation != a->generation || a->offered == NULL)
        return;
    if (m->ok) {
        LOG_INFO(a->conf == NULL ? "checker stands alone" : "configuration reloaded", KV_STR("path", a->path),
                 KV_STR("node", a->offered->node.name), KV_UINT("servers", server_count(a->offered)),
                 KV_STR("group", a->offered->quorum.redis.text[0] != '\0' ? a->offered->quorum.group : ""));
        if (a->conf != NULL)
            conf_unref(&a->conf);
        a->conf = a->offered;
        a->offered = NULL;
    } else {
        LOG_ERR("configuration refused", KV_STR("path", a->path),
                KV_STRN("complaint", m->error, strnlen(m->error, sizeof m->error)));
        conf_unref(&a->offered);
        if (a->conf == NULL) {
            a->exit_code = EX_CONFIG;
            loop_stop(a->loop);
        }
    }
    retire(a);
    if (a->is_asked_again)
        on_hup(a, SIGHUP);
}

/* Flips are in the log already, and events are for a journal that is not here. */
static void on_message(void *arg, enum ipc_type type, const void *payload, int fd)
{
    struct alone *a = arg;
    CHECK_OBJ(a, ALONE_MAGIC);
    if (type == MSG_CONF_ACK)
        on_ack(a, payload);
    if (fd >= 0)
        close(fd);
}

static void on_closed(void *arg)
{
    struct alone *a = arg;
    loop_stop(a->loop);
}

/* ---- start ---- */

static void on_usr1(void *arg, int signo)
{
    (void)arg;
    (void)signo;
    log_reopen();
}

static void on_end(void *arg, int signo)
{
    struct alone *a = arg;
    LOG_INFO("told to end", KV_STR("signal", strsignal(signo)));
    loop_stop(a->loop);
}

static bool complain(const char *what, const char *object)
{
    LOG_ERR(what, KV_STR("object", object), KV_STR("cause", strerror(errno)));
    return false;
}

/* Files are given to whom we become: the directory before it is opened, the log while it is ours. */
static bool prepare_files(const struct conf *c, const struct passwd *user)
{
    const char *dir = c->state_dir;
    const char *log = c->log.file[0] != '\0' ? c->log.file : NULL;

    log_open(role_name(ROLE_CHECKER), c->log.level, c->log.format, log);
    if (user != NULL && log != NULL && fchown(log_fd(), user->pw_uid, user->pw_gid) != 0)
        return complain("log file cannot be given away", log);
    if (dir[0] == '\0')
        return true;
    if (mkdir(dir, S_IRWXU | S_IRGRP | S_IXGRP) != 0 && errno != EEXIST)
        return complain("directory cannot be made", dir);
    if (user != NULL && chown(dir, user->pw_uid, user->pw_gid) != 0)
        return complain("directory cannot be given away", dir);
    return true;
}

static bool drop_privileges(const struct passwd *user)
{
    const struct rlimit no_core = {0, 0};

    (void)setrlimit(RLIMIT_CORE, &no_core);
    umask(S_IWGRP | S_IRWXO);
    if (user != NULL && (setgroups(0, NULL) != 0 || setresgid(user->pw_gid, user->pw_gid, user->pw_gid) != 0 ||
                         setresuid(user->pw_uid, user->pw_uid, user->pw_uid) != 0))
        return complain("privileges could not be given up", user->pw_name);
    if (user != NULL && user->pw_uid != 0 && setuid(0) == 0)
        return complain("privileges could be taken back", user->pw_name);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return complain("privileges could be had again", "no_new_privs");
    return true;
}

/* Whom to become; NULL: nobody else. */
static const struct passwd *find_user(const struct conf *c)
{
    const struct passwd *user = c->user[0] != '\0' ? getpwnam(c->user) : NULL;

    if (user == NULL || geteuid() == 0)
        return user;
    if (user->pw_uid != geteuid())
        LOG_WARN("not started as root, the identity stays", KV_STR("user", c->user));
    return NULL;
}

static bool make_tables(struct alone *a, int *supervisor_fd)
{
    int pair[2];
    struct birth *b = &a->birth;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        return complain("socketpair", "checker");
    a->slots = mem_alloc(sizeof *a->slots);
    a->roster = mem_alloc(sizeof *a->roster);
    a->health = mem_alloc(sizeof *a->health);
    slots_init(a->slots);
    a->roster->magic = ROSTER_MAGIC;
    health_table_init(a->health);
    b->stats = mem_alloc(sizeof *b->stats);
    stats_init(b->stats);
    b->block = &b->stats->block[0];
    b->slots = a->slots;
    b->roster = a->roster;
    b->verdicts = (struct shm){.fd = -1, .base = a->health, .size_bytes = sizeof *a->health};
    b->note = (struct birth_note){.magic = BIRTH_MAGIC, .role = ROLE_CHECKER};
    b->is_alone = true;
    *supervisor_fd = pair[0];
    b->control_fd = pair[1];
    b->nudge_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); /* there are no workers to signal it */
    return b->nudge_fd >= 0 || complain("eventfd", "checker");
}

static void free_tables(struct alone *a)
{
    if (a->birth.nudge_fd > 0)
        close(a->birth.nudge_fd);
    mem_free(a->birth.stats);
    mem_free(a->slots);
    mem_free(a->roster);
    mem_free(a->health);
}

/* With the first configuration, which is taken. */
static void run_loop(struct alone *a, struct conf *c)
{
    sig_init(&a->hup, a->loop, SIGHUP, on_hup, a);
    sig_init(&a->usr1, a->loop, SIGUSR1, on_usr1, a);
    sig_init(&a->term, a->loop, SIGTERM, on_end, a);
    sig_init(&a->interrupt, a->loop, SIGINT, on_end, a);
    offer(a, c);
    loop_run(a->loop);
    checker_destroy(&a->checker);
    sig_fini(&a->hup);
    sig_fini(&a->usr1);
    sig_fini(&a->term);
    sig_fini(&a->interrupt);
}

static void run_with(struct alone *a, struct conf *c)
{
    const struct passwd *user = find_user(c);
    int supervisor_fd = -1;

    a->exit_code = EX_OSERR;
    if (!prepare_files(c, user)) {
        conf_unref(&c);
        return;
    }
    struct state_file *file = state_file_open(c->state_dir);
    if (!drop_privileges(user) || !make_tables(a, &supervisor_fd)) {
        state_file_close(&file);
        conf_unref(&c);
        return;
    }
    a->ipc = ipc_create(a->loop, supervisor_fd, on_message, on_closed, a);
    a->checker = checker_create(a->loop, &a->birth, file);
    a->exit_code = a->checker != NULL ? EX_OK : EX_UNAVAILABLE;
    if (a->checker != NULL)
        run_loop(a, c);
    else
        conf_unref(&c);
    ipc_destroy(&a->ipc);
}

/* Started without standard descriptors, ours would take their numbers. */
static bool fill_standard_fds(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (fd >= 0 && fd <= STDERR_FILENO);
    return fd >= 0 && close(fd) == 0;
}

static int run(const char *path)
{
    struct alone *a;

    if (!fill_standard_fds())
        return EX_OSERR;
    struct conf *c = load_or_print(path);
    if (c == NULL)
        return EX_CONFIG;
    OBJ_NEW(a, ALONE_MAGIC);
    a->path = path;
    a->loop = loop_create();
    log_open(role_name(ROLE_CHECKER), LOG_LEVEL_INFO, LOG_FORMAT_TEXT, NULL);
    run_with(a, c);
    const int exit_code = a->exit_code;
    loop_destroy(&a->loop);
    if (a->offered != NULL)
        conf_unref(&a->offered);
    if (a->conf != NULL)
        conf_unref(&a->conf);
    free_tables(a);
    OBJ_FREE(&a, ALONE_MAGIC);
    log_close();
    return exit_code;
}

static int check(const char *path)
{
    struct conf *c = load_or_print(path);
    if (c == NULL)
        return EX_CONFIG;
    printf("%s: good\n", path);
    conf_unref(&c);
    return EX_OK;
}

static int complain_usage(const char *what)
{
    fprintf(stderr, "tidegate-checker: %s\n%s", what, usage);
    return EX_USAGE;
}

int alone_main(int argc, char **argv)
{
    const char *path = NULL;
    enum mode mode = MODE_RUN;

    for (int option; (option = getopt_long(argc, argv, "c:tvVh", long_options, NULL)) != -1;) {
        if (option == 'c')
            path = optarg;
        else if (option == '?')
            return complain_usage("see below");
        else
            mode = option == 't' ? MODE_CHECK : option == 'h' ? MODE_HELP : MODE_VERSION;
    }
    if (optind < argc)
        return complain_usage("there is a word too many");
    if (mode == MODE_VERSION)
        return printf("tidegate-checker %s\n", TIDEGATE_VERSION) > 0 ? EX_OK : EX_IOERR;
    if (mode == MODE_HELP)
        return fputs(usage, stdout) >= 0 ? EX_OK : EX_IOERR;
    if (path == NULL)
        return complain_usage("which configuration? -c FILE");
    return mode == MODE_CHECK ? check(path) : run(path);
}
