/* Calls over HTTP/1.1: one request at a time on a connection that was kept, or a new one.
 *
 * A connection is given back only when nothing on it can be mistaken for something else later: the server means to go
 * on, the answer's end was found by its framing, nothing came behind it, and all of the request has left. */
#include "gateway/upstream/call_priv.h"

#include "gateway/http/h1_write.h"

/* A server's head may not be longer than this. */
static const struct h1_limits answer_limits = {
    .head_bytes = 65536, .target_bytes = 8192, .field_count = HTTP_MAX_FIELDS};
/* Interim answers before the final one; each is read and dropped. */
#define INTERIM_COUNT_MAX 8u
/* A request that must not be sent twice goes only over a connection that has been idle for less: no server closes one
 * that soon. */
#define WARM_MS 1000

static const struct conn_ops server_ops;

/* ---- connecting ---- */

static void send_head(struct call *c);

static void use_link(struct call *c)
{
    conn_set_owner(c->h1.link.conn, &server_ops, c);
    conn_resume(c->h1.link.conn);
    c->h1.link.request_count++;
    send_head(c);
}

static void on_dialled(void *arg, const struct dial_result *r)
{
    struct call *c = arg;
    CHECK_OBJ(c, CALL_MAGIC);
    c->h1.dial = NULL;
    if (r->error != ERR_NONE) {
        if (!r->is_resolved)
            c->phase = CALL_RESOLVE;
        call_fail(c, r->error, r->detail, true);
        return;
    }
    c->h1.link.conn = r->conn;
    use_link(c);
}

static void start(struct call *c)
{
    struct server *s = c->server;
    const bool may_be_cold = c->is_repeatable && !c->has_body;
    c->h1 = (struct call_on_h1){0};
    strbuf_init(&c->h1.in, answer_limits.head_bytes + NET_SCRATCH_BYTES);
    /* A kept connection that broke is not replaced by another kept one: they break together. */
    if (!c->is_replaced && links_take(s, may_be_cold ? INT64_MAX : WARM_MS, &c->h1.link)) {
        c->h1.is_kept = true;
        server_reused(s);
        use_link(c);
        return;
    }
    c->h1.link.forgotten_count = s->forgotten_count;
    c->h1.dial = dial_start(c->net, s, TLS_OFFER_HTTP11, on_dialled, c);
}

static void release(struct call *c)
{
    if (c->h1.dial != NULL)
        dial_cancel(&c->h1.dial);
    if (c->h1.link.conn != NULL)
        conn_close(&c->h1.link.conn, true);
    strbuf_fini(&c->h1.in);
}

/* ---- the request ---- */

static struct h1_write framing_of(const struct call *c)
{
    static const char *const with_body[] = {"POST", "PUT", "PATCH"};
    if (c->has_body && c->head.content_length < 0)
        return (struct h1_write){.framing = H1_FRAMING_CHUNKED};
    if (c->has_body)
        return (struct h1_write){.framing = H1_FRAMING_LENGTH, .content_length = (uint64_t)c->head.content_length};
    for (size_t i = 0; i < sizeof with_body / sizeof with_body[0]; i++)
        if (http_view_is(c->head.method, with_body[i])) /* RFC 9110 section 8.6: says that there is none */
            return (struct h1_write){.framing = H1_FRAMING_LENGTH};
    return (struct h1_write){.framing = H1_FRAMING_NONE};
}

/* A WebSocket's head as it is sent; false when it has no room for what an upgrade needs. */
static bool upgrade_head(const struct call *c, struct http_head *to)
{
    bool has_room = true;
    http_head_borrow(to, &c->head);
    has_room &= http_head_add(to, http_view_of("Upgrade"), http_view_of("websocket"));
    if (http_find(to, "sec-websocket-version") == NULL)
        has_room &= http_head_add(to, http_view_of("Sec-WebSocket-Version"), http_view_of("13"));
    if (c->key.data == c->made_key)
        has_room &= http_head_add(to, http_view_of("Sec-WebSocket-Key"), c->key);
    return has_room;
}

