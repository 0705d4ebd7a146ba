/* Whose fault it is: what must not be held against a server, nor said to one, and what a reset may not swallow. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/sock.h"
#include "gateway/ws/close.h"
#include "tests/replay/rig.h"

static const char plain[] = "listen: [ { address: '127.0.0.1:1' } ]\ndrain: { time: 60s }\npools:\n  rt:\n"
                            "    failover_timeout: 5s\n    circuit: { failures: 1, open: 10s }\n"
                            "    servers: [ { name: a, url: 'ws://127.0.0.1:@a' } ]\n"
                            "routes:\n  - { path: /ws, pool: rt }\n";

static void own_lack_of_descriptors_is_not_the_servers_fault(void **state)
{
    struct rig r;
    struct rlimit old, low;
    (void)state;
    rig_open(&r, plain);
    int client = rig_client(&r, "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n");
    int probe = dup(0);
    getrlimit(RLIMIT_NOFILE, &old);
    low = old;
    low.rlim_cur = (rlim_t)probe;
    close(probe);
    setrlimit(RLIMIT_NOFILE, &low);
    static const char rest[] =
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    rig_write(&r, client, rest, sizeof rest - 1);
    setrlimit(RLIMIT_NOFILE, &old);
    char buf[1024];
    int n = rig_read(&r, client, buf, sizeof buf);
    printf("%d %.60s\n", n, buf);
    int slot = slots_find(r.slots, SLOT_SERVER, "rt/a");
    uint64_t opens = stat_get(&r.birth.block->server[slot][STAT_SERVER_CIRCUIT_OPENS]);
    close(client);
    rig_close(&r);
    assert_int_equal(opens, 0);
}

static void a_former_owners_verdict_ends_nothing(void **state)
{
    struct rig r;
    int server;
    char buf[64];
    (void)state;
    rig_open(&r, plain);
    int client = rig_websocket(&r, "/ws", 0, &server);
    int slot = slots_find(r.slots, SLOT_SERVER, "rt/a");
    struct verdict v = {.state = VERDICT_DOWN};
    struct verdict_detail d = {0};
    verdict_write(r.verdicts, slot, &v, &d);
    atomic_store(&r.verdicts->row[slot].era,
                 atomic_load(&r.slots->server[slot].era) - 1); /* the row speaks of another */
    rig_advance(&r, 2000);
    int n = rig_read(&r, client, buf, sizeof buf);
    close(client);
    close(server);
    rig_close(&r);
    assert_int_equal(n, -1);
}

static void a_removed_tls_server_is_never_spoken_to_in_clear(void **state)
{
    struct rig r;
    (void)state;
    char buf[4096];
    static const char tls[] = "listen: [ { address: '127.0.0.1:1' } ]\npools:\n  rt:\n    connect_timeout: 5s\n"
                              "    servers: [ { name: a, url: 'wss://127.0.0.1:@a', tls: { verify: false } } "
                              "]\nroutes:\n  - { path: /ws, pool: rt }\n";
    static const char other[] =
        "listen: [ { address: '127.0.0.1:1' } ]\npools:\n  rt:\n    connect_timeout: 5s\n"
        "    servers: [ { name: b, url: 'ws://127.0.0.1:@b' } ]\nroutes:\n  - { path: /ws, pool: rt }\n";
    rig_open(&r, tls);
    struct server *s = pool_set_at(r.worker->pools, 0)->servers[0];
    struct addr a, dead;
    int lfd;
    int fill[8];
    addr_parse(&a, "127.0.0.1:0");
    assert_int_equal(sock_listen(&a, false, 0, &lfd), ERR_NONE);
    assert_int_equal(sock_local_addr(lfd, &dead), ERR_NONE);
    for (int i = 0; i < 4; i++)
        assert_int_equal(sock_connect(&dead, &fill[i]), ERR_NONE);
    usleep(20000);
    s->addrs[1] = s->addrs[0];
    s->addrs[0] = dead;
    s->addr_count = 2;
    s->addr_next = 0;
    int client = rig_handshake(&r, "/ws");
    rig_reload(&r, other);
    close(lfd);
    for (int i = 0; i < 40 && !rig_has_waiting(&r, 0); i++)
        usleep(100000);
    int server = rig_accept(&r, 0);
    int n = rig_read(&r, server, buf, sizeof buf);
    printf("%d bytes: %.40s\n", n, buf);
    bool clear = n > 3 && memcmp(buf, "GET", 3) == 0;
    close(client);
    close(server);
    for (int i = 0; i < 4; i++)
        close(fill[i]);
    rig_close(&r);
    assert_false(clear);
}

static const char roomy[] = "listen: [ { address: '127.0.0.1:1' } ]\npools:\n  rt:\n"
                            "    servers: [ { name: a, url: 'ws://127.0.0.1:@a' } ]\n"
                            "routes:\n  - { path: /ws, pool: rt, websocket: { max_message: 64MiB } }\n";

/* server resets right after its close frame while bytes for it wait: the close frame must still reach the client */
static void a_close_frame_ahead_of_a_reset_still_counts(void **state)
{
    struct rig r;
    int server;
    static uint8_t block[65536];
    char buf[256];
    (void)state;
    static const uint8_t key[4];
    uint8_t frame[WS_CONTROL_FRAME_BYTES];
    rig_open(&r, roomy);
    int client = rig_websocket(&r, "/ws", 0, &server);
    (void)key;
    /* one big message of the client that the server does not read */
    uint8_t h[14] = {0x82, 0xff, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}; /* 4 MiB, key 0 */
    rig_write(&r, client, h, 14);
    while (stat_get(&r.birth.block->process[STAT_BUFFERED_BYTES]) == 0)
        if (send(client, block, sizeof block, MSG_NOSIGNAL | MSG_DONTWAIT) <= 0)
            sim_settle(r.loop);
        else
            sim_settle(r.loop);
    size_t n = ws_close_build(frame, 1009, "", NULL);
    assert_int_equal(send(server, frame, n, MSG_NOSIGNAL), n);
    close(server); /* unread bytes: a reset follows */
    usleep(20000);
    n = (size_t)rig_read(&r, client, buf, sizeof buf);
    uint8_t *b = (uint8_t *)buf;
    int code = b[2] << 8 | b[3];
    close(client);
    rig_close(&r);
    assert_int_equal(code, 1009);
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_lack_of_descriptors_is_not_the_servers_fault),
        cmocka_unit_test(a_former_owners_verdict_ends_nothing),
        cmocka_unit_test(a_removed_tls_server_is_never_spoken_to_in_clear),
        cmocka_unit_test(a_close_frame_ahead_of_a_reset_still_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
