/* The command line: what is taken, what overrides what, and what is refused with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/bench/options.h"

#define ARGS_MAX 16

/* `line` is cut at "|", so that values may have blanks. */
static enum options_verdict parse(struct options *o, const char *line, char *error)
{
    static char words[1024];
    const char *argv[ARGS_MAX + 1] = {words};
    int argc = 1;
    (void)snprintf(words, sizeof words, "tidegate-bench|%s", line);
    for (char *at = strchr(words, '|'); at != NULL && argc < ARGS_MAX; at = strchr(at, '|')) {
        *at++ = '\0';
        argv[argc++] = at;
    }
    return options_parse(o, argc, argv, error);
}

static void defaults_are_those_of_a_first_try(void **state)
{
    (void)state;
    struct options o;
    char error[OPTIONS_ERROR_BYTES];
    assert_int_equal(parse(&o, "ws://gw.example/x", error), OPTIONS_RUN);
    assert_int_equal(o.mode, MODE_ECHO);
    assert_int_equal(o.connections, 100);
    assert_int_equal(o.time_ms, 10000);
    assert_int_equal(o.size_bytes, 128);
    assert_false(o.is_insecure);
    assert_string_equal(o.url.target, "/x");
}

static void values_find_their_places(void **state)
{
    (void)state;
    struct options o;
    char error[OPTIONS_ERROR_BYTES];
    assert_int_equal(parse(&o,
                           "wss://gw.example|--connections|2000|--ramp|10s|--per-connection|0.5|--channels|3|--param|"
                           "apikey=a b|--seconds|1.5|--fail-if|p99_ms > 250",
                           error),
                     OPTIONS_RUN);
    assert_int_equal(o.connections, 2000);
    assert_int_equal(o.ramp_ms, 10000);
    assert_true(o.per_connection > 0.49 && o.per_connection < 0.51);
    assert_int_equal(o.time_ms, 1500);
    assert_int_equal(o.threshold_count, 1);
    /* a Phoenix socket has a place of its own, and says which version it speaks */
    assert_string_equal(o.url.target, "/socket/websocket?apikey=a%20b&vsn=2.0.0");
    assert_int_equal(parse(&o, "--ramp|50|--header|X-A: b c|--header|x-d:e|ws://gw.example/", error), OPTIONS_RUN);
    assert_int_equal(o.ramp_per_second, 50);
    assert_int_equal(o.ramp_ms, 0);
    assert_int_equal(o.header_count, 2);
}

static void the_last_pace_counts(void **state)
{
    (void)state;
    struct options o;
    char error[OPTIONS_ERROR_BYTES];
    assert_int_equal(parse(&o, "ws://a/|--per-connection|2|--rate|50", error), OPTIONS_RUN);
    assert_true(o.rate > 49 && o.per_connection < 1);
}

static void a_scenario_gives_way_to_what_is_said(void **state)
{
    (void)state;
    struct options o;
    char error[OPTIONS_ERROR_BYTES];
    assert_int_equal(parse(&o, "ws://a/|--seconds|5|--scenario|updates", error), OPTIONS_RUN);
    assert_string_equal(o.scenario->name, "updates");
    assert_int_equal(o.connections, 1000);
    assert_int_equal(o.time_ms, 5000);
}

static void every_scenario_is_a_good_line_with_figures_there_are(void **state)
{
    (void)state;
    for (size_t i = 0; i < scenario_count(); i++) {
        const struct scenario *s = scenario_at(i);
        struct options o;
        char error[OPTIONS_ERROR_BYTES] = "", line[128];
        (void)snprintf(line, sizeof line, "ws://a/|--scenario|%s", s->name);
        assert_int_equal(parse(&o, line, error), OPTIONS_RUN);
        assert_ptr_equal(o.scenario, s);
        for (const struct scenario_figure *f = s->figures; f->title != NULL; f++)
            assert_non_null(metric_find(f->metric));
    }
}

