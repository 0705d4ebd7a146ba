/* What the walker tells besides its verdict: how much may pass, where a frame of the gateway's own may go, what was
 * seen. Which frames are good and bad is the business of test_rfc6455.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/ws/frame.h"
#include "gateway/ws/mask.h"

#define FROM_CLIENT(w) ws_walk_init((w), WS_SENDER_CLIENT, 0, false)
#define FROM_SERVER(w) ws_walk_init((w), WS_SENDER_SERVER, 0, false)

static void everything_is_counted(void **state)
{
    static const uint8_t bytes[] = {
        0x81, 0x01, 'a',             /* a message */
        0x82, 0x00,                  /* another */
        0x89, 0x01, 'p',             /* ping */
        0x01, 0x01, 'b',             /* begin of a third */
        0x8a, 0x00, 0x8a, 0x00,      /* two pongs */
        0x00, 0x00, 0x80, 0x01, 'c', /* its end */
        0x81, 0x01,                  /* a fourth that is not whole */
    };
    struct ws_walk w;
    struct ws_seen seen;

    (void)state;
    FROM_SERVER(&w);
    assert_int_equal(ws_walk_feed(&w, bytes, sizeof bytes, &seen), WS_VERDICT_PASS);
    assert_int_equal(seen.pass_bytes, sizeof bytes);
    assert_int_equal(seen.message_count, 3);
    assert_int_equal(seen.ping_count, 1);
    assert_int_equal(seen.pong_count, 2);
    assert_int_equal(ws_walk_feed(&w, (const uint8_t *)"d", 1, &seen), WS_VERDICT_PASS);
    assert_int_equal(seen.message_count, 1);
    assert_int_equal(seen.ping_count + seen.pong_count, 0);
}

static void a_boundary_is_told_and_can_be_awaited(void **state)
{
    static const uint8_t two_and_a_half[] = {0x82, 0x01, 'a', 0x02, 0x01, 'b', 0x80, 0x04, 'c', 'd'};
    struct ws_walk w;
    struct ws_seen seen;

    (void)state;
    FROM_SERVER(&w);
    assert_true(ws_walk_is_at_boundary(&w));
    ws_walk_feed(&w, two_and_a_half, sizeof two_and_a_half, &seen);
    assert_int_equal(seen.boundary, 6);
    assert_false(ws_walk_is_at_boundary(&w));
    assert_true(ws_walk_is_in_message(&w));
    assert_int_equal(ws_walk_frame_left(&w), 2);

    ws_walk_feed(&w, (const uint8_t *)"e", 1, &seen);
    assert_int_equal(seen.boundary, -1);
    ws_walk_feed(&w, (const uint8_t *)"f", 1, &seen);
    assert_int_equal(seen.boundary, 1);
    assert_true(ws_walk_is_at_boundary(&w));
    assert_false(ws_walk_is_in_message(&w));
}

static void a_boundary_between_fragments_is_one(void **state)
{
    static const uint8_t first_fragment[] = {0x02, 0x01, 'a'};
    struct ws_walk w;
    struct ws_seen seen;

    (void)state;
    FROM_SERVER(&w);
    ws_walk_feed(&w, first_fragment, sizeof first_fragment, &seen);
    assert_true(ws_walk_is_at_boundary(&w));
    assert_true(ws_walk_is_in_message(&w));
    assert_int_equal(seen.message_count, 0);
}

static void an_incomplete_header_is_no_boundary(void **state)
{
    static const uint8_t header[] = {0x82, 0x7e, 0x01, 0x00};
    struct ws_walk w;
    struct ws_seen seen;

    (void)state;
    FROM_SERVER(&w);
    for (size_t i = 0; i < sizeof header; i++) {
        ws_walk_feed(&w, header + i, 1, &seen);
        assert_int_equal(seen.boundary, i == 0 ? 0 : -1);
        assert_false(ws_walk_is_at_boundary(&w));
        assert_int_equal(ws_walk_frame_left(&w), i == 3 ? 256 : 0);
    }
}

static void what_comes_before_a_bad_frame_may_pass(void **state)
{
    static const uint8_t bytes[] = {0x81, 0x01, 'a', 0x83, 0x00};
    struct ws_walk w;
    struct ws_seen seen;

    (void)state;
    FROM_SERVER(&w);
    assert_int_equal(ws_walk_feed(&w, bytes, sizeof bytes, &seen), WS_VERDICT_BAD);
    assert_int_equal(seen.pass_bytes, 3);
    assert_int_equal(seen.boundary, 3);
    assert_int_equal(seen.message_count, 1);
    assert_int_equal(seen.code, 1002);
    assert_string_equal(seen.error, "unknown opcode");
    assert_false(seen.is_torn);
}

