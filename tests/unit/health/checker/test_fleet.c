/* Several who judge together, each as a fleet of its own on one loop, beside a real Redis: who hears whom, who leads in
 * which term, what becomes of decisions, and what happens when Redis is away, ill, flushed or full of rubbish. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>

#include "base/mem.h"
#include "health/checker/exchange.h"
#include "health/checker/fleet.h"
#include "tests/unit/cache/redis_nodes.h"

#define WAIT_MS     10000 /* for what takes a fraction of a second on an idle machine */
#define MEMBERS     3
#define LIFETIME_MS 1000

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

static void on_tick(void *arg)
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

static void on_news(void *arg)
{
    struct member *m = arg;
    m->news_count++;
}

/* ---- members ---- */

static void configure_at(struct bench *t, struct member *m, const char *redis, uint64_t highest_term)
{
    char text[1024];
    struct conf_errors errors = {0};
    (void)t;
    const int len = snprintf(text, sizeof text,
                             "node: {name: %s, region: eu}\n"
                             "listen: [{address: '127.0.0.1:0'}]\n"
                             "pools: {app: {servers: [{name: a, url: 'http://127.0.0.1:1'}]}}\n"
                             "routes: [{path: /, pool: app}]\n"
                             "quorum: {redis: {%s}, lifetime: %dms, interval: 100ms}\n",
                             m->name, redis, LIFETIME_MS);
    assert_true(len > 0 && (size_t)len < sizeof text);
    struct conf *c = conf_load_text("test", text, (size_t)len, false, &errors);
    if (c == NULL)
        fail_msg("%s", errors.text);
    conf_errors_fini(&errors);
    fleet_take_conf(m->fleet, c, m->is_gateway, highest_term);
    conf_unref(&c);
}

static void configure(struct bench *t, struct member *m, uint64_t highest_term)
{
    char redis[256];
    (void)snprintf(redis, sizeof redis, "url: 'redis://127.0.0.1:%u', timeout: 300ms", (unsigned)t->redis.port);
    configure_at(t, m, redis, highest_term);
}

static void say(struct member *m, enum verdict_state state, bool is_urgent)
{
    m->view->rows[0].vote.state = state;
    fleet_say(m->fleet, m->view, is_urgent);
}

static void begin(struct bench *t, struct member *m, const char *name, bool is_gateway)
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
static struct member *join(struct bench *t, size_t i, const char *name, bool is_gateway)
{
    struct member *m = &t->members[i];
    begin(t, m, name, is_gateway);
    configure(t, m, 0);
    say(m, VERDICT_UP, false);
    return m;
}

static void leave(struct member *m)
{
    fleet_destroy(&m->fleet);
    mem_free(m->view);
    m->view = NULL;
}

static const struct view *heard(const struct member *m, const char *name)
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

static enum verdict_state heard_state(const struct member *m, const char *name)
{
    const struct view *v = heard(m, name);
    const struct view_row *row = v != NULL ? view_find(v, "targets/one") : NULL;
    return row != NULL ? row->vote.state : VERDICT_UNKNOWN;
}

static void decide(struct member *m, uint64_t term, uint64_t version)
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

static uint64_t decided_version(const struct member *m)
{
    const struct decision *d = fleet_decision(m->fleet);
    return d != NULL ? d->version : 0;
}

static int setup(void **state)
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

static int teardown(void **state)
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
static long long number(struct bench *t, const char *command)
{
    redisReply *r = node_ask(&t->redis, command);
    const long long n = r->type == REDIS_REPLY_INTEGER ? r->integer : -1;
    freeReplyObject(r);
    return n;
}

static void restart(struct bench *t)
{
    char port[8];
    const char *argv[] = {"redis-server", "--port", port,    "--bind",     "127.0.0.1",
                          "--save",       "",       "--dir", t->redis.dir, NULL};
    (void)snprintf(port, sizeof port, "%u", (unsigned)t->redis.port);
    assert_true(node_spawn(&t->redis, argv, "Ready to accept connections"));
}

