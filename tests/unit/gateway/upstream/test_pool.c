/* Which server a pick takes: verdicts, drain flags, circuits, limits, tiers, fail-open and what is counted. */
#include "tests/unit/gateway/upstream/world.h"

static const struct row three_tiers[] = {
    S("rt/a", 1, P), S("rt/b", 1, P), S("rt/c", 1, B), S("rt/d", 1, B), S("rt/e", 1, E),
};

/* ---- tiers ---- */

static void test_best_tier_with_a_healthy_server_is_used(void **state)
{
    struct world *w = *state;
    struct pool *p = world_load(w, WORLD_CONF(w, three_tiers));
    assert_int_equal(world_try(w, p, OUTCOME_OK), 'a');
    assert_int_equal(world_try(w, p, OUTCOME_OK), 'b');
    world_judge(w, "rt/a", VERDICT_DOWN, false);
    for (int i = 0; i < 4; i++)
        assert_int_equal(world_try(w, p, OUTCOME_OK), 'b');
    world_judge(w, "rt/b", VERDICT_DOWN, false);
    assert_int_equal(world_try(w, p, OUTCOME_OK), 'c');
    assert_int_equal(world_try(w, p, OUTCOME_OK), 'd');
    world_judge(w, "rt/c", VERDICT_DOWN, false);
    world_judge(w, "rt/d", VERDICT_DOWN, false);
    assert_int_equal(world_try(w, p, OUTCOME_OK), 'e');
    world_judge(w, "rt/b", VERDICT_UP, false); /* and back, at once */
    assert_int_equal(world_try(w, p, OUTCOME_OK), 'b');
}

/* Nobody has told the checker yet, and still the client gets to the second region in one search. */
static void test_one_search_goes_through_all_tiers(void **state)
{
    struct world *w = *state;
    struct pool *p = world_load(w, WORLD_CONF(w, three_tiers));
    char tried[SLOTS_SERVERS + 1];
    assert_int_equal(world_exhaust(w, p, OUTCOME_FAILED, tried), PICK_NONE_TRIED);
    assert_string_equal(tried, "abcde");
    world_judge(w, "rt/c", VERDICT_DOWN, false);
    assert_int_equal(world_exhaust(w, p, OUTCOME_CANCELLED, tried), PICK_NONE_TRIED);
    assert_string_equal(tried, "bade"); /* the turn had come to b */
    assert_int_equal(world_stat(w, "rt/a", STAT_SERVER_RETRIES), 1);
    assert_int_equal(world_stat(w, "rt/e", STAT_SERVER_RETRIES), 2);
}

/* ---- all that can be in a server's way ---- */

static void break_circuit(struct world *w, struct pool *p, const char *slot_name)
{
    for (size_t i = 0; i < p->server_count; i++) {
        if (strcmp(p->servers[i]->server_conf->slot_name, slot_name) != 0)
            continue;
        struct server *s = p->servers[i];
        for (uint32_t n = 0; s->circuit.state != CIRCUIT_OPEN && n < p->pool_conf->circuit_failures; n++) {
            struct circuit_ticket t = server_attempt_begin(s, false, w->now_ms);
            server_attempt_end(s, t, CIRCUIT_RESULT_FAILED, w->now_ms);
        }
    }
}

/* Every combination of verdict, draining by the operator, drain by configuration, weight and circuit, for `a`; `z`
 * waits in the tier below. */
static void test_every_combination_of_obstacles(void **state)
{
    struct world *w = *state;
    for (uint32_t bits = 0; bits < 3u << 4; bits++) {
        const enum verdict_state verdict = (enum verdict_state)(bits >> 4);
        const bool is_draining = (bits & 1) != 0, drain = (bits & 2) != 0, is_open = (bits & 4) != 0;
        const bool no_weight = (bits & 8) != 0;

        /* another url each time: a new server with nothing remembered */
        char url[32];
        (void)snprintf(url, sizeof url, "ws://a-%u.test", bits);
        const struct row rows[] = {S("rt/a", no_weight ? 0 : 1, P, .drain = drain, .url = url), S("rt/z", 1, B)};
        struct pool *p = world_load(w, WORLD_CONF(w, rows));
        world_judge(w, "rt/a", verdict, is_draining);
        if (is_open)
            break_circuit(w, p, "rt/a");

        const bool is_usable = verdict != VERDICT_DOWN && !is_draining && !drain && !no_weight && !is_open;
        if (world_try(w, p, OUTCOME_OK) != (is_usable ? 'a' : 'z'))
            fail_msg("verdict %s draining %d drain %d weight %d open %d", verdict_state_text(verdict), is_draining,
                     drain, !no_weight, is_open);
    }
}

