/* Purges through the supervisor: workers are the other ends of socketpairs, the operator is a client of a real control
 * socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/sock.h"
#include "cache/purges.h"
#include "gateway/super/super.h"

#define WORKERS      3
#define FIRST_WORKER 3 /* in super->child, behind checker, admin and dns */
#define PATIENCE_MS  10000

struct worker {
    struct ipc *ipc; /* NULL: does not read */
    int fd;
    bool is_silent;
    enum purge_published published; /* what it says as the publisher */
    unsigned count;
    struct msg_purge last;
};

struct fixture {
    struct loop *loop;
    struct super *super;
    char dir[64], path[96];
    struct worker worker[WORKERS];
};

/* ---- the workers ---- */

static void acknowledge(struct worker *w)
{
    const struct msg_purge_ack ack = {.number = w->last.number, .published = w->last.is_publisher ? w->published : 0};
    assert_int_equal(ipc_send(w->ipc, MSG_PURGE_ACK, &ack, -1), ERR_NONE);
}

static void worker_on_message(void *arg, enum ipc_type type, const void *payload, int fd)
{
    struct worker *w = arg;
    assert_int_equal(type, MSG_PURGE);
    assert_int_equal(fd, -1);
    w->count++;
    w->last = *(const struct msg_purge *)payload;
    if (!w->is_silent && w->last.number != 0)
        acknowledge(w);
}

static void worker_on_closed(void *arg)
{
    struct worker *w = arg;
    ipc_destroy(&w->ipc);
}

static void worker_read(struct fixture *f, uint32_t i)
{
    struct worker *w = &f->worker[i];
    w->ipc = ipc_create(f->loop, w->fd, worker_on_message, worker_on_closed, w);
}

/* ---- the supervisor's side of them, as in children.c ---- */

static void super_on_message(void *arg, enum ipc_type type, const void *payload, int fd)
{
    struct child *c = arg;
    (void)fd;
    if (type == MSG_PURGE)
        purger_take(c->super, c, payload);
    else if (type == MSG_PURGE_ACK)
        purger_acked(c->super, c, payload);
}

static void super_on_closed(void *arg)
{
    struct child *c = arg;
    ipc_destroy(&c->ipc);
}

static struct child *child(struct fixture *f, uint32_t i)
{
    return &f->super->child[FIRST_WORKER + i];
}

/* The process ends, as children.c sees it. */
static void die(struct fixture *f, uint32_t i)
{
    ipc_destroy(&child(f, i)->ipc);
    child(f, i)->state = ROSTER_WAITING;
    purger_forget(f->super, child(f, i));
}

static void command_purge(void *arg, struct control_request *r, const char *rest)
{
    purger_start(arg, r, rest);
}

static const struct control_command commands[] = {{"purge", command_purge}, {NULL, NULL}};

