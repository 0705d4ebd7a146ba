/* Mistakes that take two values to see. Each rule complains at the value the user most likely has to change, and only
 * about values the user wrote: what is absent or was already complained about holds its default and is not judged. */
#include <string.h>

#include "base/mem.h"
#include "base/slots.h"
#include "base/tls.h"
#include "conf/build.h"
#include "conf/value.h"

#define DURATION_BYTES 32u
#define HTTPS_PORT     443

/* ---- listeners ---- */

static bool is_any_ip(const struct addr *a)
{
    static const struct in6_addr any = IN6ADDR_ANY_INIT;
    if (a->sa.sa_family == AF_INET)
        return a->v4.sin_addr.s_addr == INADDR_ANY;
    return a->sa.sa_family == AF_INET6 && memcmp(&a->v6.sin6_addr, &any, sizeof any) == 0;
}

static bool is_ip(const struct addr *a)
{
    return a->len != 0 && a->sa.sa_family != AF_UNIX;
}

static bool is_chosen_by_system(const struct addr *a)
{
    return is_ip(a) && addr_port(a) == 0;
}

/* One after the other cannot be bound: the supervisor first binds a new address alone, to find out whether somebody
 * else has it, and a wildcard has every address of its family. IPv6 sockets take IPv6 only. */
bool check_is_clash(const struct addr *a, const struct addr *b)
{
    if (a->len == 0 || b->len == 0 || is_chosen_by_system(a) || is_chosen_by_system(b))
        return false;
    if (addr_equal(a, b))
        return true;
    return a->sa.sa_family == b->sa.sa_family && is_ip(a) && addr_port(a) == addr_port(b) &&
           (is_any_ip(a) || is_any_ip(b));
}

/* The address clashes with one of the first `count` listeners. */
static void check_address(struct build *b, const void *section, const char *const *text, const struct addr *addr,
                          const char *key, size_t count)
{
    const struct conf_listen *listen = b->conf->listen;
    for (size_t i = 0; i < count; i++)
        if (check_is_clash(addr, &listen[i].addr)) {
            build_complain(b, section, text, key,
                           "%s clashes with the listener %s on line %u, expected another address", *text,
                           listen[i].text, build_line(b, &listen[i]));
            return;
        }
}

static void check_certificates(struct build *b, const struct conf_listen *l)
{
    for (size_t i = 0; i < l->tls.certificate_count; i++) {
        const struct conf_certificate *c = &l->tls.certificates[i];
        if (c->cert.text != NULL && c->info.not_after_ms == 0)
            build_complain(b, c, &c->cert, "cert", "has no certificate that can be read, expected one in PEM");
    }
}

/* Keys that do nothing here. */
static void check_tls(struct build *b, const struct conf_listen *l)
{
    const bool asks_clients = l->tls.client_certificate != TLS_CLIENT_CERT_NONE;
    const struct {
        const void *member;
        const char *key;
        bool is_usual;
    } keys[] = {{&l->tls.min_version, "tls.min_version", l->tls.min_version == TLS_MIN_1_2},
                {&l->tls.client_ca, "tls.client_ca", l->tls.client_ca.text == NULL},
                {&l->tls.client_certificate, "tls.client_certificate", !asks_clients}};
    if (l->tls.certificate_count == 0) {
        for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
            if (!keys[i].is_usual) {
                build_complain(b, l, keys[i].member, keys[i].key,
                               "has no use without tls.certificates, expected at least one");
                return;
            }
        return;
    }
    if (asks_clients && l->tls.client_ca.text == NULL && !build_is_broken(b, &l->tls.client_ca))
        build_complain(b, l, &l->tls.client_certificate, "tls.client_certificate",
                       "needs to know who may vouch for clients, expected tls.client_ca as well");
    else if (!asks_clients && l->tls.client_ca.text != NULL && !build_is_broken(b, &l->tls.client_certificate))
        build_complain(b, l, &l->tls.client_ca, "tls.client_ca",
                       "has no use without clients being asked, expected tls.client_certificate: optional or required");
}

static void check_redirect(struct build *b, const struct conf_listen *l)
{
    if (l->redirect_https && l->tls.certificate_count > 0)
        build_complain(b, l, &l->redirect_https, "redirect_https",
                       "would lead from https to https, expected it on a listener without tls");
    else if (!l->redirect_https && l->redirect_port != HTTPS_PORT && !build_is_broken(b, &l->redirect_https))
        build_complain(b, l, &l->redirect_port, "redirect_port",
                       "has no use without a redirect, expected redirect_https: true as well");
}

