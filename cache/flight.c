/* The hard part is who is told when: a waiter that is told may leave, begin another flight or end its connection at
 * once, so a flight is out of the table, with its list of waiters in its own hands, before anybody hears of its end. */
#include "cache/flight.h"

#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "cache/freshness.h"

#define FLIGHT_MAGIC 0xf116847bu

/* AWAITING: Redis is asked again after this time, then twice that, up to the last. */
#define POLL_FIRST_MS 10
#define POLL_LAST_MS  200

struct flight {
    uint32_t magic;
    enum flight_state { FLIGHT_LOOKING = 1, FLIGHT_LEASING, FLIGHT_AWAITING, FLIGHT_ASKING } state;
    struct cache *cache;
    struct flight **self;
    void *key;
    size_t key_len;
    const struct conf_cache_route *route;
    const struct flight_ops *ops;
    void *arg;
    int64_t known_born_ms; /* of what is there already: only what is younger is news */
    struct list waiters;
    struct l2_job *job;
    struct timer poll;
    int64_t poll_ms;
    int64_t await_end_ms;
    bool has_lease;
};

static void look(struct flight *f);

static int64_t now_ms(const struct flight *f)
{
    return loop_now_ms(f->cache->net->loop);
}

/* ---- the end ---- */

static void tell(struct list *waiters, const struct flight_outcome *o)
{
    while (!list_is_empty(waiters)) {
        struct flight_waiter *w = LIST_ENTRY(waiters->next, struct flight_waiter, link);
        list_unlink(&w->link);
        w->on_end(w, o);
    }
}

/* Out of the table, and gone. */
static void flight_free(struct flight *f)
{
    if (f->job != NULL)
        l2_cancel(&f->job);
    timer_cancel(&f->poll);
    if (f->has_lease)
        (void)l2_release(f->cache->l2, f->key, f->key_len);
    (void)map_remove(f->cache->flights, f->key, f->key_len);
    *f->self = NULL;
    mem_free(f->key);
    OBJ_FREE(&f, FLIGHT_MAGIC);
}

static void finish(struct flight *f, const struct flight_outcome *o, bool is_over_without_asking)
{
    struct list waiters;
    const struct flight_ops *ops = f->ops;
    void *arg = f->arg;
    list_init(&waiters);
    list_splice(&waiters, &f->waiters);
    flight_free(f);
    if (is_over_without_asking)
        ops->over(arg);
    tell(&waiters, o);
}

void flight_cancel(struct flight **fp)
{
    struct flight *f = *fp;
    CHECK_OBJ(f, FLIGHT_MAGIC);
    ASSERT(list_is_empty(&f->waiters));
    flight_free(f);
}

void flight_end(struct flight **fp, const struct flight_outcome *o)
{
    struct flight *f = *fp;
    CHECK_OBJ(f, FLIGHT_MAGIC);
    ASSERT(f->state == FLIGHT_ASKING);
    finish(f, o, false);
}

/* ---- by way of Redis ---- */

static void ask(struct flight *f)
{
    f->state = FLIGHT_ASKING;
    timer_cancel(&f->poll);
    f->ops->ask(f->arg);
}

/* Whether what Redis had ends the flight: it is news, and fresh; to those who have nothing yet, also if it is stale and
 * may be served at once. */
static bool is_good_enough(const struct flight *f, const struct cache_entry *e, bool is_soft_purged)
{
    const struct cache_moment m = {.policy = f->route->policy, .is_purged = is_soft_purged};
    const enum cache_use use = cache_judge(&e->life, cache_entry_age_ms(e, now_ms(f)), &m);
    const bool has_nothing = f->known_born_ms == INT64_MIN && !list_is_empty(&f->waiters);
    return e->born_ms > f->known_born_ms &&
           (use == CACHE_USE_FRESH || (use == CACHE_USE_REFRESH && has_nothing && f->state == FLIGHT_LOOKING));
}

/* NULL: it was not what it should be, or is purged. */
static struct cache_entry *take_from_l2(struct flight *f, const void *data, size_t len, int64_t left_ms,
                                        bool *is_soft_purged)
{
    struct cache *c = f->cache;
    const char *why = "";
    const struct cache_decode_how how = {.key = f->key,
                                         .key_len = f->key_len,
                                         .now_ms = now_ms(f),
                                         .wall_ms = loop_wall_ms(c->net->loop),
                                         .left_ms = left_ms,
                                         .max_bytes = c->conf->cache.max_entry_bytes};
    struct cache_entry *e = cache_decode(c->codec, data, len, &how, &why);
    if (e == NULL) {
        LOG_LIMITED(&c->garbage_log, how.now_ms, LOG_LEVEL_WARN, "entry from redis not used", KV_STR("cause", why),
                    KV_UINT("bytes", len));
        return NULL;
    }
    const enum cache_purged purged = cache_purges_judge(c->purges, e);
    *is_soft_purged = purged == CACHE_PURGED_SOFT;
    if (purged == CACHE_PURGED_HARD) {
        cache_entry_unref(&e);
        return NULL;
    }
    if (e->born_ms > f->known_born_ms)
        cache_memory_put(c->memory, e, how.now_ms); /* if only to be served stale */
    return e;
}

