/* What is known about a server: what results and operators make of it, and what survives which death. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "health/checker/standing.h"

static const struct conf_check tcp = {.type = CHECK_TCP, .rise = 1, .fall = 1};
static const struct conf_check none = {.type = CHECK_NONE, .rise = 1, .fall = 1};
static const struct probe_result well = {.latency_us = 1000};
static const struct probe_result ill = {.err = ERR_REFUSED, .cause = "refused"};
static const struct probe_result silent = {.err = ERR_TIMEOUT, .cause = "timeout"};

static struct standing_time at(int64_t s)
{
    return (struct standing_time){.now_ms = s * 1000, .wall_ms = 1700000000000 + s * 1000};
}

static struct standing fresh(const struct conf_check *check, const struct persist_entry *last, int64_t s)
{
    struct standing st;
    standing_init(&st, check, &(struct verdict){0}, &(struct verdict_detail){0}, last, at(s));
    return st;
}

/* As a checker that died and came back finds it: through word and record of the table. */
static struct standing reborn(const struct standing *s, const struct conf_check *check, int64_t at_s)
{
    struct standing next;
    struct verdict v = standing_verdict(s, false);
    struct verdict_detail d = standing_detail(s);
    standing_init(&next, check, &v, &d, NULL, at(at_s));
    return next;
}

/* As the next run of the gateway finds it: through the file. */
static struct standing reread(const struct standing *s, const struct conf_check *check, int64_t at_s)
{
    struct persist_entry e = standing_entry(s);
    return fresh(check, &e, at_s);
}

static void test_results_make_the_state(void **state)
{
    (void)state;
    struct standing s = fresh(&tcp, NULL, 1);
    assert_int_equal(standing_state(&s), VERDICT_UNKNOWN);
    assert_int_equal(standing_detail(&s).since_wall_ms, 0);
    assert_true(standing_result(&s, &tcp, &well, at(2)));
    assert_int_equal(standing_detail(&s).since_wall_ms, at(2).wall_ms);
    assert_int_equal(standing_detail(&s).latency_p95_us, 1000);
    assert_true(standing_result(&s, &tcp, &ill, at(3)));
    assert_string_equal(standing_detail(&s).cause, "refused");
    assert_int_equal(standing_detail(&s).last_probe_wall_ms, at(3).wall_ms);
    assert_int_equal(standing_detail(&s).failures_in_row, 1);
    assert_int_equal(standing_detail(&s).probed, VERDICT_DOWN);
}

static void test_silence_is_told_from_other_failures(void **state)
{
    (void)state;
    struct standing s = fresh(&tcp, NULL, 1);
    (void)standing_result(&s, &tcp, &silent, at(2));
    assert_true(standing_detail(&s).is_silent);
    (void)standing_result(&s, &tcp, &ill, at(3));
    assert_false(standing_detail(&s).is_silent);
    (void)standing_result(&s, &tcp, &silent, at(4));
    (void)standing_result(&s, &tcp, &well, at(5));
    assert_false(standing_detail(&s).is_silent);
}

static void test_slow_is_up_but_degraded(void **state)
{
    (void)state;
    struct conf_check check = tcp;
    struct probe_result slow = {.latency_us = 300000};
    check.degraded_over_ms = 100;
    struct standing s = fresh(&check, NULL, 1);
    (void)standing_result(&s, &check, &well, at(2));
    assert_false(standing_verdict(&s, false).is_degraded);
    (void)standing_result(&s, &check, &slow, at(3));
    assert_false(standing_verdict(&s, false).is_degraded); /* one slow answer is none */
    (void)standing_result(&s, &check, &slow, at(4));
    assert_true(standing_verdict(&s, false).is_degraded);
    assert_int_equal(standing_verdict(&s, false).state, VERDICT_UP);
    assert_int_equal(standing_detail(&s).degraded, VERDICT_DEGRADED_SLOW);
    (void)standing_result(&s, &check, &ill, at(5));
    assert_false(standing_verdict(&s, false).is_degraded); /* down is worse */
}

static void test_certificate_that_ends(void **state)
{
    (void)state;
    struct standing s = fresh(&tcp, NULL, 1);
    struct probe_result r = {.certificate_ends_wall_ms = 1700000001000, .is_certificate_ending = true};
    (void)standing_result(&s, &tcp, &r, at(2));
    assert_true(standing_verdict(&s, false).is_degraded);
    assert_int_equal(standing_detail(&s).degraded, VERDICT_DEGRADED_CERTIFICATE);
    assert_int_equal(standing_detail(&s).certificate_ends_wall_ms, 1700000001000);
}

