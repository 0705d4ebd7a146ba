/* What a client and a server see of the relay, from the handshake to every way it can end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gateway/ws/close.h"
#include "tests/replay/rig.h"

static const char yaml[] =
    "listen: [ { address: '127.0.0.1:1' } ]\n"
    "drain: { time: 60s }\n"
    "pools:\n"
    "  rt:\n"
    "    servers: [ { name: a, url: 'ws://127.0.0.1:@a' } ]\n"
    "routes:\n"
    "  - { path: /ws, pool: rt, websocket: { idle_timeout: 1h, max_lifetime: 5h, max_message: 1KiB } }\n";

static void bytes_pass_untouched_both_ways(void **state)
{
    struct rig r;
    char buf[256];
    int server;
    (void)state;
    rig_open(&r, yaml);
    int client = rig_websocket(&r, "/ws", 0, &server);

    /* RFC 6455 section 5.7: "Hello", masked; the server must get the very same bytes. */
    static const uint8_t hello[] = {0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58};
    rig_write(&r, client, hello, sizeof hello);
    assert_int_equal(rig_read(&r, server, buf, sizeof buf), sizeof hello);
    assert_memory_equal(buf, hello, sizeof hello);

    static const uint8_t answer[] = {0x81, 0x05, 'H', 'e', 'l', 'l', 'o'};
    rig_write(&r, server, answer, sizeof answer);
    assert_int_equal(rig_read(&r, client, buf, sizeof buf), sizeof answer);
    assert_memory_equal(buf, answer, sizeof answer);

    close(client);
    close(server);
    rig_close(&r);
}

static void close_of_the_client_is_answered_by_the_server(void **state)
{
    struct rig r;
    char buf[256];
    int server;
    uint8_t frame[WS_CONTROL_FRAME_BYTES];
    static const uint8_t key[4] = {1, 2, 3, 4};
    (void)state;
    rig_open(&r, yaml);
    int client = rig_websocket(&r, "/ws", 0, &server);

    rig_write(&r, client, frame, ws_close_build(frame, 4001, "bye", key));
    rig_expect_close(&r, server, 4001);
    rig_write(&r, server, frame, ws_close_build(frame, 4001, "", NULL));
    rig_expect_close(&r, client, 4001);
    /* The gateway, being the client's server, hangs up first (RFC 6455 section 7.1.1). */
    assert_int_equal(rig_read(&r, client, buf, sizeof buf), 0);
    assert_int_equal(r.worker->net->open_count, 1); /* and does not wait for the client to do so */
    close(client);
    /* Towards the server it is the client, and leaves the hanging up to it. */
    assert_int_equal(rig_read(&r, server, buf, sizeof buf), -1);
    close(server);
    sim_settle(r.loop);
    assert_int_equal(tunnel_set_count(r.worker->tunnels), 0);
    rig_close(&r);
}

static void a_server_that_dies_is_a_1012_at_once(void **state)
{
    struct rig r;
    int server;
    (void)state;
    rig_open(&r, yaml);
    int client = rig_websocket(&r, "/ws", 0, &server);
    int64_t before_ms = loop_now_ms(r.loop);
    sock_reset_on_close(server);
    close(server);
    rig_expect_close(&r, client, WS_CLOSE_SERVICE_RESTART);
    assert_int_equal(loop_now_ms(r.loop), before_ms);
    close(client);
    rig_close(&r);
}

/* Expects the word to a client whose server is lost, and returns the time it is told. */
static int lost_retry_ms(struct rig *r, int client)
{
    char reason[RIG_REASON_BYTES];
    int retry_ms = -1, len = -1;
    rig_expect_close_reason(r, client, WS_CLOSE_SERVICE_RESTART, reason);
    assert_int_equal(sscanf(reason, "upstream lost, retry in %d ms%n", &retry_ms, &len), 1);
    assert_int_equal(len, strlen(reason));
    return retry_ms;
}

