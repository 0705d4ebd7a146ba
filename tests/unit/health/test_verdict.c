/* The verdict word and the detail record: what is written is what is read, whoever dies in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "health/verdict.h"

static int table_setup(void **state)
{
    struct verdict_table *t = malloc(sizeof *t);
    verdict_table_init(t);
    *state = t;
    return 0;
}

static int table_teardown(void **state)
{
    free(*state);
    return 0;
}

static void test_word_survives_packing(void **state)
{
    (void)state;
    const struct verdict cases[] = {
        {.state = VERDICT_UNKNOWN},
        {.state = VERDICT_UP, .checks_left = 255, .generation = 1},
        {.state = VERDICT_DOWN, .is_draining = true, .generation = (UINT64_C(1) << 48) - 1},
        {.state = VERDICT_DOWN, .is_forced = true, .checks_left = 1},
        {.state = VERDICT_UP, .is_degraded = true, .is_draining = true, .is_forced = true, .generation = 77},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct verdict v = verdict_unpack(verdict_pack(&cases[i]));
        assert_int_equal(v.state, cases[i].state);
        assert_int_equal(v.is_draining, cases[i].is_draining);
        assert_int_equal(v.is_forced, cases[i].is_forced);
        assert_int_equal(v.is_degraded, cases[i].is_degraded);
        assert_int_equal(v.checks_left, cases[i].checks_left);
        assert_int_equal(v.generation, cases[i].generation);
    }
}

static void test_each_field_has_bits_of_its_own(void **state)
{
    (void)state;
    uint64_t words[] = {
        verdict_pack(&(struct verdict){.state = VERDICT_UP}),
        verdict_pack(&(struct verdict){.state = VERDICT_DOWN}),
        verdict_pack(&(struct verdict){.is_draining = true}),
        verdict_pack(&(struct verdict){.is_forced = true}),
        verdict_pack(&(struct verdict){.is_degraded = true}),
        verdict_pack(&(struct verdict){.checks_left = 255}),
        verdict_pack(&(struct verdict){.generation = (UINT64_C(1) << 48) - 1}),
    };
    uint64_t seen = 0;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        assert_true(words[i] != 0);
        assert_true((seen & words[i]) == 0);
        seen |= words[i];
    }
}

static void test_impossible_state_reads_as_unknown(void **state)
{
    (void)state;
    assert_int_equal(verdict_unpack(3).state, VERDICT_UNKNOWN);
}

static void test_generation_wraps_inside_its_bits(void **state)
{
    (void)state;
    struct verdict v = verdict_unpack(verdict_pack(&(struct verdict){.generation = UINT64_C(1) << 48}));
    assert_int_equal(v.generation, 0);
    assert_int_equal(v.state, VERDICT_UNKNOWN);
}

static void test_generation_grows_with_changes_only(void **state)
{
    struct verdict_table *t = *state;
    struct verdict_detail d = {0};
    struct verdict v = {.state = VERDICT_UP, .checks_left = 1, .generation = 999};

    verdict_write(t, 3, &v, &d);
    assert_int_equal(verdict_read(t, 3).generation, 1); /* the caller's number does not matter */
    v.checks_left = 2;
    v.is_degraded = true;
    verdict_write(t, 3, &v, &d);
    assert_int_equal(verdict_read(t, 3).generation, 1);
    assert_int_equal(verdict_read(t, 3).checks_left, 2);
    v.is_draining = true;
    verdict_write(t, 3, &v, &d);
    v.is_forced = true;
    verdict_write(t, 3, &v, &d);
    v.state = VERDICT_DOWN;
    verdict_write(t, 3, &v, &d);
    assert_int_equal(verdict_read(t, 3).generation, 4);
    assert_int_equal(verdict_read(t, 2).generation, 0);
}

static void test_detail_is_read_back(void **state)
{
    struct verdict_table *t = *state;
    struct verdict_detail d = {.since_wall_ms = 5, .latency_us = 7, .failures_in_row = 9}, out;

    strcpy(d.cause, "timeout");
    verdict_write(t, 255, &(struct verdict){.state = VERDICT_DOWN}, &d);
    assert_true(verdict_read_detail(t, 255, &out));
    assert_memory_equal(&d, &out, sizeof d);
}

static void test_clear_forgets_all_but_the_generation(void **state)
{
    struct verdict_table *t = *state;
    struct verdict_detail d = {.since_wall_ms = 5}, out;

    verdict_write(t, 1, &(struct verdict){.state = VERDICT_DOWN, .is_draining = true}, &d);
    verdict_clear(t, 1);
    struct verdict v = verdict_read(t, 1);
    assert_int_equal(v.state, VERDICT_UNKNOWN);
    assert_false(v.is_draining);
    assert_int_equal(v.generation, 2);
    assert_true(verdict_read_detail(t, 1, &out));
    assert_int_equal(out.since_wall_ms, 0);
}

