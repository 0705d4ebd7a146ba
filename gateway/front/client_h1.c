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
#include "gateway/front/client.h"
#include "gateway/front/h1_answer.h"
#include "gateway/front/reply.h"
#include "gateway/front/stall.h"
#include "gateway/http/h1_body.h"
#include "gateway/http/upgrade.h"

#define CLIENT_H1_MAGIC 0xc11e47a9u

#define LINGER_MS 1000
/* What is left of a body after its answer is read over, if it is no more than that, to keep the connection. */
#define DISCARD_MS    1500
#define DISCARD_BYTES (64u * 1024u)

enum h1_state { H1_WAITING = 1, H1_SERVING, H1_DISCARDING, H1_LINGERING, H1_GONE };

struct client_h1 {
    uint32_t magic;
    uint8_t state; /* enum h1_state */
    /* WAITING */
    bool is_timed : 1; /* the deadline of this head runs */
    /* the request */
    bool is_head : 1;
    bool is_http10 : 1;
    bool is_persistent : 1; /* the client means to go on after it */
    bool is_wanted : 1;     /* its body */
    bool owes_continue : 1; /* the client waits for 100 (Continue) before it sends that */
    /* the answer */
    bool is_last : 1;       /* the connection ends with it */
    uint16_t redirect_port; /* of the door */
    uint32_t discarded_bytes;
    struct client client;
    struct conn *conn;
    struct exchange *exchange; /* set by it; NULL while there is none */
    struct timer timer;
    int64_t due_ms; /* of the timer */
    struct later work;
    struct strbuf held;
    struct h1_scan scan;
    struct h1_body body;
    struct h1_answer answer;
    struct stall stall;
    int64_t begun_ms; /* first byte of the head */
    int64_t read_ms;  /* the body was read last, or began to be wanted */
    char *key;        /* Sec-WebSocket-Key of a request that has one, for the answer */
};

static struct client_h1 *of(struct client *c)
{
    struct client_h1 *h1 = LIST_ENTRY(c, struct client_h1, client);
    CHECK_OBJ(h1, CLIENT_H1_MAGIC);
    return h1;
}

static const struct conf *conf_of(const struct client_h1 *c)
{
    return c->client.home->env->conf;
}

/* ---- time ---- */

static void set_timer(struct client_h1 *c, int64_t delay_ms)
{
    if (delay_ms < 1)
        delay_ms = 1;
    c->due_ms = client_now_ms(&c->client) + delay_ms;
    timer_start(&c->timer, delay_ms);
}

static bool is_reading_body(const struct client_h1 *c)
{
    return c->state == H1_SERVING && c->is_wanted && c->body.kind != H1_BODY_NONE;
}

/* Lets the timer look after a body that is awaited, and bytes that wait to be taken. */
static void watch(struct client_h1 *c)
{
    const struct conf *conf = conf_of(c);
    const int64_t now_ms = client_now_ms(&c->client);
    int64_t delay_ms = INT64_MAX;
    if (is_reading_body(c))
        delay_ms = conf->limits.body_timeout_ms - (now_ms - c->read_ms);
    if (conn_buffered(c->conn) > 0 && delay_ms > conf->limits.send_timeout_ms / STALL_LOOKS)
        delay_ms = conf->limits.send_timeout_ms / STALL_LOOKS;
    if (delay_ms != INT64_MAX && (!timer_is_active(&c->timer) || c->due_ms > now_ms + delay_ms))
        set_timer(c, delay_ms);
}

static void wrote(struct client_h1 *c, size_t len)
{
    stall_wrote(&c->stall, c->conn, len, client_now_ms(&c->client));
    if (c->stall.is_watched)
        watch(c);
}

/* ---- ends ---- */

static void leave(struct client_h1 *c)
{
    c->state = H1_GONE;
    timer_cancel(&c->timer);
    later_cancel(&c->work);
    if (c->exchange != NULL)
        exchange_cancel(&c->exchange, 499);
    client_leave(&c->client);
}

static void hang_up_how(struct client_h1 *c, bool reset)
{
    leave(c);
    if (c->conn != NULL)
        conn_close(&c->conn, reset);
}

