/* Phoenix sessions: what kills servers, among what the gateway asks them again and again. */
#include "tests/unit/gateway/realtime/phoenix_script.h"

/* ---- joins ---- */

static void test_3_a_join_after_which_two_servers_were_lost_is_not_made_at_a_third(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    client_says(s, "[\"4\",\"4\",\"other\",\"phx_join\",{}]");
    fake_forget(&s->leg->said);
    dies(s, s->leg);
    struct leg *second = fake_find(s);
    server_got(second, REJOIN("0", ""));
    server_says(s, second, REPLY("g#0", "ok", "{}"));
    server_got(second, "[\"4\",\"4\",\"other\",\"phx_join\",{}]");
    client_got_nothing(s);
    dies(s, second);
    client_got(s, "[\"4\",\"4\",\"other\",\"phx_reply\",{\"status\":\"error\",\"response\":{\"reason\":\"gateway: "
                  "dropped, servers were lost after it\"}}]");
    assert_int_equal(s->counts[STAT_ROUTE_SESSION_POISONED], 1);
    struct leg *third = fake_find(s);
    server_got(third, REJOIN("0", ""));
    server_got_nothing(third);
    ends(s);
}

static void test_3_of_several_joins_the_one_that_kills_servers_is_found(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    joins_other(s);
    dies(s, s->leg);
    struct leg *l = fake_find(s); /* both joins are under way when it dies, */
    fake_forget(&l->said);
    dies(s, l);
    l = fake_find(s); /* and at the next one only the one that does it */
    server_got(l, REJOIN("0", ""));
    server_says(s, l, REPLY("g#0", "ok", "{}"));
    server_got(l, "[\"4\",\"g#1\",\"other\",\"phx_join\",{}]");
    client_got_nothing(s);
    dies(s, l);
    client_got(s, "[\"4\",\"4\",\"other\",\"phx_error\",{}]");
    client_got_nothing(s);
    l = fake_find(s);
    server_got(l, REJOIN("0", ""));
    server_says(s, l, REPLY("g#0", "ok", "{}"));
    assert_true(l->is_restored);
    server_got_nothing(l);
    ends(s);
}

static void test_3_servers_that_refuse_a_join_are_not_killed_by_the_others(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    joins_other(s);
    dies(s, s->leg);
    for (int i = 0; i < 2; i++) {
        struct leg *l = fake_find(s);
        server_got(l, REJOIN("0", ""));
        server_got(l, "[\"4\",\"g#1\",\"other\",\"phx_join\",{}]");
        server_says(s, l, REPLY("g#0", "error", REASON("RealtimeRestarting: soon")));
        assert_true(l->is_failed);
        fake_settle(s);
    }
    client_got_nothing(s);
    ends(s);
}

/* ---- tracks ---- */

#define DROPPED         "gateway: dropped, servers were lost after it"
#define NOT_PRESENT     SYSTEM("gateway", "error", "presence was dropped, servers were lost after it")
#define OTHER_OK(ref)   "[\"4\",\"" ref "\",\"other\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]"
#define OTHER_JOIN(ref) "[\"4\",\"" ref "\",\"other\",\"phx_join\",{}]"
#define OTHER_TRACK(ref)                                                                                               \
    "[\"4\",\"" ref "\",\"other\",\"presence\",{\"type\":\"presence\",\"event\":\"track\",\"payload\":{}}]"

/* The next server has the channel, and is told what it tracks. */
static struct leg *is_told(struct session *s, const char *name)
{
    char track[256];
    struct leg *l = fake_find(s);
    server_got(l, REJOIN("0", ""));
    server_says(s, l, REPLY("g#0", "ok", "{}"));
    (void)snprintf(track, sizeof track, TRACK("g#1", "%s"), name);
    server_got(l, track);
    return l;
}

