/* A server that is about to go refuses joins: they are made elsewhere, and all else goes on where it is until then. */
#include "tests/replay/phoenix_talk.h"

#define RESTARTING              "{\"status\":\"error\",\"response\":{\"reason\":\"RealtimeRestarting: please standby\"}}"
#define NO_SERVER               "{\"status\":\"error\",\"response\":{\"reason\":\"gateway: no server\"}}"
#define IN_OTHER(n)             "[\"5" n "\",\"5" n "\",\"other" n "\","
#define JOIN_OTHER(n)           IN_OTHER(n) "\"phx_join\",{}]"
#define OTHER_ANSWER(n, answer) IN_OTHER(n) "\"phx_reply\"," answer "]"
#define CALM                    "gap: silent, heartbeat: 1h, dead_after: 3h"

/* The room's server refuses two more channels. */
static void world_open_refused(struct world *w)
{
    world_open(w, YAML(CALM));
    says(&w->client, JOIN_OTHER("1"));
    says(&w->client, JOIN_OTHER("2"));
    gets(&w->server, JOIN_OTHER("1"));
    gets(&w->server, JOIN_OTHER("2"));
    says(&w->server, OTHER_ANSWER("1", RESTARTING));
    says(&w->server, OTHER_ANSWER("2", RESTARTING));
    gets_nothing(&w->client);
}

/* What is said arrives both ways: no message is lost, and none is late. */
static void serves(struct world *w, struct side *server, const char *push, const char *ok, const char *heard)
{
    says(server, heard);
    gets(&w->client, heard);
    says(&w->client, push);
    gets(server, push);
    says(server, ok);
    gets(&w->client, ok);
}

static void joins_that_a_restarting_server_refuses_are_made_elsewhere_and_it_serves_until_then(void **state)
{
    struct world w;
    char first[OWN_BYTES], second[OWN_BYTES], beat[OWN_BYTES];
    (void)state;
    world_open_refused(&w);
    struct side old = w.server, next = server_asked(&w.rig);
    serves(&w, &old, PUSH("6"), OK("6"), HEARD("1"));
    GETS_JOIN(&next);
    gets_asked(&next, "\"51\"", "other1", "phx_join", "{}", first);
    gets_asked(&next, "\"52\"", "other2", "phx_join", "{}", second);
    GETS_TRACK(&next); /* present on both: nobody sees it leave */
    answers(&next, "\"51\"", first, "other1", IS_OK);
    gets(&w.client, OTHER_ANSWER("1", IS_OK));
    serves(&w, &old, PUSH("7"), OK("7"), HEARD("2"));
    answers(&next, "\"52\"", second, "other2", IS_OK);
    gets(&w.client, OTHER_ANSWER("2", IS_OK));
    gets_asked(&old, "null", "phoenix", "heartbeat", "{}", beat);
    says(&old, HEARD("3"));
    says(&next, HEARD("7")); /* pushed there, and now it is here */
    answers(&old, "null", beat, "phoenix", IS_OK);
    gets(&w.client, HEARD("3"));
    rig_advance(&w.rig, 500); /* the old one brings nothing more */
    serves(&w, &next, PUSH("8"), OK("8"), HEARD("4"));
    assert_false(is_any_asked(&w.rig)); /* one move for all */
    (void)close(old.fd);
    w.server = next;
    world_close(&w);
}

/* No other server has them: that is tried now and then, and the client is told before it stops waiting. */
static void joins_that_all_servers_refuse_are_refused_in_time_and_the_session_stays(void **state)
{
    struct world w;
    unsigned asked_count = 0;
    char ref[OWN_BYTES];
    (void)state;
    world_open_refused(&w);
    for (int64_t at_ms = 0; at_ms < 7900; at_ms += 100) {
        rig_advance(&w.rig, 100);
        if (!is_any_asked(&w.rig))
            continue;
        struct side next = server_asked(&w.rig);
        gets_own(&next, "phx_join", JOINS, false);
        gets_asked(&next, "\"51\"", "other1", "phx_join", "{}", ref);
        answers(&next, "\"51\"", ref, "other1", RESTARTING);
        sim_settle(w.rig.loop);
        (void)close(next.fd);
        asked_count++;
    }
    assert_in_range(asked_count, 2, 4); /* at once, then after pauses that grow */
    serves(&w, &w.server, PUSH("6"), OK("6"), HEARD("1"));
    rig_advance(&w.rig, 200);
    gets(&w.client, OTHER_ANSWER("1", NO_SERVER));
    gets(&w.client, OTHER_ANSWER("2", NO_SERVER));
    serves(&w, &w.server, PUSH("7"), OK("7"), HEARD("2"));
    world_close(&w);
}

