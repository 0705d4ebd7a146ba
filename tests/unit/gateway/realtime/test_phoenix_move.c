/* Planned moves: the corner cases of two servers at once. */
#include "tests/unit/gateway/realtime/phoenix_script.h"

#define DIFF "[null,null,\"" TOPIC "\",\"presence_diff\",{\"joins\":{},\"leaves\":{}}]"

static void test_10_present_on_the_next_server_before_the_old_one_goes(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    client_says(s, TRACK("7", "Ann"));
    server_says(s, s->leg, REPLY("7", "ok", "{}"));
    fake_forget(&s->told);
    fake_forget(&s->leg->said);
    struct leg *old = s->leg, *next = moves(s, REJOIN("0", ""));
    server_got(next, TRACK("g#1", "Ann"));
    server_says(s, next, REPLY("g#1", "ok", "{}"));
    assert_ptr_equal(s->leg, old);
    server_says(s, old, BEAT_REPLY("g#9"));
    assert_ptr_equal(s->leg, next);
    server_got_nothing(old); /* no leave, no untrack: its WebSocket just closes */
    client_got_nothing(s);
    ends(s);
}

static void test_10_pushes_wait_for_the_old_servers_last_word_and_go_to_the_next(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    struct leg *old = s->leg, *next = fake_find(s);
    server_got(next, REJOIN("0", ""));
    client_says(s, BROADCAST("7")); /* the old one serves until then, and hands it on */
    server_got(old, BROADCAST("7"));
    server_says(s, next, REPLY("g#0", "ok", "{}"));
    server_got(old, BEAT("g#9"));
    client_says(s, BROADCAST("8"));
    server_got_nothing(old);
    server_got_nothing(next);
    server_says(s, next, HEARD("7"));
    client_got_nothing(s);
    server_says(s, old, BEAT_REPLY("g#9"));
    server_got(next, BROADCAST("8"));
    client_says(s, BROADCAST("9"));
    server_got(next, BROADCAST("9"));
    server_got_nothing(old);
    ends(s);
}

static void test_10_a_push_that_never_comes_back_is_not_waited_for_for_long(void **state)
{
    (void)state;
    struct session *s = joined_with("[\"3\",\"3\",\"" TOPIC "\",\"phx_join\",{}]", REPLY("3", "ok", "{}"));
    struct leg *old = s->leg, *next = fake_find(s);
    server_got(next, "[\"3\",\"g#0\",\"" TOPIC "\",\"phx_join\",{}]");
    client_says(s, PUSH("7", "count"));
    server_says(s, next, REPLY("g#0", "ok", "{}"));
    server_got(old, PUSH("7", "count"));
    server_got(old, BEAT("g#9"));
    server_says(s, old, BEAT_REPLY("g#9"));
    time_passes(s, 499);
    assert_ptr_equal(s->next, next);
    time_passes(s, 1);
    assert_ptr_equal(s->leg, next);
    ends(s);
}

/* Who listens to the next server would hear what is pushed there before what is still on its way from the old one. */
static void test_10_pushes_wait_until_the_last_one_has_reached_the_next_server(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    struct leg *old = s->leg, *next = fake_find(s);
    server_got(next, REJOIN("0", ""));
    client_says(s, BROADCAST("6"));
    client_says(s, BROADCAST("7"));
    server_says(s, next, REPLY("g#0", "ok", "{}"));
    fake_forget(&old->said);
    client_says(s, BROADCAST("8"));
    server_says(s, old, BEAT_REPLY("g#9"));
    server_says(s, next, HEARD("6"));
    time_passes(s, 200);
    server_got_nothing(next);
    server_says(s, next, HEARD("7"));
    time_passes(s, 0);
    server_got(next, BROADCAST("8"));
    client_got_nothing(s);
    ends(s);
}

/* The same of what was pushed before the next server was asked: it may not have been there yet when that came. But
 * nothing waits until it is known that it does not come. */
