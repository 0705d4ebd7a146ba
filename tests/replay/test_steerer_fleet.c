/* Decisions about DNS by several: majority and tie, leaders who come and go, and all that can part them. */
#include "tests/replay/steering_world.h"

static void the_majority_decides_and_all_follow(void **state)
{
    struct world *w = *state;
    configure_fleet(w, 3);
    assert_int_equal(record(w, 0).role, STEERING_LEADS);
    assert_int_equal(record(w, 1).role, STEERING_FOLLOWS);
    assert_int_equal(record(w, 1).voter_count, 3);
    const uint32_t before = record(w, 1).serial;
    sim_advance(w->loop, 2000);
    probe(w, 0, US, VERDICT_DOWN); /* one of three */
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(answered(w, i, 0), ANSWERS_US);
    assert_true(fleet_of(w, 1)->is_hurried);
    assert_int_equal(first_row(w, 1).ttl_s, 2);
    probe(w, 2, US, VERDICT_DOWN); /* two of three */
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(answered(w, i, 0), ANSWERS_EU);
        assert_int_equal(record(w, i).serial, record(w, 0).serial);
        assert_int_equal(record(w, i).version, record(w, 0).version);
        assert_int_equal(record(w, i).term, 1);
    }
    assert_true(serial_is_newer(record(w, 1).serial, before));
    assert_string_equal(last_event(w, 1, EVENT_DNS)->to, "eu");
}

static void a_tie_leaves_what_was_also_under_a_new_leader(void **state)
{
    struct world *w = *state;
    configure_fleet(w, 2);
    probe(w, 0, US, VERDICT_DOWN);
    probe(w, 1, US, VERDICT_DOWN);
    assert_int_equal(answered(w, 0, 0), ANSWERS_EU);
    probe(w, 0, US, VERDICT_UP); /* one says so, one does not */
    assert_int_equal(answered(w, 0, 0), ANSWERS_EU);
    lead(w, 1);
    assert_int_equal(record(w, 1).role, STEERING_LEADS);
    assert_int_equal(record(w, 0).role, STEERING_FOLLOWS);
    assert_int_equal(answered(w, 0, 0), ANSWERS_EU);
    assert_int_equal(answered(w, 1, 0), ANSWERS_EU);
    assert_int_equal(record(w, 0).term, 2);
    probe(w, 1, US, VERDICT_UP);
    assert_int_equal(answered(w, 0, 0), ANSWERS_US);
}

static void a_new_leader_who_knows_nothing_goes_on_from_the_last_decision(void **state)
{
    struct world *w = *state;
    configure_fleet(w, 1);
    probe(w, 0, US, VERDICT_DOWN);
    const struct steering_record before = record(w, 0);
    assert_int_equal(answered(w, 0, 0), ANSWERS_EU);
    add_node(w, 1); /* never probed anything */
    configure(w, 1, QUORUM, RECORDS WITH_DB);
    fleet_of(w, 1)->is_reached = true;
    mingle(w);
    assert_int_equal(answered(w, 1, 0), ANSWERS_EU);
    remove_node(w, 0);
    lead(w, 1);
    assert_int_equal(record(w, 1).role, STEERING_LEADS);
    assert_int_equal(answered(w, 1, 0), ANSWERS_EU);
    assert_false(serial_is_newer(before.serial, record(w, 1).serial));
    assert_true(w->shared.has_decision);
    assert_int_equal(w->shared.decision.term, 2);
}