/* ---- together ---- */

static void without_redis_one_is_alone(void **state)
{
    struct bench *t = *state;
    struct member *m = &t->members[0];
    begin(t, m, "a", true);
    configure_at(t, m, "", 0);
    say(m, VERDICT_UP, true);
    loop_run_once(t->loop, false);
    assert_false(fleet_is_configured(m->fleet));
    assert_false(fleet_is_connected(m->fleet));
    assert_false(fleet_leads(m->fleet));
    assert_string_equal(fleet_leader(m->fleet), "");
    assert_int_equal(fleet_view_count(m->fleet), 0);
}

static void views_reach_all_others(void **state)
{
    struct bench *t = *state;
    struct member *a = join(t, 0, "a", true), *b = join(t, 1, "b", true), *c = join(t, 2, "c", false);
    AWAIT(t, heard(a, "b") && heard(a, "c") && heard(b, "a") && heard(b, "c") && heard(c, "a") && heard(c, "b"));
    assert_int_equal(fleet_view_count(a->fleet), 2); /* not the own one */
    assert_string_equal(heard(a, "b")->region, "eu");
    assert_true(heard(a, "b")->is_gateway);
    assert_false(heard(a, "c")->is_gateway);
    const uint32_t news = b->news_count;
    say(a, VERDICT_DOWN, true);
    AWAIT(t, heard_state(b, "a") == VERDICT_DOWN);
    assert_true(b->news_count > news);
}

static void an_urgent_word_goes_at_once(void **state)
{
    struct bench *t = *state;
    struct member *a = join(t, 0, "a", true);
    AWAIT(t, fleet_is_connected(a->fleet));
    /* Once nothing is under way, the next one waits for its interval: many words later, many exchanges were made. */
    const long long before = number(t, "HLEN " KEY("views"));
    assert_int_equal(before, 1);
    redisReply *r = node_ask(&t->redis, "CONFIG RESETSTAT");
    freeReplyObject(r);
    const int64_t begun_ms = loop_fresh_us(t->loop) / 1000;
    uint32_t said = 0;
    while (loop_fresh_us(t->loop) / 1000 < begun_ms + 400) {
        say(a, ++said % 2 ? VERDICT_DOWN : VERDICT_UP, true);
        loop_run_once(t->loop, true);
    }
    redisReply *stats = node_ask(&t->redis, "INFO commandstats");
    const char *at = strstr(stats->str, "cmdstat_eval:calls=");
    assert_non_null(at);
    const int calls = atoi(at + strlen("cmdstat_eval:calls="));
    freeReplyObject(stats);
    assert_in_range(calls, 6, 22); /* by the interval it were 4; without a pace as many as were said */
}

static void who_says_good_bye_is_not_waited_for(void **state)
{
    struct bench *t = *state;
    struct member *a = join(t, 0, "a", true);
    AWAIT(t, fleet_leads(a->fleet));
    struct member *b = join(t, 1, "b", true);
    AWAIT(t, heard(b, "a") != NULL);
    leave(a);
    assert_int_equal(number(t, "EXISTS " KEY("lease")), 0);
    assert_int_equal(number(t, "HLEN " KEY("views")), 1);
    AWAIT(t, fleet_leads(b->fleet));
    assert_int_equal(fleet_term(b->fleet), 2);
}

static void nothing_is_left_when_all_are_gone(void **state)
{
    struct bench *t = *state;
    struct member *a = join(t, 0, "a", true);
    AWAIT(t, fleet_leads(a->fleet));
    decide(a, 1, 1);
    AWAIT(t, decided_version(a) == 1);
    assert_in_range(number(t, "PTTL " KEY("views")), 1, LIFETIME_MS);
    assert_in_range(number(t, "PTTL " KEY("lease")), 1, LIFETIME_MS);
    assert_in_range(number(t, "PTTL " KEY("decision")), 1, LIFETIME_MS);
    assert_in_range(number(t, "TTL " KEY("term")), 86400, EXCHANGE_TERM_DAYS * 86400);
    assert_int_equal(number(t, "DBSIZE"), 4);
}

