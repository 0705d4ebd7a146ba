/* An idle connection to a server that dies, that dislikes it, and that cannot be quiet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "health/checker/watch.h"
#include "tests/unit/until.h"

#define INTERVAL_MS 60000 /* no end within a test is a late one */
#define NO_FD       (-1)

struct bench {
    struct loop *loop;
    int listen_fd, server_fd; /* the last one accepted */
    struct addr addr;
    struct watch watch;
    unsigned end_count;
};

static void on_ended(void *arg)
{
    struct bench *t = arg;
    assert_false(watch_is_open(&t->watch));
    t->end_count++;
}

static void listen_anywhere(struct bench *t)
{
    assert_true(addr_from_ip(&t->addr, "127.0.0.1", 0));
    assert_int_equal(sock_listen(&t->addr, false, 8, &t->listen_fd), ERR_NONE);
    assert_int_equal(sock_local_addr(t->listen_fd, &t->addr), ERR_NONE);
}

static void listen_no_more(struct bench *t)
{
    close(t->listen_fd);
    t->listen_fd = NO_FD;
}

static int setup(void **state)
{
    struct bench *t = calloc(1, sizeof *t);
    t->server_fd = NO_FD;
    t->loop = loop_create();
    listen_anywhere(t);
    watch_init(&t->watch, t->loop, on_ended, t);
    *state = t;
    return 0;
}

static void hang_up(struct bench *t)
{
    if (t->server_fd != NO_FD)
        close(t->server_fd);
    t->server_fd = NO_FD;
}

static int teardown(void **state)
{
    struct bench *t = *state;
    watch_fini(&t->watch);
    hang_up(t);
    if (t->listen_fd != NO_FD)
        close(t->listen_fd);
    loop_destroy(&t->loop);
    free(t);
    return 0;
}

#define RUN_UNTIL(t, condition) UNTIL((t)->loop, condition)

static void keep(struct bench *t, int64_t interval_ms)
{
    watch_keep(&t->watch, &t->addr, interval_ms);
}

static bool accept_one(struct bench *t)
{
    struct addr peer;
    return sock_accept(t->listen_fd, &t->server_fd, &peer) == ERR_NONE;
}

static void open_one(struct bench *t, int64_t interval_ms)
{
    keep(t, interval_ms);
    RUN_UNTIL(t, t->watch.is_connected);
    assert_true(accept_one(t));
}

/* What the server has been sent: 0 once it was hung up on, -1 while it is open. */
static ssize_t heard_by_the_server(const struct bench *t)
{
    char byte;
    return recv(t->server_fd, &byte, 1, MSG_DONTWAIT);
}

static void end_soon(struct bench *t)
{
    unsigned before = t->end_count;
    open_one(t, INTERVAL_MS);
    hang_up(t);
    RUN_UNTIL(t, t->end_count > before);
    assert_int_equal(t->end_count, before + 1);
}

static void test_end_is_told(void **state)
{
    struct bench *t = *state;
    open_one(t, INTERVAL_MS);
    assert_int_equal(heard_by_the_server(t), -1); /* not a byte */
    assert_int_equal(t->end_count, 0);
    hang_up(t);
    RUN_UNTIL(t, t->end_count == 1);
}

static void test_reset_is_an_end_too(void **state)
{
    struct bench *t = *state;
    open_one(t, INTERVAL_MS);
    sock_reset_on_close(t->server_fd);
    hang_up(t);
    RUN_UNTIL(t, t->end_count == 1);
}

static void test_refusal_is_an_end_too(void **state)
{
    struct bench *t = *state;
    listen_no_more(t);
    keep(t, INTERVAL_MS);
    if (watch_is_open(&t->watch)) /* the kernel may say so at once */
        RUN_UNTIL(t, t->end_count == 1);
    assert_false(watch_is_open(&t->watch));
}

static void test_one_connection_is_enough(void **state)
{
    struct bench *t = *state;
    open_one(t, INTERVAL_MS);
    keep(t, INTERVAL_MS);
    keep(t, INTERVAL_MS);
    int first_fd = t->server_fd;
    assert_false(accept_one(t));
    t->server_fd = first_fd;
    assert_int_equal(heard_by_the_server(t), -1);
}

