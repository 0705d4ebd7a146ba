/* What goes to the origin of a cacheable request is made of the key's parts, so that nothing can come back that the key
 * does not account for. */
#include "gateway/exchange/inner.h"

#include <string.h>

#include "base/mem.h"
#include "cache/key.h"

/* One of the fields that answers of the route are known to vary by. */
static bool is_learned(const struct cache_learned *l, struct http_view name)
{
    return http_list_has((struct http_view){l->names, l->len}, name);
}

static void add_validators(struct http_head *to, struct http_texts *t, const struct cache_entry *known)
{
    if (known->etag.data != NULL)
        (void)http_head_add(to, http_view_of("If-None-Match"), http_texts_add(t, known->etag.data, known->etag.len));
    if (known->last_modified.data != NULL)
        (void)http_head_add(to, http_view_of("If-Modified-Since"),
                            http_texts_add(t, known->last_modified.data, known->last_modified.len));
}

/* The request as the key has it. What does not fit was refused when the key was made. */
static void make_request(struct http_head *to, struct http_texts *t, const struct exchange *of,
                         const struct cache_entry *known)
{
    const struct http_head *from = &of->head;
    const bool is_post = http_view_is(from->method, "POST");
    const struct cache_learned *learned = cache_learned_of(of->env->cache, of->route_slot);
    http_head_clear(to);
    to->method = http_view_of(is_post ? "POST" : "GET");
    to->authority = cache_key_host(t, from->authority, of->is_tls);
    to->path = from->path;
    const bool fits = cache_key_query(&to->query, t, of->route, from->query);
    ASSERT(fits);
    const struct http_view pieces[] = {to->path, http_view_of(to->query.data != NULL ? "?" : ""), to->query};
    to->target = http_texts_join(t, pieces, 3);
    to->major_version = from->major_version;
    to->minor_version = from->minor_version;
    to->content_length = is_post ? (int64_t)of->replay.kept.len : -1;
    for (uint32_t i = 0; i < from->field_count; i++)
        if (cache_key_passes(of->route, from->fields[i].name, is_post) || is_learned(learned, from->fields[i].name))
            (void)http_head_add(to, from->fields[i].name, from->fields[i].value);
    if (http_find(to, "accept-encoding") == NULL) /* without, an origin might send any */
        (void)http_head_add(to, http_view_of("Accept-Encoding"), http_view_of("identity"));
    if (known != NULL)
        add_validators(to, t, known);
}

/* Whether the field that carries a claim goes on: only when the key has the claim too. */
static bool is_claim_in_key(const struct conf_route *r, struct http_view name)
{
    if (r->cache.scope == CACHE_SCOPE_TOKEN)
        return true;
    if (r->cache.scope == CACHE_SCOPE_PUBLIC)
        return false;
    for (size_t i = 0; i < r->jwt.forward_count; i++)
        for (size_t k = 0; k < r->cache.claim_count && http_view_is_nocase(name, r->jwt.forward[i].value); k++)
            if (strcmp(r->jwt.forward[i].name, r->cache.claims[k]) == 0)
                return true;
    return false;
}

/* Fields made of claims: their values are kept behind those of the head, and taken off it again. */
static void copy_head(struct exchange *x, struct http_head *made, const struct rules_verdict *v)
{
    static const struct http_view nothing = {NULL, 0};
    const uint32_t own_count = made->field_count;
    for (uint32_t i = 0; i < v->forward_count; i++)
        (void)http_head_add(made, v->forward[i].name,
                            is_claim_in_key(x->route, v->forward[i].name) ? v->forward[i].value : nothing);
    const uint32_t forward_count = made->field_count - own_count;
    x->head_copy = http_head_copy(&x->head, made);
    for (uint32_t i = 0; i < forward_count; i++)
        x->verdict.forward[i] = x->head.fields[own_count + i];
    x->verdict.forward_count = forward_count;
    x->head.field_count = own_count;
}

void inner_create(const struct inner_start *o, struct exchange **xp)
{
    const struct exchange *of = o->of;
    struct exchange *x;
    struct http_head made;
    struct http_texts texts;
    OBJ_NEW_UP_TO(x, EXCHANGE_MAGIC, verdict.add);
    x->env = of->env;
    x->self = xp;
    x->ops = o->ops;
    x->arg = o->fetch;
    x->fetch = o->fetch;
    x->conf = conf_ref(of->conf);
    x->route = of->route;
    x->route_slot = of->route_slot;
    x->pool = pool_ref(of->pool);
    http_texts_init(&texts, EXCHANGE_TEXTS_BYTES);
    make_request(&made, &texts, of, o->known);
    copy_head(x, &made, &of->verdict);
    http_texts_fini(&texts);
    x->has_body = of->replay.kept.len > 0;
    x->is_body_over = true;
    x->is_repeatable = true; /* a query changes nothing, whatever its method */
    replay_init(&x->replay, of->replay.kept.len);
    replay_add(&x->replay, (const uint8_t *)of->replay.kept.data, of->replay.kept.len);
    x->is_trusted = of->is_trusted;
    x->is_tls = of->is_tls;
    x->start_ms = exchange_now_ms(of);
    x->last_status = 502;
    x->client = of->client;
    memcpy(x->peer_ip, of->peer_ip, sizeof x->peer_ip);
    memcpy(x->client_ip, of->client_ip, sizeof x->client_ip);
    memcpy(x->id, of->id, sizeof x->id);
    x->trace = of->trace;
    pick_init(&x->pick);
    x->pick.has_key = of->pick.has_key;
    x->pick.key = of->pick.key;
    *xp = x;
}

void inner_run(struct exchange *x)
{
    const struct conf_pool *pc = x->pool->pool_conf;
    x->deadline_ms = exchange_now_ms(x) + (pc != NULL ? pc->failover_timeout_ms : 0);
    x->start_ms = exchange_now_ms(x);
    pool_request(x->pool, x->start_ms);
    exchange_run(x, STEP_PICK);
}
