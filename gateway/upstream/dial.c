/* Dialling. An attempt lives from dial_start() to its one callback, which is done()'s, or to dial_cancel(). */
#include "gateway/upstream/dial.h"

#include "base/mem.h"

#define DIAL_MAGIC 0xd1a15c7au

struct dial {
    uint32_t magic;
    uint32_t addr_index;
    uint32_t addr_left; /* addresses not tried yet */
    enum tls_offer offer;
    enum err early_error;
    struct net *net;
    struct server *server;
    struct tls_ctx *tls; /* own reference: a reload may take the server's while addresses are left */
    struct conn *conn;
    struct later failed; /* failures found inside dial_start() are told from the loop */
    dial_fn *fn;
    void *arg;
};

static const struct conn_ops dial_ops;

static void dial_free(struct dial *d)
{
    later_cancel(&d->failed);
    if (d->conn != NULL)
        conn_close(&d->conn, true);
    if (d->tls != NULL)
        tls_ctx_unref(&d->tls);
    server_unref(&d->server);
    OBJ_FREE(&d, DIAL_MAGIC);
}

static void done(struct dial *d, const struct dial_result *r)
{
    d->fn(d->arg, r);
    dial_free(d);
}

static void fail(struct dial *d, enum err e, const char *detail)
{
    struct dial_result r = {.error = e, .is_resolved = d->server->addr_count > 0, .detail = detail};
    done(d, &r);
}

static void on_failed(void *arg)
{
    struct dial *d = arg;
    CHECK_OBJ(d, DIAL_MAGIC);
    fail(d, d->early_error, "");
}

/* Connects to the next address not tried yet; false when there is none or no socket is to be had. */
static bool connect_next(struct dial *d, enum err *e)
{
    struct server *s = d->server;
    while (d->addr_left > 0) {
        const struct addr *to = &s->addrs[d->addr_index % s->addr_count];
        const struct conf_server *sc = s->server_conf;
        const char *name = *sc->tls.server_name != '\0' ? sc->tls.server_name : sc->url.host;
        d->addr_left--;
        d->addr_index++;
        d->conn = conn_connect(d->net, to, d->tls, name, d->offer, &dial_ops, d, e);
        if (d->conn != NULL)
            return true;
    }
    return false;
}

static void on_open(void *arg)
{
    struct dial *d = arg;
    CHECK_OBJ(d, DIAL_MAGIC);
    const struct tls *tls = conn_tls(d->conn);
    struct dial_result r = {
        .conn = d->conn, .is_resolved = true, .detail = "", .is_h2 = tls != NULL && tls_alpn(tls) == TLS_ALPN_H2};
    d->conn = NULL;
    server_connected(d->server);
    done(d, &r);
}

/* Nothing is read before the connection has another owner: on_open hands it over. */
static void on_data(void *arg, const uint8_t *data, size_t len)
{
    struct dial *d = arg;
    CHECK_OBJ(d, DIAL_MAGIC);
    (void)data;
    (void)len;
}

static void on_close(void *arg, enum err e)
{
    struct dial *d = arg;
    CHECK_OBJ(d, DIAL_MAGIC);
    const bool is_elsewhere_worth_trying = e == ERR_REFUSED || e == ERR_UNREACHABLE;
    const char *detail = conn_failure_text(d->conn);
    d->conn = NULL;
    if (is_elsewhere_worth_trying && connect_next(d, &e))
        return;
    fail(d, e, detail);
}

static const struct conn_ops dial_ops = {.on_open = on_open, .on_data = on_data, .on_close = on_close};

struct dial *dial_start(struct net *n, struct server *s, enum tls_offer offer, dial_fn *fn, void *arg)
{
    struct dial *d;
    OBJ_NEW(d, DIAL_MAGIC);
    d->net = n;
    d->server = server_ref(s);
    d->tls = s->tls != NULL ? tls_ctx_ref(s->tls) : NULL;
    d->offer = offer;
    d->fn = fn;
    d->arg = arg;
    later_init(&d->failed, n->loop, on_failed, d);

    d->early_error = ERR_RESOLVE;
    if (s->addr_count > 0) {
        d->addr_left = s->addr_count;
        d->addr_index = s->addr_next;
        s->addr_next = (s->addr_next + 1) % s->addr_count;
        if (connect_next(d, &d->early_error))
            return d;
    }
    later_post(&d->failed);
    return d;
}

void dial_cancel(struct dial **dp)
{
    CHECK_OBJ(*dp, DIAL_MAGIC);
    dial_free(*dp);
    *dp = NULL;
}
