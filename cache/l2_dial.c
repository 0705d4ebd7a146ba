/* Dialling a node. What is found out inside l2_dial_start() is told from the loop. */
#include "cache/l2_dial.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define DIAL_MAGIC 0x12d1a14bu

struct l2_dial {
    uint32_t magic;
    uint32_t addr_count, addr_index;
    struct addr addrs[RESOLVE_ADDRS_MAX];
    struct net *net;
    struct tls_ctx *tls;
    const char *server_name;
    struct l2_address to;
    struct resolve_job *job;
    struct conn *conn;
    struct later begin;
    l2_dial_fn *fn;
    void *arg;
};

static const struct conn_ops dial_ops;

static void dial_free(struct l2_dial *d)
{
    later_cancel(&d->begin);
    if (d->job != NULL)
        resolve_cancel(&d->job);
    if (d->conn != NULL)
        conn_close(&d->conn, true);
    OBJ_FREE(&d, DIAL_MAGIC);
}

static void done(struct l2_dial *d, enum err e, const char *detail, struct conn *conn)
{
    d->fn(d->arg, e, detail, conn);
    dial_free(d);
}

/* Connects to the next address not tried yet; `e` is why the last one failed. */
static void connect_next(struct l2_dial *d, enum err e, const char *detail)
{
    while (d->addr_index < d->addr_count) {
        detail = "";
        d->conn =
            conn_connect(d->net, &d->addrs[d->addr_index++], d->tls,
                         *d->server_name != '\0' ? d->server_name : d->to.host, TLS_OFFER_NOTHING, &dial_ops, d, &e);
        if (d->conn != NULL)
            return;
    }
    done(d, e, detail, NULL);
}

static void on_open(void *arg)
{
    struct l2_dial *d = arg;
    CHECK_OBJ(d, DIAL_MAGIC);
    struct conn *conn = d->conn;
    d->conn = NULL;
    done(d, ERR_NONE, "", conn);
}

/* Nothing is read before the connection has another owner: on_open hands it over. */
static void on_data(void *arg, const uint8_t *data, size_t len)
{
    struct l2_dial *d = arg;
    CHECK_OBJ(d, DIAL_MAGIC);
    (void)data;
    (void)len;
}

static void on_close(void *arg, enum err e)
{
    struct l2_dial *d = arg;
    CHECK_OBJ(d, DIAL_MAGIC);
    const char *detail = conn_failure_text(d->conn);
    d->conn = NULL;
    if (e == ERR_REFUSED || e == ERR_UNREACHABLE)
        connect_next(d, e, detail);
    else
        done(d, e, detail, NULL);
}

static const struct conn_ops dial_ops = {.on_open = on_open, .on_data = on_data, .on_close = on_close};

static void on_resolved(void *arg, enum err e, const struct addr *addrs, size_t count, uint32_t ttl_s)
{
    struct l2_dial *d = arg;
    CHECK_OBJ(d, DIAL_MAGIC);
    (void)ttl_s;
    d->job = NULL;
    if (e == ERR_NONE) {
        d->addr_count = (uint32_t)(count < RESOLVE_ADDRS_MAX ? count : RESOLVE_ADDRS_MAX);
        memcpy(d->addrs, addrs, d->addr_count * sizeof *addrs);
    }
    connect_next(d, e == ERR_NONE ? ERR_RESOLVE : e, "");
}

static void on_begin(void *arg)
{
    struct l2_dial *d = arg;
    CHECK_OBJ(d, DIAL_MAGIC);
    connect_next(d, ERR_RESOLVE, "");
}

struct l2_dial *l2_dial_start(struct net *n, struct resolver *r, const struct l2_address *to, struct tls_ctx *tls,
                              const char *server_name, int64_t timeout_ms, l2_dial_fn *fn, void *arg)
{
    struct l2_dial *d;
    char text[sizeof "unix:" + L2_HOST_BYTES];
    OBJ_NEW(d, DIAL_MAGIC);
    d->net = n;
    d->to = *to;
    d->tls = tls;
    d->server_name = server_name;
    d->fn = fn;
    d->arg = arg;
    later_init(&d->begin, n->loop, on_begin, d);
    (void)snprintf(text, sizeof text, "unix:%s", d->to.host);
    if (d->to.is_unix ? addr_parse(&d->addrs[0], text) : addr_from_ip(&d->addrs[0], d->to.host, d->to.port))
        d->addr_count = 1;
    else if (!d->to.is_unix)
        d->job = resolve_start(r, d->to.host, d->to.port, timeout_ms, on_resolved, d);
    if (d->job == NULL)
        later_post(&d->begin);
    return d;
}

void l2_dial_cancel(struct l2_dial **dp)
{
    CHECK_OBJ(*dp, DIAL_MAGIC);
    dial_free(*dp);
    *dp = NULL;
}
