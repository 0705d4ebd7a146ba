/* Bodies in other codings: each reads back with a decoder that knows nothing of the encoder, is made once, and only
 * where it is allowed and gains something. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <brotli/decode.h>
#include <cmocka.h>
#include <zlib.h>
#include <zstd.h>

#include "base/mem.h"
#include "cache/compress.h"

static const enum cache_coding made_codings[] = {CODING_GZIP, CODING_BR, CODING_ZSTD};
#define MADE_COUNT (sizeof made_codings / sizeof *made_codings)

static int set_up(void **state)
{
    *state = cache_compress_create();
    return 0;
}

static int tear_down(void **state)
{
    cache_compress_destroy((struct cache_compress **)state);
    return 0;
}

/* ---- entries ---- */

/* An entry with these fields (NULL: without) and a body of `len` bytes out of so many different ones. */
static struct cache_entry *entry_of(const char *type, const char *name, const char *value, size_t len, uint32_t letters)
{
    struct http_field fields[2];
    struct cache_draft d = {.status = 200, .fields = fields, .key = http_view_of("k")};
    struct block *b = block_create(len);
    uint64_t random = 88172645463325252u + letters;
    if (type != NULL)
        fields[d.field_count++] = (struct http_field){http_view_of("Content-Type"), http_view_of(type)};
    if (name != NULL)
        fields[d.field_count++] = (struct http_field){http_view_of(name), http_view_of(value)};
    for (size_t i = 0; i < len; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        b->data[i] = (uint8_t)((random >> 33) % letters);
    }
    d.body = (struct slice){.data = b->data, .len = len, .owner = b};
    struct cache_entry *e = cache_entry_create(&d);
    block_unref(&b);
    return e;
}

static bool is_worth(const char *type, const char *name, const char *value, size_t len)
{
    struct cache_entry *e = entry_of(type, name, value, len, 8);
    const bool is = cache_compress_is_worth(e, 1000);
    cache_entry_unref(&e);
    return is;
}

/* ---- decoders ---- */

static size_t decode_gzip(const struct slice *s, uint8_t *to, size_t room)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)s->data, .avail_in = (uInt)s->len};
    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK); /* gzip and nothing else; its CRC is checked */
    z.next_out = to;
    z.avail_out = (uInt)room;
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(z.avail_in, 0);
    (void)inflateEnd(&z);
    return room - z.avail_out;
}

static size_t decode_br(const struct slice *s, uint8_t *to, size_t room)
{
    assert_int_equal(BrotliDecoderDecompress(s->len, s->data, &room, to), BROTLI_DECODER_RESULT_SUCCESS);
    return room;
}

static size_t decode_zstd(const struct slice *s, uint8_t *to, size_t room)
{
    assert_true(ZSTD_getFrameContentSize(s->data, s->len) <= room); /* cache/codec.c needs it said */
    const size_t len = ZSTD_decompress(to, room, s->data, s->len);
    assert_false(ZSTD_isError(len));
    return len;
}

static size_t decode(enum cache_coding c, const struct slice *s, uint8_t *to, size_t room)
{
    return c == CODING_GZIP ? decode_gzip(s, to, room)
           : c == CODING_BR ? decode_br(s, to, room)
                            : decode_zstd(s, to, room);
}

/* ---- tests ---- */

static void each_coding_reads_back(void **state)
{
    static const size_t lens[] = {100, 1000, 65535, 65536, 65537, 300000, CACHE_COMPRESS_BYTES_MAX};
    uint8_t *room = mem_alloc(CACHE_COMPRESS_BYTES_MAX);
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        struct cache_entry *e = entry_of("text/html", NULL, NULL, lens[i], 8);
        for (size_t m = 0; m < MADE_COUNT; m++) {
            size_t made_bytes = 0;
            const struct slice s = cache_compress_get(*state, e, made_codings[m], &made_bytes);
            assert_non_null(s.data);
            assert_true(s.len <= lens[i] - lens[i] / 10 && made_bytes >= s.len && made_bytes < s.len + 64);
            assert_int_equal(decode(made_codings[m], &s, room, CACHE_COMPRESS_BYTES_MAX), lens[i]);
            assert_memory_equal(room, e->body.data, lens[i]);
        }
        cache_entry_unref(&e);
    }
    mem_free(room);
}

