/* Alerts over a restart: everything comes back, nothing secret is kept, and garbage does no harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <string.h>

#include "base/mem.h"
#include "gateway/admin/alert_list.h"
#include "gateway/admin/alert_store.h"

static const char text[] =
    "listen: [ { address: \"127.0.0.1:1\" } ]\n"
    "pools: { p: { servers: [ { name: a, url: \"ws://h\" } ] } }\n"
    "routes: [ { path: /, pool: p } ]\n"
    "alerts: [ { name: r, webhook: \"http://127.0.0.1:9/secret\", group: 10s, repeat: 1h,"
    " escalate: { after: 10m, to: other } }, { name: other, webhook: \"http://127.0.0.1:9/\" } ]\n";

struct world {
    struct loop *loop;
    struct conf *conf;
    struct alert_rules *rules;
    struct alert_queue *queue;
    stat_cell cells[STAT_PROCESS_COUNT];
};

static void on_send(void *arg, const struct conf_alert *rule, const struct alert_notice *n)
{
    struct world *w = arg;
    alert_queue_put(w->queue, rule, n, 0);
}

static void on_nothing(void *arg)
{
    (void)arg;
}

static const struct alert_rules_ops rules_ops = {.send = on_send};
static const struct alert_queue_ops queue_ops = {.on_put = on_nothing, .on_done = on_nothing};

static void world_init(struct world *w)
{
    struct conf_errors errors = {.count = 0};

    memset(w, 0, sizeof *w);
    w->loop = loop_create();
    w->conf = conf_load_text("t.yaml", text, sizeof text - 1, false, &errors);
    assert_non_null(w->conf);
    conf_errors_fini(&errors);
    w->rules = alert_rules_create(&rules_ops, w);
    alert_rules_set(w->rules, w->conf);
    w->queue = alert_queue_create(w->loop, &queue_ops, w, w->cells);
    assert_non_null(w->queue);
    alert_queue_set(w->queue, w->conf);
}

static void world_fini(struct world *w)
{
    alert_queue_destroy(&w->queue);
    alert_rules_destroy(&w->rules);
    conf_unref(&w->conf);
    loop_destroy(&w->loop);
}

static void happens(struct world *w, uint64_t seq, const char *subject, int64_t now_ms)
{
    struct event e;

    event_init(&e, EVENT_DOWN, EVENT_BEGINS, subject, "up", "down", "because \"of\" it");
    e.seq = seq;
    e.wall_ms = 5000;
    alert_rules_event(w->rules, &e, now_ms, 5000);
}

static void print(struct world *w, int64_t now_ms, int64_t wall_ms, struct strbuf *out)
{
    strbuf_init(out, 1u << 20);
    alert_store_print(w->rules, w->queue, now_ms, wall_ms, out);
    assert_false(out->failed);
}

static void test_there_and_back(void **state)
{
    struct world a, b;
    struct strbuf first, second;

    (void)state;
    world_init(&a);
    world_init(&b);
    happens(&a, 3, "p/a", 1000);
    alert_rules_tick(a.rules, 12000, 16000);                        /* the notice goes to the queue */
    assert_int_equal(alert_rules_ack(a.rules, 3, "ops", 16000), 2); /* in both */
    happens(&a, 4, "p/b", 13000);                                   /* is held for its group */
    print(&a, 14000, 100000, &first);
    assert_null(strstr(first.data, "secret"));

    /* Another machine's clock: what was 9 s ahead is so again. */
    assert_true(alert_store_parse(first.data, first.len, b.rules, b.queue, 500, 100000));
    assert_int_equal(b.rules->last_seq, 4);
    assert_int_equal(b.rules->incident_count, a.rules->incident_count);
    const struct alert_incident *i = LIST_ENTRY(b.rules->incidents.next, struct alert_incident, link);
    assert_true(i->is_acked);
    assert_string_equal(i->acked_by, "ops");
    assert_int_equal(i->acked_wall_ms, 16000);
    assert_int_equal(i->began_wall_ms, 5000);
    assert_int_equal(alert_rules_find(b.rules, "r")->item_count, 1);
    assert_int_equal(alert_rules_find(b.rules, "r")->flush_ms, 500 + 9000);
    assert_false(list_is_empty(alert_queue_deliveries(b.queue)));
    print(&b, 500, 100000, &second);
    assert_string_equal(first.data, second.data);
    strbuf_fini(&first);
    strbuf_fini(&second);
    world_fini(&a);
    world_fini(&b);
}

