/* What is told when: little stories, a step a line, under a clock of their own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "gateway/admin/alert_rules.h"

#define HEAD                                                                                                           \
    "listen: [ { address: \"127.0.0.1:1\" } ]\n"                                                                       \
    "pools: { p: { servers: [ { name: a, url: \"ws://h\" } ] } }\n"                                                    \
    "routes: [ { path: /, pool: p } ]\n"
#define HOOK  "webhook: \"http://h/\", "
#define PAGER HOOK "form: pagerduty, routing_key: k, "
/* 2024-01-01 was a Monday. */
#define MONDAY_MS INT64_C(1704067200000)
#define HOUR_MS   INT64_C(3600000)

struct world {
    struct conf *conf;
    struct alert_rules *rules;
    struct strbuf sent; /* "rule: reason kind subject, ...; " */
    int64_t now_ms;
    int64_t wall_ms;
    uint64_t seq;
};

static void on_send(void *arg, const struct conf_alert *rule, const struct alert_notice *n)
{
    struct world *w = arg;

    strbuf_printf(&w->sent, "%s:", rule->name);
    for (size_t i = 0; i < n->count; i++)
        strbuf_printf(&w->sent, "%s %s %s", i > 0 ? "," : "", alert_reason_text(n->items[i].reason),
                      n->items[i].event.subject);
    if (n->more_count > 0)
        strbuf_printf(&w->sent, " +%zu", n->more_count);
    strbuf_puts(&w->sent, "; ");
}

static const struct alert_rules_ops ops = {.send = on_send};

static struct conf *load(const char *alerts)
{
    struct conf_errors errors = {.count = 0};
    char *text = mem_printf("%salerts: [ %s ]\n", HEAD, alerts);
    struct conf *c = conf_load_text("t.yaml", text, strlen(text), false, &errors);

    if (c == NULL)
        fail_msg("%s", errors.text);
    conf_errors_fini(&errors);
    mem_free(text);
    return c;
}

static void world_init(struct world *w, const char *alerts)
{
    *w = (struct world){.now_ms = 1000, .wall_ms = MONDAY_MS + 12 * HOUR_MS};
    w->conf = load(alerts);
    w->rules = alert_rules_create(&ops, w);
    alert_rules_set(w->rules, w->conf);
    strbuf_init(&w->sent, 1u << 16);
}

static void world_fini(struct world *w)
{
    alert_rules_destroy(&w->rules);
    conf_unref(&w->conf);
    strbuf_fini(&w->sent);
}

/* Lets time pass as the owner would: by what is due next. */
static void pass(struct world *w, int64_t ms)
{
    const int64_t end_ms = w->now_ms + ms;

    for (int64_t next_ms; (next_ms = alert_rules_next_ms(w->rules)) <= end_ms;) {
        if (next_ms > w->now_ms) {
            w->wall_ms += next_ms - w->now_ms;
            w->now_ms = next_ms;
        }
        alert_rules_tick(w->rules, w->now_ms, w->wall_ms);
    }
    w->wall_ms += end_ms - w->now_ms;
    w->now_ms = end_ms;
}

static void happens(struct world *w, enum event_kind kind, enum event_phase phase, const char *subject, const char *to)
{
    struct event e;

    event_init(&e, kind, phase, subject, "", to, "");
    e.seq = ++w->seq;
    e.wall_ms = w->wall_ms;
    alert_rules_event(w->rules, &e, w->now_ms, w->wall_ms);
    pass(w, 0);
}

static void assert_sent(struct world *w, const char *expected)
{
    assert_string_equal(w->sent.len > 0 ? w->sent.data : "", expected);
    strbuf_clear(&w->sent);
}

#define DOWN(w, s) happens((w), EVENT_DOWN, EVENT_BEGINS, (s), "down")
#define UP(w, s)   happens((w), EVENT_UP, EVENT_ENDS, (s), "up")

/* ---- stories ---- */

enum step_kind { STEP_DOWN = 1, STEP_UP, STEP_PASS, STEP_ACK, STEP_ACK_BOTH, STEP_EXPECT };
struct step {
    enum step_kind kind;
    const char *text; /* subject, or what is expected */
    int64_t value;    /* milliseconds; id */
};

