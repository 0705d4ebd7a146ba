/* Entries on their way to Redis and back: what was stored comes back as it was, as small as is worth it, and no younger
 * than it may be. */
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
    struct cache_draft d = {.status = statuses[below(seed, 7)]};
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
    d.key = http_view_of(PLAIN_KEY);
    d.host = some_text(seed, room[used++], 30);
    d.path = some_text(seed, room[used++], 100);
    d.query = some_text(seed, room[used++], 100);
    d.life = (struct cache_life){.fresh_ms = 1 + below(seed, 100000),
                                 .stale_ms = below(seed, 100000),
                                 .error_ms = below(seed, 100000),
                                 .down_ms = below(seed, 100000),
                                 .keep_ms = 100000};
    d.position = (struct cache_position){.ms = next_random(seed), .seq = next_random(seed), .local = below(seed, 9)};
    d.born_ms = PLAIN_NOW_MS - below(seed, 100000);
    d.body = some_body(seed);
    struct cache_entry *e = cache_entry_create(&d);
    slice_release(&d.body);
    return e;
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
        strbuf_init(&out, PLAIN_MAX);
        strbuf_init(&again, PLAIN_MAX);
        cache_encode(*state, &out, e, PLAIN_NOW_MS, PLAIN_WALL_MS);
        struct cache_entry *back = plain_decode(*state, out.data, out.len, &why);
        assert_non_null(back);
        assert_same(e, back);
        assert_int_equal(back->position.local, 0); /* of this process, and nobody else's */
        cache_encode(*state, &again, back, PLAIN_NOW_MS, PLAIN_WALL_MS);
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
    struct cache_entry *e = plain_create(3000);
    strbuf_init(&out, PLAIN_MAX);
    strbuf_puts(&out, "before");
    cache_encode(*state, &out, e, PLAIN_NOW_MS, PLAIN_WALL_MS);
    struct cache_entry *back = plain_decode(*state, out.data + 6, out.len - 6, &why);
    assert_non_null(back);
    assert_same(e, back);
    cache_entry_unref(&back);
    cache_entry_unref(&e);
    strbuf_fini(&out);
}

