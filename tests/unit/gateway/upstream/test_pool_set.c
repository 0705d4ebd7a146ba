/* What a reload keeps, what it drops and when, and a long random life that must add up. */
#include "tests/unit/gateway/upstream/world.h"

static void test_an_update_keeps_objects_and_positions(void **state)
{
    struct world *w = *state;
    struct pool *p = world_load(w, CONF(w, S("rt/a", 1, P), S("rt/b", 1, P), S("rt/c", 1, P)));
    struct server *a = p->servers[0], *b = p->servers[1];
    assert_int_equal(world_try(w, p, OUTCOME_OK), 'a');

    /* other order, other weights and tiers, one added */
    struct conf *next =
        CONF(w, S("rt/d", 1, P), S("rt/b", 7, B, .max_connections = 9), S("rt/a", 1, P), S("rt/c", 1, P));
    assert_ptr_equal(world_load(w, next), p);
    assert_int_equal(p->server_count, 4);
    assert_ptr_equal(p->servers[1], b);
    assert_ptr_equal(p->servers[2], a);
    assert_int_equal(b->server_conf->weight, 7);
    assert_int_equal(b->server_conf->max_connections, 9);
    assert_int_equal(w->removed_count, 0);
}

static void test_round_robin_goes_on_where_it_was(void **state)
{
    struct world *w = *state;
    const struct row rows[] = {S("rt/a", 1, P), S("rt/b", 1, P), S("rt/c", 1, P)};
    char order[10] = {0};
    for (size_t i = 0; i < 9; i++) /* a reload before each pick */
        order[i] = world_try(w, world_load(w, WORLD_CONF(w, rows)), OUTCOME_OK);
    assert_string_equal(order, "abcabcabc");
}

static void test_circuit_and_slow_start_survive(void **state)
{
    struct world *w = *state;
    const struct row rows[] = {S("rt/a", 1, P), S("rt/b", 1, B)};
    struct pool *p = world_load(w, WORLD_CONF(w, rows));
    for (int i = 0; i < 5; i++)
        assert_int_equal(world_try(w, p, OUTCOME_FAILED), 'a');
    p = world_load(w, WORLD_CONF(w, rows));
    assert_int_equal(world_try(w, p, OUTCOME_OK), 'b');
    assert_int_equal(world_stat(w, "rt/a", STAT_SERVER_CIRCUIT), 1);
    world_pass(w, 10000);
    assert_int_equal(world_try(w, p, OUTCOME_OK), 'a');
}

static void test_a_removed_server_lives_until_its_last_tunnel(void **state)
{
    struct world *w = *state;
    struct pool *p = world_load(w, CONF(w, S("rt/a", 1, P), S("rt/b", 1, B)));
    struct tunnel t[2];
    assert_int_equal(world_open(w, p, &t[0]), 'a');
    assert_int_equal(world_open(w, p, &t[1]), 'a');
    struct server *a = t[0].server;

    p = world_load(w, CONF(w, S("rt/b", 1, B)));
    assert_int_equal(w->removed_count, 1);
    assert_int_equal(w->freed_count, 0);
    assert_true(server_is_removed(a));
    assert_string_equal(a->server_conf->name, "a"); /* its old configuration is still there to read */
    assert_int_equal(world_try(w, p, OUTCOME_OK), 'b');

    uint32_t listed = 0;
    LIST_EACH (it, &a->tunnels)
        listed++;
    assert_int_equal(listed, 2);
    assert_int_equal(world_stat(w, "rt/a", STAT_SERVER_OPEN), 2);
    world_close(&t[0]);
    assert_int_equal(w->freed_count, 0);
    world_close(&t[1]);
    assert_int_equal(w->freed_count, 1);
    assert_int_equal(world_stat(w, "rt/a", STAT_SERVER_OPEN), 0);
}

