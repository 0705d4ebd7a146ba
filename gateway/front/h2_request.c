/* One stream of an HTTP/2 client: an exchange, or a tunnel once that has taken the stream.
 *
 * Content that the exchange does not want yet is held here, and the client gets its window back only for what was
 * passed on, so that no more than a window is ever held. A stream that became a tunnel's is a carried connection: the
 * tunnel's bytes are pulled into the stream's queue as long as that has room.
 *
 * Everything here happens inside calls of others, the session's or an exchange's. So a request that is over is only
 * marked, and what was held is passed on at the end of the pass (h2_requests_work). */
#include "base/mem.h"
#include "gateway/front/client_h2_priv.h"
#include "gateway/front/reply.h"
#include "gateway/net/carried.h"

#define H2_REQUEST_MAGIC 0x42e90e57u

/* Content passes on in pieces, between which the exchange may say that it is enough. */
#define PIECE_BYTES (16u * 1024u)
/* Moved at once from a tunnel to its stream. */
#define PULL_BYTES (16u * 1024u)
/* An answer that ends before the request does is followed by a reset (RFC 9113 section 8.1), which some clients take
 * for a failure: a rest of no more than a window, which may be on its way anyhow, is awaited first. */
#define REST_BYTES (256 * 1024)
/* What a client may have sent that nobody has taken: the window it is given (h2_server.h), and before that as much
 * again that was passed on. */
#define HELD_BYTES_MAX (1u << 20)

struct h2_request {
    uint32_t magic;
    bool is_wanted : 1;     /* its body */
    bool is_ended : 1;      /* the client has sent it all ... */
    bool is_end_told : 1;   /* ... and whoever reads it knows */
    bool owes_continue : 1; /* the client waits for 100 (Continue) */
    bool is_answered : 1;   /* the head of the answer was sent */
    bool is_sending : 1;    /* and its body is to come, or comes */
    bool is_blocked : 1;    /* the exchange was told to wait */
    bool is_ending : 1;     /* all was said, and only the client's end is awaited */
    bool has_work : 1;
    bool is_over : 1;
    struct list link;
    struct client_h2 *owner;
    struct h2_stream *stream; /* NULL once it is closed */
    struct exchange *exchange;
    struct conn *carried; /* the tunnel's */
    struct strbuf held;
    size_t held_at;      /* passed on already */
    int64_t length;      /* of the body, if it was told: else -1 */
    int64_t read_ms;     /* content came last, or began to be wanted */
    uint64_t sent_bytes; /* at the last look */
    int64_t sent_ms;     /* when more had left than at the look before */
};

static struct h2_request *of(struct list *link)
{
    return LIST_ENTRY(link, struct h2_request, link);
}

static int64_t now_of(const struct h2_request *r)
{
    return client_now_ms(&r->owner->client);
}

static void post_work(struct h2_request *r)
{
    r->has_work = true;
    r->owner->has_work = true;
    later_post(&r->owner->work);
}

/* The memory goes at the end of the pass. */
static void retire(struct h2_request *r)
{
    if (r->is_over)
        return;
    r->is_over = true;
    r->owner->request_count--;
    if (r->is_ending)
        r->owner->ending_count--;
    post_work(r);
    client_h2_changed(r->owner);
}

static void reset(struct h2_request *r, enum h2_code code)
{
    if (r->stream != NULL)
        h2_stream_reset(&r->stream, code);
    retire(r);
}

/* ---- the answer: what the exchange asks of its client ---- */

static void send_head(void *arg, const struct http_head *answer, bool has_body)
{
    struct h2_request *r = arg;
    CHECK_OBJ(r, H2_REQUEST_MAGIC);
    r->is_answered = true;
    r->is_sending = has_body || !r->is_ended;
    r->sent_ms = now_of(r);
    h2_server_respond(r->stream, answer, r->is_sending);
}

static void send_body(void *arg, struct slice piece)
{
    struct h2_request *r = arg;
    CHECK_OBJ(r, H2_REQUEST_MAGIC);
    h2_stream_send_slice(r->stream, piece);
}

static bool is_full(void *arg)
{
    struct h2_request *r = arg;
    CHECK_OBJ(r, H2_REQUEST_MAGIC);
    r->is_blocked = h2_stream_is_full(r->stream) || conn_is_full(r->owner->conn);
    return r->is_blocked;
}

/* on_close of the stream follows, sooner or later. */
static void end_stream(struct h2_request *r)
{
    if (r->is_sending)
        h2_stream_end(r->stream);
    r->is_sending = false;
}

