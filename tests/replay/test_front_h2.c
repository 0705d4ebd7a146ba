/* HTTP/2 clients: many requests on one connection, the way back of its windows, goodbyes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/replay/h2_user.h"
#include "tests/replay/talk.h"

#define REST                                                                                                           \
    "limits: { header_timeout: 10s, body_timeout: 5s, keepalive_timeout: 20s, send_timeout: 8s, streams: 3 }\n"        \
    "health: { path: /healthz }\n"                                                                                     \
    "pools: { web: { between_bytes_timeout: 1h, servers: [ { name: a, url: 'http://127.0.0.1:@a' } ] } }\n"            \
    "routes: [ { path: /, pool: web } ]\n"
static const char yaml[] = "listen: [ { address: '127.0.0.1:1' } ]\n" REST;

/* ---- requests ---- */

static void requests_of_one_connection_do_not_wait_for_each_other(void **state)
{
    struct rig r;
    struct h2_user u;
    struct h2_call first, second, third;
    char buf[4096];
    (void)state;
    rig_open(&r, yaml);
    h2_user_open(&u, &r);
    h2_call_begin(&first, &u, "GET", "/1?q", "x-thing: a\r\n", false);
    h2_user_run(&u);
    int server = rig_accept(&r, 0);
    text_at(&r, server, buf, sizeof buf);
    assert_memory_equal(buf, "GET /1?q HTTP/1.1\r\nHost: app.example.com\r\n", 42);
    assert_non_null(strstr(buf, "x-thing: a\r\n"));
    h2_call_begin(&second, &u, "GET", "/2", NULL, false);
    h2_call_begin(&third, &u, "HEAD", "/healthz", NULL, false);
    h2_user_run(&u);
    assert_int_equal(third.status, 200);
    assert_int_equal(third.body_bytes, 0);
    int other = rig_accept(&r, 0);
    say(&r, other, OK_HI);
    h2_user_run(&u);
    assert_int_equal(second.status, 200);
    assert_string_equal(second.body, "hi");
    assert_non_null(strstr(second.fields, "content-length: 2\n"));
    assert_true(second.is_closed);
    assert_int_equal(first.status, 0);
    say(&r, server, OK_HI);
    h2_user_run(&u);
    assert_int_equal(first.status, 200);
    h2_user_close(&u);
    close(server);
    close(other);
    rig_close(&r);
}

static void a_body_is_passed_on_as_it_comes(void **state)
{
    struct rig r;
    struct h2_user u;
    struct h2_call c;
    char buf[4096];
    (void)state;
    rig_open(&r, yaml);
    h2_user_open(&u, &r);
    h2_call_begin(&c, &u, "POST", "/up", "content-length: 10\r\n", true);
    h2_stream_send(c.stream, "hello", 5);
    h2_user_run(&u);
    int server = rig_accept(&r, 0);
    text_at(&r, server, buf, sizeof buf);
    assert_non_null(strstr(buf, "Content-Length: 10\r\n"));
    assert_non_null(strstr(buf, "\r\n\r\nhello"));
    h2_stream_send(c.stream, "world", 5);
    h2_stream_end(c.stream);
    h2_user_run(&u);
    assert_string_equal(text_at(&r, server, buf, sizeof buf), "world");
    say(&r, server, OK_HI);
    h2_user_run(&u);
    assert_int_equal(c.status, 200);
    assert_int_equal(c.code, H2_NO_ERROR);
    h2_user_close(&u);
    close(server);
    rig_close(&r);
}

static void a_client_that_waits_is_told_to_go_on(void **state)
{
    struct rig r;
    struct h2_user u;
    struct h2_call c;
    (void)state;
    rig_open(&r, yaml);
    h2_user_open(&u, &r);
    h2_call_begin(&c, &u, "POST", "/up", "expect: 100-continue\r\n", true);
    h2_user_run(&u);
    assert_int_equal(c.interim, 100);
    h2_user_close(&u);
    close(rig_accept(&r, 0));
    rig_close(&r);
}

