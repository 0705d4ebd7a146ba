/* Whether a request may go to a server at all, and under which route. */
#include "base/log.h"
#include "gateway/exchange/exchange_priv.h"
#include "gateway/http/target.h"
#include "gateway/http/upgrade.h"

#define HEALTH_BYTES_MAX (512u * 1024u)

/* ---- ROUTE ---- */

static enum step answer_health(struct exchange *x)
{
    struct strbuf body;
    strbuf_init(&body, HEALTH_BYTES_MAX);
    struct answer a = {.status = (uint16_t)x->env->health(x->env->health_arg, &body),
                       .content_type = "application/json",
                       .body = body.data,
                       .body_len = body.len};
    enum step next = deliver_answer(x, &a, "health");
    strbuf_fini(&body);
    return next;
}

static bool is_plain_read(const struct http_head *h)
{
    return http_view_is(h->method, "GET") || http_view_is(h->method, "HEAD");
}

static void enter_route(struct exchange *x, const struct conf_route *r)
{
    x->route = r;
    x->pool = pool_ref(pool_set_at(x->env->pools, r->pool));
    stat_add(&x->env->net->block->route[x->route_slot][STAT_ROUTE_REQUESTS], 1);
}

enum step step_route(struct exchange *x)
{
    const struct http_head *h = &x->head;
    const struct conf *c = x->conf;
    if (*c->health.path != '\0' && http_view_is(h->path, c->health.path))
        return is_plain_read(h) ? answer_health(x) : deliver_own(x, 405, "method not allowed");
    if (http_view_is(h->path, "*")) { /* OPTIONS about the gateway as a whole */
        struct answer a = {.status = 204};
        return deliver_answer(x, &a, "");
    }
    const bool is_simple = target_path_is_simple(h->path);
    if (!is_simple && !target_path_is_safe(h->path))
        return deliver_own(x, 400, "ambiguous path");
    const bool is_plain = is_simple || target_path_is_plain(h->path);
    for (size_t i = 0; i < c->route_count; i++) {
        const struct conf_route *r = &c->routes[i];
        const bool is_meant = target_matches_host(h->authority, r->host) && target_matches_prefix(h->path, r->path);
        /* Another route as it is written than to its server: nobody gets around a route's rules that way. */
        if (!is_plain && !is_meant && target_matches_host(h->authority, r->host) &&
            target_may_match_prefix(h->path, r->path))
            return deliver_own(x, 400, "ambiguous path");
        if (!is_meant)
            continue;
        x->route_slot = slots_find(x->env->slots, SLOT_ROUTE, r->name);
        if (x->route_slot < 0)
            break; /* retired between two reloads: as good as not there */
        enter_route(x, r);
        return STEP_RULES;
    }
    return deliver_own(x, 404, "no such route");
}

/* ---- RULES ---- */

static bool is_in_maintenance(const struct exchange *x)
{
    const struct conf_maintenance *m = &x->route->maintenance;
    if (!m->enabled)
        return false;
    for (size_t i = 0; i < m->allow_count; i++)
        if (cidr_contains(&m->allow[i], &x->client))
            return false;
    return true;
}

static enum step answer_maintenance(struct exchange *x)
{
    const struct conf_maintenance *m = &x->route->maintenance;
    struct answer a = {.status = (uint16_t)m->status, .retry_after_s = (uint32_t)((m->retry_after_ms + 999) / 1000)};
    if (*m->body != '\0') {
        a.body = m->body;
        a.body_len = strlen(m->body);
        a.content_type = m->content_type;
    }
    return deliver_answer(x, &a, "maintenance");
}

enum step step_rules(struct exchange *x)
{
    if (is_in_maintenance(x))
        return answer_maintenance(x);
    struct rules_request q = {.head = &x->head,
                              .route = x->route,
                              .route_slot = x->route_slot,
                              .peer = &x->peer,
                              .is_websocket = x->is_websocket,
                              .now_ms = exchange_now_ms(x),
                              .wall_ms = loop_wall_ms(x->env->net->loop)};
    rules_check(x->env->rules, &q, &x->verdict);
    if (x->verdict.status == 0)
        return STEP_ADMIT;
    if (x->verdict.status != 204)
        stat_add(&x->env->net->block->route[x->route_slot][STAT_ROUTE_LIMITED], 1);
    struct answer a = {
        .status = x->verdict.status, .error = x->verdict.reason, .retry_after_s = x->verdict.retry_after_s};
    return deliver_answer(x, &a, x->verdict.reason);
}