static void test_another_address_is_another_connection(void **state)
{
    struct bench *t = *state;
    open_one(t, INTERVAL_MS);
    int old_fd = t->server_fd;
    listen_no_more(t);
    listen_anywhere(t);
    open_one(t, INTERVAL_MS);
    int new_fd = t->server_fd;
    t->server_fd = old_fd;
    assert_int_equal(heard_by_the_server(t), 0);
    hang_up(t);
    t->server_fd = new_fd;
    assert_int_equal(heard_by_the_server(t), -1);
    assert_int_equal(t->end_count, 0);
}

static void test_dropping_is_no_end(void **state)
{
    struct bench *t = *state;
    open_one(t, INTERVAL_MS);
    watch_drop(&t->watch);
    watch_drop(&t->watch);
    assert_false(watch_is_open(&t->watch));
    assert_int_equal(heard_by_the_server(t), 0);
    loop_run_once(t->loop, false);
    assert_int_equal(t->end_count, 0);
}

static void test_server_that_keeps_closing_is_left_alone(void **state)
{
    struct bench *t = *state;
    for (unsigned i = 0; i < WATCH_SOON_ENDS_MAX; i++)
        end_soon(t);
    keep(t, INTERVAL_MS);
    assert_false(watch_is_open(&t->watch));
    assert_in_range(t->watch.rest_until_ms, loop_now_ms(t->loop) + WATCH_REST_MS - UNTIL_MS,
                    loop_now_ms(t->loop) + WATCH_REST_MS);
    t->watch.rest_until_ms = loop_now_ms(t->loop); /* ten minutes later */
    end_soon(t);
    keep(t, INTERVAL_MS);
    assert_true(watch_is_open(&t->watch));
}

static void test_late_end_is_not_held_against_it(void **state)
{
    struct bench *t = *state;
    for (unsigned i = 1; i < WATCH_SOON_ENDS_MAX; i++)
        end_soon(t);
    open_one(t, 0); /* any end is late */
    hang_up(t);
    RUN_UNTIL(t, t->end_count == WATCH_SOON_ENDS_MAX);
    keep(t, INTERVAL_MS);
    assert_true(watch_is_open(&t->watch));
}

static void test_end_that_a_failure_confirms_is_not_either(void **state)
{
    struct bench *t = *state;
    for (unsigned i = 0; i < 2 * WATCH_SOON_ENDS_MAX; i++) {
        end_soon(t);
        watch_confirm(&t->watch);
    }
    keep(t, INTERVAL_MS);
    assert_true(watch_is_open(&t->watch));
}

static void test_greeting_is_ignored(void **state)
{
    struct bench *t = *state;
    open_one(t, INTERVAL_MS);
    assert_int_equal(send(t->server_fd, "220 hello\r\n", 11, MSG_NOSIGNAL), 11);
    RUN_UNTIL(t, t->watch.heard_bytes == 11);
    assert_true(watch_is_open(&t->watch));
    hang_up(t);
    RUN_UNTIL(t, t->end_count == 1);
}

static void test_server_that_cannot_be_quiet_is_left_alone(void **state)
{
    struct bench *t = *state;
    static const char words[WATCH_HEARD_BYTES_MAX + 1];
    open_one(t, INTERVAL_MS);
    assert_int_equal(send(t->server_fd, words, sizeof words, MSG_NOSIGNAL), sizeof words);
    RUN_UNTIL(t, !watch_is_open(&t->watch));
    keep(t, INTERVAL_MS);
    assert_false(watch_is_open(&t->watch));
    assert_int_equal(t->end_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(test_end_is_told),
        T(test_reset_is_an_end_too),
        T(test_refusal_is_an_end_too),
        T(test_one_connection_is_enough),
        T(test_another_address_is_another_connection),
        T(test_dropping_is_no_end),
        T(test_server_that_keeps_closing_is_left_alone),
        T(test_late_end_is_not_held_against_it),
        T(test_end_that_a_failure_confirms_is_not_either),
        T(test_greeting_is_ignored),
        T(test_server_that_cannot_be_quiet_is_left_alone),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