static void test_the_reason_for_nothing(void **state)
{
    struct world *w = *state;
    char tried[SLOTS_SERVERS + 1];

    struct pool *p = world_load(w, CONF(w, S("rt/a", 1, P), S("rt/b", 1, P)));
    world_judge(w, "rt/a", VERDICT_DOWN, false);
    world_judge(w, "rt/b", VERDICT_DOWN, false);
    assert_int_equal(world_exhaust(w, p, OUTCOME_FAILED, tried), PICK_NONE_DOWN);
    world_judge(w, "rt/b", VERDICT_UP, true);
    assert_int_equal(world_exhaust(w, p, OUTCOME_FAILED, tried), PICK_NONE_DRAINING);
    world_judge(w, "rt/b", VERDICT_UP, false);
    assert_int_equal(world_exhaust(w, p, OUTCOME_FAILED, tried), PICK_NONE_TRIED);
    break_circuit(w, p, "rt/b");
    assert_int_equal(world_exhaust(w, p, OUTCOME_FAILED, tried), PICK_NONE_CIRCUIT);

    p = world_load(w, CONF(w, S("rt/a", 1, P), S("rt/c", 1, P, .max_connections = 1)));
    struct tunnel t;
    assert_int_equal(world_open(w, p, &t), 'c');
    assert_int_equal(world_exhaust(w, p, OUTCOME_FAILED, tried), PICK_NONE_FULL);
    world_close(&t);

    assert_string_equal(pick_none_text(PICK_NONE_CIRCUIT), "rest_has_open_circuit");
    for (enum pick_none n = PICK_FOUND; n < PICK_NONE_COUNT; n++)
        assert_true(strlen(pick_none_text(n)) > 1);
}

static void test_unknown_is_not_down(void **state)
{
    struct world *w = *state;
    struct pool *p = world_load(w, CONF(w, S("rt/a", 1, P), S("rt/b", 1, P)));
    world_judge(w, "rt/b", VERDICT_UP, false); /* one judged, one not: both are used */
    assert_int_equal(world_try(w, p, OUTCOME_OK), 'a');
    assert_int_equal(world_try(w, p, OUTCOME_OK), 'b');
}

/* The row belonged to another server until this reload, and the checker has not come round to it yet. */
static void test_a_verdict_about_a_former_owner_does_not_count(void **state)
{
    struct world *w = *state;
    struct conf *c = CONF(w, S("rt/a", 1, P));
    world_judge(w, "rt/a", VERDICT_DOWN, false);
    atomic_fetch_add(&w->slots.server[world_slot(w, "rt/a")].era, 1);
    struct pool *p = world_load(w, c);
    assert_int_equal(world_try(w, p, OUTCOME_OK), 'a');
    world_judge(w, "rt/a", VERDICT_DOWN, false);
    assert_int_equal(world_try(w, p, OUTCOME_OK), '-');
}

static void test_a_dead_checker_changes_nothing(void **state)
{
    struct world *w = *state;
    struct pool *p = world_load(w, CONF(w, S("rt/a", 1, P), S("rt/b", 1, P)));
    verdict_heartbeat(&w->verdicts, w->wall_ms);
    world_judge(w, "rt/a", VERDICT_DOWN, false);
    world_pass(w, 100 * VERDICT_HEARTBEAT_STALE_MS);
    assert_true(verdict_is_stale(&w->verdicts, w->wall_ms));
    for (int i = 0; i < 4; i++)
        assert_int_equal(world_try(w, p, OUTCOME_OK), 'b');
}

/* ---- fail-open ---- */

