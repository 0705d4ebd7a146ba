/* WebSockets that share HTTP/2 sessions with other calls (RFC 8441), or find another way where the server takes none.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway/upstream/links.h"
#include "tests/replay/peer_h2.h"

#define POOL(http)                                                                                                     \
    "listen: [ { address: '127.0.0.1:1' } ]\n"                                                                         \
    "pools:\n"                                                                                                         \
    "  api:\n"                                                                                                         \
    "    http: " http "\n"                                                                                             \
    "    connect_timeout: 1s\n"                                                                                        \
    "    keepalive: { time: 60s }\n"                                                                                   \
    "    servers:\n"                                                                                                   \
    "      - { name: a, url: 'http://127.0.0.1:@a' }\n"                                                                \
    "routes: [ { path: /, pool: api } ]\n"
static const char yaml[] = POOL("h2");

static const struct ask websocket = {
    .is_websocket = true,
    .path = "/ws",
    .fields = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\nsec-websocket-version: 13\nsec-websocket-protocol: a, b\n"};

static void websockets_ride_many_on_one(void **state)
{
    struct calls t;
    struct user u[3] = {0};
    struct peer p;
    (void)state;
    calls_open(&t, yaml);
    for (int i = 0; i < 3; i++)
        user_start(&t, &u[i], &websocket);
    peer_accept(&t, &p, 0, true, 100);
    assert_int_equal(p.request_count, 3);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(p.requests[i].method, "CONNECT");
        assert_string_equal(p.requests[i].protocol, "websocket");
        assert_string_equal(p.requests[i].path, "/ws");
        assert_false(p.requests[i].has_key);
        peer_respond(&p, i, 200, "sec-websocket-protocol", "b", true);
        assert_non_null(u[i].joined);
        assert_int_equal(u[i].status, 101);
        assert_string_equal(u[i].protocol, "b");
        assert_false(u[i].has_accept);
    }
    for (int i = 0; i < 3; i++) {
        conn_write(u[i].joined, "up", 2);
        peer_run(&p);
        assert_string_equal(p.requests[i].body, "up");
        peer_send(&p, i, "down", 4);
        assert_string_equal(u[i].tunnel.data, "down");
    }
    peer_end(&p, 0); /* the server closes one ... */
    assert_true(u[0].is_tunnel_over);
    user_fini(&u[0]);
    conn_write(u[1].joined, "bye", 3); /* ... the client another ... */
    conn_shutdown_write(u[1].joined);
    peer_run(&p);
    assert_true(p.requests[1].is_ended);
    assert_string_equal(p.requests[1].body, "upbye");
    user_fini(&u[1]);
    peer_reset(&p, 2, H2_CANCEL); /* ... and the third breaks */
    assert_true(u[2].is_tunnel_over);
    assert_null(u[2].joined);
    user_fini(&u[2]);
    peer_hang_up(&p);
    calls_close(&t);
}

static void a_tunnel_that_does_not_read_is_not_sent_more(void **state)
{
    struct calls t;
    struct user u = {0};
    struct peer p;
    static uint8_t piece[16384];
    (void)state;
    calls_open(&t, yaml);
    user_start(&t, &u, &websocket);
    peer_accept(&t, &p, 0, true, 100);
    peer_respond(&p, 0, 200, NULL, NULL, true);
    conn_pause(u.joined);
    for (int i = 0; i < 64; i++)
        peer_send(&p, 0, piece, sizeof piece);
    assert_int_equal(u.tunnel.len, 0);
    assert_true(h2_stream_queued(p.requests[0].st) >= 64 * sizeof piece - 256 * 1024);
    conn_resume(u.joined);
    peer_run(&p);
    assert_int_equal(u.tunnel.len, 64 * sizeof piece);
    /* and the other way */
    p.is_greedy = true;
    for (int i = 0; i < 100 && !conn_is_full(u.joined); i++) {
        conn_write(u.joined, piece, sizeof piece);
        peer_run(&p);
    }
    assert_true(conn_is_full(u.joined));
    assert_in_range(p.requests[0].body_bytes, 1, 256 * 1024);
    user_fini(&u);
    peer_hang_up(&p);
    calls_close(&t);
}

static void a_lost_session_takes_its_tunnels_along(void **state)
{
    struct calls t;
    struct user u[2] = {0};
    struct peer p;
    (void)state;
    calls_open(&t, yaml);
    for (int i = 0; i < 2; i++)
        user_start(&t, &u[i], &websocket);
    peer_accept(&t, &p, 0, true, 100);
    for (int i = 0; i < 2; i++)
        peer_respond(&p, i, 200, NULL, NULL, true);
    peer_hang_up(&p);
    for (int i = 0; i < 2; i++) {
        assert_true(u[i].is_tunnel_over);
        assert_null(u[i].joined);
        user_fini(&u[i]);
    }
    calls_close(&t);
}

