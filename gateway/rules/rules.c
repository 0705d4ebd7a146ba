/* The rules of all routes, and one request's way through them. */
#include "gateway/rules/rules.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "gateway/rules/access.h"
#include "gateway/rules/cors.h"
#include "gateway/rules/methods.h"
#include "gateway/rules/rate.h"
#include "gateway/rules/token.h"
#include "gateway/rules/verdict.h"

#define RULES_MAGIC     0x2d1e5b07u
#define NO_KEYS_RETRY_S 1u
#define VALUE_MAX_BYTES 4096u

struct rules {
    uint32_t magic;
    struct stats *shared;
    struct conf *conf;           /* NULL before the first one */
    struct token_policy *tokens; /* by route; source NULL: no token is wanted */
    struct list sources;
    struct token_cache *cache;
    uint64_t id_count; /* of key sets */
};

struct rules *rules_create(struct stats *shared)
{
    struct rules *r;
    OBJ_NEW(r, RULES_MAGIC);
    r->shared = shared;
    r->cache = token_cache_create();
    list_init(&r->sources);
    return r;
}

static void free_policies(struct token_policy **policies, size_t count)
{
    for (size_t i = 0; *policies != NULL && i < count; i++) {
        if ((*policies)[i].source != NULL)
            token_source_unref(&(*policies)[i].source);
        if ((*policies)[i].revoked != NULL)
            revoked_destroy(&(*policies)[i].revoked);
    }
    mem_free(*policies);
    *policies = NULL;
}

void rules_destroy(struct rules **rp)
{
    struct rules *r = *rp;
    CHECK_OBJ(r, RULES_MAGIC);
    free_policies(&r->tokens, r->conf != NULL ? r->conf->route_count : 0);
    ASSERT(list_is_empty(&r->sources));
    token_cache_destroy(&r->cache);
    if (r->conf != NULL)
        conf_unref(&r->conf);
    OBJ_FREE(rp, RULES_MAGIC);
}

bool rules_can_use(const struct conf_route *route, char *error)
{
    char why[TOKEN_KEYS_ERROR_TEXT] = "";
    struct list none;
    uint64_t id_count = 0;
    list_init(&none);
    if (!conf_jwt_is_on(&route->jwt))
        return true;
    struct token_source *s = token_source_get(&none, &route->jwt, &id_count, why);
    if (s == NULL) {
        (void)snprintf(error, RULES_ERROR_BYTES, "the key %s", why);
        return false;
    }
    token_source_unref(&s);
    return true;
}

static bool make_policy(struct rules *r, const struct conf_route *route, struct token_policy *p, char *error)
{
    char why[TOKEN_KEYS_ERROR_TEXT] = "";
    p->conf = &route->jwt;
    if (!conf_jwt_is_on(&route->jwt))
        return true;
    p->source = token_source_get(&r->sources, &route->jwt, &r->id_count, why);
    if (p->source == NULL) {
        (void)snprintf(error, RULES_ERROR_BYTES, "route %.60s: the key %s", route->name, why);
        return false;
    }
    if (list_is_empty(&p->source->link))
        list_append(&r->sources, &p->source->link);
    if (route->jwt.revoked.text != NULL)
        p->revoked = revoked_create(route->jwt.revoked.text);
    return true;
}

bool rules_take_conf(struct rules *r, const struct conf *c, char *error)
{
    CHECK_OBJ(r, RULES_MAGIC);
    struct token_policy *tokens = mem_alloc_array(c->route_count, sizeof *tokens);
    for (size_t i = 0; i < c->route_count; i++)
        if (!make_policy(r, &c->routes[i], &tokens[i], error)) {
            free_policies(&tokens, c->route_count);
            return false;
        }
    free_policies(&r->tokens, r->conf != NULL ? r->conf->route_count : 0);
    r->tokens = tokens;
    if (r->conf != NULL)
        conf_unref(&r->conf);
    r->conf = conf_ref(c);
    return true;
}

static const struct token_policy *policy_of(const struct rules *r, const struct conf_route *route)
{
    ASSERT(r->conf != NULL && route >= r->conf->routes && route < r->conf->routes + r->conf->route_count);
    return &r->tokens[route - r->conf->routes];
}

