/* The two short answers: /health, for monitors, DNS and other gateways, and /readyz, for whoever sends traffic here.
 * Both print an assessment; neither judges anything itself, except that readiness also asks which configuration each
 * process runs. */
#include <inttypes.h>

#include "gateway/report/assess.h"
#include "gateway/report/json.h"

#define HTTP_OK          200
#define HTTP_UNAVAILABLE 503

static void add_route(struct json *j, const struct conf_route *r, const struct pool_standing *p)
{
    json_object_begin(j, NULL);
    json_str(j, "route", r->name);
    json_str(j, "pool", p->pool->name);
    json_str(j, "status", grade_text(p->grade));
    json_str(j, "tier", pool_tier_text(p));
    json_object_end(j);
}

static void add_pool(struct json *j, const struct pool_standing *p)
{
    json_object_begin(j, NULL);
    json_str(j, "pool", p->pool->name);
    json_str(j, "status", grade_text(p->grade));
    json_str(j, "tier", pool_tier_text(p));
    json_uint(j, "servers", p->pool->server_count);
    json_uint(j, "up", p->up_count);
    json_uint(j, "down", p->down_count);
    json_uint(j, "unknown", p->unknown_count);
    json_uint(j, "draining", p->draining_count);
    json_object_end(j);
}

static void add_name(struct json *j, const struct report_view *v, const struct assessment *a,
                     const struct conf_dns_record *r)
{
    const struct steering_row *row = dns_row(a, r);
    char name[DNS_TEXT_BYTES];
    const bool is_well = row != NULL && !row->is_last_resort && !row->is_draining;

    json_object_begin(j, NULL);
    json_str(j, "name", steered_name_text(v->conf, r, name));
    json_str(j, "status", grade_text(is_well ? GRADE_OK : GRADE_DEGRADED));
    json_bool(j, "last_resort", row != NULL && row->is_last_resort);
    json_array_begin(j, "answers");
    for (size_t i = 0; row != NULL && i < r->answer_count; i++)
        if ((row->chosen & 1u << i) != 0)
            json_str(j, NULL, dns_answer_text(&r->answers[i]));
    json_array_end(j);
    json_object_end(j);
}

/* Of what is configured only. */
static void add_dns(struct json *j, const struct report_view *v, const struct assessment *a)
{
    const struct conf_dns *dns = &v->conf->dns;

    if (v->conf->target_count > 0) {
        json_array_begin(j, "targets");
        for (size_t i = 0; i < v->conf->target_count; i++) {
            json_object_begin(j, NULL);
            json_str(j, "target", a->targets[i].server->name);
            json_str(j, "state", verdict_state_text(a->targets[i].verdict.state));
            json_bool(j, "draining", a->targets[i].is_draining);
            json_object_end(j);
        }
        json_array_end(j);
    }
    if (a->record != NULL && dns_is_configured(v->conf)) {
        json_array_begin(j, "dns");
        for (size_t i = 0; i < dns->record_count; i++)
            if (dns->records[i].answer_count > 0)
                add_name(j, v, a, &dns->records[i]);
        json_array_end(j);
    }
    if (a->fleet != NULL) {
        json_object_begin(j, "quorum");
        json_str(j, "role", steering_role_text((enum steering_role)a->record->role));
        json_bool(j, "connected", a->fleet->is_connected != 0);
        json_uint(j, "peers", a->fleet->peer_count);
        json_object_end(j);
    }
}

int report_health_json(const struct report_view *v, struct strbuf *out)
{
    struct assessment a;
    struct json j;
    enum grade grade;

    assess_init(&a, v);
    json_init(&j, out);
    json_object_begin(&j, NULL);
    json_str(&j, "status", grade_text(a.grade));
    json_str(&j, "node", v->conf->node.name);
    json_str(&j, "region", v->conf->node.region);
    json_array_begin(&j, "reasons");
    json_raw(&j, NULL, a.reasons.data, a.reasons.len);
    json_array_end(&j);
    json_array_begin(&j, "routes");
    for (size_t i = 0; i < v->conf->route_count; i++)
        add_route(&j, &v->conf->routes[i], &a.pools[v->conf->routes[i].pool]);
    json_array_end(&j);
    json_array_begin(&j, "pools");
    for (size_t i = 0; i < v->conf->pool_count; i++)
        add_pool(&j, &a.pools[i]);
    json_array_end(&j);
    add_dns(&j, v, &a);
    json_object_end(&j);
    strbuf_puts(out, "\n");
    grade = a.grade;
    assess_fini(&a);
    return grade == GRADE_DOWN ? HTTP_UNAVAILABLE : HTTP_OK;
}

/* What keeps one process from being ready. A worker that a reload made superfluous drains, which is as it should be;
 * one that is still wanted drains because the whole gateway does. */
static void find_unready(struct assessment *a, const struct report_view *v, const struct roster_row *row)
{
    enum roster_state state = (enum roster_state)atomic_load(&row->state);
    uint64_t wanted = atomic_load(&v->roster->conf_generation);
    uint64_t confirmed = atomic_load(&row->conf_generation);
    const char *role = role_name((enum role)row->role);

    if (row->role == ROLE_WORKER && row->index >= conf_worker_count(v->conf) && state == ROSTER_DRAINING)
        return;
    if (state != ROSTER_READY)
        assess_find(a, GRADE_DOWN, "%s %" PRIu32 " is %s", role, row->index, roster_state_text(state));
    else if (row->role != ROLE_SUPERVISOR && confirmed != wanted)
        assess_find(a, GRADE_DOWN, "%s %" PRIu32 " runs configuration %" PRIu64 " instead of %" PRIu64, role,
                    row->index, confirmed, wanted);
}

int report_ready_json(const struct report_view *v, struct strbuf *out)
{
    const struct roster_row *row;
    struct assessment health, unready = {.grade = GRADE_OK};
    size_t cursor = 0;
    struct json j;
    bool is_ready;

    assess_init(&health, v);
    strbuf_init(&unready.reasons, health.reasons.max_bytes);
    while ((row = roster_next(v->roster, &cursor)) != NULL)
        find_unready(&unready, v, row);
    for (int i = 0; i < ROLE_COUNT; i++)
        if (health.roles[i].ready_count < health.roles[i].expected_count)
            assess_find(&unready, GRADE_DOWN, "%" PRIu32 " of %" PRIu32 " %s processes ready",
                        health.roles[i].ready_count, health.roles[i].expected_count, role_name((enum role)i));
    is_ready = unready.grade == GRADE_OK;
    json_init(&j, out);
    json_object_begin(&j, NULL);
    json_bool(&j, "ready", is_ready);
    json_array_begin(&j, "reasons");
    json_raw(&j, NULL, unready.reasons.data, unready.reasons.len);
    json_array_end(&j);
    json_object_end(&j);
    strbuf_puts(out, "\n");
    strbuf_fini(&unready.reasons);
    assess_fini(&health);
    return is_ready ? HTTP_OK : HTTP_UNAVAILABLE;
}
