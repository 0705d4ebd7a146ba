/* The long answer: everything there is to show, as one JSON object, for tidegatectl and whoever draws it. Counters
 * appear by walking the tables of base/stats.h, so that a new row shows up here by itself. */
#include <string.h>

#include "base/assert.h"
#include "gateway/report/status_priv.h"

#define KEY_BYTES 64u

/* Age of a moment; null when it never was. */
void status_add_age(struct json *j, const char *key, int64_t now_ms, int64_t then_ms)
{
    if (then_ms <= 0)
        json_str(j, key, NULL);
    else
        json_int(j, key, now_ms > then_ms ? now_ms - then_ms : 0);
}

void status_add_stat(struct json *j, const struct stat_info *info, const char *scope, uint64_t value)
{
    static const char total[] = "_total";
    const char *name = info->name;
    char key[KEY_BYTES];
    size_t len;

    if (strncmp(name, scope, strlen(scope)) == 0)
        name += strlen(scope);
    len = strlen(name);
    if (len > sizeof total - 1 && strcmp(name + len - (sizeof total - 1), total) == 0)
        len -= sizeof total - 1;
    if (info->kind == STAT_MICROSECONDS)
        len -= strlen("_seconds");
    ASSERT(len + sizeof "_us" <= sizeof key);
    memcpy(key, name, len);
    memcpy(key + len, info->kind == STAT_MICROSECONDS ? "_us" : "", info->kind == STAT_MICROSECONDS ? 4 : 1);
    if (info->kind == STAT_GAUGE)
        json_int(j, key, (int64_t)value);
    else
        json_uint(j, key, value);
}

static void add_head(struct json *j, const struct report_view *v, const struct assessment *a)
{
    int64_t started_ms = atomic_load(&v->roster->started_wall_ms);

    json_str(j, "status", grade_text(a->grade));
    json_array_begin(j, "reasons");
    json_raw(j, NULL, a->reasons.data, a->reasons.len);
    json_array_end(j);
    json_object_begin(j, "node");
    json_str(j, "name", v->conf->node.name);
    json_str(j, "region", v->conf->node.region);
    json_object_end(j);
    json_str(j, "version", TIDEGATE_VERSION);
    json_time(j, "now", v->wall_ms);
    json_time(j, "started", started_ms);
    status_add_age(j, "uptime_ms", v->wall_ms, started_ms);
}

static void add_config(struct json *j, const struct report_view *v)
{
    const struct roster *r = v->roster;
    int64_t loaded_ms = atomic_load(&r->conf_loaded_wall_ms);

    json_object_begin(j, "config");
    json_str(j, "path", v->conf->path);
    json_uint(j, "generation", atomic_load(&r->conf_generation));
    json_time(j, "loaded", loaded_ms);
    status_add_age(j, "loaded_age_ms", v->wall_ms, loaded_ms);
    json_bool(j, "last_reload_ok", atomic_load(&r->reload_ok) != 0);
    json_uint(j, "reloads", atomic_load(&r->reloads_total));
    json_uint(j, "reloads_refused", atomic_load(&r->reloads_refused_total));
    json_object_end(j);
}

static void add_checker(struct json *j, const struct report_view *v, const struct assessment *a)
{
    int64_t heartbeat_ms = atomic_load(&v->verdicts->heartbeat_wall_ms);

    json_object_begin(j, "checker");
    json_time(j, "heartbeat", heartbeat_ms);
    if (a->heartbeat_age_ms < 0)
        json_str(j, "heartbeat_age_ms", NULL);
    else
        json_int(j, "heartbeat_age_ms", a->heartbeat_age_ms);
    json_bool(j, "stale", verdict_is_stale(v->verdicts, v->wall_ms));
    json_object_end(j);
}

static void add_process(struct json *j, const struct report_view *v, const struct roster_row *row)
{
    int64_t started_ms = atomic_load(&row->started_wall_ms);
    uint64_t rss_bytes = v->rss_bytes != NULL ? v->rss_bytes[row - v->roster->row] : 0;

    json_object_begin(j, NULL);
    json_str(j, "role", role_name((enum role)row->role));
    json_uint(j, "index", row->index);
    json_int(j, "pid", atomic_load(&row->pid));
    json_str(j, "state", roster_state_text((enum roster_state)atomic_load(&row->state)));
    json_uint(j, "restarts", atomic_load(&row->restarts));
    json_time(j, "started", started_ms);
    status_add_age(j, "uptime_ms", v->wall_ms, started_ms);
    json_uint(j, "conf_generation", atomic_load(&row->conf_generation));
    if (rss_bytes > 0)
        json_uint(j, "rss_bytes", rss_bytes);
    json_object_end(j);
}