static void clients_of_a_server_that_dies_are_not_all_told_to_come_back_at_once(void **state)
{
    enum { CLIENTS = 64, WINDOW_MS = 1000 + CLIENTS };
    struct rig r;
    int client[CLIENTS], server[CLIENTS], halves[2] = {0};
    (void)state;
    rig_open(&r, yaml);
    for (int i = 0; i < CLIENTS; i++)
        client[i] = rig_websocket(&r, "/ws", 0, &server[i]);
    for (int i = 0; i < CLIENTS; i++) {
        sock_reset_on_close(server[i]);
        close(server[i]);
    }
    for (int i = 0; i < CLIENTS; i++) {
        const int retry_ms = lost_retry_ms(&r, client[i]);
        assert_in_range(retry_ms, 1, WINDOW_MS);
        halves[retry_ms > WINDOW_MS / 2]++;
        close(client[i]);
    }
    /* Of fair coins this fails less often than once in a hundred million runs. */
    assert_in_range(halves[0], 10, CLIENTS - 10);
    rig_close(&r);
}

static void a_server_that_dies_in_mid_frame_cuts_the_client_off(void **state)
{
    struct rig r;
    char buf[64];
    int server;
    (void)state;
    rig_open(&r, yaml);
    int client = rig_websocket(&r, "/ws", 0, &server);
    static const uint8_t half[] = {0x82, 0x0a, 1, 2, 3};
    rig_write(&r, server, half, sizeof half);
    close(server);
    /* A close frame here would be taken for payload. */
    assert_int_equal(rig_read(&r, client, buf, sizeof buf), sizeof half);
    assert_true(rig_read(&r, client, buf, sizeof buf) != -1);
    close(client);
    rig_close(&r);
}

static void a_client_that_vanishes_is_an_end_of_stream_for_the_server(void **state)
{
    struct rig r;
    char buf[64];
    int server;
    (void)state;
    rig_open(&r, yaml);
    int client = rig_websocket(&r, "/ws", 0, &server);
    sock_reset_on_close(client);
    close(client);
    assert_int_equal(rig_read(&r, server, buf, sizeof buf), 0);
    close(server);
    rig_close(&r);
}

static void silence_ends_after_the_idle_timeout(void **state)
{
    struct rig r;
    char buf[64];
    int server;
    (void)state;
    rig_open(&r, yaml);
    int client = rig_websocket(&r, "/ws", 0, &server);
    rig_advance(&r, 3599 * 1000);
    rig_send_text(&r, client, "still here", true); /* starts the hour anew */
    rig_advance(&r, 3599 * 1000);
    assert_int_equal(rig_read(&r, client, buf, sizeof buf), -1);
    rig_advance(&r, 2000);
    rig_expect_close(&r, client, WS_CLOSE_GOING_AWAY);
    assert_true(rig_read(&r, server, buf, sizeof buf) > 0); /* the text, and the close behind it */
    close(client);
    close(server);
    rig_close(&r);
}

static void nothing_lives_longer_than_the_route_allows(void **state)
{
    struct rig r;
    int server;
    (void)state;
    rig_open(&r, yaml);
    int client = rig_websocket(&r, "/ws", 0, &server);
    char buf[512];
    for (int i = 0; i < 9; i++) {
        rig_advance(&r, 1800 * 1000);
        rig_send_text(&r, client, "tick", true);
        assert_true(rig_read(&r, server, buf, sizeof buf) > 0);
    }
    rig_advance(&r, 1801 * 1000);
    rig_expect_close(&r, client, WS_CLOSE_GOING_AWAY);
    close(client);
    close(server);
    rig_close(&r);
}

static void a_message_too_big_is_1009_for_its_sender(void **state)
{
    struct rig r;
    int server;
    (void)state;
    rig_open(&r, yaml);
    int client = rig_websocket(&r, "/ws", 0, &server);
    static const uint8_t header[] = {0x82, 0xfe, 0x04, 0x01, 9, 9, 9, 9}; /* 1025 bytes to come */
    rig_write(&r, client, header, sizeof header);
    rig_expect_close(&r, client, WS_CLOSE_TOO_BIG);
    rig_expect_close(&r, server, WS_CLOSE_GOING_AWAY);
    close(client);
    close(server);
    rig_close(&r);
}