/* The same WebSocket over HTTP/1.1, on a connection of its own. */
static void expect_h1_websocket(struct calls *t, struct user *u)
{
    int fd = server_accept(t, 0);
    server_expect(t, fd, "GET /ws HTTP/1.1\r\n", "\r\n\r\n");
    server_write(t, fd,
                 "HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
                 "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
    assert_non_null(u->joined);
    assert_false(u->is_failed);
    user_fini(u);
    close(fd);
}

static void what_is_not_announced_is_not_tried_and_remembered(void **state)
{
    struct calls t;
    struct user u = {0};
    struct peer p;
    (void)state;
    calls_open(&t, yaml);
    user_start(&t, &u, &websocket);
    peer_accept(&t, &p, 0, false, 100);
    assert_int_equal(p.request_count, 0);
    expect_h1_websocket(&t, &u);
    peer_hang_up(&p);
    user_start(&t, &u, &websocket); /* at once this time */
    expect_h1_websocket(&t, &u);
    calls_advance(&t, LINKS_FACT_MS + 1000);
    user_start(&t, &u, &websocket); /* perhaps it has learned */
    peer_accept(&t, &p, 0, true, 100);
    peer_respond(&p, 0, 200, NULL, NULL, true);
    assert_non_null(u.joined);
    user_fini(&u);
    peer_hang_up(&p);
    calls_close(&t);
}

static void a_refused_extended_connect_goes_another_way(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct calls t;
        struct user u = {0};
        struct peer p;
        calls_open(&t, yaml);
        user_start(&t, &u, &websocket);
        peer_accept(&t, &p, 0, true, 100);
        assert_int_equal(p.request_count, 1);
        if (i < 2)
            peer_respond(&p, 0, i == 0 ? 405 : 501, NULL, NULL, false);
        else
            peer_reset(&p, 0, i == 2 ? H2_PROTOCOL_ERROR : H2_HTTP_1_1_REQUIRED);
        expect_h1_websocket(&t, &u);
        user_start(&t, &u, &websocket);
        expect_h1_websocket(&t, &u);
        peer_hang_up(&p);
        calls_close(&t);
    }
}

static void a_route_may_want_h2_of_a_server_that_has_none(void **state)
{
    struct calls t;
    struct user u = {0};
    struct ask ask = websocket;
    (void)state;
    ask.over = OVER_H2;
    calls_open(&t, POOL("auto"));
    user_start(&t, &u, &ask);
    int fd = server_accept(&t, 0);
    server_expect(&t, fd, "PRI * HTTP/2.0\r\n", "");
    server_write(&t, fd, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    close(fd);
    expect_h1_websocket(&t, &u);
    calls_close(&t);
}

static void without_tls_auto_is_h1(void **state)
{
    struct calls t;
    struct user u = {0};
    (void)state;
    calls_open(&t, POOL("auto"));
    user_start(&t, &u, &websocket);
    expect_h1_websocket(&t, &u);
    calls_close(&t);
}

static const struct {
    uint16_t status;
    const char *field, *value;
    bool has_body;
} bad_acceptances[] = {{200, "sec-websocket-protocol", "c", true},
                       {200, "sec-websocket-extensions", "permessage-deflate", true},
                       {204, NULL, NULL, false},
                       {200, NULL, NULL, false}};

static void an_acceptance_is_checked(void **state)
{
    struct calls t;
    struct peer p;
    (void)state;
    calls_open(&t, yaml);
    for (int i = 0; i < 4; i++) {
        struct user u = {0};
        user_start(&t, &u, &websocket);
        if (i == 0)
            peer_accept(&t, &p, 0, true, 100);
        peer_run(&p);
        peer_respond(&p, i, bad_acceptances[i].status, bad_acceptances[i].field, bad_acceptances[i].value,
                     bad_acceptances[i].has_body);
        user_expect_failed(&u, ERR_PROTOCOL, CALL_ANSWER);
        user_fini(&u);
    }
    peer_hang_up(&p);
    calls_close(&t);
}

static void a_declined_websocket_is_an_answer(void **state)
{
    struct calls t;
    struct user u = {0};
    struct peer p;
    (void)state;
    calls_open(&t, yaml);
    user_start(&t, &u, &websocket);
    peer_accept(&t, &p, 0, true, 100);
    peer_answer(&p, 0, 401, "sorry", true);
    user_expect(&u, 401, "sorry");
    user_fini(&u);
    peer_hang_up(&p);
    calls_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(websockets_ride_many_on_one),
        cmocka_unit_test(a_tunnel_that_does_not_read_is_not_sent_more),
        cmocka_unit_test(a_lost_session_takes_its_tunnels_along),
        cmocka_unit_test(what_is_not_announced_is_not_tried_and_remembered),
        cmocka_unit_test(a_refused_extended_connect_goes_another_way),
        cmocka_unit_test(a_route_may_want_h2_of_a_server_that_has_none),
        cmocka_unit_test(without_tls_auto_is_h1),
        cmocka_unit_test(an_acceptance_is_checked),
        cmocka_unit_test(a_declined_websocket_is_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