static void it_is_made_once(void **state)
{
    struct cache_entry *e = entry_of("text/html", NULL, NULL, 5000, 8);
    for (size_t m = 0; m < MADE_COUNT; m++) {
        size_t made_bytes = 0;
        const struct slice first = cache_compress_get(*state, e, made_codings[m], &made_bytes);
        assert_true(made_bytes > 0);
        const struct slice second = cache_compress_get(*state, e, made_codings[m], &made_bytes);
        assert_int_equal(made_bytes, 0);
        assert_ptr_equal(first.data, second.data);
        assert_int_equal(first.len, second.len);
    }
    cache_entry_unref(&e);
}

/* Whatever was compressed before, by this process or another: an entity tag with its coding's ending names these bytes.
 */
static void the_same_body_gives_the_same_bytes(void **state)
{
    struct cache_compress *other = cache_compress_create();
    struct cache_entry *a = entry_of("text/html", NULL, NULL, 70000, 8);
    struct cache_entry *b = entry_of("text/html", NULL, NULL, 70000, 8);
    for (size_t m = 0; m < MADE_COUNT; m++) {
        size_t made_bytes = 0;
        struct cache_entry *noise = entry_of("text/html", NULL, NULL, 3000, 256); /* given up half-way */
        (void)cache_compress_get(*state, noise, made_codings[m], &made_bytes);
        cache_entry_unref(&noise);
        const struct slice one = cache_compress_get(*state, a, made_codings[m], &made_bytes);
        const struct slice two = cache_compress_get(other, b, made_codings[m], &made_bytes);
        assert_int_equal(one.len, two.len);
        assert_memory_equal(one.data, two.data, one.len);
    }
    cache_entry_unref(&a);
    cache_entry_unref(&b);
    cache_compress_destroy(&other);
}

static void what_gains_nothing_is_tried_once(void **state)
{
    /* 256 different bytes do not shrink at all, 240 by a hundredth. */
    for (uint32_t letters = 240; letters <= 256; letters += 16) {
        struct cache_entry *e = entry_of("text/html", NULL, NULL, 20000, letters);
        for (size_t m = 0; m < MADE_COUNT; m++) {
            size_t made_bytes = 1;
            assert_null(cache_compress_get(*state, e, made_codings[m], &made_bytes).data);
            assert_int_equal(made_bytes, 0);
            assert_true(e->is_coded_in_vain[made_codings[m]]);
        }
        memset(e->body.owner->data, 'x', e->body.len); /* it would shrink now, if it were tried again */
        for (size_t m = 0; m < MADE_COUNT; m++) {
            size_t made_bytes = 1;
            assert_null(cache_compress_get(*state, e, made_codings[m], &made_bytes).data);
        }
        cache_entry_unref(&e);
    }
    struct cache_entry *tiny = entry_of("text/html", NULL, NULL, 1, 8);
    for (size_t m = 0; m < MADE_COUNT; m++) {
        size_t made_bytes = 0;
        assert_null(cache_compress_get(*state, tiny, made_codings[m], &made_bytes).data);
    }
    cache_entry_unref(&tiny);
}

static void too_long_a_body_stays_as_it_is(void **state)
{
    size_t made_bytes = 0;
    struct cache_entry *e = entry_of("text/html", NULL, NULL, CACHE_COMPRESS_BYTES_MAX + 1, 8);
    assert_null(cache_compress_get(*state, e, CODING_GZIP, &made_bytes).data);
    assert_false(cache_compress_is_worth(e, 1000));
    cache_entry_unref(&e);
}

static void a_coded_body_is_had_in_its_coding_alone(void **state)
{
    static const struct {
        const char *text;
        enum cache_coding coding;
    } rows[] = {{"gzip", CODING_GZIP}, {"br", CODING_BR}, {"zstd", CODING_ZSTD}, {"compress", CODING_OTHER}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct cache_entry *e = entry_of("text/html", "content-encoding", rows[i].text, 5000, 8);
        assert_int_equal(e->coding, rows[i].coding);
        assert_false(cache_compress_is_worth(e, 1000));
        for (unsigned c = 0; c < CODING_COUNT; c++) {
            size_t made_bytes = 1;
            const struct slice s = cache_compress_get(*state, e, (enum cache_coding)c, &made_bytes);
            assert_ptr_equal(s.data, c == rows[i].coding ? e->body.data : NULL);
            assert_int_equal(made_bytes, 0);
        }
        cache_entry_unref(&e);
    }
}