static const struct {
    const char *title;
    const char *alerts;
    struct step steps[16];
} stories[] = {
    {"at once, and the end of it",
     "{ name: r, " HOOK "group: 0 }",
     {{STEP_DOWN, "p/a", 0},
      {STEP_EXPECT, "r: began p/a; ", 0},
      {STEP_UP, "p/a", 0},
      {STEP_EXPECT, "r: ended p/a; ", 0}}},
    {"a recovery is not for everybody",
     "{ name: r, " HOOK "group: 0, recovery: false }",
     {{STEP_DOWN, "p/a", 0}, {STEP_EXPECT, "r: began p/a; ", 0}, {STEP_UP, "p/a", 0}, {STEP_EXPECT, "", 0}}},
    {"but who names the end gets it",
     "{ name: r, " HOOK "group: 0, recovery: false, on: [ down, up ] }",
     {{STEP_DOWN, "p/a", 0}, {STEP_UP, "p/a", 0}, {STEP_EXPECT, "r: began p/a; r: ended p/a; ", 0}}},
    {"the end alone",
     "{ name: r, " HOOK "group: 0, on: [ up ] }",
     {{STEP_DOWN, "p/a", 0}, {STEP_EXPECT, "", 0}, {STEP_UP, "p/a", 0}, {STEP_EXPECT, "r: event p/a; ", 0}}},
    {"only if it lasts",
     "{ name: r, " HOOK "group: 0, after: 1m }",
     {{STEP_DOWN, "p/a", 0},
      {STEP_PASS, NULL, 59999},
      {STEP_UP, "p/a", 0},
      {STEP_EXPECT, "", 0},
      {STEP_DOWN, "p/a", 0},
      {STEP_PASS, NULL, 59999},
      {STEP_EXPECT, "", 0},
      {STEP_PASS, NULL, 1},
      {STEP_EXPECT, "r: began p/a; ", 0},
      {STEP_UP, "p/a", 0},
      {STEP_EXPECT, "r: ended p/a; ", 0}}},
    {"a burst is one message",
     "{ name: r, " HOOK "group: 10s }",
     {{STEP_DOWN, "p/a", 0},
      {STEP_PASS, NULL, 5000},
      {STEP_DOWN, "p/b", 0},
      {STEP_PASS, NULL, 4999},
      {STEP_EXPECT, "", 0},
      {STEP_PASS, NULL, 1},
      {STEP_EXPECT, "r: began p/a, began p/b; ", 0},
      {STEP_UP, "p/a", 0},
      {STEP_PASS, NULL, 10000},
      {STEP_EXPECT, "r: ended p/a; ", 0}}},
    {"again and again, until somebody takes care",
     "{ name: r, " HOOK "group: 0, repeat: 1h }",
     {{STEP_DOWN, "p/a", 0},
      {STEP_EXPECT, "r: began p/a; ", 0},
      {STEP_PASS, NULL, 2 * HOUR_MS},
      {STEP_EXPECT, "r: lasts p/a; r: lasts p/a; ", 0},
      {STEP_ACK, NULL, 1},
      {STEP_PASS, NULL, 9 * HOUR_MS},
      {STEP_EXPECT, "", 0},
      {STEP_UP, "p/a", 0},
      {STEP_EXPECT, "r: ended p/a; ", 0}}},
    {"handed on along a chain",
     "{ name: a, " HOOK "group: 0, escalate: { after: 10m, to: b } }, "
     "{ name: b, " HOOK "group: 0, on: [ stop ], escalate: { after: 10m, to: c } }, { name: c, " HOOK
     "group: 0, on: [ stop ] }",
     {{STEP_DOWN, "p/a", 0},
      {STEP_EXPECT, "a: began p/a; ", 0},
      {STEP_PASS, NULL, 600000},
      {STEP_EXPECT, "b: escalated p/a; ", 0},
      {STEP_PASS, NULL, 600000},
      {STEP_EXPECT, "c: escalated p/a; ", 0},
      {STEP_PASS, NULL, HOUR_MS},
      {STEP_EXPECT, "", 0},
      {STEP_UP, "p/a", 0},
      {STEP_EXPECT, "a: ended p/a; b: ended p/a; c: ended p/a; ", 0}}},
    {"not handed on when acknowledged, or over",
     "{ name: a, " HOOK "group: 0, escalate: { after: 10m, to: b } }, { name: b, " HOOK "group: 0, on: [ stop ] }",
     {{STEP_DOWN, "p/a", 0},
      {STEP_ACK, NULL, 0},
      {STEP_DOWN, "p/b", 0},
      {STEP_UP, "p/b", 0},
      {STEP_PASS, NULL, HOUR_MS},
      {STEP_EXPECT, "a: began p/a; a: began p/b; a: ended p/b; ", 0}}},
    {"targets by their names",
     "{ name: r, " HOOK "group: 0, targets: [ \"p/b*\", q ] }",
     {{STEP_DOWN, "p/a", 0},
      {STEP_DOWN, "p/bc", 0},
      {STEP_DOWN, "q", 0},
      {STEP_DOWN, "qq", 0},
      {STEP_EXPECT, "r: began p/bc; r: began q; ", 0}}},
    {"PagerDuty hears that somebody takes care, others do not",
     "{ name: r, " HOOK "group: 0 }, { name: pd, " PAGER "group: 0 }",
     {{STEP_DOWN, "p/a", 0},
      {STEP_EXPECT, "r: began p/a; pd: began p/a; ", 0},
      {STEP_ACK_BOTH, NULL, 1},
      {STEP_EXPECT, "pd: acknowledged p/a; ", 0},
      {STEP_UP, "p/a", 0},
      {STEP_EXPECT, "r: ended p/a; pd: ended p/a; ", 0}}},
    {"but not before it has heard of it",
     "{ name: pd, " PAGER "group: 10s }",
     {{STEP_DOWN, "p/a", 0},
      {STEP_ACK, NULL, 1},
      {STEP_EXPECT, "", 0},
      {STEP_PASS, NULL, 10000},
      {STEP_EXPECT, "pd: began p/a, acknowledged p/a; ", 0}}},
    {"and in quiet hours at once",
     "{ name: pd, " PAGER "group: 0, repeat: 4h, quiet: { from: \"13:00\", to: \"18:00\" } }",
     {{STEP_DOWN, "p/a", 0},
      {STEP_EXPECT, "pd: began p/a; ", 0},
      {STEP_PASS, NULL, 2 * HOUR_MS},
      {STEP_ACK, NULL, 1},
      {STEP_EXPECT, "pd: acknowledged p/a; ", 0}}},
};

