/* The walk of one request:
 *
 *   ROUTE    the route by host and path                 400, 404, the public health text
 *   ADMIT    is it a handshake, do the limits allow it  400, 405, 426, 429, 503
 *   PICK     the next server not tried yet              502, 503, 504
 *   DIAL     waits for the server's answer              another 5xx, or no answer: back to PICK
 *   BRIDGE   101: the two connections become a tunnel
 *   REFUSE   the server's own answer goes to the client (pass.c)
 *
 * A step returns the next one, or WAIT when a callback will go on. What fails before the server has answered is tried
 * on the next server, within the pool's failover_timeout and max_retries. */
#include "gateway/exchange/exchange.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "gateway/exchange/pass.h"
#include "gateway/http/answer.h"
#include "gateway/http/forward.h"
#include "gateway/http/target.h"
#include "gateway/http/upgrade.h"
#include "gateway/net/seats.h"
#include "gateway/upstream/dial.h"

#define EXCHANGE_MAGIC 0xe8c4a06bu

#define ANSWER_BYTES_MAX (1024u * 1024u)
#define HASH_KEY_BYTES   256u

enum step {
    STEP_ROUTE = 0,
    STEP_ADMIT,
    STEP_PICK,
    STEP_DIAL,
    STEP_BRIDGE,
    STEP_REFUSE,
    STEP_COUNT,
    STEP_WAIT,
    STEP_DONE
};

struct exchange {
    uint32_t magic;
    int route_slot;
    struct exchange_env *env;
    struct exchange **self; /* the owner's pointer to us, nulled at the end */
    struct conn *client;
    const struct exchange_ops *ops;
    void *arg;
    struct conf *conf;
    const struct conf_route *route; /* NULL before a route was found */
    struct pool *pool;
    struct slice head_copy;
    struct http_head head;
    bool is_trusted;
    char client_ip[INET6_ADDRSTRLEN];
    char id[FORWARD_ID_BYTES + 1];
    int64_t start_ms;
    int64_t deadline_ms;
    struct pick pick;
    struct dial *dial;
    struct pass *pass;
    bool is_last;     /* the client was told that its connection ends with this answer */
    struct seat seat; /* on the route */
    bool has_seat;
    bool has_place;       /* counted as open on its route, so that a burst cannot pass the limit */
    uint16_t last_status; /* the answer owed when no server is left: 502, 503 or 504 */
    /* of the answer under way from DIAL to BRIDGE or REFUSE; borrowed for that call */
    const struct dial_result *result;
};

static void run(struct exchange *x, enum step step);

/* ---- the end ---- */

static void log_answer(const struct exchange *x, uint16_t status, const char *reason, const char *server)
{
    if (!x->conf->log.access)
        return;
    LOG_INFO("request answered", KV_STR("id", x->id), KV_STR("client", x->client_ip),
             KV_STR("route", x->route != NULL ? x->route->name : ""), KV_STR("server", server),
             KV_UINT("status", status), KV_STR("reason", reason), KV_UINT("attempts", x->pick.attempt_count),
             KV_INT("duration_ms", loop_now_ms(x->env->net->loop) - x->start_ms));
}

static void exchange_free(struct exchange *x)
{
    int64_t now_ms = loop_now_ms(x->env->net->loop);
    if (x->dial != NULL)
        dial_cancel(&x->dial);
    if (x->pass != NULL)
        pass_cancel(&x->pass);
    if (x->pick.server != NULL)
        pick_end(&x->pick, OUTCOME_CANCELLED, now_ms);
    if (x->has_seat)
        seat_leave_on_route(x->env->net, &x->seat);
    if (x->has_place)
        stat_add(&x->env->net->block->route[x->route_slot][STAT_ROUTE_WS_OPEN], -1);
    if (x->pool != NULL)
        pool_unref(&x->pool);
    slice_release(&x->head_copy);
    conf_unref(&x->conf);
    *x->self = NULL;
    OBJ_FREE(&x, EXCHANGE_MAGIC);
}

static enum step finish(struct exchange *x, bool keep_alive)
{
    const struct exchange_ops *ops = x->ops;
    void *arg = x->arg;
    exchange_free(x);
    ops->on_answered(arg, keep_alive);
    return STEP_DONE;
}

/* A request with a body is never read to its end here, so its connection cannot go on. */
static bool may_keep_alive(const struct exchange *x)
{
    return x->head.is_persistent && x->head.content_length <= 0 && !x->head.is_chunked;
}

