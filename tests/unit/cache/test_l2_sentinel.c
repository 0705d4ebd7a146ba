/* L2 with sentinels: a real master, its replica and a sentinel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cache/l2_priv.h"
#include "tests/unit/cache/l2_world.h"
#include "tests/unit/cache/redis_nodes.h"

struct fixture {
    struct redis_watch watch;
    struct world world;
};

static int setup(void **state)
{
    struct fixture *f = mem_alloc(sizeof *f);
    *state = f;
    world_init(&f->world);
    watch_start(&f->watch);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    world_fini(&f->world);
    watch_stop(&f->watch);
    mem_free(f);
    return 0;
}

/* `first`: the port of the url's sentinel; the real one is the second then. `more`: further keys. */
static void use(struct fixture *f, uint16_t first, const char *more)
{
    char redis[300];
    (void)snprintf(redis, sizeof redis,
                   "mode: sentinel, url: 'redis://127.0.0.1:%u', nodes: ['127.0.0.1:%u'], "
                   "timeout: 500ms, connect_timeout: 1s, %s",
                   (unsigned)first, (unsigned)f->watch.sentinel.port, more);
    world_conf(&f->world, ""); /* begins anew */
    world_conf(&f->world, redis);
}

static bool is_on(struct redis_node *n, const char *key, const struct world *w)
{
    struct l2_redis_key name;
    l2_redis_key(w->l2, L2_NAME_ENTRY, key, strlen(key), &name);
    redisReply *r = node_ask(n, "EXISTS %b", name.text, name.len);
    bool is = r->integer == 1;
    freeReplyObject(r);
    return is;
}

static void the_master_is_found_behind_a_sentinel_that_is_gone(void **state)
{
    struct fixture *f = *state;
    use(f, nodes_free_port(), "master: " SENTINEL_MASTER);
    WORLD_AWAIT(&f->world, l2_is_ready(f->world.l2));
    assert_true(world_store(&f->world, "key", "text"));
    assert_true(is_on(&f->watch.node[0], "key", &f->world));
}

static void a_master_nobody_knows_leaves_l2_unused(void **state)
{
    struct fixture *f = *state;
    struct l2_counts counts;
    use(f, f->watch.sentinel.port, "master: nobody");
    int64_t until_ms = loop_now_ms(f->world.loop) + 600; /* a few questions */
    WORLD_AWAIT(&f->world, loop_now_ms(f->world.loop) >= until_ms);
    l2_counts(f->world.l2, &counts);
    assert_false(counts.is_connected);
    assert_false(l2_is_ready(f->world.l2));
    assert_null(l2_get(f->world.l2, "key", 3, world_on_entry, &f->world));
}

static void sentinels_and_master_have_passwords_of_their_own(void **state)
{
    struct fixture *f = *state;
    struct world *w = &f->world;
    static const char right[] = "master: " SENTINEL_MASTER ", username: tide, password: water, sentinel_password: salt";
    NODE_TELL(&f->watch.sentinel, "ACL SETUSER default >salt");
    NODE_TELL(&f->watch.node[0], "ACL SETUSER tide on >water ~* +@all");
    use(f, f->watch.sentinel.port, right);
    WORLD_AWAIT(w, l2_is_ready(w->l2));
    assert_true(world_store(w, "key", "text"));

    /* Who may not ask for its role is believed to be the master when the sentinels say so. */
    NODE_TELL(&f->watch.node[0], "ACL SETUSER tide -role");
    use(f, f->watch.sentinel.port, right);
    WORLD_AWAIT(w, l2_is_ready(w->l2));
    assert_true(world_store(w, "key", "text"));
    NODE_TELL(&f->watch.sentinel, "ACL SETUSER default nopass");
}

static void a_failover_is_followed(void **state)
{
    struct fixture *f = *state;
    struct world *w = &f->world;
    char key[32] = "before";
    use(f, f->watch.sentinel.port, "master: " SENTINEL_MASTER);
    WORLD_AWAIT(w, l2_is_ready(w->l2));
    assert_true(world_store(w, key, "text"));
    assert_true(is_on(&f->watch.node[0], key, w));

    watch_fail_over(&f->watch);
    node_await(&f->watch.node[1], "INFO replication", "role:master");
    /* The old master does not know yet, and goes on taking writes for seconds: what is on the new one alone was sent
     * there. */
    int64_t began_us = loop_fresh_us(w->loop);
    for (int i = 0;; i++) {
        (void)snprintf(key, sizeof key, "after-%d", i);
        WORLD_AWAIT(w, world_store(w, key, "text"));
        if (!is_on(&f->watch.node[0], key, w))
            break;
    }
    assert_true(is_on(&f->watch.node[1], key, w));
    assert_true(loop_fresh_us(w->loop) - began_us < 4000000);
    assert_int_equal(world_lease(w, key, 5000), ERR_NONE);
}

static void a_master_that_is_demoted_takes_no_writes(void **state)
{
    struct fixture *f = *state;
    struct world *w = &f->world;
    struct redis_node *master = &f->watch.node[1], *other = &f->watch.node[0];
    use(f, f->watch.sentinel.port, "master: " SENTINEL_MASTER);
    WORLD_AWAIT(w, l2_is_ready(w->l2));
    /* The sentinel puts that right after a while; until then it names a replica. */
    NODE_TELL(master, "REPLICAOF 127.0.0.1 %u", (unsigned)other->port);
    WORLD_AWAIT(w, ((void)world_store(w, "key", "text"), !l2_is_ready(w->l2)));
    NODE_TELL(master, "REPLICAOF NO ONE");
    WORLD_AWAIT(w, l2_is_ready(w->l2));
    assert_true(world_store(w, "key", "text"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_master_is_found_behind_a_sentinel_that_is_gone),
        cmocka_unit_test(a_master_nobody_knows_leaves_l2_unused),
        cmocka_unit_test(sentinels_and_master_have_passwords_of_their_own),
        cmocka_unit_test(a_failover_is_followed),
        cmocka_unit_test(a_master_that_is_demoted_takes_no_writes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
