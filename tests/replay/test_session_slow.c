/* Sessions with somebody who says a lot and reads nothing: what waits in the gateway's memory is bounded, whoever it
 * is, and when he reads again nothing is missing. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/realtime/session_priv.h"
#include "gateway/ws/frame.h"
#include "gateway/ws/mask.h"
#include "tests/replay/rig.h"

static const char yaml[] = "workers: 1\nlisten: [ { address: '127.0.0.1:1' } ]\n"
                           "pools: { rt: { servers: [ { name: a, url: 'ws://127.0.0.1:@a' } ] } }\n"
                           "routes: [ { path: /ws, pool: rt, websocket: { protocol: phoenix } } ]\n";

#define PATH    "/ws?vsn=2.0.0"
#define BEAT    "[null,\"99\",\"phoenix\",\"heartbeat\",{}]"
#define BEAT_OK "[null,\"99\",\"phoenix\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]"
/* The socket's own buffer may grow to some megabytes, and is not what is meant. */
#define MOST_BYTES  (64u << 20)
#define BOUND_BYTES (CONN_HIGH_BYTES_DEFAULT + SESSION_SAID_BYTES + 2 * NET_SCRATCH_BYTES)

struct world {
    struct rig rig;
    int client_fd, server_fd;
};

static void world_open(struct world *w)
{
    rig_open(&w->rig, yaml);
    w->client_fd = rig_websocket(&w->rig, PATH, 0, &w->server_fd);
}

static void world_close(struct world *w)
{
    close(w->client_fd);
    close(w->server_fd);
    sim_settle(w->rig.loop);
    rig_close(&w->rig);
}

/* One frame, unmasked or masked with zeros. */
static size_t frame(uint8_t out[256], enum ws_opcode opcode, const char *payload, bool is_masked)
{
    static const uint8_t key[4] = {0};
    const size_t len = strlen(payload), header_bytes = ws_header_build(out, opcode, len, is_masked ? key : NULL);
    memcpy(out + header_bytes, payload, len);
    return header_bytes + len;
}

/* Says the same again and again while anybody takes it; how often. Whole frames only. */
static size_t say_without_reading(struct world *w, int fd, const uint8_t *one, size_t one_bytes)
{
    static uint8_t block[32768];
    const size_t in_block = sizeof block / one_bytes, block_bytes = in_block * one_bytes;
    size_t total = 0;
    for (size_t i = 0; i < in_block; i++)
        memcpy(block + i * one_bytes, one, one_bytes);
    for (int idle = 0; idle < 3 && total < MOST_BYTES;) {
        const size_t offset = total % block_bytes;
        const ssize_t n = send(fd, block + offset, block_bytes - offset, MSG_NOSIGNAL | MSG_DONTWAIT);
        idle = n > 0 ? 0 : idle + 1;
        total += n > 0 ? (size_t)n : 0;
        sim_settle(w->rig.loop);
    }
    return total / one_bytes;
}

static void expect_bounded(struct world *w)
{
    const uint64_t buffered = stat_get(&w->rig.birth.block->process[STAT_BUFFERED_BYTES]);
    assert_true(buffered > 0);
    assert_true(buffered <= BOUND_BYTES);
}

/* A kernel that ran out of room may have dropped what it is sent again a moment later, in real time. */
static bool comes_late(struct world *w, int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    for (int looks = 0; looks < 500; looks++) {
        sim_settle(w->rig.loop);
        if (poll(&p, 1, 10) == 1)
            return true;
    }
    return false;
}

/* Reads until all of it is there: the same frame, `count` times at least. */
static void expect_each(struct world *w, int fd, const uint8_t *one, size_t one_bytes, size_t count)
{
    static char buf[65536];
    size_t total = 0;
    int n;
    do {
        while ((n = rig_read(&w->rig, fd, buf, sizeof buf)) > 0)
            for (int i = 0; i < n; i++, total++)
                assert_int_equal((uint8_t)buf[i], one[total % one_bytes]);
        assert_int_equal(n, -1); /* open as ever */
    } while (total / one_bytes < count && comes_late(w, fd));
    assert_true(total / one_bytes >= count);
}

static void a_client_that_reads_no_answers_to_its_heartbeats_is_not_heard(void **state)
{
    struct world w;
    uint8_t beat[256], answer[256];
    (void)state;
    world_open(&w);
    const size_t beat_bytes = frame(beat, WS_OPCODE_TEXT, BEAT, true);
    const size_t answer_bytes = frame(answer, WS_OPCODE_TEXT, BEAT_OK, false);
    const size_t count = say_without_reading(&w, w.client_fd, beat, beat_bytes);
    assert_true(count * beat_bytes < MOST_BYTES);
    expect_bounded(&w);
    expect_each(&w, w.client_fd, answer, answer_bytes, count);
    world_close(&w);
}

