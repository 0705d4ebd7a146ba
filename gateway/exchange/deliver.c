/* Every way an exchange answers its client: the gateway's own answer, a server's, or a tunnel.
 *
 * Order matters at the end: the requester's last callback may begin the next request at once, so everything of this
 * one is given back before. */
#include "base/log.h"
#include "base/mem.h"
#include "base/tls.h"
#include "gateway/exchange/again.h"
#include "gateway/exchange/exchange_priv.h"
#include "gateway/exchange/fetch.h"
#include "gateway/http/edit.h"
#include "gateway/http/upgrade.h"

#define ANSWER_BODY_BYTES (1024u * 1024u)

/* ---- the access log ---- */

static void fill_record(const struct exchange *x, struct access_record *r)
{
    const struct http_head *h = &x->head;
    const struct tls *tls = conn_tls(x->wire);
    const struct server *s = x->server != NULL ? x->server : x->pick.server != NULL ? x->pick.server : x->cache.server;
    const int64_t call_ms = x->call_ms != 0 ? x->call_ms : x->cache.asked_ms;
    int64_t now_ms = exchange_now_ms(x);
    *r = (struct access_record){
        .begun_wall_ms = loop_wall_ms(x->env->net->loop) - (now_ms - x->start_ms),
        .id = exchange_id(x),
        .client = http_view_of(x->client_ip),
        .user = x->verdict.claims != NULL ? token_claims_subject(x->verdict.claims) : (struct http_view){NULL, 0},
        .method = h->method,
        .scheme = http_view_of(tls != NULL ? "https" : "http"),
        .host = h->authority,
        .path = h->path,
        .query = h->query,
        .major_version = h->major_version,
        .minor_version = h->minor_version,
        .tls = http_view_of(tls != NULL ? tls_version_text(tls) : NULL),
        .user_agent = http_value(h, "user-agent"),
        .referer = http_value(h, "referer"),
        .trace_id = http_view_of(x->trace.trace_id),
        .span_id = http_view_of(x->trace.span_id),
        .parent_id = http_view_of(x->trace.parent_id),
        .route = http_view_of(x->route != NULL ? x->route->name : NULL),
        .server = http_view_of(s != NULL ? s->server_conf->slot_name : NULL),
        .cache = http_view_of(x->cache.text),
        .attempt_count = x->pick.attempt_count + x->cache.attempt_count,
        .in_bytes = x->body_bytes,
        .out_bytes = x->sent_bytes,
        .duration_ms = now_ms - x->start_ms,
        .first_byte_ms = x->status != 0 ? x->answer_ms - x->start_ms : -1,
        .upstream_ms = call_ms == 0 ? -1 : (x->status != 0 ? x->answer_ms : now_ms) - call_ms,
    };
}

void deliver_log(const struct exchange *x, uint16_t status, const char *reason)
{
    struct access_record r;
    if (!access_log_is_wanted(x->conf) || x->fetch != NULL)
        return;
    fill_record(x, &r);
    r.status = status;
    r.reason = http_view_of(reason);
    access_log_write(x->env->access, x->conf, &r);
}

/* ---- what all answers have in common ---- */

/* The fields that the route wants on every answer. */
static bool decorate(const struct exchange *x, struct http_head *to, struct http_texts *t)
{
    if (x->route == NULL || conf_edits_are_none(&x->route->answer_edits))
        return !t->failed;
    struct edit_values values = {.client_ip = http_view_of(x->client_ip),
                                 .host = x->head.authority,
                                 .scheme = http_view_of(x->is_tls ? "https" : "http"),
                                 .request_id = exchange_id(x),
                                 .route = http_view_of(x->route->name),
                                 .trace_id = http_view_of(x->trace.trace_id)};
    return edit_apply(to, t, &x->route->answer_edits, &values);
}

/* What the cache did, where it had anything to do with it. */
static bool add_cache_status(const struct exchange *x, struct http_head *to, struct http_texts *t)
{
    if (!x->cache.is_told)
        return true;
    return http_head_add(to, http_view_of("Cache-Status"), cache_status_text(t, x->conf->node.name, &x->cache.told));
}

void deliver_begin(struct exchange *x, uint16_t status)
{
    x->status = status;
    x->answer_ms = exchange_now_ms(x);
}