/* Nothing remembered, nobody followed, nothing probed: what the leader before decided is all there is. */
static void who_leads_at_once_goes_on_from_the_leader_before(void **state)
{
    struct world *w = *state;
    configure_fleet(w, 1);
    probe(w, 0, EU, VERDICT_DOWN);
    probe(w, 0, US, VERDICT_DOWN);
    assert_int_equal(answered(w, 0, 1), ANSWERS_US); /* fail-static, the last good one */
    const struct steering_record before = record(w, 0);
    remove_node(w, 0);
    add_node(w, 1);
    sim_advance(w->loop, 3000);
    configure(w, 1, QUORUM, RECORDS WITH_DB);
    fleet_of(w, 1)->is_reached = true;
    lead(w, 1);
    assert_int_equal(record(w, 1).role, STEERING_LEADS);
    assert_true(first_row(w, 1).is_last_resort);
    assert_int_equal(answered(w, 1, 1), ANSWERS_US);
    assert_false(serial_is_newer(before.serial, record(w, 1).serial));
    assert_true(record(w, 1).version >= before.version);
    assert_int_equal(w->shared.decision.term, 2);
    probe(w, 1, EU, VERDICT_UP);
    assert_int_equal(answered(w, 1, 1), ANSWERS_EU);
}

/* Redis was away, and comes back with what was decided before: that is not newer than what was found out meanwhile. */
static void what_was_decided_alone_is_not_undone_by_an_older_decision(void **state)
{
    struct world *w = *state;
    configure_fleet(w, 2);
    assert_int_equal(answered(w, 1, 1), ANSWERS_US);
    reach(w, 0, false);
    reach(w, 1, false);
    for (size_t i = 0; i < 2; i++) {
        probe(w, i, US, VERDICT_DOWN);
        probe(w, i, EU, VERDICT_DOWN);
        assert_int_equal(record(w, i).role, STEERING_ALONE);
        assert_int_equal(answered(w, i, 1), ANSWERS_EU); /* fail-static: it stood last */
    }
    reach(w, 0, true);
    reach(w, 1, true);
    lead(w, 1);
    assert_int_equal(record(w, 1).role, STEERING_LEADS);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(answered(w, i, 1), ANSWERS_EU);
}

/* Also what came of words that nobody says any more. */
static void who_is_cut_off_and_left_alone_keeps_it_all(void **state)
{
    struct world *w = *state;
    configure_fleet(w, 2);
    operator_says(w, 1, US, &(struct verdict){.state = VERDICT_UP, .is_draining = true, .checks_left = 2});
    assert_int_equal(answered(w, 0, 0), ANSWERS_EU);
    w->nodes[0]->table.verdicts.cut_off_wall_ms = loop_wall_ms(w->loop);
    remove_node(w, 1);
    mingle(w);
    sim_advance(w->loop, 60000);
    assert_int_equal(record(w, 0).voter_count, 0);
    assert_int_equal(answered(w, 0, 0), ANSWERS_EU);
    w->nodes[0]->table.verdicts.cut_off_wall_ms = 0;
    sim_advance(w->loop, 1000);
    assert_int_equal(answered(w, 0, 0), ANSWERS_US);
}

static void a_leader_of_the_past_is_not_believed(void **state)
{
    struct world *w = *state;
    configure_fleet(w, 2);
    lead(w, 0);
    lead(w, 0);
    struct decision *past = malloc(sizeof *past);
    memcpy(past, &w->shared.decision, sizeof *past);
    assert_int_equal(record(w, 1).term, 3);
    past->term = 2;
    past->version += 100;
    for (size_t i = 0; i < past->row_count; i++)
        past->rows[i].chosen = ANSWERS_EU;
    memcpy(&w->shared.decision, past, sizeof *past);
    mingle(w);
    assert_int_equal(answered(w, 1, 0), ANSWERS_US);
    w->shared.term = 2; /* nor when Redis itself has forgotten, and he is not there to say otherwise */
    w->shared.member[0]->is_reached = false;
    memcpy(&w->shared.decision, past, sizeof *past);
    mingle(w);
    assert_int_equal(answered(w, 1, 0), ANSWERS_US);
    w->shared.term = 3;
    past->term = 3; /* of this term, but a version that is over */
    past->version = 0;
    memcpy(&w->shared.decision, past, sizeof *past);
    mingle(w);
    assert_int_equal(answered(w, 1, 0), ANSWERS_US);
    assert_int_equal(record(w, 1).term, 3);
    free(past);
}

