/* Decisions about DNS by one who is alone: what is answered, when it moves, and what a restart or a reload leaves. */
#include "tests/replay/steering_world.h"

static const char *file_of(const struct world *w, char path[80])
{
    snprintf(path, 80, "%s/steering", w->nodes[0]->dir);
    return path;
}

/* The process dies, and its file is gone as well: what is left is the table. */
static void crash_without_a_file(struct world *w)
{
    char path[80];
    unlink(file_of(w, path));
    restart(w, 0, true);
    configure_alone(w);
}

/* ---- choices ---- */

static void what_nobody_has_judged_is_answered(void **state)
{
    struct world *w = *state;
    configure_alone(w);
    assert_int_equal(answered(w, 0, 0), ANSWERS_US);
    assert_int_equal(record(w, 0).serial, 1790000000);
    assert_int_equal(record(w, 0).role, STEERING_ALONE);
    assert_int_equal(record(w, 0).voter_count, 1);
}

static void a_name_fails_over_and_comes_back(void **state)
{
    struct world *w = *state;
    configure_alone(w);
    probe_all(w, 0);
    const struct steering_record before = record(w, 0);
    sim_advance(w->loop, 3000);
    probe(w, 0, US, VERDICT_DOWN);
    assert_int_equal(answered(w, 0, 0), ANSWERS_EU);
    const struct steering_record after = record(w, 0);
    assert_int_equal(after.version, before.version + 1);
    assert_true(serial_is_newer(after.serial, before.serial));
    const struct event *e = last_event(w, 0, EVENT_DNS);
    assert_string_equal(e->from, "us");
    assert_string_equal(e->to, "eu");
    assert_string_equal(e->cause, "targets/us is down");
    assert_string_equal(e->subject, "api.rt.example.com"); /* the second record follows the first */
    assert_int_equal(e->phase, EVENT_ONCE);
    probe(w, 0, US, VERDICT_UP);
    assert_int_equal(answered(w, 0, 0), ANSWERS_US);
    /* within one second: the number after the last */
    probe(w, 0, US, VERDICT_DOWN);
    assert_true(serial_is_newer(record(w, 0).serial, after.serial));
}

static void a_result_that_changes_nothing_moves_no_serial(void **state)
{
    struct world *w = *state;
    configure_alone(w);
    probe_all(w, 0);
    const struct steering_record before = record(w, 0);
    sim_advance(w->loop, 60000);
    probe(w, 0, EU, VERDICT_DOWN); /* the backup: nobody is answered with it */
    assert_int_equal(record(w, 0).serial, before.serial);
    assert_int_equal(record(w, 0).version, before.version);
}

/* interval 4s: a quarter of it between two results that contradict, two more of them needed. */
static void the_ttl_ends_with_the_earliest_flip(void **state)
{
    struct world *w = *state;
    configure_alone(w);
    probe_all(w, 0);
    assert_int_equal(first_row(w, 0).ttl_s, 2);
    const uint32_t sequence = steering_sequence(&w->nodes[0]->table.steering);
    write_verdict(w, 0, US, &(struct verdict){.state = VERDICT_UP, .checks_left = 0});
    steerer_probed(w->nodes[0]->steerer, US);
    mingle(w);
    assert_int_equal(first_row(w, 0).ttl_s, 1);
    assert_int_not_equal(steering_sequence(&w->nodes[0]->table.steering), sequence);
    operator_says(w, 0, US, &(struct verdict){.state = VERDICT_UP, .is_forced = true, .checks_left = 255});
    assert_int_equal(first_row(w, 0).ttl_s, 60); /* only the operator can change it */
}

static void what_stays_is_not_stored_again(void **state)
{
    struct world *w = *state;
    configure_alone(w);
    probe_all(w, 0);
    const uint32_t sequence = steering_sequence(&w->nodes[0]->table.steering);
    for (unsigned i = 0; i < 50; i++)
        probe(w, 0, US, VERDICT_UP);
    sim_advance(w->loop, 60000);
    assert_int_equal(steering_sequence(&w->nodes[0]->table.steering), sequence);
}

static void an_answer_needs_what_it_requires(void **state)
{
    struct world *w = *state;
    configure_alone(w);
    probe_all(w, 0);
    probe(w, 0, DB, VERDICT_DOWN);
    assert_int_equal(answered(w, 0, 0), ANSWERS_US);
    assert_int_equal(answered(w, 0, 1), ANSWERS_EU);
    assert_string_equal(last_event(w, 0, EVENT_DNS)->cause, "targets/db is down");
    operator_says(w, 0, DB, &(struct verdict){.state = VERDICT_UP, .is_forced = true});
    assert_int_equal(answered(w, 0, 1), ANSWERS_US);
    assert_string_equal(last_event(w, 0, EVENT_DNS)->cause, "targets/db is forced up");
}