static enum step answer_with(struct exchange *x, struct answer *a, const char *reason)
{
    struct strbuf out;
    a->keep_alive = may_keep_alive(x);
    a->request_id = (struct http_view){x->id, strlen(x->id)};
    a->is_head = http_view_is(x->head.method, "HEAD");
    strbuf_init(&out, ANSWER_BYTES_MAX);
    answer_build(&out, a);
    ASSERT(!out.failed);
    conn_write(x->client, out.data, out.len);
    strbuf_fini(&out);
    stat_add(&x->env->net->block->responses[a->status], 1);
    log_answer(x, a->status, reason, "");
    return finish(x, a->keep_alive);
}

static enum step answer(struct exchange *x, uint16_t status, const char *reason)
{
    struct answer a = {.status = status, .error = reason};
    return answer_with(x, &a, reason);
}

static enum step answer_health(struct exchange *x)
{
    struct strbuf body;
    strbuf_init(&body, ANSWER_BYTES_MAX / 2);
    struct answer a = {.status = (uint16_t)x->env->health(x->env->health_arg, &body),
                       .content_type = "application/json",
                       .body = body.data,
                       .body_len = body.len};
    enum step next = answer_with(x, &a, "health");
    strbuf_fini(&body);
    return next;
}

/* ---- ROUTE, ADMIT ---- */

static enum step step_route(struct exchange *x)
{
    const struct http_head *h = &x->head;
    const struct conf *c = x->conf;
    if (*c->health.path != '\0' && http_view_is(h->path, c->health.path)) {
        bool is_read = http_view_is(h->method, "GET") || http_view_is(h->method, "HEAD");
        return is_read ? answer_health(x) : answer(x, 405, "method not allowed");
    }
    if (!target_path_is_safe(h->path))
        return answer(x, 400, "ambiguous path");
    for (size_t i = 0; i < c->route_count; i++) {
        const struct conf_route *r = &c->routes[i];
        if (!target_matches_host(h->authority, r->host) || !target_matches_prefix(h->path, r->path))
            continue;
        x->route_slot = slots_find(x->env->slots, SLOT_ROUTE, r->name);
        if (x->route_slot < 0)
            break; /* retired between two reloads: as good as not there */
        x->route = r;
        x->pool = pool_ref(pool_set_at(x->env->pools, r->pool));
        stat_add(&x->env->net->block->route[x->route_slot][STAT_ROUTE_REQUESTS], 1);
        return STEP_ADMIT;
    }
    return answer(x, 404, "no such route");
}

static enum step limited(struct exchange *x, uint16_t status, const char *reason)
{
    stat_add(&x->env->net->block->route[x->route_slot][STAT_ROUTE_LIMITED], 1);
    return answer(x, status, reason);
}

static void set_hash_key(struct exchange *x, const struct addr *peer)
{
    const struct conf_pool *p = x->pool->pool_conf;
    char value[HASH_KEY_BYTES];
    if (p->balance != BALANCE_HASH)
        return;
    if (p->hash_of == HASH_OF_IP) {
        pick_set_key_addr(&x->pick, peer);
    } else if (p->hash_of == HASH_OF_HEADER) {
        struct http_view v = http_value(&x->head, p->hash_name);
        pick_set_key(&x->pick, v.data, v.len);
    } else {
        ptrdiff_t len = target_query_value(x->head.query, p->hash_name, value, sizeof value);
        pick_set_key(&x->pick, value, len < 0 ? 0 : (size_t)len < sizeof value ? (size_t)len : sizeof value);
    }
}

static enum step step_admit(struct exchange *x)
{
    const struct conf_route *r = x->route;
    const struct stats *stats = x->env->net->stats;
    struct addr peer;
    const char *reason = "";
    uint16_t status = upgrade_check_request(&x->head, &reason);
    if (status != 0)
        return answer(x, status, reason);
    conn_peer(x->client, &peer);
    if (r->max_connections > 0 && stats_sum_route(stats, x->route_slot, STAT_ROUTE_WS_OPEN) >= r->max_connections)
        return limited(x, 503, "too many connections");
    seat_take_on_route(x->env->net, &x->seat, &peer, x->route_slot);
    x->has_seat = true;
    if (r->max_per_client > 0 && !x->is_trusted && seat_count_on_route(x->env->net, &x->seat) > r->max_per_client)
        return limited(x, 429, "too many connections from this address");
    if (x->pool->pool_conf == NULL)
        return answer(x, 503, "pool removed");
    x->has_place = true;
    stat_add(&x->env->net->block->route[x->route_slot][STAT_ROUTE_WS_OPEN], 1);
    set_hash_key(x, &peer);
    x->deadline_ms = x->start_ms + x->pool->pool_conf->failover_timeout_ms;
    return STEP_PICK;
}

/* ---- PICK, DIAL ---- */

