/* What a record's answers are believed to be, of many servers' verdicts, and the words that are said about it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "health/checker/steered.h"
#include "health/steering.h"

enum { US = 0, EU, DB };

static const char *requires[] = {"pool/db", "targets/nowhere"};
static const char *address[] = {"192.0.2.7"};

struct bench {
    struct slots slots;
    struct conf_dns_answer answers[4];
    struct conf_dns_record record;
    struct steered steered;
    struct quorum_verdict verdicts[SLOTS_SERVERS];
    struct steer_view views[STEERED_ANSWERS_MAX];
};

static int setup(void **state)
{
    struct bench *t = calloc(1, sizeof *t);
    slots_init(&t->slots);
    assert_int_equal(slots_claim(&t->slots, SLOT_SERVER, "targets/us", NULL), US);
    assert_int_equal(slots_claim(&t->slots, SLOT_SERVER, "targets/eu", NULL), EU);
    assert_int_equal(slots_claim(&t->slots, SLOT_SERVER, "pool/db", NULL), DB);
    t->answers[0] =
        (struct conf_dns_answer){.target = "targets/us", .requires = requires, .require_count = 1, .cname = ""};
    t->answers[1] = (struct conf_dns_answer){.target = "targets/eu", .tier = TIER_BACKUP, .cname = ""};
    t->answers[2] = (struct conf_dns_answer){.target = "pool/db", .weight = 100000, .cname = ""};
    t->answers[3] =
        (struct conf_dns_answer){.target = "", .tier = TIER_EMERGENCY, .cname = "", .a = address, .a_count = 1};
    t->record = (struct conf_dns_record){
        .name = "@", .answers = t->answers, .answer_count = 4, .ttl_min_ms = 1000, .ttl_max_ms = 60000};
    steered_init(&t->steered, "rt.example.com", &t->record, &t->slots);
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    struct bench *t = *state;
    steered_fini(&t->steered);
    free(t);
    return 0;
}

static const struct steer_view *look(struct bench *t, struct quorum_verdict us, struct quorum_verdict db)
{
    t->verdicts[US] = us;
    t->verdicts[DB] = db;
    steered_look(&t->steered, t->verdicts, t->views);
    return &t->views[0];
}

static struct quorum_verdict is(enum verdict_state state, uint8_t checks_left, uint32_t interval_ms)
{
    return (struct quorum_verdict){.state = state, .checks_left = checks_left, .interval_ms = interval_ms};
}

static struct quorum_verdict forced(enum verdict_state state)
{
    return (struct quorum_verdict){.state = state, .is_forced = true};
}

static void test_a_record_is_prepared(void **state)
{
    struct bench *t = *state;
    assert_string_equal(t->steered.name, "rt.example.com");
    assert_true(t->steered.id == steering_id(&t->record));
    assert_int_equal(t->steered.count, 4);
    assert_int_equal(t->steered.part_count, 4);
    assert_int_equal(t->steered.policy.ttl_max_s, 60);
    assert_int_equal(t->steered.candidates[1].tier, TIER_BACKUP);
    assert_int_equal(t->steered.candidates[2].weight, UINT16_MAX);
}

static void test_the_worst_of_all_parts_counts(void **state)
{
    struct bench *t = *state;
    static const struct {
        enum verdict_state us, db, all;
    } rows[] = {
        {VERDICT_UP, VERDICT_UP, VERDICT_UP},           {VERDICT_UP, VERDICT_DOWN, VERDICT_DOWN},
        {VERDICT_DOWN, VERDICT_UP, VERDICT_DOWN},       {VERDICT_UP, VERDICT_UNKNOWN, VERDICT_UNKNOWN},
        {VERDICT_UNKNOWN, VERDICT_UP, VERDICT_UNKNOWN}, {VERDICT_UNKNOWN, VERDICT_DOWN, VERDICT_DOWN},
        {VERDICT_DOWN, VERDICT_DOWN, VERDICT_DOWN},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(look(t, is(rows[i].us, 1, 1000), is(rows[i].db, 1, 1000))->state, rows[i].all);
    t->verdicts[DB].is_draining = true;
    steered_look(&t->steered, t->verdicts, t->views);
    assert_true(t->views[0].is_draining && t->views[2].is_draining && !t->views[1].is_draining);
}

static void test_an_answer_that_stands_goes_with_the_first_one_back_comes_with_the_last(void **state)
{
    struct bench *t = *state;
    const struct steer_view *v = look(t, is(VERDICT_UP, 3, 1000), is(VERDICT_UP, 2, 700));
    assert_int_equal(v->checks_left * v->interval_ms, 1400);
    v = look(t, is(VERDICT_DOWN, 3, 1000), is(VERDICT_DOWN, 2, 700));
    assert_int_equal(v->checks_left * v->interval_ms, 3000);
    v = look(t, is(VERDICT_UP, 0, 1000), is(VERDICT_DOWN, 2, 700)); /* only one keeps it down */
    assert_int_equal(v->checks_left * v->interval_ms, 1400);
    v = look(t, is(VERDICT_UP, 3, 1000), is(VERDICT_UP, 0, 0)); /* what is not checked does not flip */
    assert_int_equal(v->checks_left * v->interval_ms, 3000);
}