static void hang_up(struct client *base)
{
    hang_up_how(of(base), false);
}

static void free_client(struct client *base)
{
    struct client_h1 *c = of(base);
    strbuf_fini(&c->held);
    h1_answer_clear(&c->answer);
    mem_free(c->key);
    OBJ_FREE(&c, CLIENT_H1_MAGIC);
}

static void linger(struct client_h1 *c)
{
    c->state = H1_LINGERING;
    strbuf_fini(&c->held);
    timer_cancel(&c->timer);
    conn_shutdown_write(c->conn);
    if (conn_buffered(c->conn) > 0) {
        watch(c);
    } else if (conn_eof_seen(c->conn)) {
        hang_up_how(c, false);
        return;
    } else {
        set_timer(c, LINGER_MS);
    }
    conn_resume(c->conn);
}

static void wait_for_head(struct client_h1 *c)
{
    c->state = H1_WAITING;
    c->scan = (struct h1_scan){0};
    h1_answer_clear(&c->answer);
    mem_free(c->key);
    c->key = NULL;
    c->is_timed = false;
    c->is_head = false;
    if (c->held.len > 0) {
        later_post(&c->work);
        return;
    }
    strbuf_fini(&c->held); /* who waits owns no buffer */
    if (conn_eof_seen(c->conn) || c->client.home->is_draining) {
        linger(c);
        return;
    }
    if (conn_buffered(c->conn) > 0)
        watch(c); /* on_flushed */
    else
        set_timer(c, conf_of(c)->limits.keepalive_timeout_ms);
    conn_resume(c->conn);
}

/* One that is idle may go; what was begun is served, and says that it is the last. */
static void drain(struct client *base)
{
    struct client_h1 *c = of(base);
    if (c->state != H1_WAITING || c->held.len > 0)
        return;
    if (conn_buffered(c->conn) > 0)
        linger(c); /* the answer before is still on its way */
    else
        hang_up_how(c, false);
}

static const struct client_kind client_h1_kind = {.drain = drain, .hang_up = hang_up, .free = free_client};

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

static void send_body(void *arg, const uint8_t *data, size_t len)
{
    struct client_h1 *c = arg;
    CHECK_OBJ(c, CLIENT_H1_MAGIC);
    wrote(c, h1_answer_body(&c->answer, c->conn, data, len));
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
    wrote(c, h1_answer_end(&c->answer, c->conn));
    if (c->is_last || c->answer.is_spoilt) {
        linger(c);
        return;
    }
    timer_cancel(&c->timer);
    if (c->body.kind == H1_BODY_NONE) {
        wait_for_head(c);
        return;
    }
    c->state = H1_DISCARDING;
    c->discarded_bytes = 0;
    set_timer(c, DISCARD_MS);
    later_post(&c->work);
}

static void break_off(void *arg)
{
    struct client_h1 *c = arg;
    CHECK_OBJ(c, CLIENT_H1_MAGIC);
    c->exchange = NULL;
    if (!c->answer.is_begun || c->answer.framing == H1_FRAMING_CLOSE) {
        hang_up_how(c, true); /* the only way to tell */
        return;
    }
    wrote(c, h1_answer_flush(&c->answer, c->conn));
    linger(c); /* the end that is missing says it */
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
        wrote(c, sizeof go_on - 1);
    }
    c->owes_continue = false;
    c->read_ms = client_now_ms(&c->client);
    if (c->held.len > 0)
        later_post(&c->work);
    else
        conn_resume(c->conn);
    watch(c);
}

