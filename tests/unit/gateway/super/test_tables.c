/* Rows of the shared tables follow the configuration: claimed, kept, cleared for a new owner, retired. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/super/tables.h"

struct fixture {
    struct tables t;
    struct conf conf;
    struct conf_pool pool;
    struct conf_server servers[SLOTS_SERVERS + 1];
    struct conf_route routes[2];
    char names[SLOTS_SERVERS + 1][16];
    char error[TABLES_ERROR_BYTES];
};

static void add_server(struct fixture *f, const char *slot_name)
{
    f->servers[f->pool.server_count++].slot_name = slot_name;
}

static void add_route(struct fixture *f, const char *name)
{
    f->routes[f->conf.route_count++].name = name;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_int_equal(tables_create(&f->t), ERR_NONE);
    f->conf.magic = CONF_MAGIC;
    f->conf.pools = &f->pool;
    f->conf.pool_count = 1;
    f->pool.servers = f->servers;
    f->conf.routes = f->routes;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    tables_fini(&f->t);
    free(f);
    return 0;
}

static void test_counters_stay_with_their_names(void **state)
{
    struct fixture *f = *state;
    add_server(f, "api/a");
    add_server(f, "api/b");
    add_route(f, "/");
    assert_true(tables_claim(&f->t, &f->conf, f->error));
    int b = slots_find(f->t.slots, SLOT_SERVER, "api/b");
    stat_add(&f->t.stats->block[0].server[b][STAT_SERVER_ATTEMPTS], 7);

    f->servers[0].slot_name = "api/new"; /* a leaves, new comes */
    assert_true(tables_claim(&f->t, &f->conf, f->error));
    tables_retire(&f->t, &f->conf);
    assert_int_equal(slots_find(f->t.slots, SLOT_SERVER, "api/b"), b);
    assert_int_equal(stats_sum_server(f->t.stats, b, STAT_SERVER_ATTEMPTS), 7);
    int a = slots_find(f->t.slots, SLOT_SERVER, "api/a");
    assert_int_equal(f->t.slots->server[a].state, SLOT_STATE_RETIRED);
    assert_int_equal(f->t.slots->server[b].state, SLOT_STATE_IN_USE);
}

static void fill(struct fixture *f, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        snprintf(f->names[i], sizeof f->names[i], "api/%u", i);
        add_server(f, f->names[i]);
    }
}

static void test_a_new_owner_finds_a_clean_row(void **state)
{
    struct fixture *f = *state;
    fill(f, SLOTS_SERVERS);
    assert_true(tables_claim(&f->t, &f->conf, f->error));
    stat_add(&f->t.stats->block[3].server[9][STAT_SERVER_ATTEMPTS], 7);
    f->servers[9].slot_name = "api/old-nine-left";
    assert_false(tables_claim(&f->t, &f->conf, f->error)); /* until the old one is retired, there is no room */
    assert_non_null(strstr(f->error, "256 servers"));
    tables_retire(&f->t, &f->conf);
    assert_true(tables_claim(&f->t, &f->conf, f->error));
    assert_int_equal(slots_find(f->t.slots, SLOT_SERVER, "api/old-nine-left"), 9);
    assert_int_equal(stats_sum_server(f->t.stats, 9, STAT_SERVER_ATTEMPTS), 0);
}

static void test_what_was_claimed_in_vain_is_taken_back(void **state)
{
    struct fixture *f = *state;
    add_server(f, "api/a");
    add_route(f, "/");
    assert_true(tables_claim(&f->t, &f->conf, f->error));
    f->servers[0].slot_name = "api/refused";
    f->routes[0].name = "/refused";
    assert_true(tables_claim(&f->t, &f->conf, f->error));
    f->servers[0].slot_name = "api/a";
    f->routes[0].name = "/";
    tables_retire(&f->t, &f->conf);
    assert_int_equal(f->t.slots->server[slots_find(f->t.slots, SLOT_SERVER, "api/a")].state, SLOT_STATE_IN_USE);
    assert_int_equal(f->t.slots->server[slots_find(f->t.slots, SLOT_SERVER, "api/refused")].state, SLOT_STATE_RETIRED);
    assert_int_equal(f->t.slots->route[slots_find(f->t.slots, SLOT_ROUTE, "/refused")].state, SLOT_STATE_RETIRED);
}

static void test_too_many_and_too_long_are_explained(void **state)
{
    struct fixture *f = *state;
    char name[SLOTS_NAME_BYTES + 1];
    fill(f, SLOTS_SERVERS + 1);
    assert_false(tables_claim(&f->t, &f->conf, f->error));
    assert_non_null(strstr(f->error, "api/256"));
    f->pool.server_count = 0;
    memset(name, 'r', sizeof name);
    name[SLOTS_NAME_BYTES] = '\0';
    add_route(f, name);
    assert_false(tables_claim(&f->t, &f->conf, f->error));
    assert_non_null(strstr(f->error, "too long"));
}

static void test_what_names_are_steered_by_has_rows_as_well(void **state)
{
    struct fixture *f = *state;
    struct conf_server target = {.slot_name = "targets/edge"};
    f->conf.targets = &target;
    f->conf.target_count = 1;
    assert_true(tables_claim(&f->t, &f->conf, f->error));
    tables_retire(&f->t, &f->conf);
    int slot = slots_find(f->t.slots, SLOT_SERVER, "targets/edge");
    assert_true(slot >= 0);
    assert_int_equal(atomic_load(&f->t.slots->server[slot].state), SLOT_STATE_IN_USE);
    f->conf.target_count = 0;
    tables_retire(&f->t, &f->conf);
    assert_int_equal(atomic_load(&f->t.slots->server[slot].state), SLOT_STATE_RETIRED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_counters_stay_with_their_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_new_owner_finds_a_clean_row, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_was_claimed_in_vain_is_taken_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_many_and_too_long_are_explained, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_names_are_steered_by_has_rows_as_well, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
