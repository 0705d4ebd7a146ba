/* A worker's surroundings for the tests of the pools: shared tables in private memory, configurations made from rows of
 * a table instead of YAML, and a clock that stands still unless told. */
#ifndef TESTS_UNIT_GATEWAY_UPSTREAM_WORLD_H
#define TESTS_UNIT_GATEWAY_UPSTREAM_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "gateway/upstream/pool.h"

#define WORLD_CONFS_MAX 2048

struct world {
    struct slots slots;
    struct verdict_table verdicts;
    struct stats stats;
    struct server_ops ops;
    struct server_env env; /* of the worker under test: block 0 */
    struct pool_set *set;
    int64_t now_ms; /* from 0: the machine has just started */
    int64_t wall_ms;
    struct conf *confs[WORLD_CONFS_MAX];
    size_t conf_count;
    uint32_t removed_count, freed_count;
};

/* One server; the pool's settings come from the first row that names it. */
struct row {
    const char *slot_name; /* "pool/server" */
    uint32_t weight;
    enum conf_tier tier;
    uint32_t max_connections;
    bool drain;
    const char *url; /* NULL: made from the name */
};

static inline void world_on_removed(void *arg, struct server *s)
{
    struct world *w = arg;
    assert_true(server_is_removed(s));
    w->removed_count++;
}

static inline void world_on_free(void *arg, struct server *s)
{
    struct world *w = arg;
    assert_true(list_is_empty(&s->tunnels));
    w->freed_count++;
}

static inline int world_setup(void **state)
{
    struct world *w = mem_alloc(sizeof *w);
    slots_init(&w->slots);
    verdict_table_init(&w->verdicts);
    stats_init(&w->stats);
    w->ops = (struct server_ops){.on_removed = world_on_removed, .on_free = world_on_free};
    w->env = (struct server_env){.slots = &w->slots,
                                 .verdicts = &w->verdicts,
                                 .stats = &w->stats,
                                 .block = &w->stats.block[0],
                                 .nudge_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
                                 .ops = &w->ops,
                                 .ops_arg = w};
    w->set = pool_set_create(&w->env, 0);
    w->wall_ms = 1700000000000;
    *state = w;
    return 0;
}

static inline void world_free_conf(struct conf *c)
{
    assert_int_equal(c->refs, 1); /* everybody else has let go of it */
    for (size_t i = 0; i < c->pool_count; i++) {
        for (size_t j = 0; j < c->pools[i].server_count; j++) {
            mem_free((void *)(uintptr_t)c->pools[i].servers[j].slot_name);
            mem_free((void *)(uintptr_t)c->pools[i].servers[j].url.text);
        }
        mem_free((void *)(uintptr_t)c->pools[i].name);
        mem_free(c->pools[i].servers);
    }
    mem_free(c->pools);
    mem_free(c);
}

static inline int world_teardown(void **state)
{
    struct world *w = *state;
    if (w->set != NULL)
        pool_set_destroy(&w->set);
    for (size_t i = 0; i < w->conf_count; i++)
        world_free_conf(w->confs[i]);
    for (int slot = 0; slot < (int)SLOTS_SERVERS; slot++) { /* gauges come back to nothing */
        assert_int_equal(stat_get(&w->env.block->server[slot][STAT_SERVER_OPEN]), 0);
        assert_int_equal(stat_get(&w->env.block->server[slot][STAT_SERVER_CIRCUIT]), 0);
    }
    close(w->env.nudge_fd);
    mem_free(w);
    return 0;
}

static inline struct conf_pool *world_pool_of(struct conf *c, const char *slot_name)
{
    const size_t len = strcspn(slot_name, "/");
    for (size_t i = 0; i < c->pool_count; i++) {
        if (strlen(c->pools[i].name) == len && strncmp(c->pools[i].name, slot_name, len) == 0)
            return &c->pools[i];
    }
    struct conf_pool *p = &c->pools[c->pool_count++];
    *p = (struct conf_pool){.name = mem_strndup(slot_name, len),
                            .balance = BALANCE_ROUND_ROBIN,
                            .circuit_failures = 5,
                            .circuit_open_ms = 10000,
                            .circuit_half_open_count = 1,
                            .servers = mem_alloc_array(SLOTS_SERVERS, sizeof(struct conf_server))};
    return p;
}

/* A configuration with these servers, their slots claimed as the supervisor would. The world holds the first reference.
 */
