/* L1 beside a naive model: what it may find and what it may not, who owns what, and sums that are exact whatever
 * happens. How well it chooses is shown against plain LRU in test_memory_ratio.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "cache/memory.h"

#define LIFE_MS 1000

struct room {
    struct cache_purges *purges;
    struct cache_memory *memory;
};

static struct room room_open(size_t max_bytes)
{
    struct room r = {.purges = cache_purges_create()};
    r.memory = cache_memory_create(max_bytes, r.purges);
    return r;
}

static void room_close(struct room *r)
{
    assert_true(cache_memory_is_sound(r->memory));
    cache_memory_destroy(&r->memory);
    cache_purges_destroy(&r->purges);
}

/* Its tag is its key; its body `fill`, so that one can be told from another. */
static struct cache_entry *entry_of(const struct room *r, const char *key, size_t body_bytes, char fill, int64_t now_ms)
{
    struct block *b = block_create(body_bytes);
    const struct http_view tag = http_view_of(key);

    memset(b->data, fill, body_bytes);
    struct cache_entry *e = cache_entry_create(&(struct cache_draft){
        .status = 200,
        .tags = &tag,
        .tag_count = 1,
        .key = tag,
        .host = http_view_of("a"),
        .path = http_view_of("/x"),
        .life = {.fresh_ms = LIFE_MS},
        .position = cache_purges_position(r->purges),
        .born_ms = now_ms,
        .body = {.data = b->data, .len = body_bytes, .owner = b},
    });
    block_unref(&b);
    return e;
}

static void put(const struct room *r, const char *key, size_t body_bytes, char fill, int64_t now_ms)
{
    struct cache_entry *e = entry_of(r, key, body_bytes, fill, now_ms);
    cache_memory_put(r->memory, e, now_ms);
    cache_entry_unref(&e);
}

static struct cache_found get(const struct room *r, const char *key, int64_t now_ms)
{
    return cache_memory_get(r->memory, key, strlen(key), now_ms);
}

static struct cache_memory_counts counts_of(const struct room *r)
{
    struct cache_memory_counts c;
    cache_memory_counts(r->memory, &c);
    return c;
}

static void purge(const struct room *r, const char *tag, bool is_soft)
{
    struct cache_purge what = {.kind = PURGE_TAG, .is_soft = is_soft};
    snprintf(what.text, sizeof what.text, "%s", tag);
    cache_purges_add(r->purges, &what);
}

static void what_is_put_is_found(void **state)
{
    struct room r = room_open(1u << 20);

    (void)state;
    assert_null(get(&r, "a", 0).entry);
    put(&r, "a", 100, 'a', 0);
    put(&r, "b", 100, 'b', 0);
    assert_int_equal(get(&r, "a", 0).entry->body.data[0], 'a');
    assert_int_equal(get(&r, "b", 0).entry->body.data[0], 'b');
    assert_null(get(&r, "ab", 0).entry);
    put(&r, "a", 5000, 'A', 0);
    assert_int_equal(get(&r, "a", 0).entry->body.data[0], 'A');
    assert_int_equal(counts_of(&r).entry_count, 2);
    cache_memory_remove(r.memory, "a", 1);
    cache_memory_remove(r.memory, "a", 1);
    assert_null(get(&r, "a", 0).entry);
    assert_int_equal(counts_of(&r).entry_count, 1);
    room_close(&r);
}

static void uses_are_counted_up_to_three(void **state)
{
    struct room r = room_open(1u << 20);

    (void)state;
    assert_int_equal(cache_memory_take_uses(r.memory, "a", 1), 0);
    put(&r, "a", 100, 'a', 0);
    for (uint32_t asked = 0; asked < 6; asked++) {
        for (uint32_t i = 0; i < asked; i++)
            get(&r, "a", 0);
        put(&r, "a", 100, 'b', 0); /* the same place in memory: it is no other thing */
        assert_int_equal(cache_memory_take_uses(r.memory, "a", 1), asked < 3 ? asked : 3);
    }
    assert_int_equal(cache_memory_take_uses(r.memory, "a", 1), 0);
    assert_non_null(cache_memory_peek(r.memory, "a", 1).entry);
    assert_int_equal(cache_memory_take_uses(r.memory, "a", 1), 0); /* a peek is no use */
    assert_null(cache_memory_peek(r.memory, "b", 1).entry);
    room_close(&r);
}

