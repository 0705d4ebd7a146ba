/* Close codes by the registry, and control frames that our own walker (and so any peer) takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/ws/close.h"
#include "gateway/ws/mask.h"

static const uint8_t key[4] = {9, 8, 7, 6};

static void codes_that_may_be_sent(void **state)
{
    (void)state;
    for (uint32_t code = 0; code <= UINT16_MAX; code++) {
        const bool is_valid =
            (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
        if (ws_close_code_is_valid_on_wire((uint16_t)code) != is_valid)
            fail_msg("%u", (unsigned)code);
    }
}

static void codes_have_names(void **state)
{
    (void)state;
    assert_string_equal(ws_close_code_text(1001), "going away");
    assert_string_equal(ws_close_code_text(1006), "abnormal");
    assert_string_equal(ws_close_code_text(3000), "library");
    assert_string_equal(ws_close_code_text(4999), "application");
    assert_string_equal(ws_close_code_text(1004), "unknown");
    assert_string_equal(ws_close_code_text(5000), "unknown");
}

static void a_close_for_a_client(void **state)
{
    static const uint8_t expected[] = {0x88, 0x06, 0x03, 0xf4, 'b', 'y', 'e', '!'};
    uint8_t out[WS_CONTROL_FRAME_BYTES];

    (void)state;
    assert_int_equal(ws_close_build(out, 1012, "bye!", NULL), sizeof expected);
    assert_memory_equal(out, expected, sizeof expected);
}

static void a_close_for_a_server_is_masked(void **state)
{
    static const uint8_t expected[] = {0x88, 0x82, 9, 8, 7, 6, 0x03 ^ 9, 0xe8 ^ 8};
    uint8_t out[WS_CONTROL_FRAME_BYTES];

    (void)state;
    assert_int_equal(ws_close_build(out, 1000, NULL, key), sizeof expected);
    assert_memory_equal(out, expected, sizeof expected);
}

static void a_close_without_a_code_is_empty(void **state)
{
    uint8_t out[WS_CONTROL_FRAME_BYTES];

    (void)state;
    assert_int_equal(ws_close_build(out, WS_CLOSE_NO_STATUS, "not sent", NULL), 2);
    assert_memory_equal(out, "\x88\x00", 2);
}

static void a_long_reason_is_cut_between_characters(void **state)
{
    char reason[200];
    uint8_t out[WS_CONTROL_FRAME_BYTES];
    struct ws_walk w;
    struct ws_seen seen;

    (void)state;
    memset(reason, 'r', sizeof reason);
    reason[sizeof reason - 1] = '\0';
    assert_int_equal(ws_close_build(out, 1000, reason, NULL), 2 + 125);

    memcpy(reason + 121, "\xe2\x82\xac", 3); /* the 123 bytes end inside it */
    assert_int_equal(ws_close_build(out, 1000, reason, NULL), 2 + 2 + 121);
    ws_walk_init(&w, WS_SENDER_SERVER, 0, true);
    assert_int_equal(ws_walk_feed(&w, out, 2 + 2 + 121, &seen), WS_VERDICT_CLOSED);
    assert_int_equal(seen.reason_len, 121);
}

static void pings_and_pongs_carry_their_payload(void **state)
{
    uint8_t out[WS_CONTROL_FRAME_BYTES], payload[WS_CONTROL_BYTES];
    struct ws_walk w;
    struct ws_seen seen;

    (void)state;
    memset(payload, 'p', sizeof payload);
    for (size_t len = 0; len <= sizeof payload; len++) {
        assert_int_equal(ws_ping_build(out, payload, len, NULL), 2 + len);
        assert_int_equal(out[0], 0x89);
        assert_int_equal(out[1], len);
        assert_memory_equal(out + 2, payload, len);

        assert_int_equal(ws_pong_build(out, payload, len, key), 6 + len);
        ws_walk_init(&w, WS_SENDER_CLIENT, 0, true);
        assert_int_equal(ws_walk_feed(&w, out, 6 + len, &seen), WS_VERDICT_PASS);
        assert_int_equal(seen.pong_count, 1);
        ws_mask(out + 6, len, key, 0);
        assert_memory_equal(out + 6, payload, len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_that_may_be_sent),
        cmocka_unit_test(codes_have_names),
        cmocka_unit_test(a_close_for_a_client),
        cmocka_unit_test(a_close_for_a_server_is_masked),
        cmocka_unit_test(a_close_without_a_code_is_empty),
        cmocka_unit_test(a_long_reason_is_cut_between_characters),
        cmocka_unit_test(pings_and_pongs_carry_their_payload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