static void test_an_attempt_outlives_the_removal(void **state)
{
    struct world *w = *state;
    struct pool *p = world_load(w, CONF(w, S("rt/a", 1, P), S("rt/b", 1, P)));
    struct pick k;
    pick_init(&k);
    assert_int_equal(world_pick(w, p, &k)->server_conf->name[0], 'a');
    p = world_load(w, CONF(w, S("rt/b", 1, P)));
    assert_true(server_is_removed(k.server));
    pick_end(&k, OUTCOME_FAILED, w->now_ms);
    assert_int_equal(w->freed_count, 1);
    assert_int_equal(world_pick(w, p, &k)->server_conf->name[0], 'b'); /* the search goes on */
    pick_end(&k, OUTCOME_OK, w->now_ms);
}

static void test_another_url_or_certificate_is_another_server(void **state)
{
    struct world *w = *state;
    struct pool *p = world_load(w, CONF(w, S("rt/a", 1, P)));
    struct server *first = p->servers[0];
    struct tunnel t;
    assert_int_equal(world_open(w, p, &t), 'a');

    p = world_load(w, CONF(w, S("rt/a", 1, P, .url = "ws://elsewhere.test")));
    assert_ptr_not_equal(p->servers[0], first);
    assert_int_equal(p->servers[0]->slot, first->slot);
    assert_int_equal(server_load(p->servers[0], w->now_ms), 1); /* both at the same row: the load is the name's */
    world_close(&t);
    assert_int_equal(w->freed_count, 1);

    /* each a copy of the one before with one thing changed */
    struct conf_server_tls tls = p->servers[0]->server_conf->tls;
    for (uint32_t change = 0; change < 6; change++) {
        switch (change) {
        case 0:
            tls.ca.text = "pem";
            break;
        case 1:
            tls.cert.text = "pem";
            break;
        case 2:
            tls.key.text = "pem";
            break;
        case 3:
            tls.key.text = "renewed";
            break;
        case 4:
            tls.verify = true;
            break;
        case 5:
            tls.server_name = "other.test";
            break;
        }
        for (int again = 0; again < 2; again++) { /* and the second time nothing has changed */
            struct conf *c = CONF(w, S("rt/a", 1, P, .url = "ws://elsewhere.test"));
            c->pools[0].servers[0].tls = tls;
            world_load(w, c);
            assert_int_equal(w->freed_count, 2 + change);
        }
    }
}

static void test_a_removed_pool_is_empty_to_those_who_hold_it(void **state)
{
    struct world *w = *state;
    world_load(w, CONF(w, S("rt/a", 1, P), S("api/a", 1, P)));
    struct pool *api = pool_ref(pool_set_at(w->set, 1));
    world_load(w, CONF(w, S("rt/a", 1, P)));
    struct pick k;
    pick_init(&k);
    assert_null(world_pick(w, api, &k));
    assert_int_equal(k.none, PICK_NONE_EMPTY);
    assert_string_equal(api->pool_conf->name, "api");
    pool_unref(&api);
}

static void test_pools_are_found_by_their_new_index(void **state)
{
    struct world *w = *state;
    world_load(w, CONF(w, S("rt/a", 1, P), S("api/a", 1, P)));
    struct pool *rt = pool_set_at(w->set, 0), *api = pool_set_at(w->set, 1);
    world_load(w, CONF(w, S("api/a", 1, P), S("new/a", 1, P), S("rt/a", 1, P)));
    assert_ptr_equal(pool_set_at(w->set, 0), api);
    assert_ptr_equal(pool_set_at(w->set, 2), rt);
}

static void test_a_server_without_a_slot_is_refused_and_nothing_changes(void **state)
{
    struct world *w = *state;
    struct pool *p = world_load(w, CONF(w, S("rt/a", 1, P)));
    struct conf *bad = CONF(w, S("rt/b", 1, P), S("rt/c", 1, P));
    bad->pools[0].servers[1].name = bad->pools[0].servers[1].slot_name;
    ((char *)(uintptr_t)bad->pools[0].servers[1].slot_name)[3] = 'x';
    assert_int_equal(pool_set_update(w->set, bad), ERR_NOT_FOUND);
    assert_ptr_equal(pool_set_at(w->set, 0), p);
    assert_int_equal(world_try(w, p, OUTCOME_OK), 'a');
}

