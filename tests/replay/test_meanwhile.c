/* Two things at once: endings, reloads, drains and handshakes that overtake each other. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/sock.h"
#include "gateway/ws/close.h"
#include "tests/replay/rig.h"

static const char short_idle[] = "listen: [ { address: '127.0.0.1:1' } ]\ndrain: { time: 60s }\npools:\n  rt:\n"
                                 "    servers: [ { name: a, url: 'ws://127.0.0.1:@a' } ]\n"
                                 "routes:\n  - { path: /ws, pool: rt, websocket: { idle_timeout: 10s } }\n";
static const char plain[] = "listen: [ { address: '127.0.0.1:1' } ]\ndrain: { time: 60s }\npools:\n  rt:\n"
                            "    failover_timeout: 5s\n"
                            "    servers: [ { name: a, url: 'ws://127.0.0.1:@a' } ]\n"
                            "routes:\n  - { path: /ws, pool: rt, limits: { connections: 2 } }\n";
#define HEAD "listen: [ { address: '127.0.0.1:1' } ]\ndrain: { time: 10s }\npools:\n"
#define A    "  one: { servers: [ { name: a, url: 'ws://127.0.0.1:@a' } ] }\n"
#define B    "  two: { servers: [ { name: b, url: 'ws://127.0.0.1:@b' } ] }\n"
static const char both[] = HEAD A B "routes:\n  - { path: /one, pool: one }\n  - { path: /two, pool: two }\n";
static const char without_two[] = HEAD A "routes:\n  - { path: /one, pool: one }\n";
static const char without_route[] = HEAD A B "routes:\n  - { path: /one, pool: one }\n  - { path: /x, pool: two }\n";

static void idle_during_a_drain_does_not_spin(void **state)
{
    struct rig r;
    int server;
    (void)state;
    rig_open(&r, short_idle);
    int client = rig_websocket(&r, "/ws", 0, &server);
    sim_limit_passes(r.loop, 5000);
    worker_leave(r.worker, 3600 * 1000, CLOSED_BY_DRAIN); /* its own share of the hour is somewhere behind the 10 s */
    rig_advance(&r, 11000);
    rig_expect_close(&r, client, WS_CLOSE_GOING_AWAY);
    close(client);
    close(server);
    rig_close(&r);
}

static void a_close_right_behind_the_101_is_answered_at_once(void **state)
{
    struct rig r;
    char buf[4096];
    (void)state;
    static const uint8_t key[4] = {1, 2, 3, 4};
    uint8_t frame[WS_CONTROL_FRAME_BYTES];
    rig_open(&r, plain);
    int client = rig_handshake(&r, "/ws");
    int server = rig_accept(&r, 0);
    assert_true(rig_read(&r, server, buf, sizeof buf) > 0);
    static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                 "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x88\x02\x0f\xa1";
    rig_write(&r, server, answer, sizeof answer - 1);
    int n = rig_read(&r, client, buf, sizeof buf);
    assert_true(n > 4);
    assert_memory_equal(buf + n - 4, "\x88\x02\x0f\xa1", 4);
    rig_write(&r, client, frame, ws_close_build(frame, 4001, "", key));
    rig_expect_close(&r, server, 4001);
    close(client);
    close(server);
    rig_close(&r);
}

static void a_tunnel_born_during_a_drain_is_drained(void **state)
{
    struct rig r;
    char buf[1024];
    (void)state;
    rig_open(&r, plain);
    int client = rig_handshake(&r, "/ws");
    int server = rig_accept(&r, 0);
    worker_leave(r.worker, 2000, CLOSED_BY_DRAIN);
    rig_upgrade(&r, server);
    assert_true(rig_read(&r, client, buf, sizeof buf) > 0);
    assert_memory_equal(buf, "HTTP/1.1 101", 12);
    rig_advance(&r, 2500);
    rig_expect_close(&r, client, WS_CLOSE_GOING_AWAY);
    close(client);
    close(server);
    rig_close(&r);
}

