/* The table of votes: who is heard, what a tie does, what an operator's word outweighs, and when it may change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "health/quorum.h"

#define VOTES_MAX 5

/* Each vote is two letters: u(p) d(own) ?(unknown), then blank, f(orced), r(draining: refuses new), b(oth). */
struct quorum_case {
    const char *votes[VOTES_MAX];
    enum verdict_state before, expected;
    bool is_forced, is_draining;
};

static const struct quorum_case cases[] = {
    /* one's own view is the majority */
    {{"u "}, VERDICT_DOWN, VERDICT_UP, false, false},
    {{"d "}, VERDICT_UP, VERDICT_DOWN, false, false},
    {{"d "}, VERDICT_UNKNOWN, VERDICT_DOWN, false, false},
    /* more than half */
    {{"u ", "d ", "d "}, VERDICT_UP, VERDICT_DOWN, false, false},
    {{"u ", "u ", "d "}, VERDICT_DOWN, VERDICT_UP, false, false},
    /* a tie leaves what was */
    {{"u ", "d "}, VERDICT_UP, VERDICT_UP, false, false},
    {{"u ", "d "}, VERDICT_DOWN, VERDICT_DOWN, false, false},
    {{"u ", "d ", "d ", "u "}, VERDICT_DOWN, VERDICT_DOWN, false, false},
    {{"u ", "d "}, VERDICT_UNKNOWN, VERDICT_UNKNOWN, false, false},
    /* who has not judged has no vote */
    {{"? ", "d "}, VERDICT_UP, VERDICT_DOWN, false, false},
    {{"? ", "? ", "u "}, VERDICT_DOWN, VERDICT_UP, false, false},
    {{"? ", "? "}, VERDICT_DOWN, VERDICT_DOWN, false, false},
    {{"? "}, VERDICT_UP, VERDICT_UP, false, false},
    /* an operator outweighs all probes, operators among themselves count */
    {{"uf", "d ", "d "}, VERDICT_DOWN, VERDICT_UP, true, false},
    {{"df", "u ", "u "}, VERDICT_UP, VERDICT_DOWN, true, false},
    {{"df", "uf", "u "}, VERDICT_DOWN, VERDICT_DOWN, true, false},
    {{"df", "uf", "uf", "d "}, VERDICT_DOWN, VERDICT_UP, true, false},
    {{"?f", "d "}, VERDICT_UP, VERDICT_DOWN, false, false},
    /* drained by one is drained for all, also by one who has not judged */
    {{"u ", "ur"}, VERDICT_UP, VERDICT_UP, false, true},
    {{"u ", "?r"}, VERDICT_UP, VERDICT_UP, false, true},
    {{"u ", "ub"}, VERDICT_UP, VERDICT_UP, true, true},
    /* nobody at all */
    {{NULL}, VERDICT_DOWN, VERDICT_DOWN, false, false},
    {{NULL}, VERDICT_UNKNOWN, VERDICT_UNKNOWN, false, false},
};

static size_t votes_of(const struct quorum_case *c, struct quorum_vote votes[VOTES_MAX])
{
    size_t count = 0;
    for (; count < VOTES_MAX && c->votes[count] != NULL; count++) {
        const char *text = c->votes[count];
        votes[count] = (struct quorum_vote){
            .state = text[0] == 'u'   ? VERDICT_UP
                     : text[0] == 'd' ? VERDICT_DOWN
                                      : VERDICT_UNKNOWN,
            .is_forced = text[1] == 'f' || text[1] == 'b',
            .is_draining = text[1] == 'r' || text[1] == 'b',
            .interval_ms = 1000,
        };
    }
    return count;
}

static void test_every_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct quorum_vote votes[VOTES_MAX];
        const size_t count = votes_of(&cases[i], votes);
        const struct quorum_verdict v = quorum_decide(votes, count, cases[i].before);
        if (v.state != cases[i].expected || v.is_forced != cases[i].is_forced || v.is_draining != cases[i].is_draining)
            fail_msg("row %zu: %s%s%s", i, verdict_state_text(v.state), v.is_forced ? " forced" : "",
                     v.is_draining ? " draining" : "");
    }
}

static void test_the_order_of_votes_says_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct quorum_vote votes[VOTES_MAX], reversed[VOTES_MAX];
        const size_t count = votes_of(&cases[i], votes);
        for (size_t k = 0; k < count; k++)
            reversed[k] = votes[count - 1 - k];
        const struct quorum_verdict a = quorum_decide(votes, count, cases[i].before);
        const struct quorum_verdict b = quorum_decide(reversed, count, cases[i].before);
        assert_int_equal(a.state, b.state);
        assert_int_equal(a.up_count, b.up_count);
        assert_int_equal(a.down_count, b.down_count);
    }
}

static void test_it_counts_who_says_what(void **state)
{
    (void)state;
    const struct quorum_vote votes[] = {
        {.state = VERDICT_UP}, {.state = VERDICT_DOWN}, {.state = VERDICT_DOWN}, {.state = VERDICT_UNKNOWN}};
    const struct quorum_verdict v = quorum_decide(votes, 4, VERDICT_UP);
    assert_int_equal(v.up_count, 1);
    assert_int_equal(v.down_count, 2);
}

static void test_the_earliest_of_all_flips_is_told(void **state)
{
    (void)state;
    const struct quorum_vote votes[] = {
        {.state = VERDICT_UP, .checks_left = 3, .interval_ms = 1000},
        {.state = VERDICT_UP, .checks_left = 2, .interval_ms = 1200},
        {.state = VERDICT_UP, .checks_left = 0, .interval_ms = 0}, /* nobody checks */
        {.state = VERDICT_UP, .checks_left = 1, .interval_ms = 9000},
    };
    const struct quorum_verdict v = quorum_decide(votes, 4, VERDICT_UP);
    assert_int_equal(v.checks_left, 2);
    assert_int_equal(v.interval_ms, 1200);

    const struct quorum_vote forced[] = {
        {.state = VERDICT_UP, .is_forced = true, .checks_left = 0, .interval_ms = 10},
    };
    assert_int_equal(quorum_decide(forced, 1, VERDICT_UP).interval_ms, 0);
}

static void test_what_nobody_checks_any_more_is_unknown_again(void **state)
{
    (void)state;
    const struct quorum_vote unchecked = {.state = VERDICT_UNKNOWN};
    assert_int_equal(quorum_decide(&unchecked, 1, VERDICT_DOWN).state, VERDICT_UNKNOWN);
    const struct quorum_vote waiting = {.state = VERDICT_UNKNOWN, .interval_ms = 1000};
    assert_int_equal(quorum_decide(&waiting, 1, VERDICT_DOWN).state, VERDICT_DOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row),
        cmocka_unit_test(test_the_order_of_votes_says_nothing),
        cmocka_unit_test(test_it_counts_who_says_what),
        cmocka_unit_test(test_the_earliest_of_all_flips_is_told),
        cmocka_unit_test(test_what_nobody_checks_any_more_is_unknown_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