static void two_of_one_name_do_not_fight(void **state)
{
    struct bench *t = *state;
    struct member *a = join(t, 0, "a", true), *twin = join(t, 1, "a", true), *c = join(t, 2, "c", false);
    AWAIT(t, heard(c, "a") != NULL && fleet_is_connected(twin->fleet));
    AWAIT(t, fleet_leads(a->fleet) || fleet_leads(twin->fleet));
    AWAIT(t, number(t, "HLEN " KEY("views")) == 3);
    const struct member *leader = fleet_leads(a->fleet) ? a : twin;
    const int64_t begun_ms = loop_fresh_us(t->loop) / 1000;
    while (loop_fresh_us(t->loop) / 1000 < begun_ms + 500) { /* neither loses to the other */
        loop_run_once(t->loop, true);
        assert_true(fleet_leads(leader->fleet));
        assert_false(fleet_leads(a->fleet) && fleet_leads(twin->fleet));
        assert_int_equal(fleet_term(leader->fleet), 1);
    }
    assert_int_equal(fleet_view_count(c->fleet), 1); /* and one name is one voice */
    assert_null(heard(a, "a"));
}

/* ---- who leads ---- */

static void one_of_those_who_may_leads(void **state)
{
    struct bench *t = *state;
    struct member *c = join(t, 0, "c", false);
    AWAIT(t, fleet_is_connected(c->fleet));
    assert_string_equal(fleet_leader(c->fleet), "");
    struct member *a = join(t, 1, "a", true);
    AWAIT(t, fleet_leads(a->fleet));
    struct member *b = join(t, 2, "b", true);
    AWAIT(t, strcmp(fleet_leader(b->fleet), "a") == 0 && strcmp(fleet_leader(c->fleet), "a") == 0);
    assert_string_equal(fleet_leader(a->fleet), "a");
    assert_false(fleet_leads(b->fleet) || fleet_leads(c->fleet));
    assert_int_equal(fleet_term(a->fleet), 1);
    assert_int_equal(fleet_term(b->fleet), 0);
    assert_int_equal(fleet_highest_term(b->fleet), 1);
}

static void who_may_lead_no_more_gives_the_lease_away(void **state)
{
    struct bench *t = *state;
    struct member *a = join(t, 0, "a", true);
    AWAIT(t, fleet_leads(a->fleet));
    struct member *b = join(t, 1, "b", true);
    AWAIT(t, fleet_is_connected(b->fleet));
    a->is_gateway = false;
    configure(t, a, 0);
    assert_false(fleet_leads(a->fleet)); /* at once */
    AWAIT(t, fleet_leads(b->fleet) && strcmp(fleet_leader(a->fleet), "b") == 0);
}

static void who_stands_alone_never_leads(void **state)
{
    struct bench *t = *state;
    t->birth.is_alone = true;
    struct member *a = join(t, 0, "a", true);
    t->birth.is_alone = false;
    AWAIT(t, fleet_is_connected(a->fleet));
    struct member *b = join(t, 1, "b", true);
    AWAIT(t, fleet_leads(b->fleet));
    assert_false(fleet_leads(a->fleet));
}

static void a_decision_reaches_all_and_ends_with_its_leader(void **state)
{
    struct bench *t = *state;
    struct member *a = join(t, 0, "a", true);
    AWAIT(t, fleet_leads(a->fleet));
    struct member *b = join(t, 1, "b", true);
    AWAIT(t, strcmp(fleet_leader(b->fleet), "a") == 0);
    assert_null(fleet_decision(b->fleet));
    decide(a, 1, 5);
    AWAIT(t, decided_version(b) == 5 && decided_version(a) == 5);
    assert_int_equal(fleet_decision(b->fleet)->rows[0].id, 77);
    decide(a, 1, 6);
    AWAIT(t, decided_version(b) == 6);
    leave(a);
    AWAIT(t, fleet_leads(b->fleet));
    assert_null(fleet_decision(b->fleet)); /* of a term that is over */
    decide(b, 1, 7);                       /* and who says the old term is not listened to */
    say(b, VERDICT_DOWN, true);
    AWAIT(t, number(t, "HLEN " KEY("views")) == 1);
    const uint32_t news = b->news_count;
    decide(b, 2, 8);
    AWAIT(t, decided_version(b) == 8);
    assert_true(b->news_count > news);
}