static void born(const char *after)
{
    struct rig r;
    char buf[1024];
    rig_open(&r, both);
    int client = rig_handshake(&r, "/two");
    int server = rig_accept(&r, 1);
    rig_reload(&r, after);
    rig_upgrade(&r, server);
    assert_true(rig_read(&r, client, buf, sizeof buf) > 0);
    assert_memory_equal(buf, "HTTP/1.1 101", 12);
    rig_advance(&r, 11000);
    rig_expect_close(&r, client, WS_CLOSE_SERVICE_RESTART);
    close(client);
    close(server);
    rig_close(&r);
}
static void a_tunnel_to_a_server_removed_meanwhile_is_drained(void **state)
{
    (void)state;
    born(without_two);
}
static void a_tunnel_on_a_route_removed_meanwhile_is_drained(void **state)
{
    (void)state;
    born(without_route);
}
static void a_tunnel_dialled_over_a_reload_has_the_new_conf(void **state)
{
    struct rig r;
    char buf[1024];
    (void)state;
    rig_open(&r, both);
    int client = rig_handshake(&r, "/two");
    int server = rig_accept(&r, 1);
    rig_reload(&r, both);
    rig_upgrade(&r, server);
    assert_true(rig_read(&r, client, buf, sizeof buf) > 0);
    assert_int_equal(r.worker->conf->refs, 9);
    close(client);
    close(server);
    rig_close(&r);
}

static void a_refusal_until_close_comes_in_chunks(void **state)
{
    struct rig r;
    char buf[4096];
    (void)state;
    rig_open(&r, plain);
    int client = rig_handshake(&r, "/ws");
    int server = rig_accept(&r, 0);
    assert_true(rig_read(&r, server, buf, sizeof buf) > 0);
    static const char refusal[] = "HTTP/1.1 403 Forbidden\r\n\r\nno";
    rig_write(&r, server, refusal, sizeof refusal - 1);
    close(server);
    assert_true(rig_read(&r, client, buf, sizeof buf) > 0);
    assert_non_null(strstr(buf, "Transfer-Encoding: chunked\r\n"));
    assert_non_null(strstr(buf, "\r\n\r\n2\r\nno\r\n0\r\n\r\n"));
    assert_int_equal(rig_read(&r, client, buf, sizeof buf), -1); /* and may ask again */
    close(client);
    rig_close(&r);
}

static void what_a_reload_removed_drains_at_an_even_pace(void **state)
{
    enum { N = 20 };
    struct rig r;
    int gone[N], gs[N], kept[N], ks[N];
    char buf[64];
    (void)state;
    rig_open(&r, both);
    for (int i = 0; i < N; i++)
        gone[i] = rig_websocket(&r, "/two", 1, &gs[i]);
    for (int i = 0; i < N; i++)
        kept[i] = rig_websocket(&r, "/one", 0, &ks[i]);
    rig_reload(&r, without_route);
    rig_advance(&r, 5100);
    int closed = 0;
    for (int i = 0; i < N; i++)
        closed += recv(gone[i], buf, sizeof buf, MSG_DONTWAIT) > 0;
    printf("closed at half time: %d of %d\n", closed, N);
    for (int i = 0; i < N; i++) {
        close(gone[i]);
        close(gs[i]);
        close(kept[i]);
        close(ks[i]);
    }
    rig_close(&r);
    assert_in_range(closed, N / 2 - 2, N / 2 + 2);
}

static void a_burst_does_not_pass_the_routes_limit(void **state)
{
    struct rig r;
    int c[5];
    int waiting = 0;
    int s[5];
    (void)state;
    rig_open(&r, plain);
    for (int i = 0; i < 5; i++)
        c[i] = rig_handshake(&r, "/ws");
    while (waiting < 5 && rig_has_waiting(&r, 0))
        s[waiting++] = rig_accept(&r, 0);
    for (int i = 0; i < waiting; i++)
        rig_upgrade(&r, s[i]);
    int open = (int)tunnel_set_count(r.worker->tunnels);
    for (int i = 0; i < 5; i++)
        close(c[i]);
    for (int i = 0; i < waiting; i++)
        close(s[i]);
    rig_close(&r);
    printf("limit 2, open: %d\n", open);
    assert_true(open <= 2);
}

/* the server says all and leaves; the client reads nothing for 3 s, then everything must be there */
static void a_slow_reader_gets_all_the_server_said(void **state)
{
    struct rig r;
    int server;
    static uint8_t block[1004 * 60];
    char buf[65536];
    (void)state;
    uint8_t frame[WS_CONTROL_FRAME_BYTES];
    rig_open(&r, plain);
    int client = rig_websocket(&r, "/ws", 0, &server);
    size_t sent = 0, got = 0;
    for (size_t at = 0; at < sizeof block; at += 1004) {
        block[at] = 0x82;
        block[at + 1] = 126;
        block[at + 2] = 1000 >> 8;
        block[at + 3] = 1000 & 255;
    }
    /* until the worker has something queued */
    while (stat_get(&r.birth.block->process[STAT_BUFFERED_BYTES]) == 0) {
        assert_int_equal(send(server, block, sizeof block, MSG_NOSIGNAL), sizeof block);
        sent += sizeof block;
        sim_settle(r.loop);
    }
    size_t n = ws_close_build(frame, 4001, "", NULL);
    rig_write(&r, server, frame, n);
    sent += n;
    shutdown(server, SHUT_WR);
    sim_settle(r.loop);
    rig_advance(&r, 3000);
    ssize_t k;
    while ((k = rig_read(&r, client, buf, sizeof buf)) > 0)
        got += (size_t)k;
    printf("sent %zu got %zu last %zd\n", sent, got, k);
    assert_int_equal(got, sent);
    close(client);
    close(server);
    rig_close(&r);
}

