/* What the admin server answers to whom: pages, methods, hosts, rubbish. */
#include "tests/unit/gateway/admin/web_world.h"

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
    struct web_world *f = *state;
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
    struct web_world *f = *state;
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
    struct web_world *f = *state;
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
    struct web_world *f = *state;
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
    struct web_world *f = *state;
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
    struct web_world *f = *state;

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
    struct web_world *f = *state;

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
    struct web_world *f = *state;
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
    struct web_world *f = *state;
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
    struct web_world *f = *state;

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
    struct web_world *f = *state;
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
    web_set_limits(f->web, &web_patient);
    client_open(&c, &f->clients, &f->addr, 0);
    client_ask(&c, "GET", "/livez", &r);
    assert_int_equal(r.status, 200);
    response_fini(&r);
    client_close(&c);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, web_world_setup, web_world_teardown)

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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
