/* An operator's words about servers, through the supervisor. */
#include "tests/unit/gateway/super/one_child.h"

struct fixture {
    struct one_child o;
    struct msg_override last;
    struct msg_override_ack answer;
};

static void acknowledge(struct fixture *f)
{
    f->answer.number = f->last.number;
    assert_int_equal(ipc_send(f->o.ipc, MSG_OVERRIDE_ACK, &f->answer, -1), ERR_NONE);
}

static void checker_on_message(void *arg, enum ipc_type type, const void *payload, int fd)
{
    struct fixture *f = arg;
    assert_int_equal(type, MSG_OVERRIDE);
    assert_int_equal(fd, -1);
    f->o.count++;
    f->last = *(const struct msg_override *)payload;
    if (!f->o.is_silent)
        acknowledge(f);
}

static void super_on_message(void *arg, enum ipc_type type, const void *payload, int fd)
{
    struct fixture *f = arg;
    (void)fd;
    assert_int_equal(type, MSG_OVERRIDE_ACK);
    overrider_acked(f->o.super, payload);
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

static const struct control_command commands[] = {
    {"force", command_force}, {"drain", command_drain}, {"undrain", command_undrain}, {NULL, NULL}};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    one_child_init(&f->o, ROLE_CHECKER, commands, checker_on_message, super_on_message);
    overrider_init(f->o.super);
    f->answer.ok = 1;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    control_destroy(&f->o.super->control);
    overrider_fini(f->o.super);
    one_child_fini(&f->o);
    free(f);
    return 0;
}

static void test_words_reach_the_checker(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *line, *server;
        enum override_kind kind;
        const char *answer;
    } cases[] = {
        {"force p/a down\n", "p/a", OVERRIDE_DOWN, "ok\np/a: down\n"},
        {"force  p/a   up \n", "p/a", OVERRIDE_UP, "ok\np/a: up\n"},
        {"force p/a auto\n", "p/a", OVERRIDE_AUTO, "ok\np/a: auto\n"},
        {"drain p/b\n", "p/b", OVERRIDE_DRAIN, "ok\np/b: drain\n"},
        {"undrain p/b\n", "p/b", OVERRIDE_UNDRAIN, "ok\np/b: undrain\n"},
        {"force targets/us-edge down\n", "targets/us-edge", OVERRIDE_DOWN, "ok\ntargets/us-edge: down\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_answer(&f->o, send_line(&f->o, cases[i].line), cases[i].answer);
        assert_string_equal(f->last.server, cases[i].server);
        assert_int_equal(f->last.kind, cases[i].kind);
        assert_int_equal(f->last.number, i + 1);
    }
}

static void test_the_checker_says_why_not(void **state)
{
    struct fixture *f = *state;
    f->answer.ok = 0;
    strcpy(f->answer.text, "no such server");
    assert_answer(&f->o, send_line(&f->o, "drain p/x\n"), "error: no such server\n");
    f->answer.ok = 1;
    strcpy(f->answer.text, "it will not survive");
    assert_answer(&f->o, send_line(&f->o, "drain p/a\n"), "ok\np/a: drain; it will not survive\n");
}

static void test_what_makes_no_sense_reaches_nobody(void **state)
{
    struct fixture *f = *state;
    static const char *const lines[] = {"force\n", "force p/a\n", "force p/a sideways\n", "force up\n",
                                        "drain\n", "drain p\n",   "force p up\n"};
    assert_refused(&f->o, lines, sizeof lines / sizeof lines[0]);
}

static void test_answers_are_told_apart(void **state)
{
    struct fixture *f = *state;
    f->o.is_silent = true;
    int first = send_line(&f->o, "force p/a up\n");
    run_until_count(&f->o, 1);
    struct msg_override earlier = f->last;
    int second = send_line(&f->o, "force p/b up\n");
    run_until_count(&f->o, 2);
    acknowledge(f);
    assert_answer(&f->o, second, "ok\np/b: up\n");
    f->last = earlier;
    acknowledge(f);
    assert_answer(&f->o, first, "ok\np/a: up\n");
    acknowledge(f); /* once more: nobody waits for it */
    loop_run_once(f->o.loop, true);
}

static void test_a_silent_checker_is_not_waited_for(void **state)
{
    struct fixture *f = *state;
    f->o.is_silent = true;
    const int64_t start_ms = loop_now_ms(f->o.loop);
    assert_answer(&f->o, send_line(&f->o, "drain p/a\n"),
                  "error: the checker has not confirmed in time; see whether status shows it\n");
    assert_in_range(loop_now_ms(f->o.loop) - start_ms, OVERRIDER_DEADLINE_MS, OVERRIDER_DEADLINE_MS + 2000);
}

static void test_a_checker_that_ends_or_is_not_there(void **state)
{
    struct fixture *f = *state;
    f->o.is_silent = true;
    int fd = send_line(&f->o, "drain p/a\n");
    run_until_count(&f->o, 1);
    one_child_ends(&f->o);
    overrider_forget(f->o.super, f->o.child);
    assert_answer(&f->o, fd, "error: the checker ended before it confirmed; see whether status shows it\n");
    assert_answer(&f->o, send_line(&f->o, "drain p/a\n"), "error: the checker does not take it now, try again\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(test_words_reach_the_checker),
        T(test_the_checker_says_why_not),
        T(test_what_makes_no_sense_reaches_nobody),
        T(test_answers_are_told_apart),
        T(test_a_silent_checker_is_not_waited_for),
        T(test_a_checker_that_ends_or_is_not_there),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
