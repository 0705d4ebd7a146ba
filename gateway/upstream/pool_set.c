/* The pools of a process and how a reload changes them in place.
 *
 * The rule: what the new configuration still names, keeps its object and with it its round-robin turn, circuit, slow
 * start and tunnels; only what it points to (weights, limits, timeouts) is exchanged. The order matters: everything
 * that can fail comes first, then the new arrays stand, and the users of removed servers are told last, when they may
 * look at the set again. */
#include "gateway/upstream/pool.h"

#include <string.h>

#include "base/mem.h"
#include "gateway/upstream/balance.h"

#define POOL_SET_MAGIC 0x9b3e70c2u

struct pool_set {
    uint32_t magic;
    uint32_t worker_index;
    const struct server_env *env;
    struct pool **pools; /* in the order of the configuration, each referenced */
    size_t pool_count;
};

/* Servers that lost their place in the course of one update. */
struct leavers {
    struct server **servers;
    size_t count;
};

/* ---- pools ---- */

struct pool *pool_ref(struct pool *p)
{
    CHECK_OBJ(p, POOL_MAGIC);
    p->refs++;
    return p;
}

void pool_unref(struct pool **pp)
{
    struct pool *p = *pp;
    CHECK_OBJ(p, POOL_MAGIC);
    ASSERT(p->refs > 0);
    *pp = NULL;
    if (--p->refs > 0)
        return;
    ASSERT(p->server_count == 0);
    mem_free(p->servers);
    mem_free(p->name);
    conf_unref(&p->conf);
    OBJ_FREE(&p, POOL_MAGIC);
}

static struct pool *pool_create(const struct conf *c, const struct conf_pool *cp)
{
    struct pool *p;
    OBJ_NEW(p, POOL_MAGIC);
    p->refs = 1;
    p->name = mem_strdup(cp->name);
    p->conf = conf_ref(c);
    p->pool_conf = cp;
    return p;
}

/* Takes the server the new one stands for out of the old array. */
static struct server *take_same(struct server **old, size_t old_count, const struct conf_server *cs,
                                const struct slots *slots, int slot)
{
    for (size_t i = 0; i < old_count; i++) {
        struct server *s = old[i];
        if (s == NULL || s->slot != slot || !server_is_same(s, cs) ||
            s->slot_era != atomic_load_explicit(&slots->server[slot].era, memory_order_relaxed))
            continue;
        old[i] = NULL;
        return s;
    }
    return NULL;
}

/* Gives the pool its new configuration; its former servers that are not in it go to `gone`. `c` NULL keeps the old
 * configuration and removes every server. */
static void pool_set_conf(struct pool *p, const struct server_env *env, const struct conf *c,
                          const struct conf_pool *cp, struct leavers *gone)
{
    struct server **old = p->servers;
    const size_t old_count = p->server_count;

    p->server_count = c == NULL ? 0 : cp->server_count;
    p->servers = mem_alloc_array(p->server_count + 1, sizeof(struct server *));
    for (size_t i = 0; i < p->server_count; i++) {
        const struct conf_server *cs = &cp->servers[i];
        const int slot = slots_find(env->slots, SLOT_SERVER, cs->slot_name);
        struct server *s = take_same(old, old_count, cs, env->slots, slot);
        if (s != NULL)
            server_set_conf(s, c, cp, cs);
        else
            s = server_create(env, c, cp, cs, slot);
        p->servers[i] = s;
    }
    for (size_t i = 0; i < old_count; i++) {
        if (old[i] != NULL)
            gone->servers[gone->count++] = old[i];
    }
    mem_free(old);
    if (c == NULL)
        return;
    struct conf *before = p->conf;
    p->conf = conf_ref(c);
    p->pool_conf = cp;
    conf_unref(&before);
}

/* At full share; turns count in hundredths of a weight because of slow start. */
static uint64_t weight_of(const struct server *s)
{
    return (uint64_t)s->server_conf->weight * RAMP_FULL_PERCENT;
}

/* Lets round-robin begin at another server in each worker: as if `worker_index` picks had been made in each tier. */
static void stagger(struct pool *p, uint32_t worker_index)
{
    for (enum conf_tier tier = TIER_PRIMARY; tier < TIER_COUNT; tier++) {
        struct candidate candidates[BALANCE_CANDIDATES_MAX];
        size_t count = 0;
        for (size_t i = 0; i < p->server_count && count < BALANCE_CANDIDATES_MAX; i++) {
            struct server *s = p->servers[i];
            if (s->server_conf->tier == tier && s->server_conf->weight > 0)
                candidates[count++] = (struct candidate){.weight = weight_of(s), .turn = &s->turn};
        }
        for (uint32_t n = 0; count > 0 && n < worker_index; n++)
            (void)balance_of(BALANCE_ROUND_ROBIN)(candidates, count, 0);
    }
}

