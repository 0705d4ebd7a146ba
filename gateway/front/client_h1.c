/* A client that speaks HTTP/1.1 (or 1.0): one request after the other.
 *
 * WAITING for a head, SERVING an exchange, then WAITING again, or DISCARDING the rest of a body nobody wanted, or
 * LINGERING: the polite end of a connection. Closing while unread bytes wait would send a reset, and a reset destroys
 * the answer on its way.
 *
 * Bytes are looked at where they lie when they can be; what has to wait (half a head, a body that is not wanted yet,
 * the next request) is held, and the connection is not read meanwhile. A client that is being served goes on being
 * read until it says something, so that one who has given up is noticed and no server is looked for on its behalf.
 *
 * The exchange calls from inside its own functions, and is never called from inside those calls: what they make
 * possible (feeding the body, the next request) happens in `work`, at the end of the pass. */
#include "base/mem.h"
#include "gateway/front/client_h1_priv.h"

#define LINGER_MS 1000

static struct client_h1 *of(struct client *c)
{
    struct client_h1 *h1 = LIST_ENTRY(c, struct client_h1, client);
    CHECK_OBJ(h1, CLIENT_H1_MAGIC);
    return h1;
}

/* ---- time ---- */

void client_h1_set_timer(struct client_h1 *c, int64_t delay_ms)
{
    if (delay_ms < 1)
        delay_ms = 1;
    c->due_ms = client_now_ms(&c->client) + delay_ms;
    if (timer_is_active(&c->timer) && c->timer_ms <= c->due_ms)
        return;
    c->timer_ms = c->due_ms;
    timer_start(&c->timer, delay_ms);
}

/* A moment counts from the beginning of this turn, which may have been long ago. What has a second to live gets it. */
void client_h1_set_short_timer(struct client_h1 *c, int64_t delay_ms)
{
    timer_cancel(&c->timer);
    client_h1_set_timer(c, delay_ms);
}

void client_h1_stop_timer(struct client_h1 *c)
{
    c->due_ms = H1_NEVER;
}

/* Lets the timer look after a body that is awaited, and bytes that wait to be taken. */
void client_h1_watch(struct client_h1 *c)
{
    const struct conf *conf = client_h1_conf(c);
    const int64_t now_ms = client_now_ms(&c->client);
    int64_t delay_ms = INT64_MAX;
    if (client_h1_is_reading_body(c))
        delay_ms = conf->limits.body_timeout_ms - (now_ms - c->read_ms);
    if (conn_buffered(c->conn) > 0 && delay_ms > conf->limits.send_timeout_ms / STALL_LOOKS)
        delay_ms = conf->limits.send_timeout_ms / STALL_LOOKS;
    if (delay_ms != INT64_MAX && c->due_ms > now_ms + delay_ms)
        client_h1_set_timer(c, delay_ms);
}

void client_h1_wrote(struct client_h1 *c, size_t len)
{
    stall_wrote(&c->stall, c->conn, len, client_now_ms(&c->client));
    if (c->stall.is_watched)
        client_h1_watch(c);
}

/* ---- ends ---- */

void client_h1_leave(struct client_h1 *c)
{
    c->state = H1_GONE;
    timer_cancel(&c->timer);
    later_cancel(&c->work);
    if (c->exchange != NULL)
        exchange_cancel(&c->exchange, 499);
    client_leave(&c->client);
}

void client_h1_hang_up(struct client_h1 *c, bool reset)
{
    client_h1_leave(c);
    if (c->conn != NULL)
        conn_close(&c->conn, reset);
}

static void hang_up(struct client *base)
{
    client_h1_hang_up(of(base), false);
}

static void free_client(struct client *base)
{
    struct client_h1 *c = of(base);
    strbuf_fini(&c->held);
    h1_answer_clear(&c->answer);
    OBJ_FREE(&c, CLIENT_H1_MAGIC);
}

void client_h1_linger(struct client_h1 *c)
{
    c->state = H1_LINGERING;
    strbuf_fini(&c->held);
    client_h1_stop_timer(c);
    conn_shutdown_write(c->conn);
    if (conn_buffered(c->conn) > 0) {
        client_h1_watch(c);
    } else if (conn_eof_seen(c->conn)) {
        client_h1_hang_up(c, false);
        return;
    } else {
        client_h1_set_short_timer(c, LINGER_MS);
    }
    conn_resume(c->conn);
}

void client_h1_wait(struct client_h1 *c)
{
    c->state = H1_WAITING;
    c->scan = (struct h1_scan){0};
    h1_answer_clear(&c->answer);
    c->is_timed = false;
    c->is_head = false;
    if (c->held.len > 0) {
        client_h1_watch(c); /* in vain, unless the work has to wait as well */
        later_post(&c->work);
        return;
    }
    later_cancel(&c->work);
    strbuf_fini(&c->held); /* who waits owns no buffer */
    if (conn_eof_seen(c->conn) || c->client.home->is_draining) {
        client_h1_linger(c);
        return;
    }
    if (conn_buffered(c->conn) > 0)
        client_h1_watch(c); /* on_flushed */
    else
        client_h1_set_timer(c, client_h1_conf(c)->limits.keepalive_timeout_ms);
    if (conn_is_full(c->conn))
        conn_pause(c->conn); /* on_drain */
    else
        conn_resume(c->conn);
}

/* One that is idle may go; what was begun is served, and says that it is the last. */
static void drain(struct client *base)
{
    struct client_h1 *c = of(base);
    if (c->state != H1_WAITING || c->held.len > 0)
        return;
    if (conn_buffered(c->conn) > 0)
        client_h1_linger(c); /* the answer before is still on its way */
    else
        client_h1_hang_up(c, false);
}

static const struct client_kind client_h1_kind = {.drain = drain, .hang_up = hang_up, .free = free_client};

