/* Values nobody wrote: from the machine, from other values, and the order of the routes. A default that contradicts
 * what was written gives way silently (a shorter failover_timeout shortens the default timeouts of one attempt); two
 * written values that contradict each other are for conf/check.c. */
#include <ctype.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/build.h"
#include "conf/value.h"

#define WORKERS_MAX     64
#define REDIS_PORT      6379u
#define SENTINEL_PORT   26379u
#define HOST_NAME_BYTES 61u /* value_name() allows 60 */

static uint32_t cpu_count(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : (int)sysconf(_SC_NPROCESSORS_ONLN);
    return count < 1 ? 1 : count > WORKERS_MAX ? WORKERS_MAX : (uint32_t)count;
}

static const char *host_name(struct arena *arena)
{
    char name[HOST_NAME_BYTES + 1] = "";
    if (gethostname(name, HOST_NAME_BYTES) != 0)
        name[0] = '\0';
    name[HOST_NAME_BYTES - 1] = '\0';
    return arena_strdup(arena, value_name(name) == NULL ? name : "tidegate");
}

static void shorten(const struct build *b, int64_t *ms, int64_t most_ms)
{
    if (!build_is_given(b, ms) && *ms > most_ms)
        *ms = most_ms;
}

/* "NAME" is a target, everything with a / in it a slot's name as it is. */
static const char *slot_name(struct arena *arena, const char *text)
{
    return text[0] == '\0' || strchr(text, '/') != NULL ? text : arena_printf(arena, CONF_TARGETS_POOL "/%s", text);
}

static void derive_server(struct build *b, const struct conf_pool *p, struct conf_server *s)
{
    s->slot_name = arena_printf(b->kind.arena, "%s/%s", p->name, s->name);
    s->check.canary_peer = slot_name(b->kind.arena, s->check.canary_peer);
    if (!build_is_given(b, &p->check.timeout_ms))
        shorten(b, &s->check.timeout_ms, s->check.interval_ms);
}

/* The url of a target stands in its check. */
static void derive_target(struct build *b, struct conf_server *t)
{
    const struct conf_url *asked = &t->check.url;
    const char *host = NULL;
    size_t host_len = 0;
    uint16_t port = 0;
    t->slot_name = arena_printf(b->kind.arena, CONF_TARGETS_POOL "/%s", t->name);
    t->weight = 1;
    t->check.canary_peer = slot_name(b->kind.arena, t->check.canary_peer);
    t->url = *asked;
    t->url.path = "";
    if (asked->is_tls && t->tls.server_name[0] == '\0' &&
        value_host_port(t->check.host, strlen(t->check.host), &host, &host_len, &port) == NULL)
        t->tls.server_name = arena_strndup(b->kind.arena, host, host_len); /* asked by address, it has a name */
    if (asked->path[0] != '\0' && !build_is_given(b, &t->check.path))
        t->check.path = asked->path;
    shorten(b, &t->check.timeout_ms, t->check.interval_ms);
}

static void derive_dns(struct build *b, struct conf_dns *d)
{
    struct arena *arena = b->kind.arena;
    if (d->contact[0] == '\0' && d->zone[0] != '\0')
        d->contact = arena_printf(arena, "hostmaster@%s", d->zone);
    for (size_t i = 0; i < d->record_count; i++)
        for (size_t j = 0; j < d->records[i].answer_count; j++) {
            struct conf_dns_answer *a = &d->records[i].answers[j];
            a->target = slot_name(arena, a->target);
            for (size_t k = 0; k < a->require_count; k++)
            a->requires[k] = slot_name(arena, a->requires[k]);
        }
    for (size_t i = 0; i < d->push_count; i++)
        if (d->pushes[i].zone[0] == '\0')
            d->pushes[i].zone = d->zone;
}

static const char *lowered(struct arena *arena, const char *text)
{
    char *copy = arena_strdup(arena, text);
    for (char *s = copy; *s != '\0'; s++)
        *s = (char)tolower((unsigned char)*s);
    return copy;
}

