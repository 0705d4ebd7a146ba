/* Lanes, one for each alert, and one list of deliveries. A delivery is worded anew for each attempt: what is kept on
 * disk has no secrets in it, and a corrected configuration counts at once. */
#include "gateway/admin/alert_queue.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "gateway/admin/alert_text.h"

#define ALERT_QUEUE_MAGIC    0xa1e2009eu
#define ALERT_DELIVERY_MAGIC 0xa1e2de11u
#define HOPELESS_ATTEMPTS    3u /* a target that refuses may be in the middle of its own maintenance */

struct lane {
    struct alert_queue *queue;
    const struct conf_alert *conf;
    struct alert_attempt *attempt; /* NULL: none under way */
    struct alert_delivery *delivery;
    uint32_t failure_count; /* in a row */
    int64_t retry_ms;
};

struct alert_queue {
    uint32_t magic;
    struct loop *loop;
    const struct alert_queue_ops *ops;
    void *arg;
    stat_cell *cells;
    struct alert_sender *sender;
    const struct conf *conf;
    struct lane **lanes; /* conf->alert_count */
    size_t lane_count;
    struct list deliveries;
    size_t delivery_count;
    uint64_t last_number;
    struct later step;
    struct timer retry;
    struct log_limit complaints;
};

int64_t alert_backoff_ms(uint32_t failure_count)
{
    int64_t ms = ALERT_RETRY_FIRST_MS;

    for (uint32_t i = 1; i < failure_count && ms < ALERT_RETRY_MAX_MS; i++)
        ms *= 2;
    return ms < ALERT_RETRY_MAX_MS ? ms : ALERT_RETRY_MAX_MS;
}

/* ---- deliveries ---- */

static struct lane *lane_of(const struct alert_queue *q, const char *rule)
{
    for (size_t i = 0; i < q->lane_count; i++)
        if (strcmp(q->lanes[i]->conf->name, rule) == 0)
            return q->lanes[i];
    return NULL;
}

static void delivery_drop(struct alert_queue *q, struct alert_delivery *d)
{
    struct lane *lane = lane_of(q, d->rule);

    if (lane != NULL && lane->delivery == d) {
        if (lane->attempt != NULL)
            alert_attempt_cancel(&lane->attempt);
        lane->delivery = NULL;
    }
    list_unlink(&d->link);
    q->delivery_count--;
    stat_add(&q->cells[STAT_ALERTS_WAITING], -1);
    mem_free(d->items);
    OBJ_FREE(&d, ALERT_DELIVERY_MAGIC);
}

static struct alert_delivery *delivery_create(struct alert_queue *q, size_t count)
{
    struct alert_delivery *d;

    OBJ_NEW(d, ALERT_DELIVERY_MAGIC);
    d->items = mem_alloc_array(count + 1, sizeof *d->items);
    d->count = count;
    list_init(&d->link);
    list_append(&q->deliveries, &d->link);
    q->delivery_count++;
    stat_add(&q->cells[STAT_ALERTS_WAITING], 1);
    return d;
}

static struct alert_delivery *find_next(const struct alert_queue *q, const struct conf_alert *rule)
{
    LIST_EACH (it, &q->deliveries) {
        struct alert_delivery *d = LIST_ENTRY(it, struct alert_delivery, link);
        if (strcmp(d->rule, rule->name) == 0)
            return d;
    }
    return NULL;
}

/* ---- attempts ---- */

static void failed(struct lane *lane, struct alert_delivery *d, const struct alert_outcome *o)
{
    struct alert_queue *q = lane->queue;
    const int64_t age_ms = loop_wall_ms(q->loop) - d->created_wall_ms;
    const bool is_over = (o->is_hopeless && d->attempt_count >= HOPELESS_ATTEMPTS) || age_ms > lane->conf->give_up_ms;

    stat_add(&q->cells[STAT_ALERTS_FAILED], 1);
    stat_add(&q->cells[STAT_ALERTS_DROPPED], is_over);
    lane->failure_count++;
    lane->retry_ms = loop_now_ms(q->loop) + alert_backoff_ms(lane->failure_count);
    LOG_LIMITED(&q->complaints, loop_now_ms(q->loop), is_over ? LOG_LEVEL_ERR : LOG_LEVEL_WARN,
                is_over ? "alert given up" : "alert not delivered", KV_STR("alert", lane->conf->name),
                KV_UINT("number", d->number), KV_STR("cause", o->error), KV_UINT("attempt", d->attempt_count),
                KV_INT("next_ms", alert_backoff_ms(lane->failure_count)));
    if (is_over)
        delivery_drop(q, d);
}