static struct leg *is_told_no_more(struct session *s)
{
    struct leg *l = fake_find(s);
    server_got(l, REJOIN("0", ""));
    server_says(s, l, REPLY("g#0", "ok", "{}"));
    server_got_nothing(l);
    assert_true(l->is_restored);
    return l;
}

/* A client that is present as Ann, and knows that. */
static struct session *present(void)
{
    struct session *s = JOINED("");
    client_says(s, TRACK("7", "Ann"));
    server_says(s, s->leg, REPLY("7", "ok", "{}"));
    fake_forget(&s->told);
    fake_forget(&s->leg->said);
    return s;
}

static void test_3_a_track_after_which_two_servers_were_lost_is_not_told_a_third(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    client_says(s, TRACK("7", "Ann"));
    fake_forget(&s->leg->said);
    dies(s, s->leg);
    struct leg *l = is_told(s, "Ann");
    client_got_nothing(s);
    dies(s, l);
    client_got(s, REPLY("7", "error", REASON(DROPPED)));
    assert_int_equal(s->counts[STAT_ROUTE_SESSION_POISONED], 1);
    l = is_told_no_more(s);
    client_says(s, PUSH("8", "hello")); /* the channel is as it was, */
    server_got(l, PUSH("8", "hello"));
    client_says(s, TRACK("9", "Bob")); /* and who is present as something else is */
    server_got(l, TRACK("9", "Bob"));
    dies(s, l);
    (void)is_told(s, "Bob");
    ends(s);
}

static void test_3_who_does_not_wait_for_the_answer_hears_of_it_too(void **state)
{
    (void)state;
    struct session *s = present();
    dies(s, s->leg); /* of something else */
    for (int i = 0; i < 2; i++) {
        client_got_nothing(s);
        dies(s, is_told(s, "Ann"));
    }
    client_got(s, NOT_PRESENT);
    assert_int_equal(s->counts[STAT_ROUTE_SESSION_POISONED], 1);
    (void)is_told_no_more(s);
    ends(s);
}

static void test_3_of_several_tracks_the_one_that_kills_servers_is_found(void **state)
{
    (void)state;
    struct session *s = present();
    client_says(s, OTHER_JOIN("4"));
    server_says(s, s->leg, OTHER_OK("4"));
    client_says(s, OTHER_TRACK("5"));
    server_says(s, s->leg, OTHER_OK("5"));
    fake_forget(&s->told);
    dies(s, s->leg);
    struct leg *l = fake_find(s);
    server_got(l, REJOIN("0", ""));
    server_got(l, OTHER_JOIN("g#1"));
    server_says(s, l, REPLY("g#0", "ok", "{}"));
    server_got(l, TRACK("g#2", "Ann"));
    server_says(s, l, OTHER_OK("g#1"));
    server_got(l, OTHER_TRACK("g#3")); /* both tracks are under way when it dies, */
    dies(s, l);
    l = is_told(s, "Ann");
    server_got_nothing(l); /* and at the next one only the one that does it */
    assert_false(l->is_restored);
    server_says(s, l, REPLY("g#1", "ok", "{}"));
    server_got(l, OTHER_JOIN("g#2"));
    server_says(s, l, OTHER_OK("g#2"));
    server_got(l, OTHER_TRACK("g#3"));
    assert_true(l->is_restored);
    dies(s, l);
    client_got(s, "[\"4\",null,\"other\",\"system\",{\"extension\":\"gateway\",\"status\":\"error\",\"message\":"
                  "\"presence was dropped, servers were lost after it\",\"channel\":\"other\"}]");
    l = is_told(s, "Ann");
    server_says(s, l, REPLY("g#1", "ok", "{}"));
    server_got(l, OTHER_JOIN("g#2"));
    server_says(s, l, OTHER_OK("g#2"));
    server_got_nothing(l);
    assert_int_equal(s->counts[STAT_ROUTE_SESSION_POISONED], 1);
    ends(s);
}

