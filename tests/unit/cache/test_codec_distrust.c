/* What is not what was stored - cut, damaged, of another key or version, or made by somebody who means harm - is no
 * entry. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <zstd.h>

#include "base/mem.h"
#include "cache/codec.h"
#include "tests/unit/cache/plain.h"
#include "tests/unit/cache/stored.h"

static int set_up(void **state)
{
    *state = cache_codec_create();
    return 0;
}

static int tear_down(void **state)
{
    cache_codec_destroy((struct cache_codec **)state);
    return 0;
}

static void damage_is_found(void **state)
{
    for (size_t body = 0; body <= 3000; body += 1500) {
        struct strbuf b = plain_stored(*state, body);
        for (size_t at = 0; at < b.len; at++) {
            const char was = b.data[at];
            for (unsigned bit = 0; bit < 8; bit++) {
                const char *why = NULL;
                b.data[at] = (char)(was ^ (1 << bit));
                assert_null(plain_decode(*state, b.data, b.len, &why));
            }
            b.data[at] = was;
        }
        strbuf_fini(&b);
    }
}

static void a_part_is_nothing_and_neither_is_more_than_all(void **state)
{
    struct strbuf b = plain_stored(*state, 3000);
    const char *why = NULL;
    for (size_t len = 0; len < b.len; len++)
        assert_null(plain_decode(*state, b.data, len, &why));
    /* Also where whoever cut it made the checksum right. */
    for (size_t len = STORED_CHECKED; len < b.len; len++) {
        char *copy = mem_strndup(b.data, len);
        stored_seal(copy, len);
        assert_null(plain_decode(*state, copy, len, &why));
        mem_free(copy);
    }
    strbuf_puts(&b, "x");
    plain_refused(*state, &b, b.len, "damaged");
    stored_seal(b.data, b.len);
    plain_refused(*state, &b, b.len, "length");
    strbuf_fini(&b);
}

static void what_is_not_ours_is_said(void **state)
{
    struct strbuf b = plain_stored(*state, 100);
    const char *why = NULL;
    struct cache_decode_how how = plain_how();
    assert_null(plain_decode(*state, "", 0, &why));
    assert_string_equal(why, "foreign");
    assert_null(plain_decode(*state, "{\"json\": \"of somebody else\"}", 28, &why));
    assert_string_equal(why, "foreign");

    how.key = "1:r,3:GET,11:example.net";
    assert_null(cache_decode(*state, b.data, b.len, &how, &why));
    assert_string_equal(why, "key");
    how.key = PLAIN_KEY;
    how.key_len--;
    assert_null(cache_decode(*state, b.data, b.len, &how, &why));
    assert_string_equal(why, "key");

    stored_put_u32(b.data, STORED_VERSION, CACHE_CODEC_VERSION + 1);
    plain_refused(*state, &b, b.len, "version");
    strbuf_fini(&b);
}

static const struct {
    size_t at;
    unsigned bits;
    uint64_t value;
    const char *why; /* NULL: taken */
} numbers[] = {
    {STORED_FLAGS, 32, 2, "head"},
    {STORED_FLAGS, 32, 0x80000000, "head"},
    {STORED_FLAGS, 32, STORED_FLAG_ZSTD, "body"},
    {STORED_STATUS, 32, 0, "status"},
    {STORED_STATUS, 32, 101, "status"},
    {STORED_STATUS, 32, 199, "status"},
    {STORED_STATUS, 32, 204, "status"}, /* and has a body */
    {STORED_STATUS, 32, 206, "status"},
    {STORED_STATUS, 32, 304, "status"},
    {STORED_STATUS, 32, 404, NULL},
    {STORED_STATUS, 32, 503, NULL},
    {STORED_STATUS, 32, 600, "status"},
    {STORED_STATUS, 32, 65736, "status"}, /* 200 in 16 bits */
    {STORED_FIELD_COUNT, 32, 3, "length"},
    {STORED_FIELD_COUNT, 32, HTTP_ROOM_FIELDS + 1, "head"},
    {STORED_FIELD_COUNT, 32, UINT32_MAX, "head"},
    {STORED_FIELD_COUNT, 32, 0x80000001, "head"},
    {STORED_TAG_COUNT, 32, CACHE_TAGS_MAX + 1, "head"},
    {STORED_TAG_COUNT, 32, UINT32_MAX, "head"},
    {STORED_KEY_BYTES, 32, UINT32_MAX, "length"},
    {STORED_KEY_BYTES, 32, UINT32_MAX - 1, "length"},
    {STORED_FIELD_LENGTHS, 32, UINT32_MAX, "length"},
    {STORED_FIELD_LENGTHS, 32, UINT32_MAX - 100, "length"},
    {STORED_STORED_BYTES, 32, 0, "length"},
    {STORED_STORED_BYTES, 32, UINT32_MAX, "length"},
    {STORED_BODY_BYTES, 64, 99, "body"},
    {STORED_BODY_BYTES, 64, 101, "body"},
    {STORED_BODY_BYTES, 64, UINT64_MAX, "body"},
    {STORED_WALL_MS, 64, UINT64_MAX, "time"},
    {STORED_WALL_MS, 64, UINT64_C(1) << 63, "time"},
    {STORED_AGE_MS, 64, UINT64_MAX, "time"},
    {STORED_AGE_MS, 64, 95000, "expired"},
    {STORED_AGE_MS, 64, 94999, NULL},
    {STORED_FRESH_MS, 64, INT64_MAX, "time"},
    {STORED_FRESH_MS, 64, UINT64_MAX, "time"},
    {STORED_KEEP_MS, 64, UINT64_C(1) << 62, "time"},
    {STORED_POSITION, 64, UINT64_MAX, NULL},
};

