/* Accounts of several workers about one server become one line of the journal, when it is about many sessions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "gateway/super/super.h"

#define FIRST_WORKER 3 /* in super->child, behind checker, admin and dns */
#define PATIENCE_MS  10000

struct fixture {
    struct loop *loop;
    struct super *super;
    char dir[64], journal[96];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct conf_errors errors;
    char text[256];
    log_open("super", LOG_LEVEL_ERR, LOG_FORMAT_TEXT, "/dev/null");
    f->loop = loop_create();
    OBJ_NEW(f->super, SUPER_MAGIC);
    f->super->loop = f->loop;
    children_init(f->super);
    tallies_init(f->super);
    strcpy(f->dir, "/tmp/tidegate-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->journal, sizeof f->journal, "%s/events.jsonl", f->dir);
    const int len = snprintf(text, sizeof text,
                             "state_dir: %s\nlisten: [ { address: '127.0.0.1:1' } ]\n"
                             "pools: { p: { servers: [ { name: s, url: 'http://h' } ] } }\nroutes: [ { pool: p } ]\n",
                             f->dir);
    f->super->current.conf = conf_load_text("t.yaml", text, (size_t)len, false, &errors);
    assert_non_null(f->super->current.conf);
    conf_errors_fini(&errors);
    f->super->events = events_create(f->super);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    tallies_fini(f->super);
    events_destroy(&f->super->events);
    children_fini(f->super);
    conf_unref(&f->super->current.conf);
    loop_run_once(f->loop, false);
    OBJ_FREE(&f->super, SUPER_MAGIC);
    loop_destroy(&f->loop);
    unlink(f->journal);
    assert_int_equal(rmdir(f->dir), 0);
    log_close();
    free(f);
    return 0;
}

static struct child *worker(struct fixture *f, uint32_t i)
{
    struct child *c = &f->super->child[FIRST_WORKER + i];
    assert_int_equal(c->role, ROLE_WORKER);
    return c;
}

static void tell(struct fixture *f, uint32_t i, struct msg_losses m)
{
    tallies_take(f->super, worker(f, i), &m);
}

/* The journal's lines about sessions, once there are no tallies any more. */
static uint32_t read_lines(struct fixture *f, char lines[2][1024])
{
    const int64_t end_ms = loop_now_ms(f->loop) + PATIENCE_MS;
    uint32_t count = 0;
    while (f->super->tallies.count > 0 && loop_now_ms(f->loop) < end_ms)
        loop_run_once(f->loop, true);
    assert_int_equal(f->super->tallies.count, 0);
    FILE *in = fopen(f->journal, "r");
    assert_non_null(in);
    while (count < 2 && fgets(lines[count], 1024, in) != NULL)
        count += strstr(lines[count], "\"kind\":\"sessions\"") != NULL;
    fclose(in);
    return count;
}

static void test_many_sessions_are_one_line(void **state)
{
    struct fixture *f = *state;
    char lines[2][1024];
    tell(f, 0, (struct msg_losses){.server = "p/s", .why = "reset", .lost = 3, .waiting = 3});
    tell(f, 1, (struct msg_losses){.server = "p/few", .is_over = 1, .lost = 9, .restored = 9});
    tell(f, 1,
         (struct msg_losses){.server = "p/s",
                             .why = "closed",
                             .is_over = 1,
                             .lost = 400,
                             .restored = 400,
                             .longest_ms = 95,
                             .unknown = 3});
    assert_int_equal(f->super->tallies.count, 2);
    tell(f, 0,
         (struct msg_losses){.server = "p/s",
                             .is_over = 1,
                             .lost = 12,
                             .restored = 8,
                             .given_up = 1,
                             .left = 2,
                             .waiting = 1,
                             .longest_ms = 1284,
                             .dropped = 4});
    assert_int_equal(read_lines(f, lines), 1); /* nine are no mass failover */
    assert_non_null(strstr(lines[0], "\"subject\":\"p/s\",\"from\":\"412 sessions\",\"to\":\"408 moved\","
                                     "\"cause\":\"reset: 408 of 412 sessions went on elsewhere within 1.28 s, "
                                     "1 still without a server, 1 given up, 2 ended meanwhile; "
                                     "messages of clients: 3 unknown, 4 dropped\""));
}

/* What it announced died with it. */
static void test_a_worker_that_ends_is_not_waited_for(void **state)
{
    struct fixture *f = *state;
    char lines[2][1024];
    tell(f, 0, (struct msg_losses){.server = "p/s", .lost = 30, .waiting = 30});
    tell(f, 1, (struct msg_losses){.server = "p/s", .is_over = 1, .lost = 10});
    const int64_t start_ms = loop_now_ms(f->loop);
    tallies_forget(f->super, worker(f, 0));
    assert_int_equal(read_lines(f, lines), 1);
    assert_true(loop_now_ms(f->loop) - start_ms < TALLY_LATEST_MS / 2);
    assert_non_null(strstr(lines[0], "\"cause\":\"0 of 10 sessions went on elsewhere; "));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_many_sessions_are_one_line),
        TEST(test_a_worker_that_ends_is_not_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
