/* Token buckets: how much at once, how fast then, and what a large taking leaves behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/upstream/pace.h"

/* How many of `cost` can be taken from `from_ms` to `to_ms`, asking every `step_ms`. */
static uint32_t take_all(struct pace *p, const struct pace_limits *l, uint32_t cost, int64_t from_ms, int64_t to_ms,
                         int64_t step_ms)
{
    uint32_t count = 0;
    for (int64_t now_ms = from_ms; now_ms <= to_ms; now_ms += step_ms) {
        while (pace_wait_ms(p, l, cost, now_ms) == 0) {
            pace_take(p, l, cost, now_ms);
            count++;
        }
    }
    return count;
}

static void test_a_burst_then_the_rate(void **state)
{
    (void)state;
    const struct pace_limits l = pace_share(500, 1000, 1);
    struct pace p = {0};
    assert_int_equal(take_all(&p, &l, 1, 5000, 5000, 1), 1000);
    assert_int_equal(take_all(&p, &l, 1, 5001, 6000, 1), 500);
    assert_int_equal(take_all(&p, &l, 1, 6010, 7000, 10), 500); /* however often it is asked */
    assert_int_equal(take_all(&p, &l, 1, 7700, 8000, 300), 500);
    assert_int_equal(take_all(&p, &l, 1, 900000, 900000, 1), 1000); /* full again, and not fuller */
}

static void test_the_wait_is_exact(void **state)
{
    (void)state;
    const struct pace_limits l = pace_share(100, 10, 1);
    struct pace p = {0};
    pace_take(&p, &l, 10, 0);
    assert_int_equal(pace_wait_ms(&p, &l, 1, 0), 10);
    assert_int_equal(pace_wait_ms(&p, &l, 3, 0), 30);
    assert_int_equal(pace_wait_ms(&p, &l, 3, 29), 1);
    assert_int_equal(pace_wait_ms(&p, &l, 3, 30), 0);
}

static void test_shares_of_many_processes_add_up(void **state)
{
    (void)state;
    const struct pace_limits l = pace_share(10, 4, 16); /* less than one every second, a burst of a quarter */
    uint32_t count = 0;
    for (int i = 0; i < 16; i++) {
        struct pace p = {0};
        assert_int_equal(take_all(&p, &l, 1, 0, 0, 1), 1); /* one at least, or it could never begin */
        count += take_all(&p, &l, 1, 1, 100000, 1);
    }
    assert_int_equal(count, 16 * 62); /* 62.5 each in 100 s */
}

static void test_what_is_more_than_the_bucket_is_taken_from_a_full_one(void **state)
{
    (void)state;
    const struct pace_limits l = pace_share(10, 5, 1);
    struct pace p = {0};
    assert_int_equal(pace_wait_ms(&p, &l, 20, 0), 0);
    pace_take(&p, &l, 20, 0);
    assert_int_equal(pace_wait_ms(&p, &l, 1, 0), 1600); /* 15 are owed before the first */
    assert_int_equal(pace_wait_ms(&p, &l, 20, 0), 2000);
    assert_int_equal(pace_wait_ms(&p, &l, 20, 2000), 0);
}

static void test_without_a_rate_there_is_no_limit(void **state)
{
    (void)state;
    const struct pace_limits l = pace_share(0, 5, 1);
    struct pace p = {0};
    for (int i = 0; i < 1000; i++) {
        pace_take(&p, &l, 100, 0);
        assert_int_equal(pace_wait_ms(&p, &l, 100, 0), 0);
    }
}

static void test_limits_may_change(void **state)
{
    (void)state;
    const struct pace_limits small = pace_share(10, 10, 1), large = pace_share(10, 100, 1);
    struct pace p = {0};
    pace_take(&p, &small, 10, 0);
    assert_int_equal(pace_wait_ms(&p, &small, 1, 0), 100);
    assert_int_equal(pace_wait_ms(&p, &large, 90, 0), 0); /* what is missing is missing from the new bucket */
    assert_int_equal(pace_wait_ms(&p, &large, 91, 0), 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_burst_then_the_rate),
        cmocka_unit_test(test_the_wait_is_exact),
        cmocka_unit_test(test_shares_of_many_processes_add_up),
        cmocka_unit_test(test_what_is_more_than_the_bucket_is_taken_from_a_full_one),
        cmocka_unit_test(test_without_a_rate_there_is_no_limit),
        cmocka_unit_test(test_limits_may_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