/* ---- the connection ---- */

static void on_work(void *arg)
{
    struct client_h1 *c = arg;
    CHECK_OBJ(c, CLIENT_H1_MAGIC);
    if (c->answer.is_begun && (c->state == H1_SERVING || c->state == H1_DISCARDING))
        client_h1_wrote(c, h1_answer_flush(&c->answer, c->conn));
    h1_request_work(c);
}

static void on_data(void *arg, const uint8_t *data, size_t len)
{
    struct client_h1 *c = arg;
    CHECK_OBJ(c, CLIENT_H1_MAGIC);
    if (c->state != H1_LINGERING && c->state != H1_GONE)
        h1_request_data(c, data, len);
}

static void on_eof(void *arg)
{
    struct client_h1 *c = arg;
    CHECK_OBJ(c, CLIENT_H1_MAGIC);
    const bool is_flushed = conn_buffered(c->conn) == 0;
    switch ((enum h1_state)c->state) {
    case H1_LINGERING:
        if (is_flushed)
            client_h1_hang_up(c, false); /* else on_flushed */
        return;
    case H1_SERVING:
        /* The end of a request that is whole may be meant; that of half a request is not. */
        if (c->body.kind != H1_BODY_NONE || c->exchange == NULL || !exchange_is_answering(c->exchange))
            client_h1_hang_up(c, false);
        else
            c->is_last = true;
        return;
    case H1_WAITING:
    case H1_DISCARDING:
        if (is_flushed)
            client_h1_hang_up(c, false);
        else
            client_h1_linger(c);
        return;
    case H1_GONE:
        return;
    }
}

static void on_flushed(void *arg)
{
    struct client_h1 *c = arg;
    CHECK_OBJ(c, CLIENT_H1_MAGIC);
    if (c->state == H1_LINGERING && conn_eof_seen(c->conn))
        client_h1_hang_up(c, false);
    else if (c->state == H1_LINGERING)
        client_h1_set_short_timer(c, LINGER_MS);
    else if (c->state == H1_WAITING && !c->is_timed)
        client_h1_set_timer(c, client_h1_conf(c)->limits.keepalive_timeout_ms);
}

static void on_drain(void *arg)
{
    struct client_h1 *c = arg;
    CHECK_OBJ(c, CLIENT_H1_MAGIC);
    if (c->exchange != NULL)
        exchange_client_drained(c->exchange);
    else if (c->state == H1_WAITING && c->held.len > 0)
        later_post(&c->work);
    else if (c->state == H1_WAITING)
        conn_resume(c->conn);
}

static void on_close(void *arg, enum err e)
{
    struct client_h1 *c = arg;
    CHECK_OBJ(c, CLIENT_H1_MAGIC);
    (void)e;
    c->conn = NULL;
    client_h1_leave(c);
}

static const struct conn_ops conn_ops = {
    .on_data = on_data,
    .on_eof = on_eof,
    .on_flushed = on_flushed,
    .on_drain = on_drain,
    .on_close = on_close,
};

static void on_timer(void *arg)
{
    struct client_h1 *c = arg;
    CHECK_OBJ(c, CLIENT_H1_MAGIC);
    const struct conf *conf = client_h1_conf(c);
    const int64_t now_ms = client_now_ms(&c->client);
    if (c->due_ms > now_ms) {
        if (c->due_ms != H1_NEVER)
            client_h1_set_timer(c, c->due_ms - now_ms);
        return;
    }
    client_h1_stop_timer(c);
    if (stall_is_over(&c->stall, c->conn, now_ms, conf->limits.send_timeout_ms)) {
        client_h1_hang_up(c, true);
        return;
    }
    switch ((enum h1_state)c->state) {
    case H1_WAITING:
        if (c->held.len > 0 && !conn_is_full(c->conn))
            h1_refuse(c, 408, "head took too long");
        else if (conn_buffered(c->conn) > 0)
            client_h1_watch(c);
        else
            client_h1_hang_up(c, false);
        return;
    case H1_SERVING:
        if (client_h1_is_reading_body(c) && now_ms - c->read_ms >= conf->limits.body_timeout_ms)
            h1_fail_body(c, 408, "body took too long");
        else
            client_h1_watch(c);
        return;
    case H1_DISCARDING:
        client_h1_linger(c);
        return;
    case H1_LINGERING:
        if (conn_buffered(c->conn) > 0)
            client_h1_watch(c);
        else
            client_h1_hang_up(c, false);
        return;
    case H1_GONE:
        return;
    }
}

void client_h1_begin(struct client_home *h, struct conn *conn, const struct door *d, int64_t head_deadline_ms,
                     const struct slice *data, size_t data_count)
{
    struct client_h1 *c;
    OBJ_NEW(c, CLIENT_H1_MAGIC);
    client_join(&c->client, h, &client_h1_kind);
    c->conn = conn;
    c->state = H1_WAITING;
    c->is_timed = true;
    c->redirect_port = d->redirect_port;
    timer_init(&c->timer, client_loop(&c->client), on_timer, c);
    later_init(&c->work, client_loop(&c->client), on_work, c);
    /* One read beyond the longest head; the parser has the last word on the head itself. */
    strbuf_init(&c->held, h->env->conf->limits.header_bytes + NET_SCRATCH_BYTES);
    conn_set_owner(conn, &conn_ops, c);
    client_h1_stop_timer(c);
    for (size_t i = 0; i < data_count && c->state != H1_GONE; i++)
        if (data[i].len > 0)
            on_data(c, data[i].data, data[i].len);
    /* Most heads come in one piece, with the first bytes. */
    if (c->state == H1_WAITING && c->is_timed)
        client_h1_set_timer(c, head_deadline_ms - client_now_ms(&c->client));
}
