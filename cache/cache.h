/* The cache of a process: L1 in memory, L2 in Redis, the purge log, and the fetches under way. It decides nothing about
 * requests (gateway/exchange does, with cache/key.h, freshness.h and serve.h); it is where their answers are. */
#ifndef CACHE_CACHE_H
#define CACHE_CACHE_H

#include "base/log.h"
#include "base/slots.h"
#include "cache/codec.h"
#include "cache/compress.h"
#include "cache/l2.h"
#include "cache/memory.h"
#include "cache/purges.h"
#include "conf/conf.h"
#include "gateway/net/conn.h"

struct map;

/* Which fields of requests the answers of a route vary by (Vary), learned from the answers themselves: from then on
 * they are part of the key and reach the origin. They are the route's and not the URL's, which costs a few entries more
 * than need be, and saves every lookup a second one. */
#define CACHE_LEARNED_BYTES 256u
struct cache_learned {
    uint32_t slot_era;               /* of the route it was learned for: a slot may be given to another one */
    uint32_t len;                    /* of `names`; 0: they do not vary, as far as is known */
    char names[CACHE_LEARNED_BYTES]; /* as cache_vary_of() gives them */
};

struct cache_ops {
    /* A purge that began in this process, for the other workers of this gateway. */
    void (*on_purge)(void *arg, const struct cache_purge *p);
};

#define CACHE_MAGIC 0x6cac4e01u
struct cache {
    uint32_t magic;
    /* set at create, borrowed */
    struct net *net;
    const struct slots *slots;
    const struct cache_ops *ops;
    void *arg;
    /* owned */
    struct cache_purges *purges;
    struct cache_memory *memory;
    struct cache_codec *codec;
    struct cache_compress *compress;
    struct l2 *l2;
    struct map *flights; /* by key: see cache/flight.h */
    struct conf *conf;   /* NULL before the first one */
    struct timer tidy;
    struct log_limit garbage_log;
    struct cache_learned learned[SLOTS_ROUTES];
};

/* `n`, `slots`, `ops` and `arg` are borrowed for life. It stores nothing before cache_take_conf(). */
struct cache *cache_create(struct net *n, const struct slots *slots, const struct cache_ops *ops, void *arg);
void cache_destroy(struct cache **cp); /* no flight may be under way */
/* Follows a configuration (a reference is taken), at the start and at each reload: L1's bound, and which Redis. What is
 * stored stays, as long as there is room. */
void cache_take_conf(struct cache *c, const struct conf *conf);

/* What became of telling the other gateways. */
enum cache_told_others {
    CACHE_ALONE = 0, /* no Redis is configured, or another worker tells them */
    CACHE_SENT,      /* it is on its way into the log */
    CACHE_WAITS      /* until Redis can be reached */
};
/* A purge of this process's own - a successful write through a route: in force here at once, told to the other workers
 * (ops) and, by way of Redis, to the other gateways. Its id is made here. */
enum cache_told_others cache_purge(struct cache *c, const struct cache_purge *p);
/* One that came from the supervisor, who tells all workers: the one that `is_publisher` tells the other gateways. */
enum cache_told_others cache_take_purge(struct cache *c, const struct cache_purge *p, bool is_publisher);

/* What is known of the answers of the route in that slot; empty for a route that has just got it. Borrowed for life,
 * and for the caller to add to. */
struct cache_learned *cache_learned_of(struct cache *c, int route_slot);

/* L1 alone, as cache_memory_get(): counts as a use. The entry is borrowed until the next call. */
struct cache_found cache_find(struct cache *c, const void *key, size_t key_len);
/* Stores in L1, which takes a reference, and in L2 if that is there and the entry lives longer than it takes to tell.
 */
void cache_store(struct cache *c, struct cache_entry *e);
/* What is stored under the key is no longer what its origin says: gone from L1, and from L2 if it was in L1. */
void cache_forget(struct cache *c, const void *key, size_t key_len);

#endif