static void a_client_that_reads_no_answers_to_its_pings_is_not_heard(void **state)
{
    struct world w;
    uint8_t ping[256], pong[256];
    (void)state;
    world_open(&w);
    const size_t ping_bytes = frame(ping, WS_OPCODE_PING, "are you there, or am I alone in this?", true);
    const size_t pong_bytes = frame(pong, WS_OPCODE_PONG, "are you there, or am I alone in this?", false);
    const size_t count = say_without_reading(&w, w.client_fd, ping, ping_bytes);
    assert_true(count * ping_bytes < MOST_BYTES);
    expect_bounded(&w);
    expect_each(&w, w.client_fd, pong, pong_bytes, count);
    world_close(&w);
}

static void a_server_that_reads_no_answers_to_its_pings_gets_fewer(void **state)
{
    struct world w;
    uint8_t ping[256];
    (void)state;
    world_open(&w);
    const size_t ping_bytes = frame(ping, WS_OPCODE_PING, "are you there, or am I alone in this?", false);
    (void)say_without_reading(&w, w.server_fd, ping, ping_bytes);
    expect_bounded(&w);
    world_close(&w);
}

static void a_client_that_reads_slowly_slows_its_server_and_misses_nothing(void **state)
{
    struct world w;
    uint8_t news[256];
    (void)state;
    world_open(&w);
    const size_t news_bytes = frame(news, WS_OPCODE_TEXT, "[null,null,\"room\",\"broadcast\",{\"n\":1}]", false);
    const size_t count = say_without_reading(&w, w.server_fd, news, news_bytes);
    assert_true(count * news_bytes < MOST_BYTES);
    expect_bounded(&w);
    expect_each(&w, w.client_fd, news, news_bytes, count);
    world_close(&w);
}

/* What a server has answered lies unread behind what the client does not read: that is not the server's slowness, and
 * another session is not kept waiting for it (gateway/upstream/lag.h). */
static void a_client_that_reads_slowly_makes_no_server_late(void **state)
{
    struct world w;
    uint8_t news[256];
    char got[4096];
    int other_fd;
    (void)state;
    world_open(&w);
    const size_t news_bytes = frame(news, WS_OPCODE_TEXT, "[null,null,\"room\",\"broadcast\",{\"n\":1}]", false);
    (void)say_without_reading(&w, w.server_fd, news, news_bytes);
    rig_advance(&w.rig, 31000);
    assert_true(rig_read(&w.rig, w.server_fd, got, sizeof got) > 0); /* it was asked for a sign of life */
    const int client_fd = rig_websocket(&w.rig, PATH, 0, &other_fd);
    rig_send_text(&w.rig, client_fd, "[\"3\",\"3\",\"other\",\"phx_join\",{}]", true);
    rig_send_text(&w.rig, other_fd, "[\"3\",\"3\",\"other\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]", false);
    close(other_fd);
    sim_settle(w.rig.loop);
    other_fd = rig_accept(&w.rig, 0);
    rig_upgrade(&w.rig, other_fd);
    assert_true(rig_read(&w.rig, other_fd, got, sizeof got) > 0);
    assert_int_equal((uint8_t)got[0], 0x80 | WS_OPCODE_TEXT); /* the join */
    close(client_fd);
    sim_settle(w.rig.loop);
    close(other_fd);
    world_close(&w);
}

static void a_server_that_reads_slowly_slows_its_client(void **state)
{
    struct world w;
    uint8_t push[256];
    (void)state;
    world_open(&w);
    const size_t push_bytes = frame(push, WS_OPCODE_TEXT, "[null,null,\"room\",\"broadcast\",{\"n\":1}]", true);
    const size_t count = say_without_reading(&w, w.client_fd, push, push_bytes);
    assert_true(count * push_bytes < MOST_BYTES);
    expect_bounded(&w);
    expect_each(&w, w.server_fd, push, push_bytes, count); /* the client's own frames, to the last bit of their mask */
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_that_reads_no_answers_to_its_heartbeats_is_not_heard),
        cmocka_unit_test(a_client_that_reads_no_answers_to_its_pings_is_not_heard),
        cmocka_unit_test(a_server_that_reads_no_answers_to_its_pings_gets_fewer),
        cmocka_unit_test(a_client_that_reads_slowly_slows_its_server_and_misses_nothing),
        cmocka_unit_test(a_client_that_reads_slowly_makes_no_server_late),
        cmocka_unit_test(a_server_that_reads_slowly_slows_its_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
