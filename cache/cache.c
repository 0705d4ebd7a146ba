/* The parts put together. What the purge log says comes in here, and nothing else does by itself. */
#include "cache/cache.h"

#include <sys/random.h>

#include "base/map.h"
#include "base/mem.h"

#define TIDY_MS     100
#define TIDY_COUNT  256u
#define ENCODED_MAX (4u << 20) /* of an entry's head on top of its body */

/* Not worth a place in Redis. */
#define SHORT_LIFE_MS 100

static void on_purge(void *arg, const struct cache_purge *p, uint64_t ms, uint64_t seq)
{
    struct cache *c = arg;
    CHECK_OBJ(c, CACHE_MAGIC);
    stat_add(&c->net->block->process[STAT_CACHE_PURGES], 1);
    cache_purges_add_at(c->purges, p, ms, seq);
}

static void on_reach(void *arg, uint64_t ms, uint64_t seq)
{
    struct cache *c = arg;
    CHECK_OBJ(c, CACHE_MAGIC);
    cache_purges_reach(c->purges, ms, seq);
}

static void on_lost(void *arg, uint64_t ms, uint64_t seq)
{
    struct cache *c = arg;
    CHECK_OBJ(c, CACHE_MAGIC);
    cache_purges_lost(c->purges, ms, seq);
}

static const struct l2_ops l2_ops = {.on_purge = on_purge, .on_reach = on_reach, .on_lost = on_lost};

/* Counters that others keep are copied for whoever reads the shared table. */
static void publish_counts(struct cache *c)
{
    struct cache_memory_counts m;
    struct l2_counts l;
    stat_cell *cells = c->net->block->process;
    cache_memory_counts(c->memory, &m);
    l2_counts(c->l2, &l);
    cells[STAT_CACHE_ENTRIES] = m.entry_count;
    cells[STAT_CACHE_BYTES] = m.bytes;
    cells[STAT_CACHE_EVICTED] = m.evicted_count;
    cells[STAT_CACHE_PURGED] = m.purged_count;
    cells[STAT_L2_COMMANDS] = l.command_count;
    cells[STAT_L2_FAILURES] = l.failure_count;
    cells[STAT_L2_TIMEOUTS] = l.timeout_count;
    cells[STAT_L2_TIME_US] = l.time_us;
    cells[STAT_L2_CONNECTED] = l.is_connected;
    cells[STAT_L2_CIRCUIT] = l.is_circuit_open;
}

static void on_tidy(void *arg)
{
    struct cache *c = arg;
    CHECK_OBJ(c, CACHE_MAGIC);
    timer_start(&c->tidy, TIDY_MS);
    cache_memory_sweep(c->memory, TIDY_COUNT, loop_now_ms(c->net->loop));
    publish_counts(c);
}

struct cache *cache_create(struct net *n, const struct slots *slots, const struct cache_ops *ops, void *arg)
{
    struct cache *c;
    OBJ_NEW(c, CACHE_MAGIC);
    c->net = n;
    c->slots = slots;
    c->ops = ops;
    c->arg = arg;
    c->purges = cache_purges_create();
    c->memory = cache_memory_create(0, c->purges);
    c->codec = cache_codec_create();
    c->compress = cache_compress_create();
    c->l2 = l2_create(n, &l2_ops, c);
    c->flights = map_create();
    timer_init(&c->tidy, n->loop, on_tidy, c);
    return c;
}

void cache_destroy(struct cache **cp)
{
    struct cache *c = *cp;
    CHECK_OBJ(c, CACHE_MAGIC);
    ASSERT(map_count(c->flights) == 0);
    timer_cancel(&c->tidy);
    map_destroy(&c->flights);
    l2_destroy(&c->l2);
    cache_compress_destroy(&c->compress);
    cache_codec_destroy(&c->codec);
    cache_memory_destroy(&c->memory);
    cache_purges_destroy(&c->purges);
    if (c->conf != NULL)
        conf_unref(&c->conf);
    OBJ_FREE(cp, CACHE_MAGIC);
}