static void a_slow_reader_slows_its_writer(void **state)
{
    struct rig r;
    int server;
    static uint8_t block[65536];
    (void)state;
    rig_open(&r, yaml);
    int client = rig_websocket(&r, "/ws", 0, &server);
    /* One kilobyte per message, written for as long as anybody takes it while the client reads nothing. */
    static const uint8_t header[4] = {0x82, 0x7e, 0x04, 0x00 /* 1024 */};
    for (size_t at = 0; at + 1028 <= sizeof block; at += 1028)
        memcpy(block + at, header, sizeof header);
    size_t whole = sizeof block / 1028 * 1028;
    size_t offset = 0;
    for (int idle = 0; idle < 3;) {
        ssize_t n = send(server, block + offset, whole - offset, MSG_NOSIGNAL | MSG_DONTWAIT);
        idle = n > 0 ? 0 : idle + 1;
        if (n > 0)
            offset = (offset + (size_t)n) % whole;
        sim_settle(r.loop);
    }
    uint64_t buffered = stat_get(&r.birth.block->process[STAT_BUFFERED_BYTES]);
    assert_true(buffered > 0);
    assert_true(buffered <= CONN_HIGH_BYTES_DEFAULT + NET_SCRATCH_BYTES);
    close(client);
    close(server);
    sim_settle(r.loop);
    rig_close(&r);
}

static void a_drain_is_spread_evenly(void **state)
{
    enum { CLIENTS = 60 };
    struct rig r;
    int client[CLIENTS], server[CLIENTS];
    uint8_t buf[64];
    (void)state;
    rig_open(&r, yaml);
    for (int i = 0; i < CLIENTS; i++)
        client[i] = rig_websocket(&r, "/ws", 0, &server[i]);
    worker_leave(r.worker, 60000, CLOSED_BY_DRAIN);
    /* After every tenth of the time another tenth of the clients has heard 1001; jitter stays within one share. */
    int closed = 0;
    for (int tenth = 1; tenth <= 10; tenth++) {
        rig_advance(&r, 6000);
        for (int i = 0; i < CLIENTS; i++)
            if (recv(client[i], buf, sizeof buf, MSG_DONTWAIT) > 0) {
                assert_int_equal(buf[2] << 8 | buf[3], WS_CLOSE_GOING_AWAY);
                closed++;
                close(client[i]);
                close(server[i]);
                client[i] = server[i] = -1;
            }
        assert_in_range(closed, tenth * CLIENTS / 10 - 1, tenth * CLIENTS / 10 + 1);
    }
    assert_int_equal(closed, CLIENTS);
    rig_close(&r);
}

static void a_server_marked_down_gives_its_clients_away(void **state)
{
    struct rig r;
    int server;
    (void)state;
    rig_open(&r, yaml);
    int client = rig_websocket(&r, "/ws", 0, &server);
    int slot = slots_find(r.slots, SLOT_SERVER, "rt/a");
    struct verdict v = {.state = VERDICT_DOWN};
    struct verdict_detail d = {0};
    verdict_adopt(r.verdicts, slot, atomic_load(&r.slots->server[slot].era));
    verdict_write(r.verdicts, slot, &v, &d);
    rig_advance(&r, 2000);
    rig_expect_close(&r, client, WS_CLOSE_SERVICE_RESTART);
    close(client);
    close(server);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_pass_untouched_both_ways),
        cmocka_unit_test(close_of_the_client_is_answered_by_the_server),
        cmocka_unit_test(a_server_that_dies_is_a_1012_at_once),
        cmocka_unit_test(clients_of_a_server_that_dies_are_not_all_told_to_come_back_at_once),
        cmocka_unit_test(a_server_that_dies_in_mid_frame_cuts_the_client_off),
        cmocka_unit_test(a_client_that_vanishes_is_an_end_of_stream_for_the_server),
        cmocka_unit_test(silence_ends_after_the_idle_timeout),
        cmocka_unit_test(nothing_lives_longer_than_the_route_allows),
        cmocka_unit_test(a_message_too_big_is_1009_for_its_sender),
        cmocka_unit_test(a_slow_reader_slows_its_writer),
        cmocka_unit_test(a_drain_is_spread_evenly),
        cmocka_unit_test(a_server_marked_down_gives_its_clients_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
