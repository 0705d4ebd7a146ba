/* Which lines are fetched. That they are cannot be seen; a wrong one would cost time and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/near.h"

static _Alignas(64) char room[8192];

static void a_place_is_listed_with_all_its_lines(void **state)
{
    (void)state;
    static const struct {
        size_t from, bytes, lines;
    } rows[] = {
        {0, 1, 1},        {0, 64, 1},       {0, 65, 2},              /* from the beginning of a line */
        {16, 48, 1},      {16, 64, 2},      {63, 1, 1}, {63, 66, 3}, /* from its middle */
        {0, 63 * 64, 63}, {0, 64 * 64, 63},                          /* what is too long is cut off */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct near n = {{0}};
        near_put(&n, 3, room + rows[i].from, rows[i].bytes);
        assert_int_equal(near_lines(&n, 3), rows[i].lines);
        assert_int_equal(near_from(&n, 3), (uintptr_t)room + rows[i].from / 64 * 64);
    }
}

static void a_place_is_replaced_and_taken_off(void **state)
{
    (void)state;
    struct near n = {{0}};
    near_put(&n, 0, room, 64);
    near_put(&n, NEAR_MAX - 1, room + 256, 128);
    near_put(&n, 0, room + 512, 200);
    assert_int_equal(near_from(&n, 0), (uintptr_t)room + 512);
    assert_int_equal(near_lines(&n, 0), 4);
    assert_int_equal(near_lines(&n, NEAR_MAX - 1), 2);
    near_put(&n, 0, NULL, 0);
    assert_int_equal(near_lines(&n, 0), 0);
    assert_int_equal(near_lines(&n, NEAR_MAX - 1), 2);
}

static void nothing_is_read(void **state)
{
    (void)state;
    struct near n = {{0}};
    near_fetch(&n);
    for (unsigned i = 0; i < NEAR_MAX; i++)
        near_put(&n, i, (const void *)(uintptr_t)(4096 * (i + 1)), 256); /* nobody's memory */
    near_fetch(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_place_is_listed_with_all_its_lines),
        cmocka_unit_test(a_place_is_replaced_and_taken_off),
        cmocka_unit_test(nothing_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