static void a_bound_that_is_too_small_fails_the_builder(void **state)
{
    for (size_t body = 100; body <= 100000; body *= 10) {
        struct strbuf whole = plain_stored(*state, body);
        for (size_t max = 0; max < whole.len; max += 1 + max / 8) {
            struct strbuf out;
            struct cache_entry *e = plain_create(body);
            strbuf_init(&out, max);
            cache_encode(*state, &out, e, PLAIN_NOW_MS, PLAIN_WALL_MS);
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
    strbuf_init(&out, PLAIN_MAX);
    cache_encode(c, &out, e, PLAIN_NOW_MS, PLAIN_WALL_MS);
    const uint32_t bytes = stored_u32(out.data, STORED_STORED_BYTES);
    const bool is_packed = (stored_u32(out.data, STORED_FLAGS) & STORED_FLAG_ZSTD) != 0;
    assert_true(is_packed == (bytes != e->body.len));
    strbuf_fini(&out);
    return bytes;
}

static void bodies_are_packed_where_it_is_worth_it(void **state)
{
    struct cache_entry *e = plain_create(CACHE_CODEC_ZSTD_ABOVE_BYTES);
    assert_int_equal(packed_bytes(*state, e), e->body.len); /* too short */
    cache_entry_unref(&e);

    e = plain_create(CACHE_CODEC_ZSTD_ABOVE_BYTES + 1);
    assert_true(packed_bytes(*state, e) < 100);
    e->is_coded_in_vain[CODING_ZSTD] = true; /* somebody tried */
    assert_int_equal(packed_bytes(*state, e), e->body.len);
    e->is_coded_in_vain[CODING_ZSTD] = false;
    e->coding = CODING_GZIP; /* is small already */
    assert_int_equal(packed_bytes(*state, e), e->body.len);
    cache_entry_unref(&e);

    e = plain_create(5000); /* gains nothing */
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
    struct cache_entry *e = plain_create(50000);
    struct block *b = block_create(ZSTD_compressBound(50000));
    const size_t len = ZSTD_compress(b->data, b->cap_bytes, e->body.data, e->body.len, 19);
    e->coded[CODING_ZSTD] = (struct slice){.data = b->data, .len = len, .owner = b};
    strbuf_init(&out, PLAIN_MAX);
    cache_encode(*state, &out, e, PLAIN_NOW_MS, PLAIN_WALL_MS);
    assert_memory_equal(out.data + out.len - len, b->data, len);
    struct cache_entry *back = plain_decode(*state, out.data, out.len, &why);
    assert_non_null(back);
    assert_same(e, back);
    cache_entry_unref(&back);
    cache_entry_unref(&e);
    strbuf_fini(&out);
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
        {"the reader's clock is at the end of time", INT64_MAX - PLAIN_WALL_MS, 64000, -1},
        {"the reader's clock is before 1970", -PLAIN_WALL_MS - 1, -1, 1000},
        {"the reader's clock is at the beginning of time", INT64_MIN, -1, 1000},
        {"Redis keeps it too long", 0, 500000, 1000},
        {"Redis keeps it for ever", 0, INT64_MAX, 1000},
        {"Redis drops it now", 0, 0, -1},
        {"the last moment", 93999, -1, 94999},
        {"the end", 94000, -1, -1},
    };
    struct strbuf b = plain_stored(*state, 10);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *why = NULL;
        struct cache_decode_how how = plain_how();
        how.now_ms = 77; /* the reader's loop began later: its times have nothing to do with the writer's */
        how.wall_ms = rows[i].wall_later_ms == INT64_MIN ? INT64_MIN : PLAIN_WALL_MS + rows[i].wall_later_ms;
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

/* Of all lives a stored entry can have, and however long it lay: the age is never cut to less than what it is. */
static void what_has_outlived_itself_does_not_come_back_younger(void **state)
{
    static const int64_t lives_ms[] = {1000, INT64_C(1) << 31, INT64_C(1000) << 31, INT64_C(1) << 60};
    for (size_t i = 0; i < sizeof lives_ms / sizeof *lives_ms; i++) {
        const char *why = NULL;
        const struct cache_decode_how how = plain_how();
        struct strbuf out;
        struct cache_entry *e = plain_create(10);
        e->life = (struct cache_life){.fresh_ms = lives_ms[i], .stale_ms = lives_ms[i]};
        e->born_ms = PLAIN_NOW_MS - 2 * lives_ms[i];
        strbuf_init(&out, PLAIN_MAX);
        cache_encode(*state, &out, e, PLAIN_NOW_MS, PLAIN_WALL_MS);
        assert_null(cache_decode(*state, out.data, out.len, &how, &why));
        assert_string_equal(why, "expired");
        e->born_ms++;
        strbuf_clear(&out);
        cache_encode(*state, &out, e, PLAIN_NOW_MS, PLAIN_WALL_MS);
        struct cache_entry *back = cache_decode(*state, out.data, out.len, &how, &why);
        assert_true(back == NULL || back->born_ms == e->born_ms);
        assert_true(back != NULL || lives_ms[i] > INT64_C(1000) << 31); /* longer ones are shorter in Redis */
        if (back != NULL)
            cache_entry_unref(&back);
        cache_entry_unref(&e);
        strbuf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_stored_comes_back),
        cmocka_unit_test(encoding_adds_to_what_is_there),
        cmocka_unit_test(a_bound_that_is_too_small_fails_the_builder),
        cmocka_unit_test(bodies_are_packed_where_it_is_worth_it),
        cmocka_unit_test(a_body_that_was_made_for_clients_is_stored),
        cmocka_unit_test(the_older_of_two_opinions_counts),
        cmocka_unit_test(what_has_outlived_itself_does_not_come_back_younger),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
