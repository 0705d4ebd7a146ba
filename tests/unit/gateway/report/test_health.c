/* /health and /readyz: what each state of the shared tables means to those who ask. */
#include "tests/unit/gateway/report/world.h"

struct asked {
    int http;
    json_t *body;
};

static struct asked ask(const struct world *w, int (*report)(const struct report_view *, struct strbuf *))
{
    struct strbuf out;
    struct asked a;

    strbuf_init(&out, REPORT_BYTES_MAX);
    a.http = report(&w->view, &out);
    a.body = world_parse(&out);
    strbuf_fini(&out);
    return a;
}

static void assert_reason(json_t *body, const char *expected)
{
    json_t *reasons = json_object_get(body, "reasons"), *reason;
    size_t i;

    assert_true(json_is_array(reasons));
    json_array_foreach(reasons, i, reason)
    {
        if (strcmp(json_string_value(reason), expected) == 0)
            return;
    }
    fail_msg("no reason \"%s\" in %s", expected, json_dumps(reasons, 0));
}

/* Asks for health and expects a status with exactly one reason ("" for none). */
static void expect_health(const struct world *w, int http, const char *status, const char *reason)
{
    struct asked a = ask(w, report_health_json);

    assert_text(a.body, "status", status);
    assert_int_equal(a.http, http);
    if (reason[0] != '\0')
        assert_reason(a.body, reason);
    assert_int_equal(json_array_size(json_object_get(a.body, "reasons")), reason[0] != '\0' ? 1 : 0);
    json_decref(a.body);
}

static void expect_http(const struct world *w, int http)
{
    struct asked a = ask(w, report_health_json);

    assert_int_equal(a.http, http);
    json_decref(a.body);
}

static void expect_tier(const struct world *w, const char *route_status, const char *tier)
{
    struct asked a = ask(w, report_health_json);

    assert_text(a.body, "routes.0.route", "/socket/");
    assert_text(a.body, "routes.0.status", route_status);
    if (tier != NULL)
        assert_text(a.body, "routes.0.tier", tier);
    else
        assert_true(json_is_null(at(a.body, "routes.0.tier")));
    json_decref(a.body);
}

static void test_all_is_well(void **state)
{
    struct asked a = ask(*state, report_health_json);

    assert_int_equal(a.http, 200);
    assert_text(a.body, "status", "ok");
    assert_text(a.body, "node", "fra-1");
    assert_text(a.body, "routes.2.pool", "api");
    assert_text(a.body, "routes.2.tier", "primary");
    assert_text(a.body, "pools.0.pool", "realtime");
    assert_number(a.body, "pools.0.servers", 4);
    assert_number(a.body, "pools.0.up", 4);
    assert_int_equal(json_array_size(at(a.body, "reasons")), 0);
    json_decref(a.body);
}

static void test_unknown_is_not_down(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < SERVERS; i++)
        world_verdict(w, i, VERDICT_UNKNOWN, "");
    expect_health(w, 200, "ok", "");
}

/* The configuration may name a server before the shared tables do. */
static void test_a_server_without_a_row_is_unknown(void **state)
{
    struct world *w = *state;

    w->servers[US_A].slot_name = "realtime/brand-new";
    expect_health(w, 200, "ok", "");
    expect_tier(w, "ok", "primary");
}

static void test_one_server_down_degrades_and_says_which(void **state)
{
    struct world *w = *state;

    world_verdict(w, US_A, VERDICT_DOWN, "connect refused");
    expect_health(w, 200, "degraded", "server realtime/us-a is down: connect refused");
    expect_tier(w, "degraded", "primary");
}

static void test_a_lower_tier_in_use_degrades(void **state)
{
    struct world *w = *state;
    struct asked a;

    world_verdict(w, US_A, VERDICT_DOWN, "");
    world_verdict(w, US_B, VERDICT_DOWN, "timeout");
    a = ask(w, report_health_json);
    assert_int_equal(a.http, 200);
    assert_reason(a.body, "server realtime/us-a is down");
    assert_reason(a.body, "server realtime/us-b is down: timeout");
    assert_reason(a.body, "pool realtime is served by its backup tier");
    json_decref(a.body);
    expect_tier(w, "degraded", "backup");
    world_verdict(w, EU_A, VERDICT_DOWN, "");
    expect_tier(w, "degraded", "emergency");
}