static void test_fail_open_only_with_nothing_else(void **state)
{
    struct world *w = *state;
    char tried[SLOTS_SERVERS + 1];
    struct conf *c = CONF(w, S("rt/a", 1, P), S("rt/b", 1, P), S("rt/c", 1, B), S("rt/d", 1, B, .drain = true));
    struct pool *p = world_load(w, c);
    world_judge(w, "rt/a", VERDICT_DOWN, false);
    world_judge(w, "rt/b", VERDICT_DOWN, false);
    world_judge(w, "rt/c", VERDICT_DOWN, false);
    assert_int_equal(world_exhaust(w, p, OUTCOME_FAILED, tried), PICK_NONE_DRAINING);
    assert_string_equal(tried, "");

    c->pools[0].fail_open = true;
    assert_int_equal(world_exhaust(w, p, OUTCOME_FAILED, tried), PICK_NONE_TRIED);
    assert_string_equal(tried, "abc"); /* best tier first; draining stays draining */

    world_judge(w, "rt/c", VERDICT_UP, false);
    assert_int_equal(world_exhaust(w, p, OUTCOME_FAILED, tried), PICK_NONE_TRIED);
    assert_string_equal(tried, "c"); /* one is up: those that are down are left alone */
}

static void test_fail_open_says_so(void **state)
{
    struct world *w = *state;
    struct conf *c = CONF(w, S("rt/a", 1, P));
    c->pools[0].fail_open = true;
    struct pool *p = world_load(w, c);
    struct pick k;
    pick_init(&k);
    assert_non_null(world_pick(w, p, &k));
    assert_false(k.is_fail_open);
    pick_end(&k, OUTCOME_OK, w->now_ms);
    world_judge(w, "rt/a", VERDICT_DOWN, false);
    pick_init(&k);
    assert_non_null(world_pick(w, p, &k));
    assert_true(k.is_fail_open);
    pick_end(&k, OUTCOME_OK, w->now_ms);
}

/* ---- circuits ---- */

static void test_circuit_opens_rests_and_lets_one_through(void **state)
{
    struct world *w = *state;
    struct pool *p = world_load(w, CONF(w, S("rt/a", 1, P), S("rt/b", 1, B)));
    for (int i = 0; i < 5; i++)
        assert_int_equal(world_try(w, p, OUTCOME_FAILED), 'a');
    assert_int_equal(world_try(w, p, OUTCOME_OK), 'b');
    assert_int_equal(world_stat(w, "rt/a", STAT_SERVER_CIRCUIT_OPENS), 1);
    assert_int_equal(world_stat(w, "rt/a", STAT_SERVER_CIRCUIT), 1);

    world_pass(w, 10000);
    struct pick k;
    pick_init(&k);
    assert_int_equal(world_pick(w, p, &k)->server_conf->name[0], 'a');
    assert_int_equal(world_try(w, p, OUTCOME_OK), 'b'); /* the place is taken */
    pick_end(&k, OUTCOME_CANCELLED, w->now_ms);
    assert_int_equal(world_try(w, p, OUTCOME_FAILED), 'a'); /* given back, and used in vain */
    assert_int_equal(world_try(w, p, OUTCOME_OK), 'b');
    assert_int_equal(world_stat(w, "rt/a", STAT_SERVER_CIRCUIT_OPENS), 2);

    world_pass(w, 10000);
    assert_int_equal(world_try(w, p, OUTCOME_REFUSED), 'a'); /* a 401 is a sign of life */
    assert_int_equal(world_stat(w, "rt/a", STAT_SERVER_CIRCUIT), 0);
    assert_int_equal(world_try(w, p, OUTCOME_OK), 'a');
}

static void test_a_recovery_seen_by_the_checker_ends_the_rest(void **state)
{
    struct world *w = *state;
    struct pool *p = world_load(w, CONF(w, S("rt/a", 1, P)));
    for (int i = 0; i < 5; i++)
        assert_int_equal(world_try(w, p, OUTCOME_FAILED), 'a');
    world_judge(w, "rt/a", VERDICT_DOWN, false);
    assert_int_equal(world_try(w, p, OUTCOME_OK), '-');
    world_judge(w, "rt/a", VERDICT_UP, false);
    assert_int_equal(world_try(w, p, OUTCOME_OK), 'a');
}

/* ---- load ---- */

