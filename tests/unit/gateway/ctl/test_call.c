/* The control protocol as a client sees it: a thread plays the gateway for one connection. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/sock.h"
#include "gateway/ctl/call.h"

#define PATIENCE_MS 10000

struct gateway {
    char dir[32];
    char path[64];
    int listen_fd;
    const char *reply; /* NULL: say nothing and wait for the client to leave */
    char asked[64];
    pthread_t thread;
};

static int setup(void **state)
{
    struct gateway *g = mem_alloc(sizeof *g);
    struct addr a;
    char text[80];

    strcpy(g->dir, "/tmp/tidegate-ctl-XXXXXX");
    assert_non_null(mkdtemp(g->dir));
    snprintf(g->path, sizeof g->path, "%s/control.sock", g->dir);
    snprintf(text, sizeof text, "unix:%s", g->path);
    assert_true(addr_parse(&a, text));
    assert_int_equal(sock_listen(&a, false, 4, &g->listen_fd), ERR_NONE);
    *state = g;
    return 0;
}

static int teardown(void **state)
{
    struct gateway *g = *state;

    close(g->listen_fd);
    unlink(g->path);
    rmdir(g->dir);
    mem_free(g);
    return 0;
}

static void *serve_one(void *arg)
{
    struct gateway *g = arg;
    fd_set set;
    int fd;

    FD_ZERO(&set);
    FD_SET(g->listen_fd, &set);
    (void)select(g->listen_fd + 1, &set, NULL, NULL, NULL);
    fd = accept(g->listen_fd, NULL, NULL); /* blocking, unlike the listener */
    if (fd < 0)
        return NULL;
    for (size_t len = 0; len < sizeof g->asked - 1 && strchr(g->asked, '\n') == NULL; len++)
        if (read(fd, g->asked + len, 1) != 1)
            break;
    if (g->reply != NULL) {
        for (const char *s = g->reply; *s != '\0'; s++) /* in the smallest pieces there are */
            if (write(fd, s, 1) != 1)
                break;
    } else {
        char c;

        (void)!read(fd, &c, 1);
    }
    close(fd);
    return NULL;
}

static enum err call(struct gateway *g, const char *reply, int64_t timeout_ms, struct call_answer *answer)
{
    enum err e;

    g->reply = reply;
    assert_int_equal(pthread_create(&g->thread, NULL, serve_one, g), 0);
    e = call_gateway(g->path, "status", timeout_ms, answer);
    assert_int_equal(pthread_join(g->thread, NULL), 0);
    assert_string_equal(g->asked, "status\n");
    return e;
}

static void test_ok_comes_with_the_body(void **state)
{
    struct call_answer answer;

    assert_int_equal(call(*state, "ok\n{\"a\":1}\nmore\n", PATIENCE_MS, &answer), ERR_NONE);
    assert_true(answer.is_ok);
    assert_string_equal(answer.text.data, "{\"a\":1}\nmore\n");
    call_answer_fini(&answer);
}

static void test_ok_alone(void **state)
{
    struct call_answer answer;

    assert_int_equal(call(*state, "ok\n", PATIENCE_MS, &answer), ERR_NONE);
    assert_true(answer.is_ok);
    assert_string_equal(answer.text.data, "");
    call_answer_fini(&answer);
}

static void test_an_error_says_why(void **state)
{
    struct call_answer answer;

    assert_int_equal(call(*state, "error: bad configuration\nf:1:2: x: y\n", PATIENCE_MS, &answer), ERR_NONE);
    assert_false(answer.is_ok);
    assert_string_equal(answer.text.data, "bad configuration\nf:1:2: x: y\n");
    call_answer_fini(&answer);
}

static void test_a_short_error(void **state)
{
    struct call_answer answer;

    assert_int_equal(call(*state, "error: no\n", PATIENCE_MS, &answer), ERR_NONE);
    assert_false(answer.is_ok);
    assert_string_equal(answer.text.data, "no");
    call_answer_fini(&answer);
}

static void test_what_is_no_gateway(void **state)
{
    static const char *const replies[] = {"", "ok", "HTTP/1.1 400 Bad Request\r\n", "okay\n", "\n", "error\n"};
    struct gateway *g = *state;

    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        struct call_answer answer;

        memset(g->asked, 0, sizeof g->asked);
        assert_int_equal(call(g, replies[i], PATIENCE_MS, &answer), ERR_PROTOCOL);
    }
}

static void test_silence_has_an_end(void **state)
{
    struct call_answer answer;

    assert_int_equal(call(*state, NULL, 50, &answer), ERR_TIMEOUT);
}

static void test_nobody_there(void **state)
{
    struct gateway *g = *state;
    struct call_answer answer;
    char path[200];

    assert_int_equal(call_gateway("/nowhere/control.sock", "status", PATIENCE_MS, &answer), ERR_NOT_FOUND);
    close(g->listen_fd); /* the path stays, as after a crash */
    assert_int_equal(call_gateway(g->path, "status", PATIENCE_MS, &answer), ERR_REFUSED);
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_int_equal(call_gateway(path, "status", PATIENCE_MS, &answer), ERR_INVALID);
    g->listen_fd = -1;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_ok_comes_with_the_body), TEST(test_ok_alone),           TEST(test_an_error_says_why),
        TEST(test_a_short_error),          TEST(test_what_is_no_gateway), TEST(test_silence_has_an_end),
        TEST(test_nobody_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