static void on_done(void *arg, const struct alert_outcome *o)
{
    struct lane *lane = arg;
    struct alert_queue *q = lane->queue;
    struct alert_delivery *d = lane->delivery;

    CHECK_OBJ(q, ALERT_QUEUE_MAGIC);
    lane->attempt = NULL;
    lane->delivery = NULL;
    d->attempt_count++;
    if (d->test_number != 0) {
        q->ops->on_tested(q->arg, d->test_number, o);
        delivery_drop(q, d);
    } else if (o->is_delivered) {
        LOG_INFO("alert delivered", KV_STR("alert", lane->conf->name), KV_UINT("number", d->number),
                 KV_UINT("events", d->count));
        stat_add(&q->cells[STAT_ALERTS_SENT], 1);
        lane->failure_count = 0;
        lane->retry_ms = 0;
        delivery_drop(q, d);
    } else {
        failed(lane, d, o);
    }
    q->ops->on_done(q->arg);
    later_post(&q->step);
}

static void attempt(struct lane *lane, struct alert_delivery *d)
{
    static const struct alert_outcome impossible = {.error = "it cannot be sent like that", .is_hopeless = true};
    struct alert_queue *q = lane->queue;
    const struct alert_letter letter = {
        .node = q->conf->node.name,
        .rule = lane->conf,
        .notice = {.items = d->items, .count = d->count, .more_count = d->more_count},
        .number = d->number,
        .wall_ms = d->created_wall_ms,
    };
    struct strbuf text;

    strbuf_init(&text, ALERT_TEXT_BYTES_MAX);
    if (lane->conf->email.smtp[0] != '\0')
        alert_mail(&letter, &text);
    else
        alert_body(&letter, &text);
    lane->delivery = d;
    stat_add(&q->cells[STAT_ALERTS_RETRIES], d->attempt_count > 0);
    if (!text.failed && text.len > 0)
        lane->attempt = alert_attempt_start(q->sender, lane->conf, alert_content_type(lane->conf), text.data, text.len,
                                            on_done, lane);
    if (text.data != NULL)
        mem_wipe(text.data, text.len); /* the form may have wanted a key in it */
    strbuf_fini(&text);
    if (lane->attempt == NULL)
        on_done(lane, &impossible);
}

/* Tests do not wait for what waits. */
static struct alert_delivery *find_test(const struct alert_queue *q, const struct conf_alert *rule)
{
    LIST_EACH (it, &q->deliveries) {
        struct alert_delivery *d = LIST_ENTRY(it, struct alert_delivery, link);
        if (d->test_number != 0 && strcmp(d->rule, rule->name) == 0)
            return d;
    }
    return NULL;
}

static void on_step(void *arg)
{
    struct alert_queue *q = arg;
    const int64_t now_ms = loop_now_ms(q->loop);
    int64_t next_ms = INT64_MAX;

    CHECK_OBJ(q, ALERT_QUEUE_MAGIC);
    for (size_t i = 0; i < q->lane_count; i++) {
        struct lane *lane = q->lanes[i];
        struct alert_delivery *d = lane->attempt == NULL ? find_test(q, lane->conf) : NULL;

        if (d == NULL && lane->attempt == NULL && now_ms >= lane->retry_ms)
            d = find_next(q, lane->conf);
        if (d != NULL)
            attempt(lane, d);
        else if (lane->attempt == NULL && lane->retry_ms > now_ms && find_next(q, lane->conf) != NULL &&
                 lane->retry_ms < next_ms)
            next_ms = lane->retry_ms;
    }
    if (next_ms < INT64_MAX)
        timer_start(&q->retry, next_ms - now_ms);
}

static void on_retry(void *arg)
{
    on_step(arg);
}

/* ---- in ---- */

static void put_one(struct alert_queue *q, const struct conf_alert *rule, const struct alert_item *items, size_t count,
                    size_t more_count, uint64_t test_number)
{
    struct alert_delivery *d;

    if (q->delivery_count >= ALERT_DELIVERIES_MAX) {
        struct alert_delivery *oldest = LIST_ENTRY(q->deliveries.next, struct alert_delivery, link);
        LOG_LIMITED(&q->complaints, loop_now_ms(q->loop), LOG_LEVEL_ERR, "alert given up, too many wait",
                    KV_STR("alert", oldest->rule), KV_UINT("number", oldest->number));
        stat_add(&q->cells[STAT_ALERTS_DROPPED], 1);
        delivery_drop(q, oldest);
    }
    d = delivery_create(q, count);
    memcpy(d->items, items, count * sizeof *items);
    d->more_count = more_count;
    d->number = ++q->last_number;
    d->created_wall_ms = loop_wall_ms(q->loop);
    d->test_number = test_number;
    snprintf(d->rule, sizeof d->rule, "%s", rule->name);
}

