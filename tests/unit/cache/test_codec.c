/* Entries on their way to Redis and back: what was stored comes back as it was, and what is not what was stored - cut,
 * damaged, of another key or version, older than it may be, or made by somebody who means harm - does not come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <zstd.h>

#include "base/mem.h"
#include "cache/codec.h"
#include "tests/unit/cache/stored.h"

#define NOW_MS     INT64_C(5000000)
#define WALL_MS    INT64_C(1800000000000)
#define STORED_MAX ((size_t)16 << 20)

static const char the_key[] = "1:r,3:GET,11:example.com";

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

/* ---- making entries ---- */

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static uint32_t below(uint64_t *seed, uint32_t n)
{
    return (uint32_t)(next_random(seed) >> 20) % n;
}

/* Random text that may stand in a field; one time in eight it is not there at all. */
static struct http_view some_text(uint64_t *seed, char *room, uint32_t max)
{
    struct http_view v = {.data = room, .len = below(seed, max + 1)};
    for (size_t i = 0; i < v.len; i++)
        room[i] = (char)('!' + below(seed, '~' - '!'));
    if (below(seed, 8) == 0)
        v = (struct http_view){.data = NULL, .len = 0};
    return v;
}

static struct slice some_body(uint64_t *seed)
{
    static const uint32_t sizes[] = {0, 1, 200, 1024, 1025, 5000, 70000};
    const size_t len = sizes[below(seed, sizeof sizes / sizeof *sizes)];
    struct block *b = block_create(len);
    const uint32_t letters = below(seed, 2) == 0 ? 8 : 256; /* what shrinks and what does not */
    for (size_t i = 0; i < len; i++)
        b->data[i] = (uint8_t)below(seed, letters);
    return (struct slice){.data = b->data, .len = len, .owner = b};
}

static struct cache_entry *some_entry(uint64_t *seed)
{
    static char room[64][128];
    static const uint16_t statuses[] = {200, 203, 301, 404, 410, 501, 503};
    struct http_field fields[16];
    struct http_view tags[8];
    struct cache_draft d = {.status = statuses[below(seed, 7)], .is_vary = below(seed, 8) == 0};
    size_t used = 0;
    for (d.field_count = 0; d.field_count < below(seed, 16); d.field_count++) {
        char *name = room[used++];
        const int len = snprintf(name, 16, "x-%u", d.field_count);
        fields[d.field_count].name = (struct http_view){.data = name, .len = (size_t)len};
        fields[d.field_count].value = some_text(seed, room[used++], 100);
    }
    for (d.tag_count = 0; d.tag_count < below(seed, 8); d.tag_count++) {
        room[used][0] = 't';
        tags[d.tag_count] = (struct http_view){.data = room[used++], .len = 1 + d.tag_count};
        memset(room[used - 1], 't', 1 + d.tag_count);
    }
    d.fields = fields;
    d.tags = tags;
    d.key = http_view_of(the_key);
    d.host = some_text(seed, room[used++], 30);
    d.path = some_text(seed, room[used++], 100);
    d.query = some_text(seed, room[used++], 100);
    d.vary = d.is_vary ? http_view_of("accept,origin") : (struct http_view){.data = NULL, .len = 0};
    d.life = (struct cache_life){.fresh_ms = 1 + below(seed, 100000),
                                 .stale_ms = below(seed, 100000),
                                 .error_ms = below(seed, 100000),
                                 .down_ms = below(seed, 100000),
                                 .keep_ms = 100000};
    d.position = (struct cache_position){.ms = next_random(seed), .seq = next_random(seed), .local = below(seed, 9)};
    d.born_ms = NOW_MS - below(seed, 100000);
    d.body = d.is_vary ? (struct slice){0} : some_body(seed);
    struct cache_entry *e = cache_entry_create(&d);
    slice_release(&d.body);
    return e;
}