static void test_stories(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof stories / sizeof stories[0]; i++) {
        struct world w;

        print_message("  %s\n", stories[i].title);
        world_init(&w, stories[i].alerts);
        for (const struct step *s = stories[i].steps; s->kind != 0; s++) {
            if (s->kind == STEP_DOWN)
                DOWN(&w, s->text);
            else if (s->kind == STEP_UP)
                UP(&w, s->text);
            else if (s->kind == STEP_PASS)
                pass(&w, s->value);
            else if (s->kind == STEP_ACK || s->kind == STEP_ACK_BOTH)
                assert_int_equal(alert_rules_ack(w.rules, (uint64_t)s->value, "ops", w.wall_ms),
                                 s->kind == STEP_ACK ? 1 : 2);
            else
                assert_sent(&w, s->text);
        }
        world_fini(&w);
    }
}

/* ---- quiet hours ---- */

static void test_when_it_is_quiet(void **state)
{
    static const struct {
        const char *quiet;
        int day, hour; /* from Monday, UTC */
        bool is_quiet;
    } cases[] = {
        {"{ from: \"22:00\", to: \"07:00\" }", 0, 21, false},
        {"{ from: \"22:00\", to: \"07:00\" }", 0, 22, true},
        {"{ from: \"22:00\", to: \"07:00\" }", 0, 6, true},
        {"{ from: \"22:00\", to: \"07:00\" }", 0, 7, false},
        {"{ from: \"08:00\", to: \"12:00\" }", 3, 8, true},
        {"{ from: \"08:00\", to: \"12:00\" }", 3, 12, false},
        {"{ from: \"22:00\", to: \"07:00\", days: [ fri ] }", 4, 23, true},
        {"{ from: \"22:00\", to: \"07:00\", days: [ fri ] }", 5, 6, true}, /* it began on Friday */
        {"{ from: \"22:00\", to: \"07:00\", days: [ fri ] }", 5, 23, false},
        {"{ from: \"22:00\", to: \"07:00\", days: [ fri ] }", 4, 6, false},
        {"{ from: \"22:00\", to: \"07:00\", zone: \"+02:00\" }", 0, 20, true},
        {"{ from: \"22:00\", to: \"07:00\", zone: \"+02:00\" }", 0, 5, false},
        {"{ from: \"22:00\", to: \"07:00\", zone: \"-05:00\" }", 0, 11, true},
        /* Monday is 1 January 2024: an hour ahead; in summer, two. */
        {"{ from: \"22:00\", to: \"07:00\", zone: Europe/Berlin }", 0, 21, true},
        {"{ from: \"22:00\", to: \"07:00\", zone: Europe/Berlin }", 0, 20, false},
        {"{ from: \"22:00\", to: \"07:00\", zone: Europe/Berlin }", 182, 20, true},
        {"{ from: \"22:00\", to: \"07:00\", zone: Europe/Berlin }", 182, 5, false},
        {"{ from: \"22:00\", to: \"07:00\", zone: Asia/Kolkata }", 0, 16, false}, /* 21:30 */
        {"{ from: \"22:00\", to: \"07:00\", zone: Asia/Kolkata }", 0, 17, true},
        {"{ from: \"00:00\", to: \"24:00\", days: [ sat, sun ] }", 6, 13, true},
        {"{ from: \"00:00\", to: \"24:00\", days: [ sat, sun ] }", 0, 0, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = mem_printf("{ " HOOK "quiet: %s }", cases[i].quiet);
        struct world w;
        int64_t wall_ms = MONDAY_MS + (cases[i].day * 24 + cases[i].hour) * HOUR_MS;

        world_init(&w, text);
        if (alert_is_quiet(&w.rules->rules[0], wall_ms) != cases[i].is_quiet)
            fail_msg("%s on day %d at %d", cases[i].quiet, cases[i].day, cases[i].hour);
        world_fini(&w);
        mem_free(text);
    }
}

static void test_quiet_hours_hold_what_lasts_and_forget_what_does_not(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, "{ name: r, " HOOK "group: 0, quiet: { from: \"22:00\", to: \"07:00\" } }");
    pass(&w, 11 * HOUR_MS); /* 23:00 */
    DOWN(&w, "p/short");
    DOWN(&w, "p/long");
    pass(&w, HOUR_MS);
    UP(&w, "p/short");
    pass(&w, 6 * HOUR_MS); /* 06:00 */
    assert_sent(&w, "");
    pass(&w, HOUR_MS + 10000);
    assert_sent(&w, "r: began p/long; ");
    UP(&w, "p/long");
    assert_sent(&w, "r: ended p/long; ");
    world_fini(&w);
}

