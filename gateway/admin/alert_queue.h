/* Notices on their way: kept until they are delivered or too old, one attempt at a time for each alert, in their order.
 * After a failure an alert's notices wait, longer each time, so that a dead target costs one attempt now and then. */
#ifndef GATEWAY_ADMIN_ALERT_QUEUE_H
#define GATEWAY_ADMIN_ALERT_QUEUE_H

#include <stdint.h>

#include "base/list.h"
#include "base/loop.h"
#include "base/stats.h"
#include "gateway/admin/alert_rules.h"
#include "gateway/admin/alert_send.h"

#define ALERT_DELIVERIES_MAX 256u /* of all alerts; the oldest makes room */
#define ALERT_RETRY_FIRST_MS 1000
#define ALERT_RETRY_MAX_MS   (5 * 60 * 1000)

struct alert_delivery {
    uint32_t magic;
    struct list link;
    uint64_t number;
    char rule[ALERT_NAME_BYTES];
    struct alert_item *items;
    size_t count, more_count;
    int64_t created_wall_ms;
    uint32_t attempt_count;
    uint64_t test_number; /* 0: no test */
};

struct alert_queue_ops {
    void (*on_put)(void *arg);  /* one more waits */
    void (*on_done)(void *arg); /* an attempt ended: what is kept of it would be done twice */
    void (*on_tested)(void *arg, uint64_t test_number, const struct alert_outcome *o);
};

struct alert_queue;

/* NULL when nothing can be sent at all. What is counted is counted in `cells` (STAT_PROCESS_COUNT, borrowed). */
struct alert_queue *alert_queue_create(struct loop *l, const struct alert_queue_ops *ops, void *arg, stat_cell *cells);
void alert_queue_destroy(struct alert_queue **qp);
/* Borrowed until the next call. What is for an alert that is gone goes with it. */
void alert_queue_set(struct alert_queue *q, const struct conf *c);
/* Takes a notice along; sent from the next pass on. A test is tried once, and its outcome told. */
void alert_queue_put(struct alert_queue *q, const struct conf_alert *rule, const struct alert_notice *n,
                     uint64_t test_number);

/* ---- for keeping it over a restart ---- */
const struct list *alert_queue_deliveries(const struct alert_queue *q);
uint64_t alert_queue_last_number(const struct alert_queue *q);
void alert_queue_set_last_number(struct alert_queue *q, uint64_t number);
/* An empty one at the end; `items` has room for `count`. NULL: there is no room. */
struct alert_delivery *alert_queue_restore(struct alert_queue *q, size_t count);

/* How long to wait after so many failures in a row. */
int64_t alert_backoff_ms(uint32_t failure_count);

#endif
