/* L2: Redis, shared by all workers and gateways. May be slow, hung, dead, full, restarted or hold anything at any
 * moment: every command has a deadline, a circuit keeps an ill Redis from being asked, and whatever happens ends in
 * exactly one callback that says so.
 *
 * Commands go over one connection per node, pipelined; hiredis makes and reads them, gateway/net carries them (TCP,
 * unix socket, TLS). A single node, Sentinel, or a cluster: the user of this header does not see which.
 *
 * Names in Redis, all under P = cache.redis.prefix; the braces are written, so that a cluster keeps an entry and its
 * lease together and spreads the entries:
 *   P:e:{<sha256 of the key>}   an entry (cache/codec.h), expiring at the end of its whole life
 *   P:l:{<sha256 of the key>}   the lease of whoever is fetching it
 *   P:purges                    a stream: the purge log (see l2_purges.c) */
#ifndef CACHE_L2_H
#define CACHE_L2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "cache/entry.h"
#include "cache/purges.h"
#include "conf/conf.h"
#include "gateway/net/conn.h"

struct l2;
struct l2_job;
struct l2_args;  /* cache/l2_wire.h */
struct l2_reply; /* likewise */

struct l2_ops { /* on_purge NULL: the purge log is not read, and there is nobody to purge for */
    /* The purge log told of a purge (also one of ours). */
    void (*on_purge)(void *arg, const struct cache_purge *p, uint64_t ms, uint64_t seq);
    /* The log was read to here. */
    void (*on_reach)(void *arg, uint64_t ms, uint64_t seq);
    /* What happened before here is not known: see cache_purges_lost(). Comes with the first connection too. */
    void (*on_lost)(void *arg, uint64_t ms, uint64_t seq);
    /* Nodes came, went or moved: l2_is_ready() may say something else now. May be NULL. */
    void (*on_change)(void *arg);
};

/* `n`, `ops` and `arg` are borrowed for life. Names are looked up by a resolver of its own. */
struct l2 *l2_create(struct net *n, const struct l2_ops *ops, void *arg);
void l2_destroy(struct l2 **lp); /* jobs are cancelled */
/* Follows a configuration (a reference is taken); connects, or stays idle where it names no Redis. What did not change
 * stays connected. */
void l2_take_conf(struct l2 *l, const struct conf *c);
/* The same with another Redis of that configuration than cache.redis. */
void l2_take_redis(struct l2 *l, const struct conf *c, const struct conf_redis *r);

/* Whether asking makes sense right now: connected, the circuit is closed, and the purge log has been caught up with. */
bool l2_is_ready(const struct l2 *l);

/* Each calls back exactly once, never before it returns, after cache.redis.timeout at the latest; l2_cancel() makes it
 * never. A job is gone when its callback returns. NULL when not ready: no callback then. */
typedef void l2_entry_fn(void *arg, enum err e, const void *data, size_t len, int64_t left_ms);
/* ERR_NOT_FOUND: no such entry. `data` is borrowed for the call; `left_ms` as in cache_decode_how. */
struct l2_job *l2_get(struct l2 *l, const void *key, size_t key_len, l2_entry_fn *fn, void *arg);

typedef void l2_done_fn(void *arg, enum err e);
/* Takes the lease of a key for `ms`: ERR_BUSY when somebody else has it. NULL also when this process has it. */
struct l2_job *l2_lease(struct l2 *l, const void *key, size_t key_len, int64_t ms, l2_done_fn *fn, void *arg);
/* Any one command: `args`, asked of the node that has the Redis key `key` (as it stands in Redis), which is to be
 * among them. `reply` is borrowed for the call. NULL with most errors; Redis' own word where it refused. */
typedef void l2_answer_fn(void *arg, enum err e, const struct l2_reply *reply);
struct l2_job *l2_ask(struct l2 *l, const char *key, const struct l2_args *args, l2_answer_fn *fn, void *arg);
void l2_cancel(struct l2_job **jp);

/* Without callbacks, for what nobody waits for; failures are counted and logged. False: nothing was sent, because Redis
 * is not ready, or l2_put's entry is too large or has no life left (`life_ms`, after which Redis lets it go). */
bool l2_put(struct l2 *l, const void *key, size_t key_len, const void *data, size_t len, int64_t life_ms);
bool l2_release(struct l2 *l, const void *key, size_t key_len); /* our lease, if it is still ours */
bool l2_remove(struct l2 *l, const void *key, size_t key_len);  /* an entry: it is no longer true */
/* Adds a purge to the log. While Redis is away it waits (up to L2_PURGES_WAITING, then all that wait are given up and
 * `purge all` takes their place) and is sent first thing when it is back; l2_is_ready() only after that. True: sent
 * now; false: waits, or there is no Redis. */
#define L2_PURGES_WAITING 1024u
bool l2_purge(struct l2 *l, const struct cache_purge *p);

/* For status and metrics. */
struct l2_counts {
    uint64_t command_count;
    uint64_t failure_count; /* late, lost or refused; and attempts to connect that failed */
    uint64_t timeout_count; /* of these, the late ones */
    uint64_t time_us;       /* of all commands that were answered */
    bool is_connected;
    bool is_circuit_open;
};
void l2_counts(const struct l2 *l, struct l2_counts *out);

#endif