static json_t *list_of(const struct world *w, int64_t wall_ms)
{
    struct strbuf out;
    json_t *j;

    strbuf_init(&out, 1u << 20);
    alert_list_json(w->rules, w->queue, wall_ms, &out);
    j = json_loadb(out.data, out.len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(j);
    strbuf_fini(&out);
    return j;
}

static const char *text_at(const json_t *j, const char *list, size_t i, const char *key)
{
    const char *value = json_string_value(json_object_get(json_array_get(json_object_get(j, list), i), key));

    return value != NULL ? value : "null";
}

/* What an operator sees: before anybody was told, once it was handed on, and once somebody takes care. */
static void test_what_is_listed(void **state)
{
    struct world w;
    json_t *j;
    size_t acked_count;

    (void)state;
    world_init(&w);
    happens(&w, 3, "p/a", 1000);
    assert_int_equal(alert_rules_open_count(w.rules, &acked_count), 2);
    alert_rules_tick(w.rules, 1000 + 610000, 5000 + 610000);
    j = list_of(&w, 5000 + 610000);
    assert_int_equal(json_array_size(json_object_get(j, "open")), 2); /* in the alert, and in the one it went to */
    assert_int_equal(json_integer_value(json_object_get(json_array_get(json_object_get(j, "open"), 0), "id")), 3);
    assert_string_equal(text_at(j, "open", 0, "rule"), "r");
    assert_string_equal(text_at(j, "open", 0, "kind"), "down");
    assert_string_equal(text_at(j, "open", 0, "subject"), "p/a");
    assert_string_equal(text_at(j, "open", 0, "since"), "1970-01-01T00:00:05.000Z");
    assert_string_equal(text_at(j, "open", 0, "escalated_at"), "1970-01-01T00:10:15.000Z");
    assert_string_equal(text_at(j, "open", 0, "acknowledged_by"), "null");
    assert_string_equal(text_at(j, "waiting", 0, "rule"), "r");
    json_decref(j);
    assert_int_equal(alert_rules_ack(w.rules, 0, "ops", 620000), 2);
    j = list_of(&w, 620000);
    assert_string_equal(text_at(j, "open", 0, "acknowledged_by"), "ops");
    assert_string_equal(text_at(j, "open", 1, "acknowledged_at"), "1970-01-01T00:10:20.000Z");
    assert_int_equal(alert_rules_open_count(w.rules, &acked_count), 2);
    assert_int_equal(acked_count, 2);
    json_decref(j);
    world_fini(&w);
}

static void test_a_clock_that_jumped(void **state)
{
    struct world a, b;
    struct strbuf kept;

    (void)state;
    world_init(&a);
    world_init(&b);
    happens(&a, 3, "p/a", 1000);
    print(&a, 1000, INT64_C(1700000000000), &kept);
    assert_true(alert_store_parse(kept.data, kept.len, b.rules, b.queue, 500, 1000)); /* back to 1970 */
    assert_true(alert_rules_next_ms(b.rules) <= 500 + INT64_C(7) * 24 * 3600 * 1000); /* not in fifty years */
    strbuf_fini(&kept);
    world_fini(&a);
    world_fini(&b);
}

static void test_garbage(void **state)
{
    static const char *const texts[] = {
        "", "{", "null", "[]", "{\"version\":2}", "{\"version\":\"1\"}",
    };
    static const char *const odd[] = {
        "{\"version\":1}",
        "{\"version\":1,\"incidents\":7,\"held\":{},\"deliveries\":[null,[],{}]}",
        "{\"version\":1,\"incidents\":[{\"rule\":\"r\"},{\"rule\":\"gone\",\"event\":{}}]}",
        "{\"version\":1,\"deliveries\":[{\"rule\":\"r\",\"items\":[{\"reason\":99,\"id\":1,\"event\":{}}]}]}",
        ("{\"version\":1,\"held\":[{\"rule\":\"r\",\"items\":[{\"reason\":1,\"id\":1,\"event\":{\"seq\":1,\"kind\":"
         "\"x\"}}]}]}"),
    };
    struct world w;

    (void)state;
    world_init(&w);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_false(alert_store_parse(texts[i], strlen(texts[i]), w.rules, w.queue, 1, 1));
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
        assert_true(alert_store_parse(odd[i], strlen(odd[i]), w.rules, w.queue, 1, 1));
    assert_int_equal(w.rules->incident_count, 0);
    assert_true(list_is_empty(alert_queue_deliveries(w.queue)));
    world_fini(&w);
}

static void test_the_queue_is_bounded_and_patient(void **state)
{
    struct world w;
    struct alert_item item = {.reason = ALERT_EVENT};
    const struct alert_notice n = {.items = &item, .count = 1};
    size_t count = 0;

    (void)state;
    world_init(&w);
    event_init(&item.event, EVENT_PURGE, EVENT_ONCE, "all", "", "", "");
    for (unsigned i = 0; i < ALERT_DELIVERIES_MAX + 10; i++)
        alert_queue_put(w.queue, &w.conf->alerts[0], &n, 0);
    LIST_EACH (it, alert_queue_deliveries(w.queue))
        count++;
    assert_int_equal(count, ALERT_DELIVERIES_MAX);
    assert_int_equal(LIST_ENTRY(alert_queue_deliveries(w.queue)->next, struct alert_delivery, link)->number, 11);
    assert_int_equal(stat_get(&w.cells[STAT_ALERTS_WAITING]), ALERT_DELIVERIES_MAX);
    assert_int_equal(stat_get(&w.cells[STAT_ALERTS_DROPPED]), 10);
    assert_int_equal(alert_backoff_ms(1), 1000);
    assert_int_equal(alert_backoff_ms(4), 8000);
    assert_int_equal(alert_backoff_ms(1000), ALERT_RETRY_MAX_MS);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_what_is_listed),
        cmocka_unit_test(test_a_clock_that_jumped),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_the_queue_is_bounded_and_patient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
