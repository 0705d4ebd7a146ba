/* An operator's words about alerts, through the supervisor. */
#include <fcntl.h>

#include "base/shm.h"
#include "tests/unit/gateway/super/one_child.h"

struct fixture {
    struct one_child o;
    struct msg_alert last;
    struct msg_alert_answer answer;
    int list_fd; /* goes along with the answer; -1: none */
};

static void admin_on_message(void *arg, enum ipc_type type, const void *payload, int fd)
{
    struct fixture *f = arg;
    assert_int_equal(type, MSG_ALERT);
    assert_int_equal(fd, -1);
    f->o.count++;
    f->last = *(const struct msg_alert *)payload;
    f->answer.number = f->last.number;
    if (!f->o.is_silent)
        assert_int_equal(ipc_send(f->o.ipc, MSG_ALERT_ANSWER, &f->answer, f->list_fd), ERR_NONE);
}

static void super_on_message(void *arg, enum ipc_type type, const void *payload, int fd)
{
    struct fixture *f = arg;
    assert_int_equal(type, MSG_ALERT_ANSWER);
    alerter_answered(f->o.super, payload, fd);
    if (fd >= 0)
        close(fd);
}

static void command_ack(void *arg, struct control_request *r, const char *rest)
{
    alerter_ack(arg, r, rest);
}

static void command_alerts(void *arg, struct control_request *r, const char *rest)
{
    alerter_alerts(arg, r, rest);
}

static const struct control_command commands[] = {{"ack", command_ack}, {"alerts", command_alerts}, {NULL, NULL}};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    one_child_init(&f->o, ROLE_ADMIN, commands, admin_on_message, super_on_message);
    alerter_init(f->o.super);
    f->answer.ok = 1;
    f->list_fd = -1;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    control_destroy(&f->o.super->control);
    alerter_fini(f->o.super);
    one_child_fini(&f->o);
    if (f->list_fd >= 0)
        close(f->list_fd);
    free(f);
    return 0;
}

static void test_who_takes_care_of_what(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *line;
        uint64_t id;
        const char *name;
    } cases[] = {
        {"ack\n", 0, ""},
        {"ack 12\n", 12, ""},
        {"ack #12\n", 12, ""},
        {"ack by ops\n", 0, "ops"},
        {"ack  #7  by Jo Doe\n", 7, "Jo Doe"},
    };
    strcpy(f->answer.text, "done");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_answer(&f->o, send_line(&f->o, cases[i].line), "ok\ndone\n");
        assert_int_equal(f->last.kind, ALERT_COMMAND_ACK);
        assert_int_equal(f->last.id, cases[i].id);
        assert_string_equal(f->last.name, cases[i].name);
    }
}

static void test_what_makes_no_sense_reaches_nobody(void **state)
{
    struct fixture *f = *state;
    static const char *const lines[] = {"ack x\n",   "ack -1\n",    "ack 0\n",       "ack #\n",        "ack 12x\n",
                                        "ack 1 2\n", "alerts 12\n", "alerts test\n", "ack 1 for ops\n"};
    assert_refused(&f->o, lines, sizeof lines / sizeof lines[0]);
}

static void test_a_test(void **state)
{
    struct fixture *f = *state;
    assert_answer(&f->o, send_line(&f->o, "alerts test mail\n"), "ok\nmail: delivered\n");
    assert_int_equal(f->last.kind, ALERT_COMMAND_TEST);
    assert_string_equal(f->last.name, "mail");
    f->answer.ok = 0;
    strcpy(f->answer.text, "refused");
    assert_answer(&f->o, send_line(&f->o, "alerts test mail\n"), "error: refused\n");
}

static void test_the_list_comes_as_a_file(void **state)
{
    struct fixture *f = *state;
    static const char list[] = "{\"open\":[]}\n";
    assert_int_equal(shm_seal_bytes("alerts", list, sizeof list - 1, &f->list_fd), ERR_NONE);
    assert_answer(&f->o, send_line(&f->o, "alerts\n"), "ok\n{\"open\":[]}\n");
    assert_int_equal(f->last.kind, ALERT_COMMAND_LIST);
}

/* A child that was taken over may send anything. */
static void test_a_list_that_is_none(void **state)
{
    struct fixture *f = *state;
    assert_answer(&f->o, send_line(&f->o, "alerts\n"), "error: the list did not arrive\n");
    f->list_fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    assert_answer(&f->o, send_line(&f->o, "alerts\n"), "error: the list did not arrive\n");
}

static void test_a_process_that_ends_or_is_not_there(void **state)
{
    struct fixture *f = *state;
    f->o.is_silent = true;
    int fd = send_line(&f->o, "ack\n");
    run_until_count(&f->o, 1);
    one_child_ends(&f->o);
    alerter_forget(f->o.super, f->o.child);
    assert_answer(&f->o, fd, "error: the admin process ended before it answered\n");
    assert_answer(&f->o, send_line(&f->o, "ack\n"), "error: the admin process, which sends alerts, does not run\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(test_who_takes_care_of_what),
        T(test_what_makes_no_sense_reaches_nobody),
        T(test_a_test),
        T(test_the_list_comes_as_a_file),
        T(test_a_list_that_is_none),
        T(test_a_process_that_ends_or_is_not_there),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
