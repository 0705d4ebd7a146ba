/* The admin server in this process, asked over real sockets. */
#include "gateway/admin/web.h"
#include "tests/unit/gateway/admin/client.h"

struct fixture {
    struct world *world;
    struct clients clients;
    struct web *web;
    struct addr addr;
    bool has_view;
    bool was_asked; /* web_ops.view came */
    bool is_idle;   /* web_ops.on_idle came */
    struct feed *feed;
};

static const struct web_limits patient = {.request_ms = PATIENCE_MS, .response_ms = PATIENCE_MS};

static bool on_view(void *arg, struct report_view *v)
{
    struct fixture *f = arg;

    f->was_asked = true;
    *v = f->world->view;
    return f->has_view;
}

static void on_idle(void *arg)
{
    struct fixture *f = arg;

    assert_false(f->is_idle);
    f->is_idle = true;
}

static struct feed *on_feed(void *arg)
{
    struct fixture *f = arg;
    return f->feed;
}

static const struct web_ops ops = {.view = on_view, .feed = on_feed, .on_idle = on_idle};

/* A listener on a free port; its small send buffer is inherited by what it accepts. */
static int listen_somewhere(struct addr *a)
{
    int fd, bytes = 16384;

    assert_true(addr_parse(a, "127.0.0.1:0"));
    assert_int_equal(sock_listen(a, false, 512, &fd), ERR_NONE);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes), 0);
    assert_int_equal(sock_local_addr(fd, a), ERR_NONE);
    return fd;
}

static int setup(void **state)
{
    struct fixture *f = mem_alloc(sizeof *f);
    void *world;

    assert_int_equal(world_setup(&world), 0);
    f->world = world;
    f->has_view = true;
    f->feed = feed_create();
    clients_init(&f->clients);
    f->web = web_create(f->clients.loop, &ops, f, &patient);
    assert_non_null(f->web);
    web_listen(f->web, listen_somewhere(&f->addr));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    void *world = f->world;

    web_destroy(&f->web);
    feed_destroy(&f->feed);
    clients_fini(&f->clients);
    world_teardown(&world);
    mem_free(f);
    return 0;
}

static void test_every_page(void **state)
{
    static const struct {
        const char *path, *type, *begin;
    } pages[] = {
        {"/", "text/plain; charset=utf-8", "Tidegate "},
        {"/health", "application/json", "{\"status\":\"ok\""},
        {"/livez", "application/json", "{\"alive\":true}"},
        {"/readyz", "application/json", "{\"ready\":true"},
        {"/metrics", "text/plain; version=0.0.4; charset=utf-8", "# HELP tidegate_"},
        {"/status", "application/json", "{\"status\":\"ok\""},
        {"/health?verbose=1", "application/json", "{\"status\":\"ok\""},
    };
    struct fixture *f = *state;
    struct client c;

    client_open(&c, &f->clients, &f->addr, 0); /* one connection for all: they are kept */
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        struct response r;

        client_ask(&c, "GET", pages[i].path, &r);
        assert_int_equal(r.status, 200);
        assert_header(&r, "content-type", pages[i].type);
        assert_header(&r, "cache-control", "no-store");
        assert_header(&r, "server", "tidegate");
        assert_int_equal(strncmp(r.body, pages[i].begin, strlen(pages[i].begin)), 0);
        response_fini(&r);
    }
    assert_false(c.is_closed);
    client_close(&c);
}

static void test_the_status_is_that_of_the_report(void **state)
{
    struct fixture *f = *state;
    struct client c;
    struct response r;

    world_verdict(f->world, API_A, VERDICT_DOWN, "reset");
    atomic_store(&f->world->roster->row[1].state, ROSTER_STARTING);
    client_open(&c, &f->clients, &f->addr, 0);
    client_ask(&c, "GET", "/health", &r);
    assert_int_equal(r.status, 503);
    response_fini(&r);
    client_ask(&c, "GET", "/readyz", &r);
    assert_int_equal(r.status, 503);
    response_fini(&r);
    client_ask(&c, "GET", "/livez", &r);
    assert_int_equal(r.status, 200);
    response_fini(&r);
    client_close(&c);
}