static void an_operator_drains_and_forces(void **state)
{
    struct world *w = *state;
    configure_alone(w);
    probe_all(w, 0);
    operator_says(w, 0, US, &(struct verdict){.state = VERDICT_UP, .is_draining = true, .checks_left = 2});
    assert_int_equal(answered(w, 0, 0), ANSWERS_EU);
    assert_string_equal(last_event(w, 0, EVENT_DNS)->cause, "targets/us drains");
    probe(w, 0, EU, VERDICT_DOWN); /* nothing but what drains is left */
    operator_says(w, 0, US, &(struct verdict){.state = VERDICT_UP, .is_draining = true, .checks_left = 2});
    assert_int_equal(answered(w, 0, 0), ANSWERS_US);
    operator_says(w, 0, US, &(struct verdict){.state = VERDICT_DOWN, .is_forced = true});
    assert_true(first_row(w, 0).is_last_resort);
}

static void a_last_resort_begins_and_ends(void **state)
{
    struct world *w = *state;
    configure_alone(w);
    probe_all(w, 0);
    probe(w, 0, US, VERDICT_DOWN);
    probe(w, 0, EU, VERDICT_DOWN);
    assert_int_equal(answered(w, 0, 0), ANSWERS_US | ANSWERS_EU); /* all */
    assert_int_equal(answered(w, 0, 1), ANSWERS_EU);              /* fail-static: what was good last */
    assert_int_equal(last_event(w, 0, EVENT_DNS)->phase, EVENT_BEGINS);
    probe(w, 0, US, VERDICT_UP);
    assert_int_equal(answered(w, 0, 1), ANSWERS_US);
    assert_int_equal(last_event(w, 0, EVENT_DNS)->phase, EVENT_ENDS);
}

static void who_is_cut_off_and_alone_keeps_the_last_decision(void **state)
{
    struct world *w = *state;
    configure_alone(w);
    probe_all(w, 0);
    probe(w, 0, US, VERDICT_DOWN);
    const struct steering_record before = record(w, 0);
    w->nodes[0]->table.verdicts.cut_off_wall_ms = loop_wall_ms(w->loop);
    probe(w, 0, EU, VERDICT_DOWN);
    probe(w, 0, US, VERDICT_UP);
    sim_advance(w->loop, 600000);
    assert_int_equal(answered(w, 0, 0), ANSWERS_EU);
    assert_int_equal(record(w, 0).serial, before.serial);
    assert_int_equal(record(w, 0).voter_count, 0);
    /* an operator sees more than we do */
    operator_says(w, 0, EU, &(struct verdict){.state = VERDICT_DOWN, .is_forced = true});
    assert_true(first_row(w, 0).is_last_resort);
    w->nodes[0]->table.verdicts.cut_off_wall_ms = 0;
    probe(w, 0, US, VERDICT_UP);
    assert_int_equal(answered(w, 0, 0), ANSWERS_US);
    assert_int_equal(record(w, 0).voter_count, 1);
}

/* ---- restarts and reloads ---- */

static void a_restart_goes_on_from_the_file_until_a_probe_says_otherwise(void **state)
{
    struct world *w = *state;
    configure_alone(w);
    probe_all(w, 0);
    probe(w, 0, US, VERDICT_DOWN);
    const struct steering_record before = record(w, 0);
    restart(w, 0, false);
    configure_alone(w); /* nothing is judged: unknown is not down, but what was decided is known */
    assert_int_equal(answered(w, 0, 0), ANSWERS_EU);
    assert_int_equal(record(w, 0).serial, before.serial);
    assert_int_equal(record(w, 0).version, before.version);
    assert_int_equal(w->nodes[0]->event_count, 0);
    /* a verdict that was only remembered, older than the decision, is no reason */
    operator_says(w, 0, US, &(struct verdict){.state = VERDICT_UP, .checks_left = 2});
    assert_int_equal(answered(w, 0, 0), ANSWERS_EU);
    probe(w, 0, US, VERDICT_UP);
    assert_int_equal(answered(w, 0, 0), ANSWERS_US);
    assert_true(serial_is_newer(record(w, 0).serial, before.serial));
}

/* The first failure of a server that was remembered as up does not bear that out. */
static void a_remembered_verdict_in_doubt_is_no_vote(void **state)
{
    struct world *w = *state;
    configure_alone(w);
    probe_all(w, 0);
    probe(w, 0, US, VERDICT_DOWN);
    restart(w, 0, false);
    configure_alone(w);
    const struct verdict_detail d = {.probed = VERDICT_UP, .failures_in_row = 1};
    verdict_write(&w->nodes[0]->table.verdicts, US, &(struct verdict){.state = VERDICT_UP, .checks_left = 1}, &d);
    steerer_probed(w->nodes[0]->steerer, US);
    mingle(w);
    assert_int_equal(answered(w, 0, 0), ANSWERS_EU);
}