/* ---- one request ---- */

/* Each returns false when the request is answered. */
typedef bool rule_fn(struct rules *r, const struct rules_request *q, struct rules_verdict *v);

static bool rule_access(struct rules *r, const struct rules_request *q, struct rules_verdict *v)
{
    access_client(r->conf, q->head, q->peer, &v->client);
    if (access_is_allowed(q->route, &v->client))
        return true;
    verdict_refuse(v, 403, "address not allowed");
    return false;
}

static bool rule_ws_origin(struct rules *r, const struct rules_request *q, struct rules_verdict *v)
{
    (void)r;
    const struct conf_route *route = q->route;
    if (!q->is_websocket || route->ws_origin_count == 0)
        return true;
    const uint32_t count = http_count(q->head, "origin");
    if (count == 0)
        return true;
    if (count == 1 && cors_origin_matches(route->ws_origins, route->ws_origin_count, http_value(q->head, "origin")))
        return true;
    verdict_refuse(v, 403, "origin not allowed");
    return false;
}

static bool rule_cors(struct rules *r, const struct rules_request *q, struct rules_verdict *v)
{
    (void)r;
    const struct conf_cors *c = &q->route->cors;
    if (c->origin_count == 0 || q->is_websocket)
        return true;
    if (cors_is_preflight(q->head)) {
        cors_answer_preflight(c, q->head, v);
        return false;
    }
    cors_decorate(c, q->head, v); /* also what is refused below: or the page would not see why */
    return true;
}

static bool rule_methods(struct rules *r, const struct rules_request *q, struct rules_verdict *v)
{
    (void)r;
    if (methods_allow(q->route, q->head, q->is_websocket))
        return true;
    verdict_refuse(v, 405, "method not allowed");
    verdict_add(v, "Allow", http_view_of(q->route->methods_text));
    return false;
}

static bool take_from_bucket(struct rules *r, const struct rules_request *q, struct rules_verdict *v,
                             struct http_view who)
{
    const uint64_t key = who.data != NULL ? rate_key_of_text(r->shared, q->route_slot, who.data, who.len)
                                          : rate_key_of_address(r->shared, q->route_slot, &v->client);
    if (rate_take(r->shared, &q->route->rate, key, q->now_ms, &v->retry_after_s))
        return true;
    verdict_refuse(v, 429, "too many requests");
    return false;
}

static bool rule_rate(struct rules *r, const struct rules_request *q, struct rules_verdict *v)
{
    const struct conf_rate *rate = &q->route->rate;
    if (rate->requests == 0 || rate->per == RATE_PER_CLAIM)
        return true;
    return take_from_bucket(r, q, v,
                            rate->per == RATE_PER_HEADER ? http_value(q->head, rate->name) : (struct http_view){0});
}

static bool rule_token(struct rules *r, const struct rules_request *q, struct rules_verdict *v)
{
    const struct token_policy *p = policy_of(r, q->route);
    if (p->source == NULL)
        return true;
    const enum token_fault fault = token_check(p, r->cache, q->head, q->now_ms, q->wall_ms, &v->claims);
    if (fault == TOKEN_GOOD)
        return true;
    verdict_refuse(v, fault == TOKEN_NO_KEYS ? 503 : 401, token_fault_text(fault));
    if (fault == TOKEN_NO_KEYS)
        v->retry_after_s = NO_KEYS_RETRY_S;
    else
        verdict_add(v, "WWW-Authenticate", http_view_of(token_fault_challenge(fault)));
    return false;
}

/* Behind the token, because only a verified claim says who somebody is. */
static bool rule_claim_rate(struct rules *r, const struct rules_request *q, struct rules_verdict *v)
{
    const struct conf_rate *rate = &q->route->rate;
    if (rate->requests == 0 || rate->per != RATE_PER_CLAIM)
        return true;
    return take_from_bucket(r, q, v,
                            v->claims != NULL ? token_claims_text(v->claims, rate->name) : (struct http_view){0});
}