static void test_3_a_track_that_a_server_has_answered_is_not_what_it_dies_of(void **state)
{
    (void)state;
    struct session *s = present();
    dies(s, s->leg);
    for (int i = 0; i < 4; i++) {
        struct leg *l = is_told(s, "Ann");
        if (i % 2 == 1)
            server_says(s, l, REPLY("g#1", "ok", "{}"));
        dies(s, l);
    }
    (void)is_told(s, "Ann");
    client_got_nothing(s);
    ends(s);
}

/* Other applications may never answer. */
static void test_3_nor_one_after_which_it_has_lived_on(void **state)
{
    (void)state;
    struct session *s = present();
    client_says(s, OTHER_JOIN("4"));
    server_says(s, s->leg, OTHER_OK("4"));
    fake_forget(&s->told);
    dies(s, s->leg);
    struct leg *l = fake_find(s);
    fake_forget(&l->said);
    dies(s, l);
    l = is_told(s, "Ann");
    time_passes(s, 4999); /* where it is one thing at a time, the others do not wait for ever */
    server_got_nothing(l);
    time_passes(s, 1);
    server_got(l, OTHER_JOIN("g#2"));
    server_says(s, l, OTHER_OK("g#2"));
    assert_true(l->is_restored);
    for (int i = 0; i < 2; i++) {
        dies(s, l);
        l = fake_find(s);
        server_got(l, REJOIN("0", ""));
        server_got(l, OTHER_JOIN("g#1"));
        server_says(s, l, REPLY("g#0", "ok", "{}"));
        server_says(s, l, OTHER_OK("g#1"));
        server_got(l, TRACK("g#2", "Ann"));
        time_passes(s, 5000);
    }
    client_got_nothing(s);
    ends(s);
}

/* The same of servers that are lost before they have all channels: each has had its own time. */
static void test_3_nor_one_after_which_each_has_lived_on_though_not_all_was_restored(void **state)
{
    (void)state;
    struct session *s = present();
    client_says(s, OTHER_JOIN("4"));
    server_says(s, s->leg, OTHER_OK("4"));
    client_says(s, "[\"5\",\"5\",\"third\",\"phx_join\",{}]");
    server_says(s, s->leg, "[\"5\",\"5\",\"third\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]");
    fake_forget(&s->told);
    dies(s, s->leg);
    struct leg *l = fake_find(s);
    fake_forget(&l->said);
    dies(s, l); /* from here on one thing at a time */
    l = is_told(s, "Ann");
    time_passes(s, 5000);
    server_got(l, OTHER_JOIN("g#2"));
    server_says(s, l, OTHER_OK("g#2"));
    server_got(l, "[\"5\",\"g#3\",\"third\",\"phx_join\",{}]");
    dies(s, l); /* of the third channel */
    client_got(s, "[\"5\",\"5\",\"third\",\"phx_error\",{}]");
    l = is_told(s, "Ann");
    time_passes(s, 5000);
    server_got(l, OTHER_JOIN("g#2"));
    assert_false(l->is_restored);
    dies(s, l); /* of the other one, for all that is known */
    (void)is_told(s, "Ann");
    client_got_nothing(s);
    assert_int_equal(s->counts[STAT_ROUTE_SESSION_POISONED], 1);
    ends(s);
}

static void test_3_a_new_track_is_another(void **state)
{
    (void)state;
    struct session *s = JOINED("");
    client_says(s, TRACK("7", "Ann"));
    fake_forget(&s->leg->said);
    dies(s, s->leg);
    client_says(s, TRACK("8", "Bob"));
    dies(s, is_told(s, "Bob"));
    client_says(s, TRACK("9", "Bob")); /* while this is the same */
    dies(s, is_told(s, "Bob"));
    for (const char *const *ref = (const char *const[]){"7", "8", "9", NULL}; *ref != NULL; ref++) {
        char expected[256];
        (void)snprintf(expected, sizeof expected, REPLY("%s", "error", REASON(DROPPED)), *ref);
        client_got(s, expected);
    }
    (void)is_told_no_more(s);
    ends(s);
}