static void a_frame_that_turns_bad_halfway_is_told_as_torn(void **state)
{
    static const uint8_t begin[] = {0x81, 0x04, 'a', 'b'}, end[] = {0xff, 'd'};
    struct ws_walk w;
    struct ws_seen seen;

    (void)state;
    ws_walk_init(&w, WS_SENDER_SERVER, 0, true);
    assert_int_equal(ws_walk_feed(&w, begin, sizeof begin, &seen), WS_VERDICT_PASS);
    assert_int_equal(ws_walk_feed(&w, end, sizeof end, &seen), WS_VERDICT_BAD);
    assert_true(seen.is_torn);
    assert_int_equal(seen.pass_bytes, 0);
    assert_int_equal(seen.boundary, -1);
    assert_int_equal(seen.code, 1007);
}

static void nothing_passes_after_the_end(void **state)
{
    static const uint8_t close_and_more[] = {0x88, 0x02, 0x03, 0xe9, 0x81, 0x01, 'a'};
    struct ws_walk w;
    struct ws_seen seen;

    (void)state;
    FROM_SERVER(&w);
    assert_int_equal(ws_walk_feed(&w, close_and_more, sizeof close_and_more, &seen), WS_VERDICT_CLOSED);
    assert_int_equal(seen.pass_bytes, 4);
    assert_int_equal(seen.code, 1001);
    assert_int_equal(ws_walk_feed(&w, close_and_more, sizeof close_and_more, &seen), WS_VERDICT_CLOSED);
    assert_int_equal(seen.pass_bytes, 0);
    assert_int_equal(seen.code, 0);

    FROM_SERVER(&w);
    assert_int_equal(ws_walk_feed(&w, (const uint8_t *)"\xff", 1, &seen), WS_VERDICT_BAD);
    assert_int_equal(ws_walk_feed(&w, close_and_more, sizeof close_and_more, &seen), WS_VERDICT_CLOSED);
    assert_int_equal(seen.pass_bytes, 0);
}

static void the_reason_of_a_close_is_unmasked(void **state)
{
    uint8_t bytes[] = {0x88, 0x89, 1, 2, 3, 4, 0x0f, 0xa1, 'g', 'o', 'o', 'd', 'b', 'y', 'e'};
    struct ws_walk w;
    struct ws_seen seen;

    (void)state;
    ws_mask(bytes + 6, 9, bytes + 2, 0);
    FROM_CLIENT(&w);
    assert_int_equal(ws_walk_feed(&w, bytes, sizeof bytes, &seen), WS_VERDICT_CLOSED);
    assert_int_equal(seen.code, 4001);
    assert_int_equal(seen.reason_len, 7);
    assert_memory_equal(seen.reason, "goodbye", 7);

    FROM_CLIENT(&w);
    assert_int_equal(ws_walk_feed(&w, bytes, 12, &seen), WS_VERDICT_PASS);
    assert_int_equal(ws_walk_feed(&w, bytes + 12, 3, &seen), WS_VERDICT_CLOSED);
    assert_int_equal(seen.code, 4001);
    assert_int_equal(seen.reason_len, 3);
    assert_memory_equal(seen.reason, "bye", 3);
}

static void without_a_bound_a_frame_may_be_of_any_length(void **state)
{
    static const uint8_t header[] = {0x82, 0x7f, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00}; /* 1 TiB */
    static const uint8_t part[1000];
    struct ws_walk w;
    struct ws_seen seen;

    (void)state;
    FROM_SERVER(&w);
    assert_int_equal(ws_walk_feed(&w, header, sizeof header, &seen), WS_VERDICT_PASS);
    assert_int_equal(ws_walk_frame_left(&w), UINT64_C(1) << 40);
    assert_int_equal(ws_walk_feed(&w, part, sizeof part, &seen), WS_VERDICT_PASS);
    assert_int_equal(ws_walk_frame_left(&w), (UINT64_C(1) << 40) - 1000);
}