/* Fit to stand in a field: no control characters, not too long. */
static bool is_field_value(struct http_view v)
{
    for (size_t i = 0; i < v.len; i++)
        if ((unsigned char)v.data[i] < 0x20 || v.data[i] == 0x7f)
            return false;
    return v.len <= VALUE_MAX_BYTES;
}

void rules_forward(const struct conf_route *route, struct rules_verdict *v)
{
    const struct conf_jwt *j = &route->jwt;
    v->forward_count = 0;
    if (!conf_jwt_is_on(j))
        return;
    for (size_t i = 0; i < j->forward_count && i < RULES_MAX_FORWARD; i++) {
        struct http_view value = {0};
        if (v->claims != NULL)
            value = token_claims_text(v->claims, j->forward[i].name);
        if (!is_field_value(value))
            value = (struct http_view){0};
        v->forward[v->forward_count++] = (struct http_field){.name = http_view_of(j->forward[i].value), .value = value};
    }
}

static bool rule_forward(struct rules *r, const struct rules_request *q, struct rules_verdict *v)
{
    (void)r;
    rules_forward(q->route, v);
    return true;
}

/* A token that counted only thanks to the leeway goes on counting for as long as that lasts. */
static int64_t expiry(const struct conf_jwt *j, const struct token_claims *claims, int64_t wall_ms)
{
    const int64_t expires_ms = token_claims_expires_ms(claims);
    if (expires_ms == 0)
        return 0;
    return expires_ms + j->grace_ms + (wall_ms >= expires_ms ? j->leeway_ms : 0);
}

void rules_check(struct rules *r, const struct rules_request *q, struct rules_verdict *out)
{
    static rule_fn *const rules[] = {rule_access, rule_ws_origin, rule_cors,       rule_methods,
                                     rule_rate,   rule_token,     rule_claim_rate, rule_forward};
    CHECK_OBJ(r, RULES_MAGIC);
    memset(out, 0, offsetof(struct rules_verdict, add));
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        if (!rules[i](r, q, out))
            break;
    if (out->claims != NULL)
        out->expires_wall_ms = expiry(&q->route->jwt, out->claims, q->wall_ms);
}

bool rules_is_revoked(const struct rules *r, const struct conf_route *route, const struct token_claims *claims)
{
    CHECK_OBJ(r, RULES_MAGIC);
    const struct token_policy *p = policy_of(r, route);
    return p->revoked != NULL && revoked_has(p->revoked, claims);
}

/* ---- key sets of pools ---- */

bool rules_fetch_next(struct rules *r, int64_t now_ms, struct rules_fetch *out)
{
    CHECK_OBJ(r, RULES_MAGIC);
    LIST_EACH (it, &r->sources) {
        struct token_source *s = LIST_ENTRY(it, struct token_source, link);
        if (token_source_begin(s, now_ms)) {
            *out = (struct rules_fetch){.pool = s->pool, .path = s->path};
            return true;
        }
    }
    return false;
}

void rules_fetch_done(struct rules *r, const char *pool, const char *path, const char *text, size_t len,
                      int64_t max_age_ms, int64_t now_ms)
{
    CHECK_OBJ(r, RULES_MAGIC);
    LIST_EACH (it, &r->sources) {
        struct token_source *s = LIST_ENTRY(it, struct token_source, link);
        char why[TOKEN_KEYS_ERROR_TEXT] = "could not be fetched";
        if (s->pool == NULL || strcmp(s->pool, pool) != 0 || strcmp(s->path, path) != 0)
            continue;
        const uint64_t before = s->keys_id;
        if (!token_source_take(s, text, len, max_age_ms, now_ms, &r->id_count, why))
            LOG_WARN("key set not taken", KV_STR("pool", pool), KV_STR("path", path), KV_STR("cause", why),
                     KV_BOOL("has_keys", s->keys != NULL), KV_INT("retry_ms", s->due_ms - now_ms));
        else if (s->keys_id != before)
            LOG_INFO("key set taken", KV_STR("pool", pool), KV_STR("path", path),
                     KV_INT("refresh_ms", s->due_ms - now_ms));
        return;
    }
}
