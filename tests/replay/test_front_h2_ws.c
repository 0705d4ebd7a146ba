/* WebSockets over streams of HTTP/2 (RFC 8441): opened, relayed, held back, ended. */
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
#include "tests/replay/talk.h"

#define REST                                                                                                           \
    "limits: { header_timeout: 10s, body_timeout: 5s, keepalive_timeout: 20s, send_timeout: 8s, streams: 3 }\n"        \
    "health: { path: /healthz }\n"                                                                                     \
    "pools: { web: { between_bytes_timeout: 1h, servers: [ { name: a, url: 'http://127.0.0.1:@a' } ] } }\n"            \
    "routes: [ { path: /, pool: web } ]\n"
static const char yaml[] = "listen: [ { address: '127.0.0.1:1' } ]\n" REST;

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

/* More of it than a window: the window comes back once the tunnel has taken it. */
static void what_is_said_before_the_answer_is_kept(void **state)
{
    enum { LONG = 300 * 1024 };
    static uint8_t message[14 + LONG] = {0x82, 0xff, 0, 0, 0, 0, 0, LONG >> 16, LONG >> 8 & 0xff, LONG & 0xff};
    struct rig r;
    struct h2_user u;
    struct h2_call ws;
    char buf[65536], answer[512];
    size_t got = 0;
    (void)state;
    rig_open(&r, yaml);
    h2_user_open(&u, &r);
    h2_call_websocket(&ws, &u, "/ws");
    h2_stream_send(ws.stream, message, sizeof message);
    h2_user_run(&u);
    assert_int_equal(h2_stream_queued(ws.stream), sizeof message - 256 * 1024);
    int server = rig_accept(&r, 0);
    text_at(&r, server, buf, sizeof buf);
    make_answer(strstr(buf, "Sec-WebSocket-Key: ") + 19, answer, sizeof answer);
    say(&r, server, answer);
    for (int n = 1; n > 0; got += n > 0 ? (size_t)n : 0) {
        h2_user_run(&u);
        n = rig_read(&r, server, buf, sizeof buf);
    }
    assert_int_equal(got, sizeof message);
    h2_user_close(&u);
    close(server);
    rig_close(&r);
}

/* A client that keeps its side open is not waited for. */
static void a_websocket_that_is_refused_is_over(void **state)
{
    struct rig r;
    struct h2_user u;
    struct h2_call ws;
    char buf[4096];
    (void)state;
    rig_open(&r, yaml);
    h2_user_open(&u, &r);
    h2_call_websocket(&ws, &u, "/ws");
    h2_user_run(&u);
    int server = rig_accept(&r, 0);
    text_at(&r, server, buf, sizeof buf);
    say(&r, server, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    h2_user_run(&u);
    assert_int_equal(ws.status, 403);
    assert_string_equal(ws.body, "no");
    assert_true(ws.is_ended);
    h2_user_pass(&u, 2100);
    assert_true(ws.is_closed);
    assert_int_equal(ws.code, H2_NO_ERROR);
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
    h2_user_pass(&u, 50000);
    assert_false(u.is_goodbye);
    assert_false(ws.is_closed);
    h2_user_close(&u);
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
    h2_user_pass(&u, 2100);
    assert_true(ws.body_bytes >= 4);
    assert_memory_equal(ws.body, "\x88", 1);
    assert_memory_equal(ws.body + 2, "\x03\xe9", 2); /* 1001 */
    h2_stream_send(ws.stream, "\x88\x82\1\1\1\1\2\xe8", 8);
    h2_stream_end(ws.stream);
    h2_user_run(&u);
    h2_user_pass(&u, 2000);
    assert_true(u.is_gone);
    assert_int_equal(tunnel_set_count(r.worker->tunnels), 0);
    h2_user_close(&u);
    assert_int_equal(front_client_count(r.worker->front), 0);
    close(server);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_websocket_runs_over_a_stream),
        cmocka_unit_test(what_is_said_before_the_answer_is_kept),
        cmocka_unit_test(a_websocket_that_is_refused_is_over),
        cmocka_unit_test(a_reset_stream_is_a_broken_websocket),
        cmocka_unit_test(a_lost_connection_breaks_all_there_is_on_it),
        cmocka_unit_test(a_websocket_nobody_reads_stops_its_server),
        cmocka_unit_test(a_websocket_keeps_its_connection),
        cmocka_unit_test(a_worker_that_leaves_closes_websockets_over_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