static void redis_away_keeps_the_decision_for_a_lease_then_each_decides_alone(void **state)
{
    struct world *w = *state;
    configure_fleet(w, 2);
    probe(w, 1, US, VERDICT_DOWN); /* the follower alone sees it: a tie */
    assert_int_equal(answered(w, 1, 0), ANSWERS_US);
    w->shared.leader = NULL; /* the lease ran out, nobody takes it; views are still there */
    w->shared.has_decision = false;
    mingle(w);
    sim_advance(w->loop, LIFETIME_MS - 1000);
    assert_int_equal(answered(w, 1, 0), ANSWERS_US);
    assert_int_equal(record(w, 1).role, STEERING_FOLLOWS);
    assert_int_equal(first_row(w, 1).ttl_s, 1); /* nobody knows what comes */
    reach(w, 0, false);                         /* not reached for a lease: fleet_is_connected() says so after one */
    reach(w, 1, false);
    assert_int_equal(record(w, 1).role, STEERING_ALONE);
    assert_int_equal(answered(w, 1, 0), ANSWERS_EU);
    assert_int_equal(answered(w, 0, 0), ANSWERS_US);
    const struct event *e = last_event(w, 1, EVENT_QUORUM);
    assert_int_equal(e->phase, EVENT_BEGINS);
    assert_string_equal(e->subject, "two");
    assert_string_equal(e->from, "follows");
    assert_string_equal(e->to, "alone");
    const uint32_t alone = record(w, 1).serial;

    fleet_of(w, 0)->is_reached = fleet_of(w, 1)->is_reached = true;
    lead(w, 0);
    assert_int_equal(record(w, 1).role, STEERING_FOLLOWS);
    assert_int_equal(answered(w, 1, 0), ANSWERS_US); /* a tie: what the leader goes on from */
    assert_true(serial_is_newer(record(w, 1).serial, alone));
    assert_int_equal(last_event(w, 1, EVENT_QUORUM)->phase, EVENT_ENDS);
}

/* Nobody goes back, so the leader goes ahead: all have one serial again, although no answer changes. */
static void the_serial_of_who_was_alone_is_overtaken(void **state)
{
    struct world *w = *state;
    configure_fleet(w, 2);
    reach(w, 0, false);
    reach(w, 1, false);
    sim_advance(w->loop, 60000);
    probe(w, 1, US, VERDICT_DOWN);
    probe(w, 1, US, VERDICT_UP);
    const uint32_t ahead = record(w, 1).serial;
    assert_true(serial_is_newer(ahead, record(w, 0).serial));
    fleet_of(w, 0)->is_reached = fleet_of(w, 1)->is_reached = true;
    lead(w, 0);
    mingle(w);
    assert_int_equal(record(w, 1).role, STEERING_FOLLOWS);
    assert_false(serial_is_newer(ahead, record(w, 0).serial));
    assert_int_equal(record(w, 1).serial, record(w, 0).serial);
    const uint32_t settled = record(w, 0).serial;
    sim_advance(w->loop, 60000);
    assert_int_equal(record(w, 0).serial, settled); /* and they do not chase each other */
}

/* It ends between two settlements, where another one may not begin yet. */
static void the_end_of_a_wait_is_no_busy_circle(void **state)
{
    struct world *w = *state;
    configure_fleet(w, 1);
    restart(w, 0, false);
    configure(w, 0, QUORUM, RECORDS WITH_DB);
    sim_advance(w->loop, LIFETIME_MS - 2);
    steerer_probed(w->nodes[0]->steerer, US);
    sim_advance(w->loop, 1);
    sim_limit_passes(w->loop, 20);
    sim_advance(w->loop, 10);
    assert_int_equal(last_event(w, 0, EVENT_QUORUM)->phase, EVENT_BEGINS);
}