static void test_nothing_to_show_yet(void **state)
{
    struct fixture *f = *state;
    struct client c;
    struct response r;

    f->has_view = false;
    client_open(&c, &f->clients, &f->addr, 0);
    client_ask(&c, "GET", "/health", &r);
    assert_int_equal(r.status, 503);
    response_fini(&r);
    client_close(&c);
}

static void test_head_has_the_head_only(void **state)
{
    struct fixture *f = *state;
    struct client c;
    struct response get, head;
    char value[256];

    client_open(&c, &f->clients, &f->addr, 0);
    client_ask(&c, "GET", "/livez", &get);
    client_ask(&c, "HEAD", "/livez", &head);
    assert_int_equal(head.status, 200);
    assert_header(&get, "content-length", header_of(&head, "content-length", value));
    response_fini(&head);
    response_fini(&get);
    client_ask(&c, "GET", "/livez", &get); /* a body after the HEAD would be in the way here */
    assert_int_equal(get.status, 200);
    response_fini(&get);
    client_close(&c);
}

static void test_unknown_paths(void **state)
{
    static const char *const paths[] = {"/nothing", "/health/", "/HEALTH", "/status.html"};
    struct fixture *f = *state;
    struct client c;

    client_open(&c, &f->clients, &f->addr, 0);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct response r;

        client_ask(&c, "GET", paths[i], &r);
        assert_int_equal(r.status, 404);
        assert_header(&r, "content-type", "application/json");
        assert_string_equal(r.body, "{\"error\":\"no such page\"}\n");
        response_fini(&r);
    }
    client_close(&c);
}

static void test_other_methods_are_refused(void **state)
{
    static const char *const requests[] = {
        "POST /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello",
        "POST /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
        "POST /health HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "PUT /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n",
        "DELETE /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "OPTIONS /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        struct client c;
        struct response r;

        client_open(&c, &f->clients, &f->addr, 0);
        client_send(&c, requests[i]);
        client_wait(&c, false, &r);
        assert_int_equal(r.status, 405);
        assert_header(&r, "allow", "GET, HEAD");
        assert_header(&r, "connection", "close");
        client_wait_closed(&c);
        assert_int_equal(c.in.len, 0); /* nothing after it: the body was not taken for a request */
        response_fini(&r);
        client_close(&c);
    }
}

/* What follows such a request may be its body or the next request, and must not be taken for the latter. */
static void test_a_body_is_refused(void **state)
{
    static const char *const fields[] = {"Content-Length: 40", "Transfer-Encoding: chunked", "Content-Length: x"};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        char request[512];
        struct client c;
        struct response r;

        snprintf(request, sizeof request,
                 "GET /health HTTP/1.1\r\nHost: localhost\r\n%s\r\n\r\n"
                 "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
                 "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n",
                 fields[i]);
        client_open(&c, &f->clients, &f->addr, 0);
        client_send(&c, request);
        client_wait(&c, false, &r);
        assert_int_equal(r.status, 413);
        client_wait_closed(&c);
        assert_int_equal(c.in.len, 0);
        response_fini(&r);
        client_close(&c);
    }
}

