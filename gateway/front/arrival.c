/* A connection that has just come in, until it is known what it speaks: PROXY header, then TLS, then HTTP/1.1 or
 * HTTP/2.
 *
 * Who sends nothing, or half of something, has a deadline for each. A plain client says by its first bytes what it
 * speaks: HTTP/2 begins with a preface that no request of HTTP/1 can begin with. */
#include "base/log.h"
#include "base/mem.h"
#include "gateway/front/client.h"
#include "gateway/http/h2_server.h"
#include "gateway/net/proxy.h"
#include "gateway/net/seats.h"

#define ARRIVAL_MAGIC 0xa4419a1cu

enum arrival_state { ARRIVAL_PROXY = 1, ARRIVAL_TLS, ARRIVAL_FIRST_BYTES };

struct arrival {
    uint32_t magic;
    struct client client;
    enum arrival_state state;
    struct conn *conn;
    struct door door; /* with a reference to its TLS context */
    struct timer timer;
    int64_t head_deadline_ms;       /* of the first request */
    uint8_t seen[H2_PREFACE_BYTES]; /* the beginning of what may become the preface */
    size_t seen_bytes;
};

static void leave(struct arrival *a)
{
    timer_cancel(&a->timer);
    client_leave(&a->client);
}

static void hang_up(struct client *c)
{
    struct arrival *a = LIST_ENTRY(c, struct arrival, client);
    CHECK_OBJ(a, ARRIVAL_MAGIC);
    if (a->conn != NULL)
        conn_close(&a->conn, false);
    leave(a);
}

/* One that has begun to say something is worth waiting for: it has its deadline. */
static void drain(struct client *c)
{
    struct arrival *a = LIST_ENTRY(c, struct arrival, client);
    CHECK_OBJ(a, ARRIVAL_MAGIC);
    if (a->state == ARRIVAL_FIRST_BYTES && a->seen_bytes == 0)
        hang_up(c);
}

static void free_arrival(struct client *c)
{
    struct arrival *a = LIST_ENTRY(c, struct arrival, client);
    if (a->door.tls != NULL)
        tls_ctx_unref(&a->door.tls);
    OBJ_FREE(&a, ARRIVAL_MAGIC);
}

static const struct client_kind arrival_kind = {.drain = drain, .hang_up = hang_up, .free = free_arrival};

static void log_peer(struct arrival *a, struct log_limit *limit, const char *what, const char *cause,
                     const char *detail)
{
    struct addr peer;
    char ip[INET6_ADDRSTRLEN];
    conn_peer(a->conn, &peer);
    LOG_LIMITED(limit, client_now_ms(&a->client), LOG_LEVEL_INFO, what,
                KV_STR("client", addr_ip_text(&peer, ip, sizeof ip)), KV_STR("cause", cause), KV_STR("detail", detail));
}

/* ---- which HTTP ---- */

static void become_h1(struct arrival *a, const struct slice *data, size_t data_count)
{
    struct conn *conn = a->conn;
    a->conn = NULL;
    client_h1_begin(a->client.home, conn, &a->door, a->head_deadline_ms, data, data_count);
    leave(a);
}

static void become_h2(struct arrival *a, const struct slice *data, size_t data_count)
{
    struct conn *conn = a->conn;
    a->conn = NULL;
    client_h2_begin(a->client.home, conn, &a->door, data, data_count);
    leave(a);
}

static void first_bytes(struct arrival *a, const uint8_t *data, size_t len)
{
    const struct slice all[] = {slice_borrow(a->seen, a->seen_bytes), slice_borrow(data, len)};
    const size_t room = H2_PREFACE_BYTES - a->seen_bytes;
    const size_t look = len < room ? len : room;
    if (!a->door.has_http2 || memcmp(data, &H2_PREFACE[a->seen_bytes], look) != 0) {
        become_h1(a, all, 2);
    } else if (look == room) {
        become_h2(a, all, 2);
    } else {
        memcpy(a->seen + a->seen_bytes, data, len);
        a->seen_bytes += len;
    }
}

static void await_first_bytes(struct arrival *a)
{
    const int64_t time_ms = a->client.home->env->conf->limits.header_timeout_ms;
    a->state = ARRIVAL_FIRST_BYTES;
    a->head_deadline_ms = client_now_ms(&a->client) + time_ms;
    timer_start(&a->timer, time_ms);
}

/* ---- TLS ---- */

static void begin_tls(struct arrival *a)
{
    a->state = ARRIVAL_TLS;
    conn_start_tls(a->conn, a->door.tls);
}

