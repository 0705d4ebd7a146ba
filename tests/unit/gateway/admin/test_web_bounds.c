/* What the admin server does not wait for, and how it ends: time, room, listeners that move, draining. */
#include "tests/unit/gateway/admin/web_world.h"

static void test_clients_that_do_not_ask_are_cut_off(void **state)
{
    static const struct web_limits hasty = {.request_ms = 100, .response_ms = PATIENCE_MS};
    struct web_world *f = *state;
    struct client silent, halting, kept;
    struct response r;

    web_set_limits(f->web, &hasty);
    client_open(&silent, &f->clients, &f->addr, 0);
    client_open(&halting, &f->clients, &f->addr, 0);
    client_open(&kept, &f->clients, &f->addr, 0);
    client_send(&halting, "GET /health HTTP/1.1\r\nHost: loc");
    client_ask(&kept, "GET", "/livez", &r);
    assert_int_equal(r.status, 200);
    response_fini(&r);
    client_wait_closed(&silent);
    client_wait_closed(&halting);
    client_wait_closed(&kept);
    client_close(&silent);
    client_close(&halting);
    client_close(&kept);
}

/* A name as long as this makes an answer that no socket buffer holds. */
static char *make_long_answer(struct web_world *f)
{
    const size_t len = 3u << 20;
    char *name = mem_alloc(len + 1);

    memset(name, 'n', len);
    f->world->conf.node.name = name;
    return name;
}

static void test_a_client_that_does_not_read_is_cut_off(void **state)
{
    static const struct web_limits hasty = {.request_ms = PATIENCE_MS, .response_ms = 100};
    struct web_world *f = *state;
    struct client c;
    char *name = make_long_answer(f);

    web_set_limits(f->web, &hasty);
    client_open(&c, &f->clients, &f->addr, 4096);
    client_send(&c, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    run_until(f->clients.loop, &f->was_asked);
    web_drain(f->web); /* to hear when nothing is in progress any more */
    assert_false(f->is_idle);
    run_until(f->clients.loop, &f->is_idle);
    client_wait_closed(&c);
    assert_true(c.in.len < (3u << 20));
    client_close(&c);
    mem_free(name);
}

static void happens(struct web_world *f, uint64_t seq)
{
    struct event e;
    char cause[EVENT_CAUSE_BYTES];

    memset(cause, 'x', sizeof cause - 1);
    cause[sizeof cause - 1] = '\0';
    event_init(&e, EVENT_PURGE, EVENT_ONCE, "all", "", "", cause);
    e.seq = seq;
    assert_true(feed_add(f->feed, &e));
    web_feed_grew(f->web);
}

static void wait_for(struct client *c, const char *text)
{
    struct timer guard;

    timer_init(&guard, c->all->loop, on_patience_over, NULL);
    timer_start(&guard, PATIENCE_MS);
    client_read(c);
    while (c->in.len == 0 || strstr(c->in.data, text) == NULL)
        loop_run_once(c->all->loop, true);
    timer_cancel(&guard);
}

static void on_look(void *arg)
{
    timer_start(arg, 10);
}

/* Until the server has reset the connection, without reading from it. */
static void wait_reset(struct client *c)
{
    struct timer guard, look;
    int error = 0;
    socklen_t len = sizeof error;

    timer_init(&guard, c->all->loop, on_patience_over, NULL);
    timer_start(&guard, PATIENCE_MS);
    timer_init(&look, c->all->loop, on_look, &look);
    timer_start(&look, 10);
    while (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0)
        loop_run_once(c->all->loop, true);
    timer_cancel(&look);
    timer_cancel(&guard);
}

/* One of them reads, the other does not: he is cut off, and costs the one who reads nothing. */
static void test_a_follower_that_does_not_read_is_cut_off(void **state)
{
    static const char follow[] = "GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";
    static const struct web_limits hasty = {.request_ms = PATIENCE_MS, .response_ms = 200};
    struct web_world *f = *state;
    struct client lazy, keen;
    char last[32];
    uint64_t seq = 0;

    web_set_limits(f->web, &hasty);
    client_open(&keen, &f->clients, &f->addr, 0);
    client_send(&keen, follow);
    wait_for(&keen, ": tidegate");
    client_open(&lazy, &f->clients, &f->addr, 4096);
    client_send(&lazy, follow);
    wait_for(&lazy, ": tidegate");
    io_want(&lazy.io, 0);
    for (int i = 0; i < 20; i++) { /* far more than sockets hold, in steps that the other one can follow */
        for (int k = 0; k < 50; k++)
            happens(f, ++seq);
        snprintf(last, sizeof last, "id: %u\n", (unsigned)seq);
        wait_for(&keen, last);
    }
    wait_reset(&lazy);
    client_wait_closed(&lazy);
    assert_false(keen.is_closed);
    snprintf(last, sizeof last, "id: %u\n", (unsigned)seq);
    assert_null(strstr(lazy.in.data, last));
    for (unsigned i = 1; i <= seq; i++) {
        snprintf(last, sizeof last, "id: %u\n", i);
        assert_non_null(strstr(keen.in.data, last));
    }
    client_close(&lazy);
    client_close(&keen);
}

static void test_a_long_answer_arrives_whole(void **state)
{
    struct web_world *f = *state;
    struct client c;
    struct response r;
    char *name = make_long_answer(f);

    client_open(&c, &f->clients, &f->addr, 4096);
    client_ask(&c, "GET", "/health", &r);
    assert_true(r.body_len > (3u << 20));
    assert_int_equal(r.body[r.body_len - 2], '}');
    response_fini(&r);
    client_ask(&c, "GET", "/livez", &r);
    assert_int_equal(r.status, 200);
    response_fini(&r);
    client_close(&c);
    mem_free(name);
}

static void test_an_answer_beyond_the_bound(void **state)
{
    struct web_world *f = *state;
    struct client c;
    struct response r;
    char *name = mem_alloc(REPORT_BYTES_MAX + 1);

    memset(name, 'n', REPORT_BYTES_MAX);
    f->world->conf.node.name = name;
    client_open(&c, &f->clients, &f->addr, 0);
    client_ask(&c, "GET", "/health", &r);
    assert_int_equal(r.status, 500);
    response_fini(&r);
    client_close(&c);
    mem_free(name);
}

static void test_connections_are_bounded(void **state)
{
    enum { OVER = WEB_CONNECTIONS_MAX + 40 };
    struct web_world *f = *state;
    struct client *c = mem_alloc_array(OVER, sizeof *c);
    struct response r;
    size_t answered = 0;

    for (size_t i = 0; i < OVER; i++) {
        client_open(&c[i], &f->clients, &f->addr, 0);
        client_send(&c[i], "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n");
    }
    for (size_t i = 0; i < WEB_CONNECTIONS_MAX; i++) {
        client_wait(&c[i], false, &r);
        response_fini(&r);
    }
    for (size_t i = WEB_CONNECTIONS_MAX; i < OVER; i++)
        answered += c[i].in.len > 0;
    assert_int_equal(answered, 0); /* the rest waits in the kernel's queue */
    for (size_t i = 0; i < WEB_CONNECTIONS_MAX; i++)
        client_close(&c[i]);
    for (size_t i = WEB_CONNECTIONS_MAX; i < OVER; i++) {
        client_wait(&c[i], false, &r);
        assert_int_equal(r.status, 200);
        response_fini(&r);
        client_close(&c[i]);
    }
    mem_free(c);
}

static void test_the_listener_moves(void **state)
{
    struct web_world *f = *state;
    struct addr before = f->addr;
    struct client old, new;
    struct response r;
    int fd;

    client_open(&old, &f->clients, &before, 0);
    client_ask(&old, "GET", "/livez", &r);
    response_fini(&r);
    web_listen(f->web, web_listen_somewhere(&f->addr));
    client_open(&new, &f->clients, &f->addr, 0);
    client_ask(&new, "GET", "/livez", &r);
    assert_int_equal(r.status, 200);
    response_fini(&r);
    client_ask(&old, "GET", "/livez", &r); /* open connections do not notice */
    assert_int_equal(r.status, 200);
    response_fini(&r);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, &before.sa, before.len), -1);
    assert_int_equal(errno, ECONNREFUSED);
    close(fd);
    client_close(&old);
    client_close(&new);
}