static void numbers_that_make_no_sense_are_refused(void **state)
{
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        const char *why = NULL;
        struct strbuf b = plain_stored(*state, 100);
        if (numbers[i].bits == 32)
            stored_put_u32(b.data, numbers[i].at, (uint32_t)numbers[i].value);
        else
            stored_put_u64(b.data, numbers[i].at, numbers[i].value);
        stored_seal(b.data, b.len);
        struct cache_entry *e = plain_decode(*state, b.data, b.len, &why);
        if ((e == NULL) != (numbers[i].why != NULL) || (e == NULL && strcmp(why, numbers[i].why) != 0))
            fail_msg("row %zu: %s", i, why != NULL ? why : "taken");
        if (e != NULL)
            cache_entry_unref(&e);
        strbuf_fini(&b);
    }
}

/* What could make two answers of one. */
static void texts_that_could_break_out_of_a_head_are_refused(void **state)
{
    static const struct {
        const char *find;
        char put;
    } rows[] = {
        {"content-type", ':'},
        {"ontent-type", ' '},
        {"type", '\r'},
        {"etag", '\0'},
        {"application/json", '\r'},
        {"application/json", '\n'},
        {"json", '\0'},
        {"\"v1\"", '\x7f'},
        {"v1", '\x01'},
        {"table:cars", '\n'},
        {"all", '\0'},
        {"/cars", '\n'},
        {"a=1", '\r'},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct strbuf b = plain_stored(*state, 100);
        char *at = memmem(b.data, b.len, rows[i].find, strlen(rows[i].find));
        assert_non_null(at);
        *at = rows[i].put;
        stored_seal(b.data, b.len);
        plain_refused(*state, &b, b.len, "text");
        strbuf_fini(&b);
    }
}

/* Nobody who wrote such a field was this program: it is dropped on the way in. */
static void fields_that_are_never_stored_stay_outside(void **state)
{
    struct strbuf b = plain_stored(*state, 100);
    const char *why = NULL;
    const uint32_t value_len = stored_u32(b.data, STORED_FIELD_LENGTHS + 4);
    memcpy(memmem(b.data, b.len, "content-type", 12), "Set-Cookie2=", 12);
    stored_put_u32(b.data, STORED_FIELD_LENGTHS, 11);
    stored_put_u32(b.data, STORED_FIELD_LENGTHS + 4, value_len + 1);
    stored_seal(b.data, b.len);
    struct cache_entry *e = plain_decode(*state, b.data, b.len, &why);
    assert_non_null(e);
    assert_int_equal(e->field_count, 1);
    assert_true(http_view_is(e->fields[0].name, "etag"));
    cache_entry_unref(&e);

    /* What would cost a pass over all fields for each is not even looked at. */
    memcpy(memmem(b.data, b.len, "Set-Cookie2=", 12), "Connection, ", 12);
    stored_put_u32(b.data, STORED_FIELD_LENGTHS, 10);
    stored_put_u32(b.data, STORED_FIELD_LENGTHS + 4, value_len + 2);
    stored_seal(b.data, b.len);
    plain_refused(*state, &b, b.len, "text");
    strbuf_fini(&b);
}

