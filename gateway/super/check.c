/* Checks that need more than the text of the configuration. They run before anything is offered to a child, so that
 * `-t` and a reload say here what would otherwise fail there. */
#include "gateway/super/check.h"

#include <pwd.h>
#include <stdio.h>

#include <string.h>

#include "base/log.h"
#include "base/tls.h"
#include "conf/secure.h"
#include "gateway/rules/rules.h"
#include "health/dns/zone_conf.h"

static bool is_same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool is_same_tls(const struct conf_server *a, const struct conf_server *b)
{
    return a->url.is_tls && b->url.is_tls && a->tls.verify == b->tls.verify &&
           is_same(a->tls.ca.text, b->tls.ca.text) && is_same(a->tls.cert.text, b->tls.cert.text) &&
           is_same(a->tls.key.text, b->tls.key.text);
}

static bool check_server(const struct conf *c, const struct conf_server *s, struct strbuf *complaints)
{
    char error[TLS_ERROR_TEXT_BYTES];
    const struct tls_client_opts opts = {
        .ca_pem = s->tls.ca.text, .cert_pem = s->tls.cert.text, .key_pem = s->tls.key.text, .insecure = !s->tls.verify};
    if (!s->url.is_tls)
        return true;
    struct tls_ctx *ctx = tls_ctx_create_client(&opts, error);
    if (ctx == NULL) {
        strbuf_printf(complaints, "%s: server %s: tls: %s\n", c->path, s->slot_name, error);
        return false;
    }
    tls_ctx_unref(&ctx);
    return true;
}

/* Servers next to each other mostly have the same: one look, which reads the system's trust store, does for all. */
static bool check_next(const struct conf *c, const struct conf_server *s, const struct conf_server **last,
                       struct strbuf *complaints)
{
    bool ok = (*last != NULL && is_same_tls(*last, s)) || check_server(c, s, complaints);
    if (s->url.is_tls)
        *last = s;
    return ok;
}

static bool check_servers(const struct conf *c, struct strbuf *complaints)
{
    bool ok = true;
    const struct conf_server *last = NULL;
    for (size_t i = 0; i < c->pool_count; i++)
        for (size_t j = 0; j < c->pools[i].server_count; j++)
            ok = check_next(c, &c->pools[i].servers[j], &last, complaints) && ok;
    for (size_t i = 0; i < c->target_count; i++)
        ok = check_next(c, &c->targets[i], &last, complaints) && ok;
    return ok;
}

static bool check_listen(const struct conf *c, size_t index, struct strbuf *complaints)
{
    char error[TLS_ERROR_TEXT_BYTES];
    const struct conf_listen *l = &c->listen[index];
    if (l->tls.certificate_count == 0)
        return true;
    for (size_t i = 0; i < index; i++)
        if (secure_listen_equal(&c->listen[i], l))
            return true;
    struct tls_ctx *ctx = secure_listen(l, NULL, error);
    if (ctx == NULL) {
        strbuf_printf(complaints, "%s: listen %s: tls: %s\n", c->path, l->text, error);
        return false;
    }
    tls_ctx_unref(&ctx);
    return true;
}

static bool check_keys(const struct conf *c, struct strbuf *complaints)
{
    bool ok = true;
    for (size_t i = 0; i < c->route_count; i++) {
        char error[RULES_ERROR_BYTES];
        if (!rules_can_use(&c->routes[i], error)) {
            strbuf_printf(complaints, "%s: route %s: jwt: %s\n", c->path, c->routes[i].name, error);
            ok = false;
        }
    }
    return ok;
}

static bool check_zone(const struct conf *c, struct strbuf *complaints)
{
    char why[ZONE_CONF_WHY_BYTES];
    struct zone_conf z;
    if (!conf_wants_dns(c))
        return true;
    if (!zone_conf_init(&z, &c->dns, 1, why)) {
        strbuf_printf(complaints, "%s: %s\n", c->path, why);
        return false;
    }
    zone_conf_fini(&z);
    return true;
}

bool check_conf(const struct conf *c, struct strbuf *complaints)
{
    bool ok = check_servers(c, complaints);
    for (size_t i = 0; i < c->listen_count; i++)
        ok = check_listen(c, i, complaints) && ok;
    ok = check_keys(c, complaints) && ok;
    ok = check_zone(c, complaints) && ok;
    if (c->user[0] != '\0' && getpwnam(c->user) == NULL) {
        strbuf_printf(complaints, "%s: user: %s does not exist on this system\n", c->path, c->user);
        ok = false;
    }
    return ok;
}

void check_certificates(const struct conf *c, int64_t wall_ms)
{
    for (size_t i = 0; i < c->listen_count; i++) {
        const struct conf_listen *l = &c->listen[i];
        for (size_t k = 0; k < l->tls.certificate_count; k++) {
            const struct conf_certificate *cert = &l->tls.certificates[k];
            int64_t left_ms = cert->info.not_after_ms - wall_ms;
            if (left_ms <= 0 || left_ms < c->health.certificate_warning_ms)
                LOG_WARN(left_ms <= 0 ? "certificate has ended" : "certificate is about to end",
                         KV_STR("listen", l->text), KV_STR("names", cert->info.names), KV_STR("file", cert->cert.path),
                         KV_INT("left_s", left_ms / 1000));
        }
    }
}