static void begin_ending(struct h2_request *r)
{
    r->is_ending = true;
    r->owner->ending_count++;
    r->sent_ms = now_of(r);
    client_h2_changed(r->owner);
}

static bool has_small_rest(const struct h2_request *r)
{
    return !r->is_ended && r->length >= 0 && r->length - (int64_t)h2_stream_received_bytes(r->stream) <= REST_BYTES;
}

static void finish(void *arg)
{
    struct h2_request *r = arg;
    CHECK_OBJ(r, H2_REQUEST_MAGIC);
    r->exchange = NULL;
    if (!has_small_rest(r))
        end_stream(r);
    if (!r->is_ended) {
        begin_ending(r);
        post_work(r); /* what is held is in the way */
    }
}

static void break_off(void *arg)
{
    struct h2_request *r = arg;
    CHECK_OBJ(r, H2_REQUEST_MAGIC);
    r->exchange = NULL;
    reset(r, H2_INTERNAL_ERROR);
}

static void want_body(void *arg, bool is_wanted)
{
    struct h2_request *r = arg;
    CHECK_OBJ(r, H2_REQUEST_MAGIC);
    r->is_wanted = is_wanted;
    if (!is_wanted)
        return;
    r->read_ms = now_of(r);
    if (r->owes_continue && !r->is_answered && !r->is_ended && r->held.len == 0)
        h2_server_inform(r->stream, 100);
    r->owes_continue = false;
    if (r->held.len > 0 || r->is_ended)
        post_work(r);
}

/* ---- a tunnel over the stream ---- */

static void on_output(void *carrier)
{
    struct h2_request *r = carrier;
    CHECK_OBJ(r, H2_REQUEST_MAGIC);
    uint8_t piece[PULL_BYTES];
    while (r->stream != NULL && r->is_sending && !h2_stream_is_full(r->stream)) {
        bool is_end = false;
        const size_t len = carried_pull(r->carried, piece, sizeof piece, &is_end);
        if (len > 0)
            h2_stream_send(r->stream, piece, len);
        if (is_end)
            end_stream(r);
        if (len == 0)
            return;
    }
}

static void on_taken(void *carrier, size_t len)
{
    struct h2_request *r = carrier;
    CHECK_OBJ(r, H2_REQUEST_MAGIC);
    if (r->stream != NULL)
        h2_stream_consume(r->stream, len);
}

/* The tunnel is over. What it has sent still goes out, unless it broke; a client that does not end its side as well is
 * not waited for (look). */
static void on_closed(void *carrier, bool is_reset)
{
    struct h2_request *r = carrier;
    CHECK_OBJ(r, H2_REQUEST_MAGIC);
    r->carried = NULL;
    r->owner->tunnel_count--;
    if (r->stream == NULL || is_reset) {
        reset(r, H2_CANCEL);
        return;
    }
    end_stream(r);
    begin_ending(r);
}

static const struct carrier_ops carrier_ops = {.on_output = on_output, .on_taken = on_taken, .on_closed = on_closed};

/* Until the tunnel sets its own, with the connection paused, none of these is called but the last. */
static void no_data(void *arg, const uint8_t *data, size_t len)
{
    (void)arg;
    (void)data;
    (void)len;
}
static void no_close(void *arg, enum err e)
{
    (void)arg;
    (void)e;
}
static const struct conn_ops no_owner = {.on_data = no_data, .on_close = no_close};

static struct conn *take(void *arg, const struct http_head *answer, struct slice *early)
{
    struct h2_request *r = arg;
    CHECK_OBJ(r, H2_REQUEST_MAGIC);
    h2_server_respond(r->stream, answer, true);
    r->exchange = NULL;
    r->is_answered = true;
    r->is_sending = true;
    r->carried = carried_create(r->owner->conn, &carrier_ops, r, &no_owner, NULL);
    r->owner->tunnel_count++;
    conn_pause(r->carried);
    *early = slice_borrow(r->held.data + r->held_at, r->held.len - r->held_at);
    if (early->len > 0)
        h2_stream_consume(r->stream, early->len);
    r->held_at = r->held.len;
    post_work(r); /* releases what was held, tells the end */
    client_h2_changed(r->owner);
    return r->carried;
}

static const struct requester_ops requester_ops = {
    .send_head = send_head,
    .send_body = send_body,
    .is_full = is_full,
    .finish = finish,
    .break_off = break_off,
    .want_body = want_body,
    .take = take,
};

/* ---- answers of our own ---- */