/* The supervisor gave the row of a removed server to another one while old tunnels drain: they must not be taken off
 * the new owner's gauge. */
/* The name left and came back while its row went through other hands: what was known of the row is not about it. */
static void test_a_name_in_a_new_era_is_a_new_server(void **state)
{
    struct world *w = *state;
    const struct row rows[] = {S("rt/a", 1, P)};
    struct server *first = world_load(w, WORLD_CONF(w, rows))->servers[0];
    assert_ptr_equal(world_load(w, WORLD_CONF(w, rows))->servers[0], first);
    atomic_fetch_add(&w->slots.server[first->slot].era, 1);
    world_load(w, WORLD_CONF(w, rows));
    assert_int_equal(w->freed_count, 1);
}

static void test_a_reload_changes_how_it_balances(void **state)
{
    struct world *w = *state;
    const struct row rows[] = {S("rt/a", 1, P), S("rt/b", 3, P)};
    struct conf *c = WORLD_CONF(w, rows);
    assert_int_equal(world_try(w, world_load(w, c), OUTCOME_OK), 'b');
    c = WORLD_CONF(w, rows);
    c->pools[0].balance = BALANCE_LEAST_CONNECTIONS;
    struct pool *p = world_load(w, c);
    assert_int_equal(p->pool_conf->balance, BALANCE_LEAST_CONNECTIONS);
    for (int i = 0; i < 8; i++) /* both idle: the one of more weight, always */
        assert_int_equal(world_try(w, p, OUTCOME_OK), 'b');
}

static void test_a_row_that_changed_hands_is_not_written(void **state)
{
    struct world *w = *state;
    struct pool *p = world_load(w, CONF(w, S("rt/a", 1, P), S("rt/b", 1, B)));
    struct tunnel t;
    assert_int_equal(world_open(w, p, &t), 'a');
    const int slot = t.server->slot;
    world_load(w, CONF(w, S("rt/b", 1, B)));
    atomic_fetch_add(&w->slots.server[slot].era, 1);
    stats_clear_server(&w->stats, slot);
    world_close(&t);
    assert_int_equal(stat_get(&w->env.block->server[slot][STAT_SERVER_OPEN]), 0);
}

static void test_the_set_may_go_before_its_tunnels(void **state)
{
    struct world *w = *state;
    struct pool *p = world_load(w, CONF(w, S("rt/a", 1, P)));
    struct tunnel t;
    assert_int_equal(world_open(w, p, &t), 'a');
    pool_set_destroy(&w->set);
    assert_int_equal(w->removed_count, 1);
    world_close(&t);
    assert_int_equal(w->freed_count, 1);
}

/* ---- a long random life ---- */

#define LIVES_TUNNELS  64
#define LIVES_ATTEMPTS 16
#define LIVES_OPS      20000

struct life {
    struct world *w;
    struct pool *pool;
    uint64_t random;
    struct tunnel tunnels[LIVES_TUNNELS];
    size_t tunnel_count;
    struct pick attempts[LIVES_ATTEMPTS];
    size_t attempt_count;
};

/* xorshift64*: the same life in every run */
static uint32_t draw(struct life *l, uint32_t below)
{
    l->random ^= l->random >> 12;
    l->random ^= l->random << 25;
    l->random ^= l->random >> 27;
    return (uint32_t)((l->random * 0x2545f4914f6cdd1dull) >> 33) % below;
}

