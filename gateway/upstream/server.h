/* One server of a pool as this process sees it: what the configuration says, what this process learned (addresses,
 * circuit, slow start) and what it has open there.
 *
 * Ref-counted: the pool holds one reference while the configuration names the server, and every attempt and every
 * tunnel holds one. A reload that removes the server, or gives it another url or other TLS settings, marks the object
 * removed; it is never picked again and lives until its last tunnel is gone. Counts go to this process's block of the
 * shared counters. */
#ifndef GATEWAY_UPSTREAM_SERVER_H
#define GATEWAY_UPSTREAM_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/log.h"
#include "base/resolve.h"
#include "base/sock.h"
#include "base/stats.h"
#include "conf/conf.h"
#include "gateway/upstream/circuit.h"
#include "gateway/upstream/lag.h"
#include "gateway/upstream/pace.h"
#include "gateway/upstream/ramp.h"
#include "health/verdict.h"

struct links;
struct server;
struct tls_ctx;

/* How the pool talks back to its user; every member may be NULL. */
struct server_ops {
    /* The configuration no longer names the server: its tunnels (s->tunnels) are to be drained. Called within
     * pool_set_update() or pool_set_destroy(). */
    void (*on_removed)(void *arg, struct server *s);
    /* The last reference went: release what hangs on the server (names_forget, call_forget_server). The memory goes
     * away when this returns. */
    void (*on_free)(void *arg, struct server *s);
};

/* What all servers of a process share; set at birth, never changed. */
struct server_env {
    const struct slots *slots;
    const struct verdict_table *verdicts;
    const struct stats *stats;    /* all processes' blocks, read */
    struct stats_block *block;    /* the own one in `stats`, written */
    int nudge_fd;                 /* eventfd that makes the checker look at once; -1: none */
    const struct server_ops *ops; /* may be NULL */
    void *ops_arg;
};

#define SERVER_MAGIC 0x5e27a6d3u
struct server {
    uint32_t magic;
    uint32_t refs;

    /* set by the pool, again at each reload while the server stays; borrow until the next pool_set_update() */
    const struct server_env *env;
    struct conf *conf; /* holds the reference under which the next two are valid */
    const struct conf_pool *pool_conf;
    const struct conf_server *server_conf;
    int slot; /* of kind SLOT_SERVER; never -1 */
    uint32_t slot_era;
    uint64_t name_hash; /* of slot_name: the same in all workers and gateways */
    bool is_removed;

    /* written by the pool */
    struct circuit circuit;
    bool is_circuit_counted; /* in the gauge of circuits that are not closed */
    struct ramp ramp;        /* slow start */
    int64_t turn;            /* smooth weighted round-robin */
    uint64_t others_open;    /* gauge of the other processes ... */
    int64_t others_at_ms;    /* ... as of this time */
    int64_t nudged_at_ms;
    uint32_t attempt_count; /* under way in this process */
    uint32_t request_count; /* answers under way in this process */

    /* written by server_tunnel_opened() and _closed(); the worker walks the list */
    struct list tunnels;
    uint32_t tunnel_count; /* of this process */

    /* written by names.c (and dial.c: addr_next) */
    struct addr addrs[RESOLVE_ADDRS_MAX];
    uint32_t addr_count; /* 0: not resolved yet */
    uint32_t addr_next;  /* where the next attempt begins */
    int64_t addrs_expire_ms;
    struct tls_ctx *tls; /* for wss and https */
    void *lookup;

    struct lag lag;    /* written by gateway/realtime/leg.c and seek_calm.c, and the worker as verdicts change */
    struct pace joins; /* written by gateway/realtime/seek.c: those it is given because another server was lost */

    /* written by links.c */
    struct links *links;      /* connections that are kept or shared; NULL: none */
    uint32_t forgotten_count; /* a connection that was made before the last time is not kept */
};

struct server *server_ref(struct server *s);
void server_unref(struct server **sp); /* with the last reference: ops->on_free, then the memory goes */
static inline bool server_is_removed(const struct server *s)
{
    return s->is_removed;
}

/* A tunnel to the server stands: takes a reference, appends `link` (on no list; the worker's own) to s->tunnels and
 * counts it as load for every worker. */
void server_tunnel_opened(struct server *s, struct list *link);
/* The tunnel is gone: undoes the above and empties *sp, which may free the server. */
void server_tunnel_closed(struct server **sp, struct list *link);
/* The tunnel broke by the server's fault (reset, end of stream without a close frame, silence): counted, and the
 * checker is nudged. The circuit is about attempts and does not hear of it. Call before server_tunnel_closed(). */
void server_tunnel_failed(struct server *s, int64_t now_ms);

/* The same for a plain request whose answer has begun (before that it counts as an attempt): takes a reference. */
void server_request_began(struct server *s);
void server_request_ended(struct server **sp);

/* Counted for the operator: a connection was made to the server; a request found one that was there. */
void server_connected(struct server *s);
void server_reused(struct server *s);

/* What the checker says; UNKNOWN while its row still speaks of a former owner of the slot. */
struct verdict server_verdict(const struct server *s);

/* Load of the server over all processes: tunnels, requests and attempts under way. Of this process it is exact; the sum
 * over the others, which touches a cache line of each of them, is up to SERVER_LOAD_AGE_MS old. */
#define SERVER_LOAD_AGE_MS 5
uint64_t server_load(struct server *s, int64_t now_ms);
/* The same, summed now; max_connections can only be exceeded by what several workers begin in the same instant. */
uint64_t server_load_now(struct server *s, int64_t now_ms);

/* Wakes the checker by a write to the eventfd, at most once per SERVER_NUDGE_INTERVAL_MS and server. */
#define SERVER_NUDGE_INTERVAL_MS 100
void server_nudge(struct server *s, int64_t now_ms);

/* ---- for pool.c ---- */
/* One reference for the caller; takes its own reference to `c`. `slot` must be a row of env->slots. */
struct server *server_create(const struct server_env *env, const struct conf *c, const struct conf_pool *cp,
                             const struct conf_server *cs, int slot);
/* The same server under a newer configuration. */
void server_set_conf(struct server *s, const struct conf *c, const struct conf_pool *cp, const struct conf_server *cs);
/* Whether a server of the new configuration is the one this object stands for: same url, same TLS settings. */
bool server_is_same(const struct server *s, const struct conf_server *cs);
void server_set_removed(struct server *s);
/* Attempts: between the two the server counts one more as load, and a half-open circuit one place less. */
struct circuit_ticket server_attempt_begin(struct server *s, bool is_retry, int64_t now_ms);
void server_attempt_end(struct server *s, struct circuit_ticket t, enum circuit_result r, int64_t now_ms);
void server_refused(struct server *s); /* counts an upgrade the server itself declined */

#endif
