/* The parts of alerting, put together on a loop: rules that decide (alert_rules), a queue that delivers (alert_queue),
 * a file that remembers (alert_store). */
#include "gateway/admin/alerts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "gateway/admin/alert_list.h"
#include "gateway/admin/alert_queue.h"
#include "gateway/admin/alert_rules.h"
#include "gateway/admin/alert_store.h"

#define ALERTS_MAGIC  0xa1e2750eu
#define SAVE_DELAY_MS 100 /* what happens within it is saved together */

struct alerts {
    uint32_t magic;
    struct loop *loop;
    const struct alerts_ops *ops;
    void *arg;
    struct alert_rules *rules;
    struct alert_queue *queue;
    struct alert_store *store;
    stat_cell *cells;
    const struct conf *conf; /* NULL before the first one */
    int64_t since_wall_ms;
    bool is_restored; /* the kept state is in */
    struct timer tick;
    struct timer save;
};

/* ---- keeping ---- */

static void save_now(struct alerts *a)
{
    timer_cancel(&a->save);
    if (a->conf != NULL)
        alert_store_save(a->store, a->rules, a->queue, loop_now_ms(a->loop), loop_wall_ms(a->loop));
}

static void on_save(void *arg)
{
    save_now(arg);
}

static void save_soon(struct alerts *a)
{
    if (!timer_is_active(&a->save))
        timer_start(&a->save, SAVE_DELAY_MS);
}

/* ---- the parts' callbacks ---- */

static void on_put(void *arg)
{
    save_soon(arg);
}

static void on_done(void *arg)
{
    save_now(arg);
}

static void on_tested(void *arg, uint64_t number, const struct alert_outcome *o)
{
    struct alerts *a = arg;

    a->ops->answer(a->arg, number, o->is_delivered, o->error, NULL);
}

static void on_send(void *arg, const struct conf_alert *rule, const struct alert_notice *n)
{
    struct alerts *a = arg;

    alert_queue_put(a->queue, rule, n, 0);
}

static const struct alert_queue_ops queue_ops = {.on_put = on_put, .on_done = on_done, .on_tested = on_tested};
static const struct alert_rules_ops rules_ops = {.send = on_send};

/* ---- time ---- */

static void set_gauge(stat_cell *c, size_t value)
{
    stat_add(c, (int64_t)(value - stat_get(c)));
}

static void wait(struct alerts *a)
{
    const int64_t next_ms = alert_rules_next_ms(a->rules), now_ms = loop_now_ms(a->loop);
    size_t acked_count;

    set_gauge(&a->cells[STAT_ALERTS_OPEN], alert_rules_open_count(a->rules, &acked_count));
    set_gauge(&a->cells[STAT_ALERTS_ACKED], acked_count);
    timer_cancel(&a->tick);
    if (next_ms < INT64_MAX)
        timer_start(&a->tick, next_ms > now_ms ? next_ms - now_ms : 0);
}

static void on_tick(void *arg)
{
    struct alerts *a = arg;

    CHECK_OBJ(a, ALERTS_MAGIC);
    alert_rules_tick(a->rules, loop_now_ms(a->loop), loop_wall_ms(a->loop));
    save_soon(a);
    wait(a);
}

/* ---- in ---- */

void alerts_set(struct alerts *a, const struct conf *c)
{
    const int64_t now_ms = loop_now_ms(a->loop), wall_ms = loop_wall_ms(a->loop);

    CHECK_OBJ(a, ALERTS_MAGIC);
    alert_rules_set(a->rules, c);
    alert_queue_set(a->queue, c);
    if (a->conf == NULL)
        a->is_restored = alert_store_load(a->store, a->rules, a->queue, now_ms, wall_ms);
    a->conf = c;
    save_soon(a);
    wait(a);
}

void alerts_event(struct alerts *a, const struct event *e)
{
    CHECK_OBJ(a, ALERTS_MAGIC);
    ASSERT(a->conf != NULL);
    if (!a->is_restored && e->wall_ms < a->since_wall_ms) {
        a->rules->last_seq = e->seq > a->rules->last_seq ? e->seq : a->rules->last_seq;
        return;
    }
    alert_rules_event(a->rules, e, loop_now_ms(a->loop), loop_wall_ms(a->loop));
    save_soon(a);
    wait(a);
}

/* ---- commands ---- */

