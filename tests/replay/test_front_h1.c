/* HTTP/1.1 clients: what comes one behind the other, how it is answered, and how long anything may take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/replay/talk.h"

#define LIMITS "limits: { header_timeout: 10s, body_timeout: 5s, keepalive_timeout: 20s, send_timeout: 8s }\n"
#define REST                                                                                                           \
    "health: { path: /healthz }\n"                                                                                     \
    "pools: { web: { servers: [ { name: a, url: 'http://127.0.0.1:@a' } ] } }\n"                                       \
    "routes: [ { path: /, pool: web } ]\n"

static const char yaml[] = "listen: [ { address: '127.0.0.1:1' } ]\n" LIMITS REST;

/* ---- one behind the other ---- */

static void pipelined_requests_with_bodies_take_their_turns(void **state)
{
    struct rig r;
    char buf[4096];
    (void)state;
    rig_open(&r, yaml);
    int client = rig_client(&r, "POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\none"
                                "POST /2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n"
                                "GET /3 HTTP/1.1\r\nHost: x\r\n\r\n");
    int server = rig_accept(&r, 0);
    static const char *const begin[] = {"POST /1 ", "POST /2 ", "GET /3 "};
    for (int i = 0; i < 3; i++) {
        text_at(&r, server, buf, sizeof buf);
        assert_memory_equal(buf, begin[i], strlen(begin[i]));
        assert_null(strstr(buf + 1, "HTTP/1.1\r\nHost: x\r\n\r\nPOST")); /* no more than its own */
        expect_nothing(&r, server);
        expect_nothing(&r, client);
        say(&r, server, OK_HI);
        expect_status(&r, client, 200);
    }
    close(client);
    close(server);
    rig_close(&r);
}

static void a_head_may_come_in_any_pieces(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, yaml);
    int client = rig_client(&r, "");
    for (int i = 0; i < 2; i++) {
        for (const char *p = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"; *p != '\0'; p++) {
            expect_nothing(&r, client);
            rig_write(&r, client, p, 1);
        }
        expect_status(&r, client, 200);
    }
    close(client);
    rig_close(&r);
}

/* Not before, and not much later. */
static void expect_timeout_in(struct rig *r, int client, int64_t time_ms)
{
    rig_advance(r, time_ms - 100);
    expect_nothing(r, client);
    rig_advance(r, 200);
    expect_status(r, client, 408);
    expect_end(r, client);
}

static void the_time_of_the_first_head_counts_from_the_connection_on(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, yaml);
    int client = rig_client(&r, "");
    rig_advance(&r, 6000);
    say(&r, client, "GET /");
    expect_timeout_in(&r, client, 4000);
    close(client);
    rig_close(&r);
}

