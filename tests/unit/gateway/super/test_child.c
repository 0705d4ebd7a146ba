/* The life of a child: which moves there are, and how long a dead one waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/super/child.h"

static enum roster_state after(const enum child_event *events, size_t count)
{
    enum roster_state state = ROSTER_UNUSED;
    for (size_t i = 0; i < count; i++)
        state = child_next(state, events[i]);
    return state;
}
#define AFTER(...)                                                                                                     \
    after((const enum child_event[]){__VA_ARGS__},                                                                     \
          sizeof((const enum child_event[]){__VA_ARGS__}) / sizeof(enum child_event))

static void test_an_ordinary_life(void **state)
{
    (void)state;
    assert_int_equal(AFTER(CHILD_SPAWNED), ROSTER_STARTING);
    assert_int_equal(AFTER(CHILD_SPAWNED, CHILD_CONFIRMED), ROSTER_READY);
    assert_int_equal(AFTER(CHILD_SPAWNED, CHILD_CONFIRMED, CHILD_CONFIRMED), ROSTER_READY); /* a reload */
    assert_int_equal(AFTER(CHILD_SPAWNED, CHILD_CONFIRMED, CHILD_DISMISSED), ROSTER_DRAINING);
    assert_int_equal(AFTER(CHILD_SPAWNED, CHILD_CONFIRMED, CHILD_DISMISSED, CHILD_EXITED), ROSTER_GONE);
}

static void test_who_dies_undismissed_waits_to_be_started_again(void **state)
{
    (void)state;
    assert_int_equal(AFTER(CHILD_SPAWNED, CHILD_EXITED), ROSTER_WAITING);
    assert_int_equal(AFTER(CHILD_SPAWNED, CHILD_CONFIRMED, CHILD_EXITED), ROSTER_WAITING);
    assert_int_equal(AFTER(CHILD_SPAWNED, CHILD_EXITED, CHILD_SPAWNED), ROSTER_STARTING);
    assert_int_equal(AFTER(CHILD_EXITED), ROSTER_WAITING); /* it could not even be started */
}

static void test_who_is_dismissed_does_not_come_back_by_itself(void **state)
{
    (void)state;
    assert_int_equal(AFTER(CHILD_SPAWNED, CHILD_DISMISSED, CHILD_CONFIRMED), ROSTER_DRAINING);
    assert_int_equal(AFTER(CHILD_SPAWNED, CHILD_EXITED, CHILD_DISMISSED), ROSTER_GONE);
    assert_int_equal(AFTER(CHILD_SPAWNED, CHILD_DISMISSED, CHILD_EXITED, CHILD_SPAWNED), ROSTER_STARTING);
}

static void test_moves_that_cannot_be(void **state)
{
    (void)state;
    const struct {
        enum roster_state state;
        enum child_event event;
    } cases[] = {
        {ROSTER_UNUSED, CHILD_CONFIRMED}, {ROSTER_UNUSED, CHILD_DISMISSED}, {ROSTER_STARTING, CHILD_SPAWNED},
        {ROSTER_READY, CHILD_SPAWNED},    {ROSTER_DRAINING, CHILD_SPAWNED}, {ROSTER_WAITING, CHILD_CONFIRMED},
        {ROSTER_GONE, CHILD_CONFIRMED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(child_next(cases[i].state, cases[i].event), ROSTER_UNUSED);
}

static void test_waiting_doubles_up_to_half_a_minute(void **state)
{
    (void)state;
    const int64_t delays_ms[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000};
    struct backoff b = {0};
    int64_t now_ms = 5000;
    for (size_t i = 0; i < sizeof delays_ms / sizeof *delays_ms; i++) {
        now_ms += 10;
        assert_int_equal(backoff_exited(&b, now_ms), delays_ms[i]);
        now_ms += delays_ms[i];
        backoff_ready(&b, now_ms);
        now_ms += BACKOFF_HEALTHY_MS - 11; /* not quite a minute of health */
    }
}

static void test_a_minute_of_health_wipes_the_slate(void **state)
{
    (void)state;
    struct backoff b = {0};
    backoff_exited(&b, 0);
    backoff_exited(&b, 0);
    backoff_ready(&b, 1000);
    backoff_ready(&b, 30000); /* a reload's confirmation does not restart the minute */
    assert_int_equal(backoff_exited(&b, 1000 + BACKOFF_HEALTHY_MS), BACKOFF_FIRST_MS);
    assert_int_equal(backoff_exited(&b, 1000 + 2 * BACKOFF_HEALTHY_MS), 2 * BACKOFF_FIRST_MS); /* was never ready */
}

static void test_years_of_failing_do_not_overflow(void **state)
{
    (void)state;
    struct backoff b = {.failure_count = UINT32_MAX - 1};
    assert_int_equal(backoff_exited(&b, 0), BACKOFF_MAX_MS);
}

/* Asks a process that says nothing every second; the time of the verdict, in milliseconds after it was last heard. */
static int64_t lost_after_ms(struct pulse *p, int64_t now_ms)
{
    int64_t start_ms = now_ms;
    do
        now_ms += PULSE_EVERY_MS;
    while (!pulse_is_lost(p, now_ms) && now_ms - start_ms < 100 * PULSE_PATIENCE_MS);
    return now_ms - start_ms;
}

static void test_who_is_silent_for_long_is_lost(void **state)
{
    (void)state;
    struct pulse p = {.heard_at_ms = 5000, .asked_at_ms = 5000};
    assert_int_equal(lost_after_ms(&p, 5000), PULSE_PATIENCE_MS);
}

static void test_one_answer_is_enough(void **state)
{
    (void)state;
    struct pulse p = {.heard_at_ms = 5000, .asked_at_ms = 5000};
    int64_t now_ms = 5000;
    for (; now_ms < 5000 + PULSE_PATIENCE_MS - PULSE_EVERY_MS; now_ms += PULSE_EVERY_MS)
        assert_false(pulse_is_lost(&p, now_ms));
    pulse_heard(&p, now_ms);
    assert_int_equal(lost_after_ms(&p, now_ms), PULSE_PATIENCE_MS);
}

static void test_who_did_not_ask_blames_nobody(void **state)
{
    (void)state;
    struct pulse p = {.heard_at_ms = 5000, .asked_at_ms = 5000};
    int64_t awake_ms = 5000 + 3600000; /* the supervisor itself was stopped */
    assert_false(pulse_is_lost(&p, awake_ms));
    assert_int_equal(lost_after_ms(&p, awake_ms), PULSE_PATIENCE_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_ordinary_life),
        cmocka_unit_test(test_who_dies_undismissed_waits_to_be_started_again),
        cmocka_unit_test(test_who_is_dismissed_does_not_come_back_by_itself),
        cmocka_unit_test(test_moves_that_cannot_be),
        cmocka_unit_test(test_waiting_doubles_up_to_half_a_minute),
        cmocka_unit_test(test_a_minute_of_health_wipes_the_slate),
        cmocka_unit_test(test_years_of_failing_do_not_overflow),
        cmocka_unit_test(test_who_is_silent_for_long_is_lost),
        cmocka_unit_test(test_one_answer_is_enough),
        cmocka_unit_test(test_who_did_not_ask_blames_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
