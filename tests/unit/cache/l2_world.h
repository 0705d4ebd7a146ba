/* L2 on a loop of its own, with everything it was told and everything it says on record. */
#ifndef TESTS_UNIT_CACHE_L2_WORLD_H
#define TESTS_UNIT_CACHE_L2_WORLD_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cache/l2.h"

#define WORLD_WAIT_MS 10000 /* for what takes milliseconds on an idle machine */
#define WORLD_TICK_MS 2

struct world {
    struct loop *loop;
    struct birth birth;
    struct roster roster;
    struct net *net;
    struct l2 *l2;
    struct timer tick; /* so that a condition is looked at again */
    /* what came back */
    uint32_t answer_count;
    enum err last;
    char text[64];
    size_t text_len;
    int64_t left_ms;
    /* what the purge log said: "lost reach purge:tag:cars ..." */
    char told[4096];
    uint64_t lost_ms, lost_seq, reach_ms, reach_seq;
    uint32_t lost_count, reach_count, purge_count;
    struct cache_purge purge; /* the last one */
};

static inline void world_note(struct world *w, const char *what)
{
    const size_t len = strlen(w->told);
    (void)snprintf(w->told + len, sizeof w->told - len, "%s%s", len > 0 ? " " : "", what);
}
static inline void world_on_purge(void *arg, const struct cache_purge *p, uint64_t ms, uint64_t seq)
{
    struct world *w = arg;
    char text[128];
    (void)ms;
    (void)seq;
    w->purge_count++;
    w->purge = *p;
    (void)snprintf(text, sizeof text, "purge:%s:%.64s", cache_purge_kind_text((enum cache_purge_kind)p->kind), p->text);
    world_note(w, text);
}
static inline void world_on_reach(void *arg, uint64_t ms, uint64_t seq)
{
    struct world *w = arg;
    w->reach_ms = ms;
    w->reach_seq = seq;
    w->reach_count++;
    world_note(w, "reach");
}
static inline void world_on_lost(void *arg, uint64_t ms, uint64_t seq)
{
    struct world *w = arg;
    w->lost_ms = ms;
    w->lost_seq = seq;
    w->lost_count++;
    world_note(w, "lost");
}
static inline void world_on_entry(void *arg, enum err e, const void *data, size_t len, int64_t left_ms)
{
    struct world *w = arg;
    w->answer_count++;
    w->last = e;
    w->left_ms = left_ms;
    w->text_len = len;
    (void)snprintf(w->text, sizeof w->text, "%.*s", e == ERR_NONE ? (int)len : 0, (const char *)data);
}
static inline void world_on_done(void *arg, enum err e)
{
    struct world *w = arg;
    w->answer_count++;
    w->last = e;
}
static inline void world_on_tick(void *arg)
{
    struct world *w = arg;
    timer_start(&w->tick, WORLD_TICK_MS);
}

/* Passes of the loop until the condition holds. */
#define WORLD_AWAIT(w, condition)                                                                                      \
    do {                                                                                                               \
        const int64_t until_ms_ = loop_fresh_us((w)->loop) / 1000 + WORLD_WAIT_MS;                                     \
        while (!(condition)) {                                                                                         \
            assert_true(loop_fresh_us((w)->loop) / 1000 < until_ms_);                                                  \
            loop_run_once((w)->loop, true);                                                                            \
        }                                                                                                              \
    } while (0)

/* `redis`: what stands in cache.redis, as YAML in one line; "" for no Redis. */
static inline void world_conf(struct world *w, const char *redis)
{
    char text[8192];
    struct conf_errors errors = {0};
    const int len = snprintf(text, sizeof text,
                             "listen: [{address: '127.0.0.1:0'}]\n"
                             "pools: {app: {servers: [{name: a, url: 'http://127.0.0.1:1'}]}}\n"
                             "routes: [{path: /, pool: app}]\n"
                             "cache: {memory: 1MiB, max_entry: 64KiB%s%s%s}\n",
                             *redis != '\0' ? ", redis: {" : "", redis, *redis != '\0' ? "}" : "");
    assert_true(len > 0 && (size_t)len < sizeof text);
    struct conf *c = conf_load_text("test", text, (size_t)len, false, &errors);
    if (c == NULL)
        fail_msg("%s", errors.text);
    l2_take_conf(w->l2, c);
    conf_unref(&c);
    conf_errors_fini(&errors);
}

static inline void world_init(struct world *w)
{
    static const struct l2_ops ops = {.on_purge = world_on_purge, .on_reach = world_on_reach, .on_lost = world_on_lost};
    memset(w, 0, sizeof *w);
    w->loop = loop_create();
    w->birth.stats = mem_alloc(sizeof *w->birth.stats);
    stats_init(w->birth.stats);
    w->birth.block = &w->birth.stats->block[0];
    w->birth.roster = &w->roster;
    w->net = net_create(w->loop, &w->birth);
    timer_init(&w->tick, w->loop, world_on_tick, w);
    timer_start(&w->tick, 0);
    w->l2 = l2_create(w->net, &ops, w);
}

static inline void world_fini(struct world *w)
{
    timer_cancel(&w->tick);
    l2_destroy(&w->l2);
    loop_run_once(w->loop, false);
    net_destroy(&w->net);
    loop_destroy(&w->loop);
    mem_free(w->birth.stats);
}

/* How a lookup ends; ERR_AGAIN: L2 would not even ask. */
static inline enum err world_get(struct world *w, const char *key)
{
    const uint32_t before = w->answer_count;
    if (l2_get(w->l2, key, strlen(key), world_on_entry, w) == NULL)
        return ERR_AGAIN;
    assert_int_equal(w->answer_count, before); /* never before it returns */
    WORLD_AWAIT(w, w->answer_count != before);
    assert_int_equal(w->answer_count, before + 1);
    return w->last;
}

static inline enum err world_lease(struct world *w, const char *key, int64_t ms)
{
    const uint32_t before = w->answer_count;
    if (l2_lease(w->l2, key, strlen(key), ms, world_on_done, w) == NULL)
        return ERR_AGAIN;
    WORLD_AWAIT(w, w->answer_count != before);
    return w->last;
}

static inline bool world_put(struct world *w, const char *key, const char *text, int64_t life_ms)
{
    return l2_put(w->l2, key, strlen(key), text, strlen(text), life_ms);
}

/* Stores, and sees that it is there. */
static inline bool world_store(struct world *w, const char *key, const char *text)
{
    return world_put(w, key, text, 60000) && world_get(w, key) == ERR_NONE && strcmp(w->text, text) == 0;
}

static inline bool world_purge(struct world *w, enum cache_purge_kind kind, const char *text, bool is_soft)
{
    struct cache_purge p = {.id = 0x1d00 + w->purge_count, .kind = (uint32_t)kind, .is_soft = is_soft};
    (void)snprintf(p.text, sizeof p.text, "%s", text);
    return l2_purge(w->l2, &p);
}

#endif