static void test_max_connections_counts_all_workers(void **state)
{
    struct world *w = *state;
    struct pool *p = world_load(w, CONF(w, S("rt/a", 1, P, .max_connections = 3), S("rt/b", 1, B)));
    stat_cell *other = &w->stats.block[5].server[world_slot(w, "rt/a")][STAT_SERVER_OPEN];
    struct tunnel t[4];
    stat_add(other, 1);
    assert_int_equal(world_open(w, p, &t[0]), 'a');
    assert_int_equal(world_open(w, p, &t[1]), 'a');
    assert_int_equal(world_open(w, p, &t[2]), 'b'); /* one there, two here */
    stat_add(other, -1);                            /* seen at once: near a limit the sum is made anew */
    assert_int_equal(world_open(w, p, &t[3]), 'a');
    for (size_t i = 0; i < 4; i++)
        world_close(&t[i]);
}

/* Sixty clients arrive within one connect time: none of them stands yet, all must count. */
static void test_attempts_under_way_count_as_load(void **state)
{
    struct world *w = *state;
    struct conf *c = CONF(w, S("rt/a", 1, P, .max_connections = 10), S("rt/b", 1, P), S("rt/c", 1, P));
    c->pools[0].balance = BALANCE_LEAST_CONNECTIONS;
    struct pool *p = world_load(w, c);
    struct pick k[60];
    uint32_t chosen[3] = {0};
    for (size_t i = 0; i < 60; i++) {
        pick_init(&k[i]);
        chosen[world_pick(w, p, &k[i])->server_conf->name[0] - 'a']++;
    }
    assert_int_equal(chosen[0], 10);
    assert_int_equal(chosen[1], 25);
    assert_int_equal(chosen[2], 25);
    for (size_t i = 0; i < 60; i++)
        pick_end(&k[i], i % 2 == 0 ? OUTCOME_FAILED : OUTCOME_CANCELLED, w->now_ms);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(server_load(p->servers[i], w->now_ms), 0);
}

/* Answers under way count as tunnels do, and end after their server has left. */
static void test_requests_count_as_load(void **state)
{
    struct world *w = *state;
    struct pool *p = world_load(w, CONF(w, S("rt/a", 1, P, .max_connections = 2), S("rt/b", 1, B)));
    struct server *busy[2];
    struct pick k;
    for (size_t i = 0; i < 2; i++) {
        pick_init(&k);
        busy[i] = world_pick(w, p, &k);
        server_request_began(busy[i]);
        pick_end(&k, OUTCOME_OK, w->now_ms);
    }
    assert_int_equal(server_load_now(busy[0], w->now_ms), 2);
    pick_init(&k);
    assert_string_equal(world_pick(w, p, &k)->server_conf->name, "b");
    pick_end(&k, OUTCOME_CANCELLED, w->now_ms);
    server_request_ended(&busy[0]);
    pick_init(&k);
    assert_string_equal(world_pick(w, p, &k)->server_conf->name, "a");
    pick_end(&k, OUTCOME_CANCELLED, w->now_ms);
    (void)world_load(w, CONF(w, S("rt/b", 1, P)));
    assert_int_equal(w->freed_count, 0);
    server_request_ended(&busy[1]);
    assert_int_equal(w->freed_count, 1);
}

static void test_retries_have_a_budget(void **state)
{
    struct world *w = *state;
    struct conf *c = CONF(w, S("rt/a", 1, P));
    c->pools[0].retry_budget_percent = 10;
    struct pool *p = world_load(w, c);
    for (int i = 0; i < 20; i++)
        pool_request(p, w->now_ms);
    assert_true(pool_may_retry(p, w->now_ms));
    assert_true(pool_may_retry(p, w->now_ms));
    assert_false(pool_may_retry(p, w->now_ms));
    /* A reload changes the limits, not what was spent. */
    c = CONF(w, S("rt/a", 1, P));
    c->pools[0].retry_budget_percent = 15;
    p = world_load(w, c);
    assert_true(pool_may_retry(p, w->now_ms));
    assert_false(pool_may_retry(p, w->now_ms));
}

