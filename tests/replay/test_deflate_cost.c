/* What a compressed WebSocket costs: bombs, what waits for a slow peer, and what an idle one owns. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/sock.h"
#include "gateway/ws/close.h"
#include "tests/replay/deflating.h"

static const char yaml[] =
    "listen: [ { address: '127.0.0.1:1' } ]\n"
    "pools:\n"
    "  rt:\n"
    "    servers: [ { name: a, url: 'ws://127.0.0.1:@a' } ]\n"
    "routes:\n"
    "  - { path: /ws, pool: rt, websocket: { max_message: 16MiB, compression: { enabled: true } } }\n"
    "  - { path: /small, pool: rt, websocket: { max_message: 64KiB, compression: { enabled: true } } }\n";

/* `len` zeros, a thousandth of that on the wire. */
static void send_zeros(struct rig *r, int client, size_t len)
{
    uint8_t *zeros = mem_alloc(len), *packed = mem_alloc(len / 500 + 100);
    deflating_send(r, client, 0xc2, packed, deflating_pack(zeros, len, packed, len / 500 + 100), true);
    mem_free(zeros);
    mem_free(packed);
}

static void a_bomb_is_1009(void **state)
{
    struct rig r;
    int server;
    uint8_t buf[70000];
    size_t len, have = 0;
    (void)state;
    rig_open(&r, yaml);
    int client = deflating_open(&r, "/small", &server);
    send_zeros(&r, client, 65536);
    for (uint8_t first = 0; (first & 0x80) == 0; have += len)
        first = deflating_read(&r, server, buf, sizeof buf, &len);
    assert_int_equal(have, 65536);
    send_zeros(&r, client, 8u << 20);
    rig_expect_close(&r, client, WS_CLOSE_TOO_BIG);
    /* The server gets the end in whole frames: what fitted, and the close behind it. */
    uint8_t first = deflating_read(&r, server, buf, sizeof buf, &len);
    for (have = 0; (first & 0x0f) != 8; first = deflating_read(&r, server, buf, sizeof buf, &len))
        have += len;
    assert_true(have <= 65536);
    assert_int_equal(buf[0] << 8 | buf[1], WS_CLOSE_GOING_AWAY);
    close(client);
    close(server);
    rig_close(&r);
}

static uint64_t buffered(struct rig *r)
{
    return stat_get(&r->birth.block->process[STAT_BUFFERED_BYTES]);
}

/* Reads for as long as something comes; adds up the payload of data frames, which must all be zeros. */
static size_t read_zeros(struct rig *r, int server)
{
    static uint8_t buf[70000];
    size_t total = 0, len;
    for (;;) {
        sim_settle(r->loop);
        if (recv(server, buf, 1, MSG_PEEK) <= 0)
            return total;
        uint8_t first = deflating_read(r, server, buf, sizeof buf, &len);
        for (size_t i = 0; i < len; i++)
            assert_int_equal(buf[i], 0);
        total += len;
        if ((first & 0x80) != 0)
            return total;
    }
}

static void small_buffers(int fd)
{
    int bytes = 65536;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes), 0);
}

static void what_a_small_frame_becomes_waits_for_the_server(void **state)
{
    const size_t whole = 16u << 20;
    struct rig r;
    int server;
    (void)state;
    rig_open(&r, yaml);
    int client = deflating_open(&r, "/ws", &server);
    small_buffers(server);
    send_zeros(&r, client, whole);
    deflating_send(&r, client, 0x82, "\0\0", 2, true); /* and what is behind it */
    for (int i = 0; i < 5; i++) {
        sim_settle(r.loop);
        assert_true(buffered(&r) > 0);
        assert_true(buffered(&r) <= CONN_HIGH_BYTES_DEFAULT + NET_SCRATCH_BYTES);
    }
    assert_int_equal(read_zeros(&r, server), whole);
    assert_int_equal(read_zeros(&r, server), 2);
    /* It is an ordinary connection again. */
    deflating_send(&r, client, 0x81, "x", 1, true);
    deflating_expect(&r, server, 0x81, "x");
    close(client);
    close(server);
    rig_close(&r);
}

