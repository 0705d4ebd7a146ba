/* /metrics: the text obeys the exposition format, line by line, and the values are those of the tables. */
#include <ctype.h>
#include <stdlib.h>

#include "base/map.h"
#include "tests/unit/gateway/report/dns_world.h"

/* ---- a strict reader of the text format 0.0.4 ---- */

struct reader {
    char family[128]; /* under whose TYPE the samples stand */
    char type[16];
    bool expects_type; /* a HELP line was the last one */
    struct map *families, *samples;
};

static size_t name_len(const char *s)
{
    size_t n = 0;

    if (isdigit((unsigned char)s[0]))
        return 0;
    while (isalnum((unsigned char)s[n]) || s[n] == '_' || s[n] == ':')
        n++;
    return n;
}

static void read_head(struct reader *r, const char *line)
{
    const char *name = line + 7;
    size_t len = name_len(name);

    assert_true(len > 0 && len < sizeof r->family && name[len] == ' ' && name[len + 1] != '\0');
    if (strncmp(line, "# HELP ", 7) == 0) {
        assert_false(r->expects_type);
        memcpy(r->family, name, len);
        r->family[len] = '\0';
        if (map_put(r->families, name, len, r) != NULL)
            fail_msg("family twice: %s", r->family);
        r->expects_type = true;
        return;
    }
    assert_int_equal(strncmp(line, "# TYPE ", 7), 0);
    assert_true(r->expects_type && strlen(r->family) == len && memcmp(name, r->family, len) == 0);
    r->expects_type = false;
    strncpy(r->type, name + len + 1, sizeof r->type - 1);
    assert_true(strcmp(r->type, "counter") == 0 || strcmp(r->type, "gauge") == 0 || strcmp(r->type, "histogram") == 0);
    assert_int_equal(strcmp(r->type, "counter") == 0, len > 6 && strcmp(r->family + len - 6, "_total") == 0);
}

/* The end of {name="value",...}. */
static const char *read_labels(const char *s)
{
    do {
        size_t len = name_len(++s);

        assert_true(len > 0 && strncmp(s + len, "=\"", 2) == 0);
        for (s += len + 2; *s != '"'; s++) {
            assert_true(*s != '\0' && *s != '\n');
            if (*s == '\\') {
                s++;
                assert_true(*s == '\\' || *s == '"' || *s == 'n');
            }
        }
        s++;
    } while (*s == ',');
    assert_int_equal(*s, '}');
    return s + 1;
}

/* Of a histogram: what comes behind the family's name. */
static bool is_part(const char *rest, size_t len)
{
    static const char *const parts[] = {"_bucket", "_sum", "_count"};

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (strlen(parts[i]) == len && memcmp(rest, parts[i], len) == 0)
            return true;
    return false;
}

static void read_sample(struct reader *r, const char *line)
{
    size_t len = name_len(line), family_len = strlen(r->family);
    const char *s = line + len;
    char *end;
    double value;

    assert_false(r->expects_type);
    if (len < family_len || memcmp(line, r->family, family_len) != 0 ||
        (strcmp(r->type, "histogram") == 0 ? !is_part(line + family_len, len - family_len) : len != family_len))
        fail_msg("sample outside its family %s: %s", r->family, line);
    if (*s == '{')
        s = read_labels(s);
    assert_int_equal(*s, ' ');
    if (map_put(r->samples, line, (size_t)(s - line), r) != NULL)
        fail_msg("sample twice: %s", line);
    value = strtod(s + 1, &end);
    if (end == s + 1 || *end != '\0')
        fail_msg("no number: %s", line);
    assert_true(strcmp(r->type, "counter") != 0 || value >= 0);
}

static void read_all(char *text, size_t len)
{
    struct reader r = {.families = map_create(), .samples = map_create()};
    char *line;

    assert_true(len > 0 && text[len - 1] == '\n' && strlen(text) == len);
    text[len - 1] = '\0';
    while ((line = strsep(&text, "\n")) != NULL) {
        if (line[0] == '#')
            read_head(&r, line);
        else
            read_sample(&r, line);
    }
    assert_false(r.expects_type);
    map_destroy(&r.families);
    map_destroy(&r.samples);
}

/* ---- tests ---- */

/* The metrics as text, checked. mem_free. */
static char *metrics_of(const struct world *w)
{
    struct strbuf out;
    char *copy;

    strbuf_init(&out, REPORT_BYTES_MAX);
    report_metrics_text(&w->view, &out);
    assert_false(out.failed);
    copy = mem_strndup(out.data, out.len);
    read_all(out.data, out.len);
    strbuf_fini(&out);
    return copy;
}

