/* Purges of a worker's own on their way out: the test speaks for the supervisor. */
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
#include "cache/purges.h"
#include "gateway/worker/worker.h"

#define MANY        100000u
#define PATIENCE_MS 10000

struct fixture {
    struct worker *worker;
    int fd; /* the supervisor's end, not read before `supervisor` is there */
    struct ipc *supervisor;
    unsigned count;
    struct msg_purge last;
};

static void on_message(void *arg, enum ipc_type type, const void *payload, int fd)
{
    struct fixture *f = arg;
    assert_int_equal(type, MSG_PURGE);
    assert_int_equal(fd, -1);
    f->count++;
    f->last = *(const struct msg_purge *)payload;
}

static void worker_on_message(void *arg, enum ipc_type type, const void *payload, int fd)
{
    (void)arg;
    (void)type;
    (void)payload;
    (void)fd;
}

static void on_closed(void *arg)
{
    (void)arg;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct worker *w;
    int pair[2];
    log_open("worker-0", LOG_LEVEL_ERR, LOG_FORMAT_TEXT, "/dev/null");
    OBJ_NEW(w, WORKER_MAGIC);
    w->loop = loop_create();
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    w->ipc = ipc_create(w->loop, pair[0], worker_on_message, on_closed, w);
    purging_init(w);
    f->worker = w;
    f->fd = pair[1];
    *state = f;
    return 0;
}

static void supervisor_reads(struct fixture *f)
{
    f->supervisor = ipc_create(f->worker->loop, f->fd, on_message, on_closed, f);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct loop *l = f->worker->loop;
    purging_fini(f->worker);
    ipc_destroy(&f->worker->ipc);
    if (f->supervisor != NULL)
        ipc_destroy(&f->supervisor);
    loop_run_once(l, false);
    loop_destroy(&l);
    OBJ_FREE(&f->worker, WORKER_MAGIC);
    log_close();
    free(f);
    return 0;
}

static void run_until_count(struct fixture *f, unsigned count)
{
    struct loop *l = f->worker->loop;
    const int64_t end_ms = loop_now_ms(l) + PATIENCE_MS;
    while (f->count < count && loop_now_ms(l) < end_ms)
        loop_run_once(l, true);
    assert_int_equal(f->count, count);
}

static void test_the_supervisor_hears_all_that_others_need(void **state)
{
    struct fixture *f = *state;
    struct cache_purge p = {.id = 77, .kind = PURGE_PREFIX, .is_soft = 1};
    memset(p.text, '/', sizeof p.text - 1);
    supervisor_reads(f);
    purging_tell(f->worker, &p);
    run_until_count(f, 1);
    assert_int_equal(f->last.number, 0); /* nobody waits */
    assert_int_equal(f->last.id, 77);
    assert_int_equal(f->last.kind, PURGE_PREFIX);
    assert_int_equal(f->last.is_soft, 1);
    assert_int_equal(f->last.is_publisher, 0);
    assert_string_equal(f->last.text, p.text);
}

static void test_one_purge_of_everything_stands_for_what_did_not_fit(void **state)
{
    struct fixture *f = *state;
    const struct cache_purge p = {.id = 77, .kind = PURGE_TAG, .is_soft = 1, .text = "t"};
    unsigned sent = 0;
    for (; !f->worker->purging.is_all_owed && sent < MANY; sent++)
        purging_tell(f->worker, &p);
    assert_true(f->worker->purging.is_all_owed);
    purging_tell(f->worker, &p); /* included */
    supervisor_reads(f);
    run_until_count(f, sent);
    assert_int_equal(f->last.kind, PURGE_ALL);
    assert_int_equal(f->last.is_soft, 0);
    assert_int_equal(f->last.id, 0);
    assert_false(f->worker->purging.is_all_owed);
    purging_tell(f->worker, &p);
    run_until_count(f, sent + 1);
    assert_int_equal(f->last.kind, PURGE_TAG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_supervisor_hears_all_that_others_need, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_purge_of_everything_stands_for_what_did_not_fit, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
