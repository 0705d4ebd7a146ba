/* What routes keep of answers, and the Redis they share it in: rules over several keys. A mistake here can show
 * somebody what is another's, so what would not do what it seems to is complained about; a route whose policy is off
 * keeps nothing, and its other keys may stand there for later. */
#include <string.h>

#include "base/mem.h"
#include "conf/build.h"
#include "conf/schema.h"

#define TIMEOUT_USUAL_MS 800 /* the default: says nothing */
#define MEMORY_MIN_BYTES (64u << 10)
#define COUNT_OF(a)      (sizeof(a) / sizeof((a)[0]))

/* ---- routes ---- */

/* Fields that cannot be part of the key, lower case as in the list; those of a group share a reason. */
static const struct {
    const char *name; /* with a * at its end: all that begin so */
    const char *why;
} refused[] = {
    {"*", "is no header, expected its name"},
    {"authorization", "is not for this list, expected scope: token or scope: claims"},
    {"proxy-authorization", "is the gateway's own business, expected another header"},
    {"host", "is part of the key anyway, expected another header"},
    {"connection", "is the gateway's own business, expected another header"},
    {"keep-alive", "is the gateway's own business, expected another header"},
    {"proxy-connection", "is the gateway's own business, expected another header"},
    {"te", "is the gateway's own business, expected another header"},
    {"trailer", "is the gateway's own business, expected another header"},
    {"transfer-encoding", "is the gateway's own business, expected another header"},
    {"content-length", "is the gateway's own business, expected another header"},
    {"upgrade", "is the gateway's own business, expected another header"},
    {"expect", "is the gateway's own business, expected another header"},
    {"http2-settings", "is the gateway's own business, expected another header"},
    {"sec-websocket-*", "is the gateway's own business, expected another header"},
    {"range", "is answered from what is kept, expected another header"},
    {"if-*", "is answered from what is kept, expected another header"},
};

static bool is_like(const char *pattern, const char *name)
{
    size_t len = strlen(pattern);
    if (len > 1 && pattern[len - 1] == '*')
        return strncmp(pattern, name, len - 1) == 0;
    return strcmp(pattern, name) == 0;
}

static void check_key_headers(struct build *b, const struct conf_cache_route *k)
{
    for (size_t i = 0; i < k->header_count; i++)
        for (size_t j = 0; j < COUNT_OF(refused); j++)
            if (is_like(refused[j].name, k->headers[i])) {
                build_complain(b, k, &k->headers, "headers", "\"%s\" %s", k->headers[i], refused[j].why);
                break;
            }
}

/* A * in the middle would be taken as it is, and drop nothing. */
static void check_query(struct build *b, const struct conf_cache_route *k)
{
    if (k->keep_query_count > 0 && k->drop_query_count > 0)
        build_complain(b, k, &k->drop_query, "query.drop", "has no use beside query.keep, expected one of them");
    for (size_t i = 0; i < k->keep_query_count; i++)
        if (strchr(k->keep_query[i], '*') != NULL)
            build_complain(b, k, &k->keep_query, "query.keep", "\"%s\" has a *, expected whole names",
                           k->keep_query[i]);
    for (size_t i = 0; i < k->drop_query_count; i++) {
        const char *star = strchr(k->drop_query[i], '*');
        if (star == k->drop_query[i] || (star != NULL && star[1] != '\0'))
            build_complain(b, k, &k->drop_query, "query.drop",
                           "\"%s\" has a * elsewhere than behind a name, expected a name, or its beginning and *",
                           k->drop_query[i]);
    }
}

static void check_scope(struct build *b, const struct conf_route *r)
{
    const struct conf_cache_route *k = &r->cache;
    if (build_is_broken(b, &k->scope) || build_is_broken(b, &k->claims))
        return;
    if (k->scope == CACHE_SCOPE_CLAIMS && k->claim_count == 0)
        build_complain(b, k, &k->scope, "claims", "is missing, expected the claims that answers depend on");
    if (k->scope == CACHE_SCOPE_CLAIMS && !conf_jwt_is_on(&r->jwt))
        build_complain(b, k, &k->scope, "scope", "goes by claims, expected jwt on the route as well");
    if (k->scope != CACHE_SCOPE_CLAIMS && k->claim_count > 0)
        build_complain(b, k, &k->claims, "claims", "has no use with this scope, expected scope: claims");
}

/* Whether a request for the target matches the route's path. */
static bool is_below(const char *path, const char *target)
{
    size_t len = strlen(path);
    if (strncmp(path, target, len) != 0)
        return false;
    return path[len - 1] == '/' || target[len] == '\0' || target[len] == '/' || target[len] == '?';
}

/* Another route whose requests these are: of the same host, with a longer path. */
static const struct conf_route *find_nearer(const struct conf *c, const struct conf_route *r, const char *target)
{
    for (size_t i = 0; i < c->route_count; i++) {
        const struct conf_route *other = &c->routes[i];
        if (strcmp(other->host, r->host) == 0 && strlen(other->path) > strlen(r->path) && is_below(other->path, target))
            return other;
    }
    return NULL;
}

/* "https://" or "http://" and an authority, in the form keys have it. */
static bool is_origin(const char *text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789.-:[]";
    const char *host = strncmp(text, "https://", 8) == 0 ? text + 8 : strncmp(text, "http://", 7) == 0 ? text + 7 : "";
    return *host != '\0' && *host != ':' && strspn(host, allowed) == strlen(host);
}

