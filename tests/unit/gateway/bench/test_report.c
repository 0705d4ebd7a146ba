/* One result, told to people and to programs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <jansson.h>
#include <math.h>

#include "base/mem.h"
#include "gateway/bench/metrics.h"
#include "gateway/bench/report.h"

struct stage {
    struct options options;
    struct result *result;
    struct strbuf text;
};

static int begin(void **state)
{
    const char *argv[] = {"tidegate-bench", "ws://gw.example/x\"y", "--scenario", "fan-out",
                          "--fail-if",      "p99_ms > 50",          "--fail-if",  "lost > 0",
                          "--fail-if",      "cache_hits < 90%"};
    char error[OPTIONS_ERROR_BYTES];
    struct stage *t = mem_alloc(sizeof *t);
    assert_int_equal(options_parse(&t->options, 10, argv, error), OPTIONS_RUN);
    t->result = mem_alloc(sizeof *t->result);
    strbuf_init(&t->text, REPORT_BYTES);
    struct result *r = t->result;
    r->opened = 987;
    r->failed = 13;
    r->measured_ns = 2000000000;
    r->said = r->sent = 100;
    r->expected = 2500;
    r->deliveries = 2494;
    r->cache_answers = 10;
    r->cache_hits = 9;
    for (uint64_t ms = 1; ms <= 100; ms++)
        histogram_add(&r->latency, ms * 1000000);
    for (int i = 0; i < 13; i++)
        result_error(r, ERROR_UPGRADE, i == 0 ? "status \"503\"\n" : "status 429");
    *state = t;
    return 0;
}

static int end(void **state)
{
    struct stage *t = *state;
    strbuf_fini(&t->text);
    mem_free(t->result);
    mem_free(t);
    return 0;
}

static double value_of(const struct stage *t, const char *key)
{
    return metric_value(metric_find(key), t->result);
}

static void figures_follow_from_counts(void **state)
{
    const struct stage *t = *state;
    assert_float_equal(value_of(t, "connect_success"), 0.987, 1e-6);
    assert_float_equal(value_of(t, "deliveries_per_second"), 1247, 1e-3);
    assert_float_equal(value_of(t, "lost"), 6, 1e-6);
    assert_float_equal(value_of(t, "success"), 2494.0 / 2500, 1e-6);
    assert_float_equal(value_of(t, "error_rate"), 13.0 / 1100, 1e-6);
    assert_float_equal(value_of(t, "errors_upgrade"), 13, 1e-6);
    assert_float_equal(value_of(t, "p95_ms"), 95, 0.1);
    assert_float_equal(value_of(t, "mean_ms"), 50.5, 1e-3);
    assert_true(isnan(value_of(t, "query_p50_ms")));
    assert_true(isnan(value_of(t, "connect_p50_ms")));
}

static void the_json_report_has_all_of_them(void **state)
{
    struct stage *t = *state;
    report_json(&t->text, &t->options, t->result);
    assert_non_null(strchr(t->text.data, '\n'));
    assert_null(strchr(strchr(t->text.data, '\n') + 1, '\n')); /* one line */
    json_t *j = json_loads(t->text.data, 0, NULL);
    assert_non_null(j);
    for (size_t i = 0; i < metric_count(); i++)
        assert_non_null(json_object_get(j, metric_at(i)->key));
    assert_true(json_is_null(json_object_get(j, "query_p50_ms")));
    assert_float_equal(json_number_value(json_object_get(j, "deliveries_per_second")), 1247, 1e-3);
    assert_string_equal(json_string_value(json_object_get(j, "first_error")), "upgrade: status \"503\"?");
    assert_string_equal(json_string_value(json_object_get(json_object_get(j, "theirs"), "p95_ms")), "238 ms");
    json_t *thresholds = json_object_get(j, "thresholds");
    assert_int_equal(json_array_size(thresholds), 3);
    assert_true(json_is_true(json_object_get(json_array_get(thresholds, 0), "failed")));
    assert_true(json_is_false(json_object_get(json_array_get(thresholds, 2), "failed")));
    json_decref(j);
}

static void people_see_theirs_and_ours(void **state)
{
    struct stage *t = *state;
    report_text(&t->text, &t->options, t->result);
    static const char *const parts[] = {
        "987 opened (98.70 % of all attempts)",
        "100 sent (50.0/s), 2,494 heard (1,247/s)",
        "6 lost",
        "13 upgrade",
        "theirs         ours",
        "238 ms      95.0 ms",
        "94.7 %      90.00 %",
        "FAILED       fail if p99_ms > 50: 99.0 ms",
        "good         fail if cache_hits < 90%: 90.00 %",
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (strstr(t->text.data, parts[i]) == NULL)
            fail_msg("no \"%s\" in\n%s", parts[i], t->text.data);
    }
    assert_int_equal(report_failure_count(&t->options, t->result), 2);
}

static void an_empty_result_is_told_as_well(void **state)
{
    struct stage *t = *state;
    memset(t->result, 0, sizeof *t->result);
    for (enum mode m = MODE_ECHO; m < MODE_COUNT; m++) {
        t->options.mode = m;
        strbuf_clear(&t->text);
        report_text(&t->text, &t->options, t->result);
        assert_non_null(strstr(t->text.data, "errors       none"));
    }
    strbuf_clear(&t->text);
    report_json(&t->text, &t->options, t->result);
    json_t *j = json_loads(t->text.data, 0, NULL);
    assert_true(json_is_null(json_object_get(j, "p99_ms")));
    json_decref(j);
}

static void figures_are_written_for_readers(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        double value;
        const char *text;
    } rows[] = {
        {"sent", 1234567, "1,234,567"},       {"sent", 999, "999"},
        {"sent_per_second", 52.8, "52.8/s"},  {"sent_per_second", 1247.4, "1,247/s"},
        {"p99_ms", 0.1234, "0.123 ms"},       {"p99_ms", 9.996, "10.0 ms"},
        {"p99_ms", 127.4, "127 ms"},          {"success", 0.992, "99.20 %"},
        {"bytes_sent", 47300000, "47.3 MB"},  {"bytes_sent", 1500, "1.5 kB"},
        {"measured_seconds", 300, "300.0 s"}, {"p99_ms", NAN, "-"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[METRIC_TEXT_BYTES];
        assert_string_equal(metric_text(metric_find(rows[i].key), rows[i].value, text), rows[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(figures_follow_from_counts, begin, end),
        cmocka_unit_test_setup_teardown(the_json_report_has_all_of_them, begin, end),
        cmocka_unit_test_setup_teardown(people_see_theirs_and_ours, begin, end),
        cmocka_unit_test_setup_teardown(an_empty_result_is_told_as_well, begin, end),
        cmocka_unit_test(figures_are_written_for_readers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