static void an_idle_connection_is_kept_for_a_while(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, yaml);
    int client = rig_client(&r, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    expect_status(&r, client, 200);
    rig_advance(&r, 19000);
    say(&r, client, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    expect_status(&r, client, 200);
    rig_advance(&r, 19900);
    expect_nothing(&r, client);
    rig_advance(&r, 200);
    expect_end(&r, client);
    close(client);
    rig_close(&r);
}

/* The timer of the idle connection goes off in the middle of what came then. */
static void what_ends_being_idle_has_its_own_time(void **state)
{
    struct rig r;
    char buf[4096];
    (void)state;
    rig_open(&r, yaml);
    int client = rig_client(&r, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    expect_status(&r, client, 200);
    rig_advance(&r, 15000);
    say(&r, client, "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
    int server = rig_accept(&r, 0);
    text_at(&r, server, buf, sizeof buf);
    rig_advance(&r, 9000);
    say(&r, server, "HTTP/1.1 204 No Content\r\n\r\n");
    expect_status(&r, client, 204);
    rig_advance(&r, 15000);
    say(&r, client, "GET /");
    expect_timeout_in(&r, client, 10000);
    close(client);
    close(server);
    rig_close(&r);
}

static void half_a_head_behind_another_request_is_408_in_its_own_time(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, yaml);
    int client = rig_client(&r, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /");
    expect_status(&r, client, 200);
    rig_advance(&r, 9900);
    say(&r, client, "healthz"); /* does not help */
    expect_nothing(&r, client);
    rig_advance(&r, 200);
    expect_status(&r, client, 408);
    expect_end(&r, client);
    close(client);
    rig_close(&r);
}

static void the_connection_ends_with_the_request_that_says_so(void **state)
{
    struct rig r;
    char buf[4096];
    (void)state;
    rig_open(&r, yaml);
    int client = rig_client(&r, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                                "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    text_at(&r, client, buf, sizeof buf);
    assert_non_null(strstr(buf, "Connection: close\r\n"));
    assert_null(strstr(buf + 1, "HTTP/1.1 200"));
    expect_end(&r, client);
    close(client);
    rig_close(&r);
}

/* ---- answers ---- */

static void what_has_no_length_is_chunked(void **state)
{
    struct rig r;
    char buf[4096];
    (void)state;
    rig_open(&r, yaml);
    int client = rig_client(&r, "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
    int server = rig_accept(&r, 0);
    text_at(&r, server, buf, sizeof buf);
    say(&r, server, "HTTP/1.1 200 OK\r\n\r\nhello");
    text_at(&r, client, buf, sizeof buf);
    assert_non_null(strstr(buf, "Transfer-Encoding: chunked\r\n"));
    assert_non_null(strstr(buf, "\r\n\r\n5\r\nhello\r\n"));
    close(server);
    assert_string_equal(text_at(&r, client, buf, sizeof buf), "0\r\n\r\n");
    say(&r, client, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    expect_status(&r, client, 200);
    close(client);
    rig_close(&r);
}

static void an_old_client_sees_the_end_of_the_connection_instead(void **state)
{
    struct rig r;
    char buf[4096];
    (void)state;
    rig_open(&r, yaml);
    int client = rig_client(&r, "GET /1 HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n");
    int server = rig_accept(&r, 0);
    text_at(&r, server, buf, sizeof buf);
    say(&r, server, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    text_at(&r, client, buf, sizeof buf);
    assert_null(strstr(buf, "chunked"));
    assert_non_null(strstr(buf, "Connection: close\r\n"));
    assert_non_null(strstr(buf, "\r\n\r\nhello"));
    assert_null(strstr(buf, "hello\r\n"));
    expect_end(&r, client);
    close(client);
    close(server);
    rig_close(&r);
}

static void an_old_client_may_keep_its_connection(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, yaml);
    int client = rig_client(&r, "GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    expect_at(&r, client, "Connection: keep-alive\r\n");
    say(&r, client, "GET /healthz HTTP/1.0\r\n\r\n");
    expect_at(&r, client, "Connection: close\r\n");
    expect_end(&r, client);
    close(client);
    rig_close(&r);
}

static void an_answer_to_head_has_no_body(void **state)
{
    struct rig r;
    char buf[4096];
    (void)state;
    rig_open(&r, yaml);
    int client = rig_client(&r, "HEAD /1 HTTP/1.1\r\nHost: x\r\n\r\n");
    int server = rig_accept(&r, 0);
    text_at(&r, server, buf, sizeof buf);
    say(&r, server, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    text_at(&r, client, buf, sizeof buf);
    assert_non_null(strstr(buf, "Content-Length: 1000\r\n"));
    assert_string_equal(strstr(buf, "\r\n\r\n"), "\r\n\r\n");
    say(&r, client, "HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    text_at(&r, client, buf, sizeof buf);
    assert_non_null(strstr(buf, "\r\n\r\nHTTP/1.1 200 "));
    close(client);
    close(server);
    rig_close(&r);
}

static void an_answer_that_breaks_off_is_seen_to(void **state)
{
    struct rig r;
    char buf[4096];
    (void)state;
    rig_open(&r, yaml);
    int client = rig_client(&r, "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
    int server = rig_accept(&r, 0);
    text_at(&r, server, buf, sizeof buf);
    say(&r, server, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    expect_at(&r, client, "\r\nhello\r\n");
    close(server);
    expect_end(&r, client); /* without the last chunk */
    close(client);
    rig_close(&r);
}

/* Fills everything between the server and a client that does not read. */
static void fill(struct rig *r, int server)
{
    static char block[65536];
    size_t sent = 0;
    for (;;) {
        ssize_t n = send(server, block, sizeof block, MSG_NOSIGNAL | MSG_DONTWAIT);
        sim_settle(r->loop);
        if (n < 0)
            break;
        sent += (size_t)n;
        assert_true(sent < (256u << 20));
    }
}

static void a_client_that_does_not_read_is_cut_off(void **state)
{
    struct rig r;
    static char buf[1 << 20];
    int n;
    (void)state;
    rig_open(&r, yaml);
    int client = rig_client(&r, "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
    int server = rig_accept(&r, 0);
    text_at(&r, server, buf, sizeof buf);
    say(&r, server, "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
    fill(&r, server);
    rig_advance(&r, 7000);
    assert_int_equal(front_client_count(r.worker->front), 1);
    rig_advance(&r, 4000);
    assert_int_equal(front_client_count(r.worker->front), 0);
    while ((n = rig_read(&r, client, buf, sizeof buf)) > 0)
        ;
    assert_int_equal(n, -2);
    assert_true(rig_read(&r, server, buf, sizeof buf) != -1);
    close(client);
    close(server);
    rig_close(&r);
}

static void a_client_that_reads_slowly_is_not(void **state)
{
    struct rig r;
    static char buf[1 << 20];
    (void)state;
    rig_open(&r, yaml);
    int client = rig_client(&r, "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
    int server = rig_accept(&r, 0);
    text_at(&r, server, buf, sizeof buf);
    say(&r, server, "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
    for (int i = 0; i < 5; i++) {
        fill(&r, server);
        rig_advance(&r, 7000);
        for (int k = 0; k < 8; k++)
            assert_true(rig_read(&r, client, buf, sizeof buf) > 0);
    }
    assert_int_equal(front_client_count(r.worker->front), 1);
    close(client);
    close(server);
    rig_close(&r);
}

/* ---- clients that go ---- */

static void half_a_connection_is_enough_to_read_an_answer(void **state)
{
    struct rig r;
    char buf[4096];
    (void)state;
    rig_open(&r, yaml);
    int client = rig_client(&r, "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
    int server = rig_accept(&r, 0);
    text_at(&r, server, buf, sizeof buf);
    say(&r, server, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    assert_int_equal(shutdown(client, SHUT_WR), 0);
    expect_status(&r, client, 200);
    say(&r, server, "world");
    expect_at(&r, client, "world");
    expect_end(&r, client);
    close(client);
    close(server);
    rig_close(&r);
}

static void half_a_body_is_not_waited_for_after_its_end(void **state)
{
    struct rig r;
    char buf[4096];
    (void)state;
    rig_open(&r, yaml);
    int client = rig_client(&r, "POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello");
    int server = rig_accept(&r, 0);
    text_at(&r, server, buf, sizeof buf);
    assert_int_equal(shutdown(client, SHUT_WR), 0);
    assert_true(rig_read(&r, server, buf, sizeof buf) != -1);
    assert_int_equal(front_client_count(r.worker->front), 0);
    close(client);
    close(server);
    rig_close(&r);
}

static void a_drain_lets_who_is_served_finish(void **state)
{
    struct rig r;
    char buf[4096];
    (void)state;
    rig_open(&r, yaml);
    int idle = rig_client(&r, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    expect_status(&r, idle, 200);
    int busy = rig_client(&r, "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
    int server = rig_accept(&r, 0);
    text_at(&r, server, buf, sizeof buf);
    front_drain(r.worker->front);
    expect_end(&r, idle);
    say(&r, server, OK_HI);
    expect_at(&r, busy, "Connection: close\r\n");
    expect_end(&r, busy);
    close(busy);
    close(idle);
    sim_settle(r.loop);
    assert_int_equal(front_client_count(r.worker->front), 0);
    close(server);
    rig_close(&r);
}

/* ---- redirects ---- */

static void plain_requests_are_sent_to_https(void **state)
{
    static const struct {
        const char *request;
        int status;
        const char *location;
    } cases[] = {
        {"GET /a?b=c HTTP/1.1\r\nHost: example.com\r\n\r\n", 301, "Location: https://example.com:8443/a?b=c\r\n"},
        {"HEAD / HTTP/1.1\r\nHost: example.com:80\r\n\r\n", 301, "Location: https://example.com:8443/\r\n"},
        {"GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", 301, "Location: https://[::1]:8443/\r\n"},
        {"GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n", 301, "Location: https://[::1]:8443/\r\n"},
        {"POST /a HTTP/1.1\r\nHost: example.com\r\nContent-Length: 2\r\n\r\nhi", 308,
         "Location: https://example.com:8443/a\r\n"},
        {"OPTIONS * HTTP/1.1\r\nHost: example.com\r\n\r\n", 308, "Location: https://example.com:8443/\r\n"},
        {"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 200, "\r\n\r\n{"},
        {"GET /a HTTP/1.0\r\n\r\n", 400, "Connection: close\r\n"},
    };
    struct rig r;
    char buf[4096], start[32];
    (void)state;
    rig_open(&r, "listen: [ { address: '127.0.0.1:1', redirect_https: true, redirect_port: 8443 } ]\n" REST);
    int client = rig_client(&r, "");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        say(&r, client, cases[i].request);
        text_at(&r, client, buf, sizeof buf);
        (void)snprintf(start, sizeof start, "HTTP/1.1 %d ", cases[i].status);
        if (strncmp(buf, start, strlen(start)) != 0 || strstr(buf, cases[i].location) == NULL)
            fail_msg("%s: %s", cases[i].request, buf);
    }
    assert_false(rig_has_waiting(&r, 0));
    close(client);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pipelined_requests_with_bodies_take_their_turns),
        cmocka_unit_test(a_head_may_come_in_any_pieces),
        cmocka_unit_test(the_time_of_the_first_head_counts_from_the_connection_on),
        cmocka_unit_test(an_idle_connection_is_kept_for_a_while),
        cmocka_unit_test(what_ends_being_idle_has_its_own_time),
        cmocka_unit_test(half_a_head_behind_another_request_is_408_in_its_own_time),
        cmocka_unit_test(the_connection_ends_with_the_request_that_says_so),
        cmocka_unit_test(what_has_no_length_is_chunked),
        cmocka_unit_test(an_old_client_sees_the_end_of_the_connection_instead),
        cmocka_unit_test(an_old_client_may_keep_its_connection),
        cmocka_unit_test(an_answer_to_head_has_no_body),
        cmocka_unit_test(an_answer_that_breaks_off_is_seen_to),
        cmocka_unit_test(a_client_that_does_not_read_is_cut_off),
        cmocka_unit_test(a_client_that_reads_slowly_is_not),
        cmocka_unit_test(half_a_connection_is_enough_to_read_an_answer),
        cmocka_unit_test(half_a_body_is_not_waited_for_after_its_end),
        cmocka_unit_test(a_drain_lets_who_is_served_finish),
        cmocka_unit_test(plain_requests_are_sent_to_https),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
