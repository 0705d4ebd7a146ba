/* HTTP/2 clients: many requests on one connection, the way back of its windows, WebSockets over streams, goodbyes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gateway/http/upgrade.h"
#include "tests/replay/h2_user.h"

#define REST                                                                                                           \
    "limits: { header_timeout: 10s, body_timeout: 5s, keepalive_timeout: 20s, send_timeout: 8s, streams: 3 }\n"        \
    "health: { path: /healthz }\n"                                                                                     \
    "pools: { web: { between_bytes_timeout: 1h, servers: [ { name: a, url: 'http://127.0.0.1:@a' } ] } }\n"            \
    "routes: [ { path: /, pool: web } ]\n"
static const char yaml[] = "listen: [ { address: '127.0.0.1:1' } ]\n" REST;

#define OK_HI "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

static void say(struct rig *r, int fd, const char *text)
{
    rig_write(r, fd, text, strlen(text));
}

static const char *text_at(struct rig *r, int fd, char *buf, size_t cap)
{
    buf[0] = '\0';
    (void)rig_read(r, fd, buf, cap);
    return buf;
}

static void pass_time(struct h2_user *u, int64_t time_ms)
{
    h2_user_run(u);
    rig_advance(u->rig, time_ms);
    h2_user_run(u);
}

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
    pass_time(&u, 4000);
    assert_int_equal(c.status, 0);
    pass_time(&u, 3000);
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
    pass_time(&u, 900);
    assert_false(c.is_ended);
    pass_time(&u, 1200);
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
    pass_time(&u, 7000);
    assert_false(slow.is_closed);
    pass_time(&u, 5000);
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

/* ---- WebSockets over streams ---- */

/* The 101 that belongs to the key at `key`. */
static void make_answer(const char *key, char *answer, size_t cap)
{
    char accept[UPGRADE_ACCEPT_BYTES];
    upgrade_accept_key((struct http_view){key, 24}, accept);
    (void)snprintf(answer, cap,
                   "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Accept: %s\r\n\r\n",
                   accept);
}

static void open_websocket(struct h2_call *ws, struct h2_user *u, int *server)
{
    char buf[4096], answer[512];
    const char *key;
    h2_call_websocket(ws, u, "/ws");
    h2_user_run(u);
    *server = rig_accept(u->rig, 0);
    text_at(u->rig, *server, buf, sizeof buf);
    assert_memory_equal(buf, "GET /ws HTTP/1.1\r\n", 18);
    key = strstr(buf, "Sec-WebSocket-Key: ");
    assert_non_null(key);
    make_answer(key + 19, answer, sizeof answer);
    say(u->rig, *server, answer);
    h2_user_run(u);
    assert_int_equal(ws->status, 200);
    assert_null(strstr(ws->fields, "sec-websocket-accept"));
    assert_null(strstr(ws->fields, "upgrade"));
}

static void a_websocket_runs_over_a_stream(void **state)
{
    struct rig r;
    struct h2_user u;
    struct h2_call ws, other;
    char buf[256];
    int server;
    (void)state;
    rig_open(&r, yaml);
    h2_user_open(&u, &r);
    open_websocket(&ws, &u, &server);
    h2_stream_send(ws.stream, "\x81\x82\1\1\1\1ij", 8);
    h2_user_run(&u);
    assert_int_equal(rig_read(&r, server, buf, sizeof buf), 8);
    assert_memory_equal(buf, "\x81\x82\1\1\1\1ij", 8);
    rig_send_text(&r, server, "hello", false);
    h2_user_run(&u);
    assert_int_equal(ws.body_bytes, 7);
    assert_memory_equal(ws.body, "\x81\x05hello", 7);
    h2_call_begin(&other, &u, "GET", "/healthz", NULL, false);
    h2_user_run(&u);
    assert_int_equal(other.status, 200);
    /* Good-bye from the server: the stream ends as a connection would. */
    rig_write(&r, server, "\x88\x02\x03\xe8", 4);
    h2_stream_send(ws.stream, "\x88\x82\1\1\1\1\2\xe9", 8);
    h2_user_run(&u);
    close(server);
    h2_user_run(&u);
    assert_int_equal(ws.body_bytes, 11);
    assert_true(ws.is_ended);
    h2_stream_end(ws.stream);
    h2_user_run(&u);
    assert_true(ws.is_closed);
    assert_int_equal(ws.code, H2_NO_ERROR);
    h2_user_close(&u);
    rig_close(&r);
}

static void what_is_said_before_the_answer_is_kept(void **state)
{
    struct rig r;
    struct h2_user u;
    struct h2_call ws;
    char buf[4096], answer[512];
    (void)state;
    rig_open(&r, yaml);
    h2_user_open(&u, &r);
    h2_call_websocket(&ws, &u, "/ws");
    h2_stream_send(ws.stream, "\x81\x82\1\1\1\1ij", 8);
    h2_user_run(&u);
    int server = rig_accept(&r, 0);
    text_at(&r, server, buf, sizeof buf);
    make_answer(strstr(buf, "Sec-WebSocket-Key: ") + 19, answer, sizeof answer);
    say(&r, server, answer);
    assert_int_equal(rig_read(&r, server, buf, sizeof buf), 8);
    assert_memory_equal(buf, "\x81\x82\1\1\1\1ij", 8);
    h2_user_close(&u);
    close(server);
    rig_close(&r);
}