static void whoever_sends_an_entry_keeps_it(void **state)
{
    struct room r = room_open(64 * 1024);

    (void)state;
    put(&r, "sent", 1000, 's', 0);
    struct cache_entry *sent = cache_entry_ref(get(&r, "sent", 0).entry);
    for (int i = 0; i < 1000; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        put(&r, key, 1000, 'k', 0);
        get(&r, key, 0);
        get(&r, key, 0);
    }
    assert_null(get(&r, "sent", 0).entry);
    assert_int_equal(sent->refs, 1);
    room_close(&r);
    for (size_t i = 0; i < sent->body.len; i++)
        assert_int_equal(sent->body.data[i], 's');
    cache_entry_unref(&sent);
}

static void an_entry_ends_with_its_life(void **state)
{
    struct room r = room_open(1u << 20);

    (void)state;
    put(&r, "a", 100, 'a', 5000);
    assert_non_null(get(&r, "a", 5000 + LIFE_MS - 1).entry);
    assert_null(get(&r, "a", 5000 + LIFE_MS).entry);
    assert_int_equal(counts_of(&r).entry_count, 0);
    assert_int_equal(counts_of(&r).evicted_count, 0);
    room_close(&r);
}

static void purges_hold_at_the_next_use(void **state)
{
    struct room r = room_open(1u << 20);

    (void)state;
    put(&r, "hard", 100, 'h', 0);
    put(&r, "soft", 100, 's', 0);
    put(&r, "none", 100, 'n', 0);
    struct cache_entry *begun_before = entry_of(&r, "hard", 100, 'b', 0);
    purge(&r, "hard", false);
    purge(&r, "soft", true);
    assert_null(get(&r, "hard", 0).entry);
    assert_int_equal(counts_of(&r).purged_count, 1);
    assert_true(get(&r, "soft", 0).is_soft_purged);
    assert_true(get(&r, "soft", 0).is_soft_purged);
    assert_false(get(&r, "none", 0).is_soft_purged);

    cache_memory_put(r.memory, begun_before, 0);
    assert_null(get(&r, "hard", 0).entry);
    put(&r, "hard", 100, 'H', 0);
    put(&r, "soft", 100, 'S', 0);
    cache_memory_put(r.memory, begun_before, 0);
    assert_int_equal(get(&r, "hard", 0).entry->body.data[0], 'H');
    assert_false(get(&r, "soft", 0).is_soft_purged);
    cache_entry_unref(&begun_before);
    room_close(&r);
}

/* What came from elsewhere has been judged by the log when it is put; from then on it is purged by what is heard. */
static void what_came_from_elsewhere_is_purged_by_what_is_heard_later(void **state)
{
    struct room r = room_open(1u << 20);
    const struct cache_purge heard = {.id = 7, .kind = PURGE_TAG, .text = "e"};
    const struct cache_purge unlogged = {.kind = PURGE_TAG, .text = "e"};

    (void)state;
    cache_purges_add(r.purges, &heard);
    struct cache_entry *e = entry_of(&r, "e", 10, 'e', 0);
    e->position = (struct cache_position){.ms = 50};
    cache_memory_put(r.memory, e, 0);
    assert_null(get(&r, "e", 0).entry);
    cache_purges_add_at(r.purges, &heard, 50, 0);
    cache_memory_put(r.memory, e, 0);
    assert_non_null(get(&r, "e", 0).entry);
    cache_purges_add(r.purges, &unlogged);
    assert_null(get(&r, "e", 0).entry);
    cache_entry_unref(&e);
    room_close(&r);
}

/* ... and what was heard to be purged softly before it came stays so, whatever is heard later. */
static void what_came_softly_purged_stays_so(void **state)
{
    struct room r = room_open(1u << 20);
    const struct cache_purge soft = {.id = 7, .kind = PURGE_TAG, .is_soft = 1, .text = "e"};
    struct cache_entry *e = entry_of(&r, "e", 10, 'e', 0);

    (void)state;
    e->position = (struct cache_position){.ms = 50};
    cache_purges_add(r.purges, &soft);
    cache_memory_put(r.memory, e, 0);
    assert_true(get(&r, "e", 0).is_soft_purged);
    purge(&r, "other", false);
    assert_true(get(&r, "e", 0).is_soft_purged);
    cache_entry_unref(&e);
    room_close(&r);
}

static void what_is_too_large_is_not_kept(void **state)
{
    struct room r = room_open(64 * 1024);

    (void)state;
    put(&r, "a", 100, 'a', 0);
    put(&r, "a", 20 * 1024, 'A', 0);
    assert_null(get(&r, "a", 0).entry);
    put(&r, "b", 15 * 1024, 'b', 0);
    assert_non_null(get(&r, "b", 0).entry);
    room_close(&r);
}

