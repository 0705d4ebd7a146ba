/* When the next probe comes: intervals, jitter, haste while undecided, and nudges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "health/checker/schedule.h"

#define LOW  0u
#define HALF (UINT32_MAX / 2u)
#define HIGH UINT32_MAX

static void test_first_probe_comes_soon(void **state)
{
    (void)state;
    struct schedule s = {.interval_ms = 60000};
    assert_int_equal(schedule_first_ms(&s, 5000, LOW), 5000);
    assert_int_equal(schedule_first_ms(&s, 5000, HIGH), 5000 + SCHEDULE_FIRST_MS);
    s.interval_ms = 50;
    assert_int_equal(schedule_first_ms(&s, 5000, HIGH), 5050);
}

static void test_next_probe(void **state)
{
    (void)state;
    static const struct {
        int64_t interval_ms;
        uint32_t jitter_percent;
        enum schedule_mood mood;
        uint32_t random;
        int64_t expected_ms; /* after the start of the last */
    } cases[] = {
        {1000, 0, SCHEDULE_CALM, LOW, 1000},
        {1000, 0, SCHEDULE_CALM, HIGH, 1000},
        {1000, 10, SCHEDULE_CALM, LOW, 900},
        {1000, 10, SCHEDULE_CALM, HIGH, 1100},
        {1000, 10, SCHEDULE_CALM, HALF, 999}, /* the middle, rounded down */
        {1000, 0, SCHEDULE_UNDECIDED, LOW, 250},
        {1000, 20, SCHEDULE_UNDECIDED, LOW, 200},
        {1000, 20, SCHEDULE_UNDECIDED, HIGH, 300},
        {200, 0, SCHEDULE_UNDECIDED, LOW, 100}, /* a quarter would be too soon */
        {200, 100, SCHEDULE_CALM, LOW, 100},    /* so would all of the jitter */
        {100, 0, SCHEDULE_UNDECIDED, HIGH, 100},
        {3600000, 0, SCHEDULE_UNDECIDED, LOW, 900000},
        {3600000, 0, SCHEDULE_IN_DOUBT, LOW, SCHEDULE_DOUBT_MS}, /* clients are running into it */
        {400, 0, SCHEDULE_IN_DOUBT, LOW, 100},
        {20, 0, SCHEDULE_UNDECIDED, LOW, 20}, /* who asks for haste gets it */
        {20, 0, SCHEDULE_IN_DOUBT, LOW, 20},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct schedule s = {.interval_ms = cases[i].interval_ms, .jitter_percent = cases[i].jitter_percent};
        int64_t next_ms = schedule_next_ms(&s, 70000, cases[i].mood, cases[i].random);
        if (next_ms != 70000 + cases[i].expected_ms)
            fail_msg("case %zu: %d", i, (int)(next_ms - 70000));
    }
}

static void test_undecided_interval_of_its_own(void **state)
{
    (void)state;
    struct schedule s = {.interval_ms = 10000, .undecided_ms = 50};
    assert_int_equal(schedule_next_ms(&s, 70000, SCHEDULE_UNDECIDED, LOW), 70050);
    assert_int_equal(schedule_next_ms(&s, 70000, SCHEDULE_IN_DOUBT, LOW), 70050);
    assert_int_equal(schedule_next_ms(&s, 70000, SCHEDULE_CALM, LOW), 80000);
}

static void test_nudge_comes_at_once_but_not_too_soon(void **state)
{
    (void)state;
    assert_int_equal(schedule_nudged_ms(1000, 9000, 5000), 5000);
    assert_int_equal(schedule_nudged_ms(4990, 9000, 5000), 4990 + SCHEDULE_GAP_MS);
    assert_int_equal(schedule_nudged_ms(1000, 4000, 5000), 4000); /* due already */
}

static void test_the_least_time_between_contradictions(void **state)
{
    (void)state;
    static const struct {
        struct schedule s;
        int64_t least_ms;
    } rows[] = {
        {{.interval_ms = 4000}, 1000},                                             /* a quarter */
        {{.interval_ms = 4000, .undecided_ms = 3000}, 3000},                       /* or what is configured */
        {{.interval_ms = 4000, .undecided_ms = 9000}, 4000},                       /* if it is less */
        {{.interval_ms = 4000, .undecided_ms = 3000, .jitter_percent = 10}, 2700}, /* with the worst jitter */
        {{.interval_ms = 4000, .undecided_ms = 3000, .jitter_percent = 100}, SCHEDULE_GAP_MS}, /* never at once */
        {{.interval_ms = 40}, 40},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(schedule_undecided_least_ms(&rows[i].s), rows[i].least_ms);
        /* no draw is sooner */
        assert_true(schedule_next_ms(&rows[i].s, 0, SCHEDULE_UNDECIDED, 0) >= rows[i].least_ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_probe_comes_soon),
        cmocka_unit_test(test_next_probe),
        cmocka_unit_test(test_undecided_interval_of_its_own),
        cmocka_unit_test(test_nudge_comes_at_once_but_not_too_soon),
        cmocka_unit_test(test_the_least_time_between_contradictions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
