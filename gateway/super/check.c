/* Checks that need more than the text of the configuration. They run before anything is offered to a child, so that
 * `-t` and a reload say here what would otherwise fail there. */
#include "gateway/super/check.h"

#include <pwd.h>
#include <stdio.h>

#include "base/tls.h"

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

bool check_conf(const struct conf *c, struct strbuf *complaints)
{
    bool ok = true;
    for (size_t i = 0; i < c->pool_count; i++)
        for (size_t j = 0; j < c->pools[i].server_count; j++)
            ok = check_server(c, &c->pools[i].servers[j], complaints) && ok;
    if (c->user[0] != '\0' && getpwnam(c->user) == NULL) {
        strbuf_printf(complaints, "%s: user: %s does not exist on this system\n", c->path, c->user);
        ok = false;
    }
    return ok;
}
