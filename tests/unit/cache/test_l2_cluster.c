/* L2 on a real cluster of three masters: keys of each, a slot that moves while it is used, the purge log on one node,
 * masters that die with somebody to stand in for them and without. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cache/l2_priv.h"
#include "cache/l2_slots.h"
#include "tests/unit/cache/l2_world.h"
#include "tests/unit/cache/redis_nodes.h"

#define TIMEOUT_MS 500 /* generous, for machines that are busy */

struct fixture {
    struct redis_cluster cluster;
    struct world world, other; /* two gateways */
    int log_node;              /* who has the purge log: without it L2 cannot be trusted, and says so */
};

static const char log_name[] = "tidegate:purges";

static void begin(struct world *w, const struct redis_cluster *c)
{
    char redis[200];
    (void)snprintf(redis, sizeof redis,
                   "mode: cluster, url: 'redis://127.0.0.1:%u', nodes: ['127.0.0.1:%u'], timeout: %dms",
                   (unsigned)c->node[0].port, (unsigned)c->node[1].port, TIMEOUT_MS);
    world_conf(w, redis);
    WORLD_AWAIT(w, l2_is_ready(w->l2));
}

static int setup(void **state)
{
    struct fixture *f = mem_alloc(sizeof *f);
    *state = f;
    world_init(&f->world);
    world_init(&f->other);
    cluster_start(&f->cluster);
    f->log_node = cluster_node_of(l2_slot_of(log_name, sizeof log_name - 1));
    begin(&f->world, &f->cluster);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    world_fini(&f->world);
    world_fini(&f->other);
    cluster_stop(&f->cluster);
    mem_free(f);
    return 0;
}

static uint16_t slot_of(const struct world *w, const char *key)
{
    struct l2_redis_key name;
    l2_redis_key(w->l2, L2_NAME_ENTRY, key, strlen(key), &name);
    return l2_slot_of(name.text, name.len);
}

/* A key whose entry lies on that master; others for other values of `salt`. */
static const char *key_on(const struct world *w, int node, int salt, char *out, size_t cap_bytes)
{
    for (int i = salt * 1000;; i++) {
        (void)snprintf(out, cap_bytes, "key-%d", i);
        if (cluster_node_of(slot_of(w, out)) == node)
            return out;
    }
}

/* A figure of INFO, by what stands before it. */
static uint64_t count_of(struct redis_node *n, const char *section, const char *name)
{
    char command[32];
    (void)snprintf(command, sizeof command, "INFO %s", section);
    redisReply *r = node_ask(n, command);
    const char *at = strstr(r->str, name);
    uint64_t count = at ? strtoull(at + strlen(name), NULL, 10) : 0;
    freeReplyObject(r);
    return count;
}

static void keys_of_all_masters_are_served(void **state)
{
    struct fixture *f = *state;
    struct world *w = &f->world;
    char key[32];
    begin(&f->other, &f->cluster);
    for (int i = 0; i < CLUSTER_NODES; i++) {
        WORLD_AWAIT(w,
                    world_store(w, key_on(w, i, 0, key, sizeof key), key)); /* at the latest when all are connected */
        redisReply *size = node_ask(&f->cluster.node[i], "DBSIZE");
        assert_true(size->integer >= 1);
        freeReplyObject(size);
        assert_int_equal(world_get(w, key_on(w, i, 1, key, sizeof key)), ERR_NOT_FOUND);
        assert_int_equal(world_lease(w, key, 5000), ERR_NONE);
        assert_int_equal(world_lease(&f->other, key, 5000), ERR_BUSY);
        assert_true(l2_release(w->l2, key, strlen(key)));
        WORLD_AWAIT(w, world_lease(w, key, 5000) == ERR_NONE);
    }
    struct l2_counts counts;
    l2_counts(w->l2, &counts);
    assert_true(counts.is_connected);
    assert_false(counts.is_circuit_open);
    assert_int_equal(counts.failure_count, 0);
}

static void a_slot_is_followed_while_it_moves_and_after(void **state)
{
    struct fixture *f = *state;
    struct world *w = &f->world;
    char key[32];
    int from = (f->log_node + 1) % CLUSTER_NODES, to = (f->log_node + 2) % CLUSTER_NODES;
    struct redis_node *source = &f->cluster.node[from], *target = &f->cluster.node[to];
    WORLD_AWAIT(w, world_store(w, key_on(w, from, 2, key, sizeof key), "before"));
    int slot = slot_of(w, key);

    /* It moves: the key has gone, the slot has not. */
    NODE_TELL(target, "CLUSTER SETSLOT %d IMPORTING %s", slot, f->cluster.member[from].id);
    NODE_TELL(source, "CLUSTER SETSLOT %d MIGRATING %s", slot, f->cluster.member[to].id);
    assert_int_equal(world_get(w, key), ERR_NONE);
    struct l2_redis_key name;
    l2_redis_key(w->l2, L2_NAME_ENTRY, key, strlen(key), &name);
    NODE_TELL(source, "MIGRATE 127.0.0.1 %u %b 0 5000", (unsigned)target->port, name.text, name.len);
    assert_int_equal(world_get(w, key), ERR_NONE);
    assert_string_equal(w->text, "before");
    assert_true(world_store(w, key, "during"));
    assert_true(count_of(source, "errorstats", "errorstat_ASK:count=") >= 1);
    assert_int_equal(count_of(source, "errorstats", "errorstat_MOVED:count="), 0);

    /* It has moved: one answer says so, after that the right one is asked. */
    for (int i = 0; i < CLUSTER_NODES; i++)
        NODE_TELL(&f->cluster.node[(to + i) % CLUSTER_NODES], "CLUSTER SETSLOT %d NODE %s", slot,
                  f->cluster.member[to].id);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(world_get(w, key), ERR_NONE);
        assert_string_equal(w->text, "during");
    }
    /* One lookup is two commands. */
    assert_int_equal(count_of(source, "errorstats", "errorstat_MOVED:count="), 2);
    assert_true(world_store(w, key, "after"));
}

