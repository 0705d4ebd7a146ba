/* Prometheus text format 0.0.4. The format wants all samples of a family in one block under its HELP and TYPE, while
 * our tables are kept per object, so everything here is a loop over families with a loop over objects inside.
 *
 * Names follow the Prometheus conventions: base units, `_total` for counters, `_info` for constants, and one family
 * with a label where the internal tables keep a cell for each direction. */
#include <inttypes.h>
#include <stdio.h>

#include "gateway/report/metrics_print.h"

/* ---- the gateway ---- */

static void print_build_info(const struct printer *p)
{
    metric_uint(p, LABELS({"version", TIDEGATE_VERSION}, {"node", p->v->conf->node.name}), 1);
}

static void print_start_time(const struct printer *p)
{
    metric_seconds(p, NULL, atomic_load(&p->v->roster->started_wall_ms));
}

static void print_health(const struct printer *p)
{
    for (int g = GRADE_OK; g <= GRADE_DOWN; g++)
        metric_uint(p, LABELS({"status", grade_text((enum grade)g)}), p->a->grade == (enum grade)g);
}

static void print_generation(const struct printer *p)
{
    metric_uint(p, NULL, atomic_load(&p->v->roster->conf_generation));
}

static void print_reload_ok(const struct printer *p)
{
    metric_uint(p, NULL, atomic_load(&p->v->roster->reload_ok) != 0);
}

static void print_reload_time(const struct printer *p)
{
    metric_seconds(p, NULL, atomic_load(&p->v->roster->conf_loaded_wall_ms));
}

static void print_reloads(const struct printer *p)
{
    metric_uint(p, NULL, atomic_load(&p->v->roster->reloads_total));
}

static void print_reloads_refused(const struct printer *p)
{
    metric_uint(p, NULL, atomic_load(&p->v->roster->reloads_refused_total));
}

static void print_heartbeat_age(const struct printer *p)
{
    if (p->a->heartbeat_age_ms >= 0)
        metric_seconds(p, NULL, p->a->heartbeat_age_ms);
}

/* ---- processes ---- */

typedef uint64_t process_value_fn(const struct printer *p, const struct roster_row *row);

static void each_process(const struct printer *p, process_value_fn *value)
{
    const struct roster_row *row;
    size_t cursor = 0;

    while ((row = roster_next(p->v->roster, &cursor)) != NULL) {
        char index[16];

        snprintf(index, sizeof index, "%" PRIu32, row->index);
        metric_uint(p, LABELS({"role", role_name((enum role)row->role)}, {"index", index}), value(p, row));
    }
}

static uint64_t process_up(const struct printer *p, const struct roster_row *row)
{
    enum roster_state state = (enum roster_state)atomic_load(&row->state);

    (void)p;
    return state == ROSTER_READY || state == ROSTER_DRAINING;
}

static uint64_t process_restarts(const struct printer *p, const struct roster_row *row)
{
    (void)p;
    return atomic_load(&row->restarts);
}

static uint64_t process_rss(const struct printer *p, const struct roster_row *row)
{
    return p->v->rss_bytes[row - p->v->roster->row];
}

static void print_process_up(const struct printer *p)
{
    each_process(p, process_up);
}

static void print_process_restarts(const struct printer *p)
{
    each_process(p, process_restarts);
}

static void print_process_rss(const struct printer *p)
{
    if (p->v->rss_bytes != NULL)
        each_process(p, process_rss);
}

/* ---- certificates ---- */

/* The place in the listener's list keeps two of the same names apart. */
static void print_certificate_expiry(const struct printer *p)
{
    for (size_t i = 0; i < p->v->conf->listen_count; i++) {
        const struct conf_listen *l = &p->v->conf->listen[i];

        for (size_t k = 0; k < l->tls.certificate_count; k++) {
            char index[24];

            snprintf(index, sizeof index, "%zu", k);
            metric_seconds(p,
                           LABELS({"listen", l->text}, {"index", index}, {"name", l->tls.certificates[k].info.names}),
                           l->tls.certificates[k].info.not_after_ms);
        }
    }
}

/* ---- pools, routes, servers ---- */

/* clang-format off */
#define SERVER_LABELS(s)                                                                                               \
    {"pool", (s)->pool->name}, {"server", (s)->server->name}, {"region", (s)->server->region},                         \
    {"tier", conf_tier_text((s)->server->tier)}
/* clang-format on */

static void print_pool_tier(const struct printer *p)
{
    for (size_t i = 0; i < p->v->conf->pool_count; i++) {
        const struct pool_standing *pool = &p->a->pools[i];

        for (int t = TIER_PRIMARY; t < TIER_COUNT; t++)
            metric_uint(p, LABELS({"pool", pool->pool->name}, {"tier", conf_tier_text((enum conf_tier)t)}),
                        pool->is_served && pool->tier == (enum conf_tier)t);
    }
}