static void questions_need_no_url(void **state)
{
    (void)state;
    struct options o;
    char error[OPTIONS_ERROR_BYTES];
    assert_int_equal(parse(&o, "--help", error), OPTIONS_HELP);
    assert_int_equal(parse(&o, "--list-scenarios", error), OPTIONS_SCENARIOS);
    assert_int_equal(parse(&o, "--connections|2|--list-figures", error), OPTIONS_FIGURES);
    assert_int_equal(parse(&o, "--serve|127.0.0.1:80", error), OPTIONS_RUN);
    assert_int_equal(o.mode, MODE_SERVE);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *line, *words;
    } rows[] = {
        {"--connections|5", "no URL"},
        {"ftp://x", "not a ws://"},
        {"ws://a/|ws://b/", "two URLs"},
        {"ws://a/|--conections|5", "unknown option --conections"},
        {"ws://a/|--connections", "needs a value"},
        {"ws://a/|--connections|0", "from 1 to 200000"},
        {"ws://a/|--connections|5x", "from 1 to 200000"},
        {"ws://a/|--connections|nan", "from 1 to 200000"},
        {"ws://a/|--connections|1e9", "from 1 to 200000"},
        {"ws://a/|--seconds|-1", "--seconds takes"},
        {"ws://a/|--ramp|s", "--ramp takes"},
        {"ws://a/|--ramp|10m", "--ramp takes"},
        {"ws://a/|--mode|dance", "there is no \"dance\""},
        {"ws://a/|--scenario|none", "there is no \"none\""},
        {"ws://a/|--topic|a\"b", "no blanks, quotes"},
        {"ws://a/|--token|a b", "no blanks, quotes"},
        {"ws://a/|--header|no colon", "Name: value"},
        {"ws://a/|--header|a b: c", "Name: value"},
        {"ws://a/|--header|a: b\r\nc: d", "Name: value"},
        {"ws://a/|--param|novalue", "key=value"},
        {"ws://a/|--join|[1]", "a JSON object"},
        {"ws://a/|--join|{\"a\":", "a JSON object"},
        {"ws://a/|--queries|items", "takes a path"},
        {"ws://a/|--fail-if|speed > 3", "no figure"},
        {"ws://a/|--broadcast", "needs --rate"},
        {"ws://a/|--broadcast|--rate|1|--binary", "--binary"},
        {"ws://a/|--messages|5|--rate|1", "--messages counts"},
        {"ws://a/|--connections|100|--per-connection|20000", "messages per second in all"},
        {"ws://a/|--binary", "goes with --channels"},
        {"http://a/|--channels|1", "ws:// and wss://"},
        {"ws://a/|--connections|100000|--channels|100", "channels in all"},
        {"--serve|host:80", "numeric address"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct options o;
        char error[OPTIONS_ERROR_BYTES] = "";
        assert_int_equal(parse(&o, rows[i].line, error), OPTIONS_BAD);
        if (strstr(error, rows[i].words) == NULL)
            fail_msg("%s: %s", rows[i].line, error);
    }
}

static void lists_have_bounds(void **state)
{
    (void)state;
    const char *argv[2 * (OPTIONS_THRESHOLDS_MAX + 1) + 2] = {"tidegate-bench", "ws://a/"};
    int argc = 2;
    struct options o;
    char error[OPTIONS_ERROR_BYTES];
    for (uint32_t i = 0; i <= OPTIONS_THRESHOLDS_MAX; i++) {
        argv[argc++] = "--fail-if";
        argv[argc++] = "lost > 0";
    }
    assert_int_equal(options_parse(&o, argc, argv, error), OPTIONS_BAD);
    assert_int_equal(options_parse(&o, argc - 2, argv, error), OPTIONS_RUN);
    assert_int_equal(o.threshold_count, OPTIONS_THRESHOLDS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_a_first_try),
        cmocka_unit_test(values_find_their_places),
        cmocka_unit_test(the_last_pace_counts),
        cmocka_unit_test(a_scenario_gives_way_to_what_is_said),
        cmocka_unit_test(every_scenario_is_a_good_line_with_figures_there_are),
        cmocka_unit_test(questions_need_no_url),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(lists_have_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