static void a_coding_counts(void **state)
{
    struct room r = room_open(64 * 1024);
    static const char coded[12 * 1024];

    (void)state;
    put(&r, "a", 4000, 'a', 0);
    const uint64_t before = counts_of(&r).bytes;
    struct cache_entry *e = get(&r, "a", 0).entry;
    e->coded[CODING_GZIP] = slice_copy(coded, 100);
    cache_memory_grown(r.memory, e, sizeof(struct block) + 100);
    assert_int_equal(counts_of(&r).bytes, before + sizeof(struct block) + 100);

    struct cache_entry *elsewhere = entry_of(&r, "a", 4000, 'a', 0);
    cache_memory_grown(r.memory, elsewhere, 1000);
    assert_int_equal(counts_of(&r).bytes, before + sizeof(struct block) + 100);
    elsewhere->coded[CODING_BR] = slice_copy(coded, 300);
    cache_memory_put(r.memory, elsewhere, 0);
    assert_int_equal(counts_of(&r).bytes, before + sizeof(struct block) + 300);
    cache_entry_unref(&elsewhere);

    for (int i = 0; i < 100; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        put(&r, key, 1000, 'k', 0);
    }
    get(&r, "k99", 0);
    e = get(&r, "k99", 0).entry;
    e->coded[CODING_ZSTD] = slice_copy(coded, sizeof coded);
    cache_memory_grown(r.memory, e, sizeof(struct block) + sizeof coded);
    room_close(&r);
}

static void a_smaller_bound_holds_at_once(void **state)
{
    struct room r = room_open(1u << 20);

    (void)state;
    for (int i = 0; i < 500; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        put(&r, key, 1000, 'k', 0);
    }
    assert_int_equal(counts_of(&r).entry_count, 500);
    cache_memory_limit(r.memory, 100 * 1024);
    assert_true(counts_of(&r).bytes <= 100 * 1024);
    assert_true(counts_of(&r).bytes > 90 * 1024);
    assert_true(cache_memory_is_sound(r.memory));
    cache_memory_limit(r.memory, 0);
    assert_int_equal(counts_of(&r).entry_count, 0);
    put(&r, "a", 1, 'a', 0);
    assert_null(get(&r, "a", 0).entry);
    room_close(&r);
}

static void sweeping_finds_all_that_is_over(void **state)
{
    struct room r = room_open(1u << 20);

    (void)state;
    for (int i = 0; i < 300; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        put(&r, key, 100, 'k', i % 3 == 0 ? 0 : LIFE_MS);
    }
    purge(&r, "k1", false);
    for (int i = 0; i < 100; i++)
        cache_memory_sweep(r.memory, 10, LIFE_MS);
    assert_int_equal(counts_of(&r).entry_count, 199);
    assert_int_equal(counts_of(&r).purged_count, 1);
    cache_memory_sweep(r.memory, 0, LIFE_MS);
    room_close(&r);
}

/* What is over is no loss when it makes room, however often it was asked for: nobody is put out for it. */
static void what_is_over_makes_room(void **state)
{
    struct room r = room_open(100 * 1024);

    (void)state;
    for (int i = 0; i < 60; i++) {
        char key[16];
        snprintf(key, sizeof key, "old%d", i);
        put(&r, key, 1000, 'o', 0);
        get(&r, key, 0);
    }
    for (int i = 0; i < 60; i++) {
        char key[16];
        snprintf(key, sizeof key, "new%d", i);
        put(&r, key, 700, 'n', LIFE_MS);
    }
    assert_int_equal(counts_of(&r).evicted_count, 0);
    for (int i = 0; i < 60; i++) {
        char key[16];
        snprintf(key, sizeof key, "new%d", i);
        assert_non_null(get(&r, key, LIFE_MS).entry);
    }
    room_close(&r);
}

/* Where everything was used, making room ends all the same: at most 256 get another turn. */
static void room_is_made_in_bounded_time(void **state)
{
    struct room r = room_open(1u << 20);
    uint32_t count = 0, touched = 0;
    char key[16];

    (void)state;
    while (counts_of(&r).evicted_count == 0) {
        snprintf(key, sizeof key, "k%u", count++);
        put(&r, key, 100, 'k', 0);
        for (uint32_t use = 0; use < 3; use++)
            get(&r, key, 0);
    }
    assert_int_equal(counts_of(&r).evicted_count, 1);
    assert_true(count > 1000);
    for (uint32_t i = 0; i < count; i++) {
        snprintf(key, sizeof key, "k%u", i);
        touched += cache_memory_take_uses(r.memory, key, strlen(key)) < 3 ? 1 : 0;
    }
    assert_int_equal(touched, 257); /* and one was put out */
    room_close(&r);
}

