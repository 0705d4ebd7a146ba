/* The whole process, with this test as its supervisor: configurations go in, verdicts come out, and neither a bad
 * configuration nor a sudden death loses them.
 *
 * With TIDEGATE_TEST_CHILD in the environment the program is the checker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/birth.h"
#include "base/ipc.h"
#include "conf/conf.h"
#include "health/checker/checker.h"
#include "health/steering.h"
#include "health/verdict.h"
#include "tests/unit/health/checker/backend.h"

#define ENV         "TIDEGATE_TEST_CHILD"
#define PATIENCE_MS 10000 /* of a loaded machine; nothing here takes more than a fraction of a second */
#define CHECKER_ROW 1     /* in the roster; the test counts as the worker of row 2 */
#define WORKER_ROW  2
#define SERVERS     3

struct bench {
    struct loop *loop;
    struct shm slots, roster, stats, verdicts, last_words;
    struct birth_gift gift;
    struct backend backends[SERVERS];
    char dir[64];
    /* the child */
    pid_t pid;
    struct ipc *ipc;
    bool is_gone;
    struct msg_conf_ack ack;
    unsigned ack_count;
    char flip[IPC_TEXT_BYTES];
    uint64_t generation;
    struct timer patience;
    pid_t server; /* of serve_elsewhere(); 0: none */
};

static void on_patience(void *arg)
{
    (void)arg;
}

