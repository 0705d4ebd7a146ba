/* Both directions of a compressed WebSocket: what goes in as frames of one kind must come out as the same messages in
 * frames of the other, in any cut and with any room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gateway/ws/close.h"
#include "gateway/ws/mask.h"
#include "gateway/ws/recode.h"

#define MAX_MESSAGE 100000u
#define OUT_BYTES   (4u * MAX_MESSAGE)

static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};
static const struct ws_deflate_params alone = {.server_window_bits = 15,
                                               .client_window_bits = 15,
                                               .server_no_context_takeover = true,
                                               .client_no_context_takeover = true,
                                               .level = 4,
                                               .min_bytes = 64};

struct bytes {
    size_t len;
    uint8_t data[OUT_BYTES];
};

struct way {
    struct ws_stock *stock;
    struct ws_walk walk;
    struct ws_recode recode;
    struct ws_seen seen;
    enum ws_turned turned;
    struct bytes out;
};

static void way_open(struct way *w, enum ws_sender sender, const struct ws_deflate_params *params)
{
    w->stock = ws_stock_create();
    ws_walk_init(&w->walk, sender, MAX_MESSAGE, true);
    ws_recode_init(&w->recode, &w->walk, w->stock, params, MAX_MESSAGE, true);
    ws_seen_clear(&w->seen);
    w->turned = WS_TURNED_ALL;
    w->out.len = 0;
}

static void way_close(struct way *w)
{
    ws_recode_fini(&w->recode);
    ws_stock_destroy(&w->stock); /* asserts that everything was given back */
}

/* Feeds all of `in`, `piece` bytes at a time, and gathers the output, `room` bytes at a time. */
static void way_feed(struct way *w, const uint8_t *in, size_t len, size_t piece, size_t room)
{
    static uint8_t out[65536];
    for (size_t at = 0; at < len && w->turned == WS_TURNED_ALL;) {
        const size_t have = len - at < piece ? len - at : piece;
        struct ws_turn t = {.in = in + at, .in_bytes = have, .out = out, .room_bytes = room};
        at += have;
        do {
            w->turned = ws_recode_run(&w->recode, &t, &w->seen);
            assert_true(t.out_bytes <= room && w->out.len + t.out_bytes <= OUT_BYTES);
            memcpy(w->out.data + w->out.len, out, t.out_bytes);
            w->out.len += t.out_bytes;
            assert_true(w->turned != WS_TURNED_FULL || t.out_bytes > 0);
            t.out_bytes = 0;
        } while (w->turned == WS_TURNED_FULL);
        assert_true(w->turned != WS_TURNED_ALL || t.in_bytes == 0);
    }
}

static void add_frame(struct bytes *b, uint8_t first, const void *payload, size_t len, bool is_masked)
{
    uint8_t header[WS_HEADER_BYTES];
    size_t header_len = ws_fragment_build(header, first, len, is_masked ? key : NULL);
    memcpy(b->data + b->len, header, header_len);
    b->len += header_len;
    if (len > 0)
        memcpy(b->data + b->len, payload, len);
    if (is_masked)
        ws_mask(b->data + b->len, len, key, 0);
    b->len += len;
}

/* The messages in some frames as text: "T5:Hello;P2:hi;" - T text, B binary, P ping, O pong, C close; lower case where
 * the message is compressed. Fails when the frames are not as RFC 6455 wants them. */