static void end_with(struct exchange *x, void (*last)(void *arg))
{
    void *arg = x->arg;
    exchange_free(x);
    last(arg);
}

/* ---- the gateway's own answers ---- */

enum step deliver_answer(struct exchange *x, struct answer *a, const char *reason)
{
    struct http_head head;
    struct http_texts texts;
    struct strbuf body;
    if (x->fetch != NULL) {
        struct fetch *f = x->fetch;
        exchange_free(x);
        fetch_failed(f, a->status, reason);
        return STEP_DONE;
    }
    http_texts_init(&texts, EXCHANGE_TEXTS_BYTES);
    strbuf_init(&body, ANSWER_BODY_BYTES);
    a->form = answer_choose(&x->head);
    a->request_id = exchange_id(x);
    a->fields = x->verdict.add;
    a->field_count = x->verdict.add_count;
    a->server = x->conf->headers.server;
    a->wall_ms = loop_wall_ms(x->env->net->loop);
    a->is_h1 = x->head.major_version == 1;
    bool fits =
        answer_build(&head, &texts, &body, a) && add_cache_status(x, &head, &texts) && decorate(x, &head, &texts);
    ASSERT(fits); /* all of it is the gateway's own and the configuration's, which was bounded */

    bool has_body = body.len > 0 && !http_view_is(x->head.method, "HEAD");
    deliver_begin(x, a->status);
    stat_add(&x->env->net->block->responses[a->status], 1);
    x->ops->send_head(x->arg, &head, has_body);
    if (has_body) {
        x->sent_bytes = body.len;
        x->ops->send_body(x->arg, slice_borrow(body.data, body.len));
    }
    deliver_log(x, a->status, reason);
    http_texts_fini(&texts);
    strbuf_fini(&body);
    end_with(x, x->ops->finish);
    return STEP_DONE;
}

enum step deliver_own(struct exchange *x, uint16_t status, const char *reason)
{
    struct answer a = {.status = status, .error = reason};
    return deliver_answer(x, &a, reason);
}

/* ---- a server's answer ---- */

/* What a rule says in place of the answer's own fields, what the cache did, and the route's edits. */
static bool add_own(const struct exchange *x, struct http_head *to, struct http_texts *t)
{
    if (x->verdict.replaces_cors) {
        uint32_t kept = 0;
        for (uint32_t i = 0; i < to->field_count; i++)
            if (!rules_drops_answer_field(&x->verdict, to->fields[i].name))
                to->fields[kept++] = to->fields[i];
        to->field_count = kept;
    }
    for (uint32_t i = 0; i < x->verdict.add_count; i++)
        if (!http_head_add(to, x->verdict.add[i].name, x->verdict.add[i].value))
            return false;
    return add_cache_status(x, to, t) && decorate(x, to, t);
}

static void drop_field(struct http_head *h, const char *name)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < h->field_count; i++)
        if (!http_view_is_nocase(h->fields[i].name, name))
            h->fields[kept++] = h->fields[i];
    h->field_count = kept;
}

bool deliver_finish_head(const struct exchange *x, struct http_head *to, struct http_texts *t)
{
    const char *server = x->conf->headers.server;
    bool fits = http_head_add(to, http_view_of("X-Request-Id"), exchange_id(x));
    if (server != NULL) {
        drop_field(to, "server");
        fits = fits && (*server == '\0' || http_head_add(to, http_view_of("Server"), http_view_of(server)));
    }
    if (x->conf->headers.via_answers && *x->conf->headers.via != '\0')
        fits = fits && http_head_add(to, http_view_of("Via"), http_texts_printf(t, "1.1 %s", x->conf->headers.via));
    return fits && add_own(x, to, t);
}

static bool make_head(const struct exchange *x, struct http_head *to, struct http_texts *t,
                      const struct http_head *from, bool is_joined)
{
    struct forward_answer f = {.is_joined = is_joined,
                               .request_id = exchange_id(x),
                               .server = x->conf->headers.server,
                               .via = x->conf->headers.via_answers ? x->conf->headers.via : NULL,
                               .wall_ms = loop_wall_ms(x->env->net->loop)};
    return forward_response(to, t, from, &f) && add_own(x, to, t);
}

