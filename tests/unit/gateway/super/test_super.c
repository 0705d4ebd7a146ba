/* The whole supervisor with real processes: start, reload, refusal, crash, drain, stop.
 *
 * This program is its own worker: the supervisor looks for `tidegate-worker` beside its own executable, and there a
 * link leads back here. What the worker does with a configuration stands in the node's name: "refuse-N" and "crash-N"
 * mean worker N; under "silent-N" worker N does not answer, and under "lingering-N" it does not leave when told to
 * drain. What it holds is told in its counters: the listeners as a gauge, each drain as a count, and the newest
 * ticket key as a number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/birth.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/super/super.h"

#define ENV           "TIDEGATE_TEST_WORKER"
#define PATIENCE_MS   10000
#define LISTENERS_MAX 16

/* ---- the worker ---- */

struct stub {
    struct birth birth;
    struct loop *loop;
    struct ipc *ipc;
    struct {
        char address[IPC_TEXT_BYTES];
        int fd;
        bool is_new;
    } listener[LISTENERS_MAX];
    unsigned count;
    bool is_lingering;
    bool has_keys;
};

static bool stub_is_meant(const struct stub *w, const struct conf *c, const char *what)
{
    char name[32];
    snprintf(name, sizeof name, "%s-%u", what, (unsigned)w->birth.note.index);
    return strcmp(c->node.name, name) == 0;
}

static bool names_address(const struct conf *c, const char *address)
{
    for (size_t i = 0; i < c->listen_count; i++)
        if (strcmp(c->listen[i].text, address) == 0)
            return true;
    return false;
}

/* The law of listeners, see base/ipc.h. */
static void stub_settle(struct stub *w, const struct conf *c, bool is_taken)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < w->count; i++) {
        bool keep = is_taken ? names_address(c, w->listener[i].address) : !w->listener[i].is_new;
        if (!keep) {
            close(w->listener[i].fd);
            continue;
        }
        w->listener[kept] = w->listener[i];
        w->listener[kept++].is_new = false;
    }
    w->count = kept;
    atomic_store(&w->birth.block->process[STAT_CLIENTS_OPEN], kept);
}

static void stub_take(struct stub *w, uint64_t generation, int fd)
{
    struct msg_conf_ack ack = {.generation = generation, .error = "the stub refuses"};
    struct conf_errors errors = {.count = 0};
    char *text = NULL;
    size_t len = 0;
    if (shm_read_sealed(fd, 1u << 20, &text, &len) != ERR_NONE)
        _exit(90);
    close(fd);
    struct conf *c = conf_load_text("sealed", text, len, true, &errors);
    if (c == NULL)
        _exit(91);
    if (stub_is_meant(w, c, "crash"))
        _exit(92);
    ack.ok = !stub_is_meant(w, c, "refuse");
    w->is_lingering = stub_is_meant(w, c, "lingering");
    stub_settle(w, c, ack.ok);
    if (!stub_is_meant(w, c, "silent") && ipc_send(w->ipc, MSG_CONF_ACK, &ack, -1) != ERR_NONE)
        _exit(93);
    conf_unref(&c);
    mem_free(text);
}

static void stub_take_keys(struct stub *w, const struct tls_ticket_keys *keys)
{
    uint32_t number;
    memcpy(&number, keys->key[0].aes, sizeof number);
    atomic_store(&w->birth.block->process[STAT_CLIENTS_OVER_LIMIT], number);
    w->has_keys = keys->count > 0;
}

static void stub_on_message(void *arg, enum ipc_type type, const void *payload, int fd)
{
    struct stub *w = arg;
    if (type == MSG_LISTENER && w->count < LISTENERS_MAX) {
        strcpy(w->listener[w->count].address, ((const struct msg_listener *)payload)->address);
        w->listener[w->count].is_new = true;
        w->listener[w->count++].fd = fd;
    } else if (type == MSG_TICKETS) {
        stub_take_keys(w, &((const struct msg_tickets *)payload)->keys);
    } else if (type == MSG_CONF && !w->has_keys) {
        _exit(94);
    } else if (type == MSG_CONF) {
        stub_take(w, ((const struct msg_conf *)payload)->generation, fd);
    } else if (type == MSG_DRAIN || type == MSG_STOP) {
        stat_add(&w->birth.block->process[STAT_CLIENTS_TOTAL], type == MSG_DRAIN);
        if (type == MSG_STOP || !w->is_lingering)
            loop_stop(w->loop);
    } else if (fd >= 0) {
        close(fd);
    }
}