static void the_serial_never_goes_back_whatever_the_clock_does(void **state)
{
    struct world *w = *state;
    configure_alone(w);
    probe_all(w, 0);
    probe(w, 0, US, VERDICT_DOWN);
    const uint32_t before = record(w, 0).serial;
    sim_set_wall(w->loop, INT64_C(1600000000000));
    restart(w, 0, false);
    configure_alone(w);
    assert_int_equal(record(w, 0).serial, before);
    probe(w, 0, US, VERDICT_UP);
    assert_int_equal(record(w, 0).serial, before + 1);
}

static void without_a_file_the_table_remembers(void **state)
{
    struct world *w = *state;
    configure_alone(w);
    probe_all(w, 0);
    probe(w, 0, US, VERDICT_DOWN);
    const struct steering_record before = record(w, 0);
    crash_without_a_file(w);
    assert_int_equal(answered(w, 0, 0), ANSWERS_EU);
    assert_false(serial_is_newer(before.serial, record(w, 0).serial));
}

/* What every server was found to be is not in the table's record, and who sees nothing cannot find it again. */
static void who_is_cut_off_and_without_a_file_keeps_what_the_table_remembers(void **state)
{
    struct world *w = *state;
    configure_alone(w);
    probe_all(w, 0);
    probe(w, 0, US, VERDICT_DOWN);
    const struct steering_record before = record(w, 0);
    w->nodes[0]->table.verdicts.cut_off_wall_ms = loop_wall_ms(w->loop);
    crash_without_a_file(w);
    assert_int_equal(answered(w, 0, 0), ANSWERS_EU);
    assert_false(serial_is_newer(before.serial, record(w, 0).serial));
}

/* Nothing stands, and the last good choice goes out: it still does after a crash. */
static void without_a_file_the_table_remembers_the_last_good_choice(void **state)
{
    struct world *w = *state;
    configure_alone(w);
    probe_all(w, 0);
    probe(w, 0, EU, VERDICT_DOWN);
    probe(w, 0, US, VERDICT_DOWN);
    assert_int_equal(answered(w, 0, 1), ANSWERS_US);
    crash_without_a_file(w);
    assert_int_equal(answered(w, 0, 1), ANSWERS_US);
}

/* The disk was full for a while: what the file says of the servers is older than the table's choices and verdicts. */
static void an_old_file_takes_nothing_back(void **state)
{
    struct world *w = *state;
    char path[80], kept[80];
    configure_alone(w);
    probe_all(w, 0);
    (void)file_of(w, path);
    snprintf(kept, sizeof kept, "%s/kept", w->nodes[0]->dir);
    assert_int_equal(link(path, kept), 0);
    sim_advance(w->loop, 3000);
    probe(w, 0, US, VERDICT_DOWN);
    assert_int_equal(answered(w, 0, 0), ANSWERS_EU);
    assert_int_equal(rename(kept, path), 0);
    restart(w, 0, true);
    configure_alone(w);
    assert_int_equal(answered(w, 0, 0), ANSWERS_EU);
}

static void a_damaged_file_stops_nothing(void **state)
{
    struct world *w = *state;
    char path[80];
    configure_alone(w);
    assert_int_equal(truncate(file_of(w, path), 40), 0);
    restart(w, 0, false);
    configure_alone(w);
    assert_int_equal(answered(w, 0, 0), ANSWERS_US);
    assert_true(record(w, 0).serial != 0);
}

static void it_is_on_the_disk_before_it_is_answered(void **state)
{
    struct world *w = *state;
    configure_alone(w);
    probe_all(w, 0);
    probe(w, 0, US, VERDICT_DOWN);
    const struct steering_record before = record(w, 0);
    /* whoever reads the file now finds at least what is answered */
    struct state_file *dir = state_file_open(w->nodes[0]->dir);
    struct strbuf text;
    struct decision *d = malloc(sizeof *d);
    strbuf_init(&text, DECISION_BYTES_MAX);
    assert_true(state_file_read(dir, "steering", &text));
    assert_true(decision_parse(d, text.data, text.len));
    assert_int_equal(d->serial, before.serial);
    assert_int_equal(d->version, before.version);
    assert_int_equal(d->rows[0].chosen, before.rows[0].chosen);
    strbuf_fini(&text);
    free(d);
    state_file_close(&dir);
}

