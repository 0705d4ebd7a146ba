/* The retry budget: a share of the traffic, a floor for the quiet, and a window that forgets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/upstream/budget.h"

static const struct budget_limits fifth = {.percent = 20, .floor_per_s = 0};

static uint32_t retries_granted(struct budget *b, const struct budget_limits *l, uint32_t asked, int64_t now_ms)
{
    uint32_t granted = 0;
    for (uint32_t i = 0; i < asked; i++)
        granted += budget_may_retry(b, l, now_ms);
    return granted;
}

static void requests(struct budget *b, uint32_t count, int64_t now_ms)
{
    for (uint32_t i = 0; i < count; i++)
        budget_request(b, now_ms);
}

static void retries_are_a_share_of_the_requests(void **state)
{
    (void)state;
    struct budget b = {0};
    requests(&b, 100, 50000);
    assert_int_equal(retries_granted(&b, &fifth, 100, 50000), 20);
    requests(&b, 9, 51000); /* the tenth buys nothing yet: whole retries only */
    assert_int_equal(retries_granted(&b, &fifth, 10, 51000), 1);
}

static void a_quiet_pool_has_its_floor(void **state)
{
    (void)state;
    const struct budget_limits l = {.percent = 20, .floor_per_s = 2};
    struct budget b = {0};
    requests(&b, 1, 7000);
    assert_int_equal(retries_granted(&b, &l, 100, 7000), 2 * BUDGET_WINDOW_S);
}

static void the_window_forgets(void **state)
{
    (void)state;
    struct budget b = {0};
    requests(&b, 100, 3000);
    assert_int_equal(retries_granted(&b, &fifth, 100, 3000), 20);
    requests(&b, 50, 8000);
    assert_int_equal(retries_granted(&b, &fifth, 100, 12999), 10); /* 150 requests, 20 retries made */
    assert_int_equal(retries_granted(&b, &fifth, 100, 13000), 0);  /* 50 requests, 10 retries */
    requests(&b, 50, 13000);
    assert_int_equal(retries_granted(&b, &fifth, 100, 13000), 10);
    assert_int_equal(retries_granted(&b, &fifth, 100, 900000), 0); /* and after a long silence nothing is left */
}

static void without_share_and_floor_nothing_is_retried(void **state)
{
    (void)state;
    const struct budget_limits none = {0};
    struct budget b = {0};
    requests(&b, 1000, 1000);
    assert_false(budget_may_retry(&b, &none, 1000));
}

static void a_clock_that_jumps_back_is_no_new_window(void **state)
{
    (void)state;
    struct budget b = {0};
    requests(&b, 100, 20000);
    assert_int_equal(retries_granted(&b, &fifth, 100, 19000), 20);
    assert_int_equal(retries_granted(&b, &fifth, 100, 20500), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retries_are_a_share_of_the_requests),
        cmocka_unit_test(a_quiet_pool_has_its_floor),
        cmocka_unit_test(the_window_forgets),
        cmocka_unit_test(without_share_and_floor_nothing_is_retried),
        cmocka_unit_test(a_clock_that_jumps_back_is_no_new_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