/* Purges are events: the journal is kept beside the control socket. */
static void keep_events(struct fixture *f)
{
    char text[256];
    struct conf_errors errors;
    const int len = snprintf(text, sizeof text,
                             "state_dir: %s\nlisten: [ { address: '127.0.0.1:1' } ]\n"
                             "pools: { p: { servers: [ { name: s, url: 'http://h' } ] } }\nroutes: [ { pool: p } ]\n",
                             f->dir);
    f->super->current.conf = conf_load_text("t.yaml", text, (size_t)len, false, &errors);
    assert_non_null(f->super->current.conf);
    conf_errors_fini(&errors);
    f->super->events = events_create(f->super);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    enum err e;
    log_open("super", LOG_LEVEL_ERR, LOG_FORMAT_TEXT, "/dev/null");
    f->loop = loop_create();
    OBJ_NEW(f->super, SUPER_MAGIC);
    f->super->loop = f->loop;
    children_init(f->super);
    purger_init(f->super);
    for (uint32_t i = 0; i < WORKERS; i++) {
        struct child *c = child(f, i);
        int pair[2];
        assert_int_equal(c->role, ROLE_WORKER);
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
        c->ipc = ipc_create(f->loop, pair[0], super_on_message, super_on_closed, c);
        c->state = ROSTER_READY;
        f->worker[i].fd = pair[1];
    }
    strcpy(f->dir, "/tmp/tidegate-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    keep_events(f);
    snprintf(f->path, sizeof f->path, "%s/control", f->dir);
    f->super->control = control_create(f->loop, f->path, commands, f->super, &e);
    assert_int_equal(e, ERR_NONE);
    *state = f;
    return 0;
}

static int setup_reading(void **state)
{
    setup(state);
    for (uint32_t i = 0; i < WORKERS; i++)
        worker_read(*state, i);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    control_destroy(&f->super->control);
    purger_fini(f->super);
    children_fini(f->super);
    for (uint32_t i = 0; i < WORKERS; i++)
        if (f->worker[i].ipc != NULL)
            ipc_destroy(&f->worker[i].ipc);
    events_destroy(&f->super->events);
    conf_unref(&f->super->current.conf);
    loop_run_once(f->loop, false);
    OBJ_FREE(&f->super, SUPER_MAGIC);
    loop_destroy(&f->loop);
    snprintf(f->path, sizeof f->path, "%s/events.jsonl", f->dir);
    (void)unlink(f->path);
    assert_int_equal(rmdir(f->dir), 0);
    log_close();
    free(f);
    return 0;
}

/* ---- the operator ---- */

static int send_line(struct fixture *f, const char *line)
{
    struct addr a;
    char text[128];
    int fd = -1;
    snprintf(text, sizeof text, "unix:%s", f->path);
    assert_true(addr_parse(&a, text));
    assert_int_equal(sock_connect(&a, &fd), ERR_NONE);
    assert_int_equal(send(fd, line, strlen(line), MSG_NOSIGNAL), (ssize_t)strlen(line));
    return fd;
}

static void assert_answer(struct fixture *f, int fd, const char *expected)
{
    char text[4096];
    size_t len = 0;
    const int64_t end_ms = loop_now_ms(f->loop) + PATIENCE_MS;
    for (ssize_t n; (n = recv(fd, text + len, sizeof text - 1 - len, MSG_DONTWAIT)) != 0;) {
        assert_true(loop_now_ms(f->loop) < end_ms);
        if (n > 0)
            len += (size_t)n;
        else
            loop_run_once(f->loop, true);
    }
    text[len] = '\0';
    close(fd);
    assert_string_equal(text, expected);
}

static void assert_purge(struct fixture *f, const char *line, const char *expected)
{
    assert_answer(f, send_line(f, line), expected);
}

static void run_until_count(struct fixture *f, uint32_t i, unsigned count)
{
    const int64_t end_ms = loop_now_ms(f->loop) + PATIENCE_MS;
    while (f->worker[i].count < count && loop_now_ms(f->loop) < end_ms)
        loop_run_once(f->loop, true);
    assert_int_equal(f->worker[i].count, count);
}

/* ---- what an operator says ---- */

static void test_it_is_done_when_all_workers_hold_it(void **state)
{
    struct fixture *f = *state;
    f->worker[0].published = PURGE_PUBLISHED;
    assert_purge(f, "purge tag table:cars\n",
                 "ok\ntag table:cars purged in 3 workers; other gateways are being told\n");
    for (uint32_t i = 0; i < WORKERS; i++) {
        const struct msg_purge *m = &f->worker[i].last;
        assert_int_equal(f->worker[i].count, 1);
        assert_int_equal(m->kind, PURGE_TAG);
        assert_string_equal(m->text, "table:cars");
        assert_int_equal(m->is_soft, 0);
        assert_int_equal(m->is_publisher, i == 0);
        assert_int_not_equal(m->id, 0);
        assert_int_equal(m->id, f->worker[0].last.id);
    }
    const uint64_t first_id = f->worker[0].last.id;
    f->worker[0].published = PURGE_PUBLISHED_LATER;
    assert_purge(f, "purge prefix --soft /rest/\n",
                 "ok\nprefix /rest/ purged in 3 workers; other gateways will be told when Redis is back\n");
    assert_int_equal(f->worker[2].last.kind, PURGE_PREFIX);
    assert_int_equal(f->worker[2].last.is_soft, 1);
    assert_int_not_equal(f->worker[0].last.id, first_id);
    f->worker[0].published = PURGE_NOT_PUBLISHED;
    assert_purge(f, "purge all\n", "ok\nall purged in 3 workers; no Redis is configured to tell other gateways\n");
    assert_int_equal(f->worker[2].last.kind, PURGE_ALL);
}

static void test_a_long_text_is_carried_whole(void **state)
{
    struct fixture *f = *state;
    char line[CONTROL_LINE_BYTES], text[CACHE_PURGE_TEXT_BYTES];
    memset(text, 'x', sizeof text);
    text[0] = '/';
    text[sizeof text - 1] = '\0';
    snprintf(line, sizeof line, "purge prefix %s\n", text);
    int fd = send_line(f, line);
    run_until_count(f, 1, 1);
    assert_string_equal(f->worker[1].last.text, text);
    close(fd);
    snprintf(line, sizeof line, "purge prefix %sx\n", text);
    assert_purge(f, line, "error: the text is too long\n");
}

static void test_what_makes_no_sense_reaches_nobody(void **state)
{
    struct fixture *f = *state;
    static const char kinds[] = "error: expected tag, url, prefix or all to be purged\n";
    static const char *const cases[] = {"purge\n", "purge tags x\n", "purge ta x\n", "purge --soft tag x\n"};
    static const char *const senseless[] = {"purge tag\n", "purge tag --soft\n", "purge url --soft \n", "purge all x\n",
                                            "purge all --soft x\n"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_purge(f, cases[i], kinds);
    for (size_t i = 0; i < sizeof senseless / sizeof *senseless; i++) {
        int fd = send_line(f, senseless[i]);
        char text[256] = "";
        while (recv(fd, text, sizeof text - 1, MSG_DONTWAIT) < 0)
            loop_run_once(f->loop, true);
        assert_int_equal(strncmp(text, "error: ", 7), 0);
        close(fd);
    }
    for (uint32_t i = 0; i < WORKERS; i++)
        assert_int_equal(f->worker[i].count, 0);
    assert_true(list_is_empty(&f->super->purger.errands.list));
}

static void test_several_purges_at_once_are_told_apart(void **state)
{
    struct fixture *f = *state;
    f->worker[1].is_silent = true;
    int first = send_line(f, "purge tag a\n");
    run_until_count(f, 1, 1);
    int second = send_line(f, "purge tag b\n");
    run_until_count(f, 1, 2);
    acknowledge(&f->worker[1]); /* the newer number: in force is all before it, too */
    assert_answer(f, first, "ok\ntag a purged in 3 workers; no Redis is configured to tell other gateways\n");
    assert_answer(f, second, "ok\ntag b purged in 3 workers; no Redis is configured to tell other gateways\n");
}

/* ---- workers that do not answer ---- */

static void test_who_does_not_confirm_in_time_is_named(void **state)
{
    struct fixture *f = *state;
    f->worker[1].is_silent = true;
    child(f, 2)->state = ROSTER_STARTING; /* it has no client yet, whatever takes it so long */
    f->worker[2].is_silent = true;
    const int64_t start_ms = loop_now_ms(f->loop);
    assert_purge(f, "purge tag a\n",
                 "error: the purge does not hold everywhere yet\nworker-1 has not confirmed in time\n");
    assert_in_range(loop_now_ms(f->loop) - start_ms, PURGER_DEADLINE_MS, PURGER_DEADLINE_MS + 2000);
    acknowledge(&f->worker[1]); /* too late to matter */
    f->worker[1].is_silent = f->worker[2].is_silent = false;
    assert_purge(f, "purge tag a\n", "ok\ntag a purged in 3 workers; no Redis is configured to tell other gateways\n");
}

static void test_a_worker_that_dies_holds_nothing(void **state)
{
    struct fixture *f = *state;
    f->worker[2].is_silent = true;
    int fd = send_line(f, "purge tag a\n");
    run_until_count(f, 2, 1);
    die(f, 2);
    assert_answer(f, fd, "ok\ntag a purged in 2 workers; no Redis is configured to tell other gateways\n");
}

/* Its successor has confirmed before, as one of many; what counts is what it says as the publisher. */
static void test_when_the_publisher_dies_another_one_publishes(void **state)
{
    struct fixture *f = *state;
    f->worker[0].is_silent = true;
    f->worker[1].published = PURGE_PUBLISHED;
    int fd = send_line(f, "purge tag a\n");
    run_until_count(f, 0, 1);
    run_until_count(f, 1, 1);
    const uint64_t id = f->worker[0].last.id;
    die(f, 0);
    assert_answer(f, fd, "ok\ntag a purged in 2 workers; other gateways are being told\n");
    assert_int_equal(f->worker[1].count, 2);
    assert_int_equal(f->worker[1].last.is_publisher, 1);
    assert_int_equal(f->worker[1].last.id, id); /* the same purge */
    assert_int_equal(f->worker[2].count, 1);
}

static void test_without_a_worker_nobody_can_be_told(void **state)
{
    struct fixture *f = *state;
    for (uint32_t i = 0; i < WORKERS; i++)
        die(f, i);
    assert_purge(f, "purge tag a\n", "error: no worker is ready to tell other gateways\n");
}

static void test_one_that_drains_is_told_and_publishes_if_it_must(void **state)
{
    struct fixture *f = *state;
    child(f, 0)->state = ROSTER_DRAINING;
    assert_purge(f, "purge all\n", "ok\nall purged in 3 workers; no Redis is configured to tell other gateways\n");
    assert_int_equal(f->worker[0].last.is_publisher, 0);
    assert_int_equal(f->worker[1].last.is_publisher, 1);
    die(f, 1);
    die(f, 2);
    assert_purge(f, "purge all\n", "ok\nall purged in 1 worker; no Redis is configured to tell other gateways\n");
    assert_int_equal(f->worker[0].last.is_publisher, 1);
}

static void test_the_supervisor_may_end_while_a_purge_waits(void **state)
{
    struct fixture *f = *state;
    f->worker[1].is_silent = true;
    int fd = send_line(f, "purge tag a\n");
    run_until_count(f, 1, 1);
    assert_false(list_is_empty(&f->super->purger.errands.list));
    close(fd); /* the rest is up to teardown and the sanitizers */
}

/* ---- what workers purge ---- */

static void test_what_a_worker_purges_is_passed_on_to_the_others(void **state)
{
    struct fixture *f = *state;
    struct msg_purge m = {.id = 77, .kind = PURGE_TAG, .is_soft = 1, .is_publisher = 1, .text = "table:cars"};
    assert_int_equal(ipc_send(f->worker[1].ipc, MSG_PURGE, &m, -1), ERR_NONE);
    run_until_count(f, 0, 1);
    run_until_count(f, 2, 1);
    for (uint32_t i = 0; i < WORKERS; i += 2) {
        assert_int_equal(f->worker[i].last.number, 0);
        assert_int_equal(f->worker[i].last.id, 77);
        assert_int_equal(f->worker[i].last.is_publisher, 0); /* it has been published */
        assert_int_equal(f->worker[i].last.is_soft, 1);
        assert_string_equal(f->worker[i].last.text, "table:cars");
    }
    m.kind = 99;
    assert_int_equal(ipc_send(f->worker[0].ipc, MSG_PURGE, &m, -1), ERR_NONE);
    m.kind = PURGE_ALL;
    m.text[0] = '\0';
    assert_int_equal(ipc_send(f->worker[0].ipc, MSG_PURGE, &m, -1), ERR_NONE);
    run_until_count(f, 2, 2); /* of these two only the one that makes sense */
    assert_int_equal(f->worker[2].last.kind, PURGE_ALL);
    assert_int_equal(f->worker[1].count, 1);
}

/* Nobody reads at first; worker 2 sends. */
static void test_a_worker_too_slow_for_its_queue_is_told_to_purge_everything(void **state)
{
    struct fixture *f = *state;
    struct msg_purge m = {.id = 1, .kind = PURGE_TAG, .text = "a"};
    worker_read(f, 0);
    unsigned sent = 0;
    for (; !child(f, 1)->is_purge_owed && sent < 100000; sent++) {
        purger_take(f->super, child(f, 2), &m);
        run_until_count(f, 0, sent + 1); /* the others are not held up */
    }
    assert_true(child(f, 1)->is_purge_owed);
    assert_false(child(f, 0)->is_purge_owed);
    assert_false(ipc_has_room(child(f, 1)->ipc));

    int fd = send_line(f, "purge tag b\n"); /* waits for the purge of everything */
    run_until_count(f, 0, sent + 1);
    f->worker[0].count = 0;
    worker_read(f, 1);
    worker_read(f, 2);
    assert_answer(f, fd, "ok\ntag b purged in 3 workers; no Redis is configured to tell other gateways\n");
    assert_false(child(f, 1)->is_purge_owed);
    assert_int_equal(f->worker[1].count, sent); /* all but the one that did not fit, and everything */
    assert_int_equal(f->worker[1].last.kind, PURGE_ALL);
    assert_int_equal(f->worker[1].last.is_soft, 0);
    assert_int_equal(f->worker[1].last.is_publisher, 0);
    assert_int_equal(f->worker[1].last.number, 1);
    assert_int_equal(ipc_send(child(f, 1)->ipc, MSG_PURGE, &m, -1), ERR_NONE);
    run_until_count(f, 1, sent + 1);
    assert_int_equal(f->worker[1].last.kind, PURGE_TAG);
}

static void test_a_debt_goes_with_its_worker(void **state)
{
    struct fixture *f = *state;
    struct msg_purge m = {.id = 1, .kind = PURGE_TAG, .text = "a"};
    for (unsigned sent = 0; !child(f, 1)->is_purge_owed && sent < 100000; sent++)
        purger_take(f->super, child(f, 2), &m);
    assert_true(child(f, 1)->is_purge_owed);
    die(f, 1);
    assert_false(child(f, 1)->is_purge_owed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_it_is_done_when_all_workers_hold_it, setup_reading, teardown),
        cmocka_unit_test_setup_teardown(test_a_long_text_is_carried_whole, setup_reading, teardown),
        cmocka_unit_test_setup_teardown(test_what_makes_no_sense_reaches_nobody, setup_reading, teardown),
        cmocka_unit_test_setup_teardown(test_several_purges_at_once_are_told_apart, setup_reading, teardown),
        cmocka_unit_test_setup_teardown(test_who_does_not_confirm_in_time_is_named, setup_reading, teardown),
        cmocka_unit_test_setup_teardown(test_a_worker_that_dies_holds_nothing, setup_reading, teardown),
        cmocka_unit_test_setup_teardown(test_when_the_publisher_dies_another_one_publishes, setup_reading, teardown),
        cmocka_unit_test_setup_teardown(test_without_a_worker_nobody_can_be_told, setup_reading, teardown),
        cmocka_unit_test_setup_teardown(test_one_that_drains_is_told_and_publishes_if_it_must, setup_reading, teardown),
        cmocka_unit_test_setup_teardown(test_the_supervisor_may_end_while_a_purge_waits, setup_reading, teardown),
        cmocka_unit_test_setup_teardown(test_what_a_worker_purges_is_passed_on_to_the_others, setup_reading, teardown),
        cmocka_unit_test_setup_teardown(test_a_worker_too_slow_for_its_queue_is_told_to_purge_everything, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_debt_goes_with_its_worker, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