static void an_attempt_cut_short_is_not_the_servers_fault(void **state)
{
    struct rig r;
    (void)state;
    rig_open(
        &r,
        "listen: [ { address: '127.0.0.1:1' } ]\npools:\n  rt:\n    upgrade_timeout: 3s\n    failover_timeout: 3100ms\n"
        "    circuit: { failures: 1, open: 10s }\n    servers:\n      - { name: a, url: 'ws://127.0.0.1:@a' }\n"
        "      - { name: b, url: 'ws://127.0.0.1:@b', tier: backup }\nroutes:\n  - { path: /ws, pool: rt }\n");
    int client = rig_handshake(&r, "/ws");
    int first = rig_accept(&r, 0);
    rig_advance(&r, 3050);
    int second = rig_accept(&r, 1);
    rig_advance(&r, 100); /* b had 100 ms */
    int slot = slots_find(r.slots, SLOT_SERVER, "rt/b");
    uint64_t opens = stat_get(&r.birth.block->server[slot][STAT_SERVER_CIRCUIT_OPENS]);
    close(client);
    close(first);
    close(second);
    rig_close(&r);
    assert_int_equal(opens, 0);
}

static void a_client_that_gives_up_frees_its_attempt(void **state)
{
    struct rig r;
    char buf[4096];
    (void)state;
    rig_open(&r, plain);
    int client = rig_handshake(&r, "/ws");
    int server = rig_accept(&r, 0);
    assert_true(rig_read(&r, server, buf, sizeof buf) > 0);
    close(client);
    int n = rig_read(&r, server, buf, sizeof buf);
    close(server);
    rig_close(&r);
    assert_true(n == 0 || n == -2);
}

static void a_close_under_way_keeps_its_code(void **state)
{
    struct rig r;
    int server;
    char buf[64];
    (void)state;
    static const uint8_t key[4] = {1, 2, 3, 4};
    uint8_t frame[WS_CONTROL_FRAME_BYTES];
    rig_open(&r, plain);
    int client = rig_websocket(&r, "/ws", 0, &server);
    worker_leave(r.worker, 1000, CLOSED_BY_DRAIN);
    rig_write(&r, client, frame, ws_close_build(frame, 4001, "", key)); /* before the drain's turn */
    rig_expect_close(&r, server, 4001);
    rig_advance(&r, 1500); /* the turn is over; the server still has 3.5 s to answer */
    rig_send_text(&r, server, "x", false);
    int n = rig_read(&r, client, buf, sizeof buf);
    assert_int_equal(n, 3); /* the text alone, not a 1001 behind it */
    rig_write(&r, server, frame, ws_close_build(frame, 4001, "", NULL));
    rig_expect_close(&r, client, 4001);
    close(client);
    close(server);
    rig_close(&r);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idle_during_a_drain_does_not_spin),
        cmocka_unit_test(a_close_right_behind_the_101_is_answered_at_once),
        cmocka_unit_test(a_tunnel_born_during_a_drain_is_drained),
        cmocka_unit_test(a_tunnel_to_a_server_removed_meanwhile_is_drained),
        cmocka_unit_test(a_tunnel_on_a_route_removed_meanwhile_is_drained),
        cmocka_unit_test(a_tunnel_dialled_over_a_reload_has_the_new_conf),
        cmocka_unit_test(a_refusal_until_close_comes_in_chunks),
        cmocka_unit_test(what_a_reload_removed_drains_at_an_even_pace),
        cmocka_unit_test(a_burst_does_not_pass_the_routes_limit),
        cmocka_unit_test(a_slow_reader_gets_all_the_server_said),
        cmocka_unit_test(an_attempt_cut_short_is_not_the_servers_fault),
        cmocka_unit_test(a_client_that_gives_up_frees_its_attempt),
        cmocka_unit_test(a_close_under_way_keeps_its_code),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
