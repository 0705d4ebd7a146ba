/* Trace context: what is a traceparent, and what becomes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/http/trace.h"

#define TRACE_ID "0af7651916cd43dd8448eb211c80319c"
#define PARENT   "b7ad6b7169203331"
#define ZEROS    "0000000000000000"

static const struct {
    const char *value;
    bool is_good;
    uint8_t flags;
} parents[] = {
    {"00-" TRACE_ID "-" PARENT "-01", true, 1},
    {"00-" TRACE_ID "-" PARENT "-00", true, 0},
    {"00-" TRACE_ID "-" PARENT "-03", true, 3},
    {"00-" TRACE_ID "-" PARENT "-ff", true, 3}, /* flags nobody knows yet are not passed on */
    {"01-" TRACE_ID "-" PARENT "-01", true, 1},
    {"cc-" TRACE_ID "-" PARENT "-01-what-the-future-will-be", true, 1},
    {"cc-" TRACE_ID "-" PARENT "-01.what-the-future-will-be", false, 0},
    {"00-" TRACE_ID "-" PARENT "-01-more", false, 0},
    {"00-" TRACE_ID "-" PARENT "-01-", false, 0},
    {"ff-" TRACE_ID "-" PARENT "-01", false, 0},
    {"00-" ZEROS ZEROS "-" PARENT "-01", false, 0},
    {"00-" TRACE_ID "-" ZEROS "-01", false, 0},
    {"00-0AF7651916CD43DD8448EB211C80319C-" PARENT "-01", false, 0},
    {"00-" TRACE_ID "-" PARENT "-0", false, 0},
    {"00-" TRACE_ID "-" PARENT, false, 0},
    {"00_" TRACE_ID "_" PARENT "_01", false, 0},
    {"0x-" TRACE_ID "-" PARENT "-01", false, 0},
    {"00-" TRACE_ID "-" PARENT "-0g", false, 0},
    {"", false, 0},
};

static void a_traceparent_is_right_or_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof parents / sizeof parents[0]; i++) {
        struct trace t = {0};
        if (trace_parse(http_view_of(parents[i].value), &t) != parents[i].is_good)
            fail_msg("%s", parents[i].value);
        if (!parents[i].is_good)
            continue;
        assert_string_equal(t.trace_id, TRACE_ID);
        assert_string_equal(t.parent_id, PARENT);
        assert_int_equal(t.flags, parents[i].flags);
    }
}

static void begin(struct trace *t, const char *traceparent, const struct trace_policy *p, uint8_t chance)
{
    uint8_t random[TRACE_RANDOM_BYTES];
    struct http_head h;
    for (size_t i = 0; i < sizeof random; i++)
        random[i] = (uint8_t)(0xa0 + i);
    random[TRACE_RANDOM_BYTES - 1] = chance;
    http_head_clear(&h);
    if (traceparent != NULL)
        assert_true(http_head_add(&h, http_view_of("TraceParent"), http_view_of(traceparent)));
    trace_begin(t, &h, p, random);
}

#define GOOD      parents[0].value
#define OWN_TRACE "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
#define OWN_SPAN  "b0b1b2b3b4b5b6b7"

static void a_good_one_goes_on_under_a_span_of_ours(void **state)
{
    struct trace t;

    (void)state;
    begin(&t, GOOD, &(struct trace_policy){.mode = TRACE_CONTINUE, .is_believed = true}, 0);
    assert_true(t.owns_fields && t.is_continued);
    assert_string_equal(t.trace_id, TRACE_ID);
    assert_string_equal(t.parent_id, PARENT);
    assert_string_equal(t.span_id, OWN_SPAN);
    assert_string_equal(t.parent, "00-" TRACE_ID "-" OWN_SPAN "-01");
}

static void a_bad_one_is_dropped_and_none_is_begun(void **state)
{
    const struct trace_policy policy = {.mode = TRACE_CONTINUE, .is_believed = true};
    struct trace t;

    (void)state;
    begin(&t, "nonsense", &policy, 0);
    assert_true(t.owns_fields);
    assert_false(t.is_continued);
    assert_string_equal(t.parent, "");
    assert_string_equal(t.trace_id, "");
    begin(&t, NULL, &policy, 0);
    assert_string_equal(t.parent, "");
    begin(&t, GOOD, &(struct trace_policy){.mode = TRACE_CONTINUE}, 0); /* from one who is not believed */
    assert_true(t.owns_fields);
    assert_string_equal(t.parent, "");
}

static void a_trace_is_begun_when_asked_for(void **state)
{
    struct trace_policy policy = {.mode = TRACE_START, .is_believed = true, .sample_percent = 50};
    struct trace t;

    (void)state;
    begin(&t, NULL, &policy, 127);
    assert_string_equal(t.parent, "00-" OWN_TRACE "-" OWN_SPAN "-03");
    assert_string_equal(t.parent_id, "");
    assert_false(t.is_continued);
    begin(&t, NULL, &policy, 128);
    assert_string_equal(t.parent, "00-" OWN_TRACE "-" OWN_SPAN "-02");
    begin(&t, GOOD, &policy, 0);
    assert_string_equal(t.trace_id, TRACE_ID);
    begin(&t, "nonsense", &policy, 0);
    assert_string_equal(t.trace_id, OWN_TRACE);
    policy.sample_percent = 100;
    begin(&t, NULL, &policy, 255);
    assert_int_equal(t.flags & 1, 1);
    policy.sample_percent = 0;
    begin(&t, NULL, &policy, 0);
    assert_int_equal(t.flags & 1, 0);
}

static void turned_off_the_fields_pass_and_the_log_still_knows(void **state)
{
    struct trace t;

    (void)state;
    begin(&t, GOOD, &(struct trace_policy){.mode = TRACE_OFF}, 0);
    assert_false(t.owns_fields);
    assert_string_equal(t.trace_id, TRACE_ID);
    assert_string_equal(t.span_id, "");
    assert_string_equal(t.parent, "");
}

static void two_traceparents_are_as_good_as_none(void **state)
{
    static const uint8_t random[TRACE_RANDOM_BYTES] = {0};
    struct http_head h;
    struct trace t;

    (void)state;
    http_head_clear(&h);
    assert_true(http_head_add(&h, http_view_of("traceparent"), http_view_of(GOOD)));
    assert_true(http_head_add(&h, http_view_of("traceparent"), http_view_of(GOOD)));
    trace_begin(&t, &h, &(struct trace_policy){.mode = TRACE_CONTINUE, .is_believed = true}, random);
    assert_false(t.is_continued);
    trace_begin(&t, &h, &(struct trace_policy){.mode = TRACE_START}, random);
    assert_string_equal(t.parent, "00-00000000000000000000000000000001-0000000000000001-02"); /* never zero */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_traceparent_is_right_or_wrong),
        cmocka_unit_test(a_good_one_goes_on_under_a_span_of_ours),
        cmocka_unit_test(a_bad_one_is_dropped_and_none_is_begun),
        cmocka_unit_test(a_trace_is_begun_when_asked_for),
        cmocka_unit_test(turned_off_the_fields_pass_and_the_log_still_knows),
        cmocka_unit_test(two_traceparents_are_as_good_as_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