static void a_decision_that_was_lost_is_said_again(void **state)
{
    struct bench *t = *state;
    struct member *a = join(t, 0, "a", true);
    AWAIT(t, fleet_leads(a->fleet));
    decide(a, 1, 1);
    AWAIT(t, decided_version(a) == 1);
    assert_int_equal(number(t, "DEL " KEY("decision")), 1);
    AWAIT(t, decided_version(a) == 0);
    AWAIT(t, decided_version(a) == 1);
}

/* ---- Redis is away ---- */

static void a_dead_redis_leaves_everybody_alone_and_comes_back(void **state)
{
    struct bench *t = *state;
    struct member *a = join(t, 0, "a", true);
    AWAIT(t, fleet_leads(a->fleet));
    struct member *b = join(t, 1, "b", true);
    AWAIT(t, heard(a, "b") != NULL && heard(b, "a") != NULL);
    node_kill(&t->redis);
    const int64_t killed_ms = loop_fresh_us(t->loop) / 1000;
    const uint32_t news = a->news_count;
    AWAIT(t, !fleet_leads(a->fleet));
    assert_true(loop_fresh_us(t->loop) / 1000 - killed_ms <= LIFETIME_MS); /* sooner than anybody else could */
    AWAIT(t, !fleet_is_connected(a->fleet) && !fleet_is_connected(b->fleet));
    AWAIT(t, fleet_view_count(a->fleet) == 0 && fleet_view_count(b->fleet) == 0);
    assert_string_equal(fleet_leader(b->fleet), "");
    assert_true(a->news_count > news);
    restart(t);
    AWAIT(t, heard(a, "b") != NULL && heard(b, "a") != NULL);
    AWAIT(t, fleet_leads(a->fleet) || fleet_leads(b->fleet));
    const struct member *leader = fleet_leads(a->fleet) ? a : b;
    assert_int_equal(fleet_term(leader->fleet), 2); /* nothing was saved: those who are there know */
}

static void a_hung_redis_costs_the_lead_and_nothing_else(void **state)
{
    struct bench *t = *state;
    struct member *a = join(t, 0, "a", true);
    AWAIT(t, fleet_leads(a->fleet));
    (void)kill(t->redis.pid, SIGSTOP);
    AWAIT(t, !fleet_leads(a->fleet) && !fleet_is_connected(a->fleet));
    (void)kill(t->redis.pid, SIGCONT);
    AWAIT(t, fleet_leads(a->fleet));
}

static void a_flushed_redis_does_not_take_terms_back(void **state)
{
    struct bench *t = *state;
    struct member *a = &t->members[0], *b = &t->members[1];
    begin(t, a, "a", true);
    configure(t, a, 41); /* as its state file says */
    say(a, VERDICT_UP, false);
    AWAIT(t, fleet_leads(a->fleet));
    assert_int_equal(fleet_term(a->fleet), 42);
    /* Somebody who never heard of it takes a lower one after the flush, and loses it to who has. */
    leave(a);
    NODE_TELL(&t->redis, "FLUSHALL");
    join(t, 1, "b", true);
    AWAIT(t, fleet_leads(b->fleet));
    assert_int_equal(fleet_term(b->fleet), 1);
    decide(b, 1, 1);
    begin(t, a, "a", true);
    configure(t, a, 42);
    say(a, VERDICT_UP, false);
    AWAIT(t, fleet_leads(a->fleet) || (fleet_leads(b->fleet) && fleet_term(b->fleet) > 42));
    AWAIT(t, fleet_highest_term(a->fleet) > 42 && fleet_highest_term(b->fleet) > 42);
    AWAIT(t, fleet_leads(a->fleet) != fleet_leads(b->fleet));
}