static void stub_on_closed(void *arg)
{
    loop_stop(((struct stub *)arg)->loop);
}

static int stub_main(void)
{
    static struct stub w;
    birth_attach(&w.birth, ROLE_WORKER, sizeof(struct verdict_table));
    w.loop = loop_create();
    w.ipc = ipc_create(w.loop, w.birth.control_fd, stub_on_message, stub_on_closed, &w);
    loop_run(w.loop);
    ipc_destroy(&w.ipc);
    loop_destroy(&w.loop);
    return 0;
}

/* ---- the test's side ---- */

struct fixture {
    struct loop *loop;
    struct super *super;
    char dir[64], conf_path[96], control[96];
    char worker_link[PATH_MAX];
};

#define FIRST  "127.0.0.1:0"
#define SECOND "127.0.0.2:0"

/* `address` NULL: not listened on. */
static void write_conf(struct fixture *f, const char *node, unsigned workers, const char *first, const char *second)
{
    FILE *out = fopen(f->conf_path, "w");
    assert_non_null(out);
    fprintf(out, "node: { name: %s }\nworkers: %u\ncontrol: { path: %s }\nlog: { level: error }\n", node, workers,
            f->control);
    fprintf(out, "drain: { time: 1s }\nlisten:\n");
    if (first != NULL)
        fprintf(out, "  - { address: \"%s\" }\n", first);
    if (second != NULL)
        fprintf(out, "  - { address: \"%s\" }\n", second);
    fprintf(out, "pools: { app: { check: { type: none }, servers: [ { name: a, url: \"ws://127.0.0.1:9\" } ] } }\n");
    fprintf(out, "routes: [ { path: /, pool: app } ]\n");
    assert_int_equal(fclose(out), 0);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    char self[PATH_MAX];
    strcpy(f->dir, "/tmp/tidegate-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->conf_path, sizeof f->conf_path, "%s/conf.yaml", f->dir);
    snprintf(f->control, sizeof f->control, "%s/control", f->dir);
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(len > 0);
    self[len] = '\0';
    int dir_len = (int)(strrchr(self, '/') - self);
    snprintf(f->worker_link, sizeof f->worker_link, "%.*s/tidegate-worker", dir_len, self);
    assert_true(symlink(self, f->worker_link) == 0 || errno == EEXIST);
    setenv(ENV, "1", 1);
    log_open("super", LOG_LEVEL_ERR, LOG_FORMAT_TEXT, "/dev/null");
    f->loop = loop_create();
    write_conf(f, "plain", 2, FIRST, NULL);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    if (f->super != NULL)
        super_destroy(&f->super);
    loop_destroy(&f->loop);
    unlink(f->conf_path);
    assert_int_equal(rmdir(f->dir), 0); /* the control socket is gone */
    unlink(f->worker_link);
    log_close();
    free(f);
    return 0;
}

typedef bool condition_fn(struct fixture *f);

static void run_until(struct fixture *f, condition_fn *is_met)
{
    int64_t end_ms = loop_now_ms(f->loop) + PATIENCE_MS;
    while (!is_met(f) && loop_now_ms(f->loop) < end_ms)
        loop_run_once(f->loop, true);
    assert_true(is_met(f));
}

static bool is_running(struct fixture *f)
{
    return f->super->state == SUPER_RUNNING && children_are_ready(f->super);
}

static bool is_empty(struct fixture *f)
{
    return children_alive_count(f->super, ROLE_COUNT) == 0;
}

static void start(struct fixture *f)
{
    int code = -1;
    f->super = super_create(f->loop, f->conf_path, &code);
    assert_int_equal(code, EX_OK);
    children_adjust(f->super);
    run_until(f, is_running);
}

static struct child *worker(struct fixture *f, uint32_t index)
{
    for (uint32_t i = 0; i < CHILDREN_MAX; i++)
        if (f->super->child[i].role == ROLE_WORKER && f->super->child[i].index == index)
            return &f->super->child[i];
    fail_msg("no worker %u", (unsigned)index);
    return NULL;
}

static uint64_t listeners_of(struct fixture *f, uint32_t index)
{
    return stat_get(&f->super->tables.stats->block[worker(f, index)->row].process[STAT_CLIENTS_OPEN]);
}

static uint64_t ticket_key_of(struct fixture *f, uint32_t index)
{
    return stat_get(&f->super->tables.stats->block[worker(f, index)->row].process[STAT_CLIENTS_OVER_LIMIT]);
}

/* The number the newest key has with those who have it. */
static uint64_t newest_key(const struct fixture *f)
{
    uint32_t number;
    memcpy(&number, f->super->tickets.keys.key[0].aes, sizeof number);
    return number;
}

/* One command over the control socket; the answer is the caller's to free. */
static char *ask(struct fixture *f, const char *request)
{
    struct addr a;
    char path[128];
    char *text = calloc(1, 1u << 20);
    size_t len = 0;
    int fd = -1;
    snprintf(path, sizeof path, "unix:%s", f->control);
    assert_true(addr_parse(&a, path));
    assert_int_equal(sock_connect(&a, &fd), ERR_NONE);
    assert_int_equal(send(fd, request, strlen(request), 0), (ssize_t)strlen(request));
    int64_t end_ms = loop_now_ms(f->loop) + PATIENCE_MS;
    for (ssize_t n = -1; n != 0 && loop_now_ms(f->loop) < end_ms;) {
        loop_run_once(f->loop, true);
        while ((n = recv(fd, text + len, (1u << 20) - 1 - len, MSG_DONTWAIT)) > 0)
            len += (size_t)n;
    }
    close(fd);
    return text;
}

static void assert_reload(struct fixture *f, const char *answer)
{
    char *text = ask(f, "reload\n");
    assert_string_equal(text, answer);
    free(text);
}

static void test_it_starts_says_so_and_stops(void **state)
{
    struct fixture *f = *state;
    start(f);
    const struct roster *r = f->super->tables.roster;
    assert_int_equal(r->conf_generation, 1);
    assert_int_equal(r->row[worker(f, 1)->row].state, ROSTER_READY);
    assert_int_equal(r->row[worker(f, 1)->row].pid, worker(f, 1)->pid);
    assert_int_equal(r->row[worker(f, 1)->row].conf_generation, 1);
    assert_int_equal(listeners_of(f, 0), 1);
    char *text = ask(f, "status\n");
    assert_int_equal(strncmp(text, "ok\n{", 4), 0);
    assert_non_null(strstr(text, "\"worker\""));
    free(text);

    kill(getpid(), SIGTERM);
    run_until(f, is_empty);
    assert_int_equal(f->super->exit_code, EX_OK);
    assert_int_equal(worker(f, 1)->state, ROSTER_GONE);
    assert_int_equal(listeners_worker_fd(f->super->listeners, FIRST, 0), -1);
}

static void test_the_control_socket_may_stand_where_it_was_started(void **state)
{
    struct fixture *f = *state;
    int back = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(chdir(f->dir), 0);
    strcpy(f->control, "control");
    write_conf(f, "plain", 1, FIRST, NULL);
    start(f);
    assert_reload(f, "ok\n");
    super_destroy(&f->super);
    assert_int_equal(fchdir(back), 0);
    close(back);
}

static void test_a_reload_changes_addresses_and_workers_and_keeps_the_processes(void **state)
{
    struct fixture *f = *state;
    start(f);
    pid_t pid = worker(f, 0)->pid;
    int kept_fd = listeners_worker_fd(f->super->listeners, FIRST, 0);

    write_conf(f, "plain", 3, FIRST, SECOND);
    assert_reload(f, "ok\n");
    assert_true(is_running(f)); /* done and visible */
    assert_int_equal(worker(f, 0)->pid, pid);
    assert_int_equal(listeners_worker_fd(f->super->listeners, FIRST, 0), kept_fd);
    assert_int_equal(listeners_of(f, 0), 2);
    assert_int_equal(listeners_of(f, 2), 2);
    assert_int_equal(f->super->tables.roster->conf_generation, 2);

    write_conf(f, "plain", 1, SECOND, NULL);
    assert_reload(f, "ok\n");
    assert_int_equal(worker(f, 0)->pid, pid);
    assert_int_equal(listeners_of(f, 0), 1);
    assert_int_equal(listeners_worker_fd(f->super->listeners, FIRST, 0), -1);
    assert_int_equal(listeners_worker_fd(f->super->listeners, SECOND, 1), -1);
    assert_int_equal(f->super->tables.roster->reload_ok, 1);
}

static void test_mistakes_in_the_file_change_nothing(void **state)
{
    struct fixture *f = *state;
    start(f);
    FILE *out = fopen(f->conf_path, "a");
    fputs("lisden: 1\nworkers: many\n", out);
    fclose(out);
    char *text = ask(f, "reload\n");
    assert_int_equal(strncmp(text, "error: the configuration has mistakes, the old one stays\n", 57), 0);
    assert_non_null(strstr(text, "lisden"));
    free(text);
    assert_true(is_running(f));
    assert_int_equal(f->super->current.generation, 1);
    assert_int_equal(f->super->tables.roster->reload_ok, 0);
    assert_int_equal(f->super->tables.roster->reloads_refused_total, 1);
}

/* Worker 0 takes it and has already let go of the first address when worker 1 says no. */
static void test_one_refusal_brings_the_old_configuration_back_everywhere(void **state)
{
    struct fixture *f = *state;
    start(f);
    pid_t pids[] = {worker(f, 0)->pid, worker(f, 1)->pid};
    write_conf(f, "refuse-1", 2, SECOND, NULL);
    assert_reload(f, "error: the new configuration is refused, the old one stays\nworker-1: the stub refuses\n");
    write_conf(f, "plain", 2, FIRST, NULL);
    assert_reload(f, "ok\n");
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(worker(f, i)->pid, pids[i]);
        assert_int_equal(listeners_of(f, i), 1);
        assert_true(listeners_worker_fd(f->super->listeners, FIRST, i) >= 0);
        assert_int_equal(listeners_worker_fd(f->super->listeners, SECOND, i), -1);
    }
    assert_string_equal(f->super->current.conf->node.name, "plain");
}