static void test_10_what_was_pushed_before_the_next_server_was_asked_has_reached_it(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    struct leg *old = s->leg;
    client_says(s, BROADCAST("6"));
    time_passes(s, 100);
    struct leg *next = fake_find(s);
    server_got(next, REJOIN("0", ""));
    server_says(s, next, REPLY("g#0", "ok", "{}"));
    fake_forget(&old->said);
    time_passes(s, 399);
    server_got_nothing(old);
    time_passes(s, 1);
    server_got(old, BEAT("g#9"));
    client_says(s, BROADCAST("7"));
    server_got_nothing(old);
    server_says(s, old, BEAT_REPLY("g#9"));
    server_got(next, BROADCAST("7"));
    ends(s);
}

static void test_10_an_old_server_that_says_nothing_is_not_waited_for(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    struct leg *next = moves(s, REJOIN("0", ""));
    time_passes(s, 1999);
    assert_ptr_equal(session_next_leg(s), next);
    time_passes(s, 1);
    assert_ptr_equal(s->leg, next);
    ends(s);
}

static void test_10_answers_of_the_old_server_still_come(void **state)
{
    (void)state;
    struct session *s = JOINED(ACKS);
    struct leg *old = s->leg;
    client_says(s, BROADCAST("7"));
    server_got(old, BROADCAST("7"));
    time_passes(s, 500); /* all servers have heard of it, or never will */
    (void)moves(s, REJOIN("0", ACKS));
    server_says(s, old, BEAT_REPLY("g#9"));
    server_says(s, old, REPLY("7", "ok", "{}"));
    client_got(s, REPLY("7", "ok", "{}"));
    server_says(s, old, ENDED("phx_close")); /* it goes, and that is nobody's business */
    server_says(s, old, ENDED("phx_error"));
    ends(s);
}

static void test_a_move_goes_on_without_the_channel_it_waited_for(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    joins_other(s);
    struct leg *old = s->leg, *next = fake_find(s);
    server_got(next, REJOIN("0", ""));
    server_got(next, "[\"4\",\"g#1\",\"other\",\"phx_join\",{}]");
    server_says(s, next, "[\"4\",\"g#1\",\"other\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]");
    time_passes(s, 1000);
    server_got_nothing(old);
    server_says(s, old, SYSTEM("system", "error", "Token has expired 5 seconds ago"));
    server_says(s, old, ENDED("phx_close"));
    fake_forget(&s->told);
    time_passes(s, 0);
    server_got(old, BEAT("g#9"));
    server_says(s, old, BEAT_REPLY("g#9"));
    assert_ptr_equal(s->leg, next);
    fake_forget(&next->said);
    ends(s);
}

static void test_a_move_that_found_no_server_leaves_nothing_behind(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    s->protocol->on_moving(s->speaker, true);
    server_says(s, s->leg, HEARD("1"));
    client_got(s, HEARD("1"));
    s->protocol->on_moving(s->speaker, false);
    server_says(s, s->leg, HEARD("1")); /* the same, said once more */
    client_got(s, HEARD("1"));
    ends(s);
}

static void test_a_second_move_soon_after_the_first_is_a_move_like_it(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    struct leg *first = s->leg, *second = moves(s, REJOIN("0", ""));
    server_says(s, first, HEARD("1")); /* the other never brings it: it is remembered for long */
    client_got(s, HEARD("1"));
    server_says(s, first, BEAT_REPLY("g#9"));
    time_passes(s, 3000);
    struct leg *third = moves(s, REJOIN("0", ""));
    server_says(s, second, HEARD("2"));
    client_got(s, HEARD("2"));
    server_says(s, third, HEARD("2"));
    server_says(s, third, HEARD("3"));
    client_got_nothing(s);
    server_says(s, second, BEAT_REPLY("g#9"));
    server_says(s, second, HEARD("3"));
    client_got(s, HEARD("3"));
    server_says(s, second, HEARD("4"));
    client_got(s, HEARD("4"));
    server_says(s, third, HEARD("4"));
    client_got_nothing(s);
    ends(s);
}

/* Listening to changes, and moving: joined on the next server, where they do not flow yet. */
static struct leg *moves_with_changes(struct session *s)
{
    server_says(s, s->leg, READY);
    client_got(s, READY);
    struct leg *next = fake_find(s);
    server_got(next, REJOIN("0", CHANGES));
    server_says(s, next, REPLY("g#0", "ok", LISTED));
    server_got_nothing(s->leg);
    return next;
}

