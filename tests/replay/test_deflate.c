/* permessage-deflate between a client and the gateway, as both sides of a whole worker see it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/ws/close.h"
#include "gateway/ws/mask.h"
#include "tests/replay/deflating.h"

static const char yaml[] =
    "listen: [ { address: '127.0.0.1:1' } ]\n"
    "drain: { time: 60s }\n"
    "pools:\n"
    "  rt:\n"
    "    servers: [ { name: a, url: 'ws://127.0.0.1:@a' } ]\n"
    "routes:\n"
    "  - { path: /ws, pool: rt, websocket: { max_message: 16MiB, check_utf8: true, compression: { enabled: true } } }\n"
    "  - { path: /kept, pool: rt, websocket: { compression: { enabled: true, context_takeover: true, window_bits: 12, "
    "min_message: 0B } } }\n"
    "  - { path: /plain, pool: rt }\n";

static uint64_t route_count(struct rig *r, const char *route, enum stat_route id)
{
    return stat_get(&r->birth.block->route[slots_find(r->slots, SLOT_ROUTE, route)][id]);
}

static void the_route_decides_what_an_offer_is_answered(void **state)
{
    static const struct {
        const char *path, *offer, *answer;
    } rows[] = {
        {"/ws", DEFLATING_OFFER, "permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"},
        {"/ws", "foo, permessage-deflate;server_max_window_bits=10",
         "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10\r\n"},
        {"/kept", DEFLATING_OFFER, "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12\r\n"},
        {"/plain", DEFLATING_OFFER, NULL},
        {"/ws", "permessage-deflate; unheard_of", NULL},
    };
    struct rig r;
    (void)state;
    rig_open(&r, yaml);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char answer[1024];
        int server;
        int client = deflating_offer(&r, rows[i].path, rows[i].offer, &server, answer);
        const char *field = strcasestr(answer, "\r\nSec-WebSocket-Extensions: ");
        if (rows[i].answer == NULL)
            assert_null(field);
        else
            assert_memory_equal(field + 28, rows[i].answer, strlen(rows[i].answer));
        close(client);
        close(server);
    }
    rig_close(&r);
}

static void the_server_knows_nothing_of_it(void **state)
{
    struct rig r;
    char request[4096];
    (void)state;
    rig_open(&r, yaml);
    int client = rig_client(&r, "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n");
    int server = rig_accept(&r, 0);
    assert_true(rig_read(&r, server, request, sizeof request) > 0);
    assert_null(strcasestr(request, "sec-websocket-extensions"));
    close(client);
    close(server);
    rig_close(&r);
}

static void what_is_no_list_of_offers_is_refused(void **state)
{
    struct rig r;
    char answer[1024];
    (void)state;
    rig_open(&r, yaml);
    int client = rig_client(&r, "GET /plain HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                "Sec-WebSocket-Extensions: permessage-deflate; =10\r\n\r\n");
    assert_true(rig_read(&r, client, answer, sizeof answer) > 0);
    assert_memory_equal(answer, "HTTP/1.1 400", 12);
    assert_false(rig_has_waiting(&r, 0));
    close(client);
    rig_close(&r);
}

static void messages_are_inflated_up_and_compressed_down(void **state)
{
    struct rig r;
    int server;
    uint8_t packed[700], text[600], back[600];
    size_t len;
    (void)state;
    rig_open(&r, yaml);
    int client = deflating_open(&r, "/ws", &server);
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (uint8_t)('a' + i % 5);

    size_t packed_len = deflating_pack("Hello", 5, packed, sizeof packed);
    deflating_send(&r, client, 0xc1, packed, packed_len, true);
    deflating_expect(&r, server, 0x81, "Hello");
    deflating_send(&r, client, 0x81, "as it is", 8, true);
    deflating_expect(&r, server, 0x81, "as it is");

    deflating_send(&r, server, 0x82, text, sizeof text, false);
    assert_int_equal(deflating_read(&r, client, packed, sizeof packed, &len), 0xc2);
    assert_true(len < 40);
    assert_int_equal(deflating_unpack(packed, len, back, sizeof back), sizeof text);
    assert_memory_equal(back, text, sizeof text);
    deflating_send(&r, server, 0x81, "too short for it", 16, false);
    deflating_expect(&r, client, 0x81, "too short for it");

    assert_int_equal(route_count(&r, "/ws", STAT_ROUTE_WS_PLAIN_BYTES), 605);
    assert_int_equal(route_count(&r, "/ws", STAT_ROUTE_WS_PACKED_BYTES), packed_len + len);
    assert_int_equal(route_count(&r, "/ws", STAT_ROUTE_UP_MESSAGES), 2);
    assert_int_equal(route_count(&r, "/ws", STAT_ROUTE_DOWN_MESSAGES), 2);
    close(client);
    close(server);
    rig_close(&r);
}

static void control_frames_pass_between_the_pieces(void **state)
{
    struct rig r;
    int server;
    uint8_t packed[100], all[400];
    size_t len, have = 0;
    static char text[300];
    (void)state;
    rig_open(&r, yaml);
    int client = deflating_open(&r, "/ws", &server);
    /* Up: what has been inflated goes on at once. RFC 7692 section 7.2.3.1 cuts this very message. */
    static const uint8_t hello[] = {0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00};
    deflating_send(&r, client, 0x41, hello, 3, true);
    deflating_expect(&r, server, 0x01, "He");
    deflating_send(&r, client, 0x89, "are you there", 13, true);
    deflating_expect(&r, server, 0x89, "are you there");
    deflating_send(&r, client, 0x80, hello + 3, 4, true);
    deflating_expect(&r, server, 0x80, "llo");
    deflating_send(&r, client, 0xc2, "\0", 1, true);
    deflating_expect(&r, server, 0x82, "");
    /* Down: compressing holds back until the end; the ping does not wait for it. */
    memset(text, 'y', sizeof text);
    deflating_send(&r, server, 0x01, text, 100, false);
    deflating_send(&r, server, 0x89, "ping", 4, false);
    deflating_expect(&r, client, 0x89, "ping");
    deflating_send(&r, server, 0x80, text + 100, 200, false);
    assert_int_equal(deflating_read(&r, client, packed, sizeof packed, &len), 0xc1);
    have = deflating_unpack(packed, len, all, sizeof all);
    assert_int_equal(have, sizeof text);
    assert_memory_equal(all, text, have);
    close(client);
    close(server);
    rig_close(&r);
}

