/* Dialling. An attempt lives from dial_start() to its one callback; whatever ends it goes through done(). */
#include "gateway/upstream/dial.h"

#include "base/buf.h"
#include "base/mem.h"

#define DIAL_MAGIC 0xd1a15c7au

/* A server's head may not be longer than this. */
static const struct h1_limits answer_limits = H1_LIMITS_DEFAULT;

struct dial {
    uint32_t magic;
    enum dial_phase phase;
    struct net *net;
    struct server *server;
    struct tls_ctx *tls; /* own reference: a reload may take the server's while addresses are left */
    struct conn *conn;
    bool is_cut_short;   /* the timer runs to the caller's deadline */
    struct timer timer;  /* of the current phase, or of the caller */
    struct later failed; /* failures found inside dial_start() are told from the loop */
    enum err early_error;
    uint32_t addr_index;
    uint32_t addr_left; /* addresses not tried yet */
    int64_t deadline_ms;
    dial_fn *fn;
    void *arg;
    struct slice request;
    struct strbuf head;
    struct h1_scan scan;
};

static const struct conn_ops dial_ops;

const char *dial_phase_text(enum dial_phase p)
{
    static const char *const texts[] = {"resolve", "connect", "answer"};
    return texts[p];
}

static void dial_free(struct dial *d)
{
    timer_cancel(&d->timer);
    later_cancel(&d->failed);
    if (d->conn != NULL)
        conn_close(&d->conn, true);
    slice_release(&d->request);
    strbuf_fini(&d->head);
    if (d->tls != NULL)
        tls_ctx_unref(&d->tls);
    server_unref(&d->server);
    OBJ_FREE(&d, DIAL_MAGIC);
}

static void done(struct dial *d, const struct dial_result *r)
{
    timer_cancel(&d->timer);
    d->fn(d->arg, r);
    dial_free(d);
}

static void fail(struct dial *d, enum err e, const char *detail)
{
    struct dial_result r = {.error = e, .phase = d->phase, .detail = detail};
    done(d, &r);
}

/* Runs until `limit_ms` from now or the caller's deadline, whichever is first. */
static void set_deadline(struct dial *d, int64_t limit_ms)
{
    int64_t left_ms = d->deadline_ms - loop_now_ms(d->net->loop);
    d->is_cut_short = left_ms < limit_ms;
    if (!d->is_cut_short)
        left_ms = limit_ms;
    timer_start(&d->timer, left_ms > 0 ? left_ms : 0);
}

static void on_failed(void *arg)
{
    struct dial *d = arg;
    fail(d, d->early_error, "");
}

/* Connects to the next address not tried yet; false when there is none or no socket is to be had. */
static bool connect_next(struct dial *d, enum err *e)
{
    struct server *s = d->server;
    while (d->addr_left > 0) {
        const struct addr *to = &s->addrs[d->addr_index % s->addr_count];
        const struct conf_server *sc = s->server_conf;
        d->addr_left--;
        d->addr_index++;
        d->conn = conn_connect(d->net, to, d->tls, *sc->tls.server_name != '\0' ? sc->tls.server_name : sc->url.host,
                               &dial_ops, d, e);
        if (d->conn != NULL)
            return true;
    }
    return false;
}

static void on_open(void *arg)
{
    struct dial *d = arg;
    CHECK_OBJ(d, DIAL_MAGIC);
    d->phase = DIAL_ANSWER;
    set_deadline(d, d->server->pool_conf->upgrade_timeout_ms);
    conn_write(d->conn, d->request.data, d->request.len);
}