static void send_head(struct call *c)
{
    const struct h1_write w = framing_of(c);
    struct http_head head;
    struct strbuf out;
    /* The client's own head was bounded. */
    strbuf_init(&out, 2 * c->head_text.len + HTTP_ROOM_FIELDS * 4 + 1024);
    const bool is_written = c->is_websocket ? upgrade_head(c, &head) && h1_write_request(&out, &head, &w)
                                            : h1_write_request(&out, &c->head, &w);
    if (is_written)
        conn_write(c->h1.link.conn, out.data, out.len);
    strbuf_fini(&out);
    if (!is_written) {
        call_fail_later(c, ERR_LIMIT, "request cannot be written");
        return;
    }
    c->h1.is_chunked = w.framing == H1_FRAMING_CHUNKED;
    c->h1.left_bytes = w.content_length;
    call_sent_head(c);
}

static void write_body(struct call *c, const uint8_t *data, size_t len)
{
    struct call_on_h1 *h = &c->h1;
    if (h->is_chunked) {
        char size[H1_CHUNK_HEAD_BYTES];
        const size_t size_len = h1_write_chunk_head(size, len);
        const struct slice pieces[] = {slice_borrow(size, size_len), slice_borrow(data, len),
                                       slice_borrow(H1_CHUNK_END, 2)};
        conn_write_pieces(h->link.conn, pieces, 3);
        return;
    }
    if (len > h->left_bytes) {
        call_fail(c, ERR_INVALID, "request body longer than announced", false);
        return;
    }
    h->left_bytes -= len;
    conn_write(h->link.conn, data, len);
}

static void end_body(struct call *c)
{
    if (c->h1.is_chunked)
        conn_write(c->h1.link.conn, H1_LAST_CHUNK, sizeof H1_LAST_CHUNK - 1);
    else if (c->h1.left_bytes > 0)
        call_fail(c, ERR_INVALID, "request body shorter than announced", false);
}

static bool is_full(const struct call *c)
{
    return c->h1.link.conn == NULL || conn_is_full(c->h1.link.conn);
}

static void on_drain(void *arg)
{
    struct call *c = arg;
    CHECK_OBJ(c, CALL_MAGIC);
    call_has_room(c);
}

/* ---- the answer ---- */

/* `is_clean`: nothing came behind the answer. */
static void finish(struct call *c, bool is_clean)
{
    struct call_on_h1 *h = &c->h1;
    const bool has_all_left = c->is_body_ended && !c->is_body_unwanted && conn_buffered(h->link.conn) == 0;
    if (is_clean && h->is_persistent && has_all_left && !conn_eof_seen(h->link.conn))
        links_keep(c->net, c->server, &h->link);
    else
        conn_close(&h->link.conn, false);
    call_finish(c);
}

static void feed_body(struct call *c, const uint8_t *data, size_t len)
{
    struct h1_body *body = &c->h1.body;
    while (len > 0) {
        size_t used = 0;
        struct http_view content;
        const enum h1_result result = h1_body_feed(body, data, len, &used, &content);
        if (content.len > 0)
            c->ops->on_data(c->arg, (const uint8_t *)content.data, content.len);
        if (c->is_over)
            return;
        data += used;
        len -= used;
        if (result == H1_BAD)
            call_fail(c, ERR_PROTOCOL, body->error_reason, false);
        else if (result == H1_DONE)
            finish(c, len == 0);
        if (result != H1_MORE)
            return;
    }
}

static void join(struct call *c, const struct http_head *h, const uint8_t *rest, size_t rest_bytes)
{
    const char *flaw = upgrade_check_response(h, &c->head, c->key);
    if (flaw != NULL) {
        call_fail(c, ERR_PROTOCOL, flaw, false);
        return;
    }
    struct conn *conn = c->h1.link.conn;
    c->h1.link.conn = NULL;
    conn_pause(conn);
    call_join(c, h, conn, rest, rest_bytes);
}

static void take_head(struct call *c, const struct http_head *h, const uint8_t *rest, size_t rest_bytes)
{
    struct call_on_h1 *k = &c->h1;
    if (h->status == 101 && c->is_websocket) {
        join(c, h, rest, rest_bytes);
        return;
    }
    if (h->status == 101 || (c->is_websocket && h->status < 300)) {
        call_fail(c, ERR_PROTOCOL, h->status == 101 ? "upgrade that nobody asked for" : "no upgrade, and no refusal",
                  false);
        return;
    }
    h1_body_init_response(&k->body, h, http_view_is(c->head.method, "HEAD"));
    k->is_persistent = h->is_persistent;
    const bool has_body = k->body.kind != H1_BODY_NONE;
    if (!call_answer(c, h, has_body, h->is_persistent))
        return;
    if (has_body)
        feed_body(c, rest, rest_bytes);
    else
        finish(c, rest_bytes == 0);
}

