/* Purges between this worker and the supervisor: what an operator or another worker wants purged comes in and holds
 * here before it is acknowledged; what a write through a route of ours purged goes out to the other workers. The law of
 * purges is in base/ipc.h. */
#ifndef GATEWAY_WORKER_PURGING_H
#define GATEWAY_WORKER_PURGING_H

#include <stdbool.h>

#include "base/ipc.h"
#include "base/loop.h"
#include "cache/purges.h"

struct worker;

struct purging {
    struct timer retry; /* runs while `is_all_owed` */
    bool is_all_owed;   /* the supervisor took no more: one purge of everything stands for what it missed */
};

void purging_init(struct worker *w);
void purging_fini(struct worker *w);
/* A purge came: makes it hold here, publishes it if that is asked, then acknowledges it. */
void purging_take(struct worker *w, const struct msg_purge *m);
/* `p` holds here and is published: the other workers are to know. */
void purging_tell(struct worker *w, const struct cache_purge *p);

#endif
