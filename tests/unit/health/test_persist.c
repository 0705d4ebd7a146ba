/* The verdict file: what is written is read back, and damage costs the damaged lines only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "health/persist.h"

#define HEAD "tidegate verdicts 1\n"

struct pair {
    struct persist a, b;
};

static int setup(void **state)
{
    *state = calloc(1, sizeof(struct pair));
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static size_t parse(struct persist *p, const char *text)
{
    /* A copy of the exact size, so that a sanitizer sees the first byte read beyond it. */
    size_t len = strlen(text);
    char *copy = malloc(len > 0 ? len : 1);
    memcpy(copy, text, len);
    size_t unusable_count = persist_parse(p, copy, len);
    free(copy);
    return unusable_count;
}

static void add(struct persist *p, const char *name, enum verdict_state state, int64_t since_wall_ms)
{
    struct persist_entry e = {.state = state, .since_wall_ms = since_wall_ms};
    memcpy(e.name, name, strnlen(name, sizeof e.name)); /* one that is too long has no end */
    persist_add(p, &e);
}

static void test_round_trip(void **state)
{
    struct pair *t = *state;
    struct strbuf text;
    add(&t->a, "realtime/us a", VERDICT_DOWN, 1700000000123);
    add(&t->a, "realtime/eu", VERDICT_UP, 0);
    strbuf_init(&text, PERSIST_BYTES_MAX);
    persist_print(&t->a, &text);
    assert_string_equal(text.data, HEAD "down 1700000000123 realtime/us a\nup 0 realtime/eu\n");
    assert_int_equal(persist_parse(&t->b, text.data, text.len), 0);
    assert_int_equal(t->b.count, 2);
    assert_int_equal(persist_find(&t->b, "realtime/us a")->state, VERDICT_DOWN);
    assert_int_equal(persist_find(&t->b, "realtime/us a")->since_wall_ms, 1700000000123);
    assert_int_equal(persist_find(&t->b, "realtime/eu")->state, VERDICT_UP);
    assert_null(persist_find(&t->b, "realtime/us"));
    strbuf_fini(&text);
}

static void test_operators_words_are_kept(void **state)
{
    struct pair *t = *state;
    struct strbuf text;
    static const struct persist_entry entries[] = {
        {.state = VERDICT_UP, .forced = VERDICT_DOWN, .since_wall_ms = 5, .name = "p/a"},
        {.state = VERDICT_DOWN, .forced = VERDICT_UP, .is_draining = true, .since_wall_ms = 6, .name = "p/b"},
        {.state = VERDICT_UNKNOWN, .is_draining = true, .name = "p/c"},
    };
    for (size_t i = 0; i < 3; i++)
        persist_add(&t->a, &entries[i]);
    strbuf_init(&text, PERSIST_BYTES_MAX);
    persist_print(&t->a, &text);
    assert_string_equal(text.data,
                        HEAD "up,forced-down 5 p/a\ndown,forced-up,draining 6 p/b\nunknown,draining 0 p/c\n");
    assert_int_equal(persist_parse(&t->b, text.data, text.len), 0);
    assert_int_equal(t->b.count, 3);
    for (size_t i = 0; i < 3; i++) {
        const struct persist_entry *e = persist_find(&t->b, entries[i].name);
        assert_int_equal(e->state, entries[i].state);
        assert_int_equal(e->forced, entries[i].forced);
        assert_int_equal(e->is_draining, entries[i].is_draining);
        assert_int_equal(e->since_wall_ms, entries[i].since_wall_ms);
    }
    strbuf_fini(&text);
}

static void test_a_full_table_fits(void **state)
{
    struct pair *t = *state;
    struct strbuf text;
    for (int i = 0; i < (int)SLOTS_SERVERS + 1; i++) {
        char name[SLOTS_NAME_BYTES];
        memset(name, 'x', sizeof name);
        name[sizeof name - 1] = '\0';
        name[0] = (char)('a' + i / 20);
        name[1] = (char)('a' + i % 20);
        add(&t->a, name, VERDICT_DOWN, 999999999999999999);
    }
    strbuf_init(&text, PERSIST_BYTES_MAX);
    persist_print(&t->a, &text);
    assert_false(text.failed);
    assert_int_equal(persist_parse(&t->b, text.data, text.len), 0);
    assert_int_equal(t->b.count, SLOTS_SERVERS);
    strbuf_fini(&text);
}