void alert_queue_put(struct alert_queue *q, const struct conf_alert *rule, const struct alert_notice *n,
                     uint64_t test_number)
{
    CHECK_OBJ(q, ALERT_QUEUE_MAGIC);
    if (rule->form == ALERT_FORM_PAGERDUTY)
        for (size_t i = 0; i < n->count; i++)
            put_one(q, rule, &n->items[i], 1, 0, test_number);
    else
        put_one(q, rule, n->items, n->count, n->more_count, test_number);
    q->ops->on_put(q->arg);
    later_post(&q->step);
}

const struct list *alert_queue_deliveries(const struct alert_queue *q)
{
    CHECK_OBJ(q, ALERT_QUEUE_MAGIC);
    return &q->deliveries;
}

uint64_t alert_queue_last_number(const struct alert_queue *q)
{
    CHECK_OBJ(q, ALERT_QUEUE_MAGIC);
    return q->last_number;
}

void alert_queue_set_last_number(struct alert_queue *q, uint64_t number)
{
    CHECK_OBJ(q, ALERT_QUEUE_MAGIC);
    q->last_number = number;
}

struct alert_delivery *alert_queue_restore(struct alert_queue *q, size_t count)
{
    CHECK_OBJ(q, ALERT_QUEUE_MAGIC);
    if (q->delivery_count >= ALERT_DELIVERIES_MAX)
        return NULL;
    later_post(&q->step);
    return delivery_create(q, count);
}

/* ---- life ---- */

static void lane_free(struct lane *lane)
{
    if (lane->attempt != NULL)
        alert_attempt_cancel(&lane->attempt);
    mem_free(lane);
}

/* An attempt under way was begun in the words of the old configuration; it is made again in those of the new one. */
void alert_queue_set(struct alert_queue *q, const struct conf *c)
{
    CHECK_OBJ(q, ALERT_QUEUE_MAGIC);
    for (size_t i = 0; i < q->lane_count; i++)
        lane_free(q->lanes[i]);
    mem_free(q->lanes);
    q->conf = c;
    q->lane_count = c->alert_count;
    q->lanes = mem_alloc_array(c->alert_count + 1, sizeof *q->lanes);
    for (size_t i = 0; i < c->alert_count; i++) {
        q->lanes[i] = mem_alloc(sizeof *q->lanes[i]);
        q->lanes[i]->queue = q;
        q->lanes[i]->conf = &c->alerts[i];
    }
    LIST_EACH (it, &q->deliveries) {
        struct alert_delivery *d = LIST_ENTRY(it, struct alert_delivery, link);
        if (lane_of(q, d->rule) == NULL)
            delivery_drop(q, d);
    }
    later_post(&q->step);
}

struct alert_queue *alert_queue_create(struct loop *l, const struct alert_queue_ops *ops, void *arg, stat_cell *cells)
{
    struct alert_sender *sender = alert_sender_create(l);
    struct alert_queue *q;

    if (sender == NULL)
        return NULL;
    OBJ_NEW(q, ALERT_QUEUE_MAGIC);
    q->loop = l;
    q->ops = ops;
    q->arg = arg;
    q->cells = cells;
    q->sender = sender;
    list_init(&q->deliveries);
    later_init(&q->step, l, on_step, q);
    timer_init(&q->retry, l, on_retry, q);
    return q;
}

void alert_queue_destroy(struct alert_queue **qp)
{
    struct alert_queue *q = *qp;

    CHECK_OBJ(q, ALERT_QUEUE_MAGIC);
    later_cancel(&q->step);
    timer_cancel(&q->retry);
    LIST_EACH (it, &q->deliveries)
        delivery_drop(q, LIST_ENTRY(it, struct alert_delivery, link));
    for (size_t i = 0; i < q->lane_count; i++)
        lane_free(q->lanes[i]);
    mem_free(q->lanes);
    alert_sender_destroy(&q->sender);
    OBJ_FREE(qp, ALERT_QUEUE_MAGIC);
}
