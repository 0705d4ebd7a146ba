/* Mean, percentile and the limit with its relief. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "health/checker/latency.h"

static void test_nothing_is_known_at_first(void **state)
{
    (void)state;
    struct latency l = {0};
    assert_int_equal(latency_p95_us(&l), 0);
    assert_false(latency_is_slow(&l, 1, true));
}

static void test_percentile_of_the_last(void **state)
{
    (void)state;
    struct latency l = {0};
    latency_add(&l, 900);
    assert_int_equal(latency_p95_us(&l), 900);
    for (uint32_t i = 0; i < LATENCY_COUNT; i++) /* in no order; they push the first one out */
        latency_add(&l, 1 + i * 37 % LATENCY_COUNT);
    assert_int_equal(latency_p95_us(&l), 61); /* of 1 to 64, the 60.8th */
}

static void test_mean_leans_towards_the_last(void **state)
{
    (void)state;
    struct latency l = {0};
    latency_add(&l, 1000);
    assert_int_equal(l.mean_us, 1000);
    latency_add(&l, 5000);
    assert_int_equal(l.mean_us, 2000);
    latency_add(&l, 0);
    assert_int_equal(l.mean_us, 1500);
    for (int i = 0; i < 40; i++)
        latency_add(&l, UINT32_MAX);
    assert_true(l.mean_us > UINT32_MAX - 100000);
    for (int i = 0; i < 100; i++)
        latency_add(&l, 0);
    assert_true(l.mean_us < LATENCY_WEIGHT);
}

static void test_slow_until_there_is_relief(void **state)
{
    (void)state;
    static const struct {
        uint32_t mean_us;
        uint64_t limit_us;
        bool was_slow, is_slow;
    } cases[] = {
        {1000, 0, true, false},  {1000, 1000, false, false}, {1001, 1000, false, true},
        {900, 1000, true, true}, {900, 1000, false, false},  {800, 1000, true, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct latency l = {0};
        latency_add(&l, cases[i].mean_us);
        assert_int_equal(latency_is_slow(&l, cases[i].limit_us, cases[i].was_slow), cases[i].is_slow);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_known_at_first),
        cmocka_unit_test(test_percentile_of_the_last),
        cmocka_unit_test(test_mean_leans_towards_the_last),
        cmocka_unit_test(test_slow_until_there_is_relief),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