/* Flips of a backup are no other answers: the disk is not kept busy with them. */
static void what_changes_no_answer_is_not_written_again_and_again(void **state)
{
    struct world *w = *state;
    struct stat before, after;
    char path[80];
    size_t write_count = 0;
    configure_alone(w);
    probe_all(w, 0);
    sim_advance(w->loop, 2000);
    const uint64_t version = record(w, 0).version;
    assert_int_equal(stat(file_of(w, path), &before), 0);
    for (unsigned i = 0; i < 50; i++) {
        probe(w, 0, EU, i % 2 == 0 ? VERDICT_DOWN : VERDICT_UP);
        assert_int_equal(stat(path, &after), 0);
        write_count +=
            after.st_ino != before.st_ino; /* a time of the disk is too coarse: half a second is over at once */
        before = after;
    }
    assert_int_equal(record(w, 0).version, version);
    assert_in_range(write_count, 1, 2); /* in half a second */
    probe(w, 0, EU, VERDICT_DOWN);
    restart(w, 0, false); /* and the last word is there at the end */
    configure_alone(w);
    probe(w, 0, US, VERDICT_DOWN);
    probe(w, 0, DB, VERDICT_UP);
    assert_true(first_row(w, 0).is_last_resort);
}

static void a_reload_decides_new_records_and_leaves_the_others(void **state)
{
    struct world *w = *state;
    configure_alone(w);
    probe_all(w, 0);
    probe(w, 0, US, VERDICT_DOWN);
    const uint32_t before = record(w, 0).serial;
    configure(w, 0, "", RECORDS "    - { name: www, a: [ 192.0.2.9 ] }\n"); /* api is gone, www is fixed */
    assert_int_equal(record(w, 0).row_count, 1);
    assert_int_equal(answered(w, 0, 0), ANSWERS_EU);
    const uint32_t between = record(w, 0).serial;
    assert_true(serial_is_newer(between, before)); /* the fixed part is another one */
    configure(w, 0, "", RECORDS "    - { name: www, a: [ 192.0.2.9 ] }\n");
    assert_int_equal(record(w, 0).serial, between);
    configure(w, 0, "", RECORDS WITH_DB "    - { name: www, a: [ 192.0.2.9 ] }\n");
    assert_int_equal(answered(w, 0, 1), ANSWERS_EU); /* by what is known of the servers */
    assert_true(serial_is_newer(record(w, 0).serial, between));
}

static void a_record_that_follows_another_target_is_another_record(void **state)
{
    struct world *w = *state;
    configure_alone(w);
    probe_all(w, 0);
    probe(w, 0, US, VERDICT_DOWN);
    restart(w, 0, false);
    configure(w, 0, "",
              "    - name: '@'\n      answers:\n        - { target: db, a: [ 192.0.2.1 ] }\n"
              "        - { target: eu, tier: backup, a: [ 192.0.2.2 ] }\n");
    assert_int_equal(answered(w, 0, 0), 1);
}

/* A slot the supervisor could not give: nobody judges it, and unknown is not down. */
static void a_target_without_a_slot_is_unknown(void **state)
{
    struct world *w = *state;
    slots_init(&w->nodes[0]->slots);
    memset(&w->nodes[0]->slots.server, 0, sizeof w->nodes[0]->slots.server);
    configure_alone(w);
    sim_advance(w->loop, 10000);
    assert_int_equal(answered(w, 0, 0), ANSWERS_US);
    assert_int_equal(first_row(w, 0).ttl_s, 60);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_nobody_has_judged_is_answered),
        TEST(a_name_fails_over_and_comes_back),
        TEST(a_result_that_changes_nothing_moves_no_serial),
        TEST(the_ttl_ends_with_the_earliest_flip),
        TEST(what_stays_is_not_stored_again),
        TEST(an_answer_needs_what_it_requires),
        TEST(an_operator_drains_and_forces),
        TEST(a_last_resort_begins_and_ends),
        TEST(who_is_cut_off_and_alone_keeps_the_last_decision),
        TEST(a_restart_goes_on_from_the_file_until_a_probe_says_otherwise),
        TEST(a_remembered_verdict_in_doubt_is_no_vote),
        TEST(the_serial_never_goes_back_whatever_the_clock_does),
        TEST(without_a_file_the_table_remembers),
        TEST(who_is_cut_off_and_without_a_file_keeps_what_the_table_remembers),
        TEST(without_a_file_the_table_remembers_the_last_good_choice),
        TEST(an_old_file_takes_nothing_back),
        TEST(a_damaged_file_stops_nothing),
        TEST(it_is_on_the_disk_before_it_is_answered),
        TEST(what_changes_no_answer_is_not_written_again_and_again),
        TEST(a_reload_decides_new_records_and_leaves_the_others),
        TEST(a_record_that_follows_another_target_is_another_record),
        TEST(a_target_without_a_slot_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