static void print_route_up(const struct printer *p)
{
    for (size_t i = 0; i < p->v->conf->route_count; i++) {
        const struct pool_standing *pool = &p->a->pools[p->v->conf->routes[i].pool];

        metric_uint(p, LABELS({"route", p->v->conf->routes[i].name}, {"pool", pool->pool->name}), pool->is_served);
    }
}

static void print_server_up(const struct printer *p)
{
    for (size_t i = 0; i < p->a->server_count; i++) {
        const struct server_standing *s = &p->a->servers[i];

        metric_uint(p, LABELS(SERVER_LABELS(s)), s->verdict.state != VERDICT_DOWN);
    }
}

static void print_server_state(const struct printer *p)
{
    static const enum verdict_state states[] = {VERDICT_UNKNOWN, VERDICT_UP, VERDICT_DOWN};

    for (size_t i = 0; i < p->a->server_count; i++) {
        const struct server_standing *s = &p->a->servers[i];

        for (size_t k = 0; k < sizeof states / sizeof states[0]; k++)
            metric_uint(p, LABELS(SERVER_LABELS(s), {"state", verdict_state_text(states[k])}),
                        s->verdict.state == states[k]);
    }
}

static void print_server_draining(const struct printer *p)
{
    for (size_t i = 0; i < p->a->server_count; i++) {
        const struct server_standing *s = &p->a->servers[i];

        metric_uint(p, LABELS(SERVER_LABELS(s)), s->is_draining);
    }
}

static void print_server_forced(const struct printer *p)
{
    for (size_t i = 0; i < p->a->server_count; i++) {
        const struct server_standing *s = &p->a->servers[i];

        metric_uint(p, LABELS(SERVER_LABELS(s)), s->verdict.is_forced);
    }
}

static void print_server_degraded(const struct printer *p)
{
    for (size_t i = 0; i < p->a->server_count; i++) {
        const struct server_standing *s = &p->a->servers[i];

        metric_uint(p, LABELS(SERVER_LABELS(s)), s->verdict.is_degraded);
    }
}

static void print_server_latency(const struct printer *p)
{
    for (size_t i = 0; i < p->a->server_count; i++) {
        const struct server_standing *s = &p->a->servers[i];

        metric_probe(p, LABELS(SERVER_LABELS(s)), s->slot);
    }
}

/* ---- closes and answers: cells that never counted are left out ---- */

static void print_closes(const struct printer *p)
{
    for (int by = 0; by < CLOSED_BY_COUNT; by++)
        for (uint32_t row = 0; row < STATS_CODE_COUNT; row++) {
            uint64_t count = stats_sum_closes(p->v->stats, (enum closed_by)by, row);
            const char *code = stats_code_text(row);

            if (code != NULL && count > 0)
                metric_uint(p, LABELS({"by", closed_by_text((enum closed_by)by)}, {"code", code}), count);
        }
}

static void print_responses(const struct printer *p)
{
    for (uint32_t status = 0; status < STATS_STATUS_COUNT; status++) {
        uint64_t count = stats_sum_responses(p->v->stats, status);
        char text[16];

        if (count == 0)
            continue;
        snprintf(text, sizeof text, "%" PRIu32, status);
        metric_uint(p, LABELS({"status", text}), count);
    }
}

/* clang-format off */
static const struct family families[] = {
    {"build_info", "gauge", "Constant 1; version and node as labels", print_build_info},
    {"start_time_seconds", "gauge", "When the gateway started, Unix time", print_start_time},
    {"health", "gauge", "1 for the status that /health reports", print_health},
    {"config_generation", "gauge", "Number of the configuration in use", print_generation},
    {"config_last_reload_successful", "gauge", "Whether the last reload was accepted", print_reload_ok},
    {"config_last_reload_success_timestamp_seconds", "gauge", "When the configuration in use was loaded, Unix time", print_reload_time},
    {"config_reloads_total", "counter", "Reloads asked for", print_reloads},
    {"config_reloads_refused_total", "counter", "Reloads refused because of a bad configuration", print_reloads_refused},
    {"checker_heartbeat_age_seconds", "gauge", "Time since the checker last said it lives", print_heartbeat_age},
    {"process_up", "gauge", "Whether the process is running and ready or draining", print_process_up},
    {"process_restarts_total", "counter", "Times the process was restarted", print_process_restarts},
    {"process_resident_memory_bytes", "gauge", "Resident memory of the process, shared tables included", print_process_rss},
    {"certificate_expiry_timestamp_seconds", "gauge", "When the certificate of a listener ends", print_certificate_expiry},
    {"pool_tier", "gauge", "1 for the tier that takes the pool's new clients", print_pool_tier},
    {"route_up", "gauge", "Whether the route can be served", print_route_up},
    {"server_up", "gauge", "0 when the server is known to be down", print_server_up},
    {"server_state", "gauge", "1 for the state the checker gave the server", print_server_state},
    {"server_draining", "gauge", "Whether the server takes no new clients on somebody's wish", print_server_draining},
    {"server_forced", "gauge", "Whether an operator says what the server counts as", print_server_forced},
    {"server_degraded", "gauge", "Whether the server is up but slow, or its certificate ends soon", print_server_degraded},
    {"server_probe_duration_seconds", "gauge", "Duration of the last successful probe", print_server_latency},
    {"ws_closed_total", "counter", "WebSockets ended, by who ended them and close code", print_closes},
    {"responses_total", "counter", "Answers the gateway itself gave, by HTTP status", print_responses},
};