static void tell(const struct bytes *b, bool is_masked, struct bytes *story, uint32_t *frame_count)
{
    static struct bytes message;
    char kind = 0;
    size_t at = 0;
    story->len = 0;
    *frame_count = 0;
    while (at < b->len) {
        const uint8_t first = b->data[at], second = b->data[at + 1];
        size_t payload = second & 0x7f, header = 2;
        assert_int_equal(second >> 7, is_masked);
        if (payload == 126) {
            payload = (size_t)b->data[at + 2] << 8 | b->data[at + 3];
            header = 4;
            assert_true(payload >= 126);
        }
        assert_true(payload != 127);
        const uint8_t *mask = b->data + at + header;
        header += is_masked ? 4 : 0;
        assert_true(at + header + payload <= b->len);
        uint8_t *plain = mem_alloc(payload + 1);
        memcpy(plain, b->data + at + header, payload);
        if (is_masked)
            ws_mask(plain, payload, mask, 0);
        at += header + payload;
        (*frame_count)++;
        const uint8_t opcode = first & 15;
        if (opcode >= 8) {
            assert_int_equal(first & 0xf0, 0x80);
            story->len += (size_t)sprintf((char *)story->data + story->len, "%c%zu:", "CPO"[opcode - 8], payload);
            memcpy(story->data + story->len, plain, payload);
            story->len += payload;
            story->data[story->len++] = ';';
            mem_free(plain);
            continue;
        }
        if (opcode != 0) {
            assert_int_equal(kind, 0);
            kind = (first & 0x40) != 0 ? "tb"[opcode - 1] : "TB"[opcode - 1];
            message.len = 0;
        } else {
            assert_int_not_equal(kind, 0);
            assert_int_equal(first & 0x70, 0);
        }
        memcpy(message.data + message.len, plain, payload);
        message.len += payload;
        mem_free(plain);
        if ((first & 0x80) != 0) {
            story->len += (size_t)sprintf((char *)story->data + story->len, "%c%zu:", kind, message.len);
            memcpy(story->data + story->len, message.data, message.len);
            story->len += message.len;
            story->data[story->len++] = ';';
            kind = 0;
        }
    }
    story->data[story->len] = '\0';
}

static void expect_story(const struct bytes *b, bool is_masked, const char *text)
{
    static struct bytes story;
    uint32_t count;
    tell(b, is_masked, &story, &count);
    assert_string_equal((char *)story.data, text);
}

static const uint8_t hello[] = {0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}; /* RFC 7692 section 7.2.3.1 */

static void a_client_s_messages_reach_the_server_plain(void **state)
{
    static struct bytes in;
    static struct way w;
    (void)state;
    in.len = 0;
    add_frame(&in, 0xc1, hello, sizeof hello, true);
    add_frame(&in, 0x81, "plain", 5, true);
    add_frame(&in, 0x41, hello, 3, true); /* RFC 7692 section 7.2.3.1: the same in two frames */
    add_frame(&in, 0x89, "ping", 4, true);
    add_frame(&in, 0x00, "", 0, true);
    add_frame(&in, 0x80, hello + 3, 4, true);
    add_frame(&in, 0xc2, "\0", 1, true);
    add_frame(&in, 0xc2, "", 0, true);
    add_frame(&in, 0x02, "ab", 2, true);
    add_frame(&in, 0x8a, "", 0, true);
    add_frame(&in, 0x80, "c", 1, true);
    add_frame(&in, 0x88, "\x03\xe8", 2, true);
    for (size_t piece = 1; piece <= in.len; piece++) {
        way_open(&w, WS_SENDER_CLIENT, &alone);
        way_feed(&w, in.data, in.len, piece, WS_RECODE_ROOM);
        assert_int_equal(w.turned, WS_TURNED_CLOSED);
        assert_int_equal(w.seen.code, WS_CLOSE_NORMAL);
        assert_int_equal(w.seen.message_count, 6);
        expect_story(&w.out, true, "T5:Hello;T5:plain;P4:ping;T5:Hello;B0:;B0:;O0:;B3:abc;C2:\x03\xe8;");
        way_close(&w);
    }
}

static void one_frame_stays_one_frame_when_it_lies_there_whole(void **state)
{
    static struct bytes in, story;
    static struct way w;
    uint32_t count;
    (void)state;
    in.len = 0;
    add_frame(&in, 0xc1, hello, sizeof hello, true);
    way_open(&w, WS_SENDER_CLIENT, &alone);
    way_feed(&w, in.data, in.len, in.len, 65536);
    tell(&w.out, true, &story, &count);
    assert_int_equal(count, 1);
    assert_true(w.recode.inflater == NULL); /* given back */
    way_close(&w);
}