static void test_3_nobody_is_told_again_what_was_taken_back(void **state)
{
    (void)state;
    struct session *s = present();
    dies(s, s->leg);
    struct leg *l = is_told(s, "Ann");
    dies(s, l);
    l = is_told(s, "Ann");
    client_says(s, "[\"3\",\"8\",\"" TOPIC "\",\"presence\",{\"type\":\"presence\",\"event\":\"untrack\"}]");
    fake_forget(&l->said);
    dies(s, l);
    client_got(s, REPLY("8", "ok", "{}"));
    client_got_nothing(s); /* nothing is dropped that is not there any more */
    assert_int_equal(s->counts[STAT_ROUTE_SESSION_POISONED], 0);
    (void)is_told_no_more(s);
    ends(s);
}

static void test_3_servers_that_refuse_a_join_are_not_killed_by_tracks(void **state)
{
    (void)state;
    struct session *s = present();
    client_says(s, OTHER_JOIN("4"));
    server_says(s, s->leg, OTHER_OK("4"));
    fake_forget(&s->told);
    dies(s, s->leg);
    for (int i = 0; i < 2; i++) {
        struct leg *l = fake_find(s);
        server_got(l, REJOIN("0", ""));
        server_got(l, OTHER_JOIN("g#1"));
        server_says(s, l, REPLY("g#0", "ok", "{}"));
        server_got(l, TRACK("g#2", "Ann"));
        server_says(s, l,
                    "[\"4\",\"g#1\",\"other\",\"phx_reply\",{\"status\":\"error\",\"response\":{\"reason\":"
                    "\"RealtimeRestarting: soon\"}}]");
        assert_true(l->is_failed);
        fake_settle(s);
    }
    client_got_nothing(s);
    assert_int_equal(s->counts[STAT_ROUTE_SESSION_POISONED], 0);
    ends(s);
}

static void test_3_a_track_that_the_next_server_of_a_move_has_survived_is_not_dropped(void **state)
{
    (void)state;
    struct session *s = present();
    dies(s, s->leg);
    dies(s, is_told(s, "Ann"));
    struct leg *l = is_told(s, "Ann");
    struct leg *next = fake_find(s); /* a move begins, and becomes the rescue */
    server_got(next, REJOIN("0", ""));
    server_says(s, next, REPLY("g#0", "ok", "{}"));
    server_got(next, TRACK("g#1", "Ann"));
    dies(s, l);
    assert_ptr_equal(s->leg, next);
    server_says(s, next, REPLY("g#1", "ok", "{}"));
    dies(s, next);
    (void)is_told(s, "Ann");
    client_got_nothing(s);
    ends(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_3_a_join_after_which_two_servers_were_lost_is_not_made_at_a_third),
        cmocka_unit_test(test_3_of_several_joins_the_one_that_kills_servers_is_found),
        cmocka_unit_test(test_3_servers_that_refuse_a_join_are_not_killed_by_the_others),
        cmocka_unit_test(test_3_a_track_after_which_two_servers_were_lost_is_not_told_a_third),
        cmocka_unit_test(test_3_who_does_not_wait_for_the_answer_hears_of_it_too),
        cmocka_unit_test(test_3_of_several_tracks_the_one_that_kills_servers_is_found),
        cmocka_unit_test(test_3_a_track_that_a_server_has_answered_is_not_what_it_dies_of),
        cmocka_unit_test(test_3_nor_one_after_which_it_has_lived_on),
        cmocka_unit_test(test_3_nor_one_after_which_each_has_lived_on_though_not_all_was_restored),
        cmocka_unit_test(test_3_a_new_track_is_another),
        cmocka_unit_test(test_3_nobody_is_told_again_what_was_taken_back),
        cmocka_unit_test(test_3_servers_that_refuse_a_join_are_not_killed_by_tracks),
        cmocka_unit_test(test_3_a_track_that_the_next_server_of_a_move_has_survived_is_not_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