static void the_body_itself_is_there(void **state)
{
    size_t made_bytes = 1;
    struct cache_entry *e = entry_of("image/png", NULL, NULL, 100, 8);
    assert_ptr_equal(cache_compress_get(*state, e, CODING_IDENTITY, &made_bytes).data, e->body.data);
    assert_int_equal(made_bytes, 0);
    cache_entry_unref(&e);
}

static void types_that_shrink_are_known(void **state)
{
    static const struct {
        const char *type;
        bool is;
    } rows[] = {
        {"text/html", true},
        {"text/html; charset=utf-8", true},
        {"text/html;charset=utf-8", true},
        {"TEXT/Plain", true},
        {"text/event-stream", true},
        {"application/json", true},
        {"application/JSON ; charset=utf-8", true},
        {"application/vnd.pgrst.object+json; nulls=stripped", true},
        {"application/geo+json", true},
        {"application/problem+xml", true},
        {"application/xml", true},
        {"application/javascript", true},
        {"application/x-ndjson", true},
        {"application/wasm", true},
        {"image/svg+xml", true},
        {"font/ttf", true},
        {"image/png", false},
        {"image/jpeg", false},
        {"font/woff2", false},
        {"video/mp4", false},
        {"application/zip", false},
        {"application/gzip", false},
        {"application/pdf", false},
        {"application/octet-stream", false},
        {"application/jsonp", false},
        {"xapplication/json", false},
        {"+jso", false},
        {"text", false},
        {"image/png; note=text/html", false},
        {";text/html", false},
        {"", false},
        {NULL, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (is_worth(rows[i].type, NULL, NULL, 1000) != rows[i].is)
            fail_msg("%s", rows[i].type != NULL ? rows[i].type : "none");
    }
}

static void the_origin_may_forbid_it(void **state)
{
    static const struct {
        const char *name, *value;
        bool is;
    } rows[] = {
        {"cache-control", "max-age=5", true},
        {"Cache-Control", "no-transform", false},
        {"cache-control", "public, No-Transform , max-age=5", false},
        {"cache-control", "x-no-transform", true},
        {"pragma", "no-transform", true},
        /* Sums of the bytes as they are. */
        {"repr-digest", "sha-256=:d435Qo+nKZ+gLcUHn7GQtQ72hiBVAgqoLsZnZPiTGPk=:", false},
        {"Content-Digest", "sha-256=:d435Qo+nKZ+gLcUHn7GQtQ72hiBVAgqoLsZnZPiTGPk=:", false},
        {"digest", "md5=x", false},
        {"content-md5", "x", false},
        {"content-encoding", "identity", true},
        {"content-encoding", "gzip", false},
        {"content-encoding", "gzip, br", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (is_worth("text/css", rows[i].name, rows[i].value, 1000) != rows[i].is)
            fail_msg("%s: %s", rows[i].name, rows[i].value);
    }
}

static void it_is_worth_it_from_a_size_on(void **state)
{
    (void)state;
    assert_false(is_worth("text/css", NULL, NULL, 0));
    assert_false(is_worth("text/css", NULL, NULL, 999));
    assert_true(is_worth("text/css", NULL, NULL, 1000));
    assert_true(is_worth("text/css", NULL, NULL, CACHE_COMPRESS_BYTES_MAX));
    struct cache_entry *e = entry_of("text/css", NULL, NULL, 0, 8);
    assert_false(cache_compress_is_worth(e, 0));
    cache_entry_unref(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_coding_reads_back),
        cmocka_unit_test(it_is_made_once),
        cmocka_unit_test(the_same_body_gives_the_same_bytes),
        cmocka_unit_test(what_gains_nothing_is_tried_once),
        cmocka_unit_test(too_long_a_body_stays_as_it_is),
        cmocka_unit_test(a_coded_body_is_had_in_its_coding_alone),
        cmocka_unit_test(the_body_itself_is_there),
        cmocka_unit_test(types_that_shrink_are_known),
        cmocka_unit_test(the_origin_may_forbid_it),
        cmocka_unit_test(it_is_worth_it_from_a_size_on),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