static void send_reply(struct h2_stream *st, struct reply *r, bool is_head)
{
    const bool has_body = r->body.len > 0 && !is_head;
    h2_server_respond(st, &r->head, has_body);
    if (has_body) {
        h2_stream_send(st, r->body.data, r->body.len);
        h2_stream_end(st);
    }
    reply_fini(r);
}

void h2_request_refuse(struct client_h2 *c, struct h2_stream *st, const struct http_head *head)
{
    struct reply r;
    reply_refuse(&r, c->client.home, c->conn, head, head->error_status, head->error_reason);
    send_reply(st, &r, false);
}

/* The client is too slow, or broke the rules: `status` if there is still a place for one. */
static void fail(struct h2_request *r, uint16_t status, const char *reason)
{
    struct reply reply;
    const struct conn *who = r->exchange == NULL ? r->owner->conn : NULL;
    if (r->exchange != NULL)
        exchange_cancel(&r->exchange, status);
    if (r->is_answered || r->stream == NULL) {
        reset(r, H2_CANCEL);
        return;
    }
    reply_refuse(&reply, r->owner->client.home, who, NULL, status, reason);
    send_reply(r->stream, &reply, false);
    r->is_answered = true;
}

/* ---- the request ---- */

static void redirect(struct client_h2 *c, struct h2_stream *st, const struct http_head *head)
{
    struct reply r;
    reply_redirect(&r, c->client.home, c->conn, head, c->redirect_port);
    send_reply(st, &r, http_view_is(head->method, "HEAD"));
}

void h2_request_begin(struct client_h2 *c, struct h2_stream *st, const struct http_head *head, bool has_body)
{
    struct h2_request *r;
    client_count(&c->client, STAT_REQUESTS_H2);
    if (c->redirect_port != 0 && reply_redirects(c->client.home, head)) {
        redirect(c, st, head);
        return;
    }
    const bool is_tunnel = head->protocol.data != NULL;
    OBJ_NEW(r, H2_REQUEST_MAGIC);
    r->owner = c;
    r->stream = st;
    r->is_ended = !has_body;
    r->is_end_told = !has_body && !is_tunnel;
    r->owes_continue = head->expects_continue;
    r->length = head->content_length;
    strbuf_init(&r->held, HELD_BYTES_MAX);
    list_init(&r->link);
    list_append(&c->requests, &r->link);
    c->request_count++;
    h2_stream_set_owner(st, r);
    client_h2_changed(c);
    struct exchange_start o = {.ops = &requester_ops,
                               .arg = r,
                               .wire = c->conn,
                               .head = head,
                               .has_body = has_body && !is_tunnel,
                               .begun_ms = now_of(r)};
    exchange_start(c->client.home->env, &o, &r->exchange);
}

/* What was passed on goes first, once it is the greater part: an upload whose server is slow may never be caught up
 * with. */
static void hold(struct h2_request *r, const uint8_t *data, size_t len)
{
    const size_t left = r->held.len - r->held_at;
    if (r->held_at > 0 && r->held_at >= left) {
        memmove(r->held.data, r->held.data + r->held_at, left);
        r->held.len = left;
        r->held_at = 0;
    }
    strbuf_add(&r->held, data, len);
    ASSERT(!r->held.failed);
}

static void tell_end(struct h2_request *r)
{
    if (!r->is_ended || r->is_end_told || r->held.len > r->held_at)
        return;
    if (r->carried != NULL) {
        r->is_end_told = true;
        carried_push_eof(r->carried);
    } else if (r->exchange != NULL && r->is_wanted) {
        r->is_end_told = true;
        exchange_body_end(r->exchange);
    }
}

void h2_request_data(struct h2_request *r, const uint8_t *data, size_t len)
{
    if (r == NULL) /* refused, and answered */
        return;
    CHECK_OBJ(r, H2_REQUEST_MAGIC);
    r->owes_continue = false;
    r->read_ms = now_of(r);
    if (r->carried != NULL) {
        carried_push(r->carried, data, len);
    } else if (r->exchange == NULL) {
        h2_stream_consume(r->stream, len); /* answered already */
    } else if (!r->is_wanted || r->held.len > 0) {
        hold(r, data, len);
    } else {
        exchange_body(r->exchange, data, len);
        if (r->stream != NULL)
            h2_stream_consume(r->stream, len);
    }
}

void h2_request_end(struct h2_request *r)
{
    if (r == NULL)
        return;
    CHECK_OBJ(r, H2_REQUEST_MAGIC);
    r->is_ended = true;
    tell_end(r);
    if (r->is_ending && r->carried == NULL)
        end_stream(r);
}