static void either_side_may_go_while_bytes_wait(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, yaml);
    for (int gone = 0; gone < 3; gone++) {
        int server;
        int client = deflating_open(&r, "/ws", &server);
        small_buffers(server);
        send_zeros(&r, client, 16u << 20);
        assert_true(buffered(&r) > 0);
        if (gone == 2)
            rig_advance(&r, 2 * 3600 * 1000); /* idle timeout */
        sock_reset_on_close(gone == 0 ? client : server);
        close(gone == 0 ? client : server);
        rig_advance(&r, 60000);
        close(gone == 0 ? server : client);
        rig_advance(&r, 60000);
        assert_int_equal(tunnel_set_count(r.worker->tunnels), 0);
        assert_int_equal(buffered(&r), 0);
    }
    rig_close(&r);
}

static void a_slow_client_slows_its_server(void **state)
{
    struct rig r;
    int server;
    static uint8_t block[65536];
    uint32_t seed = 1;
    (void)state;
    rig_open(&r, yaml);
    int client = deflating_open(&r, "/ws", &server);
    /* Messages of noise, which does not compress, for as long as anybody takes them. */
    for (size_t i = 0; i < sizeof block; i++) {
        seed = seed * 1664525u + 1013904223u;
        block[i] = (uint8_t)(seed >> 24);
    }
    for (size_t at = 0; at + 1028 <= sizeof block; at += 1028)
        memcpy(block + at, "\x82\x7e\x04\x00", 4);
    size_t whole = sizeof block / 1028 * 1028, offset = 0;
    for (int idle = 0; idle < 3;) {
        ssize_t n = send(server, block + offset, whole - offset, MSG_NOSIGNAL | MSG_DONTWAIT);
        idle = n > 0 ? 0 : idle + 1;
        if (n > 0)
            offset = (offset + (size_t)n) % whole;
        sim_settle(r.loop);
    }
    assert_true(buffered(&r) > 0);
    assert_true(buffered(&r) <= CONN_HIGH_BYTES_DEFAULT + 2 * NET_SCRATCH_BYTES);
    close(client);
    close(server);
    sim_settle(r.loop);
    rig_close(&r);
}

enum { IDLE_TUNNELS = 8 };

/* Opens some tunnels, has both sides of each say something, and returns what they own while they are idle. */
static size_t idle_bytes(struct rig *r, bool is_deflating)
{
    static char text[600];
    int client[IDLE_TUNNELS], server[IDLE_TUNNELS];
    uint8_t packed[700];
    size_t len, before = mallinfo2().uordblks;
    memset(text, 'z', sizeof text);
    for (int i = 0; i < IDLE_TUNNELS; i++) {
        client[i] = is_deflating ? deflating_open(r, "/ws", &server[i]) : rig_websocket(r, "/ws", 0, &server[i]);
        len = is_deflating ? deflating_pack("Hello", 5, packed, sizeof packed) : 5;
        deflating_send(r, client[i], is_deflating ? 0xc1 : 0x81, is_deflating ? (char *)packed : "Hello", len, true);
        deflating_expect(r, server[i], 0x81, "Hello");
        deflating_send(r, server[i], 0x81, text, sizeof text, false);
        assert_int_equal(deflating_read(r, client[i], packed, sizeof packed, &len), is_deflating ? 0xc1 : 0x81);
    }
    size_t after = mallinfo2().uordblks;
    for (int i = 0; i < IDLE_TUNNELS; i++) {
        close(client[i]);
        close(server[i]);
    }
    sim_settle(r->loop);
    return (after - before) / IDLE_TUNNELS;
}

/* Compressed tunnels that have spoken and are idle own no more than plain ones, but for the bookkeeping. */
static void an_idle_connection_owns_no_window(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, yaml);
    (void)idle_bytes(&r, true); /* what all share is there from now on */
    const size_t plain = idle_bytes(&r, false), deflating = idle_bytes(&r, true);
    rig_close(&r);
    if (plain == 0)
        skip(); /* a sanitizer's allocator does not count */
    print_message("bytes of an idle tunnel: %zu plain, %zu compressed\n", plain, deflating);
    assert_true(deflating <= plain + 512);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bomb_is_1009),
        cmocka_unit_test(what_a_small_frame_becomes_waits_for_the_server),
        cmocka_unit_test(either_side_may_go_while_bytes_wait),
        cmocka_unit_test(a_slow_client_slows_its_server),
        cmocka_unit_test(an_idle_connection_owns_no_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