static void test_least_connections_over_all_workers(void **state)
{
    struct world *w = *state;
    struct conf *c = CONF(w, S("rt/a", 1, P), S("rt/b", 1, P), S("rt/c", 2, P));
    c->pools[0].balance = BALANCE_LEAST_CONNECTIONS;
    struct pool *p = world_load(w, c);
    const int a = world_slot(w, "rt/a"), b = world_slot(w, "rt/b"), cc = world_slot(w, "rt/c");
    stat_add(&w->stats.block[1].server[a][STAT_SERVER_OPEN], 6);
    stat_add(&w->stats.block[2].server[a][STAT_SERVER_OPEN], 4);
    stat_add(&w->stats.block[2].server[b][STAT_SERVER_OPEN], 8);
    stat_add(&w->stats.block[9].server[cc][STAT_SERVER_OPEN], 20);
    struct tunnel t[32];
    char order[33] = {0};
    for (size_t i = 0; i < 2; i++)
        order[i] = world_open(w, p, &t[i]);
    assert_string_equal(order, "bb"); /* 10, 8, 20/2: b catches up first */
    for (size_t i = 2; i < 32; i++)
        order[i] = world_open(w, p, &t[i]);
    assert_int_equal(server_load(p->servers[0], w->now_ms), 17 + (order[31] == 'a' ? 1 : 0));
    assert_int_equal(server_load(p->servers[0], w->now_ms) + server_load(p->servers[1], w->now_ms) +
                         server_load(p->servers[2], w->now_ms),
                     70);
    assert_in_range(server_load(p->servers[2], w->now_ms), 35, 36); /* half of all */
    for (size_t i = 0; i < 32; i++)
        world_close(&t[i]);
}

/* ---- weights, hash and slow start ---- */

static void test_weights_are_exact(void **state)
{
    struct world *w = *state;
    struct pool *p = world_load(w, CONF(w, S("rt/a", 5, P), S("rt/b", 1, P), S("rt/c", 1, P)));
    char order[15] = {0};
    for (size_t i = 0; i < 14; i++)
        order[i] = world_try(w, p, OUTCOME_OK);
    assert_string_equal(order, "aabacaaaabacaa");
}

static void test_workers_begin_at_different_servers(void **state)
{
    struct world *w = *state;
    struct conf *c = CONF(w, S("rt/a", 1, P), S("rt/b", 1, P), S("rt/c", 1, P));
    struct pool_set *second = pool_set_create(&w->env, 1);
    assert_int_equal(pool_set_update(second, c), ERR_NONE);
    char order[7] = {0};
    for (size_t i = 0; i < 6; i++)
        order[i] = world_try(w, pool_set_at(second, 0), OUTCOME_OK);
    assert_string_equal(order, "bcabca");
    assert_int_equal(pool_set_update(second, c), ERR_NONE); /* a reload does not shift again */
    assert_int_equal(world_try(w, pool_set_at(second, 0), OUTCOME_OK), 'b');
    pool_set_destroy(&second);
}

static void test_workers_keep_the_weights_when_they_begin_elsewhere(void **state)
{
    struct world *w = *state;
    struct conf *c = CONF(w, S("rt/a", 5, P), S("rt/b", 1, P), S("rt/c", 1, P), S("rt/z", 1, B));
    struct pool_set *third = pool_set_create(&w->env, 2);
    assert_int_equal(pool_set_update(third, c), ERR_NONE);
    char order[8] = {0};
    for (size_t i = 0; i < 7; i++)
        order[i] = world_try(w, pool_set_at(third, 0), OUTCOME_OK);
    assert_string_equal(order, "bacaaaa"); /* aabacaa, two places on */
    pool_set_destroy(&third);
}

static char pick_for(struct world *w, struct pool *p, const char *ip)
{
    struct addr client;
    assert_true(addr_from_ip(&client, ip, 4711));
    struct pick k;
    pick_init(&k);
    pick_set_key_addr(&k, &client);
    struct server *s = world_pick(w, p, &k);
    assert_non_null(s);
    const char letter = s->server_conf->name[0];
    pick_end(&k, OUTCOME_OK, w->now_ms);
    return letter;
}