static void expect_line(const char *text, const char *line)
{
    const char *found = strstr(text, line);

    if (found == NULL || (found != text && found[-1] != '\n') || found[strlen(line)] != '\n')
        fail_msg("no line: %s", line);
}

static void test_the_gateway(void **state)
{
    struct world *w = *state;
    uint64_t rss_bytes[ROSTER_ROWS] = {[1] = 12288};
    char *m;

    atomic_store(&w->roster->row[2].state, ROSTER_WAITING);
    atomic_store(&w->roster->row[2].restarts, 5);
    w->view.rss_bytes = rss_bytes;
    m = metrics_of(w);
    expect_line(m, "tidegate_build_info{version=\"" TIDEGATE_VERSION "\",node=\"fra-1\"} 1");
    expect_line(m, "tidegate_start_time_seconds 1749999910.250");
    expect_line(m, "tidegate_config_last_reload_successful 1");
    expect_line(m, "tidegate_config_last_reload_success_timestamp_seconds 1749999910.250");
    expect_line(m, "tidegate_checker_heartbeat_age_seconds 0.200");
    expect_line(m, "tidegate_process_up{role=\"worker\",index=\"0\"} 1");
    expect_line(m, "tidegate_process_up{role=\"worker\",index=\"1\"} 0");
    expect_line(m, "tidegate_process_restarts_total{role=\"worker\",index=\"1\"} 5");
    expect_line(m, "tidegate_process_resident_memory_bytes{role=\"worker\",index=\"0\"} 12288");
    expect_line(m, "tidegate_health{status=\"degraded\"} 1");
    expect_line(m, "tidegate_health{status=\"ok\"} 0");
    mem_free(m);
}

/* One RSA, one ECDSA: the same name on the same listener twice. */
static void test_certificates(void **state)
{
    struct world *w = *state;
    char *m;

    world_certificates(w, 1000);
    m = metrics_of(w);
#define EXPIRY "tidegate_certificate_expiry_timestamp_seconds{listen=\"0.0.0.0:80\""
    expect_line(m, EXPIRY ",index=\"0\",name=\"edge.example\"} 1757776000.250");
    expect_line(m, EXPIRY ",index=\"1\",name=\"edge.example\"} 1750000001.250");
    mem_free(m);
}

static void test_servers(void **state)
{
    struct world *w = *state;
    char *m;

    world_verdict(w, US_A, VERDICT_DOWN, "reset");
    world_verdict(w, US_B, VERDICT_UNKNOWN, "");
    w->servers[EU_A].drain = true;
    stat_add(&w->stats->block[1].server[world_slot(w, US_A)][STAT_SERVER_FAILURES], 3);
    m = metrics_of(w);
#define US_A_LABELS "pool=\"realtime\",server=\"us-a\",region=\"us\",tier=\"primary\""
    expect_line(m, "tidegate_server_up{" US_A_LABELS "} 0");
    expect_line(m, "tidegate_server_state{" US_A_LABELS ",state=\"down\"} 1");
    expect_line(m, "tidegate_server_state{" US_A_LABELS ",state=\"up\"} 0");
    expect_line(m, "tidegate_server_failures_total{" US_A_LABELS "} 3");
    expect_line(m, "tidegate_server_up{pool=\"realtime\",server=\"us-b\",region=\"us\",tier=\"primary\"} 1");
    expect_line(m, "tidegate_server_draining{pool=\"realtime\",server=\"eu-a\",region=\"eu\",tier=\"backup\"} 1");
    expect_line(m, "tidegate_server_forced{pool=\"realtime\",server=\"eu-a\",region=\"eu\",tier=\"backup\"} 0");
    expect_line(m, "tidegate_server_degraded{pool=\"realtime\",server=\"eu-a\",region=\"eu\",tier=\"backup\"} 0");
    expect_line(m, "tidegate_server_probe_duration_seconds{" US_A_LABELS "} 0.001500");
    expect_line(m, "tidegate_pool_tier{pool=\"realtime\",tier=\"primary\"} 1");
    expect_line(m, "tidegate_route_up{route=\"/socket/\",pool=\"realtime\"} 1");
    mem_free(m);
}