static void what_breaks_the_rules_is_refused_with_its_code(void **state)
{
    static const struct {
        struct {
            uint8_t first;
            const char *payload;
            uint8_t len;
        } frame[3];
        uint16_t code;
    } rows[] = {
        {{{0x41, "\xf2\x48\xcd", 3}, {0xc0, "\xc9\xc9\x07\x00", 4}}, 1002}, /* RSV1 on a continuation */
        {{{0xc9, "", 0}}, 1002},                                            /* on a ping */
        {{{0xa1, "x", 1}}, 1002},                                           /* RSV2 */
        {{{0x91, "x", 1}}, 1002},                                           /* RSV3 */
        {{{0xe1, "x", 1}}, 1002},                                           /* RSV1 and RSV2 */
        {{{0xc0, "x", 1}}, 1002},                                           /* a continuation of nothing */
        {{{0x41, "\xf2", 1}, {0xc1, "x", 1}}, 1002},                        /* a new message inside another */
        {{{0xc1, "\xf2\x48\xcd\xc9", 4}}, 1007},                            /* cut short */
        {{{0x41, "\xf2\x48", 2}, {0x80, "", 0}}, 1007},
        {{{0xc2, "\xff\xff\xff", 3}}, 1007},
        {{{0xc1, "\x00\x01\x00\xfe\xff\xff\x00", 7}}, 1007},                    /* inflates to what is no UTF-8 */
        {{{0xc1, "\x00\x01\x00\xfe\xff\xc3\x00", 7}}, 1007},                    /* to half a character */
        {{{0xc2, "\x00\x01\x00\xfe\xff\xff\x00", 7}, {0x88, "\x03", 1}}, 1002}, /* binary may; the close is bad */
    };
    static struct bytes in;
    static struct way w;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        in.len = 0;
        for (size_t f = 0; f < 3 && rows[i].frame[f].payload != NULL; f++)
            add_frame(&in, rows[i].frame[f].first, rows[i].frame[f].payload, rows[i].frame[f].len, true);
        for (size_t piece = 1; piece <= in.len; piece++) {
            way_open(&w, WS_SENDER_CLIENT, &alone);
            way_feed(&w, in.data, in.len, piece, WS_RECODE_ROOM);
            assert_int_equal(w.turned, WS_TURNED_BAD);
            assert_int_equal(w.seen.code, rows[i].code);
            assert_non_null(w.seen.error);
            assert_false(w.seen.is_torn);
            way_close(&w);
        }
    }
}

/* A frame that passes in pieces and turns out bad leaves the server inside it; one that lies there whole is kept. */
static void a_frame_is_torn_only_when_part_of_it_is_out(void **state)
{
    static struct bytes in;
    static struct way w;
    (void)state;
    in.len = 0;
    add_frame(&in, 0x81, "abc\xff", 4, true);
    way_open(&w, WS_SENDER_CLIENT, &alone);
    way_feed(&w, in.data, in.len, in.len, WS_RECODE_ROOM);
    assert_int_equal(w.turned, WS_TURNED_BAD);
    assert_false(w.seen.is_torn);
    assert_int_equal(w.out.len, 0);
    way_close(&w);
    way_open(&w, WS_SENDER_CLIENT, &alone);
    way_feed(&w, in.data, in.len, in.len - 1, WS_RECODE_ROOM);
    assert_int_equal(w.turned, WS_TURNED_BAD);
    assert_true(w.seen.is_torn);
    way_close(&w);
}

/* Blocks of zeros as zlib would pack them: 1000 to 1. */
static void add_zeros(struct bytes *b, uint8_t first, size_t len)
{
    static uint8_t zeros[4 * MAX_MESSAGE], packed[4096];
    struct ws_stock *stock = ws_stock_create();
    struct ws_deflater *z = ws_deflater_acquire(stock, 15, 9, WS_SPAN_CALL);
    const uint8_t *in = zeros;
    size_t made = 0;
    assert_int_equal(ws_deflate(z, &in, &len, true, packed, sizeof packed, &made), WS_CODED_DONE);
    add_frame(b, first, packed, made, true);
    ws_deflater_release(stock, &z);
    ws_stock_destroy(&stock);
}

