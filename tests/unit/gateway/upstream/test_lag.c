/* Lag: what is late, what follows from it, and for how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/upstream/lag.h"

#define LIMIT 300

static void who_answers_in_time_is_calm(void **state)
{
    struct lag l = {0};
    (void)state;
    assert_int_equal(lag_calm_in_ms(&l, LIMIT, 1), 0); /* nothing is known of it */
    lag_asked(&l, 1000);
    lag_forget(&l);
    lag_answered(&l, LIMIT - 1, LIMIT, 1000 + LIMIT - 1);
    assert_int_equal(lag_calm_in_ms(&l, LIMIT, 1000 + LIMIT - 1), 0);
}

static void who_answered_late_is_not_calm_for_a_moment(void **state)
{
    struct lag l = {0};
    (void)state;
    lag_answered(&l, LIMIT, LIMIT, 5000);
    assert_int_equal(lag_calm_in_ms(&l, LIMIT, 5000), LAG_CALM_MS);
    assert_int_equal(lag_calm_in_ms(&l, LIMIT, 5100), LAG_CALM_MS - 100);
    assert_int_equal(lag_calm_in_ms(&l, LIMIT, 5000 + LAG_CALM_MS), 0);
    lag_answered(&l, 1, LIMIT, 6000); /* in time again */
    assert_int_equal(lag_calm_in_ms(&l, LIMIT, 6000), 0);
}

static void who_owes_an_answer_is_as_late_as_if_it_had_given_it_now(void **state)
{
    struct lag l = {0};
    (void)state;
    lag_asked(&l, 1000);
    lag_asked(&l, 1200); /* the first counts */
    assert_int_equal(lag_calm_in_ms(&l, LIMIT, 1000 + LIMIT - 1), 0);
    assert_int_equal(lag_calm_in_ms(&l, LIMIT, 9000), LAG_CALM_MS);
    assert_int_equal(lag_calm_in_ms(&l, LIMIT, 9000 + LAG_CALM_MS), 0); /* an answer that never comes counts once */
    lag_asked(&l, 20000);
    lag_forget(&l);
    assert_int_equal(lag_calm_in_ms(&l, LIMIT, 29000), 0);
}

static void who_was_found_down_by_its_silence_is_not_calm_when_it_is_back(void **state)
{
    struct lag l = {0};
    (void)state;
    lag_went_down(&l, true);
    assert_int_equal(lag_calm_in_ms(&l, LIMIT, 1000), LAG_CALM_MS); /* it is asked before the checks tell */
    lag_came_up(&l, 2000);
    assert_int_equal(lag_calm_in_ms(&l, LIMIT, 2100), LAG_CALM_MS - 100);
    assert_int_equal(lag_calm_in_ms(&l, LIMIT, 3000), 0);
}

static void who_was_started_anew_has_no_backlog(void **state)
{
    struct lag l = {0};
    (void)state;
    lag_went_down(&l, false); /* nobody listened */
    assert_int_equal(lag_calm_in_ms(&l, LIMIT, 1000), 0);
    lag_came_up(&l, 2000);
    assert_int_equal(lag_calm_in_ms(&l, LIMIT, 2000), 0);
}

static void late_is_what_makes_a_route_ask_another_server(void **state)
{
    (void)state;
    assert_int_equal(lag_limit_ms(&(struct conf_session){.hedge_ms = 1200}), 1200);
    assert_int_equal(lag_limit_ms(&(struct conf_session){.hedge_ms = 0}), LAG_LATE_MS); /* never */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_answers_in_time_is_calm),
        cmocka_unit_test(who_answered_late_is_not_calm_for_a_moment),
        cmocka_unit_test(who_owes_an_answer_is_as_late_as_if_it_had_given_it_now),
        cmocka_unit_test(who_was_found_down_by_its_silence_is_not_calm_when_it_is_back),
        cmocka_unit_test(who_was_started_anew_has_no_backlog),
        cmocka_unit_test(late_is_what_makes_a_route_ask_another_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
