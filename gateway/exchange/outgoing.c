/* Heads for servers. The order is what matters: what the client sent and the gateway adds (gateway/http/forward.h),
 * then what rules put in place of fields, the cache's tags, and last the route's edits, which may change all of it. */
#include "gateway/exchange/outgoing.h"

#include "cache/serve.h"
#include "gateway/http/edit.h"
#include "gateway/http/forward.h"
#include "gateway/http/target.h"

#define HASH_KEY_BYTES 256u

/* Claims of the token, in the place of what the client itself said about them. */
static bool put_claims(const struct outgoing *o, struct http_head *to)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < to->field_count; i++)
        if (!rules_drops_request_field(o->verdict, to->fields[i].name))
            to->fields[kept++] = to->fields[i];
    to->field_count = kept;
    for (uint32_t i = 0; i < o->verdict->forward_count; i++) {
        const struct http_field *field = &o->verdict->forward[i];
        if (field->value.data != NULL && !http_head_add(to, field->name, field->value))
            return false;
    }
    return true;
}

/* A client that writes names the versions it has seen by tags that the cache gave out, endings of codings included. */
static void name_versions(const struct outgoing *o, const struct conf_route *r, struct http_head *to,
                          struct http_texts *t)
{
    static const char *const lists[] = {"if-match", "if-none-match"};
    if (!o->has_cache_tags || r->cache.policy == CACHE_OFF || r->cache.compress == 0 ||
        http_view_is(to->method, "GET") || http_view_is(to->method, "HEAD"))
        return;
    for (uint32_t i = 0; i < to->field_count; i++)
        if (http_view_is_any(to->fields[i].name, lists, 2))
            to->fields[i].value = cache_serve_origin_etags(t, to->fields[i].value);
}

bool outgoing_head(const struct outgoing *o, const struct conf *c, const struct conf_route *r,
                   const struct conf_url *url, struct http_head *to, struct http_texts *t)
{
    /* Who the client's certificate says it is. Without one nobody may say so, but for a trusted proxy. */
    const struct http_field subject = {.name = http_view_of(c->headers.client_subject), .value = o->subject};
    const bool owns_subject = *c->headers.client_subject != '\0' && (o->subject.data != NULL || !o->is_trusted);
    const struct forward f = {.client_ip = o->peer_ip,
                              .is_trusted = o->is_trusted,
                              .is_tls = o->is_tls,
                              .is_websocket = o->is_websocket,
                              .strip_prefix = r->strip_prefix,
                              .add_prefix = r->add_prefix,
                              .server_prefix = url->path,
                              .host_policy = r->host_policy,
                              .upstream_host = url->authority,
                              .literal_host = r->host_header,
                              .request_id = o->request_id,
                              .trace = o->trace,
                              .via = c->headers.via,
                              .own = &subject,
                              .own_count = owns_subject ? 1 : 0};
    const struct edit_values values = {.client_ip = http_view_of(o->client_ip),
                                       .host = o->head->authority,
                                       .scheme = http_view_of(o->is_tls ? "https" : "http"),
                                       .request_id = o->request_id,
                                       .route = http_view_of(r->name),
                                       .trace_id = http_view_of(o->trace->trace_id)};
    if (!forward_request(to, t, o->head, &f) || !put_claims(o, to))
        return false;
    name_versions(o, r, to, t);
    return !t->failed && edit_apply(to, t, &r->request_edits, &values);
}

void outgoing_set_key(const struct http_head *head, const struct addr *peer, const struct conf_pool *p, struct pick *k)
{
    char value[HASH_KEY_BYTES];
    if (p->balance != BALANCE_HASH)
        return;
    if (p->hash_of == HASH_OF_IP) {
        pick_set_key_addr(k, peer);
    } else if (p->hash_of == HASH_OF_HEADER) {
        struct http_view v = http_value(head, p->hash_name);
        pick_set_key(k, v.data, v.len);
    } else {
        ptrdiff_t len = target_query_value(head->query, p->hash_name, value, sizeof value);
        pick_set_key(k, value, len < 0 ? 0 : (size_t)len < sizeof value ? (size_t)len : sizeof value);
    }
}
