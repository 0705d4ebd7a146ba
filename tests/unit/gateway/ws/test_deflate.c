/* Messages through zlib: the examples of RFC 7692 section 7.2.3, in every cut, and what is not a deflated message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gateway/ws/deflate.h"

#define ROOM 65536u

/* Inflates a message that comes in pieces of `piece` bytes with `room` bytes of output at a time. */
static enum ws_coded inflate_all(struct ws_inflater *z, const uint8_t *data, size_t len, size_t piece, size_t room,
                                 uint8_t *out, size_t *out_len)
{
    enum ws_coded coded = WS_CODED_MORE;
    *out_len = 0;
    for (size_t at = 0; coded == WS_CODED_MORE;) {
        size_t have = len - at < piece ? len - at : piece;
        const uint8_t *in = data + at;
        at += have;
        do {
            size_t made = 0;
            assert_true(*out_len + room <= ROOM);
            coded = ws_inflate(z, &in, &have, at == len, out + *out_len, room, &made);
            *out_len += made;
        } while (coded == WS_CODED_FULL);
    }
    return coded;
}

static size_t deflate_all(struct ws_deflater *z, const uint8_t *data, size_t len, size_t piece, size_t room,
                          uint8_t *out)
{
    enum ws_coded coded = WS_CODED_MORE;
    size_t out_len = 0;
    for (size_t at = 0; coded == WS_CODED_MORE;) {
        size_t have = len - at < piece ? len - at : piece;
        const uint8_t *in = data + at;
        at += have;
        do {
            size_t made = 0;
            assert_true(out_len + room <= 2 * ROOM);
            coded = ws_deflate(z, &in, &have, at == len, out + out_len, room, &made);
            out_len += made;
        } while (coded == WS_CODED_FULL);
    }
    assert_int_equal(coded, WS_CODED_DONE);
    return out_len;
}

static void the_examples_of_the_rfc_inflate_in_any_cut(void **state)
{
    static const struct {
        uint8_t data[16];
        size_t len;
        const char *text;
    } rows[] = {
        {{0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}, 7, "Hello"},                                      /* 7.2.3.1 */
        {{0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00}, 11, "Hello"},             /* 7.2.3.3 */
        {{0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00}, 8, "Hello"},                                /* 7.2.3.4 */
        {{0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00}, 13, "Hello"}, /* 7.2.3.5 */
        {{0x00}, 1, ""},                                                                               /* 7.2.3.6 */
        {{0}, 0, ""}, /* some senders forget the byte of an empty message */
    };
    struct ws_stock *stock = ws_stock_create();
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t piece = 1; piece <= 16; piece++)
            for (size_t room = 1; room <= 8; room++) {
                uint8_t out[ROOM];
                size_t out_len = 0;
                struct ws_inflater *z = ws_inflater_acquire(stock, 15);
                assert_int_equal(inflate_all(z, rows[i].data, rows[i].len, piece, room, out, &out_len), WS_CODED_DONE);
                assert_int_equal(out_len, strlen(rows[i].text));
                assert_memory_equal(out, rows[i].text, out_len);
                ws_inflater_release(stock, &z);
            }
    ws_stock_destroy(&stock);
}

static void a_kept_context_reaches_into_the_message_before(void **state)
{
    static const uint8_t plain_end[] = {0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00};
    static const uint8_t final_block[] = {0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00};
    static const uint8_t again[] = {0xf2, 0x00, 0x11, 0x00, 0x00}; /* RFC 7692 section 7.2.3.2 */
    struct ws_stock *stock = ws_stock_create();
    uint8_t out[ROOM];
    size_t len = 0;
    (void)state;
    for (int ends_with_final = 0; ends_with_final < 2; ends_with_final++) {
        struct ws_inflater *z = ws_inflater_acquire(stock, 15);
        const uint8_t *first = ends_with_final ? final_block : plain_end;
        size_t first_len = ends_with_final ? sizeof final_block : sizeof plain_end;
        assert_int_equal(inflate_all(z, first, first_len, 100, 100, out, &len), WS_CODED_DONE);
        assert_int_equal(inflate_all(z, again, sizeof again, 100, 100, out, &len), WS_CODED_DONE);
        assert_int_equal(len, 5);
        assert_memory_equal(out, "Hello", 5);
        ws_inflater_release(stock, &z);
        /* Given back and taken again it knows nothing of before. */
        z = ws_inflater_acquire(stock, 15);
        assert_int_equal(inflate_all(z, again, sizeof again, 100, 100, out, &len), WS_CODED_BAD);
        ws_inflater_release(stock, &z);
    }
    struct ws_deflater *d = ws_deflater_acquire(stock, 15, 6, WS_SPAN_CONNECTION);
    const uint8_t hello[] = "Hello";
    assert_int_equal(deflate_all(d, hello, 5, 5, 100, out), sizeof plain_end);
    assert_memory_equal(out, plain_end, sizeof plain_end);
    assert_true(deflate_all(d, hello, 5, 5, 100, out) < sizeof plain_end);
    assert_int_equal(deflate_all(d, hello, 0, 5, 100, out), 1);
    assert_int_equal(deflate_all(d, hello, 0, 5, 100, out), 1); /* zlib would not flush twice */
    assert_true(deflate_all(d, hello, 5, 5, 100, out) < sizeof plain_end);
    ws_deflater_release(stock, &d);
    ws_stock_destroy(&stock);
}

