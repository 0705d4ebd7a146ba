/* What holds a change back, as a table under a virtual clock: one probe a second, rise and fall of 2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "health/hysteresis.h"

#define S 1000

/* In `results` + is a success and - a failure, one each second; in `shown` the state after each: ? unknown, U up, D
 * down; in `held` why it is not another one: . nothing, h hold, b fail_back, f flapping. It starts as `start`, since a
 * day. */
static const struct {
    const char *name;
    struct damping_limits limits;
    enum verdict_state start;
    const char *results;
    const char *shown;
    const char *held;
} cases[] = {
    {"no limits, nothing is held", {0}, VERDICT_UP, "--++--", "UDDUUD", "......"},
    {"a state lasts as long as hold says", {.hold_ms = 4 * S}, VERDICT_UP, "--++++++", "UDDDDUUU", "...hh..."},
    {"hold keeps a server up that died too early", {.hold_ms = 4 * S}, VERDICT_UNKNOWN, "+-----", "UUUUDD", "..hh.."},
    {"what hold kept back is forgotten when the results change their mind",
     {.hold_ms = 4 * S},
     VERDICT_UNKNOWN,
     "+--++--",
     "UUUUUUD",
     "..h...."},
    {"fail_back: well for so long before it is up",
     {.fail_back_ms = 4 * S},
     VERDICT_DOWN,
     "+++++++",
     "DDDDUUU",
     ".bbb..."},
    {"one failure starts fail_back anew", {.fail_back_ms = 3 * S}, VERDICT_DOWN, "+++-+++++", "DDDDDDDUU", ".bb..bb.."},
    {"fail_back does not concern the way down", {.fail_back_ms = 9 * S}, VERDICT_UP, "--", "UD", ".."},
    {"unknown waits for nothing", {.hold_ms = 9 * S, .fail_back_ms = 9 * S}, VERDICT_UNKNOWN, "+", "U", "."},
    {"unknown goes down without waiting", {.hold_ms = 9 * S}, VERDICT_UNKNOWN, "--", "?D", ".."},
    {"three changes in the window: down until quiet",
     {.flap_changes = 3, .flap_window_ms = 10 * S, .flap_quiet_ms = 4 * S},
     VERDICT_UP,
     "--++--+++++",
     "UDDUUDDDDDU",
     ".......fff."},
    {"changes far apart are no flapping",
     {.flap_changes = 3, .flap_window_ms = 3 * S, .flap_quiet_ms = 4 * S},
     VERDICT_UP,
     "--++--++",
     "UDDUUDDU",
     "........"},
    {"quiet starts anew with every failure, and then the slate is clean",
     {.flap_changes = 1, .flap_window_ms = S, .flap_quiet_ms = 2 * S},
     VERDICT_UP,
     "--++-+++--",
     "UDDDDDDUUD",
     "...f..f..."},
    {"both waits run side by side",
     {.fail_back_ms = 2 * S, .flap_changes = 1, .flap_window_ms = S, .flap_quiet_ms = 4 * S},
     VERDICT_UP,
     "--+++++",
     "UDDDDDU",
     "...fff."},
};

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hysteresis h;
        int64_t now_ms = 86400 * S;

        hysteresis_init(&h, 2, 2, cases[i].start, 0);
        hysteresis_set_damping(&h, &cases[i].limits);
        for (size_t k = 0; k < strlen(cases[i].results); k++, now_ms += S) {
            enum verdict_state before = hysteresis_state(&h);
            bool is_change = hysteresis_result(&h, cases[i].results[k] == '+', now_ms);
            char shown = "?UD"[hysteresis_state(&h)], held = ".hbf"[h.held];

            if (shown != cases[i].shown[k] || held != cases[i].held[k])
                fail_msg("%s: result %zu: %c%c", cases[i].name, k + 1, shown, held);
            assert_int_equal(is_change, before != hysteresis_state(&h));
        }
    }
}

static void test_held_is_decided(void **state)
{
    (void)state;
    struct hysteresis h;
    hysteresis_init(&h, 2, 2, VERDICT_DOWN, 0);
    hysteresis_set_damping(&h, &(struct damping_limits){.fail_back_ms = 60 * S});
    (void)hysteresis_result(&h, true, 1 * S);
    assert_true(hysteresis_is_undecided(&h));
    (void)hysteresis_result(&h, true, 2 * S);
    assert_int_equal(h.held, VERDICT_HELD_FAIL_BACK);
    assert_false(hysteresis_is_undecided(&h)); /* only time is missing: asking sooner is of no use */
    assert_int_equal(hysteresis_checks_left(&h), 0);
    assert_string_equal(verdict_held_text(h.held), "fail_back");
}

static void test_rules_that_are_gone_hold_nothing(void **state)
{
    (void)state;
    struct hysteresis h;
    hysteresis_init(&h, 1, 1, VERDICT_UP, 0);
    hysteresis_set_damping(&h,
                           &(struct damping_limits){.flap_changes = 1, .flap_window_ms = S, .flap_quiet_ms = 60 * S});
    (void)hysteresis_result(&h, false, 1 * S);
    (void)hysteresis_result(&h, true, 2 * S);
    assert_int_equal(h.held, VERDICT_HELD_FLAPPING);
    hysteresis_set_damping(&h, &(struct damping_limits){0});
    assert_true(hysteresis_result(&h, true, 3 * S));
    assert_int_equal(h.held, VERDICT_FREE);
}

static void test_an_operator_waits_for_nothing(void **state)
{
    (void)state;
    struct hysteresis h;
    hysteresis_init(&h, 1, 1, VERDICT_UP, 0);
    hysteresis_set_damping(&h, &(struct damping_limits){.hold_ms = 60 * S});
    assert_true(hysteresis_force(&h, VERDICT_DOWN));
    assert_true(hysteresis_force(&h, VERDICT_UNKNOWN));
    assert_int_equal(h.damping.changed_count, 0); /* and his changes are no flapping */
}

/* However long the rows and whatever the rules: a server that goes on answering comes up in the end, by the time the
 * rules add up to. */
static void test_what_is_well_comes_up(void **state)
{
    (void)state;
    for (unsigned past = 0; past < 256; past++) {
        struct hysteresis h;
        int64_t now_ms = 0;
        hysteresis_init(&h, 2, 1, VERDICT_UNKNOWN, 0);
        hysteresis_set_damping(&h, &(struct damping_limits){.hold_ms = 3 * S,
                                                            .fail_back_ms = 5 * S,
                                                            .flap_changes = 2,
                                                            .flap_window_ms = 20 * S,
                                                            .flap_quiet_ms = 8 * S});
        for (unsigned bit = 0; bit < 8; bit++, now_ms += S)
            (void)hysteresis_result(&h, (past >> bit & 1u) != 0, now_ms);
        for (unsigned i = 0; i <= 9; i++, now_ms += S)
            (void)hysteresis_result(&h, true, now_ms);
        assert_int_equal(hysteresis_state(&h), VERDICT_UP);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_held_is_decided),
        cmocka_unit_test(test_rules_that_are_gone_hold_nothing),
        cmocka_unit_test(test_an_operator_waits_for_nothing),
        cmocka_unit_test(test_what_is_well_comes_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
