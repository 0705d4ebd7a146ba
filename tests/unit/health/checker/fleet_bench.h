/* Several fleets on one loop, beside a real Redis: members that say whether a server is up, and what each has heard. */
#ifndef TESTS_UNIT_HEALTH_CHECKER_FLEET_BENCH_H
#define TESTS_UNIT_HEALTH_CHECKER_FLEET_BENCH_H

#include <inttypes.h>

#include "base/mem.h"
#include "health/checker/exchange.h"
#include "health/checker/fleet.h"
#include "tests/unit/cache/redis_nodes.h"

#define WAIT_MS     10000 /* for what takes a fraction of a second on an idle machine */
#define MEMBERS     3
#define LIFETIME_MS 1000
#define PACE        "lifetime: 1s, interval: 100ms"

struct member {
    struct fleet *fleet;
    struct view *view;
    const char *name;
    uint32_t news_count;
    bool is_gateway;
};

struct bench {
    struct loop *loop;
    struct birth birth;
    struct roster roster;
    struct redis_node redis;
    struct timer tick;
    struct member members[MEMBERS];
};

static inline void on_tick(void *arg)
{
    struct bench *t = arg;
    timer_start(&t->tick, 2);
}

#define AWAIT(t, condition)                                                                                            \
    do {                                                                                                               \
        const int64_t until_ms_ = loop_fresh_us((t)->loop) / 1000 + WAIT_MS;                                           \
        while (!(condition)) {                                                                                         \
            if (loop_fresh_us((t)->loop) / 1000 >= until_ms_)                                                          \
                fail_msg("never: %s", #condition);                                                                     \
            loop_run_once((t)->loop, true);                                                                            \
        }                                                                                                              \
    } while (0)

static inline void on_news(void *arg)
{
    struct member *m = arg;
    m->news_count++;
}

/* ---- members ---- */

static inline void configure_at(struct bench *t, struct member *m, const char *quorum, uint64_t highest_term)
{
    char text[1024];
    struct conf_errors errors = {0};
    (void)t;
    const int len = snprintf(text, sizeof text,
                             "node: {name: %s, region: eu}\n"
                             "listen: [{address: '127.0.0.1:0'}]\n"
                             "pools: {app: {servers: [{name: a, url: 'http://127.0.0.1:1'}]}}\n"
                             "routes: [{path: /, pool: app}]\n"
                             "quorum: {%s}\n",
                             m->name, quorum);
    assert_true(len > 0 && (size_t)len < sizeof text);
    struct conf *c = conf_load_text("test", text, (size_t)len, false, &errors);
    if (c == NULL)
        fail_msg("%s", errors.text);
    conf_errors_fini(&errors);
    fleet_take_conf(m->fleet, c, m->is_gateway, highest_term);
    conf_unref(&c);
}

static inline void configure(struct bench *t, struct member *m, uint64_t highest_term)
{
    char redis[256];
    (void)snprintf(redis, sizeof redis, "redis: {url: \'redis://127.0.0.1:%u\', timeout: 300ms}, " PACE,
                   (unsigned)t->redis.port);
    configure_at(t, m, redis, highest_term);
}

static inline void say(struct member *m, enum verdict_state state, bool is_urgent)
{
    m->view->rows[0].vote.state = state;
    fleet_say(m->fleet, m->view, is_urgent);
}

static inline void begin(struct bench *t, struct member *m, const char *name, bool is_gateway)
{
    m->fleet = fleet_create(t->loop, &t->birth, on_news, m);
    m->name = name;
    m->is_gateway = is_gateway;
    m->view = mem_alloc(sizeof *m->view);
    *m->view = (struct view){.is_gateway = is_gateway, .count = 1};
    (void)snprintf(m->view->node, sizeof m->view->node, "%s", name);
    (void)snprintf(m->view->region, sizeof m->view->region, "eu");
    (void)snprintf(m->view->rows[0].name, sizeof m->view->rows[0].name, "targets/one");
    m->view->rows[0].vote = (struct quorum_vote){.state = VERDICT_UP, .checks_left = 2, .interval_ms = 1000};
}

/* A member that says that its server is up. */
static inline struct member *join(struct bench *t, size_t i, const char *name, bool is_gateway)
{
    struct member *m = &t->members[i];
    begin(t, m, name, is_gateway);
    configure(t, m, 0);
    say(m, VERDICT_UP, false);
    return m;
}

static inline void leave(struct member *m)
{
    fleet_destroy(&m->fleet);
    mem_free(m->view);
    m->view = NULL;
}

static inline const struct view *heard(const struct member *m, const char *name)
{
    int64_t age_ms;
    for (size_t i = 0; i < fleet_view_count(m->fleet); i++) {
        const struct view *v = fleet_view(m->fleet, i, &age_ms);
        assert_in_range(age_ms, 0, LIFETIME_MS + 100);
        if (strcmp(v->node, name) == 0)
            return v;
    }
    return NULL;
}

static inline enum verdict_state heard_state(const struct member *m, const char *name)
{
    const struct view *v = heard(m, name);
    const struct view_row *row = v != NULL ? view_find(v, "targets/one") : NULL;
    return row != NULL ? row->vote.state : VERDICT_UNKNOWN;
}

static inline void decide(struct member *m, uint64_t term, uint64_t version)
{
    struct decision *d = mem_alloc(sizeof *d);
    d->term = term;
    d->version = version;
    d->since_wall_ms = 1700000000000;
    d->serial = (uint32_t)version;
    (void)snprintf(d->node, sizeof d->node, "%s", m->name);
    d->row_count = 1;
    d->rows[0] = (struct decision_row){.id = 77, .chosen = 1};
    fleet_decide(m->fleet, d);
    mem_free(d);
}

static inline uint64_t decided_version(const struct member *m)
{
    const struct decision *d = fleet_decision(m->fleet);
    return d != NULL ? d->version : 0;
}

static inline int setup(void **state)
{
    struct bench *t = mem_alloc(sizeof *t);
    node_start(&t->redis, NULL);
    t->loop = loop_create();
    t->birth.stats = mem_alloc(sizeof *t->birth.stats);
    stats_init(t->birth.stats);
    t->birth.block = &t->birth.stats->block[0];
    t->birth.roster = &t->roster;
    timer_init(&t->tick, t->loop, on_tick, t);
    timer_start(&t->tick, 0);
    *state = t;
    return 0;
}

static inline int teardown(void **state)
{
    struct bench *t = *state;
    for (size_t i = 0; i < MEMBERS; i++)
        if (t->members[i].fleet != NULL)
            leave(&t->members[i]);
    timer_cancel(&t->tick);
    loop_destroy(&t->loop);
    node_stop(&t->redis);
    mem_free(t->birth.stats);
    mem_free(t);
    return 0;
}

/* ---- talking to the keys ---- */

#define KEY(what) "{tidegate:tidegate}:" what

/* -1 for an error: what stands there is of another type. */
static inline long long number(struct bench *t, const char *command)
{
    redisReply *r = node_ask(&t->redis, command);
    const long long n = r->type == REDIS_REPLY_INTEGER ? r->integer : -1;
    freeReplyObject(r);
    return n;
}

#endif
