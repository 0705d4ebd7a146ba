/* Several who judge together: who hears whom, who leads in which term, and what becomes of decisions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/health/checker/fleet_bench.h"

/* ---- together ---- */

static void without_redis_one_is_alone(void **state)
{
    struct bench *t = *state;
    struct member *m = &t->members[0];
    begin(t, m, "a", true);
    configure_at(t, m, "", 0);
    say(m, VERDICT_UP, true);
    loop_run_once(t->loop, false);
    assert_false(fleet_is_configured(m->fleet));
    assert_false(fleet_is_connected(m->fleet));
    assert_false(fleet_leads(m->fleet));
    assert_string_equal(fleet_leader(m->fleet), "");
    assert_int_equal(fleet_view_count(m->fleet), 0);
}

static void views_reach_all_others(void **state)
{
    struct bench *t = *state;
    struct member *a = join(t, 0, "a", true), *b = join(t, 1, "b", true), *c = join(t, 2, "c", false);
    AWAIT(t, heard(a, "b") && heard(a, "c") && heard(b, "a") && heard(b, "c") && heard(c, "a") && heard(c, "b"));
    assert_int_equal(fleet_view_count(a->fleet), 2); /* not the own one */
    assert_string_equal(heard(a, "b")->region, "eu");
    assert_true(heard(a, "b")->is_gateway);
    assert_false(heard(a, "c")->is_gateway);
    const uint32_t news = b->news_count;
    say(a, VERDICT_DOWN, true);
    AWAIT(t, heard_state(b, "a") == VERDICT_DOWN);
    assert_true(b->news_count > news);
}

static void an_urgent_word_goes_at_once(void **state)
{
    struct bench *t = *state;
    struct member *a = join(t, 0, "a", true);
    AWAIT(t, fleet_is_connected(a->fleet));
    /* Once nothing is under way, the next one waits for its interval: many words later, many exchanges were made. */
    const long long before = number(t, "HLEN " KEY("views"));
    assert_int_equal(before, 1);
    redisReply *r = node_ask(&t->redis, "CONFIG RESETSTAT");
    freeReplyObject(r);
    const int64_t begun_ms = loop_fresh_us(t->loop) / 1000;
    uint32_t said = 0;
    while (loop_fresh_us(t->loop) / 1000 < begun_ms + 400) {
        say(a, ++said % 2 ? VERDICT_DOWN : VERDICT_UP, true);
        loop_run_once(t->loop, true);
    }
    redisReply *stats = node_ask(&t->redis, "INFO commandstats");
    const char *at = strstr(stats->str, "cmdstat_eval:calls=");
    assert_non_null(at);
    const int calls = atoi(at + strlen("cmdstat_eval:calls="));
    freeReplyObject(stats);
    assert_in_range(calls, 6, 22); /* by the interval it were 4; without a pace as many as were said */
}

static void who_says_good_bye_is_not_waited_for(void **state)
{
    struct bench *t = *state;
    struct member *a = join(t, 0, "a", true);
    AWAIT(t, fleet_leads(a->fleet));
    const uint64_t term = fleet_term(a->fleet);
    struct member *b = join(t, 1, "b", true);
    AWAIT(t, heard(b, "a") != NULL);
    leave(a);
    assert_int_equal(number(t, "EXISTS " KEY("lease")), 0);
    assert_int_equal(number(t, "HLEN " KEY("views")), 1);
    AWAIT(t, fleet_leads(b->fleet));
    assert_true(fleet_term(b->fleet) > term);
}

/* A target that is drained for all is not answered with while the gateway that was told so restarts. */
static void an_operators_word_outlives_a_restart(void **state)
{
    struct bench *t = *state;
    struct member *a = join(t, 0, "a", true);
    AWAIT(t, fleet_leads(a->fleet));
    struct member *b = join(t, 1, "b", true);
    a->view->rows[0].vote.is_draining = true;
    say(a, VERDICT_UP, true);
    AWAIT(t, heard(b, "a") != NULL && heard(b, "a")->rows[0].vote.is_draining);
    leave(a);
    AWAIT(t, fleet_leads(b->fleet)); /* at once */
    assert_non_null(heard(b, "a"));
    assert_true(heard(b, "a")->rows[0].vote.is_draining);
    AWAIT(t, heard(b, "a") == NULL); /* but not for ever */
    a->fleet = NULL;
}

static void nothing_is_left_when_all_are_gone(void **state)
{
    struct bench *t = *state;
    struct member *a = join(t, 0, "a", true);
    AWAIT(t, fleet_leads(a->fleet));
    decide(a, fleet_term(a->fleet), 1);
    AWAIT(t, decided_version(a) == 1);
    assert_in_range(number(t, "PTTL " KEY("views")), 1, LIFETIME_MS);
    assert_in_range(number(t, "PTTL " KEY("lease")), 1, LIFETIME_MS);
    assert_in_range(number(t, "PTTL " KEY("decision")), LIFETIME_MS + 1, EXCHANGE_DECISION_HOURS * 3600000);
    assert_in_range(number(t, "TTL " KEY("term")), 86400, EXCHANGE_TERM_DAYS * 86400);
    assert_int_equal(number(t, "DBSIZE"), 4);
}