/* It said that it restarts, and is still there after half a minute: then it is believed no longer. */
static void a_server_that_does_not_restart_after_all_is_kept(void **state)
{
    struct world w;
    int64_t last_ms = 0;
    (void)state;
    world_open_refused(&w);
    for (int64_t at_ms = 0; at_ms < 90000; at_ms += 100) {
        rig_advance(&w.rig, 100);
        if (!is_any_asked(&w.rig))
            continue;
        struct side next = server_asked(&w.rig);
        (void)close(next.fd);
        last_ms = at_ms;
    }
    assert_in_range(last_ms, 10000, 35000);
    gets(&w.client, OTHER_ANSWER("1", NO_SERVER));
    gets(&w.client, OTHER_ANSWER("2", NO_SERVER));
    serves(&w, &w.server, PUSH("6"), OK("6"), HEARD("1"));
    world_close(&w);
}

/* That a server is to be left, which is none any more, does not keep the session on one that has to be left now. */
static void what_a_lost_server_had_announced_is_forgotten_with_it(void **state)
{
    struct world w;
    (void)state;
    world_open_refused(&w);
    rig_stop_server(&w.rig, 2);
    unsigned failed_count = 0;
    for (int64_t at_ms = 0; failed_count < 3; at_ms += 100) { /* the pauses have grown to seconds then */
        assert_true(at_ms < 7000);
        rig_advance(&w.rig, 100);
        if (!is_any_asked(&w.rig))
            continue;
        struct side next = server_asked(&w.rig);
        (void)close(next.fd);
        sim_settle(w.rig.loop);
        failed_count++;
    }
    rig_advance(&w.rig, 100);
    dies(&w.server);
    rig_advance(&w.rig, 100);
    w.server = server_asked(&w.rig);
    GETS_JOIN(&w.server);
    gets(&w.server, JOIN_OTHER("1"));
    gets(&w.server, JOIN_OTHER("2"));
    GETS_TRACK(&w.server);
    says(&w.server, OTHER_ANSWER("1", IS_OK));
    says(&w.server, OTHER_ANSWER("2", IS_OK));
    gets(&w.client, OTHER_ANSWER("1", IS_OK));
    gets(&w.client, OTHER_ANSWER("2", IS_OK));
    comes_up(&w.rig, 2);
    const int slot = slots_find(w.rig.slots, SLOT_SERVER, "rt/b");
    const struct verdict v = {.state = VERDICT_UP, .is_draining = true};
    (void)verdict_adopt(w.rig.verdicts, slot, atomic_load(&w.rig.slots->server[slot].era));
    verdict_write(w.rig.verdicts, slot, &v, &(struct verdict_detail){0});
    rig_advance(&w.rig, 1500);
    assert_true(is_any_asked(&w.rig));
    world_close(&w);
}

/* A server reads nothing while it joins: what is pushed meanwhile it hands on when it refuses, and the next server,
 * which tells its own clients at once, must not get anything before it has heard that. */
static void world_open_blocked(struct world *w, struct side *next)
{
    char ref[OWN_BYTES];
    world_open(w, YAML(CALM));
    says(&w->client, JOIN_OTHER("1"));
    gets(&w->server, JOIN_OTHER("1"));
    says(&w->client, PUSH("6"));
    gets(&w->server, PUSH("6"));
    rig_advance(&w->rig, 900);
    says(&w->server, OTHER_ANSWER("1", RESTARTING));
    says(&w->server, OK("6"));
    gets(&w->client, OK("6"));
    *next = server_asked(&w->rig);
    GETS_JOIN(next);
    gets_asked(next, "\"51\"", "other1", "phx_join", "{}", ref);
    GETS_TRACK(next);
    answers(next, "\"51\"", ref, "other1", IS_OK);
    gets(&w->client, OTHER_ANSWER("1", IS_OK));
    serves(w, &w->server, PUSH("7"), OK("7"), HEARD("1")); /* nothing waits meanwhile */
}

static void world_close_moved(struct world *w, struct side *next)
{
    char beat[OWN_BYTES];
    gets_asked(&w->server, "null", "phoenix", "heartbeat", "{}", beat);
    says(&w->client, PUSH("8"));
    gets_nothing(&w->server);
    gets_nothing(next);
    answers(&w->server, "null", beat, "phoenix", IS_OK);
    gets(next, PUSH("8"));
    says(next, OK("8"));
    gets(&w->client, OK("8"));
    (void)close(w->server.fd);
    w->server = *next;
    world_close(w);
}

static void a_move_waits_for_what_was_pushed_before_it_until_a_later_push_is_heard_there(void **state)
{
    struct world w;
    struct side next;
    (void)state;
    world_open_blocked(&w, &next);
    gets_nothing(&w.server);
    says(&next, HEARD("7"));
    world_close_moved(&w, &next);
}

static void a_move_waits_half_a_second_for_what_was_pushed_before_it(void **state)
{
    struct world w;
    struct side next;
    (void)state;
    world_open_blocked(&w, &next);
    rig_advance(&w.rig, 499);
    gets_nothing(&w.server);
    rig_advance(&w.rig, 1);
    world_close_moved(&w, &next);
}