static void test_a_pool_that_never_had_a_primary_is_well_on_its_backup(void **state)
{
    struct world *w = *state;

    w->servers[US_A].tier = w->servers[US_B].tier = TIER_BACKUP;
    expect_health(w, 200, "ok", "");
    expect_tier(w, "ok", "backup");
}

static void test_a_route_without_a_server_is_503(void **state)
{
    struct world *w = *state;
    struct asked a;

    for (int i = US_A; i <= STATIC; i++)
        world_verdict(w, i, VERDICT_DOWN, "reset");
    a = ask(w, report_health_json);
    assert_int_equal(a.http, 503);
    assert_text(a.body, "status", "down");
    assert_reason(a.body, "route /socket/ cannot be served");
    assert_reason(a.body, "route /mqtt cannot be served");
    assert_text(a.body, "routes.1.status", "down");
    assert_text(a.body, "routes.2.status", "ok"); /* the other pool */
    assert_number(a.body, "pools.0.down", 4);
    json_decref(a.body);
    expect_tier(w, "down", NULL);
}

static void test_a_pool_that_no_route_needs_may_be_down(void **state)
{
    struct world *w = *state;
    struct asked a;

    w->conf.route_count = 2;
    world_verdict(w, API_A, VERDICT_DOWN, "");
    a = ask(w, report_health_json);
    assert_int_equal(a.http, 200);
    assert_text(a.body, "status", "degraded");
    assert_reason(a.body, "pool api has no server that takes clients");
    json_decref(a.body);
}

static void test_failing_open_serves(void **state)
{
    struct world *w = *state;
    struct asked a;

    w->pools[1].fail_open = true;
    world_verdict(w, API_A, VERDICT_DOWN, "");
    a = ask(w, report_health_json);
    assert_int_equal(a.http, 200);
    assert_text(a.body, "status", "degraded");
    assert_reason(a.body, "pool api has no healthy server and fails open");
    assert_text(a.body, "routes.2.tier", "primary");
    json_decref(a.body);
}

static void test_draining_servers_take_no_clients(void **state)
{
    struct world *w = *state;

    world_verdict_full(w, US_A, &(struct verdict){.state = VERDICT_UP, .is_draining = true}, "");
    expect_health(w, 200, "ok", ""); /* as its operator wished */
    w->servers[US_B].drain = true;
    expect_tier(w, "degraded", "backup");
    w->servers[EU_A].weight = 0;
    expect_tier(w, "degraded", "emergency");
    w->servers[API_A].drain = true;
    w->pools[1].fail_open = true; /* is about verdicts, not about wishes */
    expect_http(w, 503);
}

static void test_a_silent_checker_degrades(void **state)
{
    struct world *w = *state;

    w->view.wall_ms = NOW_MS + 60000;
    expect_health(w, 200, "degraded", "the checker is silent for 60 s; last known states are in use");
    verdict_table_init(w->verdicts);
    expect_health(w, 200, "degraded", "the checker has not reported yet");
    for (int i = 0; i < SERVERS; i++)
        w->servers[i].check.type = CHECK_NONE;
    expect_health(w, 200, "ok", ""); /* nothing to check: nobody to miss */
}

static void test_missing_processes(void **state)
{
    struct world *w = *state;

    atomic_store(&w->roster->row[3].state, ROSTER_WAITING);
    expect_health(w, 200, "degraded", "0 of 1 checker processes ready");
    atomic_store(&w->roster->row[3].state, ROSTER_READY);
    atomic_store(&w->roster->row[1].state, ROSTER_STARTING);
    expect_health(w, 200, "degraded", "1 of 2 worker processes ready");
    atomic_store(&w->roster->row[2].state, ROSTER_DRAINING);
    expect_http(w, 503);
}

static void test_a_refused_reload_degrades_until_one_is_accepted(void **state)
{
    struct world *w = *state;

    atomic_store(&w->roster->reload_ok, 0);
    atomic_store(&w->roster->reloads_refused_total, 1);
    expect_health(w, 200, "degraded", "the last reload was refused; configuration 1 stays in use");
    atomic_store(&w->roster->reload_ok, 1);
    expect_health(w, 200, "ok", "");
}

