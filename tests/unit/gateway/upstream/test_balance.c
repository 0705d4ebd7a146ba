/* The balancers: exact shares, least load for the weight, and keys that stay where they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "gateway/upstream/balance.h"

#define COUNT_MAX 16

struct group {
    struct candidate c[COUNT_MAX];
    int64_t turn[COUNT_MAX];
    size_t count;
};

static void add(struct group *g, const char *name, uint64_t weight)
{
    g->c[g->count] = (struct candidate){.weight = weight, .name_hash = balance_key(name, strlen(name))};
    g->turn[g->count++] = 0;
    for (size_t i = 0; i < g->count; i++)
        g->c[i].turn = &g->turn[i];
}

static size_t choose(enum conf_balance b, struct group *g, uint64_t key)
{
    size_t i = balance_of(b)(g->c, g->count, key);
    assert_true(i < g->count);
    return i;
}

/* ---- round-robin ---- */

static void test_round_robin_is_smooth(void **state)
{
    (void)state;
    struct group g = {0};
    add(&g, "a", 5);
    add(&g, "b", 1);
    add(&g, "c", 1);
    char order[15] = {0};
    for (size_t i = 0; i < 14; i++)
        order[i] = (char)('a' + choose(BALANCE_ROUND_ROBIN, &g, 0));
    assert_string_equal(order, "aabacaaaabacaa");
}

static void test_round_robin_shares_are_exact(void **state)
{
    (void)state;
    static const uint64_t weights[][5] = {{1, 1, 1, 1, 1}, {5, 1, 1, 2, 9}, {100, 1, 50, 49, 3}, {1000, 999, 1, 1, 7}};
    for (size_t row = 0; row < sizeof weights / sizeof weights[0]; row++) {
        struct group g = {0};
        uint64_t total = 0, chosen[5] = {0};
        for (size_t i = 0; i < 5; i++) {
            add(&g, "any", weights[row][i]);
            total += weights[row][i];
        }
        for (uint64_t n = 1; n <= 3 * total; n++) {
            chosen[choose(BALANCE_ROUND_ROBIN, &g, 0)]++;
            if (n % total != 0)
                continue;
            for (size_t i = 0; i < 5; i++) /* after each period, to the one */
                assert_int_equal(chosen[i], weights[row][i] * (n / total));
        }
    }
}

static void test_round_robin_never_strays_far(void **state)
{
    (void)state;
    struct group g = {0};
    const uint64_t weights[3] = {7, 3, 1};
    uint64_t chosen[3] = {0};
    for (size_t i = 0; i < 3; i++)
        add(&g, "any", weights[i]);
    for (uint64_t n = 1; n <= 1100; n++) {
        chosen[choose(BALANCE_ROUND_ROBIN, &g, 0)]++;
        for (size_t i = 0; i < 3; i++) {
            double due = (double)(n * weights[i]) / 11;
            assert_true((double)chosen[i] > due - 2 && (double)chosen[i] < due + 2);
        }
    }
}

static void test_round_robin_goes_on_when_one_is_missing(void **state)
{
    (void)state;
    struct group g = {0};
    add(&g, "a", 1);
    add(&g, "b", 1);
    add(&g, "c", 1);
    size_t first = choose(BALANCE_ROUND_ROBIN, &g, 0);
    struct group two = g; /* without c for ten picks */
    two.count = 2;
    two.c[0].turn = &g.turn[0];
    two.c[1].turn = &g.turn[1];
    uint32_t chosen[2] = {0};
    for (int i = 0; i < 10; i++)
        chosen[balance_of(BALANCE_ROUND_ROBIN)(two.c, two.count, 0)]++;
    assert_in_range(chosen[0], 4, 6);
    assert_int_equal(first, 0);
    uint32_t later[3] = {0};
    for (int i = 0; i < 30; i++)
        later[choose(BALANCE_ROUND_ROBIN, &g, 0)]++;
    for (size_t i = 0; i < 3; i++) /* and no catching up of what c missed */
        assert_in_range(later[i], 9, 11);
}

/* ---- least-connections ---- */

static void test_least_connections_goes_by_load_and_weight(void **state)
{
    (void)state;
    static const struct {
        uint64_t weight[3], load[3];
        size_t chosen;
    } rows[] = {
        {{1, 1, 1}, {5, 3, 4}, 1},     {{1, 1, 1}, {0, 3, 4}, 0}, {{1, 1, 4}, {2, 2, 10}, 2}, /* 11/4 < 3/1 */
        {{1, 1, 4}, {2, 2, 12}, 0},                                                           /* 13/4 > 3/1 */
        {{100, 10, 10}, {0, 0, 0}, 0}, {{3, 1, 1}, {0, 0, 0}, 0},
    };
    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        struct group g = {0};
        for (size_t i = 0; i < 3; i++) {
            add(&g, "any", rows[row].weight[i]);
            g.c[i].load = rows[row].load[i];
        }
        assert_int_equal(choose(BALANCE_LEAST_CONNECTIONS, &g, 0), rows[row].chosen);
    }
}