/* One of each kind of part: two fields, two tags, a body of `len` bytes that shrinks. */
static struct cache_entry *plain_entry(size_t len)
{
    const struct http_field fields[] = {{http_view_of("content-type"), http_view_of("application/json")},
                                        {http_view_of("etag"), http_view_of("\"v1\"")}};
    const struct http_view tags[] = {http_view_of("table:cars"), http_view_of("all")};
    struct block *b = block_create(len);
    memset(b->data, 'z', len);
    const struct cache_draft d = {.status = 200,
                                  .fields = fields,
                                  .field_count = 2,
                                  .tags = tags,
                                  .tag_count = 2,
                                  .key = http_view_of(the_key),
                                  .host = http_view_of("example.com"),
                                  .path = http_view_of("/cars"),
                                  .query = http_view_of("a=1"),
                                  .life = {.fresh_ms = 5000, .stale_ms = 60000, .keep_ms = 90000},
                                  .position = {.ms = 7, .seq = 8, .local = 9},
                                  .born_ms = NOW_MS - 1000,
                                  .body = {.data = b->data, .len = len, .owner = b}};
    struct cache_entry *e = cache_entry_create(&d);
    block_unref(&b);
    return e;
}

/* The same in stored form, for the caller to strbuf_fini(). */
static struct strbuf stored_entry(struct cache_codec *c, size_t body_len)
{
    struct strbuf out;
    struct cache_entry *e = plain_entry(body_len);
    strbuf_init(&out, STORED_MAX);
    cache_encode(c, &out, e, NOW_MS, WALL_MS);
    assert_false(out.failed);
    cache_entry_unref(&e);
    return out;
}

static struct cache_decode_how how_now(void)
{
    return (struct cache_decode_how){.key = the_key,
                                     .key_len = strlen(the_key),
                                     .now_ms = NOW_MS,
                                     .wall_ms = WALL_MS,
                                     .left_ms = -1,
                                     .max_bytes = STORED_MAX};
}

/* From a copy that is exactly as long, for a sanitizer to see the first byte too far. NULL: *why says it. */
static struct cache_entry *decode(struct cache_codec *c, const void *data, size_t len, const char **why)
{
    const struct cache_decode_how how = how_now();
    void *copy = mem_realloc(NULL, len > 0 ? len : 1);
    memcpy(copy, data, len);
    struct cache_entry *e = cache_decode(c, copy, len, &how, why);
    mem_free(copy);
    assert_true((e == NULL) == (*why != NULL));
    return e;
}

static void assert_refused(struct cache_codec *c, const struct strbuf *b, size_t len, const char *expected)
{
    const char *why = NULL;
    assert_null(decode(c, b->data, len, &why));
    assert_string_equal(why, expected);
}

/* ---- what comes back ---- */

static void assert_same_text(struct http_view a, struct http_view b)
{
    assert_int_equal(a.len, b.len);
    assert_true((a.data == NULL) == (b.data == NULL));
    if (a.len > 0)
        assert_memory_equal(a.data, b.data, a.len);
}

static void assert_same(const struct cache_entry *a, const struct cache_entry *b)
{
    assert_int_equal(a->status, b->status);
    assert_int_equal(a->is_vary, b->is_vary);
    assert_int_equal(a->coding, b->coding);
    assert_int_equal(a->field_count, b->field_count);
    for (uint32_t i = 0; i < a->field_count; i++) {
        assert_same_text(a->fields[i].name, b->fields[i].name);
        assert_int_equal(a->fields[i].value.len, b->fields[i].value.len);
        if (a->fields[i].value.len > 0)
            assert_same_text(a->fields[i].value, b->fields[i].value);
    }
    assert_int_equal(a->tag_count, b->tag_count);
    for (uint32_t i = 0; i < a->tag_count; i++)
        assert_same_text(a->tags[i], b->tags[i]);
    assert_same_text(a->key, b->key);
    assert_same_text(a->host, b->host);
    assert_same_text(a->path, b->path);
    assert_same_text(a->query, b->query);
    assert_same_text(a->vary, b->vary);
    assert_memory_equal(&a->life, &b->life, sizeof a->life);
    assert_true(a->position.ms == b->position.ms && a->position.seq == b->position.seq);
    assert_int_equal(a->born_ms, b->born_ms);
    assert_int_equal(a->body.len, b->body.len);
    if (a->body.len > 0)
        assert_memory_equal(a->body.data, b->body.data, a->body.len);
}