static enum step no_server(struct exchange *x, const char *reason)
{
    if (x->pick.attempt_count == 0)
        stat_add(&x->env->net->block->route[x->route_slot][STAT_ROUTE_NO_SERVER], 1);
    return answer(x, x->pick.attempt_count == 0 ? 503 : x->last_status, reason);
}

static enum step step_pick(struct exchange *x)
{
    int64_t now_ms = loop_now_ms(x->env->net->loop);
    const struct conf_pool *pc = x->pool->pool_conf;
    if (pc == NULL)
        return no_server(x, "pool removed");
    if (x->pick.attempt_count > pc->max_retries)
        return no_server(x, "retries used up");
    if (now_ms >= x->deadline_ms)
        return no_server(x, "failover timeout");
    if (pool_pick(x->pool, &x->pick, now_ms, loop_wall_ms(x->env->net->loop)) == NULL)
        return no_server(x, pick_none_text(x->pick.none));
    return STEP_DIAL;
}

/* The attempt came to nothing: `status` is what the client hears if no other server does better. */
static enum step attempt_failed(struct exchange *x, uint16_t status, const char *cause, const struct dial_result *r)
{
    int64_t now_ms = loop_now_ms(x->env->net->loop);
    x->last_status = status;
    LOG_LIMITED(&x->env->failure_log, now_ms, LOG_LEVEL_WARN, "attempt failed", KV_STR("id", x->id),
                KV_STR("server", x->pick.server->server_conf->slot_name), KV_STR("phase", dial_phase_text(r->phase)),
                KV_STR("cause", cause), KV_STR("detail", r->detail), KV_UINT("attempt", x->pick.attempt_count));
    /* Our own lack of descriptors, or of the time that others used up, says nothing about this server. */
    bool is_ours = (r->error == ERR_LIMIT && r->phase != DIAL_ANSWER) || (r->is_cut_short && x->pick.attempt_count > 1);
    pick_end(&x->pick, is_ours ? OUTCOME_CANCELLED : OUTCOME_FAILED, now_ms);
    return STEP_PICK;
}

/* A server that is overloaded or broken says so by one of these; the next may do better. */
static bool is_worth_retrying(uint16_t status)
{
    return status == 500 || status == 502 || status == 503 || status == 504;
}

static enum step judge(struct exchange *x, const struct dial_result *r)
{
    if (r->error != ERR_NONE)
        return attempt_failed(x, r->error == ERR_TIMEOUT ? 504 : 502, err_text(r->error), r);
    struct conn *conn = r->conn;
    uint16_t status = r->head->status;
    const char *flaw = status == 101 ? upgrade_check_response(r->head, &x->head) : NULL;
    if (flaw != NULL || is_worth_retrying(status)) {
        char cause[64];
        (void)snprintf(cause, sizeof cause, "status %u", status);
        conn_close(&conn, true);
        return attempt_failed(x, status == 503 || status == 504 ? status : 502, flaw != NULL ? flaw : cause, r);
    }
    x->result = r;
    return status == 101 ? STEP_BRIDGE : STEP_REFUSE;
}

static void on_dialled(void *arg, const struct dial_result *r)
{
    struct exchange *x = arg;
    CHECK_OBJ(x, EXCHANGE_MAGIC);
    x->dial = NULL;
    run(x, judge(x, r));
}

static enum step step_dial(struct exchange *x)
{
    struct server *s = x->pick.server;
    const struct conf_url *url = &s->server_conf->url;
    struct strbuf out;
    char host[300];
    (void)snprintf(host, sizeof host, strchr(url->host, ':') != NULL ? "[%s]:%u" : "%s:%u", url->host, url->port);
    struct forward f = {.client_ip = x->client_ip,
                        .is_trusted = x->is_trusted,
                        .prefix = url->path,
                        .upstream_host = host,
                        .request_id = {x->id, strlen(x->id)}};
    /* The client's own head was bounded; what we add to it is small. */
    strbuf_init(&out, 2 * x->head_copy.len + 4096);
    forward_request(&out, &x->head, &f);
    ASSERT(!out.failed);
    x->dial = dial_start(x->env->net, s, out.data, out.len, x->deadline_ms, on_dialled, x);
    strbuf_fini(&out);
    return STEP_WAIT;
}

/* ---- BRIDGE, REFUSE ---- */

static void write_head(struct exchange *x, const struct http_head *h, bool keep_alive)
{
    struct strbuf out;
    strbuf_init(&out, ANSWER_BYTES_MAX);
    forward_response(&out, h, keep_alive, (struct http_view){x->id, strlen(x->id)});
    ASSERT(!out.failed);
    conn_write(x->client, out.data, out.len);
    strbuf_fini(&out);
}