static void a_flushed_script_is_not_missed(void **state)
{
    struct bench *t = *state;
    struct member *a = join(t, 0, "a", true);
    AWAIT(t, fleet_leads(a->fleet));
    NODE_TELL(&t->redis, "SCRIPT FLUSH");
    struct member *b = join(t, 1, "b", true);
    AWAIT(t, heard(b, "a") != NULL && heard(a, "b") != NULL);
    assert_true(fleet_leads(a->fleet));
}

static void a_replica_is_not_believed(void **state)
{
    struct bench *t = *state;
    struct member *a = join(t, 0, "a", true);
    AWAIT(t, fleet_leads(a->fleet));
    NODE_TELL(&t->redis, "REPLICAOF 127.0.0.1 1"); /* a master that is away */
    AWAIT(t, !fleet_leads(a->fleet) && !fleet_is_connected(a->fleet));
    NODE_TELL(&t->redis, "REPLICAOF NO ONE");
    AWAIT(t, fleet_leads(a->fleet));
}

/* Its exchange frees before it takes, and Redis lets such a script go on: who judges is not silenced by a cache that is
 * full. */
static void a_full_redis_does_not_silence_us(void **state)
{
    struct bench *t = *state;
    struct member *a = join(t, 0, "a", true);
    AWAIT(t, fleet_leads(a->fleet));
    NODE_TELL(&t->redis, "CONFIG SET maxmemory-policy noeviction");
    NODE_TELL(&t->redis, "CONFIG SET maxmemory 1");
    redisReply *r = node_ask(&t->redis, "SET something else");
    assert_int_equal(r->type, REDIS_REPLY_ERROR);
    freeReplyObject(r);
    struct member *b = join(t, 1, "b", true);
    AWAIT(t, heard(a, "b") != NULL && heard(b, "a") != NULL);
    decide(a, 1, 3);
    AWAIT(t, decided_version(b) == 3);
}

/* A script that may not write says so with its first word. */
static void a_redis_that_takes_no_writes_leaves_us_alone(void **state)
{
    struct bench *t = *state;
    struct member *a = join(t, 0, "a", true);
    AWAIT(t, fleet_leads(a->fleet));
    NODE_TELL(&t->redis, "CONFIG SET min-replicas-to-write 1");
    AWAIT(t, !fleet_leads(a->fleet) && !fleet_is_connected(a->fleet));
    NODE_TELL(&t->redis, "CONFIG SET min-replicas-to-write 0");
    AWAIT(t, fleet_leads(a->fleet));
}

static void evicted_keys_are_made_again(void **state)
{
    struct bench *t = *state;
    static const char *const deletions[] = {"DEL " KEY("views"), "DEL " KEY("lease"), "DEL " KEY("term")};
    struct member *a = join(t, 0, "a", true);
    struct member *b = join(t, 1, "b", true);
    AWAIT(t, heard(a, "b") != NULL && heard(b, "a") != NULL && (fleet_leads(a->fleet) || fleet_leads(b->fleet)));
    for (size_t i = 0; i < sizeof deletions / sizeof deletions[0]; i++) {
        const uint64_t highest = fleet_highest_term(a->fleet);
        assert_int_equal(number(t, deletions[i]), 1);
        AWAIT(t, number(t, "HLEN " KEY("views")) == 2 && number(t, "EXISTS " KEY("lease")) == 1 &&
                     number(t, "EXISTS " KEY("term")) == 1);
        AWAIT(t, fleet_leads(a->fleet) != fleet_leads(b->fleet));
        assert_true(fleet_highest_term(a->fleet) >= highest);
    }
}

/* ---- rubbish ---- */