/* ---- bounds, and the rest ---- */

static void test_a_flood_is_cut_and_counted(void **state)
{
    struct world w;
    char name[32];

    (void)state;
    world_init(&w, "{ name: r, " HOOK "group: 1s }");
    for (unsigned i = 0; i < ALERT_INCIDENTS_MAX + 100; i++) {
        snprintf(name, sizeof name, "p/%u", i);
        DOWN(&w, name);
    }
    assert_int_equal(w.rules->incident_count, ALERT_INCIDENTS_MAX);
    pass(&w, 1000);
    snprintf(name, sizeof name, " +%u; ", ALERT_INCIDENTS_MAX + 100 - ALERT_ITEMS_MAX);
    assert_string_equal(w.sent.data + w.sent.len - strlen(name), name);
    world_fini(&w);
}

static void test_events_count_once(void **state)
{
    struct world w;

    (void)state;
    world_init(&w, "{ name: r, " HOOK "group: 0 }");
    DOWN(&w, "p/a");
    w.seq--; /* told again after a restart */
    DOWN(&w, "p/b");
    assert_sent(&w, "r: began p/a; ");
    DOWN(&w, "p/a"); /* it is down, still */
    assert_sent(&w, "");
    happens(&w, EVENT_FAILOVER, EVENT_BEGINS, "p", "backup");
    happens(&w, EVENT_FAILOVER, EVENT_BEGINS, "p", "emergency");
    happens(&w, EVENT_FAILOVER, EVENT_ENDS, "p", "primary");
    assert_sent(&w, "r: began p; r: changed p; r: ended p; ");
    happens(&w, EVENT_UP, EVENT_ONCE, "p/c", "up"); /* its first verdict */
    happens(&w, EVENT_RELOAD, EVENT_ONCE, "file", "done");
    assert_sent(&w, "r: event file; ");
    world_fini(&w);
}

static void test_another_configuration(void **state)
{
    struct world w;
    struct conf *old;

    (void)state;
    world_init(&w, "{ name: r, " HOOK "group: 10s }, { name: gone, " HOOK "group: 10s }");
    DOWN(&w, "p/a");
    old = w.conf;
    w.conf = load("{ name: new, " HOOK "group: 0 }, { name: r, " HOOK "group: 10s }");
    alert_rules_set(w.rules, w.conf);
    conf_unref(&old);
    pass(&w, 10000);
    assert_sent(&w, "r: began p/a; ");
    UP(&w, "p/a");
    pass(&w, 10000);
    assert_sent(&w, "r: ended p/a; ");
    assert_int_equal(w.rules->incident_count, 0);
    assert_int_equal(alert_rules_ack(w.rules, 0, "", w.wall_ms), 0);
    world_fini(&w);
}

static void test_patterns(void **state)
{
    (void)state;
    assert_true(alert_pattern_fits("*", ""));
    assert_true(alert_pattern_fits("a*c*e", "abcde"));
    assert_true(alert_pattern_fits("*/us-*", "realtime/us-a"));
    assert_false(alert_pattern_fits("a*c*e", "abcdf"));
    assert_false(alert_pattern_fits("a", "ab"));
    assert_false(alert_pattern_fits("", "a"));
    assert_true(alert_pattern_fits("*ab", "aab"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stories),
        cmocka_unit_test(test_when_it_is_quiet),
        cmocka_unit_test(test_quiet_hours_hold_what_lasts_and_forget_what_does_not),
        cmocka_unit_test(test_a_flood_is_cut_and_counted),
        cmocka_unit_test(test_events_count_once),
        cmocka_unit_test(test_another_configuration),
        cmocka_unit_test(test_patterns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