static void on_open(void *arg)
{
    struct arrival *a = arg;
    CHECK_OBJ(a, ARRIVAL_MAGIC);
    const struct tls *tls = conn_tls(a->conn);
    a->head_deadline_ms = client_now_ms(&a->client) + a->client.home->env->conf->limits.header_timeout_ms;
    client_count(&a->client, STAT_TLS_HANDSHAKES);
    if (tls_is_resumed(tls))
        client_count(&a->client, STAT_TLS_RESUMED);
    if (tls_alpn(tls) == TLS_ALPN_H2)
        become_h2(a, NULL, 0);
    else
        become_h1(a, NULL, 0);
}

static void tls_failed(struct arrival *a, const char *cause)
{
    client_count(&a->client, STAT_TLS_FAILED);
    log_peer(a, &a->client.home->tls_log, "tls handshake failed", cause, conn_failure_text(a->conn));
}

/* ---- the PROXY header ---- */

static void refuse_proxy(struct arrival *a, const char *reason)
{
    log_peer(a, &a->client.home->proxy_log, "proxy header refused", reason, "");
    conn_close(&a->conn, true);
    leave(a);
}

/* The limit that counts whoever connects cannot see through a proxy: it is looked at once the client is known. */
static bool is_over_limit(const struct arrival *a, const struct addr *source)
{
    const struct exchange_env *env = a->client.home->env;
    const struct conf *conf = env->conf;
    return conf->limits.per_client > 0 && !conf_is_trusted(conf, source) &&
           seat_count_of(env->net, source) >= conf->limits.per_client;
}

static void after_proxy(struct arrival *a)
{
    if (a->door.tls != NULL)
        begin_tls(a);
    else
        await_first_bytes(a);
}

static void read_proxy(struct arrival *a, const uint8_t *data, size_t len)
{
    struct proxy_header p;
    enum proxy_result r = proxy_parse(&p, data, len);
    if (r == PROXY_MORE)
        return;
    if (r == PROXY_BAD) {
        refuse_proxy(a, p.error_reason);
        return;
    }
    conn_skip(a->conn, p.len);
    if (!p.is_local) {
        if (is_over_limit(a, &p.source)) {
            client_count(&a->client, STAT_CLIENTS_OVER_LIMIT);
            conn_set_peer(a->conn, &p.source);
            refuse_proxy(a, "per_client");
            return;
        }
        conn_set_peer(a->conn, &p.source);
    }
    after_proxy(a);
}

/* ---- the connection ---- */

static void on_data(void *arg, const uint8_t *data, size_t len)
{
    struct arrival *a = arg;
    CHECK_OBJ(a, ARRIVAL_MAGIC);
    if (a->state == ARRIVAL_PROXY)
        read_proxy(a, data, len);
    else
        first_bytes(a, data, len);
}

static void on_eof(void *arg)
{
    struct arrival *a = arg;
    CHECK_OBJ(a, ARRIVAL_MAGIC);
    hang_up(&a->client);
}

static void on_close(void *arg, enum err e)
{
    struct arrival *a = arg;
    CHECK_OBJ(a, ARRIVAL_MAGIC);
    if (a->state == ARRIVAL_TLS)
        tls_failed(a, err_text(e));
    a->conn = NULL;
    leave(a);
}

static const struct conn_ops conn_ops = {
    .on_open = on_open, .on_data = on_data, .on_eof = on_eof, .on_close = on_close};

static void on_timer(void *arg)
{
    struct arrival *a = arg;
    CHECK_OBJ(a, ARRIVAL_MAGIC);
    if (a->state == ARRIVAL_TLS)
        tls_failed(a, err_text(ERR_TIMEOUT));
    if (a->state == ARRIVAL_PROXY)
        log_peer(a, &a->client.home->proxy_log, "proxy header refused", err_text(ERR_TIMEOUT), "");
    hang_up(&a->client);
}

/* Only from a trusted proxy, or over a local socket, which has an owner, may an address be told. */
static bool may_tell(const struct conf *c, const struct addr *peer)
{
    return peer->sa.sa_family == AF_UNIX || conf_is_trusted(c, peer);
}

void client_accept(struct client_home *h, int fd, const struct addr *peer, const struct door *d)
{
    struct arrival *a;
    const struct conf *conf = h->env->conf;
    OBJ_NEW(a, ARRIVAL_MAGIC);
    client_join(&a->client, h, &arrival_kind);
    a->door = *d;
    if (d->tls != NULL)
        a->door.tls = tls_ctx_ref(d->tls);
    timer_init(&a->timer, client_loop(&a->client), on_timer, a);
    a->conn = conn_accept(h->env->net, fd, peer, &conn_ops, a);
    if (d->expects_proxy && !may_tell(conf, peer)) {
        refuse_proxy(a, "not a trusted proxy");
        return;
    }
    if (!d->expects_proxy && d->tls == NULL) {
        await_first_bytes(a);
        return;
    }
    timer_start(&a->timer, conf->limits.handshake_timeout_ms);
    if (d->expects_proxy) {
        a->state = ARRIVAL_PROXY;
        conn_peek(a->conn);
    } else {
        begin_tls(a);
    }
}