static void test_7_the_old_server_serves_until_changes_flow_on_the_next(void **state)
{
    (void)state;
    struct session *s = joined_with(JOIN(CHANGES), REPLY("3", "ok", LISTED));
    struct leg *old = s->leg, *next = moves_with_changes(s);
    client_says(s, BROADCAST("7"));
    server_got(old, BROADCAST("7"));
    time_passes(s, 3000);
    server_got_nothing(old);
    server_says(s, next, READY);
    server_got(old, BEAT("g#9"));
    server_says(s, old, BEAT_REPLY("g#9"));
    assert_ptr_equal(s->leg, next);
    time_passes(s, 60000);
    client_got_nothing(s); /* nothing was missed */
    ends(s);
}

static void test_7_changes_that_do_not_flow_are_not_waited_for_for_ever(void **state)
{
    (void)state;
    struct session *s = joined_with(JOIN(CHANGES), REPLY("3", "ok", LISTED));
    struct leg *old = s->leg, *next = moves_with_changes(s);
    s->conf.gap = GAP_NOTICE;
    time_passes(s, 7999);
    server_got_nothing(old);
    time_passes(s, 1);
    server_got(old, BEAT("g#9"));
    server_says(s, old, BEAT_REPLY("g#9"));
    assert_ptr_equal(s->leg, next);
    client_got_nothing(s);
    server_says(s, next, READY);
    client_got(s, RESUMED);
    ends(s);
}

static void test_7_an_old_server_that_dies_before_changes_flow_leaves_a_gap(void **state)
{
    (void)state;
    struct session *s = joined_with(JOIN(CHANGES), REPLY("3", "ok", LISTED));
    struct leg *next = moves_with_changes(s);
    s->conf.gap = GAP_NOTICE;
    dies(s, s->leg);
    assert_ptr_equal(s->leg, next);
    client_got_nothing(s);
    server_says(s, next, READY);
    client_got(s, RESUMED);
    ends(s);
}

static void test_7_who_never_heard_that_changes_flow_hears_it_from_the_next(void **state)
{
    (void)state;
    struct session *s = joined_with(JOIN(CHANGES), REPLY("3", "ok", LISTED));
    struct leg *old = s->leg, *next = fake_find(s);
    server_got(next, REJOIN("0", CHANGES));
    server_says(s, next, REPLY("g#0", "ok", LISTED));
    server_says(s, next, READY);
    client_got(s, READY);
    server_got(old, BEAT("g#9"));
    ends(s);
}

/* Its state may be older than what the old server has told: the change of which it is to learn is then no copy. */
static void test_presence_is_the_next_servers_from_its_state_on(void **state)
{
    (void)state;
    static const char presence[] = "[\"3\",null,\"" TOPIC "\",\"presence_state\",{\"a\":{\"metas\":[]}}]";
    struct session *s = JOINED("");
    struct leg *old = s->leg, *next = moves(s, REJOIN("0", ""));
    server_says(s, old, DIFF);
    client_got(s, DIFF);
    server_says(s, next, presence);
    client_got(s, presence);
    server_says(s, next, DIFF);
    client_got(s, DIFF);
    server_says(s, old, DIFF);
    client_got_nothing(s);
    server_says(s, next, READY);
    client_got_nothing(s);
    server_says(s, old, BEAT_REPLY("g#9"));
    server_says(s, old, DIFF);
    server_says(s, old, presence);
    client_got_nothing(s);
    server_says(s, next, DIFF);
    client_got(s, DIFF);
    time_passes(s, 60000);
    server_says(s, next, DIFF);
    client_got(s, DIFF);
    ends(s);
}

