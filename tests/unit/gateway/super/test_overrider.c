/* An operator's words through the supervisor: the checker is the other end of a socketpair, the operator a client of a
 * real control socket. */
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
#include "gateway/super/super.h"

#define PATIENCE_MS 10000

struct fixture {
    struct loop *loop;
    struct super *super;
    struct child *checker;
    char dir[64], path[96];
    struct ipc *ipc; /* the checker's end */
    bool is_silent;
    unsigned count;
    struct msg_override last;
    struct msg_override_ack answer;
};

static void acknowledge(struct fixture *f)
{
    f->answer.number = f->last.number;
    assert_int_equal(ipc_send(f->ipc, MSG_OVERRIDE_ACK, &f->answer, -1), ERR_NONE);
}

static void checker_on_message(void *arg, enum ipc_type type, const void *payload, int fd)
{
    struct fixture *f = arg;
    assert_int_equal(type, MSG_OVERRIDE);
    assert_int_equal(fd, -1);
    f->count++;
    f->last = *(const struct msg_override *)payload;
    if (!f->is_silent)
        acknowledge(f);
}

static void checker_on_closed(void *arg)
{
    struct fixture *f = arg;
    ipc_destroy(&f->ipc);
}

static void super_on_message(void *arg, enum ipc_type type, const void *payload, int fd)
{
    struct fixture *f = arg;
    (void)fd;
    assert_int_equal(type, MSG_OVERRIDE_ACK);
    overrider_acked(f->super, payload);
}

static void super_on_closed(void *arg)
{
    (void)arg;
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
    enum err e;
    int pair[2];
    log_open("super", LOG_LEVEL_ERR, LOG_FORMAT_TEXT, "/dev/null");
    f->loop = loop_create();
    OBJ_NEW(f->super, SUPER_MAGIC);
    f->super->loop = f->loop;
    children_init(f->super);
    overrider_init(f->super);
    for (uint32_t i = 0; i < CHILDREN_MAX; i++)
        if (f->super->child[i].role == ROLE_CHECKER)
            f->checker = &f->super->child[i];
    assert_non_null(f->checker);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    f->checker->ipc = ipc_create(f->loop, pair[0], super_on_message, super_on_closed, f);
    f->checker->state = ROSTER_READY;
    f->ipc = ipc_create(f->loop, pair[1], checker_on_message, checker_on_closed, f);
    f->answer.ok = 1;
    strcpy(f->dir, "/tmp/tidegate-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof f->path, "%s/control", f->dir);
    f->super->control = control_create(f->loop, f->path, commands, f->super, &e);
    assert_int_equal(e, ERR_NONE);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    control_destroy(&f->super->control);
    overrider_fini(f->super);
    children_fini(f->super);
    if (f->ipc != NULL)
        ipc_destroy(&f->ipc);
    loop_run_once(f->loop, false);
    OBJ_FREE(&f->super, SUPER_MAGIC);
    loop_destroy(&f->loop);
    assert_int_equal(rmdir(f->dir), 0);
    log_close();
    free(f);
    return 0;
}

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

static void run_until_count(struct fixture *f, unsigned count)
{
    const int64_t end_ms = loop_now_ms(f->loop) + PATIENCE_MS;
    while (f->count < count && loop_now_ms(f->loop) < end_ms)
        loop_run_once(f->loop, true);
    assert_int_equal(f->count, count);
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
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_answer(f, send_line(f, cases[i].line), cases[i].answer);
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
    assert_answer(f, send_line(f, "drain p/x\n"), "error: no such server\n");
    f->answer.ok = 1;
    strcpy(f->answer.text, "it will not survive");
    assert_answer(f, send_line(f, "drain p/a\n"), "ok\np/a: drain; it will not survive\n");
}

static void test_what_makes_no_sense_reaches_nobody(void **state)
{
    struct fixture *f = *state;
    static const char *const lines[] = {"force\n", "force p/a\n", "force p/a sideways\n", "force up\n",
                                        "drain\n", "drain p\n",   "force p up\n"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        int fd = send_line(f, lines[i]);
        char text[256] = "";
        while (recv(fd, text, sizeof text - 1, MSG_DONTWAIT) < 0)
            loop_run_once(f->loop, true);
        assert_int_equal(strncmp(text, "error: expected ", 16), 0);
        close(fd);
    }
    assert_int_equal(f->count, 0);
}

static void test_answers_are_told_apart(void **state)
{
    struct fixture *f = *state;
    f->is_silent = true;
    int first = send_line(f, "force p/a up\n");
    run_until_count(f, 1);
    struct msg_override earlier = f->last;
    int second = send_line(f, "force p/b up\n");
    run_until_count(f, 2);
    acknowledge(f);
    assert_answer(f, second, "ok\np/b: up\n");
    f->last = earlier;
    acknowledge(f);
    assert_answer(f, first, "ok\np/a: up\n");
    acknowledge(f); /* once more: nobody waits for it */
    loop_run_once(f->loop, true);
}

static void test_a_silent_checker_is_not_waited_for(void **state)
{
    struct fixture *f = *state;
    f->is_silent = true;
    const int64_t start_ms = loop_now_ms(f->loop);
    assert_answer(f, send_line(f, "drain p/a\n"),
                  "error: the checker has not confirmed in time; see whether status shows it\n");
    assert_in_range(loop_now_ms(f->loop) - start_ms, OVERRIDER_DEADLINE_MS, OVERRIDER_DEADLINE_MS + 2000);
}

static void test_a_checker_that_ends_or_is_not_there(void **state)
{
    struct fixture *f = *state;
    f->is_silent = true;
    int fd = send_line(f, "drain p/a\n");
    run_until_count(f, 1);
    ipc_destroy(&f->checker->ipc);
    f->checker->state = ROSTER_WAITING;
    overrider_forget(f->super, f->checker);
    assert_answer(f, fd, "error: the checker ended before it confirmed; see whether status shows it\n");
    assert_answer(f, send_line(f, "drain p/a\n"), "error: the checker does not take it now, try again\n");
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
