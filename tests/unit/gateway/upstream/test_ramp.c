/* Slow start: which changes of the verdict are a come-back, and how the share grows after one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/upstream/ramp.h"

#define UNKNOWN                                                                                                        \
    {                                                                                                                  \
        .state = VERDICT_UNKNOWN                                                                                       \
    }
#define UP                                                                                                             \
    {                                                                                                                  \
        .state = VERDICT_UP                                                                                            \
    }
#define DOWN                                                                                                           \
    {                                                                                                                  \
        .state = VERDICT_DOWN                                                                                          \
    }
#define DRAINING                                                                                                       \
    {                                                                                                                  \
        .state = VERDICT_UP, .is_draining = true                                                                       \
    }
#define FORCED                                                                                                         \
    {                                                                                                                  \
        .state = VERDICT_UP, .is_forced = true                                                                         \
    }

static void test_what_is_a_come_back(void **state)
{
    (void)state;
    static const struct {
        struct verdict before, after;
        uint64_t changes; /* of the generation in between */
        bool is_come_back;
    } rows[] = {
        {DOWN, UP, 1, true},        {DRAINING, UP, 1, true},
        {UP, UP, 2, true},       /* went down and up again between two looks */
        {UNKNOWN, UP, 2, true},  /* so did this one: judged down first */
        {UNKNOWN, UP, 1, false}, /* its first verdict */
        {UP, UP, 0, false},         {UP, FORCED, 1, false},
        {FORCED, UP, 1, false},     {UP, DOWN, 1, false},
        {UP, DOWN, 3, false},       {DOWN, DOWN, 2, false},
        {DOWN, DRAINING, 2, false}, {DOWN, UNKNOWN, 1, false}, /* forgotten is not recovered */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ramp r = {0};
        struct verdict v = rows[i].before;
        v.generation = 7;
        assert_false(ramp_observe(&r, &v)); /* the first look never is */
        v = rows[i].after;
        v.generation = 7 + rows[i].changes;
        if (ramp_observe(&r, &v) != rows[i].is_come_back)
            fail_msg("row %zu", i);
        assert_false(ramp_observe(&r, &v)); /* told once */
    }
}

/* As at the start of the gateway, or of a server in a row that was another one's. */
static void test_a_row_nobody_has_written_yet_is_not_a_look(void **state)
{
    (void)state;
    struct ramp r = {0};
    assert_false(ramp_observe(&r, &(struct verdict){.state = VERDICT_UNKNOWN, .generation = 0}));
    assert_false(ramp_observe(&r, &(struct verdict){.state = VERDICT_UP, .generation = 9}));
    assert_true(ramp_observe(&r, &(struct verdict){.state = VERDICT_UP, .generation = 11}));
}

static void test_share_grows_in_a_line(void **state)
{
    (void)state;
    static const struct {
        int64_t elapsed_ms;
        uint32_t percent;
    } rows[] = {{-5, 10}, {0, 10}, {1000, 19}, {5000, 55}, {9999, 99}, {10000, 100}, {60000, 100}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ramp r = {0};
        ramp_start(&r, 500);
        assert_int_equal(ramp_percent(&r, 10000, 500 + rows[i].elapsed_ms), rows[i].percent);
    }
}

static void test_full_without_a_come_back_or_when_off(void **state)
{
    (void)state;
    struct ramp r = {0};
    assert_int_equal(ramp_percent(&r, 10000, 0), RAMP_FULL_PERCENT);
    ramp_start(&r, 0);
    assert_int_equal(ramp_percent(&r, 0, 0), RAMP_FULL_PERCENT);
}

static void test_once_full_it_stays_full(void **state)
{
    (void)state;
    struct ramp r = {0};
    ramp_start(&r, 0);
    assert_int_equal(ramp_percent(&r, 1000, 1000), RAMP_FULL_PERCENT);
    assert_int_equal(ramp_percent(&r, 5000, 1001), RAMP_FULL_PERCENT); /* although a reload made the ramp longer */
    ramp_start(&r, 2000);
    assert_int_equal(ramp_percent(&r, 1000, 2000), RAMP_FLOOR_PERCENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_a_come_back),
        cmocka_unit_test(test_a_row_nobody_has_written_yet_is_not_a_look),
        cmocka_unit_test(test_share_grows_in_a_line),
        cmocka_unit_test(test_full_without_a_come_back_or_when_off),
        cmocka_unit_test(test_once_full_it_stays_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
