/* A turn makes a request as a client would send it, without a client, and asks the cache about it. */
#include "gateway/exchange/warm.h"

#include <string.h>

#include "base/mem.h"
#include "gateway/exchange/exchange_priv.h"

#define WARM_MAGIC 0x3a4d1b77u

/* Who wants more than this gets several a turn: a timer of no time would never let the process rest. */
#define TURNS_PER_S_MAX 100u
/* Until Redis is there, at the start: without it each worker would ask the origin for itself. */
#define REDIS_TURN_MS 20

struct warm {
    uint32_t magic;
    struct exchange_env *env;
    struct conf *conf; /* NULL: nothing is to be done */
    struct timer turn;
    int64_t redis_until_ms; /* for so long Redis is waited for */
    size_t route, target;   /* whose turn it is, ... */
    size_t number;          /* ... counted over all lists */
    bool *is_loaded;        /* by number: it was there once, and is now as good as it is used */
};

/* The next target after the one at hand, around the lists; false when there is none at all. */
static bool advance(struct warm *w)
{
    const struct conf *c = w->conf;
    w->target++;
    w->number++;
    for (size_t looked = 0; looked <= c->route_count; looked++) {
        if (w->route < c->route_count && w->target < c->routes[w->route].cache.warm_count)
            return true;
        w->route++;
        w->target = 0;
        if (w->route >= c->route_count)
            w->route = w->number = 0;
    }
    return false;
}

/* "https://host" -> whether it is TLS, and the host. */
static struct http_view split_origin(const char *origin, bool *is_tls)
{
    static const char tls[] = "https://", plain[] = "http://";
    *is_tls = strncmp(origin, tls, sizeof tls - 1) == 0;
    return http_view_of(origin + (*is_tls ? sizeof tls - 1 : sizeof plain - 1));
}

static void make_request(struct http_head *h, const char *target, struct http_view host)
{
    const char *query = strchr(target, '?');
    http_head_clear(h);
    h->method = http_view_of("GET");
    h->target = http_view_of(target);
    h->path = (struct http_view){target, query != NULL ? (size_t)(query - target) : h->target.len};
    if (query != NULL)
        h->query = http_view_of(query + 1);
    h->authority = host;
    h->major_version = 1;
    h->minor_version = 1;
}

static void fetch_one(struct warm *w, const struct conf_route *r, const char *target)
{
    struct exchange *x;
    struct exchange *self = NULL;
    const int slot = slots_find(w->env->slots, SLOT_ROUTE, r->name);
    if (slot < 0 || r->cache.policy == CACHE_OFF)
        return;
    OBJ_NEW_UP_TO(x, EXCHANGE_MAGIC, verdict.add);
    x->env = w->env;
    x->self = &self;
    x->conf = conf_ref(w->conf);
    x->route = r;
    x->route_slot = slot;
    x->pool = pool_ref(pool_set_at(w->env->pools, r->pool));
    make_request(&x->head, target, split_origin(r->cache.warm_as, &x->is_tls));
    memcpy(x->peer_ip, "unix", sizeof "unix");
    memcpy(x->client_ip, "unix", sizeof "unix");
    pick_init(&x->pick);
    exchange_set_id(x);
    self = x;
    w->is_loaded[w->number] = lookup_warm(x, !w->is_loaded[w->number]) || w->is_loaded[w->number];
    exchange_free(x);
}

static bool is_redis_missed(const struct warm *w)
{
    return *w->conf->cache.redis.text != '\0' && !l2_is_ready(w->env->cache->l2) &&
           loop_now_ms(w->env->net->loop) < w->redis_until_ms;
}

static void on_turn(void *arg)
{
    struct warm *w = arg;
    CHECK_OBJ(w, WARM_MAGIC);
    if (is_redis_missed(w)) {
        timer_start(&w->turn, REDIS_TURN_MS);
        return;
    }
    const uint64_t per_s = w->conf->cache.warm_per_s;
    const uint64_t count = per_s > TURNS_PER_S_MAX ? per_s / TURNS_PER_S_MAX : 1;
    timer_start(&w->turn, (int64_t)(1000 * count / per_s));
    for (uint64_t i = 0; i < count && advance(w); i++) {
        const struct conf_route *r = &w->conf->routes[w->route];
        fetch_one(w, r, r->cache.warm[w->target]);
    }
}

struct warm *warm_create(struct exchange_env *env)
{
    struct warm *w;
    OBJ_NEW(w, WARM_MAGIC);
    w->env = env;
    timer_init(&w->turn, env->net->loop, on_turn, w);
    return w;
}

static void forget_conf(struct warm *w)
{
    timer_cancel(&w->turn);
    mem_free(w->is_loaded);
    w->is_loaded = NULL;
    if (w->conf != NULL)
        conf_unref(&w->conf);
}

void warm_destroy(struct warm **wp)
{
    forget_conf(*wp);
    OBJ_FREE(wp, WARM_MAGIC);
}

static size_t count_targets(const struct conf *c)
{
    size_t count = 0;
    for (size_t i = 0; i < c->route_count; i++)
        count += c->routes[i].cache.warm_count;
    return count;
}

void warm_take_conf(struct warm *w, const struct conf *c)
{
    CHECK_OBJ(w, WARM_MAGIC);
    forget_conf(w);
    const size_t count = count_targets(c);
    const bool is_kept = c->cache.memory_bytes > 0 || *c->cache.redis.text != '\0';
    if (count == 0 || c->cache.warm_per_s == 0 || !is_kept)
        return;
    w->conf = conf_ref(c);
    w->redis_until_ms = loop_now_ms(w->env->net->loop) + c->cache.redis.connect_timeout_ms;
    w->route = w->conf->route_count; /* so that the first turn is the first target's */
    w->target = w->number = 0;
    w->is_loaded = mem_alloc_array(count, sizeof *w->is_loaded);
    timer_start(&w->turn, 0);
}