static void what_is_stored_comes_back(void **state)
{
    uint64_t seed = 0x5eed;
    for (int round = 0; round < 2000; round++) {
        const char *why = NULL;
        struct strbuf out, again;
        struct cache_entry *e = some_entry(&seed);
        strbuf_init(&out, STORED_MAX);
        strbuf_init(&again, STORED_MAX);
        cache_encode(*state, &out, e, NOW_MS, WALL_MS);
        struct cache_entry *back = decode(*state, out.data, out.len, &why);
        assert_non_null(back);
        assert_same(e, back);
        assert_int_equal(back->position.local, 0); /* of this process, and nobody else's */
        cache_encode(*state, &again, back, NOW_MS, WALL_MS);
        assert_int_equal(out.len, again.len);
        assert_memory_equal(out.data, again.data, out.len);
        cache_entry_unref(&back);
        cache_entry_unref(&e);
        strbuf_fini(&again);
        strbuf_fini(&out);
    }
}

static void encoding_adds_to_what_is_there(void **state)
{
    const char *why = NULL;
    struct strbuf out;
    struct cache_entry *e = plain_entry(3000);
    strbuf_init(&out, STORED_MAX);
    strbuf_puts(&out, "before");
    cache_encode(*state, &out, e, NOW_MS, WALL_MS);
    struct cache_entry *back = decode(*state, out.data + 6, out.len - 6, &why);
    assert_non_null(back);
    assert_same(e, back);
    cache_entry_unref(&back);
    cache_entry_unref(&e);
    strbuf_fini(&out);
}

static void a_bound_that_is_too_small_fails_the_builder(void **state)
{
    for (size_t body = 100; body <= 100000; body *= 10) {
        struct strbuf whole = stored_entry(*state, body);
        for (size_t max = 0; max < whole.len; max += 1 + max / 8) {
            struct strbuf out;
            struct cache_entry *e = plain_entry(body);
            strbuf_init(&out, max);
            cache_encode(*state, &out, e, NOW_MS, WALL_MS);
            assert_true(out.failed && out.len <= max);
            cache_entry_unref(&e);
            strbuf_fini(&out);
        }
        strbuf_fini(&whole);
    }
}

/* How much of the body of `e` is stored. */
static uint32_t packed_bytes(struct cache_codec *c, const struct cache_entry *e)
{
    struct strbuf out;
    strbuf_init(&out, STORED_MAX);
    cache_encode(c, &out, e, NOW_MS, WALL_MS);
    const uint32_t bytes = stored_u32(out.data, STORED_STORED_BYTES);
    const bool is_packed = (stored_u32(out.data, STORED_FLAGS) & STORED_FLAG_ZSTD) != 0;
    assert_true(is_packed == (bytes != e->body.len));
    strbuf_fini(&out);
    return bytes;
}

static void bodies_are_packed_where_it_is_worth_it(void **state)
{
    struct cache_entry *e = plain_entry(CACHE_CODEC_ZSTD_ABOVE_BYTES);
    assert_int_equal(packed_bytes(*state, e), e->body.len); /* too short */
    cache_entry_unref(&e);

    e = plain_entry(CACHE_CODEC_ZSTD_ABOVE_BYTES + 1);
    assert_true(packed_bytes(*state, e) < 100);
    e->is_coded_in_vain[CODING_ZSTD] = true; /* somebody tried */
    assert_int_equal(packed_bytes(*state, e), e->body.len);
    e->is_coded_in_vain[CODING_ZSTD] = false;
    e->coding = CODING_GZIP; /* is small already */
    assert_int_equal(packed_bytes(*state, e), e->body.len);
    cache_entry_unref(&e);

    e = plain_entry(5000); /* gains nothing */
    uint64_t seed = 11;
    for (size_t i = 0; i < e->body.len; i++)
        e->body.owner->data[i] = (uint8_t)below(&seed, 256);
    assert_int_equal(packed_bytes(*state, e), e->body.len);
    cache_entry_unref(&e);
}

