/* A small gateway made by hand for the report tests: shared tables filled as the supervisor, the checker and two
 * workers would, and a configuration of two pools and three routes. Tests change what they are about. */
#ifndef TESTS_UNIT_GATEWAY_REPORT_WORLD_H
#define TESTS_UNIT_GATEWAY_REPORT_WORLD_H

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gateway/report/report.h"

#define NOW_MS   INT64_C(1750000000250) /* 2025-06-15T15:06:40.250Z */
#define START_MS (NOW_MS - 90000)

enum { US_A, US_B, EU_A, STATIC, API_A, SERVERS };

struct world {
    struct conf conf;
    struct conf_pool pools[2];
    struct conf_server servers[SERVERS];
    struct conf_route routes[3];
    struct conf_listen listen[1];
    struct conf_certificate certificates[2];
    struct slots *slots;
    struct roster *roster;
    struct stats *stats;
    struct health_table *health;
    struct verdict_table *verdicts; /* in it */
    struct report_view view;
};

static inline struct conf_server world_server(const char *name, const char *slot_name, const char *region,
                                              enum conf_tier tier)
{
    return (struct conf_server){.name = name,
                                .slot_name = slot_name,
                                .region = region,
                                .tier = tier,
                                .weight = 1,
                                .url = {.text = "ws://192.0.2.1:4000"},
                                .check = {.type = CHECK_HTTP, .rise = 2, .fall = 3}};
}

static inline void world_row(struct world *w, int row, enum role role, uint32_t index)
{
    struct roster_row *r = &w->roster->row[row];

    r->role = role;
    r->index = index;
    atomic_store(&r->pid, 1000 + row);
    atomic_store(&r->started_wall_ms, START_MS);
    atomic_store(&r->conf_generation, 1);
    atomic_store(&r->state, ROSTER_READY);
}

static inline int world_slot(struct world *w, int server)
{
    return slots_find(w->slots, SLOT_SERVER, w->servers[server].slot_name);
}

static inline void world_verdict_full(struct world *w, int server, const struct verdict *v, const char *cause)
{
    struct verdict_detail d = {.since_wall_ms = NOW_MS - 5000, .last_probe_wall_ms = NOW_MS - 400, .latency_us = 1500};

    strncpy(d.cause, cause, sizeof d.cause - 1);
    verdict_write(w->verdicts, world_slot(w, server), v, &d);
}

static inline void world_verdict(struct world *w, int server, enum verdict_state state, const char *cause)
{
    world_verdict_full(w, server, &(struct verdict){.state = state}, cause);
}

/* Two certificates on the listener; the second has the same name and ends after `left_ms`. */
static inline void world_certificates(struct world *w, int64_t left_ms)
{
    struct tls_certificate_info info = {
        .names = "edge.example", .not_before_ms = START_MS, .not_after_ms = NOW_MS + INT64_C(90) * 86400000};

    w->certificates[0].info = info;
    w->certificates[1].info = info;
    w->certificates[1].info.not_after_ms = NOW_MS + left_ms;
    w->listen[0].tls.certificates = w->certificates;
    w->listen[0].tls.certificate_count = 2;
}

static inline void world_conf(struct world *w)
{
    w->servers[US_A] = world_server("us-a", "realtime/us-a", "us", TIER_PRIMARY);
    w->servers[US_B] = world_server("us-b", "realtime/us-b", "us", TIER_PRIMARY);
    w->servers[EU_A] = world_server("eu-a", "realtime/eu-a", "eu", TIER_BACKUP);
    w->servers[STATIC] = world_server("static", "realtime/static", "any", TIER_EMERGENCY);
    w->servers[API_A] = world_server("us-api", "api/us-api", "us", TIER_PRIMARY);
    w->pools[0] = (struct conf_pool){.name = "realtime", .servers = &w->servers[US_A], .server_count = 4};
    w->pools[1] = (struct conf_pool){.name = "api", .servers = &w->servers[API_A], .server_count = 1};
    w->routes[0] = (struct conf_route){.name = "/socket/", .host = "", .path = "/socket/", .pool = 0};
    w->routes[1] = (struct conf_route){.name = "/mqtt", .host = "", .path = "/mqtt", .pool = 0};
    w->routes[2] = (struct conf_route){.name = "/", .host = "", .path = "/", .pool = 1};
    w->listen[0] = (struct conf_listen){.text = "0.0.0.0:80"};
    w->conf = (struct conf){
        .magic = CONF_MAGIC,
        .refs = 1,
        .path = "/etc/tidegate/tidegate.yaml",
        .node = {.name = "fra-1", .region = "eu"},
        .workers = 2,
        .admin = {.text = "127.0.0.1:9180"},
        .health = {.path = "", .certificate_warning_ms = INT64_C(14) * 86400000},
        .listen = w->listen,
        .listen_count = 1,
        .pools = w->pools,
        .pool_count = 2,
        .routes = w->routes,
        .route_count = 3,
    };
}