static void rubbish_under_the_keys_is_cleared_away(void **state)
{
    static const char *const rubbish[] = {
        "RPUSH " KEY("views") " x",
        "RPUSH " KEY("lease") " x",
        "RPUSH " KEY("decision") " x",
        "RPUSH " KEY("term") " x",
        "HSET " KEY("views") " nobody x",
        "HSET " KEY("views") " 0123456789abcdef0123456789abcdef nothing",
        "HSET " KEY("views") " 1123456789abcdef0123456789abcdef 99999999999999999999 5 x",
        "HSET " KEY("views") " 2123456789abcdef0123456789abcdef -5",
        "SETRANGE " KEY("term") " 100000 x",
        "SETRANGE " KEY("lease") " 100000 x",
        "SETRANGE " KEY("decision") " 1000000 x",
        "APPEND " KEY("term") " nan",
        "APPEND " KEY("term") " 1e300",
        "APPEND " KEY("lease") " zz",
        "APPEND " KEY("lease") " abc",
        "APPEND " KEY("decision") " x",
        "PERSIST " KEY("lease"),
    };
    struct bench *t = *state;
    struct member *a = join(t, 0, "a", true);
    AWAIT(t, fleet_leads(a->fleet));
    for (size_t i = 0; i < sizeof rubbish / sizeof rubbish[0]; i++) {
        char key[64];
        assert_int_equal(sscanf(rubbish[i], "%*s %63s", key), 1);
        if (strncmp(rubbish[i], "HSET", 4) != 0 && strncmp(rubbish[i], "PERSIST", 7) != 0) {
            redisReply *r = node_ask(&t->redis, "DEL %s", key);
            freeReplyObject(r);
        }
        const uint64_t highest = fleet_highest_term(a->fleet);
        redisReply *r = node_ask(&t->redis, rubbish[i]);
        assert_int_not_equal(r->type, REDIS_REPLY_ERROR);
        freeReplyObject(r);
        const uint64_t version = i + 1;
        AWAIT(t, fleet_leads(a->fleet) && number(t, "HLEN " KEY("views")) == 1 &&
                     number(t, "STRLEN " KEY("term")) < 5 && number(t, "PTTL " KEY("lease")) > 0);
        assert_true(fleet_highest_term(a->fleet) >= highest);
        do { /* the rubbish may be noticed only now, and cost the term */
            AWAIT(t, fleet_leads(a->fleet));
            const uint64_t term = fleet_term(a->fleet);
            decide(a, term, version);
            AWAIT(t, decided_version(a) == version || fleet_term(a->fleet) != term);
        } while (decided_version(a) != version);
    }
}

static void a_view_that_is_none_is_not_heard(void **state)
{
    struct bench *t = *state;
    struct member *a = join(t, 0, "a", true);
    AWAIT(t, fleet_is_connected(a->fleet));
    redisReply *time = node_ask(&t->redis, "TIME");
    redisReply *r = node_ask(&t->redis, "HSET " KEY("views") " 0123456789abcdef0123456789abcdef %s", "");
    freeReplyObject(r);
    char value[128];
    (void)snprintf(value, sizeof value, "%s000 60000 view 9 of the future", time->element[0]->str);
    r = node_ask(&t->redis, "HSET " KEY("views") " 0123456789abcdef0123456789abcdef %s", value);
    freeReplyObject(r);
    freeReplyObject(time);
    join(t, 1, "b", true);
    AWAIT(t, heard(a, "b") != NULL);
    assert_int_equal(fleet_view_count(a->fleet), 1);
    assert_int_equal(number(t, "HLEN " KEY("views")), 3); /* it may be of a later version, and is let be */
}