/* Cells that are one family with a label; the first one prints the family, the second is passed over. */
static const struct merged {
    enum stat_route up, down;
    const char *name;
    const char *help;
} merged_routes[] = {
    {STAT_ROUTE_UP_MESSAGES, STAT_ROUTE_DOWN_MESSAGES, "ws_messages_total", "WebSocket messages relayed; up is towards the servers"},
    {STAT_ROUTE_UP_BYTES, STAT_ROUTE_DOWN_BYTES, "ws_bytes_total", "WebSocket bytes relayed, frame headers included; up is towards the servers"},
};
/* clang-format on */

static const char *stat_type(enum stat_kind kind)
{
    return kind == STAT_GAUGE ? "gauge" : "counter";
}

static void print_process_table(struct printer *p)
{
    for (int i = 0; i < STAT_PROCESS_COUNT; i++) {
        const struct stat_info *info = &stat_process_info[i];

        p->family = info->name;
        metric_head(p, stat_type(info->kind), info->help);
        metric_cell(p, NULL, info->kind, stats_sum_process(p->v->stats, (enum stat_process)i));
    }
}

/* The samples of one cell of the route table; `direction` NULL: the cell is a family of its own. */
static void each_route(const struct printer *p, enum stat_route id, const char *direction)
{
    for (size_t i = 0; i < p->v->conf->route_count; i++) {
        const struct conf_route *r = &p->v->conf->routes[i];
        struct label labels[] = {{"route", r->name}, {direction != NULL ? "direction" : NULL, direction}, {NULL, NULL}};

        if (p->a->route_slots[i] >= 0)
            metric_cell(p, labels, stat_route_info[id].kind, stats_sum_route(p->v->stats, p->a->route_slots[i], id));
    }
}

static bool print_merged(struct printer *p, enum stat_route id)
{
    for (size_t i = 0; i < sizeof merged_routes / sizeof merged_routes[0]; i++) {
        const struct merged *m = &merged_routes[i];

        if (id != m->up && id != m->down)
            continue;
        if (id == m->up) {
            p->family = m->name;
            metric_head(p, stat_type(stat_route_info[id].kind), m->help);
            each_route(p, m->up, "up");
            each_route(p, m->down, "down");
        }
        return true;
    }
    return false;
}

static void print_route_table(struct printer *p)
{
    for (int i = 0; i < STAT_ROUTE_COUNT; i++) {
        const struct stat_info *info = &stat_route_info[i];

        if (stat_route_is_session((enum stat_route)i) || print_merged(p, (enum stat_route)i))
            continue;
        p->family = info->name;
        metric_head(p, stat_type(info->kind), info->help);
        each_route(p, (enum stat_route)i, NULL);
    }
}

static void print_server_table(struct printer *p)
{
    for (int i = 0; i < STAT_SERVER_COUNT; i++) {
        const struct stat_info *info = &stat_server_info[i];

        p->family = info->name;
        metric_head(p, stat_type(info->kind), info->help);
        for (size_t k = 0; k < p->a->server_count; k++) {
            const struct server_standing *s = &p->a->servers[k];

            if (s->slot >= 0)
                metric_cell(p, LABELS(SERVER_LABELS(s)), info->kind,
                            stats_sum_server(p->v->stats, s->slot, (enum stat_server)i));
        }
    }
}

void report_metrics_text(const struct report_view *v, struct strbuf *out)
{
    struct assessment a;
    struct printer p = {.v = v, .a = &a, .out = out};

    assess_init(&a, v);
    metric_families(&p, families, sizeof families / sizeof families[0]);
    metrics_dns(&p);
    print_process_table(&p);
    print_route_table(&p);
    metrics_sessions(&p);
    print_server_table(&p);
    assess_fini(&a);
}
