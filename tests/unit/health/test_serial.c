/* Serial numbers on their circle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "health/serial.h"

static void newer(void **state)
{
    static const struct {
        uint32_t a, b;
        bool is_newer;
    } rows[] = {
        {1, 0, true},           {0, 1, false},         {5, 5, false},          {0, 0xffffffff, true},
        {0xffffffff, 0, false}, {0x7fffffff, 0, true}, {0x80000000, 0, false}, {0, 0x80000000, false},
        {0x80000001, 0, false}, {0, 0x80000001, true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(serial_is_newer(rows[i].a, rows[i].b), rows[i].is_newer);
}

static void next(void **state)
{
    static const struct {
        uint32_t last, wish, next;
    } rows[] = {
        {7, 0, 8}, /* a wish that is old is none */
        {7, 7, 8},
        {7, 1700000000, 1700000000},          /* the clock of a gateway that lost its state */
        {1700000005, 1700000000, 1700000006}, /* more changes than seconds */
        {0xffffffff, 0, 1},                   /* 0 is left out */
        {0xfffffffe, 0, 0xffffffff},
        {0xffffff00, 5, 5}, /* around the end */
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(serial_next(rows[i].last, rows[i].wish), rows[i].next);
        assert_true(serial_is_newer(serial_next(rows[i].last, rows[i].wish), rows[i].last));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(newer), cmocka_unit_test(next)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
