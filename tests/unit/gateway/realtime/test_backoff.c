/* Waits between tries: how they grow, where they end, what jitter does to them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/realtime/backoff.h"

static const struct conf_backoff standard = {.first_ms = 1000, .max_ms = 30000, .jitter_percent = 0};

static void test_each_wait_is_twice_the_one_before_up_to_the_longest(void **state)
{
    (void)state;
    static const int64_t waits_ms[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000};
    struct backoff b = {0};
    for (size_t i = 0; i < sizeof waits_ms / sizeof waits_ms[0]; i++)
        assert_int_equal(backoff_next_ms(&b, &standard, 12345), waits_ms[i]);
}

static void test_a_success_begins_anew(void **state)
{
    (void)state;
    struct backoff b = {0};
    for (int i = 0; i < 4; i++)
        (void)backoff_next_ms(&b, &standard, 0);
    backoff_reset(&b);
    assert_int_equal(backoff_next_ms(&b, &standard, 0), 1000);
}

static void test_jitter_only_shortens_and_by_no_more_than_its_share(void **state)
{
    (void)state;
    const struct conf_backoff c = {.first_ms = 1000, .max_ms = 30000, .jitter_percent = 50};
    struct backoff b = {0};
    assert_int_equal(backoff_next_ms(&b, &c, 0), 1000);    /* nothing taken off */
    assert_int_equal(backoff_next_ms(&b, &c, 1000), 1000); /* of 2000, the most that may be */
    assert_int_equal(backoff_next_ms(&b, &c, 2001), 4000); /* one more is none again */
    assert_int_equal(backoff_next_ms(&b, &c, 1500), 6500); /* doubling is of the wait without jitter */
    for (uint64_t i = 0; i < 200000; i += 37) {
        struct backoff fresh = {.failure_count = (uint32_t)(i % 9)};
        const int64_t wait_ms = backoff_next_ms(&fresh, &c, i * 0x9e3779b97f4a7c15u);
        assert_in_range(wait_ms, 500, 30000);
    }
}

static void test_it_never_is_no_wait_at_all(void **state)
{
    (void)state;
    const struct conf_backoff c = {.first_ms = 10, .max_ms = 10, .jitter_percent = 100};
    struct backoff b = {0};
    assert_int_equal(backoff_next_ms(&b, &c, 10), 1);
}

static void test_a_longest_wait_below_the_first_holds(void **state)
{
    (void)state;
    const struct conf_backoff c = {.first_ms = 5000, .max_ms = 2000};
    struct backoff b = {0};
    assert_int_equal(backoff_next_ms(&b, &c, 0), 2000);
}

static void test_failures_without_end_do_no_harm(void **state)
{
    (void)state;
    struct backoff b = {.failure_count = UINT32_MAX};
    const struct conf_backoff c = {.first_ms = 10, .max_ms = 86400000};
    assert_int_equal(backoff_next_ms(&b, &c, 0), 86400000);
    assert_int_equal(backoff_next_ms(&b, &c, 0), 86400000);
}

static void test_a_hint_is_anywhere_in_a_window_that_grows_with_the_crowd(void **state)
{
    (void)state;
    static const struct {
        uint32_t client_count;
        int64_t window_ms;
    } rows[] = {{1, 1001}, {1000, 2000}, {28999, 29999}, {29000, 30000}, {29001, 30000}, {UINT32_MAX, 30000}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const uint64_t window_ms = (uint64_t)rows[i].window_ms;
        assert_int_equal(backoff_hint_ms(rows[i].client_count, 0), 1);
        assert_int_equal(backoff_hint_ms(rows[i].client_count, window_ms - 1), window_ms);
        assert_int_equal(backoff_hint_ms(rows[i].client_count, window_ms), 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_wait_is_twice_the_one_before_up_to_the_longest),
        cmocka_unit_test(test_a_success_begins_anew),
        cmocka_unit_test(test_jitter_only_shortens_and_by_no_more_than_its_share),
        cmocka_unit_test(test_it_never_is_no_wait_at_all),
        cmocka_unit_test(test_a_longest_wait_below_the_first_holds),
        cmocka_unit_test(test_failures_without_end_do_no_harm),
        cmocka_unit_test(test_a_hint_is_anywhere_in_a_window_that_grows_with_the_crowd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