static void test_an_operators_word_holds_only_if_it_decides(void **state)
{
    struct bench *t = *state;
    assert_true(look(t, forced(VERDICT_DOWN), is(VERDICT_UP, 1, 1000))->is_forced);
    assert_true(look(t, forced(VERDICT_DOWN), is(VERDICT_DOWN, 1, 1000))->is_forced);
    assert_true(look(t, forced(VERDICT_UP), forced(VERDICT_UP))->is_forced);
    assert_false(look(t, forced(VERDICT_UP), is(VERDICT_UP, 1, 1000))->is_forced);
    assert_false(look(t, forced(VERDICT_UP), is(VERDICT_DOWN, 1, 1000))->is_forced);
}

static void test_what_has_no_target_or_no_slot_is_unknown(void **state)
{
    struct bench *t = *state;
    (void)look(t, is(VERDICT_UP, 1, 1), is(VERDICT_UP, 1, 1));
    assert_int_equal(t->views[3].state, VERDICT_UNKNOWN);
    assert_int_equal(t->views[3].interval_ms, 0);
    t->answers[0].require_count = 2;
    steered_fini(&t->steered);
    steered_init(&t->steered, "rt.example.com", &t->record, &t->slots);
    assert_int_equal(look(t, is(VERDICT_UP, 1, 1), is(VERDICT_UP, 1, 1))->state, VERDICT_UNKNOWN);
}

static void test_a_choice_in_words(void **state)
{
    struct bench *t = *state;
    char text[EVENT_WORD_BYTES];
    static const struct {
        uint32_t chosen;
        const char *text;
    } rows[] = {{1, "us"}, {3, "us,eu"}, {4, "pool/db"}, {8, "192.0.2.7"}, {15, "us,eu,pool/db,192.0.2.7"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        steered_choice_text(&t->steered, rows[i].chosen, text);
        assert_string_equal(text, rows[i].text);
    }
    t->answers[0].target = "targets/a-name-of-thirty-characters-or";
    steered_choice_text(&t->steered, 1, text);
    assert_string_equal(text, "a-name-of-thirty-characters-or");
    steered_choice_text(&t->steered, 15, text);
    assert_string_equal(text, "a-name-of-thirty-characters,+3");
    t->answers[0].target = "targets/first-of-many";
    t->answers[1].target = "targets/second";
    steered_choice_text(&t->steered, 15, text);
    assert_string_equal(text, "first-of-many,second,+2");
}

static void test_a_cause_in_words(void **state)
{
    struct bench *t = *state;
    uint8_t before[SLOTS_SERVERS] = {0}, now[SLOTS_SERVERS] = {0};
    char text[EVENT_CAUSE_BYTES];
    steered_cause(&t->steered, before, now, text);
    assert_string_equal(text, "");
    before[US] = VERDICT_UP;
    now[US] = VERDICT_DOWN;
    now[EU] = VERDICT_UNKNOWN | STEERING_SAYS_DRAINING;
    now[DB] = VERDICT_UP | STEERING_SAYS_FORCED; /* named twice, said once */
    steered_cause(&t->steered, before, now, text);
    assert_string_equal(text, "targets/us is down, pool/db is forced up, targets/eu drains");
    steered_cause(&t->steered, now, before, text);
    assert_string_equal(text, "targets/us is up, pool/db is unknown, targets/eu drains no longer");
}

static void test_names_of_records(void **state)
{
    (void)state;
    char out[EVENT_SUBJECT_BYTES], small[8];
    static const char *const rows[][2] = {
        {"@", "rt.example.com"},
        {"www", "www.rt.example.com"},
        {"*.x", "*.x.rt.example.com"},
        {"www.rt.example.com.", "www.rt.example.com"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        steering_name("rt.example.com", rows[i][0], out, sizeof out);
        assert_string_equal(out, rows[i][1]);
    }
    steering_name("rt.example.com", "www", small, sizeof small);
    assert_string_equal(small, "www.rt");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_record_is_prepared),
        TEST(test_the_worst_of_all_parts_counts),
        TEST(test_an_answer_that_stands_goes_with_the_first_one_back_comes_with_the_last),
        TEST(test_an_operators_word_holds_only_if_it_decides),
        TEST(test_what_has_no_target_or_no_slot_is_unknown),
        TEST(test_a_choice_in_words),
        TEST(test_a_cause_in_words),
        TEST(test_names_of_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
