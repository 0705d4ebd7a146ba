/* An MQTT session whose end is due in the very moment in which its client says good-bye. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/http/upgrade.h"
#include "gateway/ws/close.h"
#include "tests/replay/rig.h"

static const char yaml[] = "listen: [ { address: '127.0.0.1:1' } ]\n"
                           "pools:\n"
                           "  rt:\n"
                           "    servers: [ { name: a, url: 'ws://127.0.0.1:@a' } ]\n"
                           "routes:\n"
                           "  - { path: /mqtt, pool: rt, websocket: { protocol: mqtt } }\n";

static const uint8_t no_mask[4];

static size_t frame_of(uint8_t *out, const void *payload, size_t len, const uint8_t *key)
{
    const size_t header = ws_header_build(out, WS_OPCODE_BINARY, len, key);
    memcpy(out + header, payload, len);
    return header + len;
}

/* A client of MQTT 5 that is connected. */
static int connected(struct rig *r, int *server)
{
    static const uint8_t connect[] = {0x10, 14, 0, 4, 'M', 'Q', 'T', 'T', 5, 2, 0, 60, 0, 0, 1, 'c'};
    static const uint8_t connack[] = {0x20, 3, 0, 0, 0};
    char text[2048], accept[UPGRADE_ACCEPT_BYTES];
    uint8_t frame[64];
    const int client = rig_client(r, "GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                                     "Sec-WebSocket-Protocol: mqtt\r\n\r\n");
    *server = rig_accept(r, 0);
    assert_true(rig_read(r, *server, text, sizeof text) > 0);
    upgrade_accept_key((struct http_view){"dGhlIHNhbXBsZSBub25jZQ==", 24}, accept);
    const int len = snprintf(text, sizeof text,
                             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             "Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                             accept);
    rig_write(r, *server, text, (size_t)len);
    assert_true(rig_read(r, client, text, sizeof text) > 0);
    rig_write(r, client, frame, frame_of(frame, connect, sizeof connect, no_mask));
    assert_true(rig_read(r, *server, text, sizeof text) > 0);
    rig_write(r, *server, frame, frame_of(frame, connack, sizeof connack, NULL));
    assert_true(rig_read(r, client, text, sizeof text) > 0);
    return client;
}

static void an_end_that_is_due_and_a_close_are_one_end(void **state)
{
    struct rig r;
    uint8_t frame[WS_CONTROL_FRAME_BYTES];
    char text[256];
    int server;
    (void)state;
    rig_open(&r, yaml);
    const int client = connected(&r, &server);
    const size_t len = ws_close_build(frame, WS_CLOSE_NORMAL, "", no_mask);
    assert_int_equal(send(client, frame, len, MSG_NOSIGNAL), len);
    worker_leave(r.worker, 0, CLOSED_BY_DRAIN);
    /* The close is read first. It is answered with a DISCONNECT, behind which the end that is due can go. */
    assert_true(rig_read(&r, client, text, sizeof text) > 0);
    assert_int_equal((uint8_t)text[2], 0xe0);
    assert_int_equal(rig_read(&r, client, text, sizeof text), 0);
    close(client);
    close(server);
    sim_settle(r.loop);
    assert_int_equal(tunnel_set_count(r.worker->tunnels), 0);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_end_that_is_due_and_a_close_are_one_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