/* Whether any route wants answers kept: without one the cache costs nothing. */
static bool is_wanted(const struct conf *conf)
{
    for (size_t i = 0; i < conf->route_count; i++)
        if (conf->routes[i].cache.policy != CACHE_OFF || conf->routes[i].cache.tag_count > 0)
            return true;
    return false;
}

void cache_take_conf(struct cache *c, const struct conf *conf)
{
    CHECK_OBJ(c, CACHE_MAGIC);
    if (c->conf != NULL)
        conf_unref(&c->conf);
    c->conf = conf_ref(conf);
    cache_memory_limit(c->memory, conf->cache.memory_bytes);
    l2_take_conf(c->l2, conf);
    if (is_wanted(conf))
        timer_start(&c->tidy, TIDY_MS);
    else
        timer_cancel(&c->tidy);
}

/* ---- purges ---- */

static enum cache_told_others tell_gateways(struct cache *c, const struct cache_purge *p)
{
    if (c->conf == NULL || *c->conf->cache.redis.text == '\0')
        return CACHE_ALONE;
    return l2_purge(c->l2, p) ? CACHE_SENT : CACHE_WAITS;
}

enum cache_told_others cache_take_purge(struct cache *c, const struct cache_purge *p, bool is_publisher)
{
    CHECK_OBJ(c, CACHE_MAGIC);
    stat_add(&c->net->block->process[STAT_CACHE_PURGES], 1);
    cache_purges_add(c->purges, p);
    return is_publisher ? tell_gateways(c, p) : CACHE_ALONE;
}

enum cache_told_others cache_purge(struct cache *c, const struct cache_purge *p)
{
    CHECK_OBJ(c, CACHE_MAGIC);
    struct cache_purge mine = *p;
    const ssize_t got = getrandom(&mine.id, sizeof mine.id, 0);
    ASSERT(got == (ssize_t)sizeof mine.id);
    c->ops->on_purge(c->arg, &mine);
    return cache_take_purge(c, &mine, true);
}

/* ---- what is stored ---- */

struct cache_learned *cache_learned_of(struct cache *c, int route_slot)
{
    CHECK_OBJ(c, CACHE_MAGIC);
    struct cache_learned *l = &c->learned[route_slot];
    const uint32_t era = atomic_load_explicit(&c->slots->route[route_slot].era, memory_order_relaxed);
    if (l->slot_era != era)
        *l = (struct cache_learned){.slot_era = era};
    return l;
}

struct cache_found cache_find(struct cache *c, const void *key, size_t key_len)
{
    CHECK_OBJ(c, CACHE_MAGIC);
    return cache_memory_get(c->memory, key, key_len, loop_now_ms(c->net->loop));
}

void cache_store(struct cache *c, struct cache_entry *e)
{
    CHECK_OBJ(c, CACHE_MAGIC);
    const int64_t now_ms = loop_now_ms(c->net->loop);
    cache_memory_put(c->memory, e, now_ms);
    const int64_t left_ms = cache_life_whole_ms(&e->life) - cache_entry_age_ms(e, now_ms);
    if (left_ms < SHORT_LIFE_MS || !l2_is_ready(c->l2))
        return;
    struct strbuf text;
    strbuf_init(&text, e->body.len + ENCODED_MAX);
    cache_encode(c->codec, &text, e, now_ms, loop_wall_ms(c->net->loop));
    if (!text.failed)
        (void)l2_put(c->l2, e->key.data, e->key.len, text.data, text.len, left_ms);
    strbuf_fini(&text);
}

void cache_forget(struct cache *c, const void *key, size_t key_len)
{
    CHECK_OBJ(c, CACHE_MAGIC);
    if (cache_memory_peek(c->memory, key, key_len).entry == NULL)
        return; /* a fetch has looked into L2 before, and put here what was there */
    cache_memory_remove(c->memory, key, key_len);
    (void)l2_remove(c->l2, key, key_len);
}