static void the_bound_holds_for_each_message_by_itself(void **state)
{
    static const uint8_t fits[] = {0x02, 0x03, 1, 2, 3, 0x89, 0x02, 1, 2, 0x80, 0x01, 4};
    static const uint8_t too_long[] = {0x02, 0x03, 1, 2, 3, 0x80, 0x02, 4, 5};
    struct ws_walk w;
    struct ws_seen seen;

    (void)state;
    ws_walk_init(&w, WS_SENDER_SERVER, 4, false);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ws_walk_feed(&w, fits, sizeof fits, &seen), WS_VERDICT_PASS);
    assert_int_equal(ws_walk_feed(&w, too_long, sizeof too_long, &seen), WS_VERDICT_BAD);
    assert_int_equal(seen.code, 1009);
    assert_int_equal(seen.pass_bytes, 5);
}

static void text_is_looked_at_only_when_asked_for(void **state)
{
    static const uint8_t not_text[] = {0x81, 0x01, 0xff};
    struct ws_walk w;
    struct ws_seen seen;

    (void)state;
    ws_walk_init(&w, WS_SENDER_SERVER, 0, false);
    assert_int_equal(ws_walk_feed(&w, not_text, sizeof not_text, &seen), WS_VERDICT_PASS);
    ws_walk_init(&w, WS_SENDER_SERVER, 0, true);
    assert_int_equal(ws_walk_feed(&w, not_text, sizeof not_text, &seen), WS_VERDICT_BAD);
}

/* Longer than the piece the walker unmasks at a time, with characters lying across its borders. */
static void long_masked_text_is_unmasked_rightly(void **state)
{
    static const uint8_t key[4] = {0xde, 0xad, 0xbe, 0xef};
    uint8_t bytes[WS_HEADER_BYTES + 3000];
    struct ws_walk w;
    struct ws_seen seen;

    (void)state;
    const size_t header = ws_header_build(bytes, WS_OPCODE_TEXT, 3000, key);
    for (size_t i = 0; i < 3000; i += 3)
        memcpy(bytes + header + i, "\xe2\x82\xac", 3);
    ws_mask(bytes + header, 3000, key, 0);
    ws_walk_init(&w, WS_SENDER_CLIENT, 0, true);
    assert_int_equal(ws_walk_feed(&w, bytes, header + 1001, &seen), WS_VERDICT_PASS);
    assert_int_equal(ws_walk_feed(&w, bytes + header + 1001, 1999, &seen), WS_VERDICT_PASS);
    assert_int_equal(seen.message_count, 1);

    bytes[header + 2999] ^= 0x40;
    ws_walk_init(&w, WS_SENDER_CLIENT, 0, true);
    assert_int_equal(ws_walk_feed(&w, bytes, header + 3000, &seen), WS_VERDICT_BAD);
    assert_int_equal(seen.code, 1007);
}

static void built_headers_are_the_shortest_and_walk(void **state)
{
    static const uint8_t key[4] = {1, 2, 3, 4};
    static const struct {
        uint64_t payload;
        size_t header;
    } rows[] = {{0, 2}, {125, 2}, {126, 4}, {65535, 4}, {65536, 10}, {UINT64_C(1) << 62, 10}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (int masked = 0; masked < 2; masked++) {
            uint8_t header[WS_HEADER_BYTES];
            struct ws_walk w;
            struct ws_seen seen;
            const size_t len = ws_header_build(header, WS_OPCODE_BINARY, rows[i].payload, masked ? key : NULL);
            assert_int_equal(len, rows[i].header + (masked ? 4 : 0));
            ws_walk_init(&w, masked ? WS_SENDER_CLIENT : WS_SENDER_SERVER, 0, false);
            assert_int_equal(ws_walk_feed(&w, header, len, &seen), WS_VERDICT_PASS);
            assert_int_equal(ws_walk_frame_left(&w), rows[i].payload);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_counted),
        cmocka_unit_test(a_boundary_is_told_and_can_be_awaited),
        cmocka_unit_test(a_boundary_between_fragments_is_one),
        cmocka_unit_test(an_incomplete_header_is_no_boundary),
        cmocka_unit_test(what_comes_before_a_bad_frame_may_pass),
        cmocka_unit_test(a_frame_that_turns_bad_halfway_is_told_as_torn),
        cmocka_unit_test(nothing_passes_after_the_end),
        cmocka_unit_test(the_reason_of_a_close_is_unmasked),
        cmocka_unit_test(without_a_bound_a_frame_may_be_of_any_length),
        cmocka_unit_test(the_bound_holds_for_each_message_by_itself),
        cmocka_unit_test(text_is_looked_at_only_when_asked_for),
        cmocka_unit_test(long_masked_text_is_unmasked_rightly),
        cmocka_unit_test(built_headers_are_the_shortest_and_walk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