static void a_message_in_many_pieces_stays_one(void **state)
{
    struct rig r;
    int server;
    static uint8_t text[20000], packed[20000], got[20001], frame[20100];
    size_t len, have = 0;
    static const uint8_t key[4] = {1, 2, 3, 4};
    uint32_t seed = 1;
    (void)state;
    rig_open(&r, yaml);
    int client = deflating_open(&r, "/ws", &server);
    for (size_t i = 0; i < sizeof text; i++) {
        seed = seed * 1664525u + 1013904223u;
        text[i] = (uint8_t)('a' + (seed >> 28));
    }
    size_t packed_len = deflating_pack(text, sizeof text, packed, sizeof packed);
    len = ws_fragment_build(frame, 0xc1, packed_len, key);
    memcpy(frame + len, packed, packed_len);
    ws_mask(frame + len, packed_len, key, 0);
    len += packed_len;
    for (size_t at = 0, piece = 1; at < len; at += piece, piece = piece * 2 + 1)
        rig_write(&r, client, frame + at, len - at < piece ? len - at : piece);
    for (uint8_t first = 0; (first & 0x80) == 0;) {
        first = deflating_read(&r, server, got + have, sizeof got - have, &len);
        assert_int_equal(first & 0x7f, have == 0 ? 0x01 : 0x00);
        have += len;
    }
    assert_int_equal(have, sizeof text);
    assert_memory_equal(got, text, have);
    close(client);
    close(server);
    rig_close(&r);
}

static void a_kept_context_serves_many_messages(void **state)
{
    struct rig r;
    int server;
    uint8_t packed[100];
    size_t first_len, len;
    static const char text[] = "{\"topic\":\"realtime:public:vehicles\",\"event\":\"UPDATE\"}";
    static const uint8_t hello[] = {0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}, again[] = {0xf2, 0x00, 0x11, 0x00, 0x00};
    (void)state;
    rig_open(&r, yaml);
    int client = deflating_open(&r, "/kept", &server);
    deflating_send(&r, client, 0xc1, hello, sizeof hello, true);
    deflating_expect(&r, server, 0x81, "Hello");
    deflating_send(&r, client, 0xc1, again, sizeof again, true); /* RFC 7692 section 7.2.3.2 */
    deflating_expect(&r, server, 0x81, "Hello");
    deflating_send(&r, server, 0x81, text, sizeof text - 1, false);
    assert_int_equal(deflating_read(&r, client, packed, sizeof packed, &first_len), 0xc1);
    deflating_send(&r, server, 0x81, text, sizeof text - 1, false);
    assert_int_equal(deflating_read(&r, client, packed, sizeof packed, &len), 0xc1);
    assert_true(len < 10 && len < first_len);
    close(client);
    close(server);
    rig_close(&r);
}