/* ---- at random, beside a model ---- */

#define MODEL_KEYS 400u

struct model {
    char fill[MODEL_KEYS]; /* of what was put last; 0: nothing may be found */
    int64_t born_ms[MODEL_KEYS];
    bool is_soft[MODEL_KEYS];
};

static uint64_t next_random(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

static void check_found(const struct room *r, struct model *m, unsigned i, const char *key, int64_t now_ms)
{
    const struct cache_found f = get(r, key, now_ms);

    if (f.entry == NULL)
        return;
    assert_int_not_equal(m->fill[i], 0);
    assert_true(now_ms - m->born_ms[i] < LIFE_MS);
    assert_int_equal(f.is_soft_purged, m->is_soft[i]);
    assert_int_equal(f.entry->key.len, strlen(key));
    assert_memory_equal(f.entry->key.data, key, strlen(key));
    if (f.entry->body.len > 0)
        assert_int_equal(f.entry->body.data[f.entry->body.len - 1], m->fill[i]);
}

static void do_something(const struct room *r, struct model *m, uint64_t *seed, int64_t now_ms)
{
    const uint64_t dice = next_random(seed) % 1000, random = next_random(seed);
    const unsigned i = (unsigned)(next_random(seed) % MODEL_KEYS * (next_random(seed) % MODEL_KEYS) / MODEL_KEYS);
    char key[32];

    snprintf(key, sizeof key, "key-%u", i);
    if (dice < 600) {
        check_found(r, m, i, key, now_ms);
    } else if (dice < 940) {
        m->fill[i] = (char)('a' + random % 26);
        m->born_ms[i] = now_ms;
        m->is_soft[i] = false;
        put(r, key, random % 50 == 0 ? random % 40000 : random % 2000, m->fill[i], now_ms);
    } else if (dice < 960) {
        m->fill[i] = 0;
        cache_memory_remove(r->memory, key, strlen(key));
    } else if (dice < 970) {
        purge(r, key, true);
        m->is_soft[i] = true;
    } else if (dice < 980) {
        purge(r, key, false);
        m->fill[i] = 0;
    } else if (dice < 990) {
        cache_memory_sweep(r->memory, (uint32_t)(random % 50), now_ms);
    } else if (dice < 999) {
        struct cache_entry *e = get(r, key, now_ms).entry;
        if (e != NULL && e->coded[CODING_BR].data == NULL) {
            e->coded[CODING_BR] = slice_copy(key, sizeof key);
            cache_memory_grown(r->memory, e, sizeof(struct block) + sizeof key);
        }
    } else {
        cache_memory_limit(r->memory, 20000 + random % 200000);
    }
}

static void random_use_breaks_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct room r = room_open(100000);
        struct model *m = mem_alloc(sizeof *m);
        uint64_t dice = seed * 0x9e3779b97f4a7c15u;

        for (int64_t n = 0; n < 20000; n++) {
            do_something(&r, m, &dice, n / 5);
            if (n % 64 == 0)
                assert_true(cache_memory_is_sound(r.memory));
        }
        assert_true(counts_of(&r).evicted_count > 100);
        assert_true(counts_of(&r).purged_count > 10);
        mem_free(m);
        room_close(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_is_found),
        cmocka_unit_test(uses_are_counted_up_to_three),
        cmocka_unit_test(whoever_sends_an_entry_keeps_it),
        cmocka_unit_test(an_entry_ends_with_its_life),
        cmocka_unit_test(purges_hold_at_the_next_use),
        cmocka_unit_test(what_came_from_elsewhere_is_purged_by_what_is_heard_later),
        cmocka_unit_test(what_came_softly_purged_stays_so),
        cmocka_unit_test(what_is_too_large_is_not_kept),
        cmocka_unit_test(a_coding_counts),
        cmocka_unit_test(a_smaller_bound_holds_at_once),
        cmocka_unit_test(sweeping_finds_all_that_is_over),
        cmocka_unit_test(what_is_over_makes_room),
        cmocka_unit_test(room_is_made_in_bounded_time),
        cmocka_unit_test(random_use_breaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
