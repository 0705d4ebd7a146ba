/* From raw words and counters to judgements. The hard part is being neither alarmist nor blind: unknown is not down,
 * draining is not a fault, a dead checker does not make the verdicts wrong at once, and a pool that fails open does
 * serve; each of these has exactly one place below. */
#include "gateway/report/assess.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

#define DAY_MS            (INT64_C(24) * 3600 * 1000)
#define HOUR_MS           3600000
#define REASON_BYTES      512u
#define REASONS_BYTES_MAX (1u << 20) /* a sentence for every server, pool and route there can be */

static const char *const grade_texts[] = {[GRADE_OK] = "ok", [GRADE_DEGRADED] = "degraded", [GRADE_DOWN] = "down"};

const char *grade_text(enum grade g)
{
    return grade_texts[g];
}

void assess_find(struct assessment *a, enum grade g, const char *fmt, ...)
{
    size_t before_len = a->reasons.len;
    char text[REASON_BYTES];
    va_list ap;
    int len;

    va_start(ap, fmt);
    len = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    ASSERT(len >= 0);
    if ((size_t)len >= sizeof text)
        len = (int)sizeof text - 1;
    if (a->reasons.len > 0)
        strbuf_puts(&a->reasons, ",");
    strbuf_json_string(&a->reasons, text, (size_t)len);
    if (a->reasons.failed) /* full: the list ends after the last whole sentence */
        a->reasons.len = before_len;
    if (g > a->grade)
        a->grade = g;
}

const char *pool_tier_text(const struct pool_standing *p)
{
    return p->is_served ? conf_tier_text(p->tier) : NULL;
}

const struct roster_row *roster_next(const struct roster *r, size_t *cursor)
{
    while (*cursor < ROSTER_ROWS) {
        const struct roster_row *row = &r->row[(*cursor)++];
        enum roster_state state = (enum roster_state)atomic_load(&row->state);

        if (state != ROSTER_UNUSED && state != ROSTER_GONE && row->role < ROLE_COUNT)
            return row;
    }
    return NULL;
}

static void weigh_server(struct server_standing *s, const struct report_view *v, const struct conf_pool *pool,
                         const struct conf_server *server)
{
    s->pool = pool;
    s->server = server;
    s->slot = slots_find(v->slots, SLOT_SERVER, server->slot_name);
    if (s->slot >= 0)
        s->verdict = verdict_read(v->verdicts, s->slot);
    s->is_draining = server->drain || server->weight == 0 || s->verdict.is_draining;
}

static void count_server(struct pool_standing *p, const struct server_standing *s)
{
    if (s->is_draining)
        p->draining_count++;
    switch (s->verdict.state) {
    case VERDICT_UNKNOWN:
        p->unknown_count++;
        break;
    case VERDICT_UP:
        p->up_count++;
        break;
    case VERDICT_DOWN:
        p->down_count++;
        break;
    }
}

/* The best tier with a server that takes clients; with `accept_down`, verdicts do not count. */
static bool find_tier(struct pool_standing *p, bool accept_down)
{
    bool is_found = false;

    for (size_t i = 0; i < p->pool->server_count; i++) {
        const struct server_standing *s = &p->servers[i];

        if (s->is_draining || (s->verdict.state == VERDICT_DOWN && !accept_down))
            continue;
        if (!is_found || s->server->tier < p->tier)
            p->tier = s->server->tier;
        is_found = true;
    }
    return is_found;
}

static void weigh_pool(struct pool_standing *p, const struct report_view *v)
{
    p->tier_best = TIER_COUNT;
    for (size_t i = 0; i < p->pool->server_count; i++) {
        const struct conf_server *server = &p->pool->servers[i];

        weigh_server(&p->servers[i], v, p->pool, server);
        count_server(p, &p->servers[i]);
        if (server->tier < p->tier_best)
            p->tier_best = server->tier;
    }
    p->is_served = find_tier(p, false);
    if (!p->is_served && p->pool->fail_open) {
        p->is_failing_open = find_tier(p, true);
        p->is_served = p->is_failing_open;
    }
    if (!p->is_served)
        p->grade = GRADE_DOWN;
    else if (p->is_failing_open || p->tier > p->tier_best || p->down_count > 0)
        p->grade = GRADE_DEGRADED;
}

/* What it is called in a sentence. */
static const char *kind_text(const struct server_standing *s)
{
    return s->pool != NULL ? "server" : "target";
}

static const char *name_text(const struct server_standing *s)
{
    return s->pool != NULL ? s->server->slot_name : s->server->name;
}