static void a_body_that_was_made_for_clients_is_stored(void **state)
{
    const char *why = NULL;
    struct strbuf out;
    struct cache_entry *e = plain_entry(50000);
    struct block *b = block_create(ZSTD_compressBound(50000));
    const size_t len = ZSTD_compress(b->data, b->cap_bytes, e->body.data, e->body.len, 19);
    e->coded[CODING_ZSTD] = (struct slice){.data = b->data, .len = len, .owner = b};
    strbuf_init(&out, STORED_MAX);
    cache_encode(*state, &out, e, NOW_MS, WALL_MS);
    assert_memory_equal(out.data + out.len - len, b->data, len);
    struct cache_entry *back = decode(*state, out.data, out.len, &why);
    assert_non_null(back);
    assert_same(e, back);
    cache_entry_unref(&back);
    cache_entry_unref(&e);
    strbuf_fini(&out);
}

/* ---- what does not come back ---- */

static void damage_is_found(void **state)
{
    for (size_t body = 0; body <= 3000; body += 1500) {
        struct strbuf b = stored_entry(*state, body);
        for (size_t at = 0; at < b.len; at++) {
            const char was = b.data[at];
            for (unsigned bit = 0; bit < 8; bit++) {
                const char *why = NULL;
                b.data[at] = (char)(was ^ (1 << bit));
                assert_null(decode(*state, b.data, b.len, &why));
            }
            b.data[at] = was;
        }
        strbuf_fini(&b);
    }
}

static void a_part_is_nothing_and_neither_is_more_than_all(void **state)
{
    struct strbuf b = stored_entry(*state, 3000);
    const char *why = NULL;
    for (size_t len = 0; len < b.len; len++)
        assert_null(decode(*state, b.data, len, &why));
    /* Also where whoever cut it made the checksum right. */
    for (size_t len = STORED_CHECKED; len < b.len; len++) {
        char *copy = mem_strndup(b.data, len);
        stored_seal(copy, len);
        assert_null(decode(*state, copy, len, &why));
        mem_free(copy);
    }
    strbuf_puts(&b, "x");
    assert_refused(*state, &b, b.len, "damaged");
    stored_seal(b.data, b.len);
    assert_refused(*state, &b, b.len, "length");
    strbuf_fini(&b);
}

static void what_is_not_ours_is_said(void **state)
{
    struct strbuf b = stored_entry(*state, 100);
    const char *why = NULL;
    struct cache_decode_how how = how_now();
    assert_null(decode(*state, "", 0, &why));
    assert_string_equal(why, "foreign");
    assert_null(decode(*state, "{\"json\": \"of somebody else\"}", 28, &why));
    assert_string_equal(why, "foreign");

    how.key = "1:r,3:GET,11:example.net";
    assert_null(cache_decode(*state, b.data, b.len, &how, &why));
    assert_string_equal(why, "key");
    how.key = the_key;
    how.key_len--;
    assert_null(cache_decode(*state, b.data, b.len, &how, &why));
    assert_string_equal(why, "key");

    stored_put_u32(b.data, STORED_VERSION, CACHE_CODEC_VERSION + 1);
    assert_refused(*state, &b, b.len, "version");
    strbuf_fini(&b);
}