static void check_listeners(struct build *b)
{
    const struct conf *c = b->conf;
    check_address(b, c, &c->admin.text, &c->admin.addr, "admin.address", c->listen_count);
    for (size_t i = 0; i < c->listen_count; i++) {
        const struct conf_listen *l = &c->listen[i];
        check_address(b, l, &l->text, &l->addr, "address", i);
        if (l->addr.len != 0 && l->addr.sa.sa_family == AF_UNIX && strcmp(l->addr.un.sun_path, c->control.path) == 0)
            build_complain(b, l, &l->text, "address", "%s is the control socket, expected another path", l->text);
        check_certificates(b, l);
        check_tls(b, l);
        check_redirect(b, l);
        if (l->proxy_protocol && is_ip(&l->addr) && c->trusted_proxy_count == 0)
            build_complain(b, l, &l->proxy_protocol, "proxy_protocol",
                           "would believe nobody, expected trusted_proxies to name who may send PROXY headers");
    }
}

/* ---- pools and servers ---- */

static const char *duration(struct build *b, int64_t ms)
{
    struct strbuf text;
    strbuf_init(&text, DURATION_BYTES);
    value_duration_text(&text, ms);
    const char *copy = arena_strdup(b->scratch, text.data);
    strbuf_fini(&text);
    return copy;
}

void check_at_most(struct build *b, const void *section, const int64_t *shorter_ms, const char *shorter,
                   const int64_t *longer_ms, const char *longer)
{
    if (*shorter_ms <= *longer_ms)
        return;
    if (build_is_given(b, shorter_ms))
        build_complain(b, section, shorter_ms, shorter, "%s is longer than %s (%s), expected at most that",
                       duration(b, *shorter_ms), longer, duration(b, *longer_ms));
    else if (build_is_given(b, longer_ms))
        build_complain(b, section, longer_ms, longer, "%s is shorter than %s (%s), expected at least that",
                       duration(b, *longer_ms), shorter, duration(b, *shorter_ms));
}

void check_client_tls(struct build *b, const void *section, const struct conf_server_tls *t, bool is_tls,
                      const char *url, const char *expected)
{
    const struct check_use keys[] = {{&t->ca, "tls.ca", t->ca.text != NULL},
                                     {&t->cert, "tls.cert", t->cert.text != NULL},
                                     {&t->key, "tls.key", t->key.text != NULL},
                                     {&t->server_name, "tls.server_name", t->server_name[0] != '\0'},
                                     {&t->verify, "tls.verify", !t->verify}};
    if (b->kind.expansion->is_off)
        return; /* sealed: judged before */
    for (size_t i = 0; !is_tls && i < sizeof keys / sizeof keys[0]; i++)
        if (keys[i].is_set)
            build_complain(b, section, keys[i].member, keys[i].key, "has no use with %s, expected %s", url, expected);
    if (!is_tls || build_is_broken(b, &t->ca) || build_is_broken(b, &t->cert) || build_is_broken(b, &t->key))
        return;
    if (t->cert.text != NULL && t->key.text == NULL)
        build_complain(b, section, &t->cert, "tls.cert", "is given without tls.key, expected both or neither");
    if (t->key.text != NULL && t->cert.text == NULL)
        build_complain(b, section, &t->key, "tls.key", "is given without tls.cert, expected both or neither");
    if ((t->cert.text == NULL) != (t->key.text == NULL) || (t->ca.text == NULL && t->cert.text == NULL))
        return;
    char why[TLS_ERROR_TEXT_BYTES] = "";
    struct tls_client_opts opts = {
        .ca_pem = t->ca.text, .cert_pem = t->cert.text, .key_pem = t->key.text, .insecure = !t->verify};
    struct tls_ctx *ctx = tls_ctx_create_client(&opts, why);
    if (ctx == NULL)
        build_complain(b, section, t->cert.text != NULL ? &t->cert : &t->ca, "tls",
                       "%s, expected PEM files that OpenSSL takes", why);
    else
        tls_ctx_unref(&ctx);
}

static void check_servers(struct build *b, const struct conf_pool *p)
{
    for (size_t i = 0; i < p->server_count; i++) {
        const struct conf_server *s = &p->servers[i];
        for (size_t j = 0; j < i && s->name[0] != '\0'; j++)
            if (strcmp(s->name, p->servers[j].name) == 0) {
                build_complain(b, s, &s->name, "name", "\"%s\" is also the server on line %u, expected another name",
                               s->name, build_line(b, &p->servers[j]));
                break;
            }
        if (s->url.scheme != SCHEME_NONE)
            check_client_tls(b, s, &s->tls, s->url.is_tls, s->url.text, "a wss:// or https:// url");
        check_probe(b, s, &s->check, &p->check);
    }
}

