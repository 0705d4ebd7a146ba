/* Sessions of graphql-transport-ws that are moved to another server. */
#include "tests/unit/gateway/realtime/graphql_script.h"

static void test_a_move_has_no_gap_and_no_copies(void **state)
{
    (void)state;
    struct session *s = open_acked();
    begin(s, SUB_A);
    struct leg *old = s->leg, *next = fake_find(s);
    fake_expect(&next->said, INIT);
    assert_ptr_equal(s->leg, old);
    server(s, next, ACK);
    fake_expect(&next->said, SUB_A);
    assert_ptr_equal(s->leg, next);
    server(s, old, NEXT("a", 1));
    server(s, next, NEXT("a", 1));
    server(s, old, NEXT("a", 2));
    server(s, next, NEXT("a", 2));
    server(s, next, NEXT("a", 2)); /* two equal ones are two */
    fake_lose(s, old);
    fake_advance(s, 1000);
    fake_expect(&s->told, NEXT("a", 1));
    fake_expect(&s->told, NEXT("a", 2));
    fake_expect(&s->told, NEXT("a", 2));
    assert_int_equal(s->counts[STAT_ROUTE_SESSION_DUPLICATES], 2);
    assert_int_equal(s->counts[STAT_ROUTE_SESSION_GAPS], 0);
    fake_advance(s, 20000);
    server(s, next, NEXT("a", 3));
    fake_expect(&s->told, NEXT("a", 3));
    finish(s);
}

static void test_a_move_waits_for_single_results(void **state)
{
    (void)state;
    struct session *s = open_acked();
    begin(s, SUB_A);
    begin(s, MUTATION);
    struct leg *old = s->leg, *next = fake_find(s);
    fake_expect(&next->said, INIT);
    server(s, next, ACK);
    fake_expect(&next->said, SUB_A);
    client(s, SUB_B); /* what begins meanwhile begins on both */
    fake_expect(&next->said, SUB_B);
    fake_expect(&old->said, SUB_B);
    client(s, COMPLETE("a"));
    fake_expect(&next->said, COMPLETE("a"));
    fake_expect(&old->said, COMPLETE("a"));
    assert_ptr_equal(s->leg, old);
    server(s, old, NEXT("m", 1));
    server(s, old, COMPLETE("m"));
    fake_expect(&s->told, NEXT("m", 1));
    fake_expect(&s->told, COMPLETE("m"));
    fake_advance(s, 0);
    assert_ptr_equal(s->leg, next);
    finish(s);
}

static void test_a_move_does_not_wait_for_ever(void **state)
{
    (void)state;
    struct session *s = open_acked();
    begin(s, QUERY);
    begin(s, MUTATION);
    struct leg *old = s->leg, *next = fake_find(s);
    fake_expect(&next->said, INIT);
    server(s, next, ACK);
    fake_advance(s, 8000);
    assert_ptr_equal(s->leg, next);
    server(s, old, NEXT("q", 1)); /* it still delivers */
    fake_expect(&s->told, NEXT("q", 1));
    fake_advance(s, 1000);
    fake_expect(&s->told, COMPLETE("q"));
    fake_expect(&s->told, ERROR("m", "gateway: upstream lost"));
    finish(s);
}

static void test_the_old_server_dies_during_a_move(void **state)
{
    (void)state;
    struct session *s = open_acked();
    begin(s, SUB_A);
    begin(s, QUERY);
    struct leg *next = fake_find(s);
    fake_expect(&next->said, INIT);
    server(s, next, ACK);
    fake_expect(&next->said, SUB_A);
    fake_lose(s, s->leg);
    fake_advance(s, 0);
    assert_true(next->is_restored);
    fake_expect(&next->said, QUERY); /* and not the subscription again */
    server(s, next, NEXT("a", 1));
    fake_expect(&s->told, NEXT("a", 1));
    assert_int_equal(s->counts[STAT_ROUTE_SESSION_GAPS], 0);
    finish(s);

    s = open_acked(); /* earlier: it has not even been greeted */
    begin(s, SUB_A);
    next = fake_find(s);
    fake_expect(&next->said, INIT);
    fake_lose(s, s->leg);
    server(s, next, ACK);
    fake_expect(&next->said, SUB_A);
    assert_true(next->is_restored);
    fake_expect(&s->told, NOTICE);
    finish(s);
}

