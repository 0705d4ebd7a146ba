/* Requests over the control socket: whole, in pieces, too long, too many, answered at once or later. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sock.h"
#include "gateway/super/control.h"

struct fixture {
    struct loop *loop;
    struct control *control;
    char dir[64], path[108];
    struct control_request *held; /* by "later" */
    char rest[CONTROL_LINE_BYTES];
    unsigned runs;
};

static void run_echo(void *arg, struct control_request *r, const char *rest)
{
    struct fixture *f = arg;
    f->runs++;
    strcpy(f->rest, rest);
    strbuf_printf(&r->body, "you said <%s>\n", rest);
    control_answer(&r, NULL);
}

static void run_fail(void *arg, struct control_request *r, const char *rest)
{
    (void)arg;
    (void)rest;
    strbuf_puts(&r->body, "first complaint\nsecond complaint\n");
    control_answer(&r, "it does not work\nand this line would be part of the body");
}

static void run_later(void *arg, struct control_request *r, const char *rest)
{
    (void)rest;
    ((struct fixture *)arg)->held = r;
    ((struct fixture *)arg)->runs++;
}

static void run_big(void *arg, struct control_request *r, const char *rest)
{
    static const char line[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n";
    size_t count = strtoul(rest, NULL, 10);
    (void)arg;
    for (size_t i = 0; i < count; i++)
        strbuf_add(&r->body, line, 64);
    control_answer(&r, NULL);
}

static const struct control_command commands[] = {
    {"echo", run_echo}, {"fail", run_fail}, {"later", run_later}, {"big", run_big}, {NULL, NULL},
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    enum err e;
    f->loop = loop_create();
    strcpy(f->dir, "/tmp/tidegate-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof f->path, "%s/control", f->dir);
    f->control = control_create(f->loop, f->path, commands, f, &e);
    assert_int_equal(e, ERR_NONE);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    if (f->control != NULL)
        control_destroy(&f->control);
    loop_run_once(f->loop, false);
    loop_destroy(&f->loop);
    assert_int_equal(rmdir(f->dir), 0); /* the socket file is gone */
    free(f);
    return 0;
}

static int connect_client(struct fixture *f)
{
    struct addr a;
    char text[128];
    int fd = -1;
    snprintf(text, sizeof text, "unix:%s", f->path);
    assert_true(addr_parse(&a, text));
    assert_int_equal(sock_connect(&a, &fd), ERR_NONE);
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Everything up to the end, with the loop running meanwhile; the caller frees it. */
static char *answer(struct fixture *f, int fd)
{
    size_t cap = CONTROL_BODY_BYTES + 4096, len = 0;
    char *text = malloc(cap);
    for (int pass = 0; pass < 1000000; pass++) {
        loop_run_once(f->loop, false);
        ssize_t n = recv(fd, text + len, cap - 1 - len, MSG_DONTWAIT);
        if (n == 0)
            break;
        len += n > 0 ? (size_t)n : 0;
    }
    text[len] = '\0';
    close(fd);
    return text;
}

static void assert_answer(struct fixture *f, const char *request, const char *expected)
{
    int fd = connect_client(f);
    say(fd, request);
    char *text = answer(f, fd);
    assert_string_equal(text, expected);
    free(text);
}

static void test_a_command_gets_its_rest_of_the_line(void **state)
{
    struct fixture *f = *state;
    assert_answer(f, "echo\n", "ok\nyou said <>\n");
    assert_answer(f, "echo a  b\n", "ok\nyou said <a  b>\n");
    assert_answer(f, "echo   a \r\n", "ok\nyou said <a>\n");
    assert_answer(f, "echo\r\n", "ok\nyou said <>\n");
}

static void test_failure_is_one_line_with_the_details_below(void **state)
{
    assert_answer(*state, "fail\n", "error: it does not work\nfirst complaint\nsecond complaint\n");
}

static void test_what_is_no_command_is_refused(void **state)
{
    struct fixture *f = *state;
    char line[CONTROL_LINE_BYTES + 100];
    assert_answer(f, "frobnicate\n", "error: no such command\n");
    assert_answer(f, "ech\n", "error: no such command\n");
    assert_answer(f, "echoo\n", "error: no such command\n");
    assert_answer(f, "\n", "error: no such command\n");
    assert_answer(f, " echo\n", "error: no such command\n");
    memset(line, 'e', sizeof line);
    line[CONTROL_LINE_BYTES] = '\0';
    assert_answer(f, line, "error: not a request\n");
    int fd = connect_client(f);
    assert_int_equal(send(fd, "echo\0x\n", 7, 0), 7);
    char *text = answer(f, fd);
    assert_string_equal(text, "error: not a request\n");
    free(text);
    assert_int_equal(f->runs, 0);
}

static void test_a_request_may_come_in_pieces(void **state)
{
    struct fixture *f = *state;
    int fd = connect_client(f);
    for (const char *c = "echo x\n"; *c != '\0'; c++) {
        assert_int_equal(f->runs, 0);
        assert_int_equal(send(fd, c, 1, 0), 1);
        loop_run_once(f->loop, false);
        loop_run_once(f->loop, false);
    }
    char *text = answer(f, fd);
    assert_string_equal(text, "ok\nyou said <x>\n");
    free(text);
}

static void run_until_held(struct fixture *f)
{
    for (int pass = 0; pass < 1000 && f->held == NULL; pass++)
        loop_run_once(f->loop, true);
    assert_non_null(f->held);
}

static void test_an_answer_may_come_later(void **state)
{
    struct fixture *f = *state;
    int fd = connect_client(f);
    say(fd, "later\n");
    run_until_held(f);
    assert_answer(f, "echo meanwhile\n", "ok\nyou said <meanwhile>\n");
    strbuf_puts(&f->held->body, "done\n");
    control_answer(&f->held, NULL);
    assert_null(f->held);
    char *text = answer(f, fd);
    assert_string_equal(text, "ok\ndone\n");
    free(text);
}

static void test_a_client_that_hung_up_is_answered_all_the_same(void **state)
{
    struct fixture *f = *state;
    int fd = connect_client(f);
    say(fd, "later\n");
    run_until_held(f);
    close(fd);
    loop_run_once(f->loop, false);
    control_answer(&f->held, NULL);
    assert_answer(f, "echo still here\n", "ok\nyou said <still here>\n");
}

static void test_requests_that_wait_go_with_the_socket(void **state)
{
    struct fixture *f = *state;
    int fd = connect_client(f);
    say(fd, "later\n");
    run_until_held(f);
    control_destroy(&f->control);
    char *text = answer(f, fd);
    assert_string_equal(text, "");
    free(text);
}

static void test_a_long_answer_arrives_whole_and_an_endless_one_not_at_all(void **state)
{
    struct fixture *f = *state;
    int fd = connect_client(f);
    say(fd, "big 50000\n");
    char *text = answer(f, fd);
    assert_int_equal(strlen(text), 3 + 50000 * 64);
    free(text);
    assert_answer(f, "big 200000\n", "error: the answer is too long\n");
}

static void test_only_so_many_at_once(void **state)
{
    struct fixture *f = *state;
    int fds[CONTROL_CLIENTS_MAX];
    for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        fds[i] = connect_client(f);
        loop_run_once(f->loop, false);
    }
    int one_more = connect_client(f);
    char *text = answer(f, one_more);
    assert_string_equal(text, "error: too many requests at once\n");
    free(text);
    close(fds[0]);
    for (unsigned i = 1; i < CONTROL_CLIENTS_MAX; i++) {
        say(fds[i], "echo\n");
        free(answer(f, fds[i]));
    }
    assert_answer(f, "echo\n", "ok\nyou said <>\n");
}

static void test_the_socket_is_the_owner_s_alone(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & (S_IRWXG | S_IRWXO), 0);
}

static void test_a_second_gateway_does_not_take_it_over(void **state)
{
    struct fixture *f = *state;
    enum err e = ERR_NONE;
    assert_null(control_create(f->loop, f->path, commands, f, &e));
    assert_int_equal(e, ERR_BUSY);
    assert_answer(f, "echo\n", "ok\nyou said <>\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_command_gets_its_rest_of_the_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failure_is_one_line_with_the_details_below, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_no_command_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_request_may_come_in_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_answer_may_come_later, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_client_that_hung_up_is_answered_all_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(test_requests_that_wait_go_with_the_socket, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_long_answer_arrives_whole_and_an_endless_one_not_at_all, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_only_so_many_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_socket_is_the_owner_s_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_second_gateway_does_not_take_it_over, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