static void test_hash_keeps_a_client_where_it_was(void **state)
{
    struct world *w = *state;
    struct conf *c = CONF(w, S("rt/a", 1, P), S("rt/b", 1, P), S("rt/c", 1, P));
    c->pools[0].balance = BALANCE_HASH;
    struct pool *p = world_load(w, c);
    char home[200];
    uint32_t count_of[3] = {0};
    char ip[32];
    for (unsigned i = 0; i < 200; i++) {
        (void)snprintf(ip, sizeof ip, "198.51.100.%u", i);
        home[i] = pick_for(w, p, ip);
        count_of[home[i] - 'a']++;
        assert_int_equal(pick_for(w, p, ip), home[i]);
        char mapped[48];
        (void)snprintf(mapped, sizeof mapped, "::ffff:198.51.100.%u", i);
        assert_int_equal(pick_for(w, p, mapped), home[i]);
    }
    for (size_t i = 0; i < 3; i++)
        assert_in_range(count_of[i], 40, 95);
    world_judge(w, "rt/b", VERDICT_DOWN, false);
    for (unsigned i = 0; i < 200; i++) {
        (void)snprintf(ip, sizeof ip, "198.51.100.%u", i);
        const char now = pick_for(w, p, ip);
        assert_int_not_equal(now, 'b');
        if (home[i] != 'b')
            assert_int_equal(now, home[i]);
    }
}

static void test_hash_without_a_key_goes_round(void **state)
{
    struct world *w = *state;
    struct conf *c = CONF(w, S("rt/a", 1, P), S("rt/b", 1, P));
    c->pools[0].balance = BALANCE_HASH;
    struct pool *p = world_load(w, c);
    for (int i = 0; i < 4; i++)
        assert_int_equal(world_try(w, p, OUTCOME_OK), i % 2 == 0 ? 'a' : 'b');
}

/* Share of 1000 picks that `a` gets of two equal servers. */
static uint32_t share_of_a(struct world *w, struct pool *p)
{
    uint32_t count = 0;
    for (int i = 0; i < 1000; i++)
        count += world_try(w, p, OUTCOME_OK) == 'a';
    return count;
}

static void test_slow_start_after_recovery(void **state)
{
    struct world *w = *state;
    struct conf *c = CONF(w, S("rt/a", 1, P), S("rt/b", 1, P));
    c->pools[0].slow_start_ms = 10000;
    struct pool *p = world_load(w, c);
    world_judge(w, "rt/a", VERDICT_UP, false);
    world_judge(w, "rt/b", VERDICT_UP, false);
    assert_in_range(share_of_a(w, p), 499, 501); /* no slow start for a start */
    world_judge(w, "rt/a", VERDICT_DOWN, false);
    assert_int_equal(share_of_a(w, p), 0);
    world_judge(w, "rt/a", VERDICT_UP, false);
    assert_in_range(share_of_a(w, p), 89, 93); /* 10 : 100 */
    world_pass(w, 5000);
    assert_in_range(share_of_a(w, p), 353, 357); /* 55 : 100 */
    world_pass(w, 5000);
    assert_in_range(share_of_a(w, p), 499, 501);
}

static void test_slow_start_holds_for_least_connections(void **state)
{
    struct world *w = *state;
    struct conf *c = CONF(w, S("rt/a", 1, P), S("rt/b", 1, P));
    c->pools[0].slow_start_ms = 10000;
    c->pools[0].balance = BALANCE_LEAST_CONNECTIONS;
    struct pool *p = world_load(w, c);
    world_judge(w, "rt/a", VERDICT_DOWN, false);
    static struct tunnel t[220];
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(world_open(w, p, &t[i]), 'b');
    world_judge(w, "rt/a", VERDICT_UP, false);
    uint32_t to_a = 0;
    for (size_t i = 100; i < 120; i++)
        to_a += world_open(w, p, &t[i]) == 'a';
    assert_in_range(to_a, 10, 11); /* a tenth of b's load, not all of the next hundred */
    world_pass(w, 10000);
    for (size_t i = 120; i < 220; i++)
        to_a += world_open(w, p, &t[i]) == 'a';
    assert_in_range(to_a, 109, 111);
    for (size_t i = 0; i < 220; i++)
        world_close(&t[i]);
}

