/* What a threshold may be, and when it fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "gateway/bench/threshold.h"

static void comparisons_decide(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
        bool fails;
    } rows[] = {
        {"p99_ms > 250", 250, false},
        {"p99_ms > 250", 250.1, true},
        {"p99_ms>=250", 250, true},
        {"p99_ms >= 250", 249, false},
        {"connect_success < 0.99", 0.99, false},
        {"connect_success < 0.99", 0.98, true},
        {"connect_success < 99%", 0.985, true},
        {"connect_success < 99 %", 0.995, false},
        {"success <= 1", 1, true},
        {"opened == 100", 100, true},
        {"opened == 100", 99, false},
        {"opened != 100", 99, true},
        {"  lost  >  0  ", 1, true},
        {"lost > 1e3", 1000, false},
        {"errors_timeout > 0", 1, true},
        {"max_ms > -1", 0, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct threshold t;
        char error[THRESHOLD_ERROR_BYTES] = "";
        assert_true(threshold_parse(&t, rows[i].text, error));
        assert_int_equal(threshold_fails(&t, rows[i].value), rows[i].fails);
    }
}

static void what_was_not_measured_fails(void **state)
{
    (void)state;
    struct threshold t;
    char error[THRESHOLD_ERROR_BYTES];
    assert_true(threshold_parse(&t, "p99_ms > 250", error));
    assert_true(threshold_fails(&t, NAN));
}

static void mistakes_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"", "expected something like"},           {"> 3", "expected something like"},
        {"p98_ms > 3", "no figure of the report"}, {"p99_ms", "behind the name"},
        {"p99_ms ~ 3", "behind the name"},         {"p99_ms = 3", "behind the name"},
        {"p99_ms >", "a number behind"},           {"p99_ms > x", "a number behind"},
        {"p99_ms > inf", "a number behind"},       {"p99_ms > 3 ms", "something behind the number"},
        {"p99_ms > 3 %", "only a ratio"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct threshold t;
        char error[THRESHOLD_ERROR_BYTES] = "";
        assert_false(threshold_parse(&t, rows[i].text, error));
        assert_non_null(strstr(error, rows[i].words));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comparisons_decide),
        cmocka_unit_test(what_was_not_measured_fails),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