static void run_ack(struct alerts *a, const struct msg_alert *m)
{
    char by[sizeof m->name], subject[EVENT_SUBJECT_BYTES], text[IPC_TEXT_BYTES], cause[sizeof m->name + 4] = "";
    struct event e;
    size_t count;

    snprintf(by, sizeof by, "%.*s", (int)sizeof m->name - 1, m->name);
    count = alert_rules_ack(a->rules, m->id, by, loop_wall_ms(a->loop));

    if (count == 0) {
        a->ops->answer(a->arg, m->number, false,
                       m->id == 0 ? "nothing waits for it" : "nothing by that number waits for it", NULL);
        return;
    }
    if (m->id == 0)
        snprintf(subject, sizeof subject, "all");
    else
        snprintf(subject, sizeof subject, "#%" PRIu64, m->id);
    snprintf(text, sizeof text, "%s acknowledged, in %zu alert%s", subject, count, count == 1 ? "" : "s");
    if (by[0] != '\0')
        snprintf(cause, sizeof cause, "by %s", by);
    event_init(&e, EVENT_ACK, EVENT_ONCE, subject, "", "acknowledged", cause);
    a->ops->event(a->arg, &e);
    save_now(a); /* confirmed is kept */
    wait(a);
    a->ops->answer(a->arg, m->number, true, text, NULL);
}

static void run_test(struct alerts *a, const struct msg_alert *m)
{
    char name[sizeof m->name];
    const struct alert_rule *rule;
    struct alert_item item = {.reason = ALERT_TEST};
    const struct alert_notice n = {.items = &item, .count = 1};

    snprintf(name, sizeof name, "%.*s", (int)sizeof m->name - 1, m->name);
    rule = alert_rules_find(a->rules, name);
    if (rule == NULL) {
        a->ops->answer(a->arg, m->number, false, "there is no alert of that name", NULL);
        return;
    }
    event_init(&item.event, EVENT_ACK, EVENT_ONCE, name, "", "", "somebody tries whether this alert arrives");
    item.event.wall_ms = loop_wall_ms(a->loop);
    alert_queue_put(a->queue, rule->conf, &n, m->number);
}

void alerts_list(const struct alerts *a, struct strbuf *out)
{
    CHECK_OBJ(a, ALERTS_MAGIC);
    alert_list_json(a->rules, a->queue, loop_wall_ms(a->loop), out);
}

static void run_list(struct alerts *a, const struct msg_alert *m)
{
    struct strbuf list;

    strbuf_init(&list, ALERT_LIST_BYTES_MAX);
    alerts_list(a, &list);
    if (list.failed)
        a->ops->answer(a->arg, m->number, false, "the list is too long", NULL);
    else
        a->ops->answer(a->arg, m->number, true, "", &list);
    strbuf_fini(&list);
}

void alerts_command(struct alerts *a, const struct msg_alert *m)
{
    CHECK_OBJ(a, ALERTS_MAGIC);
    if (a->conf == NULL)
        a->ops->answer(a->arg, m->number, false, "there is no configuration yet", NULL);
    else if (m->kind == ALERT_COMMAND_ACK)
        run_ack(a, m);
    else if (m->kind == ALERT_COMMAND_LIST)
        run_list(a, m);
    else
        run_test(a, m);
}

/* ---- life ---- */

struct alerts *alerts_create(struct loop *l, const char *state_dir, int64_t since_wall_ms, stat_cell *cells,
                             const struct alerts_ops *ops, void *arg)
{
    struct alerts *a;

    OBJ_NEW(a, ALERTS_MAGIC);
    a->loop = l;
    a->ops = ops;
    a->arg = arg;
    a->since_wall_ms = since_wall_ms;
    a->cells = cells;
    timer_init(&a->tick, l, on_tick, a);
    timer_init(&a->save, l, on_save, a);
    a->queue = alert_queue_create(l, &queue_ops, a, cells);
    if (a->queue == NULL) {
        OBJ_FREE(&a, ALERTS_MAGIC);
        return NULL;
    }
    a->rules = alert_rules_create(&rules_ops, a);
    a->store = alert_store_open(state_dir);
    return a;
}

void alerts_destroy(struct alerts **ap)
{
    struct alerts *a = *ap;

    CHECK_OBJ(a, ALERTS_MAGIC);
    save_now(a);
    timer_cancel(&a->tick);
    alert_queue_destroy(&a->queue);
    timer_cancel(&a->save);
    alert_rules_destroy(&a->rules);
    alert_store_close(&a->store);
    OBJ_FREE(ap, ALERTS_MAGIC);
}
