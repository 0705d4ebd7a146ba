/* How alerts are worded, and what becomes of texts that try to break out of where they are put. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <string.h>

#include "base/mem.h"
#include "gateway/admin/alert_text.h"

#define NASTY "\"},{\\ <b>&\r\nBcc: x\x01\xff"

static struct alert_item items[2];
static const char *const receivers[] = {"a@example.com", "b@example.com"};

static struct conf_alert rule_of(enum conf_alert_form form, const char *body, const char *content_type)
{
    return (struct conf_alert){.name = "r",
                               .webhook = "http://h/",
                               .form = form,
                               .body = body,
                               .content_type = content_type,
                               .authorization = "",
                               .routing_key = "key",
                               .email = {.smtp = "",
                                         .from = "gate@example.com",
                                         .to = (const char **)(uintptr_t)receivers,
                                         .to_count = 2,
                                         .username = "",
                                         .password = ""}};
}

static struct alert_letter letter_of(const struct conf_alert *rule, size_t count)
{
    event_init(&items[0].event, EVENT_DOWN, EVENT_BEGINS, "p/a", "up", "down", NASTY);
    items[0].event.seq = items[0].id = 7;
    items[0].event.wall_ms = 1700000000000;
    items[0].reason = ALERT_BEGAN;
    event_init(&items[1].event, EVENT_UP, EVENT_ENDS, "p/a", "down", "up", "");
    items[1].event.seq = 9;
    items[1].event.duration_ms = 61000;
    items[1].id = 7;
    items[1].reason = ALERT_ENDED;
    return (struct alert_letter){
        .node = "n-1", .rule = rule, .notice = {.items = items, .count = count}, .number = 3, .wall_ms = 1700000000000};
}

static json_t *body_json(const struct conf_alert *rule, size_t count)
{
    const struct alert_letter l = letter_of(rule, count);
    struct strbuf out;
    json_t *o;

    strbuf_init(&out, ALERT_TEXT_BYTES_MAX);
    alert_body(&l, &out);
    assert_false(out.failed);
    o = json_loadb(out.data, out.len, JSON_REJECT_DUPLICATES, NULL);
    if (o == NULL)
        fail_msg("not JSON: %s", out.data);
    strbuf_fini(&out);
    return o;
}

static const char *text_of(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static void test_the_usual_body(void **state)
{
    const struct conf_alert rule = rule_of(ALERT_FORM_GENERIC, "", "application/json");
    json_t *o = body_json(&rule, 2);
    const json_t *events = json_object_get(o, "events");

    (void)state;
    assert_string_equal(text_of(o, "status"), "resolved"); /* what began in it ended in it */
    assert_int_equal(json_array_size(events), 2);
    assert_string_equal(text_of(json_object_get(json_array_get(events, 0), "event"), "kind"), "down");
    assert_string_equal(text_of(json_array_get(events, 1), "reason"), "ended");
    assert_int_equal(json_integer_value(json_object_get(o, "count")), 2);
    assert_non_null(strstr(text_of(o, "text"), "#7 up: p/a down -> up after 1 min 1 s"));
    json_decref(o);
}

static void test_templates_escape_for_where_they_go(void **state)
{
    static const char json_body[] = "{\"a\":\"{{summary}}\",\"c\":\"x{{cause}}y\",\"n\":{{count}},\"i\":{{id}},\"e\":{{"
                                    "events}},\"t\":\"{{time}}\"}";
    const struct conf_alert as_json = rule_of(ALERT_FORM_GENERIC, json_body, "application/vnd.x+json");
    const struct conf_alert as_form =
        rule_of(ALERT_FORM_GENERIC, "To=%2B1&B={{cause}}&d={{duration}}", "application/x-www-form-urlencoded");
    const struct conf_alert as_text = rule_of(
        ALERT_FORM_GENERIC, "{{kind}} {{subject}} {{from}}>{{to}} {{rule}}@{{node}} {{status}} {{", "text/plain");
    json_t *o = body_json(&as_json, 1);
    struct alert_letter l = letter_of(&as_form, 1);
    struct strbuf out;

    (void)state;
    assert_int_equal(strncmp(text_of(o, "c"), "x\"},{\\ <b>&\r\n", 12), 0);
    assert_int_equal(json_integer_value(json_object_get(o, "i")), 7);
    assert_int_equal(json_array_size(json_object_get(o, "e")), 1);
    assert_string_equal(text_of(o, "t"), "2023-11-14T22:13:20Z");
    json_decref(o);

    strbuf_init(&out, ALERT_TEXT_BYTES_MAX);
    alert_body(&l, &out);
    assert_string_equal(out.data, "To=%2B1&B=%22%7D%2C%7B%5C%20%3Cb%3E%26%0D%0ABcc%3A%20x%01%FF&d=");
    strbuf_clear(&out);
    l = letter_of(&as_text, 1);
    alert_body(&l, &out);
    assert_string_equal(out.data, "down p/a up>down r@n-1 firing {{");
    strbuf_fini(&out);
}

static void test_slack(void **state)
{
    const struct conf_alert rule = rule_of(ALERT_FORM_SLACK, "", "application/json");
    json_t *o = body_json(&rule, 1);

    (void)state;
    assert_non_null(strstr(text_of(o, "text"), "[n-1] #7 down: p/a up -&gt; down ("));
    assert_non_null(strstr(text_of(o, "text"), "&lt;b&gt;&amp;"));
    json_decref(o);
}