/* Keeps the beginning of a head until more of it comes. */
static void keep_beginning(struct call *c, const uint8_t *bytes, size_t have)
{
    struct strbuf *in = &c->h1.in;
    if (in->len == 0) {
        strbuf_add(in, bytes, have);
    } else if (bytes != (const uint8_t *)in->data) { /* an interim answer before it was dropped */
        memmove(in->data, bytes, have);
        in->len = have;
    }
    if (in->failed)
        call_fail(c, ERR_LIMIT, "head too long", false);
}

static void feed_head(struct call *c, const uint8_t *bytes, size_t have)
{
    struct call_on_h1 *k = &c->h1;
    struct http_head head;
    if (k->in.len > 0) {
        strbuf_add(&k->in, bytes, have);
        if (k->in.failed) {
            call_fail(c, ERR_LIMIT, "head too long", false);
            return;
        }
        bytes = (const uint8_t *)k->in.data;
        have = k->in.len;
    }
    for (;;) {
        const enum h1_result result = h1_parse_response(&head, &k->scan, bytes, have, &answer_limits);
        if (result == H1_BAD) {
            call_fail(c, ERR_PROTOCOL, head.error_reason, false);
            return;
        }
        if (result == H1_MORE) {
            keep_beginning(c, bytes, have);
            return;
        }
        bytes += head.head_bytes;
        have -= head.head_bytes;
        k->scan = (struct h1_scan){0};
        if (head.status >= 200 || head.status == 101)
            break;
        if (++k->interim_count > INTERIM_COUNT_MAX) {
            call_fail(c, ERR_PROTOCOL, "interim answers without end", false);
            return;
        }
    }
    /* The head and what is behind it may lie in there: it must outlast the callbacks. */
    struct strbuf in = k->in;
    strbuf_init(&k->in, 0);
    take_head(c, &head, bytes, have);
    strbuf_fini(&in);
}

static void on_data(void *arg, const uint8_t *data, size_t len)
{
    struct call *c = arg;
    CHECK_OBJ(c, CALL_MAGIC);
    c->h1.has_heard = true;
    if (c->phase == CALL_BODY) {
        call_moved(c);
        feed_body(c, data, len);
    } else {
        feed_head(c, data, len);
    }
}

/* ---- the end of the connection ---- */

static void lost(struct call *c, enum err e, const char *detail)
{
    if (c->h1.is_kept && !c->h1.has_heard && call_replace(c, false))
        return;
    call_fail(c, e, detail, false);
}

static void on_eof(void *arg)
{
    struct call *c = arg;
    CHECK_OBJ(c, CALL_MAGIC);
    if (c->phase == CALL_BODY && h1_body_may_end(&c->h1.body))
        finish(c, false);
    else
        lost(c, ERR_EOF, c->phase == CALL_BODY ? "answer cut off" : "");
}

static void on_close(void *arg, enum err e)
{
    struct call *c = arg;
    CHECK_OBJ(c, CALL_MAGIC);
    const char *detail = conn_failure_text(c->h1.link.conn);
    c->h1.link.conn = NULL;
    lost(c, e, detail);
}

static const struct conn_ops server_ops = {
    .on_data = on_data, .on_eof = on_eof, .on_drain = on_drain, .on_close = on_close};

static void pause_answer(struct call *c)
{
    if (c->h1.link.conn != NULL)
        conn_pause(c->h1.link.conn);
}

static void resume_answer(struct call *c)
{
    if (c->h1.link.conn != NULL)
        conn_resume(c->h1.link.conn);
}

const struct call_engine call_h1 = {.start = start,
                                    .write = write_body,
                                    .end_body = end_body,
                                    .is_full = is_full,
                                    .pause = pause_answer,
                                    .resume = resume_answer,
                                    .release = release};