static void on_lease(void *arg, enum err e)
{
    struct flight *f = arg;
    CHECK_OBJ(f, FLIGHT_MAGIC);
    f->job = NULL;
    f->has_lease = e == ERR_NONE;
    if (f->has_lease) {
        look(f); /* whoever had it before may have stored the answer since we looked */
        return;
    }
    if (e != ERR_BUSY || now_ms(f) >= f->await_end_ms) {
        ask(f);
        return;
    }
    f->state = FLIGHT_AWAITING;
    timer_start(&f->poll, f->poll_ms);
    f->poll_ms = f->poll_ms * 2 > POLL_LAST_MS ? POLL_LAST_MS : f->poll_ms * 2;
}

static void on_entry(void *arg, enum err e, const void *data, size_t len, int64_t left_ms)
{
    struct flight *f = arg;
    CHECK_OBJ(f, FLIGHT_MAGIC);
    f->job = NULL;
    bool is_soft = false;
    struct cache_entry *entry = e == ERR_NONE ? take_from_l2(f, data, len, left_ms, &is_soft) : NULL;
    if (entry != NULL && is_good_enough(f, entry, is_soft)) {
        const struct flight_outcome o = {
            .end = FLIGHT_ENTRY, .entry = entry, .is_from_l2 = true, .is_soft_purged = is_soft};
        finish(f, &o, true);
        cache_entry_unref(&entry);
        return;
    }
    if (entry != NULL)
        cache_entry_unref(&entry);
    /* Who asks the network first asks for itself. */
    const bool is_shared = f->route->policy != CACHE_NETWORK_FIRST;
    f->state = FLIGHT_LEASING;
    if (is_shared && !f->has_lease && (e == ERR_NONE || e == ERR_NOT_FOUND))
        f->job = l2_lease(f->cache->l2, f->key, f->key_len, f->route->wait_ms, on_lease, f);
    if (f->job == NULL)
        ask(f);
}

static void look(struct flight *f)
{
    f->job = l2_get(f->cache->l2, f->key, f->key_len, on_entry, f);
    if (f->job == NULL)
        ask(f);
}

static void on_poll(void *arg)
{
    struct flight *f = arg;
    CHECK_OBJ(f, FLIGHT_MAGIC);
    look(f);
}

/* ---- life ---- */

struct flight *flight_find(const struct cache *c, const void *key, size_t key_len)
{
    return map_get(c->flights, key, key_len);
}

void flight_start(struct cache *c, const struct flight_start *o, struct flight **fp)
{
    struct flight *f;
    CHECK_OBJ(c, CACHE_MAGIC);
    OBJ_NEW(f, FLIGHT_MAGIC);
    f->state = FLIGHT_LOOKING;
    f->cache = c;
    f->self = fp;
    f->key = mem_strndup(o->key, o->key_len);
    f->key_len = o->key_len;
    f->route = o->route;
    f->ops = o->ops;
    f->arg = o->arg;
    f->known_born_ms = o->known != NULL ? o->known->born_ms : INT64_MIN;
    f->poll_ms = POLL_FIRST_MS;
    f->await_end_ms = now_ms(f) + o->route->wait_ms;
    list_init(&f->waiters);
    timer_init(&f->poll, c->net->loop, on_poll, f);
    void *before = map_put(c->flights, f->key, f->key_len, f);
    ASSERT(before == NULL);
    *fp = f;
    if (o->must_ask)
        ask(f);
    else
        look(f);
}

void flight_wait(struct flight *f, struct flight_waiter *w, flight_end_fn *on_end)
{
    CHECK_OBJ(f, FLIGHT_MAGIC);
    w->on_end = on_end;
    list_append(&f->waiters, &w->link);
}

void flight_leave(struct flight_waiter *w)
{
    if (w->on_end != NULL)
        list_unlink(&w->link);
    w->on_end = NULL;
}

struct flight_waiter *flight_take_first(struct flight *f)
{
    CHECK_OBJ(f, FLIGHT_MAGIC);
    if (list_is_empty(&f->waiters))
        return NULL;
    struct flight_waiter *w = LIST_ENTRY(f->waiters.next, struct flight_waiter, link);
    list_unlink(&w->link);
    return w;
}