static void a_message_too_large_when_inflated_is_1009(void **state)
{
    static struct bytes in;
    static struct way w;
    (void)state;
    in.len = 0;
    add_zeros(&in, 0xc2, MAX_MESSAGE);
    way_open(&w, WS_SENDER_CLIENT, &alone);
    way_feed(&w, in.data, in.len, in.len, 4096);
    assert_int_equal(w.turned, WS_TURNED_ALL);
    assert_int_equal(w.seen.message_count, 1);
    in.len = 0;
    add_zeros(&in, 0xc2, MAX_MESSAGE + 1);
    w.out.len = 0;
    way_feed(&w, in.data, in.len, in.len, 4096);
    assert_int_equal(w.turned, WS_TURNED_BAD);
    assert_int_equal(w.seen.code, WS_CLOSE_TOO_BIG);
    assert_true(w.out.len <= MAX_MESSAGE + 100 * 8);
    way_close(&w);
}

static void messages_worth_it_reach_the_client_compressed(void **state)
{
    static struct bytes in, up, story;
    static struct way down, back;
    static char long_text[400];
    static char expected[2000];
    uint32_t count;
    (void)state;
    for (size_t i = 0; i < sizeof long_text; i++)
        long_text[i] = (char)('a' + i % 7);
    in.len = 0;
    add_frame(&in, 0x81, "short", 5, false);
    add_frame(&in, 0x81, long_text, sizeof long_text, false);
    add_frame(&in, 0x02, long_text, 100, false);
    add_frame(&in, 0x8a, "pong", 4, false);
    add_frame(&in, 0x00, long_text + 100, 100, false);
    add_frame(&in, 0x80, long_text + 200, 200, false);
    add_frame(&in, 0x82, "", 0, false);
    add_frame(&in, 0x01, "", 0, false);
    add_frame(&in, 0x80, "", 0, false);
    add_frame(&in, 0x88, "", 0, false);
    sprintf(expected, "T5:short;T400:%.400s;O4:pong;B400:%.400s;B0:;T0:;C0:;", long_text, long_text);
    for (size_t piece = 1; piece <= in.len; piece += 1 + piece / 7) {
        way_open(&down, WS_SENDER_SERVER, &alone);
        way_feed(&down, in.data, in.len, piece, WS_RECODE_ROOM);
        assert_int_equal(down.turned, WS_TURNED_CLOSED);
        assert_int_equal(down.seen.message_count, 5);
        tell(&down.out, false, &story, &count);
        assert_memory_equal(story.data, "T5:short;t", 10);
        assert_true(down.out.len < 200);
        /* Masked, it is what a client might send; and comes out as it went in. */
        up.len = 0;
        for (size_t at = 0; at < down.out.len;) {
            const uint8_t *f = down.out.data + at;
            assert_true(f[1] < 126);
            add_frame(&up, f[0], f + 2, f[1], true);
            at += 2u + f[1];
        }
        way_open(&back, WS_SENDER_CLIENT, &alone);
        way_feed(&back, up.data, up.len, up.len, 65536);
        assert_int_equal(back.turned, WS_TURNED_CLOSED);
        expect_story(&back.out, true, expected);
        way_close(&back);
        way_close(&down);
    }
}

static void a_server_may_not_use_the_extension(void **state)
{
    static struct bytes in;
    static struct way w;
    (void)state;
    in.len = 0;
    add_frame(&in, 0xc1, hello, sizeof hello, false);
    way_open(&w, WS_SENDER_SERVER, &alone);
    way_feed(&w, in.data, in.len, in.len, WS_RECODE_ROOM);
    assert_int_equal(w.turned, WS_TURNED_BAD);
    assert_int_equal(w.seen.code, WS_CLOSE_PROTOCOL_ERROR);
    way_close(&w);
}

