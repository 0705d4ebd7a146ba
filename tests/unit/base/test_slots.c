/* A name keeps its row for as long as it can, and a row that changes hands says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/slots.h"

static int setup(void **state)
{
    struct slots *s = calloc(1, sizeof *s);
    slots_init(s);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void test_a_name_keeps_its_row(void **state)
{
    struct slots *s = *state;
    bool is_new = false;
    int a = slots_claim(s, SLOT_SERVER, "api/a", &is_new);
    assert_true(a >= 0 && is_new);
    int b = slots_claim(s, SLOT_SERVER, "api/b", NULL);
    assert_true(b >= 0 && b != a);
    assert_int_equal(slots_claim(s, SLOT_SERVER, "api/a", &is_new), a);
    assert_false(is_new);
    assert_int_equal(slots_find(s, SLOT_SERVER, "api/b"), b);
    assert_string_equal(slots_name(s, SLOT_SERVER, b), "api/b");
    assert_int_equal(slots_find(s, SLOT_SERVER, "api"), -1);
}

static void test_kinds_do_not_mix(void **state)
{
    struct slots *s = *state;
    assert_true(slots_claim(s, SLOT_ROUTE, "/socket/", NULL) >= 0);
    assert_int_equal(slots_find(s, SLOT_SERVER, "/socket/"), -1);
    assert_null(slots_name(s, SLOT_SERVER, 0));
}

static void test_a_name_that_left_and_comes_back_finds_its_row(void **state)
{
    struct slots *s = *state;
    bool is_new = true;
    int a = slots_claim(s, SLOT_SERVER, "api/a", NULL);
    uint32_t era = s->server[a].era;
    slots_retire(s, SLOT_SERVER, a);
    assert_int_equal(slots_find(s, SLOT_SERVER, "api/a"), a); /* its last tunnels still count there */
    int b = slots_claim(s, SLOT_SERVER, "api/b", NULL);
    assert_int_not_equal(a, b);
    assert_int_equal(slots_claim(s, SLOT_SERVER, "api/a", &is_new), a);
    assert_false(is_new);
    assert_int_equal(s->server[a].era, era);
}

static void test_a_full_table_gives_away_retired_rows_under_a_new_era(void **state)
{
    struct slots *s = *state;
    char name[SLOTS_NAME_BYTES];
    bool is_new = false;
    for (unsigned i = 0; i < SLOTS_SERVERS; i++) {
        snprintf(name, sizeof name, "pool/%u", i);
        assert_int_equal(slots_claim(s, SLOT_SERVER, name, NULL), (int)i);
    }
    assert_int_equal(slots_claim(s, SLOT_SERVER, "pool/new", NULL), -1);
    uint32_t era = s->server[7].era;
    slots_retire(s, SLOT_SERVER, 7);
    assert_int_equal(slots_claim(s, SLOT_SERVER, "pool/new", &is_new), 7);
    assert_true(is_new);
    assert_int_equal(s->server[7].era, era + 1);
    assert_int_equal(slots_find(s, SLOT_SERVER, "pool/7"), -1);
    assert_string_equal(slots_name(s, SLOT_SERVER, 7), "pool/new");
}

static void test_names_that_do_not_fit_get_no_row(void **state)
{
    struct slots *s = *state;
    char name[SLOTS_NAME_BYTES + 1];
    memset(name, 'x', sizeof name);
    name[SLOTS_NAME_BYTES] = '\0';
    assert_int_equal(slots_claim(s, SLOT_ROUTE, name, NULL), -1);
    assert_int_equal(slots_claim(s, SLOT_ROUTE, "", NULL), -1);
    name[SLOTS_NAME_BYTES - 1] = '\0';
    assert_int_equal(slots_claim(s, SLOT_ROUTE, name, NULL), 0);
    assert_string_equal(slots_name(s, SLOT_ROUTE, 0), name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_name_keeps_its_row, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kinds_do_not_mix, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_name_that_left_and_comes_back_finds_its_row, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_full_table_gives_away_retired_rows_under_a_new_era, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names_that_do_not_fit_get_no_row, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
