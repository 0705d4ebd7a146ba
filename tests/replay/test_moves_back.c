/* Planned moves that configurations and tiers of servers are the reason for. */
#include "tests/replay/moving.h"

/* ---- configurations ---- */

static void a_configuration_that_drains_a_server(void **state)
{
    static struct world w;
    (void)state;
    world_open(&w, LISTEN POOL(A) ROUTE("move: { rate: 0 }"));
    come_many(&w, 4);
    rig_reload(&w.rig, LISTEN POOL(A_DRAINED "," B) ROUTE("move: { rate: 0 }"));
    pass(&w, 1000);
    assert_int_equal(count_on(&w, 0), 0);
    assert_int_equal(count_on(&w, 1), 4);
    expect_untouched(&w);
    world_close(&w);
}

static void a_configuration_without_the_server(void **state)
{
    static struct world w;
    (void)state;
    world_open(&w, LISTEN "drain: { time: 5s }\n" POOL(A) ROUTE("move: { rate: 2 }"));
    come_many(&w, 8);
    rig_reload(&w.rig, LISTEN "drain: { time: 5s }\n" POOL(B) ROUTE("move: { rate: 2 }"));
    pass(&w, 2000);
    assert_in_range(count_on(&w, 1), 4, 5);
    expect_untouched(&w);
    pass(&w, 4000);
    assert_int_equal(count_on(&w, 0), 0);
    assert_int_equal(count_on(&w, 1), 8);
    expect_untouched(&w);
    world_close(&w);
}

/* The pace would take longer than a drain may: the rest loses the server, and finds another like everybody who does. */
static void those_that_wait_at_the_end_of_the_drain_fail_over(void **state)
{
    static struct world w;
    (void)state;
    world_open(&w, LISTEN "drain: { time: 5s }\n" POOL(A) ROUTE("move: { rate: 1 }"));
    come_many(&w, 12);
    rig_reload(&w.rig, LISTEN "drain: { time: 5s }\n" POOL(B) ROUTE("move: { rate: 1 }"));
    pass(&w, 4500);
    assert_in_range(count_on(&w, 1), 4, 6);
    pass(&w, 1500);
    assert_int_equal(count_on(&w, 0), 0);
    assert_int_equal(count_on(&w, 1), 12);
    for (uint32_t i = 0; i < w.client_count; i++)
        assert_false(w.clients[i].is_closed);
    world_close(&w);
}

/* ---- back to a better tier ---- */

static void fail_over_to_backup(struct world *w, uint32_t count)
{
    judge(w, "rt/a", VERDICT_UP, false);
    judge(w, "rt/b", VERDICT_UP, false);
    come_many(w, count);
    assert_int_equal(count_on(w, 0), count);
    judge(w, "rt/a", VERDICT_DOWN, false);
    pass(w, 10000);
    assert_int_equal(count_on(w, 0), 0);
    assert_int_equal(count_on(w, 1), count);
    for (uint32_t i = 0; i < count; i++)
        w->clients[i].heard_count = 1; /* a loss may have been told of; what follows is none */
}

static void sessions_go_back_at_the_pace(void **state)
{
    static struct world w;
    (void)state;
    world_open(&w, LISTEN POOL(A "," B_BACKUP) ROUTE("move: { rate: 2 }"));
    fail_over_to_backup(&w, 6);
    judge(&w, "rt/a", VERDICT_UP, false);
    pass(&w, 1500);
    assert_in_range(count_on(&w, 0), 2, 4);
    pass(&w, 3000);
    assert_int_equal(count_on(&w, 0), 6);
    assert_int_equal(count_on(&w, 1), 0);
    expect_untouched(&w);
    expect_served(&w, 0);
    world_close(&w);
}

static void sessions_stay_where_the_route_says_so(void **state)
{
    static struct world w;
    (void)state;
    world_open(&w, LISTEN POOL(A "," B_BACKUP) ROUTE("move: { fail_back: never }"));
    fail_over_to_backup(&w, 4);
    judge(&w, "rt/a", VERDICT_UP, false);
    pass(&w, 20000);
    assert_int_equal(count_on(&w, 0), 0);
    expect_untouched(&w);
    judge(&w, "rt/b", VERDICT_UP, true); /* a drain is another matter */
    pass(&w, 2000);
    assert_int_equal(count_on(&w, 0), 4);
    expect_untouched(&w);
    world_close(&w);
}

/* The server died without the checker having noticed: sessions do not try to go back to it at once. */
static void nobody_goes_back_before_the_checker_knows(void **state)
{
    static struct world w;
    (void)state;
    world_open(&w, LISTEN POOL(A "," B_BACKUP) ROUTE("move: { rate: 0 }"));
    judge(&w, "rt/a", VERDICT_UP, false);
    come_many(&w, 3);
    const uint32_t link_count = w.link_count;
    for (uint32_t i = 0; i < link_count; i++) {
        (void)close(w.links[i].fd);
        w.links[i].fd = -1;
    }
    /* Its listening socket still is: who asked would be counted. */
    int tried = 0;
    for (int i = 0; i < 16; i++) {
        rig_advance(&w.rig, STEP_MS);
        while (rig_has_waiting(&w.rig, 0)) {
            (void)close(rig_accept(&w.rig, 0));
            tried++;
        }
        work(&w);
    }
    assert_int_equal(count_on(&w, 1), 3);
    assert_in_range(tried, 0, 3); /* of those that had lost it, and had to go somewhere */
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_configuration_that_drains_a_server),
        cmocka_unit_test(a_configuration_without_the_server),
        cmocka_unit_test(those_that_wait_at_the_end_of_the_drain_fail_over),
        cmocka_unit_test(sessions_go_back_at_the_pace),
        cmocka_unit_test(sessions_stay_where_the_route_says_so),
        cmocka_unit_test(nobody_goes_back_before_the_checker_knows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