static void test_operators_word_survives_checker_and_gateway(void **state)
{
    (void)state;
    struct standing s = fresh(&tcp, NULL, 1);
    (void)standing_result(&s, &tcp, &well, at(2));
    assert_true(standing_force(&s, VERDICT_DOWN, at(3)));
    standing_drain(&s, true);
    struct standing heirs[] = {reborn(&s, &tcp, 10), reread(&s, &tcp, 10)};
    for (size_t i = 0; i < 2; i++) {
        struct verdict v = standing_verdict(&heirs[i], false);
        assert_int_equal(v.state, VERDICT_DOWN);
        assert_true(v.is_forced);
        assert_true(v.is_draining);
        assert_int_equal(standing_detail(&heirs[i]).since_wall_ms, at(3).wall_ms);
        assert_true(standing_force(&heirs[i], VERDICT_UNKNOWN, at(11))); /* and what was probed comes back */
        assert_int_equal(standing_state(&heirs[i]), VERDICT_UP);
        standing_drain(&heirs[i], false);
        assert_false(standing_verdict(&heirs[i], false).is_draining);
        assert_true(standing_verdict(&heirs[i], true).is_draining); /* the configuration's own wish stands */
    }
}

static void test_table_knows_better_than_the_file(void **state)
{
    (void)state;
    struct standing s = fresh(&tcp, NULL, 1), next;
    struct persist_entry older = {.state = VERDICT_UP, .forced = VERDICT_UP, .since_wall_ms = 5};
    (void)standing_result(&s, &tcp, &ill, at(2));
    struct verdict v = standing_verdict(&s, false);
    struct verdict_detail d = standing_detail(&s);
    standing_init(&next, &tcp, &v, &d, &older, at(9));
    assert_int_equal(standing_state(&next), VERDICT_DOWN);
    assert_false(standing_verdict(&next, false).is_forced);
    assert_int_equal(standing_detail(&next).failures_in_row, 1);
}

static void test_forced_without_a_check(void **state)
{
    (void)state;
    struct standing s = fresh(&none, NULL, 1);
    assert_true(standing_force(&s, VERDICT_DOWN, at(2)));
    standing_set_check(&s, &none); /* a reload */
    assert_int_equal(standing_state(&s), VERDICT_DOWN);
    assert_int_equal(standing_detail(&s).since_wall_ms, at(2).wall_ms);
    struct standing heir = reread(&s, &none, 5);
    assert_int_equal(standing_state(&heir), VERDICT_DOWN);
    assert_true(standing_force(&heir, VERDICT_UNKNOWN, at(6)));
    assert_int_equal(standing_state(&heir), VERDICT_UNKNOWN);
    assert_int_equal(standing_detail(&heir).since_wall_ms, 0);
}

static void test_check_that_is_taken_away(void **state)
{
    (void)state;
    struct standing s = fresh(&tcp, NULL, 1);
    (void)standing_result(&s, &tcp, &well, at(2));
    standing_drain(&s, true);
    standing_set_check(&s, &none);
    assert_int_equal(standing_state(&s), VERDICT_UNKNOWN);
    assert_int_equal(standing_detail(&s).latency_us, 0);
    assert_true(standing_verdict(&s, false).is_draining);
}

/* Times run on over a restart; a wall clock that was set back meanwhile makes nothing older or younger than new. */
static void test_hold_counts_from_before_the_restart(void **state)
{
    (void)state;
    struct conf_check check = tcp;
    check.hold_ms = 10000;
    struct standing s = fresh(&check, NULL, 1);
    (void)standing_result(&s, &check, &well, at(2));
    struct standing early = reread(&s, &check, 9), late = reread(&s, &check, 20), past = reread(&s, &check, -50);
    assert_false(standing_result(&early, &check, &ill, at(10)));
    assert_int_equal(standing_detail(&early).held, VERDICT_HELD);
    assert_true(standing_result(&late, &check, &ill, at(21)));
    assert_false(standing_result(&past, &check, &ill, at(-41)));
    assert_true(standing_result(&past, &check, &ill, at(-40)));
}

static void test_ignored_failure_is_noted(void **state)
{
    (void)state;
    struct standing s = fresh(&tcp, NULL, 1);
    (void)standing_result(&s, &tcp, &well, at(2));
    standing_ignore(&s, &ill, at(3));
    assert_int_equal(standing_state(&s), VERDICT_UP);
    assert_int_equal(standing_detail(&s).failures_in_row, 0);
    assert_string_equal(standing_detail(&s).cause, "refused");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results_make_the_state),
        cmocka_unit_test(test_silence_is_told_from_other_failures),
        cmocka_unit_test(test_slow_is_up_but_degraded),
        cmocka_unit_test(test_certificate_that_ends),
        cmocka_unit_test(test_operators_word_survives_checker_and_gateway),
        cmocka_unit_test(test_table_knows_better_than_the_file),
        cmocka_unit_test(test_forced_without_a_check),
        cmocka_unit_test(test_check_that_is_taken_away),
        cmocka_unit_test(test_hold_counts_from_before_the_restart),
        cmocka_unit_test(test_ignored_failure_is_noted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