static enum step step_bridge(struct exchange *x)
{
    const struct dial_result *r = x->result;
    struct slice early = slice_borrow(NULL, 0);
    write_head(x, r->head, true);
    x->ops->on_taken(x->arg, &early);
    struct tunnel_start o = {.client = x->client,
                             .upstream = r->conn,
                             .server = x->pick.server,
                             .conf = x->conf,
                             .route = x->route,
                             .newest = x->env->conf,
                             .route_slot = x->route_slot,
                             .id = x->id,
                             .attempt_count = x->pick.attempt_count,
                             .client_early = early.data,
                             .client_early_bytes = early.len,
                             .upstream_early = r->rest,
                             .upstream_early_bytes = r->rest_bytes};
    conn_keep_seat(x->client, &x->seat);
    x->has_seat = false;
    tunnel_start(x->env->tunnels, &o);
    pick_end(&x->pick, OUTCOME_OK, loop_now_ms(x->env->net->loop));
    exchange_free(x);
    return STEP_DONE;
}

static void on_passed(void *arg, bool is_complete)
{
    struct exchange *x = arg;
    CHECK_OBJ(x, EXCHANGE_MAGIC);
    x->pass = NULL;
    (void)finish(x, is_complete && !x->is_last);
}

static enum step step_refuse(struct exchange *x)
{
    const struct dial_result *r = x->result;
    const char *server = x->pick.server->server_conf->slot_name;
    struct h1_body body;
    h1_body_init_response(&body, r->head, false);
    x->is_last = body.kind == H1_BODY_UNTIL_CLOSE || !may_keep_alive(x);
    write_head(x, r->head, !x->is_last);
    log_answer(x, r->head->status, "server refused", server);
    pick_end(&x->pick, OUTCOME_REFUSED, loop_now_ms(x->env->net->loop));
    pass_start(x->env->net, x->client, r->conn, &body, r->rest, r->rest_bytes, on_passed, x, &x->pass);
    return STEP_DONE;
}

/* ---- the walk ---- */

typedef enum step step_fn(struct exchange *x);
static step_fn *const steps[STEP_COUNT] = {
    [STEP_ROUTE] = step_route, [STEP_ADMIT] = step_admit,   [STEP_PICK] = step_pick,
    [STEP_DIAL] = step_dial,   [STEP_BRIDGE] = step_bridge, [STEP_REFUSE] = step_refuse,
};

static void run(struct exchange *x, enum step step)
{
    while (step < STEP_COUNT)
        step = steps[step](x);
}

static void set_id(struct exchange *x)
{
    char fresh[FORWARD_ID_BYTES + 1];
    (void)snprintf(fresh, sizeof fresh, "%016" PRIx64 "%08" PRIx64, x->env->id_seed, ++x->env->id_count);
    struct http_view id = forward_request_id(&x->head, x->is_trusted, fresh);
    memcpy(x->id, id.data, id.len);
    x->id[id.len] = '\0';
}

void exchange_start(struct exchange_env *env, struct conn *client, const uint8_t *head_data, size_t head_bytes,
                    const struct h1_limits *limits, const struct exchange_ops *ops, void *arg, struct exchange **ep)
{
    struct exchange *x;
    struct h1_scan scan = {0};
    struct addr peer;
    OBJ_NEW(x, EXCHANGE_MAGIC);
    x->env = env;
    x->self = ep;
    x->client = client;
    x->ops = ops;
    x->arg = arg;
    x->conf = conf_ref(env->conf);
    x->head_copy = slice_copy(head_data, head_bytes);
    enum h1_result parsed = h1_parse_request(&x->head, &scan, x->head_copy.data, x->head_copy.len, limits);
    ASSERT(parsed == H1_DONE);
    conn_peer(client, &peer);
    (void)addr_ip_text(&peer, x->client_ip, sizeof x->client_ip);
    x->is_trusted = conf_is_trusted(x->conf, &peer);
    x->start_ms = loop_now_ms(env->net->loop);
    x->last_status = 502;
    pick_init(&x->pick);
    set_id(x);
    *ep = x;
    run(x, STEP_ROUTE);
}

void exchange_client_drained(struct exchange *x)
{
    CHECK_OBJ(x, EXCHANGE_MAGIC);
    if (x->pass != NULL)
        pass_client_drained(x->pass);
}

bool exchange_is_answering(const struct exchange *x)
{
    CHECK_OBJ(x, EXCHANGE_MAGIC);
    return x->pass != NULL;
}

void exchange_cancel(struct exchange **ep)
{
    struct exchange *x = *ep;
    CHECK_OBJ(x, EXCHANGE_MAGIC);
    if (x->pass == NULL) /* an answer that was passed on has its line */
        log_answer(x, 499, "client gone", "");
    exchange_free(x);
}
