/* The worker: one process that terminates client connections and relays them to servers. All its state is one struct.
 */
#ifndef GATEWAY_WORKER_WORKER_H
#define GATEWAY_WORKER_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/birth.h"
#include "base/ipc.h"
#include "base/list.h"
#include "base/loop.h"
#include "base/tls_tickets.h"
#include "conf/conf.h"
#include "gateway/exchange/exchange.h"
#include "gateway/exchange/warm.h"
#include "gateway/front/front.h"
#include "gateway/upstream/names.h"
#include "gateway/worker/jwks_fetch.h"
#include "gateway/worker/purging.h"
#include "health/verdict.h"

#define WORKER_MAGIC 0x30a4e29du

struct worker {
    uint32_t magic;
    struct birth *birth;
    struct loop *loop;
    struct ipc *ipc;
    const struct verdict_table *verdicts;

    struct net *net;
    struct names *names;
    struct rules *rules;
    struct cache *cache;
    struct jwks_fetch *key_sets;
    struct warm *warm;
    struct access_log *access;
    struct pool_set *pools;
    struct tunnel_set *tunnels;
    struct front *front;
    struct server_env server_env;
    struct exchange_env env;

    struct tls_tickets *tickets;
    struct secure_set *secure; /* the listeners' contexts; NULL before the first configuration */
    struct conf *conf;         /* NULL before the first one came */
    uint64_t generation;       /* of conf; acknowledged once the servers' names are known */
    struct list new_sockets;   /* came since the last configuration: accepted from when it is acknowledged */
    bool is_ack_owed;

    struct purging purging;
    struct timer watch;           /* looks for servers that went down with tunnels open */
    struct timer last_call;       /* the end of a drain */
    bool is_leaving;              /* draining or stopping: exits when the last client is gone */
    bool was_down[SLOTS_SERVERS]; /* verdict of each server at the last look */
};

/* Builds the worker around what it was born with (borrowed for life). */
struct worker *worker_create(struct birth *b, struct loop *l);
void worker_destroy(struct worker **wp);

/* Takes a configuration: pools, names, routes, listeners. False, with nothing changed and a sentence in `error`
 * (IPC_TEXT_BYTES), when it cannot be used. */
bool worker_take_conf(struct worker *w, struct conf *c, uint64_t generation, char *error);
/* Leaves within `time_ms`, closing every WebSocket with 1001 on the way. */
void worker_leave(struct worker *w, int64_t time_ms, enum closed_by by);

#endif