#define RUN_UNTIL(t, condition)                                                                                        \
    do {                                                                                                               \
        timer_start(&(t)->patience, PATIENCE_MS);                                                                      \
        while (!(condition)) {                                                                                         \
            if (!timer_is_active(&(t)->patience))                                                                      \
                fail_msg("never: %s", #condition);                                                                     \
            loop_run_once((t)->loop, false);                                                                           \
            usleep(200); /* the table is memory: nothing wakes us when it changes */                                   \
        }                                                                                                              \
        timer_cancel(&(t)->patience);                                                                                  \
    } while (0)

/* ---- the supervisor's part ---- */

static struct slots *slots(struct bench *t)
{
    return t->slots.base;
}

static struct verdict_table *table(struct bench *t)
{
    return t->verdicts.base;
}

static struct stats *stats(struct bench *t)
{
    return t->stats.base;
}

static void on_message(void *arg, enum ipc_type type, const void *payload, int fd)
{
    struct bench *t = arg;
    if (type == MSG_CONF_ACK) {
        t->ack = *(const struct msg_conf_ack *)payload;
        t->ack_count++;
    } else if (type == MSG_VERDICT_FLIP) {
        snprintf(t->flip, sizeof t->flip, "%s", ((const struct msg_text *)payload)->text);
    }
    if (fd >= 0)
        close(fd);
}

static void on_closed(void *arg)
{
    struct bench *t = arg;
    t->is_gone = true;
}

static void create(struct shm *s, size_t size_bytes)
{
    assert_int_equal(shm_create(s, "test", size_bytes), ERR_NONE);
}

static void create_tables(struct bench *t)
{
    create(&t->slots, sizeof(struct slots));
    create(&t->roster, sizeof(struct roster));
    create(&t->stats, sizeof(struct stats));
    create(&t->verdicts, sizeof(struct health_table));
    create(&t->last_words, LAST_WORDS_BYTES);
    slots_init(slots(t));
    ((struct roster *)t->roster.base)->magic = ROSTER_MAGIC;
    stats_init(stats(t));
    health_table_init(t->verdicts.base);
}

static void spawn(struct bench *t)
{
    char exe[256] = "";
    int control_fd;
    assert_true(readlink("/proc/self/exe", exe, sizeof exe - 1) > 0);
    setenv(ENV, "1", 1);
    assert_int_equal(birth_spawn(exe, &t->gift, &t->pid, &control_fd), ERR_NONE);
    unsetenv(ENV);
    t->is_gone = false;
    t->ack_count = 0;
    t->ipc = ipc_create(t->loop, control_fd, on_message, on_closed, t);
}

/* Sees the child out; returns what waitpid(2) says. */
static int bury(struct bench *t)
{
    int status = 0;
    RUN_UNTIL(t, t->is_gone);
    assert_int_equal(waitpid(t->pid, &status, 0), t->pid);
    t->pid = 0;
    ipc_destroy(&t->ipc);
    return status;
}

static void stop(struct bench *t)
{
    struct msg_empty m = {0};
    assert_int_equal(ipc_send(t->ipc, MSG_STOP, &m, -1), ERR_NONE);
    assert_int_equal(bury(t), 0); /* a sanitizer that found something makes this nonzero */
}

static void send_sealed(struct bench *t, const char *text)
{
    struct msg_conf m = {.generation = ++t->generation};
    int fd;
    unsigned before = t->ack_count;
    assert_int_equal(shm_seal_bytes("conf", text, strlen(text), &fd), ERR_NONE);
    assert_int_equal(ipc_send(t->ipc, MSG_CONF, &m, fd), ERR_NONE);
    close(fd);
    RUN_UNTIL(t, t->ack_count > before);
    assert_int_equal(t->ack.generation, t->generation);
}

/* A configuration with the first `count` backends as pool/s0, pool/s1, ... */
static void configure(struct bench *t, const char *check, size_t count)
{
    char yaml[2048], name[32];
    int n = snprintf(yaml, sizeof yaml,
                     "listen: [ { address: \"127.0.0.1:1\" } ]\n"
                     "routes: [ { pool: pool } ]\n"
                     "pools:\n  pool:\n    check: { %s }\n    servers:\n",
                     check);
    for (size_t i = 0; i < count; i++) {
        n += snprintf(yaml + n, sizeof yaml - (size_t)n, "      - { name: s%zu, url: \"http://127.0.0.1:%u\" }\n", i,
                      (unsigned)addr_port(&t->backends[i].addr));
        snprintf(name, sizeof name, "pool/s%zu", i);
        assert_int_equal(slots_claim(slots(t), SLOT_SERVER, name, NULL), i);
    }
    struct conf_errors errors = {0};
    struct conf *conf = conf_load_text("test", yaml, (size_t)n, false, &errors);
    if (conf == NULL)
        fail_msg("%s", errors.text);
    conf_errors_fini(&errors);
    char *sealed = conf_seal(conf);
    send_sealed(t, sealed);
    assert_true(t->ack.ok);
    mem_free(sealed);
    conf_unref(&conf);
}

static enum verdict_state state_of(struct bench *t, int slot)
{
    return verdict_read(table(t), slot).state;
}

static int setup(void **state)
{
    struct bench *t = calloc(1, sizeof *t);
    t->loop = loop_create();
    timer_init(&t->patience, t->loop, on_patience, t);
    create_tables(t);
    for (size_t i = 0; i < SERVERS; i++) {
        backend_open(&t->backends[i], t->loop);
        t->backends[i].does = BACKEND_ANSWERS;
    }
    snprintf(t->dir, sizeof t->dir, "/tmp/tidegate-checker-XXXXXX");
    assert_non_null(mkdtemp(t->dir));
    t->gift = (struct birth_gift){
        .note = {.magic = BIRTH_MAGIC, .role = ROLE_CHECKER, .roster_row = CHECKER_ROW, .worker_count = 1},
        .slots_fd = t->slots.fd,
        .roster_fd = t->roster.fd,
        .stats_fd = t->stats.fd,
        .verdicts_fd = t->verdicts.fd,
        .nudge_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
        .last_words_fd = t->last_words.fd,
        .log_fd = open("/dev/null", O_WRONLY | O_CLOEXEC),
    };
    snprintf(t->gift.note.state_dir, sizeof t->gift.note.state_dir, "%s", t->dir);
    spawn(t);
    *state = t;
    return 0;
}

static void close_backend(struct bench *t, size_t i)
{
    backend_close(&t->backends[i]);
    t->backends[i].fd = -1;
}

/* What a test that failed has left, stopped or not. */
static void end_process(pid_t *pid)
{
    if (*pid != 0) {
        kill(*pid, SIGKILL);
        (void)waitpid(*pid, NULL, 0);
        *pid = 0;
    }
}

static int teardown(void **state)
{
    struct bench *t = *state;
    char path[80];
    end_process(&t->server);
    if (t->pid != 0) {
        end_process(&t->pid);
        ipc_destroy(&t->ipc);
    }
    for (size_t i = 0; i < SERVERS; i++)
        if (t->backends[i].fd >= 0)
            close_backend(t, i);
    close(t->gift.nudge_fd);
    close(t->gift.log_fd);
    shm_fini(&t->slots);
    shm_fini(&t->roster);
    shm_fini(&t->stats);
    shm_fini(&t->verdicts);
    shm_fini(&t->last_words);
    snprintf(path, sizeof path, "%s/verdicts", t->dir);
    unlink(path);
    rmdir(t->dir);
    loop_destroy(&t->loop);
    free(t);
    return 0;
}

#define QUICK "type: http, interval: 400ms, timeout: 400ms, rise: 1, fall: 2, jitter: 0%"
#define NEVER "type: http, interval: 1h, timeout: 5s, rise: 1, fall: 2"

/* ---- tests ---- */

static void test_verdicts_follow_the_servers(void **state)
{
    struct bench *t = *state;
    configure(t, QUICK, 2);
    RUN_UNTIL(t, state_of(t, 0) == VERDICT_UP && state_of(t, 1) == VERDICT_UP);
    close_backend(t, 0);
    RUN_UNTIL(t, state_of(t, 0) == VERDICT_DOWN);
    RUN_UNTIL(t, strcmp(t->flip, "pool/s0 up down unreachable: no connection") == 0);
    t->backends[1].does = BACKEND_HANGS;
    RUN_UNTIL(t, state_of(t, 1) == VERDICT_DOWN);
    t->backends[1].does = BACKEND_ANSWERS;
    RUN_UNTIL(t, state_of(t, 1) == VERDICT_UP);
    stop(t);
}

static void test_it_shows_that_it_lives(void **state)
{
    struct bench *t = *state;
    RUN_UNTIL(t, !verdict_is_stale(table(t), loop_wall_ms(t->loop)));
    int64_t first_ms = atomic_load(&table(t)->heartbeat_wall_ms);
    RUN_UNTIL(t, atomic_load(&table(t)->heartbeat_wall_ms) > first_ms);
    kill(t->pid, SIGTERM);
    assert_int_equal(bury(t), 0);
}

static void test_failures_of_the_traffic_are_looked_into(void **state)
{
    struct bench *t = *state;
    configure(t, NEVER, 2);
    RUN_UNTIL(t, state_of(t, 0) == VERDICT_UP && state_of(t, 1) == VERDICT_UP);
    unsigned other_count = t->backends[1].accepted_count;
    close_backend(t, 0);
    stat_add(&stats(t)->block[WORKER_ROW].server[0][STAT_SERVER_FAILURES], 1);
    assert_int_equal(eventfd_write(t->gift.nudge_fd, 1), 0);
    RUN_UNTIL(t, verdict_read(table(t), 0).checks_left == 0);
    assert_int_equal(state_of(t, 0), VERDICT_UP);
    stat_add(&stats(t)->block[WORKER_ROW].server[0][STAT_SERVER_FAILURES], 1);
    assert_int_equal(eventfd_write(t->gift.nudge_fd, 1), 0);
    RUN_UNTIL(t, state_of(t, 0) == VERDICT_DOWN);
    assert_int_equal(t->backends[1].accepted_count, other_count);
    stop(t);
}

static void test_bad_configuration_changes_nothing(void **state)
{
    struct bench *t = *state;
    configure(t, QUICK, 1);
    RUN_UNTIL(t, state_of(t, 0) == VERDICT_UP);
    send_sealed(t, "pools: [ this is not it");
    assert_false(t->ack.ok);
    assert_true(strlen(t->ack.error) > 0);
    close_backend(t, 0);
    RUN_UNTIL(t, state_of(t, 0) == VERDICT_DOWN);
    stop(t);
}

static void test_servers_come_and_go_with_reloads(void **state)
{
    struct bench *t = *state;
    configure(t, NEVER, 1);
    RUN_UNTIL(t, state_of(t, 0) == VERDICT_UP);
    for (int i = 0; i < 20; i++) {
        configure(t, NEVER, SERVERS);
        configure(t, NEVER, 1);
    }
    configure(t, NEVER, SERVERS);
    RUN_UNTIL(t, state_of(t, 1) == VERDICT_UP && state_of(t, 2) == VERDICT_UP);
    assert_int_equal(t->backends[0].accepted_count, 1);        /* who stays is not asked again */
    assert_int_equal(verdict_read(table(t), 0).generation, 2); /* adopted, then up */
    stop(t);
}

static void test_sudden_death_loses_nothing(void **state)
{
    struct bench *t = *state;
    configure(t, QUICK, 2);
    RUN_UNTIL(t, state_of(t, 0) == VERDICT_UP && state_of(t, 1) == VERDICT_UP);
    uint64_t generation = verdict_read(table(t), 1).generation;
    kill(t->pid, SIGKILL);
    assert_true(WIFSIGNALED(bury(t)));
    spawn(t);
    t->backends[0].does = t->backends[1].does = BACKEND_HANGS;
    configure(t, NEVER, 2);
    assert_int_equal(state_of(t, 0), VERDICT_UP);
    assert_int_equal(verdict_read(table(t), 1).generation, generation);
    stop(t);
}

static void test_last_run_is_remembered(void **state)
{
    struct bench *t = *state;
    configure(t, QUICK, 2);
    close_backend(t, 0);
    RUN_UNTIL(t, state_of(t, 0) == VERDICT_DOWN && state_of(t, 1) == VERDICT_UP);
    stop(t);
    health_table_init(t->verdicts.base); /* a new run of the gateway has new tables */
    spawn(t);
    t->backends[1].does = BACKEND_HANGS;
    configure(t, NEVER, SERVERS);
    assert_int_equal(state_of(t, 0), VERDICT_DOWN);
    assert_int_equal(state_of(t, 1), VERDICT_UP);
    assert_int_equal(state_of(t, 2), VERDICT_UNKNOWN);
    stop(t);
}

/* A server in a process of its own, because it is going to be paused. It dies with the test: it holds the
 * test's end of the checker's socket as well, without whose end of stream the checker would live on, too. */
static pid_t serve_elsewhere(const struct backend *b)
{
    pid_t pid = fork();
    if (pid != 0) {
        assert_true(pid > 0);
        return pid;
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    char request[1024];
    (void)fcntl(b->fd, F_SETFL, 0);
    for (;;) {
        int fd = accept(b->fd, NULL, NULL);
        if (fd < 0)
            _exit(1);
        (void)!read(fd, request, sizeof request);
        (void)!write(fd, answer, sizeof answer - 1);
        close(fd);
    }
}

static void test_paused_server_is_down(void **state)
{
    struct bench *t = *state;
    io_want(&t->backends[0].io, 0);
    t->server = serve_elsewhere(&t->backends[0]);
    configure(t, QUICK, 1);
    RUN_UNTIL(t, state_of(t, 0) == VERDICT_UP);
    kill(t->server, SIGSTOP);
    RUN_UNTIL(t, state_of(t, 0) == VERDICT_DOWN);
    kill(t->server, SIGCONT);
    RUN_UNTIL(t, state_of(t, 0) == VERDICT_UP);
    stop(t);
}

int main(void)
{
    if (getenv(ENV) != NULL)
        return checker_main();
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(test_verdicts_follow_the_servers),
        T(test_it_shows_that_it_lives),
        T(test_failures_of_the_traffic_are_looked_into),
        T(test_bad_configuration_changes_nothing),
        T(test_servers_come_and_go_with_reloads),
        T(test_sudden_death_loses_nothing),
        T(test_last_run_is_remembered),
        T(test_paused_server_is_down),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