/* ---- the set ---- */

struct pool_set *pool_set_create(const struct server_env *env, uint32_t worker_index)
{
    struct pool_set *ps;
    OBJ_NEW(ps, POOL_SET_MAGIC);
    ps->env = env;
    ps->worker_index = worker_index;
    return ps;
}

static bool has_slots(const struct slots *slots, const struct conf *c)
{
    for (size_t i = 0; i < c->pool_count; i++) {
        for (size_t j = 0; j < c->pools[i].server_count; j++) {
            if (slots_find(slots, SLOT_SERVER, c->pools[i].servers[j].slot_name) < 0)
                return false;
        }
    }
    return true;
}

static struct pool *take_pool(struct pool **old, size_t old_count, const char *name)
{
    for (size_t i = 0; i < old_count; i++) {
        struct pool *p = old[i];
        if (p == NULL || strcmp(p->name, name) != 0)
            continue;
        old[i] = NULL;
        return p;
    }
    return NULL;
}

static size_t server_total(const struct pool_set *ps)
{
    size_t total = 0;
    for (size_t i = 0; i < ps->pool_count; i++)
        total += ps->pools[i]->server_count;
    return total;
}

/* Marks all before telling anyone: who is told of one may look at the others. */
static void dismiss(const struct server_env *env, struct leavers *gone)
{
    for (size_t i = 0; i < gone->count; i++)
        server_set_removed(gone->servers[i]);
    for (size_t i = 0; i < gone->count; i++) {
        if (env->ops != NULL && env->ops->on_removed != NULL)
            env->ops->on_removed(env->ops_arg, gone->servers[i]);
        server_unref(&gone->servers[i]);
    }
    mem_free(gone->servers);
}

/* `c` NULL: nothing is left. */
static void replace(struct pool_set *ps, const struct conf *c)
{
    struct leavers gone = {.servers = mem_alloc_array(server_total(ps) + 1, sizeof(struct server *))};
    struct pool **old = ps->pools;
    const size_t old_count = ps->pool_count;

    ps->pool_count = c == NULL ? 0 : c->pool_count;
    ps->pools = mem_alloc_array(ps->pool_count + 1, sizeof(struct pool *));
    for (size_t i = 0; i < ps->pool_count; i++) {
        const struct conf_pool *cp = &c->pools[i];
        struct pool *kept = take_pool(old, old_count, cp->name);
        ps->pools[i] = kept != NULL ? kept : pool_create(c, cp);
        pool_set_conf(ps->pools[i], ps->env, c, cp, &gone);
        if (kept == NULL)
            stagger(ps->pools[i], ps->worker_index);
    }
    for (size_t i = 0; i < old_count; i++) {
        if (old[i] == NULL)
            continue;
        pool_set_conf(old[i], ps->env, NULL, NULL, &gone);
        pool_unref(&old[i]);
    }
    mem_free(old);
    dismiss(ps->env, &gone);
}

enum err pool_set_update(struct pool_set *ps, const struct conf *c)
{
    CHECK_OBJ(ps, POOL_SET_MAGIC);
    CHECK_OBJ(c, CONF_MAGIC);
    if (!has_slots(ps->env->slots, c))
        return ERR_NOT_FOUND;
    replace(ps, c);
    return ERR_NONE;
}

void pool_set_destroy(struct pool_set **psp)
{
    struct pool_set *ps = *psp;
    CHECK_OBJ(ps, POOL_SET_MAGIC);
    replace(ps, NULL);
    mem_free(ps->pools);
    OBJ_FREE(psp, POOL_SET_MAGIC);
}

struct pool *pool_set_at(const struct pool_set *ps, size_t index)
{
    CHECK_OBJ(ps, POOL_SET_MAGIC);
    ASSERT(index < ps->pool_count);
    return ps->pools[index];
}

struct pool *pool_set_find(const struct pool_set *ps, const char *name)
{
    CHECK_OBJ(ps, POOL_SET_MAGIC);
    for (size_t i = 0; i < ps->pool_count; i++)
        if (strcmp(ps->pools[i]->name, name) == 0)
            return ps->pools[i];
    return NULL;
}