/* Whatever a byte becomes, with a checksum that is right: an entry that could be served, or none. */
static void forged_bytes_are_harmless(void **state)
{
    static const uint8_t values[] = {0x00, 0x01, 0x0a, 0x0d, 0x7f, 0x80, 0xff};
    struct strbuf b = plain_stored(*state, 1500);
    uint32_t taken_count = 0;
    for (size_t at = STORED_CHECKED; at < b.len; at++) {
        const char was = b.data[at];
        for (size_t i = 0; i < sizeof values; i++) {
            const char *why = NULL;
            b.data[at] = (char)values[i];
            stored_seal(b.data, b.len);
            struct cache_entry *e = plain_decode(*state, b.data, b.len, &why);
            if (e == NULL)
                continue;
            taken_count++;
            assert_int_equal(e->body.len, 1500);
            for (uint32_t f = 0; f < e->field_count; f++)
                assert_true(http_is_token(e->fields[f].name));
            cache_entry_unref(&e);
        }
        b.data[at] = was;
    }
    assert_true(taken_count > 0); /* e.g. all bytes of the position */
    strbuf_fini(&b);
}

/* ---- bombs ---- */

static void a_bomb_is_no_entry(void **state)
{
    const char *why = NULL;
    struct cache_decode_how how = plain_how();
    struct strbuf b = plain_stored(*state, 8u << 20);
    assert_true(b.len < 4096);
    how.max_bytes = (8u << 20) - 1;
    assert_null(cache_decode(*state, b.data, b.len, &how, &why));
    assert_string_equal(why, "body");
    how.max_bytes++;
    struct cache_entry *e = cache_decode(*state, b.data, b.len, &how, &why);
    assert_non_null(e);
    cache_entry_unref(&e);
    /* One that says it is small. */
    stored_put_u64(b.data, STORED_BODY_BYTES, 2000);
    stored_seal(b.data, b.len);
    plain_refused(*state, &b, b.len, "body");
    strbuf_fini(&b);
}

/* `b` with its body exchanged for these bytes. */
static void exchange_body(struct strbuf *b, const void *body, size_t len)
{
    b->len -= stored_u32(b->data, STORED_STORED_BYTES);
    strbuf_add(b, body, len);
    stored_put_u32(b->data, STORED_STORED_BYTES, (uint32_t)len);
    stored_seal(b->data, b->len);
}

static void a_body_is_one_frame_that_knows_its_size(void **state)
{
    /* 2000 times the same byte, as zstd 0.7 wrote it: size in the head, one repeated byte, the end. */
    static const uint8_t ancient[] = {0x27, 0xb5, 0x2f, 0xfd, 0x60, 0xd0, 0x06, 0x80, 0x07, 0xd0, 'z', 0xc0, 0, 0};
    static const uint8_t skippable[16] = {0x50, 0x2a, 0x4d, 0x18, 8};
    uint8_t zeros[2000] = {0}, frame[2500], half[600];
    struct strbuf b = plain_stored(*state, sizeof zeros);
    struct cache_entry *e;
    const char *why = NULL;

    const size_t len = ZSTD_compress(frame, sizeof frame, zeros, sizeof zeros, 3);
    exchange_body(&b, frame, len);
    e = plain_decode(*state, b.data, b.len, &why);
    assert_non_null(e);
    cache_entry_unref(&e);

    /* And something behind it that zstd would pass over. */
    memcpy(frame + len, skippable, sizeof skippable);
    exchange_body(&b, frame, len + sizeof skippable);
    plain_refused(*state, &b, b.len, "body");

    /* Two frames, together of the right size. */
    const size_t half_len = ZSTD_compress(half, sizeof half / 2, zeros, sizeof zeros / 2, 3);
    memcpy(half + half_len, half, half_len);
    exchange_body(&b, half, 2 * half_len);
    plain_refused(*state, &b, b.len, "body");

    /* Without the size. */
    ZSTD_CCtx *z = ZSTD_createCCtx();
    (void)ZSTD_CCtx_setParameter(z, ZSTD_c_contentSizeFlag, 0);
    const size_t mute_len = ZSTD_compress2(z, frame, sizeof frame, zeros, sizeof zeros);
    (void)ZSTD_freeCCtx(z);
    exchange_body(&b, frame, mute_len);
    plain_refused(*state, &b, b.len, "body");

    exchange_body(&b, ancient, sizeof ancient);
    plain_refused(*state, &b, b.len, "body");
    exchange_body(&b, skippable, sizeof skippable);
    plain_refused(*state, &b, b.len, "body");
    exchange_body(&b, "", 0);
    plain_refused(*state, &b, b.len, "body");
    strbuf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damage_is_found),
        cmocka_unit_test(a_part_is_nothing_and_neither_is_more_than_all),
        cmocka_unit_test(what_is_not_ours_is_said),
        cmocka_unit_test(numbers_that_make_no_sense_are_refused),
        cmocka_unit_test(texts_that_could_break_out_of_a_head_are_refused),
        cmocka_unit_test(fields_that_are_never_stored_stay_outside),
        cmocka_unit_test(forged_bytes_are_harmless),
        cmocka_unit_test(a_bomb_is_no_entry),
        cmocka_unit_test(a_body_is_one_frame_that_knows_its_size),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