/* Also where a lease is shorter than the time between two looks. */
static void a_short_lease_is_waited_for_as_well(void **state)
{
    static const char quorum[] =
        "quorum: { redis: { url: 'redis://127.0.0.1:1/0' }, lifetime: 500ms, interval: 100ms }\n";
    struct world *w = *state;
    configure_fleet(w, 2);
    configure(w, 1, quorum, RECORDS WITH_DB);
    sim_advance(w->loop, 5000);
    mingle(w);
    sim_advance(w->loop, 900);
    w->shared.leader = NULL;
    mingle(w);
    assert_int_equal(record(w, 1).role, STEERING_FOLLOWS); /* the next leader is about to be known */
    lead(w, 0);
    assert_string_equal(last_event(w, 1, EVENT_QUORUM)->to, "follows");
    w->shared.leader = NULL;
    mingle(w);
    sim_advance(w->loop, 501);
    assert_int_equal(record(w, 1).role, STEERING_ALONE);
}

/* A configuration that was copied: not a second opinion for every second query. */
static void who_has_the_leaders_name_follows_him(void **state)
{
    struct world *w = *state;
    configure_fleet(w, 1);
    add_node(w, 1);
    w->conf[1] = conf_of("one", QUORUM, RECORDS WITH_DB);
    steerer_take_conf(w->nodes[1]->steerer, w->conf[1]);
    reach(w, 1, true);
    probe(w, 1, US, VERDICT_DOWN);
    sim_advance(w->loop, 2 * LIFETIME_MS);
    assert_int_equal(record(w, 1).role, STEERING_FOLLOWS);
    assert_int_equal(answered(w, 1, 0), ANSWERS_US);
    assert_int_equal(record(w, 1).serial, record(w, 0).serial);
}

static void a_leader_who_falls_silent_is_waited_for(void **state)
{
    struct world *w = *state;
    configure_fleet(w, 2);
    probe(w, 1, US, VERDICT_DOWN);
    remove_node(w, 0); /* he is gone, and with him his view; the lease goes on */
    mingle(w);
    assert_int_equal(answered(w, 1, 0), ANSWERS_US);
    sim_advance(w->loop, LIFETIME_MS - 500);
    assert_int_equal(answered(w, 1, 0), ANSWERS_US);
    sim_advance(w->loop, 501);
    assert_int_equal(answered(w, 1, 0), ANSWERS_EU);
    assert_int_equal(record(w, 1).role, STEERING_ALONE);
}

static void a_restart_waits_for_the_others_before_it_decides(void **state)
{
    struct world *w = *state;
    configure_fleet(w, 2);
    probe(w, 0, US, VERDICT_DOWN);
    probe(w, 1, US, VERDICT_DOWN);
    restart(w, 1, false);
    configure(w, 1, QUORUM, RECORDS WITH_DB);
    probe(w, 1, US, VERDICT_UP);
    sim_advance(w->loop, 1000);
    assert_int_equal(answered(w, 1, 0), ANSWERS_EU); /* not reached yet */
    assert_null(last_event(w, 1, EVENT_QUORUM));
    reach(w, 1, true);
    assert_int_equal(record(w, 1).role, STEERING_FOLLOWS);
    assert_int_equal(answered(w, 1, 0), ANSWERS_EU);
    stop(w, 1);
    w->nodes[1]->event_count = 0;
    start(w, 1);
    configure(w, 1, QUORUM, RECORDS WITH_DB);
    probe(w, 1, US, VERDICT_UP);
    sim_advance(w->loop, LIFETIME_MS); /* nobody is there: so be it */
    assert_int_equal(answered(w, 1, 0), ANSWERS_US);
    assert_int_equal(last_event(w, 1, EVENT_QUORUM)->phase, EVENT_BEGINS);
}