static void a_body_that_does_not_come_is_408(void **state)
{
    struct rig r;
    struct h2_user u;
    struct h2_call c, other;
    (void)state;
    rig_open(&r, yaml);
    h2_user_open(&u, &r);
    h2_call_begin(&c, &u, "POST", "/up", NULL, true);
    h2_stream_send(c.stream, "hel", 3);
    h2_user_run(&u);
    int server = rig_accept(&r, 0);
    h2_user_pass(&u, 4000);
    assert_int_equal(c.status, 0);
    h2_user_pass(&u, 3000);
    assert_int_equal(c.status, 408);
    /* The others are not concerned. */
    h2_call_begin(&other, &u, "GET", "/healthz", NULL, false);
    h2_user_run(&u);
    assert_int_equal(other.status, 200);
    h2_user_close(&u);
    close(server);
    rig_close(&r);
}

static void an_early_answer_waits_for_a_small_rest(void **state)
{
    struct rig r;
    struct h2_user u;
    struct h2_call c;
    (void)state;
    rig_open(&r, yaml);
    h2_user_open(&u, &r);
    h2_call_begin(&c, &u, "POST", "/healthz", "content-length: 10\r\n", true);
    h2_stream_send(c.stream, "hello", 5);
    h2_user_run(&u);
    assert_int_equal(c.status, 405);
    assert_false(c.is_closed);
    h2_stream_send(c.stream, "world", 5);
    h2_stream_end(c.stream);
    h2_user_run(&u);
    assert_true(c.is_ended);
    assert_true(c.is_closed);
    /* But not for long. */
    h2_call_begin(&c, &u, "POST", "/healthz", "content-length: 10\r\n", true);
    h2_user_pass(&u, 900);
    assert_false(c.is_ended);
    h2_user_pass(&u, 1200);
    assert_true(c.is_ended);
    assert_int_equal(c.code, H2_NO_ERROR);
    h2_user_close(&u);
    rig_close(&r);
}

static void an_early_answer_does_not_wait_for_a_large_rest(void **state)
{
    struct rig r;
    struct h2_user u;
    struct h2_call c;
    (void)state;
    rig_open(&r, yaml);
    h2_user_open(&u, &r);
    h2_call_begin(&c, &u, "POST", "/healthz", "content-length: 10000000\r\n", true);
    h2_user_run(&u);
    assert_int_equal(c.status, 405);
    assert_true(c.is_ended);
    assert_true(c.is_closed);
    assert_int_equal(c.code, H2_NO_ERROR);
    h2_user_close(&u);
    rig_close(&r);
}

static void a_request_that_is_given_up_is_given_up_at_the_server(void **state)
{
    struct rig r;
    struct h2_user u;
    struct h2_call c;
    char buf[4096];
    (void)state;
    rig_open(&r, yaml);
    h2_user_open(&u, &r);
    h2_call_begin(&c, &u, "GET", "/1", NULL, false);
    h2_user_run(&u);
    int server = rig_accept(&r, 0);
    text_at(&r, server, buf, sizeof buf);
    assert_int_equal(rig_read(&r, server, buf, sizeof buf), -1);
    h2_stream_reset(&c.stream, H2_CANCEL);
    h2_user_run(&u);
    assert_true(rig_read(&r, server, buf, sizeof buf) != -1);
    h2_user_close(&u);
    close(server);
    rig_close(&r);
}

