/* What an HTTP/1.1 client sends: heads, bodies, and what comes behind them before its turn. What cannot be used yet is
 * held, and the connection is not read meanwhile, so that no more than one read is ever held. */
#include "base/assert.h"
#include "gateway/front/client_h1_priv.h"

/* ---- the body of a request ---- */

static void hold(struct client_h1 *c, const uint8_t *data, size_t len)
{
    if (len == 0)
        return;
    strbuf_add(&c->held, data, len);
    conn_pause(c->conn);
    ASSERT(!c->held.failed); /* one read at most, and not another before it is used */
}

/* Content for the exchange, as long as it is wanted; the rest is held. */
static void feed(struct client_h1 *c, const uint8_t *data, size_t len)
{
    size_t at = 0;
    c->owes_continue = false;
    c->read_ms = client_now_ms(&c->client);
    while (at < len && client_h1_is_reading_body(c)) {
        struct http_view content;
        size_t used;
        const enum h1_result r = h1_body_feed(&c->body, data + at, len - at, &used, &content);
        at += used;
        if (r == H1_BAD) {
            h1_fail_body(c, 400, c->body.error_reason);
            return;
        }
        if (content.len > 0)
            exchange_body(c->exchange, (const uint8_t *)content.data, content.len);
        if (r == H1_DONE && c->exchange != NULL)
            exchange_body_end(c->exchange);
    }
    if (c->state == H1_SERVING || c->state == H1_WAITING || c->state == H1_DISCARDING)
        hold(c, data + at, len - at);
    if (c->held.len > 0 && c->state != H1_SERVING && c->state != H1_GONE)
        later_post(&c->work);
}

/* Reads over what is left of a body that nobody wanted. */
static void discard(struct client_h1 *c, const uint8_t *data, size_t len)
{
    enum h1_result r = H1_MORE;
    size_t at = 0;
    while (at < len && r == H1_MORE) {
        struct http_view content;
        size_t used;
        r = h1_body_feed(&c->body, data + at, len - at, &used, &content);
        at += used;
    }
    c->discarded_bytes += (uint32_t)at;
    if (r == H1_BAD || c->discarded_bytes > DISCARD_BYTES) {
        client_h1_linger(c);
    } else if (r == H1_DONE) {
        hold(c, data + at, len - at);
        client_h1_wait(c);
    } else {
        conn_resume(c->conn);
    }
}

/* ---- requests ---- */

static void begin_request(struct client_h1 *c, const struct http_head *head)
{
    client_h1_stop_timer(c);
    c->state = H1_SERVING;
    c->is_head = http_view_is(head->method, "HEAD");
    c->is_http10 = head->minor_version == 0;
    c->is_persistent = head->is_persistent;
    c->is_wanted = false;
    c->owes_continue = head->expects_continue;
    h1_body_init_request(&c->body, head);
    client_count(&c->client, STAT_REQUESTS_H1);
}

/* One request, whose head looks at bytes that stay until this returns. */
static void serve(struct client_h1 *c, const struct http_head *head)
{
    begin_request(c, head);
    if (c->redirect_port != 0 && reply_redirects(c->client.home, head)) {
        struct reply r;
        reply_redirect(&r, c->client.home, c->conn, head, c->redirect_port);
        h1_send_reply(c, &r);
        return;
    }
    struct exchange_start o = {.ops = &h1_requester_ops,
                               .arg = c,
                               .wire = c->conn,
                               .head = head,
                               .has_body = c->body.kind != H1_BODY_NONE,
                               .begun_ms = c->begun_ms};
    exchange_start(c->client.home->env, &o, &c->exchange);
}

static enum h1_result parse(struct client_h1 *c, struct http_head *head, const uint8_t *data, size_t len)
{
    struct h1_limits limits = H1_LIMITS_DEFAULT;
    limits.head_bytes = client_h1_conf(c)->limits.header_bytes;
    if (limits.target_bytes > limits.head_bytes)
        limits.target_bytes = limits.head_bytes;
    return h1_parse_request(head, &c->scan, data, len, &limits);
}

/* Serves the request at the beginning of `data`, which is all there is so far and lies outside `held`; what is behind
 * it is held. False when there is only a part of a head. */
static bool take_head(struct client_h1 *c, const uint8_t *data, size_t len)
{
    struct http_head head;
    if (c->scan.seen_bytes == 0)
        c->begun_ms = client_now_ms(&c->client);
    const enum h1_result r = parse(c, &head, data, len);
    if (r == H1_MORE) {
        if (!c->is_timed)
            client_h1_set_timer(c, client_h1_conf(c)->limits.header_timeout_ms);
        c->is_timed = true;
        conn_resume(c->conn);
        return false;
    }
    if (r == H1_BAD) {
        h1_refuse(c, head.error_status, head.error_reason);
        return true;
    }
    hold(c, data + head.head_bytes, len - head.head_bytes); /* it waits its turn */
    serve(c, &head);
    return true;
}

/* Works on what is held, which has to be out of the way meanwhile. */
static void use_held(struct client_h1 *c)
{
    struct strbuf held = c->held;
    const uint8_t *data = (const uint8_t *)held.data;
    strbuf_init(&c->held, held.max_bytes);
    if (c->state == H1_DISCARDING) {
        discard(c, data, held.len);
    } else if (c->state == H1_SERVING) {
        feed(c, data, held.len);
    } else if (!take_head(c, data, held.len)) {
        c->held = held;
        return;
    }
    strbuf_fini(&held);
    if (c->state == H1_SERVING && c->held.len == 0)
        conn_resume(c->conn);
}

void h1_request_work(struct client_h1 *c)
{
    /* Who does not read its answers gets no more of them: what it asked for waits until there is room (on_drain). */
    const bool may_begin = c->state == H1_WAITING && !conn_is_full(c->conn);
    const bool has_use = may_begin || c->state == H1_DISCARDING || client_h1_is_reading_body(c);
    if (c->held.len > 0 && has_use)
        use_held(c);
    else if (c->state == H1_DISCARDING)
        conn_resume(c->conn);
}

void h1_request_data(struct client_h1 *c, const uint8_t *data, size_t len)
{
    if (c->held.len > 0) { /* more of a head */
        strbuf_add(&c->held, data, len);
        if (c->held.failed)
            h1_refuse(c, 431, "head too long");
        else if (c->state == H1_WAITING)
            use_held(c);
    } else if (c->state == H1_WAITING) {
        if (!take_head(c, data, len))
            strbuf_add(&c->held, data, len);
    } else if (c->state == H1_DISCARDING) {
        discard(c, data, len);
    } else if (client_h1_is_reading_body(c)) {
        feed(c, data, len);
    } else {
        hold(c, data, len); /* read all the same, to notice when it gives up; once */
    }
}
