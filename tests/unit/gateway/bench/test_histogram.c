/* Percentiles of known values, as exact as promised. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gateway/bench/histogram.h"

static struct histogram *of(const uint64_t *values, size_t count)
{
    struct histogram *h = mem_alloc(sizeof *h);
    for (size_t i = 0; i < count; i++)
        histogram_add(h, values[i]);
    return h;
}

static void small_values_are_exact(void **state)
{
    (void)state;
    const uint64_t values[] = {5, 1, 4, 2, 3};
    struct histogram *h = of(values, 5);
    assert_int_equal(histogram_quantile_ns(h, 0), 1);
    assert_int_equal(histogram_quantile_ns(h, 0.2), 1);
    assert_int_equal(histogram_quantile_ns(h, 0.21), 2);
    assert_int_equal(histogram_quantile_ns(h, 0.5), 3);
    assert_int_equal(histogram_quantile_ns(h, 1), 5);
    assert_int_equal(h->sum_ns, 15);
    mem_free(h);
}

static void ranks_are_those_of_the_percentile(void **state)
{
    (void)state;
    struct histogram *h = mem_alloc(sizeof *h);
    for (uint64_t i = 1; i <= 1000; i++)
        histogram_add(h, i);
    assert_int_equal(histogram_quantile_ns(h, 0.5), 500);
    assert_int_equal(histogram_quantile_ns(h, 0.95), 950);
    assert_int_equal(histogram_quantile_ns(h, 0.99), 990);
    assert_int_equal(histogram_quantile_ns(h, 0.999), 999);
    mem_free(h);
}

static void any_value_has_three_digits_and_is_never_too_small(void **state)
{
    (void)state;
    uint64_t random = 88172645463325252u;
    for (int i = 0; i < 20000; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        const uint64_t value = random >> (24 + random % 40); /* of every size up to 2^40 */
        const uint64_t both[] = {value, UINT64_C(1) << 39};  /* so that the largest does not stand for it */
        struct histogram *h = of(both, 2);
        const uint64_t told = histogram_quantile_ns(h, value <= both[1] ? 0.5 : 1);
        assert_true(told >= value);
        assert_true((double)(told - value) <= (double)value / 1000);
        mem_free(h);
    }
}

static void what_is_beyond_all_bounds_counts_as_the_largest(void **state)
{
    (void)state;
    const uint64_t values[] = {1, UINT64_MAX / 4, UINT64_MAX / 2};
    struct histogram *h = of(values, 3);
    assert_int_equal(histogram_quantile_ns(h, 0.5), UINT64_MAX / 2);
    assert_int_equal(histogram_quantile_ns(h, 1), UINT64_MAX / 2);
    mem_free(h);
}

static void two_add_up(void **state)
{
    (void)state;
    const uint64_t low[] = {1, 2, 3}, high[] = {1000, 2000, 3000};
    struct histogram *a = of(low, 3), *b = of(high, 3);
    histogram_merge(a, b);
    assert_int_equal(a->count, 6);
    assert_int_equal(a->sum_ns, 6006);
    assert_int_equal(histogram_quantile_ns(a, 0.5), 3);
    assert_int_equal(histogram_quantile_ns(a, 1), 3000);
    mem_free(a);
    mem_free(b);
}

static void an_empty_one_says_nothing(void **state)
{
    (void)state;
    struct histogram *h = mem_alloc(sizeof *h);
    assert_int_equal(histogram_quantile_ns(h, 0.99), 0);
    mem_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_values_are_exact),
        cmocka_unit_test(ranks_are_those_of_the_percentile),
        cmocka_unit_test(any_value_has_three_digits_and_is_never_too_small),
        cmocka_unit_test(what_is_beyond_all_bounds_counts_as_the_largest),
        cmocka_unit_test(two_add_up),
        cmocka_unit_test(an_empty_one_says_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
