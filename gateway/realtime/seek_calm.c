/* A server that took the WebSocket but was late before has a backlog, of which the session has heard a part elsewhere
 * (gateway/upstream/lag.h). It is found only when it is calm: nothing is asked of it for a moment, so that it reads
 * what lies in its sockets; then it is asked for a sign of life, a ping, which every WebSocket server answers. The ping
 * goes the same way as the joins would, so it does not wait longer for the ones than for the other. Meanwhile others
 * may be asked, and taken.
 *
 * What it says is kept for the owner, the pong too. One that does not answer the ping is found all the same: silence is
 * the session's business. */
#include "base/mem.h"
#include "gateway/realtime/seek_priv.h"
#include "gateway/ws/close.h"

#define PONG_MS    1000
#define REST_BYTES (2 * CALL_AHEAD_BYTES)

static const struct conn_ops calm_ops;

static int64_t now_of(const struct seek_ask *a)
{
    return loop_now_ms(a->seek->all->net->loop);
}

static void forget(struct seek_ask *a)
{
    timer_cancel(&a->calm);
    mem_free(a->subprotocol);
    a->subprotocol = NULL;
    strbuf_fini(&a->rest);
    a->is_pinged = false;
}

bool seek_calm_begin(struct seek_ask *a, const struct call_joined *j)
{
    struct lag *lag = &a->attempt.server->lag;
    const int64_t limit_ms = lag_limit_ms(&a->seek->route->session), now_ms = now_of(a);
    lag_answered(lag, now_ms - a->asked_ms, limit_ms, now_ms);
    const int64_t wait_ms = lag_calm_in_ms(lag, limit_ms, now_ms);
    if (wait_ms == 0)
        return false;
    const struct http_view v = http_value(j->head, "sec-websocket-protocol");
    a->conn = j->conn;
    a->subprotocol = v.data != NULL ? mem_strndup(v.data, v.len) : NULL;
    strbuf_init(&a->rest, REST_BYTES);
    strbuf_add(&a->rest, j->rest, j->rest_bytes);
    conn_set_owner(a->conn, &calm_ops, a);
    timer_start(&a->calm, wait_ms);
    return true;
}

static void ping(struct seek_ask *a)
{
    static const uint8_t key[4] = {0}; /* there is nothing to mask */
    uint8_t frame[WS_CONTROL_FRAME_BYTES];
    a->is_pinged = true;
    timer_start(&a->calm, PONG_MS);
    conn_write(a->conn, frame, ws_ping_build(frame, NULL, 0, key));
    conn_resume(a->conn);
}

/* It is calm, or has had its time. */
static void found(struct seek_ask *a)
{
    char *subprotocol = a->subprotocol; /* the ask is gone when the owner reads them */
    struct strbuf rest = a->rest;
    struct seek_found f = {.conn = a->conn,
                           .subprotocol = subprotocol != NULL ? http_view_of(subprotocol) : (struct http_view){0},
                           .rest = (const uint8_t *)rest.data,
                           .rest_bytes = rest.len};
    a->conn = NULL;
    a->subprotocol = NULL;
    strbuf_init(&a->rest, 0);
    forget(a);
    conn_pause(f.conn);
    seek_ask_found(a, &f);
    strbuf_fini(&rest);
    mem_free(subprotocol);
}

static void on_calm(void *arg)
{
    struct seek_ask *a = arg;
    CHECK_OBJ(a->seek, SEEK_MAGIC);
    if (a->is_pinged)
        found(a);
    else
        ping(a);
}

void seek_calm_init(struct seek_ask *a)
{
    timer_init(&a->calm, a->seek->all->net->loop, on_calm, a);
}

void seek_calm_cancel(struct seek_ask *a)
{
    if (a->conn == NULL)
        return;
    conn_close(&a->conn, true);
    forget(a);
}

/* ---- what it says meanwhile ---- */

static void fail(struct seek_ask *a, const char *why)
{
    seek_calm_cancel(a);
    seek_ask_failed(a, why, OUTCOME_FAILED);
}

static void on_data(void *arg, const uint8_t *data, size_t len)
{
    struct seek_ask *a = arg;
    strbuf_add(&a->rest, data, len);
    if (a->rest.failed)
        fail(a, "says too much");
    else
        found(a);
}

static void on_eof(void *arg)
{
    fail(arg, "end of stream");
}

static void on_close(void *arg, enum err e)
{
    struct seek_ask *a = arg;
    a->conn = NULL;
    forget(a);
    seek_ask_failed(a, err_text(e), OUTCOME_FAILED);
}

static const struct conn_ops calm_ops = {.on_data = on_data, .on_eof = on_eof, .on_close = on_close};