static void a_kept_context_makes_likenesses_small(void **state)
{
    static struct bytes in;
    static struct way w;
    struct ws_deflate_params kept = alone;
    static const char text[] = "{\"topic\":\"realtime:public:vehicles\",\"event\":\"UPDATE\",\"payload\":{\"id\":1}}";
    size_t first;
    (void)state;
    kept.server_no_context_takeover = kept.client_no_context_takeover = false;
    in.len = 0;
    add_frame(&in, 0x81, text, sizeof text - 1, false);
    way_open(&w, WS_SENDER_SERVER, &kept);
    way_feed(&w, in.data, in.len, in.len, WS_RECODE_ROOM);
    first = w.out.len;
    way_feed(&w, in.data, in.len, in.len, WS_RECODE_ROOM);
    assert_true(first > 50 && w.out.len - first < 12);
    assert_non_null(w.recode.deflater);
    way_close(&w);
}

/* With all that may be lent for long, messages that come in pieces go as they are, from their first frame to their
 * last; those that lie there whole are compressed all the same. */
static void without_a_state_to_be_had_messages_pass(void **state)
{
    static struct bytes in, whole;
    static struct way w;
    struct ws_deflater *out[WS_SPAN_MESSAGES_MAX];
    static char text[300];
    (void)state;
    memset(text, 'x', sizeof text);
    in.len = whole.len = 0;
    add_frame(&in, 0x01, text, 200, false);
    add_frame(&in, 0x80, text, 100, false);
    add_frame(&whole, 0x81, text, 200, false);
    way_open(&w, WS_SENDER_SERVER, &alone);
    for (size_t i = 0; i < WS_SPAN_MESSAGES_MAX; i++)
        out[i] = ws_deflater_acquire(w.stock, 15, 1, WS_SPAN_MESSAGE);
    way_feed(&w, in.data, 210, 210, WS_RECODE_ROOM);
    ws_deflater_release(w.stock, &out[0]);
    way_feed(&w, in.data + 210, in.len - 210, 99, WS_RECODE_ROOM);
    assert_int_equal(w.out.len, in.len);
    assert_memory_equal(w.out.data, in.data, in.len);
    out[0] = ws_deflater_acquire(w.stock, 15, 1, WS_SPAN_MESSAGE);
    way_feed(&w, whole.data, whole.len, whole.len, WS_RECODE_ROOM);
    assert_int_equal(w.out.data[in.len], 0xc1);
    for (size_t i = 0; i < WS_SPAN_MESSAGES_MAX; i++)
        ws_deflater_release(w.stock, &out[i]);
    way_close(&w);
}

static void it_stops_where_a_frame_of_the_gateway_may_go(void **state)
{
    static struct bytes in;
    static struct way w;
    uint8_t out[WS_RECODE_ROOM];
    (void)state;
    in.len = 0;
    add_frame(&in, 0x81, "0123456789", 10, false);
    add_frame(&in, 0x81, "next", 4, false);
    way_open(&w, WS_SENDER_SERVER, &alone);
    way_feed(&w, in.data, 5, 5, WS_RECODE_ROOM);
    assert_false(ws_recode_is_at_boundary(&w.recode));
    struct ws_turn t = {
        .in = in.data + 5, .in_bytes = in.len - 5, .out = out, .room_bytes = sizeof out, .stops_at_boundary = true};
    assert_int_equal(ws_recode_run(&w.recode, &t, &w.seen), WS_TURNED_STOPPED);
    assert_int_equal(t.out_bytes, 7);
    assert_true(ws_recode_is_at_boundary(&w.recode));
    way_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_s_messages_reach_the_server_plain),
        cmocka_unit_test(one_frame_stays_one_frame_when_it_lies_there_whole),
        cmocka_unit_test(what_breaks_the_rules_is_refused_with_its_code),
        cmocka_unit_test(a_frame_is_torn_only_when_part_of_it_is_out),
        cmocka_unit_test(a_message_too_large_when_inflated_is_1009),
        cmocka_unit_test(messages_worth_it_reach_the_client_compressed),
        cmocka_unit_test(a_server_may_not_use_the_extension),
        cmocka_unit_test(a_kept_context_makes_likenesses_small),
        cmocka_unit_test(without_a_state_to_be_had_messages_pass),
        cmocka_unit_test(it_stops_where_a_frame_of_the_gateway_may_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