static void add_listener(struct json *j, const char *address, const char *serves)
{
    if (address[0] == '\0')
        return;
    json_object_begin(j, NULL);
    json_str(j, "address", address);
    json_str(j, "serves", serves);
    json_object_end(j);
}

static void add_certificates(struct json *j, const struct report_view *v)
{
    json_array_begin(j, "certificates");
    for (size_t i = 0; i < v->conf->listen_count; i++) {
        const struct conf_listen *l = &v->conf->listen[i];

        for (size_t k = 0; k < l->tls.certificate_count; k++) {
            const struct tls_certificate_info *info = &l->tls.certificates[k].info;

            json_object_begin(j, NULL);
            json_str(j, "listen", l->text);
            json_str(j, "names", info->names);
            json_time(j, "not_before", info->not_before_ms);
            json_time(j, "not_after", info->not_after_ms);
            json_int(j, "left_ms", info->not_after_ms - v->wall_ms);
            json_object_end(j);
        }
    }
    json_array_end(j);
}

static void add_processes_and_listeners(struct json *j, const struct report_view *v)
{
    const struct roster_row *row;
    size_t cursor = 0;

    json_array_begin(j, "processes");
    while ((row = roster_next(v->roster, &cursor)) != NULL)
        add_process(j, v, row);
    json_array_end(j);
    json_array_begin(j, "listeners");
    for (size_t i = 0; i < v->conf->listen_count; i++)
        add_listener(j, v->conf->listen[i].text, "clients");
    add_listener(j, v->conf->admin.text, "admin");
    json_array_end(j);
}

void status_add_verdict(struct json *j, const struct report_view *v, const struct server_standing *s)
{
    struct verdict_detail d = {.since_wall_ms = 0};

    if (s->slot >= 0 && !verdict_read_detail(v->verdicts, s->slot, &d))
        d = (struct verdict_detail){.since_wall_ms = 0};
    d.cause[VERDICT_CAUSE_BYTES - 1] = '\0';
    json_str(j, "state", verdict_state_text(s->verdict.state));
    json_bool(j, "draining", s->is_draining);
    json_bool(j, "forced", s->verdict.is_forced);
    json_bool(j, "degraded", s->verdict.is_degraded);
    json_bool(j, "degraded_by_latency", (d.degraded & VERDICT_DEGRADED_SLOW) != 0);
    json_bool(j, "degraded_by_certificate", (d.degraded & VERDICT_DEGRADED_CERTIFICATE) != 0);
    json_str(j, "probed",
             verdict_state_text(d.probed <= VERDICT_DOWN ? (enum verdict_state)d.probed : VERDICT_UNKNOWN));
    json_str(j, "held_by", d.held != VERDICT_FREE ? verdict_held_text((enum verdict_held)d.held) : NULL);
    json_bool(j, "drained_by_operator", d.is_operator_drain != 0);
    json_time(j, "certificate_ends", d.certificate_ends_wall_ms);
    json_time(j, "since", d.since_wall_ms);
    status_add_age(j, "since_age_ms", v->wall_ms, d.since_wall_ms);
    json_str(j, "cause", d.cause[0] != '\0' ? d.cause : NULL);
    json_time(j, "last_probe", d.last_probe_wall_ms);
    status_add_age(j, "last_probe_age_ms", v->wall_ms, d.last_probe_wall_ms);
    json_uint(j, "latency_us", d.latency_us);
    json_uint(j, "latency_mean_us", d.latency_mean_us);
    json_uint(j, "latency_p95_us", d.latency_p95_us);
    json_uint(j, "successes_in_row", d.successes_in_row);
    json_uint(j, "failures_in_row", d.failures_in_row);
    json_uint(j, "checks_left", s->verdict.checks_left);
    json_uint(j, "rise", s->server->check.rise);
    json_uint(j, "fall", s->server->check.fall);
}