static void on_data(void *arg, const uint8_t *data, size_t len)
{
    struct dial *d = arg;
    CHECK_OBJ(d, DIAL_MAGIC);
    const uint8_t *bytes = data;
    size_t have = len;
    if (d->head.len > 0) { /* it came in pieces */
        strbuf_add(&d->head, data, len);
        if (d->head.failed) {
            fail(d, ERR_LIMIT, "head too long");
            return;
        }
        bytes = (const uint8_t *)d->head.data;
        have = d->head.len;
    }
    struct http_head head;
    enum h1_result result = h1_parse_response(&head, &d->scan, bytes, have, &answer_limits);
    while (result == H1_DONE && head.status >= 100 && head.status < 200 && head.status != 101) {
        bytes += head.head_bytes; /* an interim response: the answer comes behind it */
        have -= head.head_bytes;
        d->scan = (struct h1_scan){0};
        result = h1_parse_response(&head, &d->scan, bytes, have, &answer_limits);
    }
    if (result == H1_BAD) {
        fail(d, ERR_PROTOCOL, head.error_reason);
        return;
    }
    if (result == H1_MORE) {
        if (bytes != (const uint8_t *)d->head.data) {
            struct slice rest = slice_copy(bytes, have); /* may lie in the builder itself */
            strbuf_clear(&d->head);
            strbuf_add(&d->head, rest.data, rest.len);
            slice_release(&rest);
            if (d->head.failed)
                fail(d, ERR_LIMIT, "head too long");
        }
        return;
    }
    conn_pause(d->conn);
    struct dial_result r = {.conn = d->conn,
                            .phase = DIAL_ANSWER,
                            .head = &head,
                            .rest = bytes + head.head_bytes,
                            .rest_bytes = have - head.head_bytes,
                            .detail = ""};
    d->conn = NULL;
    done(d, &r);
}

static void on_close(void *arg, enum err e)
{
    struct dial *d = arg;
    CHECK_OBJ(d, DIAL_MAGIC);
    bool is_elsewhere_worth_trying = d->phase == DIAL_CONNECT && (e == ERR_REFUSED || e == ERR_UNREACHABLE);
    const char *detail = conn_failure_text(d->conn);
    d->conn = NULL;
    if (is_elsewhere_worth_trying && connect_next(d, &e))
        return;
    fail(d, e, detail);
}

static void on_eof(void *arg)
{
    struct dial *d = arg;
    CHECK_OBJ(d, DIAL_MAGIC);
    conn_close(&d->conn, false);
    fail(d, ERR_EOF, "");
}

static const struct conn_ops dial_ops = {
    .on_open = on_open, .on_data = on_data, .on_eof = on_eof, .on_close = on_close};

static void on_deadline(void *arg)
{
    struct dial *d = arg;
    CHECK_OBJ(d, DIAL_MAGIC);
    struct dial_result r = {.error = ERR_TIMEOUT, .phase = d->phase, .is_cut_short = d->is_cut_short, .detail = ""};
    done(d, &r);
}

struct dial *dial_start(struct net *n, struct server *s, const void *request, size_t request_bytes, int64_t deadline_ms,
                        dial_fn *fn, void *arg)
{
    struct dial *d;
    OBJ_NEW(d, DIAL_MAGIC);
    d->net = n;
    d->server = server_ref(s);
    d->tls = s->tls != NULL ? tls_ctx_ref(s->tls) : NULL;
    d->deadline_ms = deadline_ms;
    d->fn = fn;
    d->arg = arg;
    d->request = slice_copy(request, request_bytes);
    strbuf_init(&d->head, answer_limits.head_bytes + NET_SCRATCH_BYTES);
    timer_init(&d->timer, n->loop, on_deadline, d);
    later_init(&d->failed, n->loop, on_failed, d);

    d->early_error = ERR_RESOLVE;
    if (s->addr_count > 0) {
        d->phase = DIAL_CONNECT;
        d->addr_left = s->addr_count;
        d->addr_index = s->addr_next;
        s->addr_next = (s->addr_next + 1) % s->addr_count;
        if (connect_next(d, &d->early_error)) {
            set_deadline(d, s->pool_conf->connect_timeout_ms);
            return d;
        }
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