static void test_pipelined_requests_are_answered_in_order(void **state)
{
    struct fixture *f = *state;
    struct client c;
    struct response r;

    client_open(&c, &f->clients, &f->addr, 0);
    client_send(&c, "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
                    "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"
                    "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    client_wait(&c, false, &r);
    assert_int_equal(r.status, 200);
    response_fini(&r);
    client_wait(&c, false, &r);
    assert_int_equal(r.status, 404);
    response_fini(&r);
    client_wait(&c, false, &r);
    assert_int_equal(r.status, 200);
    response_fini(&r);
    client_wait_closed(&c);
    client_close(&c);
}

static void test_old_clients_are_closed_after_one_answer(void **state)
{
    struct fixture *f = *state;
    struct client c;
    struct response r;

    client_open(&c, &f->clients, &f->addr, 0);
    client_send(&c, "GET /livez HTTP/1.0\r\n\r\n");
    client_wait(&c, false, &r);
    assert_int_equal(r.status, 200);
    client_wait_closed(&c);
    response_fini(&r);
    client_close(&c);
}

/* A browser led to a loopback address by somebody else's name must not read what is there. */
static void test_foreign_hosts_on_loopback(void **state)
{
    static const struct {
        const char *host;
        int status;
    } cases[] = {
        {"localhost", 200},
        {"LOCALHOST:9180", 200},
        {"127.0.0.1", 200},
        {"127.0.0.1:9180", 200},
        {"[::1]", 200},
        {"[::1]:9180", 200},
        {"evil.example", 421},
        {"evil.example:9180", 421},
        {"localhost.evil.example", 421},
        {"[evil]", 421},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char request[256];
        struct client c;
        struct response r;

        snprintf(request, sizeof request, "GET /livez HTTP/1.1\r\nHost: %s\r\n\r\n", cases[i].host);
        client_open(&c, &f->clients, &f->addr, 0);
        client_send(&c, request);
        client_wait(&c, false, &r);
        if (r.status != cases[i].status)
            fail_msg("Host %s: status %d", cases[i].host, r.status);
        response_fini(&r);
        client_close(&c);
    }
}

/* Whatever this is, it costs its own connection at most. */
static void test_rubbish(void **state)
{
    static const char *const requests[] = {
        "\x16\x03\x01\x02",
        "GET\r\n\r\n",
        "BREW /pot HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET health HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "CONNECT localhost:1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: localhost\r\nUpgrade: something\r\nConnection: Upgrade\r\n\r\n",
    };
    static const struct web_limits hasty = {.request_ms = 200, .response_ms = 200};
    struct fixture *f = *state;
    char *longest = mem_alloc(100001);
    struct client c;
    struct response r;

    web_set_limits(f->web, &hasty);
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        client_open(&c, &f->clients, &f->addr, 0);
        client_send(&c, requests[i]);
        client_wait_closed(&c);
        assert_true(c.in.len == 0 || strstr(c.in.data, "101 Switching") == NULL);
        client_close(&c);
    }
    memset(longest, 'x', 100000);
    memcpy(longest, "GET /", 5);
    client_open(&c, &f->clients, &f->addr, 0);
    client_send_bytes(&c, longest, 100000);
    client_wait_closed(&c);
    client_close(&c);
    mem_free(longest);
    web_set_limits(f->web, &patient);
    client_open(&c, &f->clients, &f->addr, 0);
    client_ask(&c, "GET", "/livez", &r);
    assert_int_equal(r.status, 200);
    response_fini(&r);
    client_close(&c);
}

static void test_clients_that_do_not_ask_are_cut_off(void **state)
{
    static const struct web_limits hasty = {.request_ms = 100, .response_ms = PATIENCE_MS};
    struct fixture *f = *state;
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
static char *make_long_answer(struct fixture *f)
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
    struct fixture *f = *state;
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

static void happens(struct fixture *f, uint64_t seq)
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
    struct fixture *f = *state;
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
    struct fixture *f = *state;
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
    struct fixture *f = *state;
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
    struct fixture *f = *state;
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
    struct fixture *f = *state;
    struct addr before = f->addr;
    struct client old, new;
    struct response r;
    int fd;

    client_open(&old, &f->clients, &before, 0);
    client_ask(&old, "GET", "/livez", &r);
    response_fini(&r);
    web_listen(f->web, listen_somewhere(&f->addr));
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
    struct fixture *f = *state;
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
    f->web = web_create(f->clients.loop, &ops, f, &patient);
    client_close(&slow);
    client_close(&idle);
    mem_free(name);
}

static void test_drain_with_nothing_in_progress_is_done_at_once(void **state)
{
    struct fixture *f = *state;

    web_drain(f->web);
    assert_true(f->is_idle);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_page),
        TEST(test_the_status_is_that_of_the_report),
        TEST(test_nothing_to_show_yet),
        TEST(test_head_has_the_head_only),
        TEST(test_unknown_paths),
        TEST(test_other_methods_are_refused),
        TEST(test_a_body_is_refused),
        TEST(test_pipelined_requests_are_answered_in_order),
        TEST(test_old_clients_are_closed_after_one_answer),
        TEST(test_foreign_hosts_on_loopback),
        TEST(test_rubbish),
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