static void what_is_cut_short_or_broken_is_refused(void **state)
{
    static const struct {
        uint8_t data[16];
        size_t len;
    } rows[] = {
        {{0xf2}, 1},
        {{0xf2, 0x48}, 2},
        {{0xf2, 0x48, 0xcd}, 3},
        {{0xf2, 0x48, 0xcd, 0xc9}, 4},
        {{0xf2, 0x48, 0xcd, 0xc9, 0xc9}, 5},
        {{0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07}, 6},
        {{0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}, 7},                    /* a final block and no byte behind it */
        {{0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00, 0x00, 0xff}, 10}, /* part of the tail was left on */
        {{0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65}, 7},                    /* a stored block cut short */
        {{0x00, 0x05, 0x00, 0xfa, 0xfe, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00}, 11}, /* its length and complement differ */
        {{0xf2, 0x00, 0x11, 0x00, 0x00}, 5}, /* looks back to before the beginning */
        {{0xff, 0xff, 0xff, 0xff}, 4},
        {{0x06, 0x00}, 2},
    };
    struct ws_stock *stock = ws_stock_create();
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t piece = 1; piece <= 16; piece++) {
            uint8_t out[ROOM];
            size_t out_len = 0;
            struct ws_inflater *z = ws_inflater_acquire(stock, 15);
            assert_int_equal(inflate_all(z, rows[i].data, rows[i].len, piece, 7, out, &out_len), WS_CODED_BAD);
            ws_inflater_release(stock, &z);
        }
    ws_stock_destroy(&stock);
}

/* Words repeat, at distances of all sizes, and every fourth byte is noise. */
static void make_text(uint8_t *out, size_t len)
{
    uint32_t seed = 7;
    for (size_t i = 0; i < len; i++) {
        seed = seed * 1664525u + 1013904223u;
        out[i] = i % 4 == 3 ? (uint8_t)(seed >> 24) : (uint8_t) "vehicle positions "[i / 4 % 18];
    }
}

static void what_was_compressed_comes_back(void **state)
{
    static const size_t sizes[] = {1, 2, 255, 1024, 1025, 8192, 20000, 65000};
    static uint8_t text[ROOM], packed[2 * ROOM], back[2 * ROOM];
    struct ws_stock *stock = ws_stock_create();
    (void)state;
    make_text(text, sizeof text);
    for (uint8_t bits = 9; bits <= 15; bits++)
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
            for (int is_kept = 0; is_kept < 2; is_kept++) {
                const size_t piece = sizes[i] / (1 + bits % 3u) + 1, room = 16 + bits * 300u;
                struct ws_deflater *d = ws_deflater_acquire(stock, bits, (uint8_t)(bits % 9 + 1),
                                                            is_kept ? WS_SPAN_CONNECTION : WS_SPAN_CALL);
                struct ws_inflater *z = ws_inflater_acquire(stock, bits);
                for (int message = 0; message < 1 + 2 * is_kept; message++) {
                    size_t back_len = 0;
                    const size_t len = deflate_all(d, text, sizes[i], piece, room, packed);
                    enum ws_coded coded = WS_CODED_FULL;
                    const uint8_t *in = packed;
                    size_t left = len;
                    while (coded == WS_CODED_FULL) {
                        size_t made = 0;
                        coded = ws_inflate(z, &in, &left, true, back + back_len, 999, &made);
                        back_len += made;
                    }
                    assert_int_equal(coded, WS_CODED_DONE);
                    assert_int_equal(back_len, sizes[i]);
                    assert_memory_equal(back, text, back_len);
                    assert_true(sizes[i] < 1024 || len < sizes[i]);
                }
                ws_deflater_release(stock, &d);
                ws_inflater_release(stock, &z);
            }
    ws_stock_destroy(&stock);
}

static void the_stock_lends_only_so_many_at_a_time(void **state)
{
    struct ws_deflater *out[WS_SPAN_MESSAGES_MAX];
    struct ws_stock *stock = ws_stock_create();
    (void)state;
    for (size_t i = 0; i < WS_SPAN_MESSAGES_MAX; i++) {
        out[i] = ws_deflater_acquire(stock, 15, 4, WS_SPAN_MESSAGE);
        assert_non_null(out[i]);
    }
    assert_null(ws_deflater_acquire(stock, 15, 4, WS_SPAN_MESSAGE));
    struct ws_deflater *kept = ws_deflater_acquire(stock, 15, 4, WS_SPAN_CONNECTION);
    struct ws_deflater *brief = ws_deflater_acquire(stock, 15, 4, WS_SPAN_CALL);
    assert_true(kept != NULL && brief != NULL);
    ws_deflater_release(stock, &out[3]);
    assert_null(out[3]);
    out[3] = ws_deflater_acquire(stock, 15, 4, WS_SPAN_MESSAGE);
    assert_non_null(out[3]);
    for (size_t i = 0; i < WS_SPAN_MESSAGES_MAX; i++)
        ws_deflater_release(stock, &out[i]);
    ws_deflater_release(stock, &kept);
    ws_deflater_release(stock, &brief);
    ws_stock_destroy(&stock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_the_rfc_inflate_in_any_cut),
        cmocka_unit_test(a_kept_context_reaches_into_the_message_before),
        cmocka_unit_test(what_is_cut_short_or_broken_is_refused),
        cmocka_unit_test(what_was_compressed_comes_back),
        cmocka_unit_test(the_stock_lends_only_so_many_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