static void derive_pool(struct build *b, struct conf_pool *p)
{
    if (p->hash_of == HASH_OF_HEADER)
        p->hash_name = lowered(b->kind.arena, p->hash_name);
    shorten(b, &p->connect_timeout_ms, p->failover_timeout_ms);
    shorten(b, &p->upgrade_timeout_ms, p->failover_timeout_ms);
    shorten(b, &p->check.timeout_ms, p->check.interval_ms);
    for (size_t i = 0; i < p->server_count; i++)
        derive_server(b, p, &p->servers[i]);
}

/* "GET, HEAD" */
static const char *joined(struct arena *arena, const char *const *items, size_t count)
{
    const char *text = count > 0 ? items[0] : "";
    for (size_t i = 1; i < count; i++)
        text = arena_printf(arena, "%s, %s", text, items[i]);
    return text;
}

static void derive_cors(struct arena *arena, struct conf_route *r)
{
    static const char *const usual_methods[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"};
    struct conf_cors *c = &r->cors;
    if (c->origin_count > 0 && c->method_count == 0) {
        bool has_own = r->method_count > 0;
        c->method_count = has_own ? r->method_count : sizeof usual_methods / sizeof usual_methods[0];
        c->methods = arena_alloc(arena, c->method_count, sizeof *c->methods);
        memcpy(c->methods, has_own ? (const void *)r->methods : usual_methods, c->method_count * sizeof *c->methods);
    }
    c->methods_text = joined(arena, c->methods, c->method_count);
    c->headers_text = joined(arena, c->headers, c->header_count);
    c->expose_text = joined(arena, c->expose, c->expose_count);
}

static void derive_rules(struct build *b, struct conf_route *r)
{
    struct arena *arena = b->kind.arena;
    struct conf_jwt *j = &r->jwt;
    r->methods_text = joined(arena, r->methods, r->method_count);
    derive_cors(arena, r);
    if (r->rate.per == RATE_PER_HEADER)
        r->rate.name = lowered(arena, r->rate.name);
    if (r->rate.burst == 0)
        r->rate.burst = r->rate.requests;
    if (j->algorithms == 0 && conf_jwt_is_on(j))
        j->algorithms = j->secret[0] != '\0' ? 1u << JWT_HS256 : 1u << JWT_RS256 | 1u << JWT_ES256;
    j->header = build_is_given(b, &j->header) ? lowered(arena, j->header) : "authorization";
    for (size_t i = 0; i < j->forward_count; i++)
        j->forward[i].value = lowered(arena, j->forward[i].value);
}

static void derive_cache_route(struct build *b, struct conf_cache_route *k)
{
    static const char *const usual_headers[] = {"accept", "accept-profile", "apikey", "prefer"};
    struct arena *arena = b->kind.arena;
    if (!build_is_given(b, &k->headers)) {
        k->header_count = sizeof usual_headers / sizeof usual_headers[0];
        k->headers = arena_alloc(arena, k->header_count, sizeof *k->headers);
        memcpy(k->headers, usual_headers, sizeof usual_headers);
    }
    for (size_t i = 0; i < k->header_count; i++)
        k->headers[i] = lowered(arena, k->headers[i]);
}

/* What the url has and the key of its own has not; two that differ are complained about here, where both are known. */
static void derive_credential(struct build *b, struct conf_redis *r, const char **member, const char *key,
                              const char *text, size_t len)
{
    if (text == NULL || build_is_broken(b, member))
        return;
    char *plain = arena_strndup(b->kind.arena, text, len);
    value_percent_decode(plain, text, len);
    if ((*member)[0] == '\0')
        *member = plain;
    else if (strcmp(*member, plain) != 0)
        build_complain(b, r, member, key, "differs from that of the url, expected it in one of the two places");
}

static void derive_redis(struct build *b, struct conf_redis *r)
{
    struct value_redis_url u;
    r->host = "";
    if (r->text[0] == '\0')
        return;
    const char *why = value_redis_url(r->text, &u);
    ASSERT(why == NULL); /* it was read */
    r->scheme = u.scheme;
    r->host = arena_strndup(b->kind.arena, u.host, u.host_len);
    r->port = u.scheme == REDIS_UNIX      ? 0
              : u.port != 0               ? u.port
              : r->mode == REDIS_SENTINEL ? SENTINEL_PORT
                                          : REDIS_PORT;
    r->database = u.database;
    derive_credential(b, r, &r->username, "username", u.user, u.user_len);
    derive_credential(b, r, &r->password, "password", u.password, u.password_len);
}

/* Nobody waits for an exchange as a request waits for the cache, and the others may be on the other side of the world:
 * what suits the cache suits the quorum only where it was written down. One command at a time needs no circuit. */
#define QUORUM_TIMEOUT_MS         1000
#define QUORUM_CONNECT_TIMEOUT_MS 2000

static void derive_quorum(struct build *b, struct conf_quorum *q)
{
    derive_redis(b, &q->redis);
    if (!build_is_given(b, &q->interval_ms) && q->interval_ms > q->lifetime_ms / 3)
        q->interval_ms = q->lifetime_ms / 3;
    if (!build_is_given(b, &q->redis.timeout_ms))
        q->redis.timeout_ms = q->lifetime_ms / 4 < QUORUM_TIMEOUT_MS ? q->lifetime_ms / 4 : QUORUM_TIMEOUT_MS;
    if (!build_is_given(b, &q->redis.connect_timeout_ms))
        q->redis.connect_timeout_ms = QUORUM_CONNECT_TIMEOUT_MS;
    if (!build_is_given(b, &q->redis.circuit_failures))
        q->redis.circuit_failures = 0;
}

static void derive_cache(struct build *b, struct conf *c)
{
    if (!build_is_given(b, &c->cache.max_entry_bytes) && c->cache.memory_bytes != 0 &&
        c->cache.max_entry_bytes > c->cache.memory_bytes / 4)
        c->cache.max_entry_bytes = c->cache.memory_bytes / 4;
    derive_redis(b, &c->cache.redis);
}

/* What the access log must not show. */
static void derive_token_queries(struct build *b, struct conf *c)
{
    const char **names = arena_alloc(b->kind.arena, c->route_count, sizeof *names);
    size_t count = 0;
    for (size_t i = 0; i < c->route_count; i++) {
        size_t at = 0;
        while (at < count && strcmp(names[at], c->routes[i].jwt.query) != 0)
            at++;
        if (at == count && c->routes[i].jwt.query[0] != '\0')
            names[count++] = c->routes[i].jwt.query;
    }
    c->log.token_queries = names;
    c->log.token_query_count = count;
}

/* "client" and "upstream" are words, everything else is a host. */
static void derive_heads(struct conf_route *r)
{
    r->host_policy = strcmp(r->host_header, "client") == 0     ? HOST_HEADER_CLIENT
                     : strcmp(r->host_header, "upstream") == 0 ? HOST_HEADER_UPSTREAM
                                                               : HOST_HEADER_LITERAL;
}

static void derive_own_headers(struct conf *c)
{
    c->headers.via = strcmp(c->headers.via_text, "off") == 0 ? "" : c->headers.via_text;
    c->headers.client_subject =
        strcmp(c->headers.client_subject_text, "off") == 0 ? "" : c->headers.client_subject_text;
    c->headers.server = strcmp(c->headers.server_text, "pass") == 0  ? NULL
                        : strcmp(c->headers.server_text, "off") == 0 ? ""
                                                                     : c->headers.server_text;
}

/* One whose file does not parse keeps a zero, and conf/check.c complains. */
static void derive_listen(struct conf_listen *l)
{
    for (size_t i = 0; i < l->tls.certificate_count; i++) {
        struct conf_certificate *c = &l->tls.certificates[i];
        if (c->cert.text != NULL && !tls_certificate_info(c->cert.text, &c->info))
            c->info = (struct tls_certificate_info){.not_after_ms = 0};
    }
}

/* Minutes of the day, of "22:00"; -1 when it is none. */
static int32_t clock_min(const char *text)
{
    int hour, minute, end = 0;
    if (strlen(text) != 5 || sscanf(text, "%2d:%2d%n", &hour, &minute, &end) != 2 || end != 5 || hour < 0 ||
        hour > 24 || minute < 0 || minute > 59 || hour * 60 + minute > 24 * 60)
        return -1;
    return hour * 60 + minute;
}

/* What does not parse keeps a value that is none, and conf/check_alerts.c complains. */
static void derive_alert(struct build *b, struct conf_alert *a, size_t index)
{
    const char *zone = a->quiet.zone_text;
    const bool is_offset = zone[0] == '+' || zone[0] == '-';
    const int32_t zone_min = is_offset ? clock_min(zone + 1) : 0;
    if (a->name[0] == '\0')
        a->name = arena_printf(b->kind.arena, "alert-%zu", index + 1);
    if (!build_is_given(b, &a->on))
        a->on = 1u << EVENT_DOWN | 1u << EVENT_FAILOVER | 1u << EVENT_BREAKER | 1u << EVENT_CRASH |
                1u << EVENT_CERTIFICATE | 1u << EVENT_RELOAD | 1u << EVENT_CUT_OFF;
    if (a->quiet.from_text[0] != '\0' && a->quiet.to_text[0] != '\0') {
        a->quiet.from_min = clock_min(a->quiet.from_text);
        a->quiet.to_min = clock_min(a->quiet.to_text);
    }
    a->quiet.zone_name = is_offset ? "" : zone;
    a->quiet.zone_min = zone_min < 0 ? INT32_MIN : zone[0] == '-' ? -zone_min : zone_min;
}

void derive_values(struct build *b)
{
    CHECK_OBJ(b, BUILD_MAGIC);
    struct conf *c = b->conf;
    if (c->workers == 0)
        c->workers = cpu_count();
    if (c->node.name[0] == '\0')
        c->node.name = host_name(b->kind.arena);
    derive_own_headers(c);
    derive_cache(b, c);
    for (size_t i = 0; i < c->listen_count; i++)
        derive_listen(&c->listen[i]);
    for (size_t i = 0; i < c->pool_count; i++)
        derive_pool(b, &c->pools[i]);
    for (size_t i = 0; i < c->target_count; i++)
        derive_target(b, &c->targets[i]);
    derive_dns(b, &c->dns);
    derive_quorum(b, &c->quorum);
    for (size_t i = 0; i < c->route_count; i++) {
        struct conf_route *r = &c->routes[i];
        if (r->name[0] == '\0')
            r->name = arena_printf(b->kind.arena, "%s%s", r->host, r->path);
        derive_rules(b, r);
        derive_heads(r);
        derive_cache_route(b, &r->cache);
    }
    for (size_t i = 0; i < c->alert_count; i++)
        derive_alert(b, &c->alerts[i], i);
    derive_token_queries(b, c);
}

/* Exact names, then wildcards, then any. */
static int host_rank(const char *host)
{
    return host[0] == '\0' ? 2 : host[0] == '*' ? 1 : 0;
}

static int compare_routes(const void *pa, const void *pb)
{
    const struct conf_route *a = pa;
    const struct conf_route *b = pb;
    size_t a_len = strlen(a->path), b_len = strlen(b->path);
    if (a_len != b_len)
        return a_len > b_len ? -1 : 1;
    if (host_rank(a->host) != host_rank(b->host))
        return host_rank(a->host) - host_rank(b->host);
    a_len = strlen(a->host), b_len = strlen(b->host); /* *.eu.example.com before *.example.com */
    if (a_len != b_len)
        return a_len > b_len ? -1 : 1;
    int order = strcmp(a->path, b->path);
    return order != 0 ? order : strcmp(a->host, b->host);
}

void derive_order(struct conf *conf)
{
    CHECK_OBJ(conf, CONF_MAGIC);
    if (conf->route_count > 1)
        qsort(conf->routes, conf->route_count, sizeof *conf->routes, compare_routes);
}