/* A server that is up, but not as it should be. */
static void judge_degraded(struct assessment *a, const struct report_view *v, const struct server_standing *s,
                           const struct verdict_detail *d)
{
    int64_t left_ms = d->certificate_ends_wall_ms - v->wall_ms;

    if ((d->degraded & VERDICT_DEGRADED_SLOW) != 0)
        assess_find(a, GRADE_DEGRADED, "%s %s is slow, it answers in %" PRIu32 " ms on average", kind_text(s),
                    name_text(s), d->latency_mean_us / 1000);
    if ((d->degraded & VERDICT_DEGRADED_CERTIFICATE) != 0)
        assess_find(a, GRADE_DEGRADED, "the certificate of %s %s ends in %" PRId64 " hours", kind_text(s), name_text(s),
                    left_ms > 0 ? left_ms / HOUR_MS : 0);
}

static void judge_server(struct assessment *a, const struct report_view *v, const struct server_standing *s)
{
    struct verdict_detail detail;
    const char *cause = "";
    bool is_known = s->slot >= 0 && verdict_read_detail(v->verdicts, s->slot, &detail);

    if (is_known && s->verdict.is_degraded)
        judge_degraded(a, v, s, &detail);
    if (s->verdict.state != VERDICT_DOWN)
        return;
    if (s->verdict.is_forced)
        cause = "an operator says so";
    else if (is_known)
        cause = detail.cause;
    assess_find(a, GRADE_DEGRADED, "%s %s is down%s%.*s", kind_text(s), name_text(s), cause[0] != '\0' ? ": " : "",
                (int)sizeof detail.cause, cause);
}

static void judge_pool(struct assessment *a, const struct report_view *v, const struct pool_standing *p)
{
    for (size_t i = 0; i < p->pool->server_count; i++)
        judge_server(a, v, &p->servers[i]);
    if (!p->is_served)
        assess_find(a, GRADE_DEGRADED, "pool %s has no server that takes clients", p->pool->name);
    else if (p->is_failing_open)
        assess_find(a, GRADE_DEGRADED, "pool %s has no healthy server and fails open", p->pool->name);
    else if (p->tier > p->tier_best)
        assess_find(a, GRADE_DEGRADED, "pool %s is served by its %s tier", p->pool->name, conf_tier_text(p->tier));
}

static void weigh_pools(struct assessment *a, const struct report_view *v)
{
    const struct conf *c = v->conf;
    size_t next = 0;

    for (size_t i = 0; i < c->pool_count; i++)
        a->server_count += c->pools[i].server_count;
    a->pools = mem_alloc_array(c->pool_count + 1, sizeof *a->pools);
    a->servers = mem_alloc_array(a->server_count + 1, sizeof *a->servers);
    for (size_t i = 0; i < c->pool_count; i++) {
        struct pool_standing *p = &a->pools[i];

        p->pool = &c->pools[i];
        p->servers = &a->servers[next];
        next += p->pool->server_count;
        weigh_pool(p, v);
        judge_pool(a, v, p);
        for (size_t k = 0; k < p->pool->server_count; k++)
            a->has_checks = a->has_checks || p->pool->servers[k].check.type != CHECK_NONE;
    }
}

static void weigh_targets(struct assessment *a, const struct report_view *v)
{
    const struct conf *c = v->conf;

    a->targets = mem_alloc_array(c->target_count + 1, sizeof *a->targets);
    for (size_t i = 0; i < c->target_count; i++) {
        weigh_server(&a->targets[i], v, NULL, &c->targets[i]);
        judge_server(a, v, &a->targets[i]);
        a->has_checks = true;
    }
}

static void weigh_routes(struct assessment *a, const struct report_view *v)
{
    const struct conf *c = v->conf;

    a->route_slots = mem_alloc_array(c->route_count + 1, sizeof *a->route_slots);
    for (size_t i = 0; i < c->route_count; i++) {
        const struct conf_route *r = &c->routes[i];

        a->route_slots[i] = slots_find(v->slots, SLOT_ROUTE, r->name);
        if (!a->pools[r->pool].is_served)
            assess_find(a, GRADE_DOWN, "route %s cannot be served", r->name);
    }
}

static void weigh_processes(struct assessment *a, const struct report_view *v)
{
    const struct roster_row *row;
    size_t cursor = 0;

    a->roles[ROLE_WORKER].expected_count = conf_worker_count(v->conf);
    const bool is_steered = conf_wants_dns(v->conf) && conf_has_steered_records(v->conf);
    a->roles[ROLE_CHECKER].expected_count = a->has_checks || is_steered ? 1 : 0;
    a->roles[ROLE_DNS].expected_count = conf_wants_dns(v->conf) ? 1 : 0;
    a->roles[ROLE_ADMIN].expected_count = v->conf->admin.text[0] != '\0' || v->conf->alert_count > 0 ? 1 : 0;
    while ((row = roster_next(v->roster, &cursor)) != NULL)
        if (atomic_load(&row->state) == ROSTER_READY)
            a->roles[row->role].ready_count++;
    for (int i = 0; i < ROLE_COUNT; i++) {
        const struct role_standing *r = &a->roles[i];

        if (r->ready_count < r->expected_count)
            assess_find(a, GRADE_DEGRADED, "%" PRIu32 " of %" PRIu32 " %s processes ready", r->ready_count,
                        r->expected_count, role_name((enum role)i));
    }
    if (a->roles[ROLE_WORKER].ready_count == 0 && a->roles[ROLE_WORKER].expected_count > 0)
        assess_find(a, GRADE_DOWN, "no worker takes clients");
}