static void test_a_worker_that_dies_over_a_configuration_refuses_it(void **state)
{
    struct fixture *f = *state;
    start(f);
    write_conf(f, "crash-0", 2, FIRST, NULL);
    assert_reload(f, "error: the new configuration is refused, the old one stays\nworker-0: ended without an answer\n");
    run_until(f, is_running); /* it is back under the old one */
    assert_string_equal(f->super->current.conf->node.name, "plain");
    assert_int_equal(f->super->tables.roster->row[worker(f, 0)->row].restarts, 1);
}

static bool has_another_worker(struct fixture *f)
{
    return is_running(f) && f->super->tables.roster->row[worker(f, 0)->row].restarts == 1;
}

static void test_a_crash_hurts_only_its_own(void **state)
{
    struct fixture *f = *state;
    start(f);
    pid_t other = worker(f, 1)->pid;
    stat_cell *counters = f->super->tables.stats->block[worker(f, 0)->row].process;
    stat_add(&counters[STAT_CLIENTS_TOTAL], 100);
    stat_add(&counters[STAT_BUFFERED_BYTES], 100);
    int64_t before_ms = loop_now_ms(f->loop);
    kill(worker(f, 0)->pid, SIGKILL);
    run_until(f, has_another_worker);
    assert_true(loop_now_ms(f->loop) - before_ms >= BACKOFF_FIRST_MS);
    assert_int_equal(worker(f, 1)->pid, other);
    assert_int_equal(listeners_of(f, 0), 1);
    assert_int_equal(stat_get(&counters[STAT_CLIENTS_TOTAL]), 100);
    assert_int_equal(stat_get(&counters[STAT_BUFFERED_BYTES]), 0);
}