void h2_request_writable(struct h2_request *r)
{
    if (r == NULL)
        return;
    CHECK_OBJ(r, H2_REQUEST_MAGIC);
    if (r->carried != NULL) {
        on_output(r);
    } else if (r->exchange != NULL && r->is_blocked && !is_full(r)) {
        exchange_client_drained(r->exchange);
    }
}

void h2_request_closed(struct h2_request *r, uint32_t code)
{
    if (r == NULL)
        return;
    CHECK_OBJ(r, H2_REQUEST_MAGIC);
    r->stream = NULL;
    if (r->exchange != NULL)
        exchange_cancel(&r->exchange, 499);
    if (r->carried != NULL && code == H2_NO_ERROR) {
        /* Both sides have ended; the tunnel finds out by itself, and closes. */
        r->is_ended = true;
        tell_end(r);
        return;
    }
    if (r->carried != NULL) {
        struct conn *carried = r->carried;
        r->carried = NULL;
        r->owner->tunnel_count--;
        carried_break(carried, ERR_RESET);
    }
    retire(r);
}

/* ---- all requests of a connection ---- */

static void pass_held_on(struct h2_request *r)
{
    while (r->exchange != NULL && r->is_wanted && r->held_at < r->held.len) {
        const size_t left = r->held.len - r->held_at;
        const size_t len = left < PIECE_BYTES ? left : PIECE_BYTES;
        const uint8_t *piece = (const uint8_t *)r->held.data + r->held_at;
        r->held_at += len;
        exchange_body(r->exchange, piece, len);
        if (r->stream != NULL)
            h2_stream_consume(r->stream, len);
    }
    if (r->exchange == NULL && r->carried == NULL && r->stream != NULL && r->held_at < r->held.len) {
        h2_stream_consume(r->stream, r->held.len - r->held_at); /* nobody wants it any more */
        r->held_at = r->held.len;
    }
    if (r->held_at == r->held.len) {
        strbuf_fini(&r->held);
        r->held_at = 0;
    }
    tell_end(r);
}

static void free_request(struct h2_request *r)
{
    list_unlink(&r->link);
    strbuf_fini(&r->held);
    OBJ_FREE(&r, H2_REQUEST_MAGIC);
}

void h2_requests_work(struct client_h2 *c)
{
    if (!c->has_work)
        return;
    c->has_work = false;
    LIST_EACH (it, &c->requests) {
        struct h2_request *r = of(it);
        if (r->has_work && !r->is_over) {
            r->has_work = false;
            pass_held_on(r);
        }
    }
    LIST_EACH (it, &c->requests) {
        if (of(it)->is_over)
            free_request(of(it));
    }
}

void h2_requests_drained(struct client_h2 *c)
{
    LIST_EACH (it, &c->requests) {
        if (!of(it)->is_over)
            h2_request_writable(of(it));
    }
}

static void look(struct h2_request *r)
{
    const struct conf *conf = r->owner->client.home->env->conf;
    const int64_t now_ms = now_of(r);
    if (r->stream == NULL || r->carried != NULL)
        return; /* a tunnel has its own deadlines */
    if (r->exchange != NULL && r->is_wanted && !r->is_ended && now_ms - r->read_ms >= conf->limits.body_timeout_ms) {
        fail(r, 408, "body took too long");
        return;
    }
    if (r->is_ending && now_ms - r->sent_ms >= ENDING_MS && h2_stream_queued(r->stream) == 0) {
        if (r->is_sending)
            end_stream(r);
        else
            reset(r, H2_NO_ERROR);
        return;
    }
    const bool has_left = h2_stream_sent_bytes(r->stream) != r->sent_bytes;
    const bool is_waiting = h2_stream_queued(r->stream) > 0 || (r->is_answered && r->exchange == NULL);
    if (has_left || !is_waiting) {
        r->sent_bytes = h2_stream_sent_bytes(r->stream);
        r->sent_ms = now_ms;
    } else if (now_ms - r->sent_ms >= conf->limits.send_timeout_ms) {
        if (r->exchange != NULL)
            exchange_cancel(&r->exchange, 499);
        reset(r, H2_CANCEL);
    }
}

void h2_requests_look(struct client_h2 *c)
{
    LIST_EACH (it, &c->requests) {
        if (!of(it)->is_over)
            look(of(it));
    }
}

void h2_requests_break(struct client_h2 *c)
{
    LIST_EACH (it, &c->requests) {
        struct h2_request *r = of(it);
        r->stream = NULL;
        if (!r->is_over)
            h2_request_closed(r, H2_CANCEL);
    }
    LIST_EACH (it, &c->requests) {
        free_request(of(it));
    }
}