static void no_more_than_can_be_heard_may_speak(void **state)
{
    struct bench *t = *state;
    redisReply *time = node_ask(&t->redis, "TIME");
    struct strbuf text;
    strbuf_init(&text, VIEW_BYTES_MAX);
    for (unsigned i = 0; i < STEERING_PEERS_MAX + 1; i++) {
        struct view *v = mem_alloc(sizeof *v);
        (void)snprintf(v->node, sizeof v->node, "crowd-%u", i);
        strbuf_clear(&text);
        view_print(v, &text);
        mem_free(v);
        redisReply *r = node_ask(&t->redis, "HSET " KEY("views") " 0123456789abcdef0123456789abc%03x %s", i, "");
        freeReplyObject(r);
        char *value = mem_printf("%s000 60000 %s", time->element[0]->str, text.data);
        r = node_ask(&t->redis, "HSET " KEY("views") " 0123456789abcdef0123456789abc%03x %b", i, value, strlen(value));
        freeReplyObject(r);
        mem_free(value);
    }
    strbuf_fini(&text);
    freeReplyObject(time);
    struct member *a = join(t, 0, "a", true);
    AWAIT(t, fleet_is_connected(a->fleet));
    assert_int_equal(fleet_view_count(a->fleet), STEERING_PEERS_MAX);
    assert_int_equal(number(t, "HLEN " KEY("views")), STEERING_PEERS_MAX + 1); /* ours was not taken */
}

/* ---- other ways to Redis ---- */

static void they_meet_in_a_cluster(void **state)
{
    struct bench *t = *state;
    struct redis_cluster cluster = {0};
    char redis[256];
    cluster_start(&cluster);
    begin(t, &t->members[0], "a", true);
    begin(t, &t->members[1], "b", true);
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(redis, sizeof redis, "url: 'redis://127.0.0.1:%u', mode: cluster, timeout: 300ms",
                       (unsigned)cluster.node[i].port);
        configure_at(t, &t->members[i], redis, 0);
        say(&t->members[i], VERDICT_UP, false);
    }
    AWAIT(t, heard(&t->members[0], "b") != NULL && heard(&t->members[1], "a") != NULL);
    AWAIT(t, fleet_leads(t->members[0].fleet) != fleet_leads(t->members[1].fleet));
    leave(&t->members[0]);
    leave(&t->members[1]);
    t->members[0].fleet = t->members[1].fleet = NULL;
    cluster_stop(&cluster);
}

static void another_group_is_not_heard(void **state)
{
    struct bench *t = *state;
    char redis[256];
    struct member *a = join(t, 0, "a", true), *b = join(t, 1, "b", true);
    AWAIT(t, heard(a, "b") != NULL && heard(b, "a") != NULL);
    (void)snprintf(redis, sizeof redis, "url: 'redis://127.0.0.1:%u', timeout: 300ms, prefix: else",
                   (unsigned)t->redis.port);
    configure_at(t, b, redis, 0);
    assert_int_equal(fleet_view_count(b->fleet), 0); /* at once */
    AWAIT(t, fleet_leads(b->fleet) && fleet_view_count(a->fleet) == 0 && fleet_leads(a->fleet));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        CASE(without_redis_one_is_alone),
        CASE(views_reach_all_others),
        CASE(an_urgent_word_goes_at_once),
        CASE(who_says_good_bye_is_not_waited_for),
        CASE(nothing_is_left_when_all_are_gone),
        CASE(two_of_one_name_do_not_fight),
        CASE(one_of_those_who_may_leads),
        CASE(who_may_lead_no_more_gives_the_lease_away),
        CASE(who_stands_alone_never_leads),
        CASE(a_decision_reaches_all_and_ends_with_its_leader),
        CASE(a_decision_that_was_lost_is_said_again),
        CASE(a_dead_redis_leaves_everybody_alone_and_comes_back),
        CASE(a_hung_redis_costs_the_lead_and_nothing_else),
        CASE(a_flushed_redis_does_not_take_terms_back),
        CASE(a_flushed_script_is_not_missed),
        CASE(a_replica_is_not_believed),
        CASE(a_full_redis_does_not_silence_us),
        CASE(a_redis_that_takes_no_writes_leaves_us_alone),
        CASE(evicted_keys_are_made_again),
        CASE(rubbish_under_the_keys_is_cleared_away),
        CASE(a_view_that_is_none_is_not_heard),
        CASE(no_more_than_can_be_heard_may_speak),
        CASE(they_meet_in_a_cluster),
        CASE(another_group_is_not_heard),
#undef CASE
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
