/* The Redis in which they meet is away, ill, flushed, full, or holds rubbish; and other ways to one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/health/checker/fleet_bench.h"
#include "tests/unit/health/checker/slow_way.h"

static void restart(struct bench *t)
{
    char port[8];
    const char *argv[] = {"redis-server", "--port", port,    "--bind",     "127.0.0.1",
                          "--save",       "",       "--dir", t->redis.dir, NULL};
    (void)snprintf(port, sizeof port, "%u", (unsigned)t->redis.port);
    assert_true(node_spawn(&t->redis, argv, "Ready to accept connections"));
}

/* ---- Redis is away ---- */

static void a_dead_redis_leaves_everybody_alone_and_comes_back(void **state)
{
    struct bench *t = *state;
    struct member *a = join(t, 0, "a", true);
    AWAIT(t, fleet_leads(a->fleet));
    struct member *b = join(t, 1, "b", true);
    AWAIT(t, heard(a, "b") != NULL && heard(b, "a") != NULL);
    const uint64_t term = fleet_highest_term(b->fleet);
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
    assert_true(fleet_term(leader->fleet) > term); /* nothing was saved, and no term comes twice */
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

/* What he says arrives, every answer comes after he has given it up: he may not keep the others from a leader. */
static void who_hears_nothing_does_not_lead(void **state)
{
    struct bench *t = *state;
    struct slow_way way;
    char redis[256];
    struct member *a = &t->members[0];
    slow_way_open(&way, t->redis.port, 300);
    (void)snprintf(redis, sizeof redis, "redis: {url: 'redis://127.0.0.1:%u', timeout: 200ms}, " PACE,
                   (unsigned)way.port);
    begin(t, a, "a", true);
    configure_at(t, a, redis, 0);
    say(a, VERDICT_UP, false);
    AWAIT(t, number(t, "HLEN " KEY("views")) == 1);
    struct member *b = join(t, 1, "b", true);
    AWAIT(t, fleet_leads(b->fleet));
    say(a, VERDICT_DOWN, true);
    AWAIT(t, heard_state(b, "a") == VERDICT_DOWN);
    assert_true(fleet_leads(b->fleet) && !fleet_is_connected(a->fleet));
    slow_way_close(&way);
}

/* Or the view of one would be the decision of all. */
static void after_a_flush_nobody_leads_before_he_has_heard_the_others(void **state)
{
    struct bench *t = *state;
    struct member *a = join(t, 0, "a", true), *b = join(t, 1, "b", true), *c = join(t, 2, "c", true);
    AWAIT(t, fleet_view_count(a->fleet) == 2 && fleet_view_count(b->fleet) == 2 && fleet_view_count(c->fleet) == 2);
    AWAIT(t, fleet_leads(a->fleet) || fleet_leads(b->fleet) || fleet_leads(c->fleet));
    const uint64_t term = fleet_highest_term(a->fleet);
    NODE_TELL(&t->redis, "FLUSHALL");
    for (const struct member *leader = NULL; leader == NULL;) {
        AWAIT(t, fleet_leads(a->fleet) || fleet_leads(b->fleet) || fleet_leads(c->fleet));
        loop_run_once(t->loop, true);
        for (size_t i = 0; i < MEMBERS; i++)
            if (fleet_leads(t->members[i].fleet) && fleet_term(t->members[i].fleet) > term)
                leader = &t->members[i];
        assert_true(leader == NULL || fleet_view_count(leader->fleet) == 2);
    }
}

static void a_flushed_redis_does_not_take_terms_back(void **state)
{
    struct bench *t = *state;
    struct member *a = join(t, 0, "a", true), *b = join(t, 1, "b", true);
    uint64_t term = 0;
    for (size_t i = 0; i < 6; i++) {
        AWAIT(t, fleet_leads(a->fleet) != fleet_leads(b->fleet) &&
                     fleet_term(a->fleet) + fleet_term(b->fleet) > term); /* one of them is 0 */
        term = fleet_term(a->fleet) + fleet_term(b->fleet);
        NODE_TELL(&t->redis, "FLUSHALL"); /* the other one may never have heard of this term */
        AWAIT(t, fleet_highest_term(a->fleet) > term || fleet_highest_term(b->fleet) > term);
    }
}

/* Kept over a restart of everybody, while Redis lost it and its clock stands behind. */
static void who_knows_of_a_higher_term_is_believed(void **state)
{
    const uint64_t far = UINT64_C(1) << 45;
    struct bench *t = *state;
    struct member *a = join(t, 0, "a", true);
    AWAIT(t, fleet_leads(a->fleet));
    assert_true(fleet_term(a->fleet) < far);
    struct member *b = &t->members[1];
    begin(t, b, "b", true);
    configure(t, b, far);
    say(b, VERDICT_UP, false);
    AWAIT(t, fleet_highest_term(a->fleet) == far + 1 && fleet_highest_term(b->fleet) == far + 1);
    AWAIT(t, fleet_leads(a->fleet) != fleet_leads(b->fleet));
}

/* A replica that took over does not have what was written last, a term among it: it is not given to another one. */
static void a_term_that_was_lost_is_not_given_twice(void **state)
{
    struct bench *t = *state;
    struct member *a = join(t, 0, "a", true);
    AWAIT(t, fleet_leads(a->fleet));
    const uint64_t term = fleet_term(a->fleet);
    leave(a);
    NODE_TELL(&t->redis, "SET " KEY("term") " %" PRIu64, term - 1);
    struct member *b = join(t, 1, "b", true);
    AWAIT(t, fleet_leads(b->fleet));
    assert_true(fleet_term(b->fleet) > term);
}

/* Who was away decides something, and gets the lease again in the same moment, under another term. */
static void what_was_decided_under_a_lost_lease_is_not_decided_under_the_next(void **state)
{
    struct bench *t = *state;
    struct member *a = join(t, 0, "a", true);
    AWAIT(t, fleet_leads(a->fleet));
    const uint64_t term = fleet_term(a->fleet);
    assert_int_equal(number(t, "DEL " KEY("lease")), 1);
    decide(a, term, 5);
    AWAIT(t, fleet_term(a->fleet) > term);
    assert_int_equal(number(t, "EXISTS " KEY("decision")), 0);
    decide(a, fleet_term(a->fleet), 6);
    AWAIT(t, decided_version(a) == 6);
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
    decide(a, fleet_term(a->fleet), 3);
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
                     number(t, "STRLEN " KEY("term")) < 20 && number(t, "PTTL " KEY("lease")) > 0);
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
        (void)snprintf(redis, sizeof redis,
                       "redis: {url: \'redis://127.0.0.1:%u\', mode: cluster, timeout: 300ms}, " PACE,
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
    (void)snprintf(redis, sizeof redis, "redis: {url: \'redis://127.0.0.1:%u\', timeout: 300ms, prefix: else}, " PACE,
                   (unsigned)t->redis.port);
    configure_at(t, b, redis, 0);
    assert_int_equal(fleet_view_count(b->fleet), 0); /* at once */
    AWAIT(t, fleet_leads(b->fleet) && fleet_view_count(a->fleet) == 0 && fleet_leads(a->fleet));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        CASE(a_dead_redis_leaves_everybody_alone_and_comes_back),
        CASE(a_hung_redis_costs_the_lead_and_nothing_else),
        CASE(who_hears_nothing_does_not_lead),
        CASE(after_a_flush_nobody_leads_before_he_has_heard_the_others),
        CASE(a_flushed_redis_does_not_take_terms_back),
        CASE(who_knows_of_a_higher_term_is_believed),
        CASE(a_term_that_was_lost_is_not_given_twice),
        CASE(what_was_decided_under_a_lost_lease_is_not_decided_under_the_next),
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