static void add_server(struct json *j, const struct report_view *v, const struct server_standing *s)
{
    json_object_begin(j, NULL);
    json_str(j, "name", s->server->name);
    json_str(j, "url", s->server->url.text);
    json_str(j, "region", s->server->region);
    json_str(j, "tier", conf_tier_text(s->server->tier));
    json_uint(j, "weight", s->server->weight);
    json_uint(j, "max_connections", s->server->max_connections);
    status_add_verdict(j, v, s);
    for (int i = 0; i < STAT_SERVER_COUNT; i++)
        status_add_stat(j, &stat_server_info[i], "server_",
                        s->slot < 0 ? 0 : stats_sum_server(v->stats, s->slot, (enum stat_server)i));
    json_object_end(j);
}

static void add_pools(struct json *j, const struct report_view *v, const struct assessment *a)
{
    json_array_begin(j, "pools");
    for (size_t i = 0; i < v->conf->pool_count; i++) {
        const struct pool_standing *p = &a->pools[i];

        json_object_begin(j, NULL);
        json_str(j, "name", p->pool->name);
        json_str(j, "status", grade_text(p->grade));
        json_str(j, "tier", pool_tier_text(p));
        json_bool(j, "failing_open", p->is_failing_open);
        json_str(j, "balance", conf_balance_text(p->pool->balance));
        json_array_begin(j, "servers");
        for (size_t k = 0; k < p->pool->server_count; k++)
            add_server(j, v, &p->servers[k]);
        json_array_end(j);
        json_object_end(j);
    }
    json_array_end(j);
}

static void add_routes(struct json *j, const struct report_view *v, const struct assessment *a)
{
    json_array_begin(j, "routes");
    for (size_t i = 0; i < v->conf->route_count; i++) {
        const struct conf_route *r = &v->conf->routes[i];
        int slot = a->route_slots[i];

        json_object_begin(j, NULL);
        json_str(j, "name", r->name);
        json_str(j, "host", r->host);
        json_str(j, "path", r->path);
        json_str(j, "pool", a->pools[r->pool].pool->name);
        json_str(j, "status", grade_text(a->pools[r->pool].grade));
        json_str(j, "tier", pool_tier_text(&a->pools[r->pool]));
        for (int k = 0; k < STAT_ROUTE_COUNT; k++)
            if (!stat_route_is_session((enum stat_route)k))
                status_add_stat(j, &stat_route_info[k], "route_",
                                slot < 0 ? 0 : stats_sum_route(v->stats, slot, (enum stat_route)k));
        status_add_sessions(j, v, r, slot);
        json_object_end(j);
    }
    json_array_end(j);
}

static void add_close(struct json *j, const char *by, const char *code, uint64_t count)
{
    if (code == NULL || count == 0)
        return;
    json_object_begin(j, NULL);
    json_str(j, "by", by);
    json_str(j, "code", code);
    json_uint(j, "count", count);
    json_object_end(j);
}

static void add_totals(struct json *j, const struct report_view *v)
{
    json_object_begin(j, "totals");
    for (int i = 0; i < STAT_PROCESS_COUNT; i++)
        status_add_stat(j, &stat_process_info[i], "", stats_sum_process(v->stats, (enum stat_process)i));
    json_object_end(j);
    json_array_begin(j, "closes");
    for (int by = 0; by < CLOSED_BY_COUNT; by++)
        for (uint32_t row = 0; row < STATS_CODE_COUNT; row++)
            add_close(j, closed_by_text((enum closed_by)by), stats_code_text(row),
                      stats_sum_closes(v->stats, (enum closed_by)by, row));
    json_array_end(j);
    json_array_begin(j, "responses");
    for (uint32_t status = 0; status < STATS_STATUS_COUNT; status++) {
        uint64_t count = stats_sum_responses(v->stats, status);

        if (count == 0)
            continue;
        json_object_begin(j, NULL);
        json_uint(j, "status", status);
        json_uint(j, "count", count);
        json_object_end(j);
    }
    json_array_end(j);
}

void report_status_json(const struct report_view *v, struct strbuf *out)
{
    struct assessment a;
    struct json j;

    assess_init(&a, v);
    json_init(&j, out);
    json_object_begin(&j, NULL);
    add_head(&j, v, &a);
    add_config(&j, v);
    add_checker(&j, v, &a);
    add_processes_and_listeners(&j, v);
    add_certificates(&j, v);
    add_pools(&j, v, &a);
    status_add_dns(&j, v, &a);
    add_routes(&j, v, &a);
    add_totals(&j, v);
    json_object_end(&j);
    strbuf_puts(out, "\n");
    assess_fini(&a);
}