/* Everything up, everybody ready, the checker just heard. */
static inline int world_setup(void **state)
{
    struct world *w = mem_alloc(sizeof *w);

    w->slots = mem_alloc(sizeof *w->slots);
    w->roster = mem_alloc(sizeof *w->roster);
    w->stats = mem_alloc(sizeof *w->stats);
    w->health = mem_alloc(sizeof *w->health);
    w->verdicts = &w->health->verdicts;
    slots_init(w->slots);
    stats_init(w->stats);
    health_table_init(w->health);
    world_conf(w);
    for (int i = 0; i < SERVERS; i++) {
        assert_true(slots_claim(w->slots, SLOT_SERVER, w->servers[i].slot_name, NULL) >= 0);
        world_verdict(w, i, VERDICT_UP, "");
    }
    for (size_t i = 0; i < 3; i++)
        assert_true(slots_claim(w->slots, SLOT_ROUTE, w->routes[i].name, NULL) >= 0);
    w->roster->magic = ROSTER_MAGIC;
    atomic_store(&w->roster->started_wall_ms, START_MS);
    atomic_store(&w->roster->conf_generation, 1);
    atomic_store(&w->roster->conf_loaded_wall_ms, START_MS);
    atomic_store(&w->roster->reload_ok, 1);
    world_row(w, 0, ROLE_SUPERVISOR, 0);
    world_row(w, 1, ROLE_WORKER, 0);
    world_row(w, 2, ROLE_WORKER, 1);
    world_row(w, 3, ROLE_CHECKER, 0);
    world_row(w, 4, ROLE_ADMIN, 0);
    verdict_heartbeat(w->verdicts, NOW_MS - 200);
    w->view = (struct report_view){.conf = &w->conf,
                                   .slots = w->slots,
                                   .roster = w->roster,
                                   .stats = w->stats,
                                   .verdicts = w->verdicts,
                                   .steering = &w->health->steering,
                                   .wall_ms = NOW_MS};
    *state = w;
    return 0;
}

static inline int world_teardown(void **state)
{
    struct world *w = *state;

    mem_free(w->slots);
    mem_free(w->roster);
    mem_free(w->stats);
    mem_free(w->health);
    mem_free(w);
    return 0;
}

/* Parses what a report wrote, strictly (whole text, no duplicate members), and empties the buffer. json_decref. */
static inline json_t *world_parse(struct strbuf *out)
{
    json_error_t error;
    json_t *j;

    assert_false(out->failed);
    j = json_loadb(out->data, out->len, JSON_REJECT_DUPLICATES, &error);
    if (j == NULL)
        fail_msg("not JSON at byte %d: %s: %s", error.position, error.text, out->data);
    strbuf_clear(out);
    return j;
}

/* The string under a path such as "routes.0.tier"; NULL when it is null or not there. */
static inline json_t *at(json_t *j, const char *path)
{
    char copy[128], *rest = copy;
    const char *step;

    strncpy(copy, path, sizeof copy - 1);
    copy[sizeof copy - 1] = '\0';
    while (j != NULL && (step = strsep(&rest, ".")) != NULL)
        j = json_is_array(j) ? json_array_get(j, (size_t)atoi(step)) : json_object_get(j, step);
    return j;
}

static inline void assert_text(json_t *j, const char *path, const char *expected)
{
    const char *text = json_string_value(at(j, path));

    if (text == NULL)
        fail_msg("%s is no string, expected %s", path, expected);
    assert_string_equal(text, expected);
}

static inline void assert_number(json_t *j, const char *path, long long expected)
{
    if (!json_is_integer(at(j, path)))
        fail_msg("%s is no integer, expected %lld", path, expected);
    assert_int_equal(json_integer_value(at(j, path)), expected);
}

#endif