static void numbers_that_make_no_sense_are_refused(void **state)
{
    static const struct {
        size_t at;
        unsigned bits;
        uint64_t value;
        const char *why; /* NULL: taken */
    } rows[] = {
        {STORED_FLAGS, 32, 4, "head"},
        {STORED_FLAGS, 32, 0x80000000, "head"},
        {STORED_FLAGS, 32, STORED_FLAG_ZSTD, "body"},
        {STORED_FLAGS, 32, STORED_FLAG_VARY, "status"}, /* and has a body */
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
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *why = NULL;
        struct strbuf b = stored_entry(*state, 100);
        if (rows[i].bits == 32)
            stored_put_u32(b.data, rows[i].at, (uint32_t)rows[i].value);
        else
            stored_put_u64(b.data, rows[i].at, rows[i].value);
        stored_seal(b.data, b.len);
        struct cache_entry *e = decode(*state, b.data, b.len, &why);
        if ((e == NULL) != (rows[i].why != NULL) || (e == NULL && strcmp(why, rows[i].why) != 0))
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
        struct strbuf b = stored_entry(*state, 100);
        char *at = memmem(b.data, b.len, rows[i].find, strlen(rows[i].find));
        assert_non_null(at);
        *at = rows[i].put;
        stored_seal(b.data, b.len);
        assert_refused(*state, &b, b.len, "text");
        strbuf_fini(&b);
    }
}

/* Nobody who wrote such a field was this program: it is dropped on the way in. */
static void a_cookie_stays_outside(void **state)
{
    struct strbuf b = stored_entry(*state, 100);
    const char *why = NULL;
    const uint32_t value_len = stored_u32(b.data, STORED_FIELD_LENGTHS + 4);
    memcpy(memmem(b.data, b.len, "content-type", 12), "Set-Cookie2=", 12);
    stored_put_u32(b.data, STORED_FIELD_LENGTHS, 11);
    stored_put_u32(b.data, STORED_FIELD_LENGTHS + 4, value_len + 1);
    stored_seal(b.data, b.len);
    struct cache_entry *e = decode(*state, b.data, b.len, &why);
    assert_non_null(e);
    assert_int_equal(e->field_count, 1);
    assert_true(http_view_is(e->fields[0].name, "etag"));
    cache_entry_unref(&e);
    strbuf_fini(&b);
}

