/* The map against a plain array as its model, and its hash against the vectors of its inventors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/map.h"

/* Appendix A of the SipHash paper and the reference vectors: key 00..0f, message 00, 01, ... of the given length. */
static void siphash_agrees_with_its_vectors(void **state)
{
    static const struct {
        size_t len;
        uint64_t hash;
    } rows[] = {
        {0, 0x726fdb47dd0e0e31}, {1, 0x74f839c593dc67fd},  {2, 0x0d6c8009d9a94f5a},  {3, 0x85676696d7fb7e2d},
        {4, 0xcf2794e0277187b7}, {5, 0x18765564cd99a68d},  {6, 0xcbc9466e58fee3ce},  {7, 0xab0200f58b01d137},
        {8, 0x93f5f5799a932462}, {15, 0xa129ca6149be45e5}, {63, 0x958a324ceb064572},
    };
    uint8_t key[16], message[64];

    (void)state;
    for (uint8_t i = 0; i < sizeof message; i++) {
        message[i] = i;
        if (i < sizeof key)
            key[i] = i;
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_true(siphash24(key, message, rows[i].len) == rows[i].hash);
}

static void a_key_has_one_value(void **state)
{
    struct map *m = map_create();
    int one, two;

    (void)state;
    assert_null(map_get(m, "key", 3));
    assert_null(map_put(m, "key", 3, &one));
    assert_ptr_equal(map_get(m, "key", 3), &one);
    assert_ptr_equal(map_put(m, "key", 3, &two), &one);
    assert_ptr_equal(map_get(m, "key", 3), &two);
    assert_int_equal(map_count(m), 1);
    assert_ptr_equal(map_remove(m, "key", 3), &two);
    assert_null(map_remove(m, "key", 3));
    assert_int_equal(map_count(m), 0);
    map_destroy(&m);
    assert_null(m);
}

static void keys_are_bytes_of_any_length(void **state)
{
    struct map *m = map_create();
    int empty, prefix, with_nul, without_nul;

    (void)state;
    map_put(m, "", 0, &empty);
    map_put(m, "a", 1, &prefix);
    map_put(m, "a\0b", 3, &with_nul);
    map_put(m, "a\0", 2, &without_nul);
    assert_ptr_equal(map_get(m, NULL, 0), &empty);
    assert_ptr_equal(map_get(m, "a", 1), &prefix);
    assert_ptr_equal(map_get(m, "a\0b", 3), &with_nul);
    assert_ptr_equal(map_get(m, "a\0", 2), &without_nul);
    map_destroy(&m);
}

static void the_key_is_a_copy(void **state)
{
    struct map *m = map_create();
    char key[] = "mine";
    int value;

    (void)state;
    map_put(m, key, 4, &value);
    memset(key, 'x', 4);
    assert_ptr_equal(map_get(m, "mine", 4), &value);
    assert_null(map_get(m, "xxxx", 4));
    map_destroy(&m);
}

static void it_grows_with_its_entries(void **state)
{
    enum { COUNT = 20000 };
    static uint32_t values[COUNT];
    struct map *m = map_create();

    (void)state;
    for (uint32_t i = 0; i < COUNT; i++)
        assert_null(map_put(m, &i, sizeof i, &values[i]));
    assert_int_equal(map_count(m), COUNT);
    for (uint32_t i = 0; i < COUNT; i++)
        assert_ptr_equal(map_get(m, &i, sizeof i), &values[i]);
    map_destroy(&m);
}

static void a_walk_visits_every_entry_once(void **state)
{
    enum { COUNT = 100 };
    uint8_t visits[COUNT] = {0};
    uint32_t values[COUNT];
    struct map *m = map_create();
    size_t cursor = 0, key_len = 0, count = 0;
    const void *key = NULL;
    void *value = NULL;

    (void)state;
    for (uint32_t i = 0; i < COUNT; i++) {
        values[i] = i;
        map_put(m, &i, sizeof i, &values[i]);
    }
    while (map_next(m, &cursor, &key, &key_len, &value)) {
        assert_int_equal(key_len, sizeof(uint32_t));
        assert_memory_equal(key, value, key_len);
        visits[*(uint32_t *)value]++;
        count++;
    }
    assert_int_equal(count, COUNT);
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(visits[i], 1);
    cursor = 0;
    assert_true(map_next(m, &cursor, NULL, NULL, &value));
    map_destroy(&m);
}

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Few slots, many removals: runs wrap around the end of the table and are closed again, in every constellation that
 * chance finds. The map's own secret differs each time; the sequence of operations does not. */
static void it_behaves_like_an_array_under_churn(void **state)
{
    enum { KEYS = 48, STEPS = 100000 };
    static int values[2];
    int *model[KEYS] = {0};
    size_t count = 0;
    uint64_t seed = 0x9e3779b97f4a7c15u;
    struct map *m = map_create();

    (void)state;
    for (size_t step = 0; step < STEPS; step++) {
        uint64_t r = next_random(&seed);
        uint8_t key = (uint8_t)(r % KEYS);
        int *value = &values[r >> 40 & 1];

        if ((r >> 32 & 3) == 0) {
            assert_ptr_equal(map_put(m, &key, 1, value), model[key]);
            count += model[key] == NULL;
            model[key] = value;
        } else if ((r >> 32 & 3) == 1) {
            assert_ptr_equal(map_remove(m, &key, 1), model[key]);
            count -= model[key] != NULL;
            model[key] = NULL;
        } else {
            assert_ptr_equal(map_get(m, &key, 1), model[key]);
        }
        assert_int_equal(map_count(m), count);
    }
    map_destroy(&m);
}

/* Two maps put the same keys in different places: who chooses the keys cannot choose the collisions. */
static void every_map_has_its_own_secret(void **state)
{
    struct map *one = map_create(), *two = map_create();
    char order[2][256] = {{0}};
    int value;

    (void)state;
    for (uint8_t i = 0; i < 64; i++) {
        map_put(one, &i, 1, &value);
        map_put(two, &i, 1, &value);
    }
    for (int k = 0; k < 2; k++) {
        size_t cursor = 0, len = 0;
        const void *key;
        void *found;

        while (map_next(k == 0 ? one : two, &cursor, &key, NULL, &found))
            order[k][len++] = *(const char *)key;
        assert_int_equal(len, 64);
    }
    assert_memory_not_equal(order[0], order[1], 64); /* by chance once in 64! runs */
    map_destroy(&one);
    map_destroy(&two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(siphash_agrees_with_its_vectors),
        cmocka_unit_test(a_key_has_one_value),
        cmocka_unit_test(keys_are_bytes_of_any_length),
        cmocka_unit_test(the_key_is_a_copy),
        cmocka_unit_test(it_grows_with_its_entries),
        cmocka_unit_test(a_walk_visits_every_entry_once),
        cmocka_unit_test(it_behaves_like_an_array_under_churn),
        cmocka_unit_test(every_map_has_its_own_secret),
    };
    return cmocka_run_group_tests_name("base/map", tests, NULL, NULL);
}
