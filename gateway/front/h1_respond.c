/* What an HTTP/1.1 client is answered: the requester's side of an exchange, and the front's own replies. */
#include "base/mem.h"
#include "gateway/front/client_h1_priv.h"

/* ---- the answer: what the exchange asks of its client ---- */

/* Whether the client can go on after this answer, as far as can be told when its head is written. */
static bool decide_is_last(const struct client_h1 *c, enum h1_framing framing)
{
    const bool is_body_long = c->body.kind == H1_BODY_LENGTH && c->body.left_bytes > DISCARD_BYTES;
    /* Who still waits for 100 may or may not send the body after another answer. */
    const bool is_body_doubtful = c->owes_continue && c->body.kind != H1_BODY_NONE;
    return !c->is_persistent || c->client.home->is_draining || framing == H1_FRAMING_CLOSE || is_body_long ||
           is_body_doubtful || conn_eof_seen(c->conn);
}

static enum h1_framing choose_framing(const struct client_h1 *c, const struct http_head *answer, bool has_body)
{
    if (answer->status < 200 || answer->status == 204)
        return H1_FRAMING_NONE;
    if (answer->content_length >= 0)
        return H1_FRAMING_LENGTH;
    if (has_body)
        return c->is_http10 ? H1_FRAMING_CLOSE : H1_FRAMING_CHUNKED;
    return c->is_head || answer->status == 304 ? H1_FRAMING_NONE : H1_FRAMING_LENGTH;
}

static void send_head(void *arg, const struct http_head *answer, bool has_body)
{
    struct client_h1 *c = arg;
    CHECK_OBJ(c, CLIENT_H1_MAGIC);
    ASSERT(c->state == H1_SERVING);
    struct h1_write w = {.framing = choose_framing(c, answer, has_body)};
    if (answer->content_length > 0)
        w.content_length = (uint64_t)answer->content_length;
    c->is_last = decide_is_last(c, w.framing);
    w.connection = c->is_last ? H1_CONNECTION_CLOSE : c->is_http10 ? H1_CONNECTION_KEEP_ALIVE : H1_CONNECTION_DEFAULT;
    if (h1_answer_begin(&c->answer, answer, &w, has_body)) {
        later_post(&c->work);
        return;
    }
    /* Never to be sent as it is. */
    struct http_head instead;
    http_head_clear(&instead);
    instead.status = 502;
    w = (struct h1_write){.framing = H1_FRAMING_LENGTH, .connection = H1_CONNECTION_CLOSE};
    (void)h1_answer_begin(&c->answer, &instead, &w, false);
    c->answer.is_spoilt = true;
    c->is_last = true;
}

static void send_body(void *arg, struct slice piece)
{
    struct client_h1 *c = arg;
    CHECK_OBJ(c, CLIENT_H1_MAGIC);
    client_h1_wrote(c, h1_answer_body(&c->answer, c->conn, piece.data, piece.len));
}

static bool is_full(void *arg)
{
    struct client_h1 *c = arg;
    CHECK_OBJ(c, CLIENT_H1_MAGIC);
    return conn_is_full(c->conn);
}

static void finish(void *arg)
{
    struct client_h1 *c = arg;
    CHECK_OBJ(c, CLIENT_H1_MAGIC);
    c->exchange = NULL;
    client_h1_wrote(c, h1_answer_end(&c->answer, c->conn));
    if (c->is_last || c->answer.is_spoilt) {
        client_h1_linger(c);
        return;
    }
    client_h1_stop_timer(c);
    if (c->body.kind == H1_BODY_NONE) {
        client_h1_wait(c);
        return;
    }
    c->state = H1_DISCARDING;
    c->discarded_bytes = 0;
    client_h1_set_short_timer(c, DISCARD_MS);
    later_post(&c->work);
}

static void break_off(void *arg)
{
    struct client_h1 *c = arg;
    CHECK_OBJ(c, CLIENT_H1_MAGIC);
    c->exchange = NULL;
    if (!c->answer.is_begun || c->answer.framing == H1_FRAMING_CLOSE) {
        client_h1_hang_up(c, true); /* the only way to tell */
        return;
    }
    client_h1_wrote(c, h1_answer_flush(&c->answer, c->conn));
    client_h1_linger(c); /* the end that is missing says it */
}

static void want_body(void *arg, bool is_wanted)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct client_h1 *c = arg;
    CHECK_OBJ(c, CLIENT_H1_MAGIC);
    c->is_wanted = is_wanted;
    if (!is_wanted || c->body.kind == H1_BODY_NONE)
        return;
    if (c->owes_continue && c->held.len == 0 && !c->answer.is_begun) {
        conn_write(c->conn, go_on, sizeof go_on - 1);
        client_h1_wrote(c, sizeof go_on - 1);
    }
    c->owes_continue = false;
    c->read_ms = client_now_ms(&c->client);
    if (c->held.len > 0)
        later_post(&c->work);
    else
        conn_resume(c->conn);
    client_h1_watch(c);
}

static void write_upgrade(struct client_h1 *c, const struct http_head *answer)
{
    struct http_head full;
    http_head_borrow(&full, answer);
    (void)http_head_add(&full, http_view_of("Upgrade"), http_view_of("websocket")); /* the server's own ended here */
    struct h1_write w = {.framing = H1_FRAMING_NONE};
    if (h1_answer_begin(&c->answer, &full, &w, false))
        client_h1_wrote(c, h1_answer_flush(&c->answer, c->conn));
}

static struct conn *take(void *arg, const struct http_head *answer, struct slice *early)
{
    struct client_h1 *c = arg;
    CHECK_OBJ(c, CLIENT_H1_MAGIC);
    struct conn *conn = c->conn;
    write_upgrade(c, answer);
    *early = slice_borrow(c->held.data, c->held.len); /* until the end of the pass, as this client is */
    conn_pause(conn);
    c->conn = NULL;
    c->exchange = NULL;
    client_h1_leave(c);
    return conn;
}

const struct requester_ops h1_requester_ops = {
    .send_head = send_head,
    .send_body = send_body,
    .is_full = is_full,
    .finish = finish,
    .break_off = break_off,
    .want_body = want_body,
    .take = take,
};

/* ---- answers of our own ---- */

void h1_send_reply(struct client_h1 *c, struct reply *r)
{
    const bool has_body = r->body.len > 0 && !c->is_head;
    c->state = H1_SERVING;
    send_head(c, &r->head, has_body);
    if (has_body)
        send_body(c, slice_borrow(r->body.data, r->body.len));
    reply_fini(r);
    finish(c);
}

/* The last answer on this connection. `who` is NULL when its line of the access log was written. */
static void refuse_as(struct client_h1 *c, const struct conn *who, uint16_t status, const char *reason)
{
    struct reply r;
    client_h1_stop_timer(c);
    c->is_persistent = false;
    reply_refuse(&r, c->client.home, who, NULL, status, reason);
    h1_send_reply(c, &r);
}

void h1_refuse(struct client_h1 *c, uint16_t status, const char *reason)
{
    refuse_as(c, c->conn, status, reason);
}

void h1_fail_body(struct client_h1 *c, uint16_t status, const char *reason)
{
    const struct conn *who = c->exchange == NULL ? c->conn : NULL;
    if (c->exchange != NULL)
        exchange_cancel(&c->exchange, status);
    if (!c->answer.is_begun)
        refuse_as(c, who, status, reason);
    else
        break_off(c);
}