/* A pool nobody used for an hour learns of an old recovery late, and the ramp is long over. */
static void test_slow_start_counts_from_the_recovery(void **state)
{
    struct world *w = *state;
    struct conf *c = CONF(w, S("rt/a", 1, P), S("rt/b", 1, P));
    c->pools[0].slow_start_ms = 10000;
    struct pool *p = world_load(w, c);
    world_judge(w, "rt/a", VERDICT_DOWN, false);
    assert_int_equal(world_try(w, p, OUTCOME_OK), 'b');
    world_judge(w, "rt/a", VERDICT_UP, false);
    world_pass(w, 3600000);
    assert_in_range(share_of_a(w, p), 499, 501);
}

/* An operator gives it back after an hour of maintenance; it has been up, by its verdict, all the while. */
static void test_slow_start_after_draining(void **state)
{
    struct world *w = *state;
    struct conf *c = CONF(w, S("rt/a", 1, P), S("rt/b", 1, P));
    c->pools[0].slow_start_ms = 10000;
    struct pool *p = world_load(w, c);
    world_judge(w, "rt/a", VERDICT_UP, false);
    assert_int_equal(world_try(w, p, OUTCOME_OK), 'a');
    world_judge(w, "rt/a", VERDICT_UP, true);
    assert_int_equal(share_of_a(w, p), 0);
    world_pass(w, 3600000);
    world_judge(w, "rt/a", VERDICT_UP, false);
    assert_in_range(share_of_a(w, p), 89, 93);
}

/* ---- what is told to others ---- */

static uint64_t nudges(struct world *w)
{
    uint64_t n = 0;
    return read(w->env.nudge_fd, &n, sizeof n) == (ssize_t)sizeof n ? n : 0;
}

static void test_failures_nudge_the_checker_but_not_too_often(void **state)
{
    struct world *w = *state;
    struct conf *c = CONF(w, S("rt/a", 1, P));
    c->pools[0].circuit_failures = 0;
    struct pool *p = world_load(w, c);
    assert_int_equal(world_try(w, p, OUTCOME_OK), 'a');
    assert_int_equal(world_try(w, p, OUTCOME_REFUSED), 'a');
    assert_int_equal(world_try(w, p, OUTCOME_CANCELLED), 'a');
    assert_int_equal(nudges(w), 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(world_try(w, p, OUTCOME_FAILED), 'a');
    assert_int_equal(nudges(w), 1);
    world_pass(w, SERVER_NUDGE_INTERVAL_MS - 1);
    server_tunnel_failed(p->servers[0], w->now_ms);
    assert_int_equal(nudges(w), 0);
    world_pass(w, 1);
    server_tunnel_failed(p->servers[0], w->now_ms);
    assert_int_equal(nudges(w), 1);

    assert_int_equal(world_stat(w, "rt/a", STAT_SERVER_ATTEMPTS), 103);
    assert_int_equal(world_stat(w, "rt/a", STAT_SERVER_FAILURES), 102);
    assert_int_equal(world_stat(w, "rt/a", STAT_SERVER_REFUSALS), 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        T(test_best_tier_with_a_healthy_server_is_used),
        T(test_one_search_goes_through_all_tiers),
        T(test_every_combination_of_obstacles),
        T(test_the_reason_for_nothing),
        T(test_unknown_is_not_down),
        T(test_a_verdict_about_a_former_owner_does_not_count),
        T(test_a_dead_checker_changes_nothing),
        T(test_fail_open_only_with_nothing_else),
        T(test_fail_open_says_so),
        T(test_circuit_opens_rests_and_lets_one_through),
        T(test_a_recovery_seen_by_the_checker_ends_the_rest),
        T(test_max_connections_counts_all_workers),
        T(test_attempts_under_way_count_as_load),
        T(test_requests_count_as_load),
        T(test_retries_have_a_budget),
        T(test_least_connections_over_all_workers),
        T(test_weights_are_exact),
        T(test_workers_begin_at_different_servers),
        T(test_workers_keep_the_weights_when_they_begin_elsewhere),
        T(test_hash_keeps_a_client_where_it_was),
        T(test_hash_without_a_key_goes_round),
        T(test_slow_start_after_recovery),
        T(test_slow_start_holds_for_least_connections),
        T(test_slow_start_counts_from_the_recovery),
        T(test_slow_start_after_draining),
        T(test_failures_nudge_the_checker_but_not_too_often),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