static void test_nothing_is_written_that_says_nothing(void **state)
{
    struct pair *t = *state;
    char too_long[SLOTS_NAME_BYTES + 1];
    memset(too_long, 'x', sizeof too_long);
    too_long[SLOTS_NAME_BYTES] = '\0';
    add(&t->a, "pool/a", VERDICT_UNKNOWN, 5);
    add(&t->a, "two\nlines", VERDICT_UP, 5);
    add(&t->a, "", VERDICT_UP, 5);
    add(&t->a, "pool/b", VERDICT_UP, -5);
    add(&t->a, too_long, VERDICT_UP, 5);
    assert_int_equal(t->a.count, 0);
}

static void test_damage(void **state)
{
    struct pair *t = *state;
    static const struct {
        const char *text;
        size_t unusable_count, count;
    } cases[] = {
        {"", 1, 0},
        {"\n", 1, 0},
        {"tidegate verdicts 2\nup 1 a\n", 1, 0},
        {"tidegate verdicts 1", 1, 0},
        {HEAD, 0, 0},
        {HEAD "up 1 a", 1, 0}, /* cut off: the name may have been longer */
        {HEAD "up 1 a\ndown 17000", 1, 1},
        {HEAD "up 1 a\n\n\nup 2 b\n", 2, 2},
        {HEAD "up 1 a\nup 2 a\n", 1, 1}, /* twice */
        {HEAD "unknown 1 a\n", 1, 0},
        {HEAD "UP 1 a\n", 1, 0},
        {HEAD "up  a\n", 1, 0},
        {HEAD "up -1 a\n", 1, 0},
        {HEAD "up +1 a\n", 1, 0},
        {HEAD "up 1x a\n", 1, 0},
        {HEAD "up 1234567890123456789 a\n", 1, 0},
        {HEAD "up 1 \n", 1, 0},
        {HEAD "up 1 a\r\n", 1, 0},
        {HEAD " up 1 a\n", 1, 0},
        {HEAD "up, 1 a\n", 1, 0},
        {HEAD "up,forced 1 a\n", 1, 0},
        {HEAD "up,forced-unknown 1 a\n", 1, 0},
        {HEAD "up,draining,draining 1 a\n", 1, 0},
        {HEAD "up,draining,forced-up 1 a\n", 1, 0},
        {HEAD "up,forced-up,forced-up 1 a\n", 1, 0},
        {HEAD "forced-up 1 a\n", 1, 0},
        {"\xff\xfe\x80 1 a\n", 1, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t unusable_count = parse(&t->a, cases[i].text);
        if (unusable_count != cases[i].unusable_count || t->a.count != cases[i].count)
            fail_msg("case %zu: %zu unusable, %zu taken", i, unusable_count, t->a.count);
    }
}

static void test_name_that_fills_its_field(void **state)
{
    struct pair *t = *state;
    char text[512] = HEAD "up 1 ";
    memset(text + strlen(text), 'n', SLOTS_NAME_BYTES);
    strcat(text, "\n");
    assert_int_equal(parse(&t->a, text), 1); /* no room for its NUL */
    text[strlen(text) - 2] = '\n';
    text[strlen(text) - 1] = '\0';
    assert_int_equal(parse(&t->a, text), 0);
    assert_int_equal(strlen(t->a.entries[0].name), SLOTS_NAME_BYTES - 1);
}

/* Every file with one byte changed or cut off anywhere: never more entries, never a name nobody wrote in full. */
static void test_single_bytes_changed_and_cut(void **state)
{
    struct pair *t = *state;
    static const char good[] = HEAD "up 1700000000000 pool/a\ndown 1700000000001 pool/b\n";
    char text[sizeof good];
    for (size_t at = 0; at < sizeof good - 1; at++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            memcpy(text, good, sizeof good);
            text[at] = (char)byte;
            size_t unusable_count = persist_parse(&t->a, text, sizeof good - 1);
            assert_true(t->a.count + unusable_count <= 4);
        }
        (void)persist_parse(&t->a, good, at);
        for (size_t i = 0; i < t->a.count; i++)
            assert_true(strcmp(t->a.entries[i].name, "pool/a") == 0 || strcmp(t->a.entries[i].name, "pool/b") == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(test_round_trip),
        T(test_operators_words_are_kept),
        T(test_a_full_table_fits),
        T(test_nothing_is_written_that_says_nothing),
        T(test_damage),
        T(test_name_that_fills_its_field),
        T(test_single_bytes_changed_and_cut),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