static bool has_newest_key_everywhere(struct fixture *f)
{
    return is_running(f) && ticket_key_of(f, 0) == newest_key(f) && ticket_key_of(f, 1) == newest_key(f);
}

static bool was_restarted(struct fixture *f)
{
    return is_running(f) && f->super->tables.roster->row[worker(f, 0)->row].restarts == 1;
}

static void test_every_worker_has_the_same_ticket_keys(void **state)
{
    struct fixture *f = *state;
    start(f); /* each has had them before its first configuration */
    assert_true(has_newest_key_everywhere(f));
    uint64_t first = newest_key(f);
    tickets_turn(f->super);
    assert_int_not_equal(newest_key(f), first);
    assert_int_equal(f->super->tickets.keys.count, 2);
    children_feel_pulse(f->super); /* the answers come after the keys were taken */
    run_until(f, has_newest_key_everywhere);
    kill(worker(f, 0)->pid, SIGKILL);
    run_until(f, was_restarted);
    assert_true(has_newest_key_everywhere(f));
}

static void test_quit_drains_the_workers(void **state)
{
    struct fixture *f = *state;
    start(f);
    kill(getpid(), SIGQUIT);
    run_until(f, is_empty);
    assert_int_equal(stats_sum_process(f->super->tables.stats, STAT_CLIENTS_TOTAL), 2);
    assert_int_equal(f->super->state, SUPER_STOPPING);
}

