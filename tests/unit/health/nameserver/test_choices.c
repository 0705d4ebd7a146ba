/* From the steering table to answers: before there is one, when it changes, and when it is about something else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "health/nameserver/choices.h"
#include "tests/unit/health/nameserver/world.h"

static uint64_t id_of(const struct world *w, size_t record)
{
    return steering_id(&w->site->conf->dns.records[record]);
}

static void without_a_decision_unknown_is_not_down(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, WORLD_PLAIN WORLD_RECORDS);
    assert_false(choices_are_decided(w.site->choices));
    assert_false(choices_refresh(w.site->choices));
    /* The primary tier, for as short as allowed: somebody is about to check it. */
    assert_string_equal(world_ask(&w, "live.rt.test", "A"), "NOERROR aa | an live.rt.test. 5 A 192.0.2.10");
    assert_int_equal(choices_steering(w.site->choices)->serial, 1000);
    world_fini(&w);
}

static void a_decision_is_in_the_next_answer(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, WORLD_PLAIN WORLD_RECORDS);
    struct steering_record r = {
        .serial = 2000,
        .row_count = 2,
        .rows = {{.id = 12345, .chosen = 1, .ttl_s = 1}, {.id = id_of(&w, WORLD_LIVE), .chosen = 2, .ttl_s = 17}}};
    steering_store(&w.health->steering, &r);
    assert_true(choices_refresh(w.site->choices));
    assert_true(choices_are_decided(w.site->choices));
    assert_string_equal(world_ask(&w, "live.rt.test", "A"), "NOERROR aa | an live.rt.test. 17 A 198.51.100.10");
    assert_non_null(strstr(world_ask(&w, "rt.test", "SOA"), " 2000 "));
    /* What the table does not know is as before. */
    assert_string_equal(world_ask(&w, "rt.test", "A"), "NOERROR aa | an rt.test. 5 A 192.0.2.10");
    assert_false(choices_refresh(w.site->choices)); /* nothing new */
    world_fini(&w);
}

static void a_table_half_written_changes_nothing(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, WORLD_PLAIN WORLD_RECORDS);
    struct steering_record r = {
        .serial = 2000, .row_count = 1, .rows = {{.id = id_of(&w, WORLD_LIVE), .chosen = 2, .ttl_s = 17}}};
    steering_store(&w.health->steering, &r);
    assert_true(choices_refresh(w.site->choices));
    atomic_fetch_add(&w.health->steering.record_sequence, 1); /* the checker died in the middle of the next one */
    assert_false(choices_refresh(w.site->choices));
    assert_string_equal(world_ask(&w, "live.rt.test", "A"), "NOERROR aa | an live.rt.test. 17 A 198.51.100.10");
    r.rows[0].chosen = 1;
    steering_store(&w.health->steering, &r); /* its successor goes on */
    assert_true(choices_refresh(w.site->choices));
    assert_string_equal(world_ask(&w, "live.rt.test", "A"), "NOERROR aa | an live.rt.test. 17 A 192.0.2.10");
    world_fini(&w);
}

static void weights_share_the_queries(void **state)
{
    struct world w;
    unsigned heavy = 0;
    (void)state;
    world_init(&w, WORLD_PLAIN WORLD_RECORDS);
    for (int i = 0; i < 4000; i++)
        heavy += strstr(world_ask(&w, "shared.rt.test", "A"), "192.0.2.3") != NULL;
    assert_in_range(heavy, 2800, 3200); /* three of four */
    world_fini(&w);
}

struct heard {
    unsigned count;
    char name[DNS_NAME_TEXT_BYTES];
    struct steering_alias *place;
};

static void on_alias(void *arg, const struct dns_name *name, struct steering_alias *place)
{
    struct heard *h = arg;
    h->count++;
    (void)dns_name_text(name->wire, h->name);
    h->place = place;
}