/* What an upgrade says besides the server's own fields. */
static void write_upgrade(struct client_h1 *c, const struct http_head *answer)
{
    struct http_head full;
    char accept[UPGRADE_ACCEPT_BYTES];
    http_head_clear(&full);
    full.status = 101;
    for (uint32_t i = 0; i < answer->field_count; i++)
        (void)http_head_add(&full, answer->fields[i].name, answer->fields[i].value);
    if (http_find(answer, "upgrade") == NULL)
        (void)http_head_add(&full, http_view_of("Upgrade"), http_view_of("websocket"));
    if (http_find(answer, "sec-websocket-accept") == NULL && c->key != NULL) {
        upgrade_accept_key(http_view_of(c->key), accept);
        (void)http_head_add(&full, http_view_of("Sec-WebSocket-Accept"), http_view_of(accept));
    }
    struct h1_write w = {.framing = H1_FRAMING_NONE};
    if (h1_answer_begin(&c->answer, &full, &w, false))
        wrote(c, h1_answer_flush(&c->answer, c->conn));
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
    leave(c);
    return conn;
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

static void send_reply(struct client_h1 *c, struct reply *r)
{
    const bool has_body = r->body.len > 0 && !c->is_head;
    c->state = H1_SERVING;
    send_head(c, &r->head, has_body);
    if (has_body)
        send_body(c, (const uint8_t *)r->body.data, r->body.len);
    reply_fini(r);
    finish(c);
}

/* The last answer on this connection. `who` is NULL when its line of the access log was written. */
static void refuse_as(struct client_h1 *c, const struct conn *who, const struct http_head *head, uint16_t status,
                      const char *reason)
{
    struct reply r;
    timer_cancel(&c->timer);
    c->is_persistent = false;
    reply_refuse(&r, c->client.home, who, head, status, reason);
    send_reply(c, &r);
}

/* The end of a client that broke the rules, or took too long. `head`: what was understood of the request, or NULL. */
static void refuse(struct client_h1 *c, const struct http_head *head, uint16_t status, const char *reason)
{
    refuse_as(c, c->conn, head, status, reason);
}

/* A body that cannot be read, or does not come. */
static void fail_body(struct client_h1 *c, uint16_t status, const char *reason)
{
    const struct conn *who = c->exchange == NULL ? c->conn : NULL;
    if (c->exchange != NULL)
        exchange_cancel(&c->exchange, status);
    if (!c->answer.is_begun)
        refuse_as(c, who, NULL, status, reason);
    else
        break_off(c);
}

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
    while (at < len && is_reading_body(c)) {
        struct http_view content;
        size_t used;
        const enum h1_result r = h1_body_feed(&c->body, data + at, len - at, &used, &content);
        at += used;
        if (r == H1_BAD) {
            fail_body(c, 400, c->body.error_reason);
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
        linger(c);
    } else if (r == H1_DONE) {
        hold(c, data + at, len - at);
        wait_for_head(c);
    } else {
        conn_resume(c->conn);
    }
}

/* ---- requests ---- */

static void begin_request(struct client_h1 *c, const struct http_head *head)
{
    timer_cancel(&c->timer);
    c->state = H1_SERVING;
    c->is_head = http_view_is(head->method, "HEAD");
    c->is_http10 = head->minor_version == 0;
    c->is_persistent = head->is_persistent;
    c->is_wanted = false;
    c->owes_continue = head->expects_continue;
    h1_body_init_request(&c->body, head);
    client_count(&c->client, STAT_REQUESTS_H1);
    const struct http_view key = http_value(head, "sec-websocket-key");
    if (head->wants_upgrade && key.data != NULL)
        c->key = mem_strndup(key.data, key.len);
}

/* One request, whose head looks at bytes that stay until this returns. */
static void serve(struct client_h1 *c, const struct http_head *head)
{
    begin_request(c, head);
    if (c->redirect_port != 0 && reply_redirects(c->client.home, head)) {
        struct reply r;
        reply_redirect(&r, c->client.home, c->conn, head, c->redirect_port);
        send_reply(c, &r);
        return;
    }
    struct exchange_start o = {.ops = &requester_ops,
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
    limits.head_bytes = conf_of(c)->limits.header_bytes;
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
            set_timer(c, conf_of(c)->limits.header_timeout_ms);
        c->is_timed = true;
        conn_resume(c->conn);
        return false;
    }
    if (r == H1_BAD) {
        refuse(c, NULL, head.error_status, head.error_reason);
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

static void on_work(void *arg)
{
    struct client_h1 *c = arg;
    CHECK_OBJ(c, CLIENT_H1_MAGIC);
    if (c->answer.is_begun && (c->state == H1_SERVING || c->state == H1_DISCARDING))
        wrote(c, h1_answer_flush(&c->answer, c->conn));
    const bool has_use = c->state == H1_WAITING || c->state == H1_DISCARDING || is_reading_body(c);
    if (c->held.len > 0 && has_use)
        use_held(c);
    else if (c->state == H1_DISCARDING)
        conn_resume(c->conn);
}

/* ---- the connection ---- */

static void on_data(void *arg, const uint8_t *data, size_t len)
{
    struct client_h1 *c = arg;
    CHECK_OBJ(c, CLIENT_H1_MAGIC);
    if (c->state == H1_LINGERING || c->state == H1_GONE)
        return;
    if (c->held.len > 0) { /* more of a head */
        strbuf_add(&c->held, data, len);
        if (c->held.failed)
            refuse(c, NULL, 431, "head too long");
        else if (c->state == H1_WAITING)
            use_held(c);
    } else if (c->state == H1_WAITING) {
        if (!take_head(c, data, len))
            strbuf_add(&c->held, data, len);
    } else if (c->state == H1_DISCARDING) {
        discard(c, data, len);
    } else if (is_reading_body(c)) {
        feed(c, data, len);
    } else {
        hold(c, data, len); /* read all the same, to notice when it gives up; once */
    }
}

static void on_eof(void *arg)
{
    struct client_h1 *c = arg;
    CHECK_OBJ(c, CLIENT_H1_MAGIC);
    const bool is_flushed = conn_buffered(c->conn) == 0;
    switch ((enum h1_state)c->state) {
    case H1_LINGERING:
        if (is_flushed)
            hang_up_how(c, false); /* else on_flushed */
        return;
    case H1_SERVING:
        /* The end of a request that is whole may be meant; that of half a request is not. */
        if (c->body.kind != H1_BODY_NONE || c->exchange == NULL || !exchange_is_answering(c->exchange))
            hang_up_how(c, false);
        else
            c->is_last = true;
        return;
    case H1_WAITING:
    case H1_DISCARDING:
        if (is_flushed)
            hang_up_how(c, false);
        else
            linger(c);
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
        hang_up_how(c, false);
    else if (c->state == H1_LINGERING)
        set_timer(c, LINGER_MS);
    else if (c->state == H1_WAITING && !c->is_timed)
        set_timer(c, conf_of(c)->limits.keepalive_timeout_ms);
}

static void on_drain(void *arg)
{
    struct client_h1 *c = arg;
    CHECK_OBJ(c, CLIENT_H1_MAGIC);
    if (c->exchange != NULL)
        exchange_client_drained(c->exchange);
}

static void on_close(void *arg, enum err e)
{
    struct client_h1 *c = arg;
    CHECK_OBJ(c, CLIENT_H1_MAGIC);
    (void)e;
    c->conn = NULL;
    leave(c);
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
    const struct conf *conf = conf_of(c);
    const int64_t now_ms = client_now_ms(&c->client);
    if (stall_is_over(&c->stall, c->conn, now_ms, conf->limits.send_timeout_ms)) {
        hang_up_how(c, true);
        return;
    }
    switch ((enum h1_state)c->state) {
    case H1_WAITING:
        if (c->held.len > 0)
            refuse(c, NULL, 408, "head took too long");
        else if (conn_buffered(c->conn) > 0)
            watch(c);
        else
            hang_up_how(c, false);
        return;
    case H1_SERVING:
        if (is_reading_body(c) && now_ms - c->read_ms >= conf->limits.body_timeout_ms)
            fail_body(c, 408, "body took too long");
        else
            watch(c);
        return;
    case H1_DISCARDING:
        linger(c);
        return;
    case H1_LINGERING:
        if (conn_buffered(c->conn) > 0)
            watch(c);
        else
            hang_up_how(c, false);
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
    set_timer(c, head_deadline_ms - client_now_ms(&c->client));
    for (size_t i = 0; i < data_count && c->state != H1_GONE; i++)
        if (data[i].len > 0)
            on_data(c, data[i].data, data[i].len);
}