/* Of the one, by the other; both have to turn. */
static bool has_purged(struct fixture *f, const char *tag)
{
    loop_run_once(f->world.loop, false);
    return strcmp(f->other.purge.text, tag) == 0;
}

static void purges_reach_others_and_go_on_when_the_log_moves(void **state)
{
    struct fixture *f = *state;
    struct world *w = &f->world;
    (void)world_purge(w, PURGE_TAG, "table:cars", false);
    WORLD_AWAIT(&f->other, has_purged(f, "table:cars"));

    int slot = l2_slot_of(log_name, sizeof log_name - 1), from = f->log_node, to = (from + 1) % CLUSTER_NODES;
    struct redis_node *source = &f->cluster.node[from], *target = &f->cluster.node[to];
    NODE_TELL(target, "CLUSTER SETSLOT %d IMPORTING %s", slot, f->cluster.member[from].id);
    NODE_TELL(source, "CLUSTER SETSLOT %d MIGRATING %s", slot, f->cluster.member[to].id);
    NODE_TELL(source, "MIGRATE 127.0.0.1 %u %s 0 5000", (unsigned)target->port, log_name);
    for (int i = 0; i < CLUSTER_NODES; i++)
        NODE_TELL(&f->cluster.node[(to + i) % CLUSTER_NODES], "CLUSTER SETSLOT %d NODE %s", slot,
                  f->cluster.member[to].id);
    (void)world_purge(w, PURGE_TAG, "table:drivers", false);
    WORLD_AWAIT(&f->other, has_purged(f, "table:drivers"));
    f->log_node = to;
}

static void who_stands_in_for_a_dead_master_is_found(void **state)
{
    struct fixture *f = *state;
    struct world *w = &f->world;
    struct redis_node replica = {0};
    struct redis_member member;
    int dead = (f->log_node + 1) % CLUSTER_NODES;
    char key[32];
    WORLD_AWAIT(w, world_store(w, key_on(w, dead, 3, key, sizeof key), "kept"));
    cluster_add_replica(&f->cluster, dead, &replica, &member);
    node_stop(&f->cluster.node[dead]);
    f->cluster.node[dead] = replica;
    f->cluster.member[dead] = member;
    WORLD_AWAIT(w, world_get(w, key) == ERR_NONE);
    assert_string_equal(w->text, "kept");
    assert_true(world_store(w, key, "and written"));
}

static void a_dead_master_costs_its_own_keys_alone(void **state)
{
    struct fixture *f = *state;
    struct world *w = &f->world;
    int dead = (f->log_node + 1) % CLUSTER_NODES, alive = (f->log_node + 2) % CLUSTER_NODES;
    char lost[32], kept[32];
    WORLD_AWAIT(w, world_store(w, key_on(w, dead, 4, lost, sizeof lost), "lost"));
    WORLD_AWAIT(w, world_store(w, key_on(w, alive, 4, kept, sizeof kept), "kept"));

    node_kill(&f->cluster.node[dead]);
    int64_t began_us = loop_fresh_us(w->loop);
    assert_int_not_equal(world_get(w, lost), ERR_NONE); /* in time */
    assert_true(loop_fresh_us(w->loop) - began_us < 2000 * TIMEOUT_MS);
    assert_int_equal(world_get(w, kept), ERR_NONE);
    /* Still so when the others have noticed, and when the map was asked for again. */
    node_await(&f->cluster.node[alive], "CLUSTER INFO", "cluster_slots_fail:5");
    static const char asked[] = "cmdstat_cluster|slots:calls=";
    uint64_t before = count_of(&f->cluster.node[alive], "commandstats", asked);
    WORLD_AWAIT(w, count_of(&f->cluster.node[alive], "commandstats", asked) > before + 1);
    assert_int_not_equal(world_get(w, lost), ERR_NONE);
    assert_int_equal(world_get(w, kept), ERR_NONE);
    assert_string_equal(w->text, "kept");
    assert_true(world_store(w, kept, "kept on"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_all_masters_are_served),
        cmocka_unit_test(a_slot_is_followed_while_it_moves_and_after),
        cmocka_unit_test(purges_reach_others_and_go_on_when_the_log_moves),
        cmocka_unit_test(who_stands_in_for_a_dead_master_is_found),
        cmocka_unit_test(a_dead_master_costs_its_own_keys_alone), /* last: it stays dead */
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
