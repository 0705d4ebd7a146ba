/* What a search can want beyond the best server: not this one, a better one, not yet, two at a time. */
#include "tests/unit/gateway/upstream/world.h"

static const struct row tiers[] = {S("rt/a", 1, P), S("rt/b", 1, P), S("rt/c", 1, B), S("rt/e", 1, E)};

static struct server *server_of(struct pool *p, char letter)
{
    for (size_t i = 0; i < p->server_count; i++)
        if (p->servers[i]->server_conf->name[0] == letter)
            return p->servers[i];
    fail_msg("no server %c", letter);
    return NULL;
}

/* The letters of what is left of the search, each attempt a failure. */
static const char *exhaust(struct world *w, struct pool *p, struct pick *k, char *out)
{
    char *at = out;
    for (struct server *s; (s = world_pick(w, p, k)) != NULL; pick_end(k, OUTCOME_CANCELLED, w->now_ms))
        *at++ = s->server_conf->name[0];
    *at = '\0';
    return out;
}

static void test_the_one_to_avoid_comes_last(void **state)
{
    struct world *w = *state;
    struct pool *p = world_load(w, WORLD_CONF(w, tiers));
    char out[SLOTS_SERVERS];
    struct pick k;
    pick_init(&k);
    pick_avoid(&k, server_of(p, 'a'), false);
    assert_string_equal(exhaust(w, p, &k, out), "bcea"); /* even behind the last resort */
    assert_int_equal(k.none, PICK_NONE_TRIED);

    pick_init(&k);
    pick_avoid(&k, server_of(p, 'a'), true);
    assert_string_equal(exhaust(w, p, &k, out), "bce"); /* or not at all */
    assert_int_equal(k.none, PICK_NONE_TRIED);

    world_judge(w, "rt/a", VERDICT_DOWN, false);
    pick_init(&k);
    pick_avoid(&k, server_of(p, 'a'), false);
    assert_string_equal(exhaust(w, p, &k, out), "bce"); /* down is down */
}

static void test_only_better_tiers(void **state)
{
    struct world *w = *state;
    struct pool *p = world_load(w, WORLD_CONF(w, tiers));
    char out[SLOTS_SERVERS];
    struct pick k;
    static const struct {
        char than;
        const char *found;
    } rows[] = {{'e', "abc"}, {'c', "ab"}, {'a', ""}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        pick_init(&k);
        pick_only_better(&k, server_of(p, rows[i].than));
        exhaust(w, p, &k, out);
        assert_int_equal(strlen(out), strlen(rows[i].found));
        for (const char *at = out; *at != '\0'; at++)
            assert_non_null(strchr(rows[i].found, *at));
    }
}

static void test_better_is_not_one_that_is_down(void **state)
{
    struct world *w = *state;
    struct conf *c = WORLD_CONF(w, tiers);
    c->pools[0].fail_open = true;
    struct pool *p = world_load(w, c);
    for (size_t i = 0; i < p->server_count; i++)
        world_judge(w, p->servers[i]->server_conf->slot_name, VERDICT_DOWN, false);
    struct pick k;
    pick_init(&k);
    pick_only_better(&k, server_of(p, 'c'));
    assert_null(world_pick(w, p, &k));
    assert_int_equal(k.none, PICK_NONE_DOWN);
}

static void test_passed_over_once(void **state)
{
    struct world *w = *state;
    struct pool *p = world_load(w, WORLD_CONF(w, tiers));
    struct pick k;
    pick_init(&k);
    pick_pass_over(&k, server_of(p, 'a'));
    pick_pass_over(&k, server_of(p, 'b'));
    assert_ptr_equal(world_pick(w, p, &k), server_of(p, 'c')); /* the next tier is better than to wait */
    pick_end(&k, OUTCOME_CANCELLED, w->now_ms);
    pick_pass_over(&k, server_of(p, 'a'));
    pick_pass_over(&k, server_of(p, 'b'));
    assert_null(world_pick(w, p, &k)); /* the last resort is not */
    assert_int_equal(k.none, PICK_NONE_PACED);
    char out[SLOTS_SERVERS];
    assert_int_equal(strlen(exhaust(w, p, &k, out)), 3); /* and it is forgotten with each pick */
    assert_int_equal(world_stat(w, "rt/a", STAT_SERVER_ATTEMPTS), 1);
}

static void test_who_can_wait_does_not_go_back(void **state)
{
    struct world *w = *state;
    struct pool *p = world_load(w, CONF(w, S("rt/a", 1, P), S("rt/b", 1, P)));
    struct pick k;
    pick_init(&k);
    pick_avoid(&k, server_of(p, 'a'), false);
    pick_pass_over(&k, server_of(p, 'b'));
    assert_null(world_pick(w, p, &k));
    assert_int_equal(k.none, PICK_NONE_PACED);
    world_judge(w, "rt/b", VERDICT_DOWN, false); /* there is nothing to wait for */
    pick_pass_over(&k, server_of(p, 'b'));
    assert_ptr_equal(world_pick(w, p, &k), server_of(p, 'a'));
    pick_end(&k, OUTCOME_OK, w->now_ms);
}

static void test_two_attempts_at_a_time(void **state)
{
    struct world *w = *state;
    struct pool *p = world_load(w, WORLD_CONF(w, tiers));
    struct pick k;
    pick_init(&k);
    assert_non_null(world_pick(w, p, &k));
    struct attempt first = pick_detach(&k);
    assert_non_null(world_pick(w, p, &k));
    assert_ptr_not_equal(first.server, k.server);
    assert_int_equal(k.attempt_count, 2);
    assert_int_equal(world_stat(w, "rt/a", STAT_SERVER_OPEN), 1);
    assert_int_equal(world_stat(w, "rt/b", STAT_SERVER_OPEN), 1);
    const char *name = first.server->server_conf->slot_name;
    attempt_end(&first, OUTCOME_FAILED, w->now_ms);
    assert_null(first.server);
    assert_int_equal(world_stat(w, name, STAT_SERVER_OPEN), 0);
    assert_int_equal(world_stat(w, name, STAT_SERVER_FAILURES), 1);
    pick_end(&k, OUTCOME_OK, w->now_ms);
}

static void test_pools_have_names(void **state)
{
    struct world *w = *state;
    struct pool *p = world_load(w, CONF(w, S("rt/a", 1, P), S("api/a", 1, P)));
    assert_ptr_equal(pool_set_find(w->set, "rt"), p);
    assert_ptr_equal(pool_set_find(w->set, "api"), pool_set_at(w->set, 1));
    assert_null(pool_set_find(w->set, "ap"));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        T(test_the_one_to_avoid_comes_last),
        T(test_only_better_tiers),
        T(test_better_is_not_one_that_is_down),
        T(test_passed_over_once),
        T(test_who_can_wait_does_not_go_back),
        T(test_two_attempts_at_a_time),
        T(test_pools_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
