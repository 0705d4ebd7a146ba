/* Purges on their way to the workers: an operator's, answered once they hold in every worker, and those of a worker,
 * passed on to the others. The law of purges is in base/ipc.h. */
#ifndef GATEWAY_SUPER_PURGER_H
#define GATEWAY_SUPER_PURGER_H

#include <stdint.h>

#include "base/ipc.h"
#include "base/loop.h"
#include "gateway/super/errand.h"

#define PURGER_DEADLINE_MS 2000 /* for all workers to confirm an operator's purge */

struct purger {
    struct errands errands; /* operators' purges that wait for workers */
    struct timer retry;     /* runs while a worker is owed a purge of everything */
};

void purger_init(struct super *s);
/* Whoever still waits is not answered. */
void purger_fini(struct super *s);

/* The control command: `rest` is KIND [--soft] TEXT, see cache/purges.h; nothing after the kind for `all`. Answered
 * when every worker has confirmed or ended, with a sentence about workers and other gateways, or with an error that
 * names who has not confirmed in time. */
void purger_start(struct super *s, struct control_request *r, const char *rest);

/* ---- what children do ---- */
void purger_take(struct super *s, const struct child *from, const struct msg_purge *m);
void purger_acked(struct super *s, struct child *c, const struct msg_purge_ack *ack);
/* Its process is gone, and with it all it held in memory. */
void purger_forget(struct super *s, struct child *c);

#endif
