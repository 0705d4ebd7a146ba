/* Which leases this process has: by a token nobody can guess, once each, and not for longer than they last. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cache/l2_leases.h"

static void a_lease_is_taken_back_once(void **state)
{
    struct l2_leases *l = l2_leases_create();
    char first[L2_LEASE_TOKEN_BYTES], taken[L2_LEASE_TOKEN_BYTES];
    (void)state;
    const char *token = l2_leases_add(l, "a", 1, 100, 0);
    assert_non_null(token);
    assert_int_equal(strlen(token), L2_LEASE_TOKEN_BYTES - 1);
    (void)snprintf(first, sizeof first, "%s", token);
    assert_true(l2_leases_take(l, "a", 1, taken));
    assert_string_equal(taken, first);
    assert_false(l2_leases_take(l, "a", 1, taken));
    token = l2_leases_add(l, "a", 1, 100, 0);
    assert_string_not_equal(token, first);
    l2_leases_destroy(&l);
    assert_null(l);
}

static void a_lease_that_lasts_is_not_taken_again(void **state)
{
    struct l2_leases *l = l2_leases_create();
    (void)state;
    assert_non_null(l2_leases_add(l, "a", 1, 100, 0));
    assert_null(l2_leases_add(l, "a", 1, 200, 99));
    assert_non_null(l2_leases_add(l, "a", 1, 200, 100));
    /* also where one that lasts longer stands before it */
    assert_non_null(l2_leases_add(l, "b", 1, 210, 110));
    assert_non_null(l2_leases_add(l, "c", 1, 120, 110));
    assert_non_null(l2_leases_add(l, "c", 1, 130, 120));
    l2_leases_destroy(&l);
}

static void there_is_room_for_so_many(void **state)
{
    struct l2_leases *l = l2_leases_create();
    char name[16];
    (void)state;
    for (unsigned i = 0; i < L2_LEASES_MAX; i++) {
        const int len = snprintf(name, sizeof name, "%u", i);
        assert_non_null(l2_leases_add(l, name, (size_t)len, 100 + i / 2, 0));
    }
    assert_null(l2_leases_add(l, "x", 1, 100, 99));
    assert_non_null(l2_leases_add(l, "x", 1, 200, 100)); /* two are over */
    assert_non_null(l2_leases_add(l, "y", 1, 200, 100));
    assert_null(l2_leases_add(l, "z", 1, 200, 100));
    l2_leases_destroy(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lease_is_taken_back_once),
        cmocka_unit_test(a_lease_that_lasts_is_not_taken_again),
        cmocka_unit_test(there_is_room_for_so_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