static void who_remembers_nothing_waits_a_moment_for_the_others(void **state)
{
    struct world *w = *state;
    configure_fleet(w, 1);
    probe(w, 0, US, VERDICT_DOWN);
    sim_advance(w->loop, 5000);
    add_node(w, 1);
    configure(w, 1, QUORUM, RECORDS WITH_DB);
    sim_advance(w->loop, 500);
    assert_int_equal(record(w, 1).serial, 0);
    reach(w, 1, true);
    assert_int_equal(answered(w, 1, 0), ANSWERS_EU);
    assert_int_equal(record(w, 1).serial, record(w, 0).serial); /* not one of his own */

    add_node(w, 2); /* who meets nobody decides all the same */
    configure(w, 2, QUORUM, RECORDS WITH_DB);
    probe(w, 2, US, VERDICT_DOWN);
    sim_advance(w->loop, 900);
    assert_int_equal(record(w, 2).serial, 0);
    sim_advance(w->loop, 100);
    assert_int_equal(answered(w, 2, 0), ANSWERS_EU);
    assert_true(record(w, 2).serial != 0);
    sim_advance(w->loop, LIFETIME_MS - 1100);
    assert_null(last_event(w, 2, EVENT_QUORUM)); /* others may be starting as well: he says later that he is alone */
    sim_advance(w->loop, 1100);
    assert_int_equal(last_event(w, 2, EVENT_QUORUM)->phase, EVENT_BEGINS);
}

static void who_is_cut_off_follows_those_who_see(void **state)
{
    struct world *w = *state;
    configure_fleet(w, 3);
    w->nodes[0]->table.verdicts.cut_off_wall_ms = loop_wall_ms(w->loop); /* the leader, blinded */
    steerer_touch(w->nodes[0]->steerer);
    mingle(w);
    assert_int_equal(record(w, 0).voter_count, 2);
    assert_int_equal(record(w, 1).voter_count, 2);
    probe(w, 1, US, VERDICT_DOWN);
    assert_int_equal(answered(w, 0, 0), ANSWERS_US);
    probe(w, 2, US, VERDICT_DOWN);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(answered(w, i, 0), ANSWERS_EU);
    /* all of them: it stands */
    for (size_t i = 1; i < 3; i++) {
        w->nodes[i]->table.verdicts.cut_off_wall_ms = loop_wall_ms(w->loop);
        steerer_touch(w->nodes[i]->steerer);
    }
    mingle(w);
    probe(w, 1, EU, VERDICT_DOWN);
    assert_int_equal(answered(w, 0, 0), ANSWERS_EU);
    assert_int_equal(record(w, 0).voter_count, 0);
}

static void an_operator_anywhere_is_heard_everywhere(void **state)
{
    struct world *w = *state;
    configure_fleet(w, 3);
    operator_says(w, 2, US, &(struct verdict){.state = VERDICT_UP, .is_draining = true, .checks_left = 2});
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(answered(w, i, 0), ANSWERS_EU);
    operator_says(w, 2, US, &(struct verdict){.state = VERDICT_UP, .checks_left = 2});
    operator_says(w, 1, US, &(struct verdict){.state = VERDICT_DOWN, .is_forced = true});
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(answered(w, i, 0), ANSWERS_EU);
}

static void a_follower_with_another_configuration_decides_what_the_leader_does_not_have(void **state)
{
    struct world *w = *state;
    configure_fleet(w, 2);
    const uint32_t before = record(w, 1).serial;
    configure(w, 1, QUORUM,
              RECORDS WITH_DB "    - name: new\n      answers:\n        - { target: db, a: [ 192.0.2.7 ] }\n"
                              "        - { target: eu, tier: backup, a: [ 192.0.2.8 ] }\n");
    mingle(w);
    assert_int_equal(answered(w, 1, 2), 1);
    const uint32_t reloaded = record(w, 1).serial;
    assert_true(serial_is_newer(reloaded, before)); /* it answers more than the leader */
    probe(w, 0, US, VERDICT_DOWN);
    probe(w, 1, US, VERDICT_DOWN);
    assert_int_equal(answered(w, 1, 0), ANSWERS_EU);
    assert_true(serial_is_newer(record(w, 1).serial, reloaded));
}