static void a_server_that_breaks_off_is_seen_to(void **state)
{
    struct rig r;
    struct h2_user u;
    struct h2_call c;
    (void)state;
    rig_open(&r, yaml);
    h2_user_open(&u, &r);
    h2_call_begin(&c, &u, "GET", "/1", NULL, false);
    h2_user_run(&u);
    int server = rig_accept(&r, 0);
    say(&r, server, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    close(server);
    h2_user_run(&u);
    assert_int_equal(c.status, 200);
    assert_true(c.is_closed);
    assert_int_equal(c.code, H2_INTERNAL_ERROR);
    h2_user_close(&u);
    rig_close(&r);
}

static void a_head_too_large_is_431_and_the_connection_goes_on(void **state)
{
    struct rig r;
    struct h2_user u;
    struct h2_call c;
    static char fields[20000];
    (void)state;
    rig_open(&r, yaml);
    h2_user_open(&u, &r);
    memset(fields, 'a', sizeof fields - 3);
    memcpy(fields, "x-long: ", 8);
    memcpy(fields + sizeof fields - 3, "\r\n", 3);
    h2_call_begin(&c, &u, "GET", "/1", fields, false);
    h2_user_run(&u);
    assert_int_equal(c.status, 431);
    h2_call_begin(&c, &u, "GET", "/healthz", NULL, false);
    h2_user_run(&u);
    assert_int_equal(c.status, 200);
    h2_user_close(&u);
    rig_close(&r);
}

/* ---- windows ---- */

/* Fills everything between the server and a client that does not read, with messages of a WebSocket; `at` is where in
 * one of them it stopped. */
static size_t fill(struct rig *r, int server, size_t *at)
{
    static char block[65536] = "\x82\x7e\xff\xfc";
    size_t sent = 0;
    for (;;) {
        ssize_t n = send(server, block + *at, sizeof block - *at, MSG_NOSIGNAL | MSG_DONTWAIT);
        sim_settle(r->loop);
        if (n < 0)
            return sent;
        *at = (*at + (size_t)n) % sizeof block;
        sent += (size_t)n;
        assert_true(sent < (256u << 20));
    }
}

static void a_stream_nobody_reads_stops_its_server_alone(void **state)
{
    struct rig r;
    struct h2_user u;
    struct h2_call slow, quick;
    size_t at = 0;
    (void)state;
    rig_open(&r, yaml);
    h2_user_open(&u, &r);
    h2_call_begin(&slow, &u, "GET", "/1", NULL, false);
    slow.keeps = true;
    h2_user_run(&u);
    int server = rig_accept(&r, 0);
    say(&r, server, "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
    (void)fill(&r, server, &at);
    h2_user_run(&u);
    (void)fill(&r, server, &at);
    h2_user_run(&u);
    assert_int_equal(slow.body_bytes, 256 * 1024); /* its window */
    h2_call_begin(&quick, &u, "GET", "/healthz", NULL, false);
    h2_user_run(&u);
    assert_int_equal(quick.status, 200);
    /* And for no longer than send_timeout. */
    h2_user_pass(&u, 7000);
    assert_false(slow.is_closed);
    h2_user_pass(&u, 5000);
    assert_true(slow.is_closed);
    assert_int_equal(slow.code, H2_CANCEL);
    h2_user_close(&u);
    close(server);
    rig_close(&r);
}

static void a_server_that_does_not_read_stops_its_client(void **state)
{
    enum { MANY = 16 << 20 };
    struct rig r;
    struct h2_user u;
    struct h2_call c;
    static char block[1 << 20];
    (void)state;
    rig_open(&r, yaml);
    h2_user_open(&u, &r);
    h2_call_begin(&c, &u, "POST", "/up", NULL, true);
    h2_user_run(&u);
    int server = rig_accept(&r, 0);
    for (size_t sent = 0; sent < MANY; sent += sizeof block)
        h2_stream_send(c.stream, block, sizeof block);
    h2_stream_end(c.stream);
    h2_user_run(&u);
    /* What the kernel took between us and the server, a window, and what a call may hold. */
    const size_t left = h2_stream_queued(c.stream);
    assert_true(left > MANY / 2);
    h2_user_run(&u);
    assert_int_equal(h2_stream_queued(c.stream), left);
    /* Once it reads, all of it comes. */
    size_t got = 0;
    for (int n = 1; n > 0;) {
        n = rig_read(&r, server, block, sizeof block);
        got += n > 0 ? (size_t)n : 0;
        h2_user_run(&u);
    }
    assert_true(got > MANY);
    say(&r, server, OK_HI);
    h2_user_run(&u);
    assert_int_equal(c.status, 200);
    h2_user_close(&u);
    close(server);
    rig_close(&r);
}

/* ---- goodbyes ---- */

static void an_idle_connection_is_closed_with_a_goodbye(void **state)
{
    struct rig r;
    struct h2_user u;
    struct h2_call c;
    (void)state;
    rig_open(&r, yaml);
    h2_user_open(&u, &r);
    h2_call_begin(&c, &u, "GET", "/healthz", NULL, false);
    h2_user_pass(&u, 19900);
    assert_false(u.is_goodbye);
    h2_user_pass(&u, 200);
    assert_true(u.is_goodbye);
    assert_true(u.is_gone);
    h2_user_close(&u);
    assert_int_equal(front_client_count(r.worker->front), 0);
    rig_close(&r);
}

static void a_connection_that_asks_for_nothing_is_not_kept(void **state)
{
    struct rig r;
    struct h2_user u;
    (void)state;
    rig_open(&r, yaml);
    h2_user_open(&u, &r);
    h2_user_pass(&u, 9900);
    assert_false(u.is_goodbye);
    h2_user_pass(&u, 200);
    assert_true(u.is_gone);
    h2_user_close(&u);
    rig_close(&r);
}

static void a_drain_lets_what_is_under_way_finish(void **state)
{
    struct rig r;
    struct h2_user u, idle;
    struct h2_call c, late, last;
    char buf[4096];
    (void)state;
    rig_open(&r, yaml);
    h2_user_open(&idle, &r);
    h2_call_begin(&last, &idle, "GET", "/healthz", NULL, false);
    h2_user_run(&idle);
    h2_user_open(&u, &r);
    h2_call_begin(&c, &u, "GET", "/1", NULL, false);
    h2_user_run(&u);
    int server = rig_accept(&r, 0);
    text_at(&r, server, buf, sizeof buf);
    /* A request that crosses the goodbye is served. */
    h2_call_begin(&late, &u, "GET", "/healthz", NULL, false);
    front_drain(r.worker->front);
    h2_user_run(&u);
    assert_true(u.is_goodbye);
    assert_int_equal(late.status, 200);
    h2_user_run(&idle);
    assert_true(idle.is_gone);
    h2_user_pass(&u, 3000);
    assert_false(u.is_gone);
    say(&r, server, OK_HI);
    h2_user_run(&u);
    assert_int_equal(c.status, 200);
    assert_true(u.is_gone);
    h2_user_close(&u);
    h2_user_close(&idle);
    assert_int_equal(front_client_count(r.worker->front), 0);
    close(server);
    rig_close(&r);
}

static void requests_are_sent_to_https_over_http2_too(void **state)
{
    struct rig r;
    struct h2_user u;
    struct h2_call c;
    (void)state;
    rig_open(&r, "listen: [ { address: '127.0.0.1:1', redirect_https: true } ]\n" REST);
    h2_user_open(&u, &r);
    assert_false(h2_client_serves_connect(u.session));
    h2_call_begin(&c, &u, "POST", "/a?b", NULL, true);
    h2_user_run(&u);
    assert_int_equal(c.status, 308);
    assert_non_null(strstr(c.fields, "location: https://app.example.com/a?b\n"));
    h2_user_close(&u);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_of_one_connection_do_not_wait_for_each_other),
        cmocka_unit_test(a_body_is_passed_on_as_it_comes),
        cmocka_unit_test(a_client_that_waits_is_told_to_go_on),
        cmocka_unit_test(a_body_that_does_not_come_is_408),
        cmocka_unit_test(an_early_answer_waits_for_a_small_rest),
        cmocka_unit_test(an_early_answer_does_not_wait_for_a_large_rest),
        cmocka_unit_test(a_request_that_is_given_up_is_given_up_at_the_server),
        cmocka_unit_test(a_server_that_breaks_off_is_seen_to),
        cmocka_unit_test(a_head_too_large_is_431_and_the_connection_goes_on),
        cmocka_unit_test(a_stream_nobody_reads_stops_its_server_alone),
        cmocka_unit_test(a_server_that_does_not_read_stops_its_client),
        cmocka_unit_test(an_idle_connection_is_closed_with_a_goodbye),
        cmocka_unit_test(a_connection_that_asks_for_nothing_is_not_kept),
        cmocka_unit_test(a_drain_lets_what_is_under_way_finish),
        cmocka_unit_test(requests_are_sent_to_https_over_http2_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