static void two_of_one_name_do_not_fight(void **state)
{
    struct bench *t = *state;
    struct member *a = join(t, 0, "a", true), *twin = join(t, 1, "a", true), *c = join(t, 2, "c", false);
    AWAIT(t, heard(c, "a") != NULL && fleet_is_connected(twin->fleet));
    AWAIT(t, fleet_leads(a->fleet) || fleet_leads(twin->fleet));
    AWAIT(t, number(t, "HLEN " KEY("views")) == 3);
    const struct member *leader = fleet_leads(a->fleet) ? a : twin;
    const uint64_t term = fleet_term(leader->fleet);
    const int64_t begun_ms = loop_fresh_us(t->loop) / 1000;
    while (loop_fresh_us(t->loop) / 1000 < begun_ms + 500) { /* neither loses to the other */
        loop_run_once(t->loop, true);
        assert_true(fleet_leads(leader->fleet));
        assert_false(fleet_leads(a->fleet) && fleet_leads(twin->fleet));
        assert_int_equal(fleet_term(leader->fleet), term);
    }
    assert_int_equal(fleet_view_count(c->fleet), 1); /* and one name is one voice */
    assert_null(heard(a, "a"));
}

/* ---- who leads ---- */

static void one_of_those_who_may_leads(void **state)
{
    struct bench *t = *state;
    struct member *c = join(t, 0, "c", false);
    AWAIT(t, fleet_is_connected(c->fleet));
    assert_string_equal(fleet_leader(c->fleet), "");
    struct member *a = join(t, 1, "a", true);
    AWAIT(t, fleet_leads(a->fleet));
    struct member *b = join(t, 2, "b", true);
    AWAIT(t, strcmp(fleet_leader(b->fleet), "a") == 0 && strcmp(fleet_leader(c->fleet), "a") == 0);
    assert_string_equal(fleet_leader(a->fleet), "a");
    assert_false(fleet_leads(b->fleet) || fleet_leads(c->fleet));
    assert_int_not_equal(fleet_term(a->fleet), 0);
    assert_int_equal(fleet_term(b->fleet), 0);
    assert_int_equal(fleet_highest_term(b->fleet), fleet_term(a->fleet));
}

static void who_may_lead_no_more_gives_the_lease_away(void **state)
{
    struct bench *t = *state;
    struct member *a = join(t, 0, "a", true);
    AWAIT(t, fleet_leads(a->fleet));
    struct member *b = join(t, 1, "b", true);
    AWAIT(t, fleet_is_connected(b->fleet));
    a->is_gateway = false;
    configure(t, a, 0);
    assert_false(fleet_leads(a->fleet)); /* at once */
    AWAIT(t, fleet_leads(b->fleet) && strcmp(fleet_leader(a->fleet), "b") == 0);
}

static void who_stands_alone_never_leads(void **state)
{
    struct bench *t = *state;
    t->birth.is_alone = true;
    struct member *a = join(t, 0, "a", true);
    t->birth.is_alone = false;
    AWAIT(t, fleet_is_connected(a->fleet));
    struct member *b = join(t, 1, "b", true);
    AWAIT(t, fleet_leads(b->fleet));
    assert_false(fleet_leads(a->fleet));
}

static void a_decision_reaches_all_and_then_only_the_next_leader(void **state)
{
    struct bench *t = *state;
    struct member *a = join(t, 0, "a", true);
    AWAIT(t, fleet_leads(a->fleet));
    struct member *b = join(t, 1, "b", true);
    AWAIT(t, strcmp(fleet_leader(b->fleet), "a") == 0);
    assert_null(fleet_decision(b->fleet));
    decide(a, fleet_term(a->fleet), 5);
    AWAIT(t, decided_version(b) == 5 && decided_version(a) == 5);
    assert_int_equal(fleet_decision(b->fleet)->rows[0].id, 77);
    decide(a, fleet_term(a->fleet), 6);
    AWAIT(t, decided_version(b) == 6);
    struct member *c = join(t, 2, "c", false);
    AWAIT(t, decided_version(c) == 6);
    const uint64_t term = fleet_term(a->fleet);
    leave(a);
    AWAIT(t, fleet_leads(b->fleet) && strcmp(fleet_leader(c->fleet), "b") == 0);
    assert_null(fleet_decision(c->fleet));   /* of a term that is over */
    assert_int_equal(decided_version(b), 6); /* who leads now goes on from it */
    assert_int_equal(fleet_decision(b->fleet)->term, term);
    decide(b, term, 7); /* and who says the old term is not listened to */
    say(b, VERDICT_DOWN, true);
    AWAIT(t, heard_state(c, "b") == VERDICT_DOWN);
    assert_null(fleet_decision(c->fleet));
    const uint32_t news = b->news_count;
    decide(b, fleet_term(b->fleet), 8);
    AWAIT(t, decided_version(b) == 8 && decided_version(c) == 8);
    assert_true(b->news_count > news);
}

static void a_decision_that_was_lost_is_said_again(void **state)
{
    struct bench *t = *state;
    struct member *a = join(t, 0, "a", true);
    AWAIT(t, fleet_leads(a->fleet));
    decide(a, fleet_term(a->fleet), 1);
    AWAIT(t, decided_version(a) == 1);
    assert_int_equal(number(t, "DEL " KEY("decision")), 1);
    AWAIT(t, decided_version(a) == 0);
    AWAIT(t, decided_version(a) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        CASE(without_redis_one_is_alone),
        CASE(views_reach_all_others),
        CASE(an_urgent_word_goes_at_once),
        CASE(who_says_good_bye_is_not_waited_for),
        CASE(an_operators_word_outlives_a_restart),
        CASE(nothing_is_left_when_all_are_gone),
        CASE(two_of_one_name_do_not_fight),
        CASE(one_of_those_who_may_leads),
        CASE(who_may_lead_no_more_gives_the_lease_away),
        CASE(who_stands_alone_never_leads),
        CASE(a_decision_reaches_all_and_then_only_the_next_leader),
        CASE(a_decision_that_was_lost_is_said_again),
#undef CASE
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