static void who_breaks_the_rules_hears_why(void **state)
{
    static const struct {
        const char *path;
        uint8_t first;
        const char *payload;
        size_t len;
        uint16_t code;
    } rows[] = {
        {"/plain", 0xc1, "\xf2\x48\xcd\xc9\xc9\x07\0", 7, 1002}, /* nothing was agreed */
        {"/ws", 0xc9, "", 0, 1002},
        {"/ws", 0xa1, "x", 1, 1002},
        {"/ws", 0xc0, "x", 1, 1002},
        {"/ws", 0xc1, "\xf2\x48\xcd", 3, 1007},
        {"/ws", 0xc1, "\0\1\0\xfe\xff\xff\0", 7, 1007}, /* 0xff is no text */
    };
    struct rig r;
    (void)state;
    rig_open(&r, yaml);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char answer[1024];
        int server;
        int client = deflating_offer(&r, rows[i].path, DEFLATING_OFFER, &server, answer);
        deflating_send(&r, client, rows[i].first, rows[i].payload, rows[i].len, true);
        rig_expect_close(&r, client, rows[i].code);
        rig_expect_close(&r, server, WS_CLOSE_GOING_AWAY);
        close(client);
        close(server);
    }
    rig_close(&r);
}

static void rsv1_on_a_continuation_is_1002_behind_what_was_good(void **state)
{
    struct rig r;
    int server;
    (void)state;
    rig_open(&r, yaml);
    int client = deflating_open(&r, "/ws", &server);
    deflating_send(&r, client, 0x41, "\xf2\x48\xcd", 3, true);
    deflating_send(&r, client, 0xc0, "\xc9\xc9\x07\0", 4, true);
    rig_expect_close(&r, client, WS_CLOSE_PROTOCOL_ERROR);
    deflating_expect(&r, server, 0x01, "He");
    rig_expect_close(&r, server, WS_CLOSE_GOING_AWAY);
    close(client);
    close(server);
    rig_close(&r);
}

static void a_server_that_compresses_unasked_is_refused(void **state)
{
    struct rig r;
    int server;
    (void)state;
    rig_open(&r, yaml);
    int client = deflating_open(&r, "/ws", &server);
    deflating_send(&r, server, 0xc1, "\xf2\x48\xcd\xc9\xc9\x07\0", 7, false);
    rig_expect_close(&r, server, WS_CLOSE_PROTOCOL_ERROR);
    rig_expect_close(&r, client, WS_CLOSE_INTERNAL);
    close(client);
    close(server);
    rig_close(&r);
}

static void a_drain_closes_between_two_frames(void **state)
{
    struct rig r;
    int server;
    static char text[600];
    uint8_t packed[600];
    size_t len;
    (void)state;
    rig_open(&r, yaml);
    int client = deflating_open(&r, "/ws", &server);
    memset(text, 'z', sizeof text);
    /* Half a frame that is being compressed: nothing of it is out, the close may go at once. */
    uint8_t frame[700];
    size_t header = ws_fragment_build(frame, 0x81, sizeof text, NULL);
    memcpy(frame + header, text, sizeof text);
    rig_write(&r, server, frame, 300);
    worker_leave(r.worker, 1000, CLOSED_BY_DRAIN);
    rig_advance(&r, 1000);
    rig_expect_close(&r, client, WS_CLOSE_GOING_AWAY);
    close(client);
    close(server);
    rig_close(&r);

    /* Half a frame that passes as it is: the close waits for the rest. */
    rig_open(&r, yaml);
    client = deflating_open(&r, "/ws", &server);
    rig_write(&r, server,
              "\x81\x06"
              "abc",
              5);
    worker_leave(r.worker, 1000, CLOSED_BY_DRAIN);
    rig_advance(&r, 1000);
    rig_write(&r, server,
              "def"
              "\x81\x01x",
              6);
    assert_int_equal(deflating_read(&r, client, packed, sizeof packed, &len), 0x81);
    assert_string_equal((char *)packed, "abcdef");
    rig_expect_close(&r, client, WS_CLOSE_GOING_AWAY);
    close(client);
    close(server);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_route_decides_what_an_offer_is_answered),
        cmocka_unit_test(the_server_knows_nothing_of_it),
        cmocka_unit_test(what_is_no_list_of_offers_is_refused),
        cmocka_unit_test(messages_are_inflated_up_and_compressed_down),
        cmocka_unit_test(control_frames_pass_between_the_pieces),
        cmocka_unit_test(a_message_in_many_pieces_stays_one),
        cmocka_unit_test(a_kept_context_serves_many_messages),
        cmocka_unit_test(who_breaks_the_rules_hears_why),
        cmocka_unit_test(rsv1_on_a_continuation_is_1002_behind_what_was_good),
        cmocka_unit_test(a_server_that_compresses_unasked_is_refused),
        cmocka_unit_test(a_drain_closes_between_two_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