static void test_drain_waits_for_what_is_in_progress(void **state)
{
    struct web_world *f = *state;
    struct client slow, idle;
    struct response r;
    char *name = make_long_answer(f);

    client_open(&idle, &f->clients, &f->addr, 0);
    client_ask(&idle, "GET", "/health", &r);
    name[strlen(name) - r.body_len % 16384] = '\0'; /* the last piece is a full one, which no socket takes at once */
    response_fini(&r);
    client_open(&slow, &f->clients, &f->addr, 4096);
    client_send(&slow, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    f->was_asked = false;
    run_until(f->clients.loop, &f->was_asked);
    web_drain(f->web);
    assert_false(f->is_idle);
    client_read(&slow);
    run_until(f->clients.loop, &f->is_idle);
    web_destroy(&f->web); /* as its process would now: nothing it still held may be lost */
    client_wait(&slow, false, &r);
    assert_int_equal(r.body_len % 16384, 0);
    response_fini(&r);
    f->web = web_create(f->clients.loop, &web_world_ops, f, &web_patient);
    client_close(&slow);
    client_close(&idle);
    mem_free(name);
}

static void test_drain_with_nothing_in_progress_is_done_at_once(void **state)
{
    struct web_world *f = *state;

    web_drain(f->web);
    assert_true(f->is_idle);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, web_world_setup, web_world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_clients_that_do_not_ask_are_cut_off),
        TEST(test_a_client_that_does_not_read_is_cut_off),
        TEST(test_a_follower_that_does_not_read_is_cut_off),
        TEST(test_a_long_answer_arrives_whole),
        TEST(test_an_answer_beyond_the_bound),
        TEST(test_connections_are_bounded),
        TEST(test_the_listener_moves),
        TEST(test_drain_waits_for_what_is_in_progress),
        TEST(test_drain_with_nothing_in_progress_is_done_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
