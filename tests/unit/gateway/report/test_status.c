/* /status: every value comes from its table, under the name a reader expects. */
#include "tests/unit/gateway/report/world.h"

static json_t *status_of(const struct world *w)
{
    struct strbuf out;
    json_t *j;

    strbuf_init(&out, REPORT_BYTES_MAX);
    report_status_json(&w->view, &out);
    j = world_parse(&out);
    strbuf_fini(&out);
    return j;
}

static void test_head(void **state)
{
    json_t *j = status_of(*state);

    assert_text(j, "status", "ok");
    assert_text(j, "node.name", "fra-1");
    assert_text(j, "node.region", "eu");
    assert_text(j, "version", TIDEGATE_VERSION);
    assert_text(j, "now", "2025-06-15T15:06:40.250Z");
    assert_text(j, "started", "2025-06-15T15:05:10.250Z");
    assert_number(j, "uptime_ms", 90000);
    assert_text(j, "config.path", "/etc/tidegate/tidegate.yaml");
    assert_number(j, "config.generation", 1);
    assert_true(json_is_true(at(j, "config.last_reload_ok")));
    assert_number(j, "checker.heartbeat_age_ms", 200);
    assert_true(json_is_false(at(j, "checker.stale")));
    assert_text(j, "listeners.0.address", "0.0.0.0:80");
    assert_text(j, "listeners.1.serves", "admin");
    json_decref(j);
}

static void test_processes(void **state)
{
    struct world *w = *state;
    uint64_t rss_bytes[ROSTER_ROWS] = {[2] = 4096};
    json_t *j;

    atomic_store(&w->roster->row[2].restarts, 3);
    w->view.rss_bytes = rss_bytes;
    j = status_of(w);
    assert_int_equal(json_array_size(at(j, "processes")), 5);
    assert_text(j, "processes.2.role", "worker");
    assert_number(j, "processes.2.index", 1);
    assert_number(j, "processes.2.pid", 1002);
    assert_text(j, "processes.2.state", "ready");
    assert_number(j, "processes.2.restarts", 3);
    assert_number(j, "processes.2.rss_bytes", 4096);
    assert_null(at(j, "processes.1.rss_bytes")); /* not known: not there */
    json_decref(j);
}

static void test_servers(void **state)
{
    struct world *w = *state;
    int slot = world_slot(w, EU_A);
    json_t *j;

    world_verdict_full(w, EU_A, &(struct verdict){.state = VERDICT_DOWN, .is_forced = true, .checks_left = 2}, "reset");
    for (int worker = 1; worker <= 2; worker++) { /* counters are summed over the processes */
        stat_add(&w->stats->block[worker].server[slot][STAT_SERVER_OPEN], 10);
        stat_add(&w->stats->block[worker].server[slot][STAT_SERVER_ATTEMPTS], 21);
    }
    j = status_of(w);
    assert_text(j, "pools.0.name", "realtime");
    assert_text(j, "pools.0.servers.2.name", "eu-a");
    assert_text(j, "pools.0.servers.2.tier", "backup");
    assert_text(j, "pools.0.servers.2.state", "down");
    assert_true(json_is_true(at(j, "pools.0.servers.2.forced")));
    assert_text(j, "pools.0.servers.2.since", "2025-06-15T15:06:35.250Z");
    assert_number(j, "pools.0.servers.2.since_age_ms", 5000);
    assert_text(j, "pools.0.servers.2.cause", "reset");
    assert_number(j, "pools.0.servers.2.latency_us", 1500);
    assert_number(j, "pools.0.servers.2.checks_left", 2);
    assert_number(j, "pools.0.servers.2.fall", 3);
    assert_number(j, "pools.0.servers.2.connections", 20);
    assert_number(j, "pools.0.servers.2.attempts", 42);
    assert_true(json_is_null(at(j, "pools.0.servers.1.cause")));
    json_decref(j);
}

static void test_certificates(void **state)
{
    struct world *w = *state;
    json_t *j = status_of(w);

    assert_int_equal(json_array_size(at(j, "certificates")), 0);
    json_decref(j);
    world_certificates(w, -1000);
    j = status_of(w);
    assert_int_equal(json_array_size(at(j, "certificates")), 2);
    assert_text(j, "certificates.1.listen", "0.0.0.0:80");
    assert_text(j, "certificates.1.names", "edge.example");
    assert_text(j, "certificates.1.not_before", "2025-06-15T15:05:10.250Z");
    assert_text(j, "certificates.1.not_after", "2025-06-15T15:06:39.250Z");
    assert_number(j, "certificates.1.left_ms", -1000);
    json_decref(j);
}