static void life_reload(struct life *l)
{
    static const char *const names[8] = {"rt/a", "rt/b", "rt/c", "rt/d", "rt/e", "rt/f", "rt/g", "rt/h"};
    struct row rows[8];
    size_t count = 0;
    for (size_t i = 0; i < 8; i++) {
        if (draw(l, 4) != 0)
            rows[count++] = (struct row){.slot_name = names[i],
                                         .weight = draw(l, 4),
                                         .tier = (enum conf_tier)draw(l, TIER_COUNT),
                                         .max_connections = draw(l, 3) == 0 ? draw(l, 9) : 0,
                                         .drain = draw(l, 8) == 0,
                                         .url = draw(l, 10) == 0 ? "ws://moved.test" : NULL};
    }
    if (count == 0)
        return;
    struct conf *c = world_conf(l->w, rows, count);
    c->pools[0].balance = (enum conf_balance)draw(l, 3);
    c->pools[0].circuit_failures = draw(l, 4);
    c->pools[0].circuit_half_open_count = draw(l, 3);
    c->pools[0].slow_start_ms = draw(l, 2) * 5000;
    c->pools[0].fail_open = draw(l, 2) == 0;
    l->pool = world_load(l->w, c);
}

static bool may_be_used(struct world *w, struct server *s, const struct pick *k, bool fail_open)
{
    const struct conf_pool *cp = s->pool_conf;
    const struct circuit_limits limits = {cp->circuit_failures, cp->circuit_open_ms, cp->circuit_half_open_count};
    const struct verdict v = server_verdict(s);
    return (v.state != VERDICT_DOWN || fail_open) && !v.is_draining && !s->server_conf->drain &&
           s->server_conf->weight > 0 && (k->tried[s->slot / 64] >> (s->slot % 64) & 1) == 0 &&
           (s->server_conf->max_connections == 0 ||
            stats_sum_server(&w->stats, s->slot, STAT_SERVER_OPEN) < s->server_conf->max_connections) &&
           circuit_admits(&s->circuit, &limits, w->now_ms);
}

/* Picks, and checks the choice against the law written down a second time. */
static void life_pick(struct life *l, struct pick *k)
{
    struct world *w = l->w;
    bool usable[8] = {false}, any = false, has_verdict = false;
    world_pass(w, 1);
    for (size_t i = 0; i < l->pool->server_count; i++) {
        struct server *s = l->pool->servers[i];
        const struct verdict v = server_verdict(s);
        if (ramp_observe(&(struct ramp){.has_seen = s->ramp.has_seen, .seen = s->ramp.seen}, &v))
            circuit_hasten(&s->circuit, w->now_ms);
        has_verdict |=
            v.state != VERDICT_DOWN && !v.is_draining && !s->server_conf->drain && s->server_conf->weight > 0;
    }
    const bool fail_open = !has_verdict && l->pool->pool_conf->fail_open;
    enum conf_tier best = TIER_COUNT;
    for (size_t i = 0; i < l->pool->server_count; i++) {
        usable[i] = may_be_used(w, l->pool->servers[i], k, fail_open);
        any |= usable[i];
        if (usable[i] && l->pool->servers[i]->server_conf->tier < best)
            best = l->pool->servers[i]->server_conf->tier;
    }
    struct server *s = world_pick(w, l->pool, k);
    if (s == NULL) {
        assert_false(any);
        assert_int_not_equal(k->none, PICK_FOUND);
        return;
    }
    assert_int_equal(k->none, PICK_FOUND);
    assert_int_equal(k->is_fail_open, fail_open);
    assert_int_equal(s->server_conf->tier, best);
    for (size_t i = 0; i < l->pool->server_count; i++)
        assert_true(l->pool->servers[i] != s || usable[i]);
}

static void life_attempt(struct life *l)
{
    if (l->attempt_count == LIVES_ATTEMPTS)
        return;
    struct pick *k = &l->attempts[l->attempt_count];
    pick_init(k);
    if (draw(l, 2) == 0)
        pick_set_key(k, &l->random, sizeof l->random);
    life_pick(l, k);
    if (k->server != NULL)
        l->attempt_count++;
}