static void test_routes_with_directions(void **state)
{
    struct world *w = *state;
    stat_cell *cells = w->stats->block[1].route[slots_find(w->slots, SLOT_ROUTE, "/mqtt")];
    char *m;

    stat_add(&cells[STAT_ROUTE_UP_MESSAGES], 11);
    stat_add(&cells[STAT_ROUTE_DOWN_MESSAGES], 22);
    stat_add(&cells[STAT_ROUTE_DOWN_BYTES], 333);
    stat_add(&cells[STAT_ROUTE_WS_OPEN], 2);
    m = metrics_of(w);
    expect_line(m, "tidegate_ws_messages_total{route=\"/mqtt\",direction=\"up\"} 11");
    expect_line(m, "tidegate_ws_messages_total{route=\"/mqtt\",direction=\"down\"} 22");
    expect_line(m, "tidegate_ws_bytes_total{route=\"/mqtt\",direction=\"down\"} 333");
    expect_line(m, "tidegate_ws_connections{route=\"/mqtt\"} 2");
    expect_line(m, "tidegate_ws_connections{route=\"/\"} 0");
    assert_null(strstr(m, "ws_messages_up_total"));
    mem_free(m);
}

static void test_sessions(void **state)
{
    struct world *w = *state;
    const int slot = slots_find(w->slots, SLOT_ROUTE, "/socket/");
    char *m;

    w->routes[0].protocol = WS_PROTOCOL_PHOENIX;
    stat_add(&w->stats->block[1].route[slot][STAT_ROUTE_SESSIONS_CONNECTED], 5);
    stat_add(&w->stats->block[2].route[slot][STAT_ROUTE_SESSIONS_CONNECTED], 6);
    stat_add(&w->stats->block[2].route[slot][STAT_ROUTE_SESSIONS_DISCONNECTED], 1);
    stat_add(&w->stats->block[1].route[slot][STAT_ROUTE_SESSION_LOSSES], 7);
    m = metrics_of(w);
#define SESSION_LABELS "route=\"/socket/\",pool=\"realtime\""
    expect_line(m, "# TYPE tidegate_sessions gauge");
    expect_line(m, "tidegate_sessions{" SESSION_LABELS ",state=\"connected\"} 11");
    expect_line(m, "tidegate_sessions{" SESSION_LABELS ",state=\"connecting\"} 0");
    expect_line(m, "tidegate_sessions{" SESSION_LABELS ",state=\"reconnecting\"} 0");
    expect_line(m, "tidegate_sessions{" SESSION_LABELS ",state=\"disconnected\"} 1");
    expect_line(m, "tidegate_session_failovers_total{" SESSION_LABELS "} 7");
    expect_line(m, "tidegate_session_heartbeats_total{" SESSION_LABELS "} 0");
    assert_null(strstr(m, "tidegate_sessions_connected"));                      /* one family, not four */
    assert_null(strstr(m, "tidegate_session_failovers_total{route=\"/mqtt\"")); /* opaque: has none */
    mem_free(m);
}

static void test_time_to_recover(void **state)
{
    struct world *w = *state;
    const int slot = slots_find(w->slots, SLOT_ROUTE, "/socket/");
    char *m;

    w->routes[0].protocol = WS_PROTOCOL_PHOENIX;
    stats_recovered(&w->stats->block[1], slot, 10);
    stats_recovered(&w->stats->block[1], slot, 80);
    stats_recovered(&w->stats->block[2], slot, 90);
    stats_recovered(&w->stats->block[2], slot, 31500);
    m = metrics_of(w);
#define RECOVERY "tidegate_session_recovery_seconds"
    expect_line(m, "# TYPE " RECOVERY " histogram");
    expect_line(m, RECOVERY "_bucket{" SESSION_LABELS ",le=\"0.01\"} 1");
    expect_line(m, RECOVERY "_bucket{" SESSION_LABELS ",le=\"0.025\"} 1");
    expect_line(m, RECOVERY "_bucket{" SESSION_LABELS ",le=\"0.1\"} 3");
    expect_line(m, RECOVERY "_bucket{" SESSION_LABELS ",le=\"30\"} 3");
    expect_line(m, RECOVERY "_bucket{" SESSION_LABELS ",le=\"+Inf\"} 4");
    expect_line(m, RECOVERY "_sum{" SESSION_LABELS "} 31.680");
    expect_line(m, RECOVERY "_count{" SESSION_LABELS "} 4");
    mem_free(m);
}

static void test_closes_and_responses(void **state)
{
    struct world *w = *state;
    char *m;

    stat_add(&w->stats->block[2].closes[CLOSED_BY_DRAIN][stats_code_row(1001)], 6);
    stat_add(&w->stats->block[2].closes[CLOSED_BY_CLIENT][stats_code_row(4001)], 1);
    stat_add(&w->stats->block[1].responses[404], 8);
    m = metrics_of(w);
    expect_line(m, "tidegate_ws_closed_total{by=\"drain\",code=\"1001\"} 6");
    expect_line(m, "tidegate_ws_closed_total{by=\"client\",code=\"4xxx\"} 1");
    expect_line(m, "tidegate_responses_total{status=\"404\"} 8");
    mem_free(m);
}

