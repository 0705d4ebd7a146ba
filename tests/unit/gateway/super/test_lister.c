/* The sessions of all workers, through the supervisor: one worker answers, another one may be too slow. */
#include <fcntl.h>

#include "base/shm.h"
#include "tests/unit/gateway/super/one_child.h"

struct fixture {
    struct one_child o;
    struct msg_sessions last;
    struct msg_sessions_answer answer;
    const char *items;  /* what the worker sends; NULL: no file */
    struct child *slow; /* NULL: there is none */
    int slow_fd;
};

static void answer(struct fixture *f)
{
    int fd = -1;
    f->answer.number = f->last.number;
    if (f->items != NULL)
        assert_int_equal(shm_seal_bytes("sessions", f->items, strlen(f->items), &fd), ERR_NONE);
    assert_int_equal(ipc_send(f->o.ipc, MSG_SESSIONS_ANSWER, &f->answer, fd), ERR_NONE);
    if (fd >= 0)
        close(fd);
}

static void worker_on_message(void *arg, enum ipc_type type, const void *payload, int fd)
{
    struct fixture *f = arg;
    assert_int_equal(type, MSG_SESSIONS);
    assert_int_equal(fd, -1);
    f->o.count++;
    f->last = *(const struct msg_sessions *)payload;
    if (!f->o.is_silent)
        answer(f);
}

static void super_on_message(void *arg, enum ipc_type type, const void *payload, int fd)
{
    struct fixture *f = arg;
    assert_int_equal(type, MSG_SESSIONS_ANSWER);
    lister_answered(f->o.super, f->o.child, payload, fd);
    if (fd >= 0)
        close(fd);
}

static void command_sessions(void *arg, struct control_request *r, const char *rest)
{
    lister_start(arg, r, rest);
}

static const struct control_command commands[] = {{"sessions", command_sessions}, {NULL, NULL}};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    one_child_init(&f->o, ROLE_WORKER, commands, worker_on_message, super_on_message);
    lister_init(f->o.super);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    control_destroy(&f->o.super->control);
    lister_fini(f->o.super);
    if (f->slow != NULL) {
        if (f->slow->ipc != NULL)
            ipc_destroy(&f->slow->ipc);
        close(f->slow_fd);
    }
    one_child_fini(&f->o);
    free(f);
    return 0;
}

static void super_hears_nothing(void *arg, enum ipc_type type, const void *payload, int fd)
{
    (void)arg, (void)type, (void)payload, (void)fd;
    fail();
}

/* One that is asked and does not read. */
static void add_slow_worker(struct fixture *f)
{
    int pair[2];
    f->slow = f->o.child + 1;
    assert_int_equal(f->slow->role, ROLE_WORKER);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    f->slow->ipc = ipc_create(f->o.loop, pair[0], super_hears_nothing, one_child_super_closed, f);
    f->slow->state = ROSTER_READY;
    f->slow_fd = pair[1];
}

static void test_what_the_worker_has(void **state)
{
    struct fixture *f = *state;
    f->items = "{\"id\":\"0-1\"}\n{\"id\":\"0-2\"}\n{\"id\":\"0-3\"}\n";
    f->answer.fitting_count = 7;
    assert_answer(
        &f->o, send_line(&f->o, "sessions 2 192.0.2.7 and more\n"),
        "ok\n{\"fitting\":7,\"sessions\":[{\"id\":\"0-1\"},{\"id\":\"0-2\"}],\"missing\":[],\"cut\":false}\n");
    assert_int_equal(f->last.limit, 2);
    assert_string_equal(f->last.filter, "192.0.2.7 and more");
}

static void test_nothing_to_show(void **state)
{
    struct fixture *f = *state;
    assert_answer(&f->o, send_line(&f->o, "sessions 50\n"),
                  "ok\n{\"fitting\":0,\"sessions\":[],\"missing\":[],\"cut\":false}\n");
    assert_string_equal(f->last.filter, "");
    one_child_ends(&f->o); /* no worker at all */
    assert_answer(&f->o, send_line(&f->o, "sessions 50\n"),
                  "ok\n{\"fitting\":0,\"sessions\":[],\"missing\":[],\"cut\":false}\n");
}

static void test_a_worker_that_is_too_slow_is_named(void **state)
{
    struct fixture *f = *state;
    char expected[160];
    add_slow_worker(f);
    f->items = "{\"id\":\"0-1\"}\n";
    f->answer.fitting_count = 1;
    snprintf(expected, sizeof expected,
             "ok\n{\"fitting\":1,\"sessions\":[{\"id\":\"0-1\"}],\"missing\":[\"%s\"],\"cut\":false}\n", f->slow->name);
    assert_answer(&f->o, send_line(&f->o, "sessions 50\n"), expected);
}

static void test_a_worker_that_ends_has_no_sessions(void **state)
{
    struct fixture *f = *state;
    add_slow_worker(f);
    f->items = "{\"id\":\"0-1\"}\n";
    f->answer.fitting_count = 1;
    int fd = send_line(&f->o, "sessions 50\n");
    run_until_count(&f->o, 1);
    ipc_destroy(&f->slow->ipc);
    f->slow->state = ROSTER_WAITING;
    lister_forget(f->o.super, f->slow);
    assert_answer(&f->o, fd, "ok\n{\"fitting\":1,\"sessions\":[{\"id\":\"0-1\"}],\"missing\":[],\"cut\":false}\n");
}

/* Of a question whose time was over, or of none: nothing happens. */
static void test_an_answer_nobody_waits_for(void **state)
{
    struct fixture *f = *state;
    const struct msg_sessions_answer stray = {.number = 77, .fitting_count = 5};
    lister_answered(f->o.super, f->o.child, &stray, -1);
    f->items = "{\"id\":\"0-1\"}\n";
    f->o.is_silent = true;
    int fd = send_line(&f->o, "sessions 50\n");
    run_until_count(&f->o, 1);
    answer(f);
    assert_answer(&f->o, fd, "ok\n{\"fitting\":0,\"sessions\":[{\"id\":\"0-1\"}],\"missing\":[],\"cut\":false}\n");
    answer(f);
    loop_run_once(f->o.loop, true);
}

static void test_what_makes_no_sense(void **state)
{
    static const char *const lines[] = {"sessions\n",    "sessions 0\n",       "sessions -1\n",
                                        "sessions 5x\n", "sessions 1000000\n", "sessions all\n"};
    assert_refused(&((struct fixture *)*state)->o, lines, sizeof lines / sizeof lines[0]);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_what_the_worker_has),
        TEST(test_nothing_to_show),
        TEST(test_a_worker_that_is_too_slow_is_named),
        TEST(test_a_worker_that_ends_has_no_sessions),
        TEST(test_an_answer_nobody_waits_for),
        TEST(test_what_makes_no_sense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