/* ---- ADMIT ---- */

static enum step limited(struct exchange *x, uint16_t status, const char *reason)
{
    stat_add(&x->env->net->block->route[x->route_slot][STAT_ROUTE_LIMITED], 1);
    return deliver_own(x, status, reason);
}

/* Takes the first of the client's offers that the route allows. False when a field was no list of offers. */
static bool agree_on_compression(struct exchange *x)
{
    struct ws_deflate_policy policy = tunnel_deflate_policy(x->route);
    for (uint32_t i = 0; i < x->head.field_count && *x->deflate_answer == '\0'; i++) {
        const struct http_field *f = &x->head.fields[i];
        if (!http_view_is_nocase(f->name, "sec-websocket-extensions"))
            continue;
        if (ws_offer_judge(&policy, f->value.data, f->value.len, &x->deflate, x->deflate_answer) == WS_OFFER_MALFORMED)
            return false;
    }
    return true;
}

static enum step admit_websocket(struct exchange *x)
{
    const struct conf_route *r = x->route;
    const struct stats *stats = x->env->net->stats;
    const char *reason = "";
    uint16_t status = upgrade_check_request(&x->head, &reason);
    if (status != 0)
        return deliver_own(x, status, reason);
    if (!agree_on_compression(x))
        return deliver_own(x, 400, "bad list of extensions");
    if (r->max_connections > 0 && stats_sum_route(stats, x->route_slot, STAT_ROUTE_WS_OPEN) >= r->max_connections)
        return limited(x, 503, "too many connections");
    seat_take_on_route(x->env->net, &x->seat, &x->peer, x->route_slot);
    x->has_seat = true;
    if (r->max_per_client > 0 && !x->is_trusted && seat_count_on_route(x->env->net, &x->seat) > r->max_per_client)
        return limited(x, 429, "too many connections from this address");
    x->has_place = true;
    stat_add(&x->env->net->block->route[x->route_slot][STAT_ROUTE_WS_OPEN], 1);
    return STEP_PICK;
}

bool admit_body_is_too_long(const struct exchange *x, uint64_t bytes)
{
    return x->route->max_body_bytes > 0 && bytes > x->route->max_body_bytes;
}

static enum step admit_plain(struct exchange *x)
{
    const struct conf_pool *p = x->pool->pool_conf;
    /* A pool of ws:// servers speaks nothing else. */
    if (p->server_count > 0 && (p->servers[0].url.scheme == SCHEME_WS || p->servers[0].url.scheme == SCHEME_WSS))
        return deliver_own(x, 426, "a WebSocket handshake was expected");
    /* TRACE would show a page the cookies that are hidden from it; CONNECT asks for another kind of proxy. */
    if (http_view_is(x->head.method, "TRACE") || http_view_is(x->head.method, "CONNECT"))
        return deliver_own(x, 405, "method not allowed");
    if (x->head.content_length > 0 && admit_body_is_too_long(x, (uint64_t)x->head.content_length))
        return limited(x, 413, "body too long");
    return STEP_PICK;
}

enum step step_admit(struct exchange *x)
{
    if (x->pool->pool_conf == NULL)
        return deliver_own(x, 503, "pool removed");
    enum step next = x->is_websocket ? admit_websocket(x) : admit_plain(x);
    if (next != STEP_PICK)
        return next;
    x->is_repeatable = x->is_repeatable || (x->route->retry_with_key && http_find(&x->head, "idempotency-key") != NULL);
    /* Of what is not repeatable as well: a server may say that it has not looked at it (REFUSED_STREAM, GOAWAY). */
    replay_init(&x->replay, x->route->replay_bytes);
    outgoing_set_key(&x->head, &x->peer, x->pool->pool_conf, &x->pick);
    x->deadline_ms = exchange_now_ms(x) + x->pool->pool_conf->failover_timeout_ms;
    pool_request(x->pool, exchange_now_ms(x));
    return STEP_LOOKUP;
}