static void test_least_connections_fills_by_weight(void **state)
{
    (void)state;
    struct group g = {0};
    add(&g, "a", 3);
    add(&g, "b", 2);
    add(&g, "c", 1);
    for (int i = 0; i < 600; i++)
        g.c[choose(BALANCE_LEAST_CONNECTIONS, &g, 0)].load++;
    assert_int_equal(g.c[0].load, 300);
    assert_int_equal(g.c[1].load, 200);
    assert_int_equal(g.c[2].load, 100);
}

static void test_least_connections_turns_among_equals(void **state)
{
    (void)state;
    struct group g = {0};
    add(&g, "a", 1);
    add(&g, "b", 1);
    add(&g, "c", 1);
    uint32_t chosen[3] = {0};
    for (int i = 0; i < 30; i++) /* short tunnels: the load is always back at zero */
        chosen[choose(BALANCE_LEAST_CONNECTIONS, &g, 0)]++;
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(chosen[i], 10);
}

/* ---- hash ---- */

#define KEYS 20000

static uint64_t key_of(uint32_t n)
{
    return balance_key(&n, sizeof n);
}

static void test_hash_shares_follow_weights(void **state)
{
    (void)state;
    struct group g = {0};
    add(&g, "pool/a", 1);
    add(&g, "pool/b", 1);
    add(&g, "pool/c", 2);
    uint32_t chosen[3] = {0};
    for (uint32_t n = 0; n < KEYS; n++)
        chosen[choose(BALANCE_HASH, &g, key_of(n))]++;
    assert_in_range(chosen[0], KEYS * 23 / 100, KEYS * 27 / 100);
    assert_in_range(chosen[1], KEYS * 23 / 100, KEYS * 27 / 100);
    assert_in_range(chosen[2], KEYS * 48 / 100, KEYS * 52 / 100);
}

static void test_hash_ignores_the_order_of_servers(void **state)
{
    (void)state;
    struct group g = {0}, turned = {0};
    add(&g, "pool/a", 1);
    add(&g, "pool/b", 3);
    add(&g, "pool/c", 1);
    add(&turned, "pool/c", 1);
    add(&turned, "pool/b", 3);
    add(&turned, "pool/a", 1);
    for (uint32_t n = 0; n < 1000; n++)
        assert_int_equal(choose(BALANCE_HASH, &g, key_of(n)), 2 - choose(BALANCE_HASH, &turned, key_of(n)));
}

/* All other gateways and later releases must agree: this is a promise, not an implementation detail. */
static void test_hash_choices_are_fixed_for_all_time(void **state)
{
    (void)state;
    struct group g = {0};
    add(&g, "pool/a", 1);
    add(&g, "pool/b", 1);
    add(&g, "pool/c", 1);
    char choices[33] = {0};
    for (uint32_t n = 0; n < 32; n++) {
        char key[16];
        int len = snprintf(key, sizeof key, "198.51.100.%u", n);
        choices[n] = (char)('a' + choose(BALANCE_HASH, &g, balance_key(key, (size_t)len)));
    }
    assert_string_equal(choices, "bbcbbbcbcccccabccaababbbcabababb");
}

static void test_hash_moves_only_the_keys_of_who_leaves(void **state)
{
    (void)state;
    struct group five = {0}, four = {0};
    static const char *const names[5] = {"pool/a", "pool/b", "pool/c", "pool/d", "pool/e"};
    for (size_t i = 0; i < 5; i++) {
        add(&five, names[i], 10);
        if (i < 4)
            add(&four, names[i], 10);
    }
    uint32_t moved = 0;
    for (uint32_t n = 0; n < KEYS; n++) {
        size_t with = choose(BALANCE_HASH, &five, key_of(n));
        size_t without = choose(BALANCE_HASH, &four, key_of(n));
        if (with == 4)
            moved++;
        else
            assert_int_equal(with, without); /* nobody else's key moves, whichever way round you read it */
    }
    assert_in_range(moved, KEYS * 18 / 100, KEYS * 22 / 100); /* a fifth */
}

static void test_hash_more_weight_only_attracts(void **state)
{
    (void)state;
    struct group g = {0}, heavier = {0};
    add(&g, "pool/a", 10);
    add(&g, "pool/b", 10);
    add(&heavier, "pool/a", 10);
    add(&heavier, "pool/b", 20);
    for (uint32_t n = 0; n < 1000; n++) {
        if (choose(BALANCE_HASH, &g, key_of(n)) == 1)
            assert_int_equal(choose(BALANCE_HASH, &heavier, key_of(n)), 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_robin_is_smooth),
        cmocka_unit_test(test_round_robin_shares_are_exact),
        cmocka_unit_test(test_round_robin_never_strays_far),
        cmocka_unit_test(test_round_robin_goes_on_when_one_is_missing),
        cmocka_unit_test(test_least_connections_goes_by_load_and_weight),
        cmocka_unit_test(test_least_connections_fills_by_weight),
        cmocka_unit_test(test_least_connections_turns_among_equals),
        cmocka_unit_test(test_hash_shares_follow_weights),
        cmocka_unit_test(test_hash_ignores_the_order_of_servers),
        cmocka_unit_test(test_hash_choices_are_fixed_for_all_time),
        cmocka_unit_test(test_hash_moves_only_the_keys_of_who_leaves),
        cmocka_unit_test(test_hash_more_weight_only_attracts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