static void check_warm(struct build *b, const struct conf_route *r)
{
    const struct conf_cache_route *k = &r->cache;
    if (k->warm_count > 0 && k->scope != CACHE_SCOPE_PUBLIC && !build_is_broken(b, &k->scope))
        build_complain(b, k, &k->warm, "warm", "cannot be fetched for nobody in particular, expected scope: public");
    if ((k->warm_count > 0 || *k->warm_as != '\0') && !is_origin(k->warm_as))
        build_complain(
            b, k, &k->warm_as, "warm_as",
            "\"%s\" is not where clients ask, expected scheme, host and port, such as https://app.example.com",
            k->warm_as);
    for (size_t i = 0; i < k->warm_count && !build_is_broken(b, &r->path); i++) {
        const struct conf_route *nearer = find_nearer(b->conf, r, k->warm[i]);
        if (!is_below(r->path, k->warm[i]))
            build_complain(b, k, &k->warm, "warm", "\"%s\" is not below the route's path (%s), expected it to be",
                           k->warm[i], r->path);
        else if (nearer != NULL)
            build_complain(b, k, &k->warm, "warm", "\"%s\" belongs to the route on line %u, expected it there",
                           k->warm[i], build_line(b, nearer));
    }
}

static void check_route(struct build *b, const struct conf_route *r)
{
    const struct conf_cache_route *k = &r->cache;
    if (k->policy == CACHE_OFF)
        return;
    const struct conf_pool *p = r->pool < b->conf->pool_count ? &b->conf->pools[r->pool] : NULL;
    const bool is_ws = p != NULL && p->server_count > 0 &&
                       (p->servers[0].url.scheme == SCHEME_WS || p->servers[0].url.scheme == SCHEME_WSS);
    if (is_ws)
        build_complain(b, k, &k->policy, "policy",
                       "has no use with a pool of ws:// servers, expected one of http:// or https:// servers");
    check_scope(b, r);
    check_key_headers(b, k);
    check_query(b, k);
    check_warm(b, r);
    if (k->policy != CACHE_NETWORK_FIRST && k->timeout_ms != TIMEOUT_USUAL_MS)
        build_complain(b, k, &k->timeout_ms, "timeout", "has no use with this policy, expected policy: network-first");
}

/* ---- the memory, and Redis ---- */

static void check_sizes(struct build *b)
{
    const struct conf *c = b->conf;
    if (c->cache.memory_bytes == 0)
        return;
    if (c->cache.memory_bytes < MEMORY_MIN_BYTES)
        build_complain(b, c, &c->cache.memory_bytes, "cache.memory",
                       "is too little to keep anything in, expected 0 or at least 64KiB");
    else if (c->cache.max_entry_bytes > c->cache.memory_bytes / 4)
        build_complain(b, c, &c->cache.max_entry_bytes, "cache.max_entry",
                       "is more than a quarter of cache.memory, expected at most that");
}

static void check_modes(struct build *b, const struct conf_redis *r)
{
    if (build_is_broken(b, &r->mode))
        return;
    if (r->mode != REDIS_SINGLE && r->scheme == REDIS_UNIX)
        build_complain(b, r, &r->text, "url", "is a socket, which has one Redis behind it, expected mode: single");
    if (r->mode == REDIS_CLUSTER && r->database != 0)
        build_complain(b, r, &r->text, "url", "names database %u, expected none: a cluster has no others than 0",
                       r->database);
    if (r->mode == REDIS_SENTINEL && r->master[0] == '\0' && !build_is_broken(b, &r->master))
        build_complain(b, r, &r->mode, "master", "is missing, expected the name the Sentinels know it by");
    if (r->mode != REDIS_SENTINEL && r->master[0] != '\0')
        build_complain(b, r, &r->master, "master", "has no use with this mode, expected mode: sentinel");
    if (r->mode != REDIS_SENTINEL && r->sentinel_password[0] != '\0')
        build_complain(b, r, &r->sentinel_password, "sentinel_password",
                       "has no use with this mode, expected mode: sentinel");
    if (r->mode == REDIS_SINGLE && r->node_count > 0)
        build_complain(b, r, &r->nodes, "nodes", "has no use with this mode, expected mode: sentinel or mode: cluster");
}

void check_redis(struct build *b, const struct conf_redis *r)
{
    const struct check_use uses[] = {{&r->username, "username", r->username[0] != '\0'},
                                     {&r->password, "password", r->password[0] != '\0'},
                                     {&r->mode, "mode", r->mode != REDIS_SINGLE},
                                     {&r->master, "master", r->master[0] != '\0'},
                                     {&r->nodes, "nodes", r->node_count > 0},
                                     {&r->sentinel_password, "sentinel_password", r->sentinel_password[0] != '\0'}};
    if (r->text[0] == '\0') { /* one that is empty is there, for an environment without Redis */
        if (!build_is_given(b, &r->text) && !build_is_broken(b, &r->text))
            check_unused(b, r, uses, COUNT_OF(uses), "url");
        return;
    }
    if (r->username[0] != '\0' && r->password[0] == '\0' && !build_is_broken(b, &r->password))
        build_complain(b, r, build_is_given(b, &r->username) ? (const void *)&r->username : &r->text, "username",
                       "is given without a password, expected both or neither");
    check_modes(b, r);
    check_client_tls(b, r, &r->tls, r->scheme == REDIS_TLS, "this url", "a rediss:// url");
}

void check_cache(struct build *b)
{
    const struct conf *c = b->conf;
    for (size_t i = 0; i < c->route_count; i++)
        check_route(b, &c->routes[i]);
    check_sizes(b);
    check_redis(b, &c->cache.redis);
}
