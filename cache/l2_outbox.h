/* Purges on their way into the log: each waits until Redis has acknowledged its XADD, however long Redis is away or
 * full. One that is added twice, because an acknowledgement was lost, does no harm: it is the same purge. */
#ifndef CACHE_L2_OUTBOX_H
#define CACHE_L2_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "cache/l2_priv.h"

#define L2_LOG_RECORDS "4096" /* about what the log holds */

struct l2_outbox;
typedef void l2_outbox_empty_fn(void *arg);

/* `on_empty`: the last one was acknowledged. `log_key` is borrowed for life and may change. */
struct l2_outbox *l2_outbox_create(struct l2 *l, const struct l2_redis_key *log_key, l2_outbox_empty_fn *on_empty,
                                   void *arg);
void l2_outbox_destroy(struct l2_outbox **op);
/* At most L2_PURGES_WAITING; then all are given up for one `purge all`. True: sent; false: waits for
 * l2_outbox_send(). */
bool l2_outbox_add(struct l2_outbox *o, const struct cache_purge *what);
/* Sends what is not on its way. */
void l2_outbox_send(struct l2_outbox *o);
size_t l2_outbox_count(const struct l2_outbox *o);

#endif