static void check_hash(struct build *b, const struct conf_pool *p)
{
    bool needs_name = p->balance == BALANCE_HASH && p->hash_of != HASH_OF_IP;
    if (needs_name && p->hash_name[0] == '\0' && !build_is_broken(b, &p->hash_name))
        build_complain(b, p, &p->hash_of, "hash.name", "is missing, expected the name of the %s to hash",
                       p->hash_of == HASH_OF_HEADER ? "header" : "query parameter");
    if (p->balance != BALANCE_HASH && !build_is_broken(b, &p->balance) &&
        (p->hash_of != HASH_OF_IP || p->hash_name[0] != '\0'))
        build_complain(b, p, build_is_given(b, &p->hash_of) ? (const void *)&p->hash_of : &p->hash_name, "hash",
                       "has no use with balance: %s, expected balance: hash", conf_balance_text(p->balance));
    else if (!needs_name && p->hash_name[0] != '\0' && !build_is_broken(b, &p->hash_of))
        build_complain(b, p, &p->hash_name, "hash.name", "has no use with of: ip, expected of: header or of: query");
    if (needs_name && p->hash_of == HASH_OF_HEADER && p->hash_name[0] != '\0' && value_token(p->hash_name) != NULL)
        build_complain(b, p, &p->hash_name, "hash.name", "\"%s\" %s, expected the name of a header", p->hash_name,
                       value_token(p->hash_name));
}

static void check_pools(struct build *b)
{
    const struct conf *c = b->conf;
    size_t server_count = 0;
    for (size_t i = 0; i < c->pool_count; i++) {
        const struct conf_pool *p = &c->pools[i];
        check_hash(b, p);
        check_at_most(b, p, &p->connect_timeout_ms, "connect_timeout", &p->failover_timeout_ms, "failover_timeout");
        check_at_most(b, p, &p->upgrade_timeout_ms, "upgrade_timeout", &p->failover_timeout_ms, "failover_timeout");
        check_probe(b, NULL, &p->check, NULL);
        check_servers(b, p);
        bool was_fine = server_count <= SLOTS_SERVERS;
        server_count += p->server_count;
        if (was_fine && server_count > SLOTS_SERVERS)
            build_complain(b, p, NULL, "servers",
                           "bring the number of servers over %u, expected at most that in all pools together",
                           SLOTS_SERVERS);
    }
}

/* ---- routes ---- */

static bool is_sound(const struct build *b, const struct conf_route *r)
{
    return !build_is_broken(b, &r->host) && !build_is_broken(b, &r->path) && !build_is_broken(b, &r->name);
}

/* False after a complaint. */
static bool check_route_pair(struct build *b, const struct conf_route *r, const struct conf_route *before)
{
    bool is_same_place = strcmp(r->host, before->host) == 0 && strcmp(r->path, before->path) == 0;
    bool is_same_name = strcmp(r->name, before->name) == 0;
    if ((!is_same_place && !is_same_name) || !is_sound(b, r) || !is_sound(b, before))
        return true;
    if (is_same_place)
        build_complain(b, r, &r->path, "path", "\"%s%s\" is also the route on line %u, expected another host or path",
                       r->host, r->path, build_line(b, before));
    else
        build_complain(b, r, &r->name, "name", "\"%s\" is also the name of the route on line %u, expected another name",
                       r->name, build_line(b, before));
    return false;
}

static void check_routes(struct build *b)
{
    const struct conf *c = b->conf;
    for (size_t i = 0; i < c->route_count; i++) {
        const struct conf_route *r = &c->routes[i];
        for (size_t j = 0; j < i && check_route_pair(b, r, &c->routes[j]); j++)
            ;
        if (value_label(r->name) != NULL)
            build_complain(b, r, &r->path, "name", "host and path are too long for a name, expected one to be given");
        if (c->health.path[0] != '\0' && strcmp(c->health.path, r->path) == 0 && !build_is_broken(b, &r->path))
            build_complain(b, c, &c->health.path, "health.path",
                           "\"%s\" is also the route on line %u, expected another path", c->health.path,
                           build_line(b, r));
        if (r->max_connections != 0 && r->max_per_client > r->max_connections && build_is_given(b, &r->max_per_client))
            build_complain(b, r, &r->max_per_client, "limits.per_client",
                           "is more than limits.connections (%u), expected at most that", r->max_connections);
    }
}

static void check_limits(struct build *b)
{
    const struct conf *c = b->conf;
    if (c->limits.connections != 0 && c->limits.per_client > c->limits.connections &&
        build_is_given(b, &c->limits.per_client))
        build_complain(b, c, &c->limits.per_client, "limits.per_client",
                       "is more than limits.connections (%u), expected at most that", c->limits.connections);
}

void check_values(struct build *b)
{
    static void (*const checks[])(struct build *) = {check_listeners, check_pools,    check_routes, check_limits,
                                                     check_rules,     check_sessions, check_heads,  check_cache,
                                                     check_alerts,    check_judges,   check_dns};
    CHECK_OBJ(b, BUILD_MAGIC);
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++)
        checks[i](b);
}