static void test_token_and_presence_of_meanwhile_reach_both(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    struct leg *old = s->leg, *next = fake_find(s);
    client_says(s, "[\"4\",\"4\",\"other\",\"phx_join\",{}]");
    server_got(next, REJOIN("0", ""));
    server_says(s, next, REPLY("g#0", "ok", "{}"));
    fake_forget(&old->said);
    client_says(s, "[\"3\",\"7\",\"" TOPIC "\",\"access_token\",{\"access_token\":\"J2\"}]");
    client_says(s, TRACK("8", "Ann"));
    server_got(old, "[\"3\",\"7\",\"" TOPIC "\",\"access_token\",{\"access_token\":\"J2\"}]");
    server_got(old, TRACK("8", "Ann"));
    server_got(next, "[\"3\",\"g#1\",\"" TOPIC "\",\"access_token\",{\"access_token\":\"J2\"}]");
    server_got(next, TRACK("g#2", "Ann"));
    client_says(s, LEAVE("9"));
    server_got(old, LEAVE("9"));
    server_got(next, LEAVE("g#3"));
    server_says(s, old, REPLY("9", "ok", "{}"));
    client_got(s, REPLY("9", "ok", "{}"));
    server_says(s, old, ENDED("phx_close"));
    client_got(s, ENDED("phx_close"));
    ends(s);
}

static void test_next_server_that_refuses_is_given_up(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    struct leg *next = fake_find(s);
    server_got(next, REJOIN("0", ""));
    server_says(s, next, REPLY("g#0", "error", REASON("RealtimeRestarting: Realtime is restarting")));
    assert_true(next->is_failed);
    assert_int_equal(next->fault, LEG_ANOTHER);
    fake_settle(s);
    client_says(s, BROADCAST("7"));
    server_got(s->leg, BROADCAST("7"));
    ends(s);
}

static void test_old_server_dies_during_the_move(void **state)
{
    (void)state;
    struct session *s = JOINED(ACKS);
    struct leg *old = s->leg, *next = moves(s, REJOIN("0", ACKS));
    client_says(s, BROADCAST("7"));
    dies(s, old);
    assert_ptr_equal(s->leg, next);
    assert_true(next->is_restored);
    server_got(next, BROADCAST("7"));
    server_says(s, next, REPLY("7", "ok", "{}"));
    client_got(s, REPLY("7", "ok", "{}"));
    ends(s);
}

static void test_next_server_dies_during_the_move(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    struct leg *old = s->leg, *next = moves(s, REJOIN("0", ""));
    client_says(s, BROADCAST("7"));
    server_got_nothing(old);
    fake_lose(s, next);
    server_got(old, BROADCAST("7"));
    server_says(s, old, BEAT_REPLY("g#9"));
    assert_ptr_equal(s->leg, old);
    ends(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_10_present_on_the_next_server_before_the_old_one_goes),
        cmocka_unit_test(test_10_pushes_wait_for_the_old_servers_last_word_and_go_to_the_next),
        cmocka_unit_test(test_10_pushes_wait_until_the_last_one_has_reached_the_next_server),
        cmocka_unit_test(test_10_a_push_that_never_comes_back_is_not_waited_for_for_long),
        cmocka_unit_test(test_10_what_was_pushed_before_the_next_server_was_asked_has_reached_it),
        cmocka_unit_test(test_10_an_old_server_that_says_nothing_is_not_waited_for),
        cmocka_unit_test(test_10_answers_of_the_old_server_still_come),
        cmocka_unit_test(test_a_move_goes_on_without_the_channel_it_waited_for),
        cmocka_unit_test(test_a_move_that_found_no_server_leaves_nothing_behind),
        cmocka_unit_test(test_a_second_move_soon_after_the_first_is_a_move_like_it),
        cmocka_unit_test(test_7_the_old_server_serves_until_changes_flow_on_the_next),
        cmocka_unit_test(test_7_changes_that_do_not_flow_are_not_waited_for_for_ever),
        cmocka_unit_test(test_7_an_old_server_that_dies_before_changes_flow_leaves_a_gap),
        cmocka_unit_test(test_7_who_never_heard_that_changes_flow_hears_it_from_the_next),
        cmocka_unit_test(test_presence_is_the_next_servers_from_its_state_on),
        cmocka_unit_test(test_token_and_presence_of_meanwhile_reach_both),
        cmocka_unit_test(test_next_server_that_refuses_is_given_up),
        cmocka_unit_test(test_old_server_dies_during_the_move),
        cmocka_unit_test(test_next_server_dies_during_the_move),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