/* The next server has everything while the old one is still busy with a join. */
static void world_open_busy(struct world *w, struct side *next)
{
    char first[OWN_BYTES], second[OWN_BYTES];
    world_open(w, YAML(CALM));
    says(&w->client, JOIN_OTHER("1"));
    gets(&w->server, JOIN_OTHER("1"));
    says(&w->server, OTHER_ANSWER("1", RESTARTING));
    says(&w->client, JOIN_OTHER("2"));
    gets(&w->server, JOIN_OTHER("2"));
    says(&w->client, PUSH("6"));
    gets(&w->server, PUSH("6"));
    *next = server_asked(&w->rig);
    GETS_JOIN(next);
    gets_asked(next, "\"51\"", "other1", "phx_join", "{}", first);
    gets_asked(next, "\"52\"", "other2", "phx_join", "{}", second);
    GETS_TRACK(next);
    answers(next, "\"51\"", first, "other1", IS_OK);
    answers(next, "\"52\"", second, "other2", IS_OK);
    gets(&w->client, OTHER_ANSWER("1", IS_OK));
    gets(&w->client, OTHER_ANSWER("2", IS_OK));
    rig_advance(&w->rig, 5000);
    gets_nothing(&w->server);
}

static void a_move_waits_for_what_was_pushed_to_a_server_that_reads_it_last_of_all(void **state)
{
    struct world w;
    struct side next;
    (void)state;
    world_open_busy(&w, &next);
    says(&w.server, OTHER_ANSWER("2", RESTARTING));
    says(&w.server, OK("6"));
    gets(&w.client, OK("6"));
    rig_advance(&w.rig, 499);
    gets_nothing(&w.server);
    rig_advance(&w.rig, 1);
    world_close_moved(&w, &next);
}

static void a_move_does_not_wait_for_ever_for_a_server_that_is_busy_joining(void **state)
{
    struct world w;
    struct side next;
    (void)state;
    world_open_busy(&w, &next);
    rig_advance(&w.rig, 999);
    gets_nothing(&w.server);
    rig_advance(&w.rig, 1);
    world_close_moved(&w, &next);
}

#define LISTEN "{\"config\":{\"postgres_changes\":[{\"event\":\"*\",\"schema\":\"public\"}]}}"
#define LISTED                                                                                                         \
    "{\"status\":\"ok\",\"response\":{\"postgres_changes\":[{\"id\":7,\"event\":\"*\",\"schema\":\"public\"}]}}"

static void changes_that_never_flow_elsewhere_do_not_keep_a_session_on_a_server_that_goes(void **state)
{
    struct world w;
    char first[OWN_BYTES], second[OWN_BYTES];
    (void)state;
    world_open(&w, YAML(CALM));
    says(&w.client, IN_OTHER("1") "\"phx_join\"," LISTEN "]");
    gets(&w.server, IN_OTHER("1") "\"phx_join\"," LISTEN "]");
    says(&w.server, OTHER_ANSWER("1", LISTED));
    gets(&w.client, OTHER_ANSWER("1", LISTED));
    says(&w.client, JOIN_OTHER("2"));
    gets(&w.server, JOIN_OTHER("2"));
    says(&w.server, OTHER_ANSWER("2", RESTARTING));
    struct side next = server_asked(&w.rig);
    GETS_JOIN(&next);
    gets_asked(&next, "\"51\"", "other1", "phx_join", LISTEN, first);
    gets_asked(&next, "\"52\"", "other2", "phx_join", "{}", second);
    GETS_TRACK(&next);
    answers(&next, "\"51\"", first, "other1", LISTED);
    answers(&next, "\"52\"", second, "other2", IS_OK);
    gets(&w.client, OTHER_ANSWER("2", IS_OK));
    rig_advance(&w.rig, 7999);
    gets_nothing(&w.server);
    rig_advance(&w.rig, 1);
    world_close_moved(&w, &next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joins_that_a_restarting_server_refuses_are_made_elsewhere_and_it_serves_until_then),
        cmocka_unit_test(joins_that_all_servers_refuse_are_refused_in_time_and_the_session_stays),
        cmocka_unit_test(a_server_that_does_not_restart_after_all_is_kept),
        cmocka_unit_test(what_a_lost_server_had_announced_is_forgotten_with_it),
        cmocka_unit_test(a_move_waits_for_what_was_pushed_before_it_until_a_later_push_is_heard_there),
        cmocka_unit_test(a_move_waits_half_a_second_for_what_was_pushed_before_it),
        cmocka_unit_test(a_move_waits_for_what_was_pushed_to_a_server_that_reads_it_last_of_all),
        cmocka_unit_test(a_move_does_not_wait_for_ever_for_a_server_that_is_busy_joining),
        cmocka_unit_test(changes_that_never_flow_elsewhere_do_not_keep_a_session_on_a_server_that_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