static void weigh_reload(struct assessment *a, const struct report_view *v)
{
    const struct roster *r = v->roster;

    if (atomic_load(&r->reload_ok) == 0 && atomic_load(&r->reloads_refused_total) > 0)
        assess_find(a, GRADE_DEGRADED, "the last reload was refused; configuration %" PRIu64 " stays in use",
                    atomic_load(&r->conf_generation));
}

static void weigh_checker(struct assessment *a, const struct report_view *v)
{
    int64_t heartbeat_ms = atomic_load(&v->verdicts->heartbeat_wall_ms);

    a->heartbeat_age_ms = -1;
    if (heartbeat_ms > 0)
        a->heartbeat_age_ms = v->wall_ms > heartbeat_ms ? v->wall_ms - heartbeat_ms : 0;
    int64_t cut_off_ms = atomic_load(&v->verdicts->cut_off_wall_ms);
    if (cut_off_ms != 0)
        assess_find(a, GRADE_DEGRADED,
                    "the checker reaches neither servers nor canaries since %" PRId64
                    " s: this gateway is cut off, last known states are in use",
                    v->wall_ms > cut_off_ms ? (v->wall_ms - cut_off_ms) / 1000 : 0);
    if (!a->has_checks || !verdict_is_stale(v->verdicts, v->wall_ms))
        return;
    if (heartbeat_ms > 0)
        assess_find(a, GRADE_DEGRADED, "the checker is silent for %" PRId64 " s; last known states are in use",
                    a->heartbeat_age_ms / 1000);
    else
        assess_find(a, GRADE_DEGRADED, "the checker has not reported yet");
}

/* Clients turn away from a listener whose certificate has ended, but not all of them, and some other one may still do:
 * degraded, not down. */
static void judge_certificate(struct assessment *a, const struct report_view *v, const struct conf_listen *l,
                              const struct tls_certificate_info *info)
{
    int64_t left_ms = info->not_after_ms - v->wall_ms;

    if (left_ms <= 0)
        assess_find(a, GRADE_DEGRADED, "certificate %s on %s has ended", info->names, l->text);
    else if (left_ms < DAY_MS && left_ms < v->conf->health.certificate_warning_ms)
        assess_find(a, GRADE_DEGRADED, "certificate %s on %s ends within a day", info->names, l->text);
    else if (left_ms < v->conf->health.certificate_warning_ms)
        assess_find(a, GRADE_DEGRADED, "certificate %s on %s ends in %" PRId64 " day%s", info->names, l->text,
                    left_ms / DAY_MS, left_ms / DAY_MS == 1 ? "" : "s");
}

static void weigh_certificates(struct assessment *a, const struct report_view *v)
{
    for (size_t i = 0; i < v->conf->listen_count; i++) {
        const struct conf_listen *l = &v->conf->listen[i];

        for (size_t k = 0; k < l->tls.certificate_count; k++)
            judge_certificate(a, v, l, &l->tls.certificates[k].info);
    }
}

void assess_init(struct assessment *a, const struct report_view *v)
{
    CHECK_OBJ(v->conf, CONF_MAGIC);
    CHECK_OBJ(v->slots, SLOTS_MAGIC);
    CHECK_OBJ(v->roster, ROSTER_MAGIC);
    CHECK_OBJ(v->stats, STATS_MAGIC);
    CHECK_OBJ(v->verdicts, VERDICT_MAGIC);
    *a = (struct assessment){.grade = GRADE_OK};
    strbuf_init(&a->reasons, REASONS_BYTES_MAX);
    weigh_pools(a, v);
    weigh_targets(a, v);
    weigh_routes(a, v);
    weigh_processes(a, v);
    weigh_reload(a, v);
    weigh_checker(a, v);
    assess_dns(a, v);
    weigh_certificates(a, v);
}

void assess_fini(struct assessment *a)
{
    mem_free(a->pools);
    mem_free(a->servers);
    mem_free(a->targets);
    mem_free(a->record);
    mem_free(a->fleet);
    mem_free(a->route_slots);
    strbuf_fini(&a->reasons);
}