static inline struct conf *world_conf(struct world *w, const struct row *rows, size_t count)
{
    struct conf *c = mem_alloc(sizeof *c);
    c->magic = CONF_MAGIC;
    c->refs = 1;
    c->pools = mem_alloc_array(count + 1, sizeof *c->pools);
    for (size_t i = 0; i < count; i++) {
        const struct row *r = &rows[i];
        struct conf_pool *p = world_pool_of(c, r->slot_name);
        struct conf_server *s = &p->servers[p->server_count++];
        s->slot_name = mem_strdup(r->slot_name);
        s->name = strchr(s->slot_name, '/') + 1;
        s->url.text = r->url != NULL ? mem_strdup(r->url) : mem_printf("ws://%s.test", s->name);
        s->tls.server_name = "";
        s->weight = r->weight;
        s->tier = r->tier;
        s->max_connections = r->max_connections;
        s->drain = r->drain;
        bool is_new;
        assert_true(slots_claim(&w->slots, SLOT_SERVER, s->slot_name, &is_new) >= 0);
    }
    assert_true(w->conf_count < WORLD_CONFS_MAX);
    w->confs[w->conf_count++] = c;
    return c;
}
#define WORLD_CONF(w, rows) world_conf((w), (rows), sizeof(rows) / sizeof(rows)[0])

/* CONF(w, S("rt/a", 1, P), S("rt/b", 1, B, .drain = true)) */
#define S(name, w, t, ...)                                                                                             \
    {                                                                                                                  \
        .slot_name = (name), .weight = (w), .tier = (t), __VA_ARGS__                                                   \
    }
#define CONF(w, ...)                                                                                                   \
    world_conf((w), (const struct row[]){__VA_ARGS__}, sizeof((const struct row[]){__VA_ARGS__}) / sizeof(struct row))
#define P TIER_PRIMARY
#define B TIER_BACKUP
#define E TIER_EMERGENCY

static inline struct pool *world_load(struct world *w, const struct conf *c)
{
    assert_int_equal(pool_set_update(w->set, c), ERR_NONE);
    return pool_set_at(w->set, 0);
}

static inline int world_slot(const struct world *w, const char *slot_name)
{
    int slot = slots_find(&w->slots, SLOT_SERVER, slot_name);
    assert_true(slot >= 0);
    return slot;
}

/* What the checker does when it changes its mind. */
static inline void world_judge(struct world *w, const char *slot_name, enum verdict_state state, bool is_draining)
{
    const struct verdict v = {.state = state, .is_draining = is_draining};
    const int slot = world_slot(w, slot_name);
    (void)verdict_adopt(&w->verdicts, slot, atomic_load(&w->slots.server[slot].era));
    struct verdict_detail d;
    assert_true(verdict_read_detail(&w->verdicts, slot, &d));
    if (verdict_read(&w->verdicts, slot).state != state)
        d.since_wall_ms = w->wall_ms;
    verdict_write(&w->verdicts, slot, &v, &d);
}

static inline void world_pass(struct world *w, int64_t ms)
{
    w->now_ms += ms;
    w->wall_ms += ms;
}

static inline uint64_t world_stat(const struct world *w, const char *slot_name, enum stat_server id)
{
    return stat_get(&w->env.block->server[world_slot(w, slot_name)][id]);
}

static inline struct server *world_pick(struct world *w, struct pool *p, struct pick *k)
{
    return pool_pick(p, k, w->now_ms, w->wall_ms);
}

/* One search of one attempt that ends with `o`. The letter of the server ("rt/a" is 'a'), or '-' for none. */
static inline char world_try(struct world *w, struct pool *p, enum outcome o)
{
    struct pick k;
    pick_init(&k);
    struct server *s = world_pick(w, p, &k);
    if (s == NULL)
        return '-';
    const char letter = s->server_conf->name[0];
    pick_end(&k, o, w->now_ms);
    return letter;
}

/* The letters of a whole search in which every attempt fails; `out` holds at least SLOTS_SERVERS + 1. */
static inline enum pick_none world_exhaust(struct world *w, struct pool *p, enum outcome o, char *out)
{
    struct pick k;
    pick_init(&k);
    for (struct server *s; (s = world_pick(w, p, &k)) != NULL; pick_end(&k, o, w->now_ms))
        *out++ = s->server_conf->name[0];
    *out = '\0';
    return k.none;
}

/* A tunnel as the worker would hold one. */
struct tunnel {
    struct list link;
    struct server *server;
};

/* Opens a tunnel on whatever the pool picks; '-' when there is nothing. */
static inline char world_open(struct world *w, struct pool *p, struct tunnel *t)
{
    struct pick k;
    pick_init(&k);
    struct server *s = world_pick(w, p, &k);
    if (s == NULL)
        return '-';
    list_init(&t->link);
    t->server = s;
    server_tunnel_opened(s, &t->link);
    pick_end(&k, OUTCOME_OK, w->now_ms);
    return s->server_conf->name[0];
}

static inline void world_close(struct tunnel *t)
{
    server_tunnel_closed(&t->server, &t->link);
}

#endif