static void test_a_move_that_fails_changes_nothing(void **state)
{
    (void)state;
    struct session *s = open_acked();
    begin(s, SUB_A);
    begin(s, MUTATION);
    struct leg *old = s->leg, *next = fake_find(s);
    fake_expect(&next->said, INIT);
    server(s, next, ACK);
    fake_expect(&next->said, SUB_A);
    server(s, next, REFUSED("a"));
    assert_true(next->is_failed);
    fake_settle(s);
    assert_ptr_equal(s->leg, old);
    server(s, old, NEXT("a", 1));
    server(s, old, NEXT("a", 1));
    fake_expect(&s->told, NEXT("a", 1));
    fake_expect(&s->told, NEXT("a", 1));
    server(s, old, NEXT("m", 1));
    fake_expect(&s->told, NEXT("m", 1));
    begin(s, COMPLETE("a"));
    finish(s);
}

/* A session with a subscription has moved, and the old server still delivers. */
static struct session *just_moved(struct leg **old, struct leg **next)
{
    struct session *s = open_acked();
    begin(s, SUB_A);
    *old = s->leg;
    *next = fake_find(s);
    fake_expect(&(*next)->said, INIT);
    server(s, *next, ACK);
    fake_expect(&(*next)->said, SUB_A);
    assert_ptr_equal(s->leg, *next);
    return s;
}

static void test_what_the_new_server_brings_first_waits_for_the_old_one(void **state)
{
    (void)state;
    struct leg *old, *next;
    struct session *s = just_moved(&old, &next);
    server(s, next, NEXT("a", 2));
    server(s, next, NEXT("a", 3));
    fake_expect_nothing(&s->told);
    server(s, old, NEXT("a", 1));
    server(s, old, NEXT("a", 2));
    server(s, old, NEXT("a", 3));
    fake_expect(&s->told, NEXT("a", 1));
    fake_expect(&s->told, NEXT("a", 2));
    fake_expect(&s->told, NEXT("a", 3));
    server(s, next, NEXT("a", 4));
    fake_advance(s, 499);
    fake_expect_nothing(&s->told);
    fake_advance(s, 1); /* it does not bring everything */
    fake_expect(&s->told, NEXT("a", 4));
    finish(s);
}

/* The next one has failed, and nobody has been told so yet. */
static void test_what_the_old_server_brings_when_the_new_one_has_failed(void **state)
{
    (void)state;
    struct session *s = open_acked();
    begin(s, SUB_A);
    begin(s, MUTATION);
    struct leg *next = fake_find(s);
    fake_expect(&next->said, INIT);
    server(s, next, ACK);
    fake_expect(&next->said, SUB_A);
    server(s, next, NEXT("a", 1));
    server(s, next, NEXT("a", 2));
    leg_fail(next, LEG_ANOTHER, "by the test");
    server(s, s->leg, NEXT("a", 1));
    fake_expect(&s->told, NEXT("a", 1));
    fake_settle(s);
    server(s, s->leg, NEXT("a", 2));
    fake_expect(&s->told, NEXT("a", 2));
    fake_advance(s, 5000);
    finish(s);
}

static void test_what_waits_for_the_old_server_goes_before_what_follows(void **state)
{
    (void)state;
    struct leg *old, *next;
    struct session *s = just_moved(&old, &next);
    server(s, next, NEXT("a", 1));
    server(s, next, COMPLETE("a"));
    fake_expect(&s->told, NEXT("a", 1));
    fake_expect(&s->told, COMPLETE("a"));
    begin(s, SUB_B); /* which the old one never heard of: nothing waits for it */
    server(s, next, NEXT("b", 1));
    fake_expect(&s->told, NEXT("b", 1));
    finish(s);

    s = just_moved(&old, &next);
    server(s, next, NEXT("a", 1));
    s->old = NULL; /* it is gone */
    server(s, next, NEXT("a", 2));
    fake_expect(&s->told, NEXT("a", 1));
    fake_expect(&s->told, NEXT("a", 2));
    finish(s);

    s = just_moved(&old, &next);
    server(s, next, NEXT("a", 1));
    client(s, COMPLETE("a"));
    fake_expect(&next->said, COMPLETE("a"));
    fake_advance(s, 5000); /* nobody wants it any more */
    finish(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_move_has_no_gap_and_no_copies),
        cmocka_unit_test(test_a_move_waits_for_single_results),
        cmocka_unit_test(test_a_move_does_not_wait_for_ever),
        cmocka_unit_test(test_the_old_server_dies_during_a_move),
        cmocka_unit_test(test_a_move_that_fails_changes_nothing),
        cmocka_unit_test(test_what_the_new_server_brings_first_waits_for_the_old_one),
        cmocka_unit_test(test_what_the_old_server_brings_when_the_new_one_has_failed),
        cmocka_unit_test(test_what_waits_for_the_old_server_goes_before_what_follows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