static void test_sessions(void **state)
{
    struct world *w = *state;
    const int slot = slots_find(w->slots, SLOT_ROUTE, "/socket/");
    json_t *j;

    w->routes[0].protocol = WS_PROTOCOL_PHOENIX;
    stat_add(&w->stats->block[1].route[slot][STAT_ROUTE_SESSIONS_CONNECTED], 4);
    stat_add(&w->stats->block[2].route[slot][STAT_ROUTE_SESSIONS_RECONNECTING], 2);
    stat_add(&w->stats->block[1].route[slot][STAT_ROUTE_SESSION_LOSSES], 3);
    stat_add(&w->stats->block[2].route[slot][STAT_ROUTE_SESSION_UNKNOWN], 1);
    j = status_of(w);
    assert_text(j, "routes.0.sessions.protocol", "phoenix");
    assert_number(j, "routes.0.sessions.connected", 4);
    assert_number(j, "routes.0.sessions.reconnecting", 2);
    assert_number(j, "routes.0.sessions.failovers", 3);
    assert_number(j, "routes.0.sessions.messages_unknown", 1);
    assert_number(j, "routes.0.sessions.recovery.count", 0);
    assert_null(at(j, "routes.0.sessions.recovery.p99_within_ms")); /* of nothing */
    assert_null(at(j, "routes.0.sessions_connected"));
    assert_null(at(j, "routes.1.sessions")); /* opaque */
    json_decref(j);
    for (int i = 0; i < 99; i++)
        stats_recovered(&w->stats->block[1], slot, 40);
    j = status_of(w);
    assert_number(j, "routes.0.sessions.recovery.count", 99);
    assert_number(j, "routes.0.sessions.recovery.mean_ms", 40);
    assert_number(j, "routes.0.sessions.recovery.p99_within_ms", 50);
    json_decref(j);
    stats_recovered(&w->stats->block[1], slot, 60000);
    stats_recovered(&w->stats->block[1], slot, 60000);
    j = status_of(w);
    assert_number(j, "routes.0.sessions.recovery.p50_within_ms", 50);
    assert_true(json_is_null(at(j, "routes.0.sessions.recovery.p99_within_ms"))); /* longer than any bound */
    json_decref(j);
}

static void test_routes_and_totals(void **state)
{
    struct world *w = *state;
    int slot = slots_find(w->slots, SLOT_ROUTE, "/mqtt");
    json_t *j;

    stat_add(&w->stats->block[1].route[slot][STAT_ROUTE_REQUESTS], 7);
    stat_add(&w->stats->block[1].process[STAT_CLIENTS_OPEN], 5);
    stat_add(&w->stats->block[2].process[STAT_CLIENTS_OPEN], -2);
    stat_add(&w->stats->block[1].closes[CLOSED_BY_UPSTREAM][stats_code_row(1012)], 4);
    stat_add(&w->stats->block[2].responses[503], 9);
    j = status_of(w);
    assert_text(j, "routes.1.name", "/mqtt");
    assert_text(j, "routes.1.pool", "realtime");
    assert_text(j, "routes.1.status", "ok");
    assert_number(j, "routes.1.requests", 7);
    assert_number(j, "routes.0.requests", 0);
    assert_number(j, "totals.client_connections", 3);
    assert_int_equal(json_array_size(at(j, "closes")), 1);
    assert_text(j, "closes.0.by", "upstream");
    assert_text(j, "closes.0.code", "1012");
    assert_number(j, "closes.0.count", 4);
    assert_number(j, "responses.0.status", 503);
    assert_number(j, "responses.0.count", 9);
    json_decref(j);
}

/* Before the first probe and the first load there are no moments to show. */
static void test_what_never_was_is_null(void **state)
{
    struct world *w = *state;
    json_t *j;

    verdict_table_init(w->verdicts);
    memset(w->verdicts->row, 0, sizeof w->verdicts->row);
    atomic_store(&w->roster->conf_loaded_wall_ms, 0);
    w->servers[US_B].slot_name = "realtime/brand-new";
    j = status_of(w);
    assert_true(json_is_null(at(j, "checker.heartbeat_age_ms")));
    assert_true(json_is_null(at(j, "config.loaded")));
    assert_true(json_is_null(at(j, "pools.0.servers.0.since")));
    assert_true(json_is_null(at(j, "pools.0.servers.0.since_age_ms")));
    assert_text(j, "pools.0.servers.1.state", "unknown");
    assert_number(j, "pools.0.servers.1.connections", 0);
    json_decref(j);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_head),
        TEST(test_processes),
        TEST(test_servers),
        TEST(test_certificates),
        TEST(test_sessions),
        TEST(test_routes_and_totals),
        TEST(test_what_never_was_is_null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