static void test_label_values_are_escaped(void **state)
{
    struct world *w = *state;
    char *m;

    w->conf.node.name = "a\"b\\c\nd";
    m = metrics_of(w);
    expect_line(m, "tidegate_build_info{version=\"" TIDEGATE_VERSION "\",node=\"a\\\"b\\\\c\\nd\"} 1");
    mem_free(m);
}

/* A gauge summed while its blocks change may be below zero for a moment; that is not 2^64. */
static void test_a_negative_gauge_stays_small(void **state)
{
    struct world *w = *state;
    char *m;

    stat_add(&w->stats->block[1].process[STAT_CLIENTS_OPEN], -1);
    m = metrics_of(w);
    expect_line(m, "tidegate_client_connections -1");
    mem_free(m);
}

static void test_microseconds_are_shown_as_seconds(void **state)
{
    struct world *w = *state;
    char *m;

    stat_add(&w->stats->block[1].process[STAT_L2_TIME_US], 1999999);
    stat_add(&w->stats->block[2].process[STAT_L2_TIME_US], 43);
    m = metrics_of(w);
    expect_line(m, "# TYPE tidegate_cache_l2_time_seconds_total counter");
    expect_line(m, "tidegate_cache_l2_time_seconds_total 2.000042");
    mem_free(m);
}

static void test_targets_names_and_quorum(void **state)
{
    struct dns_world *d = *state;
    char *m;

    dns_world_say(d, EU_EDGE, VERDICT_DOWN, "reset");
    m = metrics_of(d->w);
    expect_line(m, "tidegate_target_up{target=\"us-edge\"} 1");
    expect_line(m, "tidegate_target_up{target=\"eu-edge\"} 0");
    expect_line(m, "tidegate_target_state{target=\"eu-edge\",state=\"down\"} 1");
    expect_line(m, "tidegate_target_draining{target=\"us-edge\"} 0");
    expect_line(m, "tidegate_target_probe_duration_seconds{target=\"us-edge\"} 0.002500");
    expect_line(m, "tidegate_dns_serial 2025061501");
    expect_line(m, "tidegate_dns_term 4");
    expect_line(m, "tidegate_dns_version 9");
    expect_line(m, "tidegate_dns_change_timestamp_seconds 1749999940.250");
#define CHOSEN "tidegate_dns_answers_chosen{name=\"rt.example.com\""
    expect_line(m, CHOSEN ",index=\"0\",answer=\"us-edge\",tier=\"primary\"} 1");
    expect_line(m, CHOSEN ",index=\"1\",answer=\"eu-edge\",tier=\"backup\"} 0");
    expect_line(m, CHOSEN ",index=\"2\",answer=\"static.example.net\",tier=\"emergency\"} 0");
    expect_line(m, "tidegate_dns_answer_ttl_seconds{name=\"rt.example.com\"} 3");
    expect_line(m, "tidegate_dns_last_resort{name=\"rt.example.com\"} 0");
    expect_line(m, "tidegate_quorum_connected 1");
    expect_line(m, "tidegate_quorum_role{role=\"leads\"} 1");
    expect_line(m, "tidegate_quorum_role{role=\"alone\"} 0");
    expect_line(m, "tidegate_quorum_peers 2");
    expect_line(m, "tidegate_quorum_voters 3");
    expect_line(m, "tidegate_quorum_peer_age_seconds{node=\"check-1\",region=\"ap\",kind=\"checker\"} 0.800");
    expect_line(m, "tidegate_quorum_peer_cut_off{node=\"lon-1\",region=\"eu\",kind=\"gateway\"} 0");
    mem_free(m);
}

/* A zero would look like something that failed; what only counts may be there. */
static void test_what_is_not_configured_has_no_metrics(void **state)
{
    char *m = metrics_of(*state);

    assert_null(strstr(m, "tidegate_target"));
    assert_null(strstr(m, "tidegate_dns_serial"));
    assert_null(strstr(m, "tidegate_dns_answers_chosen"));
    assert_null(strstr(m, "tidegate_quorum"));
    assert_null(strstr(m, "tidegate_session"));
    mem_free(m);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_gateway),
        TEST(test_certificates),
        TEST(test_servers),
        TEST(test_routes_with_directions),
        TEST(test_sessions),
        TEST(test_time_to_recover),
        TEST(test_closes_and_responses),
        TEST(test_label_values_are_escaped),
        TEST(test_a_negative_gauge_stays_small),
        TEST(test_microseconds_are_shown_as_seconds),
        TEST(test_what_is_not_configured_has_no_metrics),
        cmocka_unit_test_setup_teardown(test_targets_names_and_quorum, dns_world_setup, dns_world_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