/* The end of a reload starts who should run under its configuration: nobody, by then. */
static void quit_during_reload(void *arg)
{
    struct fixture *f = arg;
    assert_int_equal(f->super->reload.phase, RELOAD_OFFERED);
    kill(getpid(), SIGQUIT);
}

static void test_leaving_ends_a_reload_under_way(void **state)
{
    struct fixture *f = *state;
    struct timer soon;
    start(f);
    write_conf(f, "silent-1", 2, FIRST, SECOND);
    reload_start(f->super, NULL);
    timer_init(&soon, f->loop, quit_during_reload, f);
    timer_start(&soon, 50);
    assert_reload(f, "error: the gateway is stopping\n");
    assert_int_equal(f->super->reload.phase, RELOAD_IDLE);
    assert_false(timer_is_active(&f->super->reload.deadline));
    run_until(f, is_empty);
    assert_string_equal(f->super->current.conf->node.name, "plain");
}

static bool has_second_worker(struct fixture *f)
{
    return is_running(f) && worker(f, 1)->state == ROSTER_READY;
}

static void test_nobody_queues_for_a_worker_that_still_drains(void **state)
{
    struct fixture *f = *state;
    start(f);
    write_conf(f, "lingering-1", 1, FIRST, NULL);
    assert_reload(f, "ok\n");
    write_conf(f, "plain", 2, FIRST, NULL);
    assert_reload(f, "ok\n");
    assert_int_equal(worker(f, 1)->state, ROSTER_DRAINING);
    assert_int_equal(listeners_worker_fd(f->super->listeners, FIRST, 1), -1);
    kill(worker(f, 1)->pid, SIGKILL);
    run_until(f, has_second_worker);
    assert_true(listeners_worker_fd(f->super->listeners, FIRST, 1) >= 0);
    assert_int_equal(listeners_of(f, 1), 1);
}

static bool is_leaving(struct fixture *f)
{
    return super_is_leaving(f->super) && is_empty(f);
}

static void test_a_first_configuration_nobody_can_work_under_is_an_error(void **state)
{
    struct fixture *f = *state;
    int code = -1;
    write_conf(f, "refuse-1", 2, FIRST, NULL);
    f->super = super_create(f->loop, f->conf_path, &code);
    assert_non_null(f->super);
    children_adjust(f->super);
    run_until(f, is_leaving);
    assert_int_equal(f->super->exit_code, EX_CONFIG);
}

static void test_what_cannot_start_says_why_by_its_code(void **state)
{
    struct fixture *f = *state;
    struct addr a;
    char text[ADDR_TEXT_BYTES];
    int code = -1, other = -1;
    assert_true(addr_parse(&a, FIRST));
    assert_int_equal(sock_listen(&a, true, 8, &other), ERR_NONE);
    assert_int_equal(sock_local_addr(other, &a), ERR_NONE);
    write_conf(f, "plain", 1, addr_text(&a, text, sizeof text), NULL);
    assert_null(super_create(f->loop, f->conf_path, &code));
    assert_int_equal(code, EX_OSERR);
    close(other);

    unlink(f->worker_link);
    assert_null(super_create(f->loop, f->conf_path, &code));
    assert_int_equal(code, EX_UNAVAILABLE);

    unlink(f->conf_path);
    assert_null(super_create(f->loop, f->conf_path, &code));
    assert_int_equal(code, EX_CONFIG);
}

int main(void)
{
    if (getenv(ENV) != NULL)
        return stub_main();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_it_starts_says_so_and_stops, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_control_socket_may_stand_where_it_was_started, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_reload_changes_addresses_and_workers_and_keeps_the_processes, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_mistakes_in_the_file_change_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_refusal_brings_the_old_configuration_back_everywhere, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_worker_that_dies_over_a_configuration_refuses_it, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_crash_hurts_only_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_worker_has_the_same_ticket_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(test_quit_drains_the_workers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_leaving_ends_a_reload_under_way, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nobody_queues_for_a_worker_that_still_drains, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_first_configuration_nobody_can_work_under_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_cannot_start_says_why_by_its_code, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