static void a_reset_stream_is_a_broken_websocket(void **state)
{
    struct rig r;
    struct h2_user u;
    struct h2_call ws;
    char buf[256];
    int server;
    (void)state;
    rig_open(&r, yaml);
    h2_user_open(&u, &r);
    open_websocket(&ws, &u, &server);
    h2_stream_reset(&ws.stream, H2_CANCEL);
    h2_user_run(&u);
    rig_advance(&r, 10);
    assert_true(rig_read(&r, server, buf, sizeof buf) != -1);
    h2_user_close(&u);
    close(server);
    rig_close(&r);
}

static void a_lost_connection_breaks_all_there_is_on_it(void **state)
{
    struct rig r;
    struct h2_user u;
    struct h2_call ws, c;
    char buf[4096];
    int server;
    (void)state;
    rig_open(&r, yaml);
    h2_user_open(&u, &r);
    open_websocket(&ws, &u, &server);
    h2_call_begin(&c, &u, "GET", "/1", NULL, false);
    h2_user_run(&u);
    int other = rig_accept(&r, 0);
    text_at(&r, other, buf, sizeof buf);
    h2_user_close(&u);
    rig_advance(&r, 10);
    assert_true(rig_read(&r, server, buf, sizeof buf) != -1);
    assert_true(rig_read(&r, other, buf, sizeof buf) != -1);
    assert_int_equal(front_client_count(r.worker->front), 0);
    close(server);
    sim_settle(r.loop);
    assert_int_equal(tunnel_set_count(r.worker->tunnels), 0);
    close(other);
    rig_close(&r);
}

static void a_websocket_nobody_reads_stops_its_server(void **state)
{
    struct rig r;
    struct h2_user u;
    struct h2_call ws;
    size_t at = 0;
    int server;
    (void)state;
    rig_open(&r, yaml);
    h2_user_open(&u, &r);
    open_websocket(&ws, &u, &server);
    ws.keeps = true;
    (void)fill(&r, server, &at);
    h2_user_run(&u);
    const size_t stuck = fill(&r, server, &at);
    h2_user_run(&u);
    assert_true(stuck < (32u << 20));
    assert_int_equal(ws.body_bytes, 256 * 1024);
    h2_stream_consume(ws.stream, ws.body_bytes);
    h2_user_run(&u);
    assert_int_equal(ws.body_bytes, 2 * 256 * 1024);
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
    pass_time(&u, 19900);
    assert_false(u.is_goodbye);
    pass_time(&u, 200);
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
    pass_time(&u, 9900);
    assert_false(u.is_goodbye);
    pass_time(&u, 200);
    assert_true(u.is_gone);
    h2_user_close(&u);
    rig_close(&r);
}

static void a_websocket_keeps_its_connection(void **state)
{
    struct rig r;
    struct h2_user u;
    struct h2_call ws;
    int server;
    (void)state;
    rig_open(&r, yaml);
    h2_user_open(&u, &r);
    open_websocket(&ws, &u, &server);
    pass_time(&u, 50000);
    assert_false(u.is_goodbye);
    assert_false(ws.is_closed);
    h2_user_close(&u);
    close(server);
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
    pass_time(&u, 3000);
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

static void a_worker_that_leaves_closes_websockets_over_streams(void **state)
{
    struct rig r;
    struct h2_user u;
    struct h2_call ws;
    int server;
    (void)state;
    rig_open(&r, yaml);
    h2_user_open(&u, &r);
    open_websocket(&ws, &u, &server);
    worker_leave(r.worker, 2000, CLOSED_BY_DRAIN);
    h2_user_run(&u);
    assert_int_equal(front_client_count(r.worker->front), 1);
    pass_time(&u, 2100);
    assert_true(ws.body_bytes >= 4);
    assert_memory_equal(ws.body, "\x88", 1);
    assert_memory_equal(ws.body + 2, "\x03\xe9", 2); /* 1001 */
    h2_stream_send(ws.stream, "\x88\x82\1\1\1\1\2\xe8", 8);
    h2_stream_end(ws.stream);
    h2_user_run(&u);
    pass_time(&u, 2000);
    assert_true(u.is_gone);
    assert_int_equal(tunnel_set_count(r.worker->tunnels), 0);
    h2_user_close(&u);
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
        cmocka_unit_test(a_websocket_runs_over_a_stream),
        cmocka_unit_test(what_is_said_before_the_answer_is_kept),
        cmocka_unit_test(a_reset_stream_is_a_broken_websocket),
        cmocka_unit_test(a_lost_connection_breaks_all_there_is_on_it),
        cmocka_unit_test(a_websocket_nobody_reads_stops_its_server),
        cmocka_unit_test(an_idle_connection_is_closed_with_a_goodbye),
        cmocka_unit_test(a_connection_that_asks_for_nothing_is_not_kept),
        cmocka_unit_test(a_websocket_keeps_its_connection),
        cmocka_unit_test(a_drain_lets_what_is_under_way_finish),
        cmocka_unit_test(a_worker_that_leaves_closes_websockets_over_streams),
        cmocka_unit_test(requests_are_sent_to_https_over_http2_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