static void test_a_certificate_near_its_end_degrades(void **state)
{
    struct world *w = *state;
    const int64_t day_ms = 86400000;

    world_certificates(w, 14 * day_ms);
    expect_health(w, 200, "ok", "");
    world_certificates(w, 14 * day_ms - 1);
    expect_health(w, 200, "degraded", "certificate edge.example on 0.0.0.0:80 ends in 13 days");
    world_certificates(w, day_ms);
    expect_health(w, 200, "degraded", "certificate edge.example on 0.0.0.0:80 ends in 1 day");
    world_certificates(w, day_ms - 1);
    expect_health(w, 200, "degraded", "certificate edge.example on 0.0.0.0:80 ends within a day");
    world_certificates(w, 0);
    expect_health(w, 200, "degraded", "certificate edge.example on 0.0.0.0:80 has ended");
    w->conf.health.certificate_warning_ms = 0;
    world_certificates(w, 1);
    expect_health(w, 200, "ok", "");
}

static void test_any_name_gives_valid_json(void **state)
{
    struct world *w = *state;
    struct asked a;

    w->conf.node.name = "fra \"1\"\n\x01\xff\\";
    world_verdict(w, US_A, VERDICT_DOWN, "said \"no\"\t\xc3");
    a = ask(w, report_health_json);
    assert_text(a.body, "node", "fra \"1\"\n\x01\xef\xbf\xbd\\");
    json_decref(a.body);
}

static void test_the_bound_of_the_buffer_holds(void **state)
{
    struct world *w = *state;
    struct strbuf out;

    strbuf_init(&out, 100);
    (void)report_health_json(&w->view, &out);
    assert_true(out.failed);
    assert_true(out.len <= 100);
    strbuf_fini(&out);
}

/* ---- readiness ---- */

static void expect_ready(const struct world *w, int http, const char *reason)
{
    struct asked a = ask(w, report_ready_json);

    assert_int_equal(a.http, http);
    assert_int_equal(json_is_true(at(a.body, "ready")), http == 200);
    if (reason != NULL)
        assert_reason(a.body, reason);
    else
        assert_int_equal(json_array_size(at(a.body, "reasons")), 0);
    json_decref(a.body);
}

static void test_ready(void **state)
{
    struct world *w = *state;

    expect_ready(w, 200, NULL);
    world_verdict(w, API_A, VERDICT_DOWN, ""); /* the backends' health is another question */
    expect_ready(w, 200, NULL);
}

static void test_not_ready_while_a_process_starts(void **state)
{
    struct world *w = *state;

    atomic_store(&w->roster->row[2].state, ROSTER_STARTING);
    expect_ready(w, 503, "worker 1 is starting");
    atomic_store(&w->roster->row[2].state, ROSTER_UNUSED);
    expect_ready(w, 503, "1 of 2 worker processes ready");
}

static void test_not_ready_under_an_old_configuration(void **state)
{
    struct world *w = *state;

    atomic_store(&w->roster->conf_generation, 2);
    expect_ready(w, 503, "worker 1 runs configuration 1 instead of 2");
    for (int i = 1; i <= 4; i++)
        atomic_store(&w->roster->row[i].conf_generation, 2);
    expect_ready(w, 200, NULL);
}

static void test_draining(void **state)
{
    struct world *w = *state;

    world_row(w, 5, ROLE_WORKER, 2); /* one more than configured: on its way out after a reload */
    atomic_store(&w->roster->row[5].state, ROSTER_DRAINING);
    expect_ready(w, 200, NULL);
    atomic_store(&w->roster->row[1].state, ROSTER_DRAINING);
    expect_ready(w, 503, "worker 0 is draining");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_all_is_well),
        TEST(test_unknown_is_not_down),
        TEST(test_a_server_without_a_row_is_unknown),
        TEST(test_one_server_down_degrades_and_says_which),
        TEST(test_a_lower_tier_in_use_degrades),
        TEST(test_a_pool_that_never_had_a_primary_is_well_on_its_backup),
        TEST(test_a_route_without_a_server_is_503),
        TEST(test_a_pool_that_no_route_needs_may_be_down),
        TEST(test_failing_open_serves),
        TEST(test_draining_servers_take_no_clients),
        TEST(test_a_silent_checker_degrades),
        TEST(test_missing_processes),
        TEST(test_a_refused_reload_degrades_until_one_is_accepted),
        TEST(test_a_certificate_near_its_end_degrades),
        TEST(test_any_name_gives_valid_json),
        TEST(test_the_bound_of_the_buffer_holds),
        TEST(test_ready),
        TEST(test_not_ready_while_a_process_starts),
        TEST(test_not_ready_under_an_old_configuration),
        TEST(test_draining),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
