/* Seeking: finds a server that takes a session's WebSocket, as the exchange did for its first one.
 *
 * Many sessions lose the same server at the same moment. Their seeks stand in line here, those with waiting messages
 * first, and are admitted as fast as the servers may be given joins (a token bucket per server); then each picks a
 * server, makes its request, and asks a second server when the first takes long (hedging): who accepts first has it.
 * A server that was late lately (gateway/upstream/lag.h) is found a moment later, when it is calm.
 * One seek is one round over the servers; when to begin another is the session's business. Asking has deadlines (the
 * pool's failover_timeout, and those of each call); standing in line has none but the patience of the session. */
#ifndef GATEWAY_REALTIME_SEEK_H
#define GATEWAY_REALTIME_SEEK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/loop.h"
#include "conf/conf.h"
#include "gateway/http/head.h"
#include "gateway/http/texts.h"
#include "gateway/net/conn.h"
#include "gateway/upstream/call.h"
#include "gateway/upstream/pool.h"

/* How the request is made again, for another server: implemented by who had it first (gateway/exchange/again.h). */
struct origin_ops {
    /* The head as `to` shall see it, under this configuration; it may look into all of these. False: it cannot be made.
     */
    bool (*make_head)(void *origin, const struct conf *c, const struct conf_route *r, const struct server *to,
                      struct http_head *head, struct http_texts *texts);
    /* What this pool balances by, if it hashes. */
    void (*set_key)(void *origin, const struct conf_pool *p, struct pick *k);
    /* Whether a server's acceptance is as good as the first one's was: the client was told of that one's subprotocol.
     */
    bool (*accepts)(void *origin, const struct http_head *answer);
    void (*free)(void *origin);
};

/* Everything seeks of one process share. */
struct seekers;
struct seekers *seekers_create(struct net *n, struct pool_set *pools);
void seekers_destroy(struct seekers **sp); /* no seek is left */
/* How many processes share the servers' joins. */
void seekers_set_shares(struct seekers *s, uint32_t worker_count);

/* A server was found down: who is waiting for its answer asks another one. It may be frozen, and when it wakes up it
 * would take the session and deliver what is old by then. */
void seekers_server_down(struct seekers *all, const struct server *s);

/* Why a round found no server. */
enum seek_failure {
    SEEK_NO_SERVER = 0, /* none to be had, or none answered as it should */
    SEEK_BUSY,          /* one said that it is: 429, 503 */
    SEEK_REFUSED,       /* 401, 403, 404: this request will not do anywhere */
};

struct seek_found {
    struct conn *conn;            /* the callee's, paused */
    struct server *server;        /* a reference, the callee's */
    struct http_view subprotocol; /* that it chose; data NULL: none; borrowed */
    const uint8_t *rest;          /* what came behind the acceptance; borrowed */
    size_t rest_bytes;
};

struct seek_ops { /* one of the first two is called, once, and the seek is gone; none before seek_begin() has returned
                   */
    void (*on_found)(void *arg, const struct seek_found *f);
    /* `status`: of the answer that says most, 0: there was none. `why` is borrowed for the call. */
    void (*on_failed)(void *arg, enum seek_failure f, uint16_t status, const char *why);
    /* It was admitted and asks a server now; for the state people see. May come several times; may be NULL. */
    void (*on_asking)(void *arg, const struct server *s);
};

struct seek_start {
    struct conf *conf; /* a reference is taken */
    const struct conf_route *route;
    const struct origin_ops *origin_ops;
    void *origin;               /* borrowed while it lasts */
    const struct server *avoid; /* only when there is no other; borrowed for the call; NULL: none */
    bool is_better_only;        /* only a server of a better tier than `avoid` will do */
    bool is_urgent;             /* messages wait */
    uint32_t cost;              /* joins it will make */
    const struct seek_ops *ops;
    void *arg;
};

struct seek; /* one session's; NULL: none under way */
void seek_begin(struct seekers *all, struct seek **kp, const struct seek_start *o);
/* Messages wait now. It may go before those who have none. */
void seek_hurry(struct seek *k);
/* No callback after this. Harmless when none is under way. */
void seek_cancel(struct seek **kp);

#endif