static void names_among_candidates_are_told_and_answered_by_their_addresses(void **state)
{
    struct heard h = {.count = 0};
    struct world w;
    (void)state;
    world_init(&w, WORLD_PLAIN WORLD_RECORDS);
    choices_each_alias(w.site->choices, on_alias, &h);
    assert_int_equal(h.count, 1);
    assert_string_equal(h.name, "far.example.net.");
    struct steering_record r = {
        .serial = 2000, .row_count = 1, .rows = {{.id = id_of(&w, WORLD_APEX), .chosen = 2, .ttl_s = 17}}};
    steering_store(&w.health->steering, &r);
    assert_true(choices_refresh(w.site->choices));
    assert_string_equal(world_ask(&w, "rt.test", "A"), "SERVFAIL"); /* not known yet: not "there is none" */
    *h.place = (struct steering_alias){.is_known = true, .a_count = 1, .a = {{203, 0, 113, 9}}, .ttl_s = 9};
    assert_string_equal(world_ask(&w, "rt.test", "A"), "NOERROR aa | an rt.test. 9 A 203.0.113.9");
    world_fini(&w);
}

static void an_alias_of_our_own_name_follows_it_at_once(void **state)
{
    static const struct {
        const char *name, *answer;
    } rows[] = {
        {"rt.test", "NOERROR aa | an rt.test. 17 A 198.51.100.10"},         /* of a steered name */
        {"fixed.rt.test", "NOERROR aa | an fixed.rt.test. 30 A 192.0.2.1"}, /* of a fixed one, by a CNAME */
        {"nested.rt.test", "NOERROR aa | an nested.rt.test. 17 A 198.51.100.10"},
        {"none.rt.test", "NOERROR aa | ns rt.test. 30 SOA ns1.rt.test. hostmaster.rt.test. 2000 3600 300 1209600 30"},
        {"outside.rt.test", "SERVFAIL"}, /* a CNAME leads to somebody else */
    };
    struct heard h = {.count = 0};
    struct world w;
    (void)state;
    world_init(&w, WORLD_PLAIN "records: [ { name: www, ttl: 30s, a: [ 192.0.2.1 ] }, { name: c, cname: www.rt.test },"
                               " { name: away, cname: far.example.net }, { name: '@', alias: live.rt.test },"
                               " { name: fixed, alias: c.rt.test }, { name: nested, alias: rt.test },"
                               " { name: none, alias: nothing.rt.test }, { name: outside, alias: away.rt.test },"
                               " { name: live, answers: ["
                               "   { target: us, a: [ 192.0.2.10 ] }, { target: eu, a: [ 198.51.100.10 ] } ] } ]");
    choices_each_alias(w.site->choices, on_alias, &h);
    assert_int_equal(h.count, 1);
    assert_string_equal(h.name, "away.rt.test.");
    struct steering_record r = {
        .serial = 2000, .row_count = 1, .rows = {{.id = id_of(&w, 8), .chosen = 2, .ttl_s = 17}}};
    steering_store(&w.health->steering, &r);
    assert_true(choices_refresh(w.site->choices));
    choices_renew(w.site->choices); /* for the alias of an alias */
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(world_ask(&w, rows[i].name, "A"), rows[i].answer);
    world_fini(&w);
}

/* No choice is all of them, by whatever name; and a name that leads to itself has addresses nobody knows, which is not
 * to have none. */
static void an_alias_is_answered_as_its_name_is(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, WORLD_PLAIN "records: [ { name: live, answers: ["
                               "   { target: us, a: [ 192.0.2.10 ] }, { target: eu, a: [ 198.51.100.10 ] } ] },"
                               " { name: '@', alias: live.rt.test },"
                               " { name: turn, alias: back.rt.test }, { name: back, cname: turn.rt.test } ]");
    struct steering_record r = {
        .serial = 2000, .row_count = 1, .rows = {{.id = id_of(&w, 0), .chosen = 0, .ttl_s = 17}}};
    steering_store(&w.health->steering, &r);
    assert_true(choices_refresh(w.site->choices));
    assert_non_null(strstr(world_ask(&w, "live.rt.test", "A"), "live.rt.test. 17 A 198.51.100.10"));
    assert_non_null(strstr(world_ask(&w, "rt.test", "A"), "rt.test. 17 A 198.51.100.10"));
    assert_string_equal(world_ask(&w, "turn.rt.test", "A"), "SERVFAIL");
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_decision_unknown_is_not_down),
        cmocka_unit_test(a_decision_is_in_the_next_answer),
        cmocka_unit_test(a_table_half_written_changes_nothing),
        cmocka_unit_test(weights_share_the_queries),
        cmocka_unit_test(names_among_candidates_are_told_and_answered_by_their_addresses),
        cmocka_unit_test(an_alias_of_our_own_name_follows_it_at_once),
        cmocka_unit_test(an_alias_is_answered_as_its_name_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
