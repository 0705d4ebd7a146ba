/* Sums over the blocks of all processes, what clearing clears, and the rows of close codes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/stats.h"

static int setup(void **state)
{
    struct stats *s = calloc(1, sizeof *s);
    stats_init(s);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void test_sums_run_over_all_blocks(void **state)
{
    struct stats *s = *state;
    stat_add(&s->block[0].process[STAT_CLIENTS_TOTAL], 3);
    stat_add(&s->block[ROSTER_ROWS - 1].process[STAT_CLIENTS_TOTAL], 4);
    stat_add(&s->block[1].route[5][STAT_ROUTE_WS_OPEN], 2);
    stat_add(&s->block[1].route[5][STAT_ROUTE_WS_OPEN], -1);
    stat_add(&s->block[2].server[255][STAT_SERVER_FAILURES], 9);
    stat_add(&s->block[2].closes[CLOSED_BY_DRAIN][2], 1);
    stat_add(&s->block[2].responses[503], 6);
    assert_int_equal(stats_sum_process(s, STAT_CLIENTS_TOTAL), 7);
    assert_int_equal(stats_sum_process(s, STAT_CLIENTS_OPEN), 0);
    assert_int_equal(stats_sum_route(s, 5, STAT_ROUTE_WS_OPEN), 1);
    assert_int_equal(stats_sum_server(s, 255, STAT_SERVER_FAILURES), 9);
    assert_int_equal(stats_sum_closes(s, CLOSED_BY_DRAIN, 2), 1);
    assert_int_equal(stats_sum_responses(s, 503), 6);
}

static void test_a_dead_process_leaves_its_counters_and_takes_its_gauges_along(void **state)
{
    struct stats *s = *state;
    struct stats_block *b = &s->block[3];
    stat_add(&b->process[STAT_CLIENTS_OPEN], 10);
    stat_add(&b->process[STAT_CLIENTS_TOTAL], 20);
    stat_add(&b->route[1][STAT_ROUTE_WS_OPEN], 10);
    stat_add(&b->route[1][STAT_ROUTE_WS_OPENED], 20);
    stat_add(&b->server[2][STAT_SERVER_OPEN], 10);
    stat_add(&b->server[2][STAT_SERVER_ATTEMPTS], 20);
    stats_clear_gauges(b);
    assert_int_equal(stats_sum_process(s, STAT_CLIENTS_OPEN), 0);
    assert_int_equal(stats_sum_process(s, STAT_CLIENTS_TOTAL), 20);
    assert_int_equal(stats_sum_route(s, 1, STAT_ROUTE_WS_OPEN), 0);
    assert_int_equal(stats_sum_route(s, 1, STAT_ROUTE_WS_OPENED), 20);
    assert_int_equal(stats_sum_server(s, 2, STAT_SERVER_OPEN), 0);
    assert_int_equal(stats_sum_server(s, 2, STAT_SERVER_ATTEMPTS), 20);
}

static void test_a_row_with_a_new_owner_starts_at_nothing(void **state)
{
    struct stats *s = *state;
    for (int block = 0; block < 2; block++)
        for (int slot = 4; slot < 6; slot++) {
            stat_add(&s->block[block].server[slot][STAT_SERVER_ATTEMPTS], 1);
            stat_add(&s->block[block].route[slot][STAT_ROUTE_REQUESTS], 1);
        }
    stats_clear_server(s, 4);
    stats_clear_route(s, 5);
    assert_int_equal(stats_sum_server(s, 4, STAT_SERVER_ATTEMPTS), 0);
    assert_int_equal(stats_sum_server(s, 5, STAT_SERVER_ATTEMPTS), 2);
    assert_int_equal(stats_sum_route(s, 4, STAT_ROUTE_REQUESTS), 2);
    assert_int_equal(stats_sum_route(s, 5, STAT_ROUTE_REQUESTS), 0);
}

static void test_every_close_code_has_a_row_with_a_text(void **state)
{
    (void)state;
    const struct {
        uint16_t code;
        const char *text;
    } cases[] = {
        {0, "none"},    {1000, "1000"},  {1006, "1006"}, {1015, "1015"}, {1016, "1xxx"},
        {1999, "1xxx"}, {2000, "2xxx"},  {3000, "3xxx"}, {3999, "3xxx"}, {4000, "4xxx"},
        {4999, "4xxx"}, {5000, "other"}, {1, "other"},   {999, "other"}, {65535, "other"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(stats_code_text(stats_code_row(cases[i].code)), cases[i].text);
    for (uint32_t code = 0; code <= UINT16_MAX; code++)
        assert_true(stats_code_row((uint16_t)code) < STATS_CODE_COUNT);
    assert_null(stats_code_text(STATS_CODE_COUNT - 1));
}

static void test_counters_end_in_total_and_gauges_do_not(void **state)
{
    (void)state;
    const struct {
        const struct stat_info *info;
        size_t count;
    } scopes[] = {{stat_process_info, STAT_PROCESS_COUNT},
                  {stat_route_info, STAT_ROUTE_COUNT},
                  {stat_server_info, STAT_SERVER_COUNT}};
    for (size_t s = 0; s < 3; s++)
        for (size_t i = 0; i < scopes[s].count; i++) {
            const char *name = scopes[s].info[i].name;
            size_t len = strlen(name);
            bool is_total = len > 6 && strcmp(name + len - 6, "_total") == 0;
            assert_int_equal(is_total, scopes[s].info[i].kind != STAT_GAUGE);
            bool is_time = len > 14 && strcmp(name + len - 14, "_seconds_total") == 0;
            assert_int_equal(is_time, scopes[s].info[i].kind == STAT_MICROSECONDS);
            assert_true(strlen(scopes[s].info[i].help) > 0);
        }
}

static void test_roles_and_states_have_texts(void **state)
{
    (void)state;
    assert_string_equal(role_name(ROLE_WORKER), "worker");
    assert_string_equal(role_executable(ROLE_CHECKER), "tidegate-checker");
    assert_string_equal(roster_state_text(ROSTER_READY), "ready");
    assert_string_equal(roster_state_text((enum roster_state)77), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sums_run_over_all_blocks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_dead_process_leaves_its_counters_and_takes_its_gauges_along, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_row_with_a_new_owner_starts_at_nothing, setup, teardown),
        cmocka_unit_test(test_every_close_code_has_a_row_with_a_text),
        cmocka_unit_test(test_counters_end_in_total_and_gauges_do_not),
        cmocka_unit_test(test_roles_and_states_have_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