bool deliver_head(struct exchange *x, const struct http_head *from, bool has_body)
{
    struct http_head head;
    struct http_texts texts;
    if (x->fetch != NULL) {
        deliver_begin(x, from->status);
        fetch_head(x->fetch, from, has_body);
        return true;
    }
    lookup_wrote(x, from->status);
    if (x->cache.is_told)
        x->cache.told.fwd_status = from->status;
    http_texts_init(&texts, EXCHANGE_TEXTS_BYTES);
    bool fits = make_head(x, &head, &texts, from, false);
    if (fits) {
        deliver_begin(x, from->status);
        x->ops->send_head(x->arg, &head, has_body);
    }
    http_texts_fini(&texts);
    return fits;
}

void deliver_body(struct exchange *x, const uint8_t *data, size_t len)
{
    x->sent_bytes += len;
    x->ops->send_body(x->arg, slice_borrow(data, len));
    if (x->call != NULL && x->ops->is_full(x->arg)) /* a reader of a fetch is asked by the fetch */
        call_pause(x->call);
}

void deliver_end(struct exchange *x)
{
    deliver_log(x, x->status, "");
    end_with(x, x->ops->finish);
}

void deliver_broken(struct exchange *x, const char *reason)
{
    deliver_log(x, x->status, reason);
    end_with(x, x->ops->break_off);
}

/* ---- a tunnel ---- */

/* How long the token that opened the WebSocket lasts; 0: for ever. */
static int64_t token_left_ms(const struct exchange *x)
{
    if (x->verdict.expires_wall_ms == 0)
        return 0;
    int64_t left_ms = x->verdict.expires_wall_ms - loop_wall_ms(x->env->net->loop);
    return left_ms > 0 ? left_ms : 1;
}

static void start_tunnel(struct exchange *x, const struct call_joined *j, struct conn *client, struct slice early)
{
    struct access_record record;
    fill_record(x, &record);
    struct tunnel_start o = {.client = client,
                             .upstream = j->conn,
                             .server = x->pick.server,
                             .conf = x->conf,
                             .route = x->route,
                             .newest = x->env->conf,
                             .route_slot = x->route_slot,
                             .record = &record,
                             .token_left_ms = token_left_ms(x),
                             .claims = x->verdict.claims,
                             .deflate = *x->deflate_answer != '\0' ? &x->deflate : NULL,
                             .client_early = early.data,
                             .client_early_bytes = early.len,
                             .upstream_early = j->rest,
                             .upstream_early_bytes = j->rest_bytes};
    if (x->route->protocol != WS_PROTOCOL_OPAQUE) {
        char subject[OUTGOING_SUBJECT_BYTES];
        struct outgoing out;
        exchange_outgoing(x, subject, &out);
        o.query = x->head.query;
        o.subprotocol = http_value(j->head, "sec-websocket-protocol");
        o.origin_ops = &again_ops;
        o.origin = again_create(&out, o.subprotocol);
    }
    conn_keep_seat(client, &x->seat);
    x->has_seat = false;
    tunnel_start(x->env->tunnels, &o);
}

void deliver_joined(struct exchange *x, const struct call_joined *j)
{
    struct http_head head;
    struct http_texts texts;
    char accept[UPGRADE_ACCEPT_BYTES];
    struct conn *upstream = j->conn;
    http_texts_init(&texts, EXCHANGE_TEXTS_BYTES);
    bool fits = make_head(x, &head, &texts, j->head, true);
    if (x->head.major_version == 1)
        fits = fits && (j->accept.len > 0 ? http_head_add(&head, http_view_of("Sec-WebSocket-Accept"), j->accept)
                                          : upgrade_add_accept(&head, &x->head, accept));
    if (*x->deflate_answer != '\0')
        fits = fits && http_head_add(&head, http_view_of("Sec-WebSocket-Extensions"), http_view_of(x->deflate_answer));
    if (!fits) {
        http_texts_fini(&texts);
        conn_close(&upstream, true);
        (void)deliver_own(x, 502, "answer's head cannot be passed on");
        return;
    }
    struct slice early = slice_borrow(NULL, 0);
    deliver_begin(x, 101);
    struct conn *client = x->ops->take(x->arg, &head, &early);
    http_texts_fini(&texts);
    start_tunnel(x, j, client, early);
    pick_end(&x->pick, OUTCOME_OK, exchange_now_ms(x));
    exchange_free(x);
}