/* One attempt ends; a failed one may go on with the next server. */
static void life_settle(struct life *l)
{
    if (l->attempt_count == 0)
        return;
    const size_t i = draw(l, (uint32_t)l->attempt_count);
    struct pick *k = &l->attempts[i];
    const enum outcome o = (enum outcome)draw(l, OUTCOME_COUNT);
    if (o == OUTCOME_OK && l->tunnel_count < LIVES_TUNNELS) {
        struct tunnel *t = &l->tunnels[l->tunnel_count++];
        list_init(&t->link);
        t->server = k->server;
        server_tunnel_opened(t->server, &t->link);
    }
    pick_end(k, o, l->w->now_ms);
    if (o == OUTCOME_FAILED)
        life_pick(l, k);
    if (k->server == NULL)
        *k = l->attempts[--l->attempt_count];
}

static void life_close(struct life *l)
{
    if (l->tunnel_count == 0)
        return;
    const size_t i = draw(l, (uint32_t)l->tunnel_count);
    struct tunnel *t = &l->tunnels[i], *last = &l->tunnels[--l->tunnel_count];
    world_close(t);
    if (t == last)
        return;
    t->server = last->server; /* the link moves house */
    list_insert_before(&last->link, &t->link);
    list_unlink(&last->link);
}

static void life_judge(struct life *l)
{
    const struct pool *p = l->pool;
    const struct server *s = p->servers[draw(l, (uint32_t)p->server_count)];
    world_judge(l->w, s->server_conf->slot_name, (enum verdict_state)draw(l, 3), draw(l, 6) == 0);
}

/* The gauges are what this process really has. */
static void life_add_up(const struct life *l)
{
    uint64_t real[SLOTS_SERVERS] = {0}, gauged = 0;
    for (size_t i = 0; i < l->tunnel_count; i++)
        real[l->tunnels[i].server->slot]++;
    for (size_t i = 0; i < l->attempt_count; i++)
        real[l->attempts[i].server->slot]++;
    for (int slot = 0; slot < 8; slot++) {
        gauged = stat_get(&l->w->env.block->server[slot][STAT_SERVER_OPEN]);
        assert_int_equal(gauged, real[slot]);
        assert_in_range(stat_get(&l->w->env.block->server[slot][STAT_SERVER_CIRCUIT]), 0, 1);
    }
}

static void test_a_long_random_life(void **state)
{
    struct life l = {.w = *state, .random = 0x9e3779b97f4a7c15ull};
    while (l.pool == NULL)
        life_reload(&l);
    for (int op = 0; op < LIVES_OPS; op++) {
        const uint32_t what = draw(&l, 100);
        if (what < 35)
            life_attempt(&l);
        else if (what < 70)
            life_settle(&l);
        else if (what < 85)
            life_close(&l);
        else if (what < 90)
            life_judge(&l);
        else if (what < 95)
            world_pass(l.w, draw(&l, 3000));
        else
            life_reload(&l);
        life_add_up(&l);
    }
    while (l.attempt_count > 0)
        pick_end(&l.attempts[--l.attempt_count], OUTCOME_CANCELLED, l.w->now_ms);
    while (l.tunnel_count > 0)
        life_close(&l);
    life_add_up(&l);
    uint32_t in_use = (uint32_t)l.pool->server_count;
    pool_set_destroy(&l.w->set);
    assert_true(in_use > 0);
    assert_int_equal(l.w->freed_count, l.w->removed_count); /* nothing of it is left */
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        T(test_an_update_keeps_objects_and_positions),
        T(test_round_robin_goes_on_where_it_was),
        T(test_circuit_and_slow_start_survive),
        T(test_a_removed_server_lives_until_its_last_tunnel),
        T(test_an_attempt_outlives_the_removal),
        T(test_another_url_or_certificate_is_another_server),
        T(test_a_removed_pool_is_empty_to_those_who_hold_it),
        T(test_pools_are_found_by_their_new_index),
        T(test_a_server_without_a_slot_is_refused_and_nothing_changes),
        T(test_a_name_in_a_new_era_is_a_new_server),
        T(test_a_reload_changes_how_it_balances),
        T(test_a_row_that_changed_hands_is_not_written),
        T(test_the_set_may_go_before_its_tunnels),
        T(test_a_long_random_life),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