static void test_row_of_another_era_is_cleared(void **state)
{
    struct verdict_table *t = *state;
    struct verdict_detail d = {.since_wall_ms = 5};

    assert_false(verdict_adopt(t, 9, 1));
    verdict_write(t, 9, &(struct verdict){.state = VERDICT_DOWN}, &d);
    assert_true(verdict_adopt(t, 9, 1));
    assert_int_equal(verdict_read(t, 9).state, VERDICT_DOWN);
    assert_false(verdict_adopt(t, 9, 2));
    assert_int_equal(verdict_read(t, 9).state, VERDICT_UNKNOWN);
    assert_true(verdict_adopt(t, 9, 2));
}

static void test_writer_that_died_midway(void **state)
{
    struct verdict_table *t = *state;
    struct verdict_detail d = {.since_wall_ms = 5}, out = {.latency_us = 1};

    atomic_store(&t->row[0].sequence, 7);
    assert_false(verdict_read_detail(t, 0, &out));
    assert_int_equal(out.latency_us, 0);
    verdict_write(t, 0, &(struct verdict){.state = VERDICT_UP}, &d);
    assert_true(verdict_read_detail(t, 0, &out));
    assert_int_equal(out.since_wall_ms, 5);
}

static void test_heartbeat_goes_stale(void **state)
{
    struct verdict_table *t = *state;
    assert_true(verdict_is_stale(t, 1700000000000)); /* nobody ever wrote */
    verdict_heartbeat(t, 1700000000000);
    assert_false(verdict_is_stale(t, 1700000000000));
    assert_false(verdict_is_stale(t, 1700000000000 + VERDICT_HEARTBEAT_STALE_MS));
    assert_true(verdict_is_stale(t, 1700000000001 + VERDICT_HEARTBEAT_STALE_MS));
    assert_false(verdict_is_stale(t, 1700000000000 - VERDICT_HEARTBEAT_STALE_MS));
    assert_true(verdict_is_stale(t, 1600000000000)); /* the clock was set back */
}

/* Readers on another thread see whole records only: all numbers of a record are the same. */
#define TORN_WRITES 20000
static void *write_many(void *arg)
{
    struct verdict_table *t = arg;
    for (uint32_t i = 1; i <= TORN_WRITES; i++) {
        struct verdict_detail d = {
            .since_wall_ms = i, .last_probe_wall_ms = i, .latency_us = i, .failures_in_row = i, .successes_in_row = i};
        memset(d.cause, (int)('a' + i % 26), sizeof d.cause - 1);
        verdict_write(t, 0, &(struct verdict){.state = i % 2 ? VERDICT_UP : VERDICT_DOWN}, &d);
    }
    return NULL;
}

static void test_no_torn_records(void **state)
{
    struct verdict_table *t = *state;
    pthread_t writer;
    uint64_t last_generation = 0;
    struct verdict_detail d = {0};

    assert_int_equal(pthread_create(&writer, NULL, write_many, t), 0);
    while (last_generation < TORN_WRITES) {
        uint64_t generation = verdict_read(t, 0).generation;
        assert_true(generation >= last_generation);
        last_generation = generation;
        if (!verdict_read_detail(t, 0, &d))
            continue;
        assert_int_equal(d.since_wall_ms, d.last_probe_wall_ms);
        assert_int_equal(d.since_wall_ms, d.latency_us);
        assert_int_equal(d.since_wall_ms, d.failures_in_row);
        assert_int_equal(d.since_wall_ms, d.successes_in_row);
        if (d.since_wall_ms > 0) {
            assert_int_equal(d.cause[0], 'a' + d.since_wall_ms % 26);
            assert_int_equal(d.cause[VERDICT_CAUSE_BYTES - 2], d.cause[0]);
        }
    }
    pthread_join(writer, NULL);
    assert_true(verdict_read_detail(t, 0, &d));
    assert_int_equal(d.since_wall_ms, TORN_WRITES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_word_survives_packing),
        cmocka_unit_test(test_each_field_has_bits_of_its_own),
        cmocka_unit_test(test_impossible_state_reads_as_unknown),
        cmocka_unit_test(test_generation_wraps_inside_its_bits),
        cmocka_unit_test_setup_teardown(test_generation_grows_with_changes_only, table_setup, table_teardown),
        cmocka_unit_test_setup_teardown(test_detail_is_read_back, table_setup, table_teardown),
        cmocka_unit_test_setup_teardown(test_clear_forgets_all_but_the_generation, table_setup, table_teardown),
        cmocka_unit_test_setup_teardown(test_row_of_another_era_is_cleared, table_setup, table_teardown),
        cmocka_unit_test_setup_teardown(test_writer_that_died_midway, table_setup, table_teardown),
        cmocka_unit_test_setup_teardown(test_heartbeat_goes_stale, table_setup, table_teardown),
        cmocka_unit_test_setup_teardown(test_no_torn_records, table_setup, table_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