static void it_is_told_who_says_what(void **state)
{
    struct world *w = *state;
    struct steering_fleet f;
    configure_fleet(w, 3);
    probe(w, 2, US, VERDICT_DOWN);
    operator_says(w, 1, EU, &(struct verdict){.state = VERDICT_UP, .is_draining = true});
    sim_advance(w->loop, 1000);
    assert_true(steering_load_fleet(&w->nodes[0]->table.steering, &f));
    assert_true(f.is_configured && f.is_connected);
    assert_int_equal(f.peer_count, 2);
    assert_string_equal(f.peers[0].node, "two");
    assert_string_equal(f.peers[0].region, "here");
    assert_true(f.peers[0].is_gateway && !f.peers[0].is_leader && !f.peers[0].is_cut_off);
    assert_in_range(f.peers[0].heard_wall_ms, loop_wall_ms(w->loop) - 1007, loop_wall_ms(w->loop) - 7);
    assert_int_equal(f.peers[0].says[EU], VERDICT_UP | STEERING_SAYS_DRAINING);
    assert_int_equal(f.peers[1].says[US], VERDICT_DOWN);
    assert_int_equal(f.effective[US], VERDICT_UP);
    assert_int_equal(f.effective[EU], VERDICT_UP | STEERING_SAYS_DRAINING);
    assert_true(steering_load_fleet(&w->nodes[1]->table.steering, &f));
    assert_true(f.peers[0].is_leader);
    reach(w, 0, false);
    assert_true(steering_load_fleet(&w->nodes[0]->table.steering, &f));
    assert_false(f.is_connected);
    assert_int_equal(f.peer_count, 0);
}

static void a_flip_is_told_at_once_and_a_dispute_is_not_hurried_for_ever(void **state)
{
    struct world *w = *state;
    configure_fleet(w, 3);
    probe(w, 1, US, VERDICT_DOWN);
    assert_true(fleet_of(w, 1)->was_urgent);
    assert_true(fleet_of(w, 0)->is_hurried);
    write_verdict(w, 1, US, &(struct verdict){.state = VERDICT_DOWN, .checks_left = 0});
    steerer_probed(w->nodes[1]->steerer, US);
    mingle(w);
    assert_false(fleet_of(w, 1)->was_urgent); /* only closer to one */
    sim_advance(w->loop, 30000);
    assert_false(fleet_of(w, 0)->is_hurried);
    probe(w, 1, US, VERDICT_UP);
    assert_false(fleet_of(w, 0)->is_hurried);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_majority_decides_and_all_follow),
        TEST(a_tie_leaves_what_was_also_under_a_new_leader),
        TEST(a_new_leader_who_knows_nothing_goes_on_from_the_last_decision),
        TEST(who_leads_at_once_goes_on_from_the_leader_before),
        TEST(what_was_decided_alone_is_not_undone_by_an_older_decision),
        TEST(who_is_cut_off_and_left_alone_keeps_it_all),
        TEST(a_leader_of_the_past_is_not_believed),
        TEST(redis_away_keeps_the_decision_for_a_lease_then_each_decides_alone),
        TEST(the_serial_of_who_was_alone_is_overtaken),
        TEST(the_end_of_a_wait_is_no_busy_circle),
        TEST(a_short_lease_is_waited_for_as_well),
        TEST(who_has_the_leaders_name_follows_him),
        TEST(a_leader_who_falls_silent_is_waited_for),
        TEST(a_restart_waits_for_the_others_before_it_decides),
        TEST(who_remembers_nothing_waits_a_moment_for_the_others),
        TEST(who_is_cut_off_follows_those_who_see),
        TEST(an_operator_anywhere_is_heard_everywhere),
        TEST(a_follower_with_another_configuration_decides_what_the_leader_does_not_have),
        TEST(it_is_told_who_says_what),
        TEST(a_flip_is_told_at_once_and_a_dispute_is_not_hurried_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