static void test_pagerduty(void **state)
{
    const struct conf_alert rule = rule_of(ALERT_FORM_PAGERDUTY, "", "application/json");
    json_t *o = body_json(&rule, 1);
    const json_t *payload = json_object_get(o, "payload");

    (void)state;
    assert_string_equal(text_of(o, "routing_key"), "key");
    assert_string_equal(text_of(o, "event_action"), "trigger");
    assert_string_equal(text_of(o, "dedup_key"), "tidegate/n-1/down/p/a");
    assert_string_equal(text_of(payload, "severity"), "critical");
    assert_string_equal(text_of(payload, "source"), "n-1");
    json_decref(o);
}

static void test_mail(void **state)
{
    const struct conf_alert rule = rule_of(ALERT_FORM_GENERIC, "", "");
    const struct alert_letter l = letter_of(&rule, 2);
    struct strbuf out;
    char *end;

    (void)state;
    strbuf_init(&out, ALERT_TEXT_BYTES_MAX);
    alert_mail(&l, &out);
    assert_non_null(strstr(out.data, "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"));
    assert_non_null(strstr(out.data, "From: <gate@example.com>\r\nTo: <a@example.com>,\r\n <b@example.com>\r\n"));
    assert_non_null(
        strstr(out.data, "\r\nSubject: [n-1] down: p/a up -> down (\"},{\\ <b>&  Bcc: x ?), and 1 more\r\n"));
    assert_non_null(strstr(out.data, "\r\nMessage-ID: <3.7.tidegate@n-1>\r\n"));
    end = strstr(out.data, "\r\n\r\n");
    assert_non_null(end);
    for (const char *line = end; *line != '\0';) { /* no line is longer than mail allows, none is a lone dot */
        size_t len = strcspn(line, "\n");
        assert_true(len <= 78);
        assert_true(line[0] != '.');
        for (size_t i = 0; i < len; i++)
            assert_true((unsigned char)line[i] < 0x7f);
        line += len + (line[len] == '\n');
    }
    assert_null(strstr(out.data, "\nBcc:"));
    strbuf_fini(&out);
}

static void test_status(void **state)
{
    const struct conf_alert rule = rule_of(ALERT_FORM_GENERIC, "", "");
    struct alert_letter l = letter_of(&rule, 2);

    (void)state;
    assert_string_equal(alert_status(&l.notice), "resolved");
    l.notice.count = 1;
    assert_string_equal(alert_status(&l.notice), "firing");
    items[1].id = 8; /* something else ended */
    l.notice.count = 2;
    assert_string_equal(alert_status(&l.notice), "firing");
    items[0].reason = ALERT_EVENT;
    l.notice.count = 1;
    assert_string_equal(alert_status(&l.notice), "info");
    items[0].reason = ALERT_TEST;
    assert_string_equal(alert_status(&l.notice), "info");
}

/* Names, the quorum and pushes have sentences of their own. */
static void test_sentences(void **state)
{
    static const struct {
        enum event_kind kind;
        enum event_phase phase;
        const char *from, *to, *cause;
        int64_t duration_ms;
        const char *expected;
    } cases[] = {
        {EVENT_DOWN, EVENT_BEGINS, "up", "down", "reset", -1, "down: x up -> down (reset)"},
        {EVENT_DNS, EVENT_ONCE, "us-edge", "eu-edge", "targets/us-edge down", -1,
         "dns: x is answered with eu-edge, before us-edge (targets/us-edge down)"},
        {EVENT_DNS, EVENT_BEGINS, "eu-edge", "static", "", -1,
         "dns: x has nothing that stands, its last resort is static, before eu-edge"},
        {EVENT_DNS, EVENT_ENDS, "static", "us-edge", "", 61000,
         "dns: x is answered again with us-edge, before static after 1 min 1 s"},
        {EVENT_DNS, EVENT_ENDS, "us-edge", "us-edge", "", -1, "dns: x is answered again with us-edge"},
        {EVENT_QUORUM, EVENT_BEGINS, "leads", "alone", "nobody leads", -1, "quorum: x judges alone (nobody leads)"},
        {EVENT_QUORUM, EVENT_ONCE, "follows", "leads", "", -1, "quorum: x now leads, before follows"},
        {EVENT_SESSIONS, EVENT_ONCE, "12 sessions", "12 moved", "12 of 12 sessions went on elsewhere", -1,
         "sessions: x lost its sessions (12 of 12 sessions went on elsewhere)"},
        {EVENT_PUSH, EVENT_BEGINS, "done", "failing", "REFUSED", -1, "push: x is not told of changes (REFUSED)"},
        {EVENT_PUSH, EVENT_ENDS, "failing", "done", "", 2000, "push: x is told of changes again after 2 s"},
    };
    struct strbuf out;

    (void)state;
    strbuf_init(&out, ALERT_TEXT_BYTES_MAX);
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        struct alert_item item = {.reason = ALERT_BEGAN};

        event_init(&item.event, cases[k].kind, cases[k].phase, "x", cases[k].from, cases[k].to, cases[k].cause);
        item.event.duration_ms = cases[k].duration_ms;
        strbuf_clear(&out);
        alert_item_text(&item, &out);
        assert_string_equal(out.data, cases[k].expected);
    }
    strbuf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_usual_body), cmocka_unit_test(test_templates_escape_for_where_they_go),
        cmocka_unit_test(test_slack),          cmocka_unit_test(test_pagerduty),
        cmocka_unit_test(test_mail),           cmocka_unit_test(test_status),
        cmocka_unit_test(test_sentences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