/* Whatever a byte becomes, with a checksum that is right: an entry that could be served, or none. */
static void forged_bytes_are_harmless(void **state)
{
    static const uint8_t values[] = {0x00, 0x01, 0x0a, 0x0d, 0x7f, 0x80, 0xff};
    struct strbuf b = stored_entry(*state, 1500);
    uint32_t taken_count = 0;
    for (size_t at = STORED_CHECKED; at < b.len; at++) {
        const char was = b.data[at];
        for (size_t i = 0; i < sizeof values; i++) {
            const char *why = NULL;
            b.data[at] = (char)values[i];
            stored_seal(b.data, b.len);
            struct cache_entry *e = decode(*state, b.data, b.len, &why);
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
    struct cache_decode_how how = how_now();
    struct strbuf b = stored_entry(*state, 8u << 20);
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
    assert_refused(*state, &b, b.len, "body");
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
    static const uint8_t ancient[8] = {0x27, 0xb5, 0x2f, 0xfd}; /* of zstd 0.7 */
    static const uint8_t skippable[16] = {0x50, 0x2a, 0x4d, 0x18, 8};
    uint8_t zeros[2000] = {0}, frame[2500], half[600];
    struct strbuf b = stored_entry(*state, sizeof zeros);
    struct cache_entry *e;
    const char *why = NULL;

    const size_t len = ZSTD_compress(frame, sizeof frame, zeros, sizeof zeros, 3);
    exchange_body(&b, frame, len);
    e = decode(*state, b.data, b.len, &why);
    assert_non_null(e);
    cache_entry_unref(&e);

    /* Two frames, together of the right size. */
    const size_t half_len = ZSTD_compress(half, sizeof half / 2, zeros, sizeof zeros / 2, 3);
    memcpy(half + half_len, half, half_len);
    exchange_body(&b, half, 2 * half_len);
    assert_refused(*state, &b, b.len, "body");

    /* Without the size. */
    ZSTD_CCtx *z = ZSTD_createCCtx();
    (void)ZSTD_CCtx_setParameter(z, ZSTD_c_contentSizeFlag, 0);
    const size_t mute_len = ZSTD_compress2(z, frame, sizeof frame, zeros, sizeof zeros);
    (void)ZSTD_freeCCtx(z);
    exchange_body(&b, frame, mute_len);
    assert_refused(*state, &b, b.len, "body");

    exchange_body(&b, ancient, sizeof ancient);
    assert_refused(*state, &b, b.len, "body");
    exchange_body(&b, skippable, sizeof skippable);
    assert_refused(*state, &b, b.len, "body");
    exchange_body(&b, "", 0);
    assert_refused(*state, &b, b.len, "body");
    strbuf_fini(&b);
}

/* ---- ages ---- */

/* Stored at the age of 1 s with a whole life of 95 s. */
static void the_older_of_two_opinions_counts(void **state)
{
    static const struct {
        const char *what;
        int64_t wall_later_ms, left_ms;
        int64_t age_ms; /* -1: expired */
    } rows[] = {
        {"at once, Redis not asked", 0, -1, 1000},
        {"at once, and Redis agrees", 0, 94000, 1000},
        {"later by the wall clocks", 30000, -1, 31000},
        {"both agree", 30000, 64000, 31000},
        {"the reader's clock is behind, Redis knows", -3600000, 64000, 31000},
        {"the reader's clock is behind, nobody knows", -3600000, -1, 1000},
        {"the reader's clock is a little behind", 20000, 64000, 31000},
        {"the reader's clock is a little ahead", 40000, 64000, 41000},
        {"the reader's clock is far ahead", 3600000, 64000, -1},
        {"the reader's clock is at the end of time", INT64_MAX - WALL_MS, 64000, -1},
        {"the reader's clock is before 1970", -WALL_MS - 1, -1, 1000},
        {"the reader's clock is at the beginning of time", INT64_MIN, -1, 1000},
        {"Redis keeps it too long", 0, 500000, 1000},
        {"Redis keeps it for ever", 0, INT64_MAX, 1000},
        {"Redis drops it now", 0, 0, -1},
        {"the last moment", 93999, -1, 94999},
        {"the end", 94000, -1, -1},
    };
    struct strbuf b = stored_entry(*state, 10);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *why = NULL;
        struct cache_decode_how how = how_now();
        how.now_ms = 77; /* the reader's loop began later: its times have nothing to do with the writer's */
        how.wall_ms = rows[i].wall_later_ms == INT64_MIN ? INT64_MIN : WALL_MS + rows[i].wall_later_ms;
        how.left_ms = rows[i].left_ms;
        struct cache_entry *e = cache_decode(*state, b.data, b.len, &how, &why);
        const int64_t age_ms = e != NULL ? cache_entry_age_ms(e, 77) : -1;
        if (age_ms != rows[i].age_ms)
            fail_msg("%s: %lld", rows[i].what, (long long)age_ms);
        if (e != NULL)
            cache_entry_unref(&e);
        else
            assert_string_equal(why, "expired");
    }
    strbuf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_stored_comes_back),
        cmocka_unit_test(encoding_adds_to_what_is_there),
        cmocka_unit_test(a_bound_that_is_too_small_fails_the_builder),
        cmocka_unit_test(bodies_are_packed_where_it_is_worth_it),
        cmocka_unit_test(a_body_that_was_made_for_clients_is_stored),
        cmocka_unit_test(damage_is_found),
        cmocka_unit_test(a_part_is_nothing_and_neither_is_more_than_all),
        cmocka_unit_test(what_is_not_ours_is_said),
        cmocka_unit_test(numbers_that_make_no_sense_are_refused),
        cmocka_unit_test(texts_that_could_break_out_of_a_head_are_refused),
        cmocka_unit_test(a_cookie_stays_outside),
        cmocka_unit_test(forged_bytes_are_harmless),
        cmocka_unit_test(a_bomb_is_no_entry),
        cmocka_unit_test(a_body_is_one_frame_that_knows_its_size),
        cmocka_unit_test(the_older_of_two_opinions_counts),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
