/* Rise and fall, as a table: limits, a start state, a row of results, and what is shown after each of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "health/hysteresis.h"

/* In `results` + is a success and - a failure; in `shown` the state after each: ? unknown, U up, D down. */
static const struct {
    const char *name;
    uint32_t rise, fall;
    enum verdict_state start;
    const char *results;
    const char *shown;
    const char *left; /* checks left after each */
} cases[] = {
    {"unknown goes up with one success", 3, 3, VERDICT_UNKNOWN, "+", "U", "2"},
    {"unknown goes down after fall failures", 2, 3, VERDICT_UNKNOWN, "---", "??D", "001"},
    {"a success interrupts the way down from unknown", 2, 2, VERDICT_UNKNOWN, "-+-", "?UU", "010"},
    {"up withstands fall - 1 failures", 2, 3, VERDICT_UP, "--+--", "UUUUU", "10210"},
    {"up goes down with the third", 2, 3, VERDICT_UP, "---", "UUD", "101"},
    {"down needs rise successes in a row", 3, 1, VERDICT_DOWN, "++-+++", "DDDDDU", "102100"},
    {"limits of one flip at once", 1, 1, VERDICT_UP, "-+-+", "DUDU", "0000"},
    {"agreeing results change nothing", 2, 2, VERDICT_UP, "++++", "UUUU", "1111"},
    {"a flip starts the count anew", 2, 2, VERDICT_UP, "--+-++", "UDDDDU", "010101"},
};

static char letter(enum verdict_state s)
{
    return "?UD"[s];
}

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hysteresis h;
        int64_t flipped_ms = 1;

        hysteresis_init(&h, cases[i].rise, cases[i].fall, cases[i].start, flipped_ms);
        for (size_t k = 0; k < strlen(cases[i].results); k++) {
            enum verdict_state before = hysteresis_state(&h);
            int64_t now_ms = 100 + (int64_t)k;
            bool flipped = hysteresis_result(&h, cases[i].results[k] == '+', now_ms);

            if (letter(hysteresis_state(&h)) != cases[i].shown[k] ||
                hysteresis_checks_left(&h) != cases[i].left[k] - '0')
                fail_msg("%s: result %zu: %c, %u left", cases[i].name, k, letter(hysteresis_state(&h)),
                         (unsigned)hysteresis_checks_left(&h));
            assert_int_equal(flipped, before != hysteresis_state(&h));
            if (flipped)
                flipped_ms = now_ms;
            assert_int_equal(h.probed_since_ms, flipped_ms);
        }
    }
}

static void test_checks_left_tells_the_truth(void **state)
{
    (void)state;
    /* Whatever the limits and the results so far: exactly checks_left + 1 contrary results flip the state. */
    for (uint32_t limit = 1; limit < 6; limit++) {
        for (unsigned past = 0; past < 32; past++) {
            struct hysteresis h;
            hysteresis_init(&h, limit, 6 - limit, VERDICT_DOWN, 0);
            for (unsigned bit = 0; bit < 5; bit++)
                (void)hysteresis_result(&h, (past >> bit & 1u) != 0, 1);
            bool contrary = hysteresis_state(&h) == VERDICT_DOWN;
            for (unsigned left = hysteresis_checks_left(&h); left > 0; left--)
                assert_false(hysteresis_result(&h, contrary, 2));
            assert_true(hysteresis_result(&h, contrary, 3));
        }
    }
}

static void test_the_edge_is_one_failure_before_down(void **state)
{
    (void)state;
    struct hysteresis h;
    hysteresis_init(&h, 1, 2, VERDICT_UP, 0);
    assert_false(hysteresis_is_at_the_edge(&h));
    (void)hysteresis_result(&h, false, 1);
    assert_true(hysteresis_is_at_the_edge(&h));
    (void)hysteresis_result(&h, false, 2);
    assert_false(hysteresis_is_at_the_edge(&h)); /* it is over */
    hysteresis_init(&h, 1, 1, VERDICT_UNKNOWN, 0);
    assert_true(hysteresis_is_at_the_edge(&h));
}

static void test_undecided_asks_again_soon(void **state)
{
    (void)state;
    struct hysteresis h;
    hysteresis_init(&h, 2, 2, VERDICT_UNKNOWN, 0);
    assert_true(hysteresis_is_undecided(&h));
    (void)hysteresis_result(&h, true, 1);
    assert_false(hysteresis_is_undecided(&h));
    (void)hysteresis_result(&h, false, 2);
    assert_true(hysteresis_is_undecided(&h));
    (void)hysteresis_result(&h, false, 3);
    assert_false(hysteresis_is_undecided(&h));
    (void)hysteresis_result(&h, true, 4);
    assert_true(hysteresis_is_undecided(&h));
}

static void test_forced_state_hides_the_probes(void **state)
{
    (void)state;
    struct hysteresis h;
    hysteresis_init(&h, 1, 2, VERDICT_UP, 7);
    assert_true(hysteresis_force(&h, VERDICT_DOWN));
    assert_true(hysteresis_is_forced(&h));
    assert_int_equal(hysteresis_checks_left(&h), 255);
    assert_false(hysteresis_result(&h, true, 11));
    assert_int_equal(hysteresis_state(&h), VERDICT_DOWN);
    assert_true(hysteresis_force(&h, VERDICT_UNKNOWN));
    assert_int_equal(hysteresis_state(&h), VERDICT_UP);
}

static void test_probes_are_counted_under_a_forced_state(void **state)
{
    (void)state;
    struct hysteresis h;
    hysteresis_init(&h, 2, 2, VERDICT_UP, 7);
    assert_false(hysteresis_force(&h, VERDICT_UP)); /* nothing to see */
    assert_false(hysteresis_result(&h, false, 11));
    assert_false(hysteresis_result(&h, false, 12));
    assert_true(hysteresis_force(&h, VERDICT_UNKNOWN));
    assert_int_equal(hysteresis_state(&h), VERDICT_DOWN);
}

static void test_new_limits_take_effect_with_the_next_result(void **state)
{
    (void)state;
    struct hysteresis h;
    hysteresis_init(&h, 2, 5, VERDICT_UP, 0);
    (void)hysteresis_result(&h, false, 1);
    (void)hysteresis_result(&h, false, 2);
    hysteresis_set_limits(&h, 2, 2);
    assert_int_equal(hysteresis_state(&h), VERDICT_UP);
    assert_int_equal(hysteresis_checks_left(&h), 0);
    assert_true(hysteresis_result(&h, false, 3));
}

static void test_counters_do_not_wrap(void **state)
{
    (void)state;
    struct hysteresis h;
    hysteresis_init(&h, 1000, 1, VERDICT_DOWN, 0);
    assert_int_equal(hysteresis_checks_left(&h), 255);
    h.failures_in_row = UINT32_MAX;
    assert_false(hysteresis_result(&h, false, 1));
    assert_int_equal(h.failures_in_row, UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_checks_left_tells_the_truth),
        cmocka_unit_test(test_the_edge_is_one_failure_before_down),
        cmocka_unit_test(test_undecided_asks_again_soon),
        cmocka_unit_test(test_forced_state_hides_the_probes),
        cmocka_unit_test(test_probes_are_counted_under_a_forced_state),
        cmocka_unit_test(test_new_limits_take_effect_with_the_next_result),
        cmocka_unit_test(test_counters_do_not_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
