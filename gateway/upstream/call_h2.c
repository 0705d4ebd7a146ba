/* Calls over HTTP/2: a stream of a session that many share. A WebSocket that is accepted leaves the call and becomes a
 * join: the object between the stream and the carried connection that the tunnel gets. */
#include "gateway/upstream/call_priv.h"

#include "base/mem.h"
#include "gateway/net/carried.h"

#define JOIN_MAGIC 0x10c4e9b7u

/* Moved at a time from a carried connection to its stream. */
#define PULL_BYTES (16u * 1024u)

struct join {
    uint32_t magic;
    struct rider rider;
    struct conn *conn; /* the carried one; NULL: gone */
};

static const struct rider_ops call_riding;

/* ---- WebSockets: between a stream and a carried connection ---- */

static void join_free(struct join *j)
{
    rider_leave(&j->rider);
    OBJ_FREE(&j, JOIN_MAGIC);
}

/* The stream cannot go on: the tunnel hears of it, and lets go of the connection. */
static void join_break(struct join *j, enum err e)
{
    struct conn *conn = j->conn;
    join_free(j);
    carried_break(conn, e);
}

static void pull(struct join *j)
{
    uint8_t buf[PULL_BYTES];
    bool is_end = false;
    while (j->rider.stream != NULL && !is_end && !j->rider.has_sent && !h2_stream_is_full(j->rider.stream)) {
        const size_t len = carried_pull(j->conn, buf, sizeof buf, &is_end);
        rider_send(&j->rider, buf, len);
        if (is_end)
            rider_end(&j->rider);
        if (len == 0)
            return;
    }
}

static void on_output(void *carrier)
{
    struct join *j = carrier;
    CHECK_OBJ(j, JOIN_MAGIC);
    pull(j);
}

static void on_taken(void *carrier, size_t len)
{
    struct join *j = carrier;
    CHECK_OBJ(j, JOIN_MAGIC);
    if (j->rider.stream != NULL)
        h2_stream_consume(j->rider.stream, len);
}

static void on_carried_closed(void *carrier, bool reset)
{
    struct join *j = carrier;
    CHECK_OBJ(j, JOIN_MAGIC);
    /* What was written before an orderly close still leaves, as it would from a socket. */
    if (!reset) {
        rider_end(&j->rider);
        j->rider.may_linger = true;
    }
    join_free(j);
}

static const struct carrier_ops join_carrier = {
    .on_output = on_output, .on_taken = on_taken, .on_closed = on_carried_closed};

static void on_joined_data(void *arg, const uint8_t *data, size_t len)
{
    struct join *j = arg;
    CHECK_OBJ(j, JOIN_MAGIC);
    carried_push(j->conn, data, len);
}

static void on_joined_end(void *arg)
{
    struct join *j = arg;
    CHECK_OBJ(j, JOIN_MAGIC);
    carried_push_eof(j->conn);
}

static void on_joined_writable(void *arg)
{
    struct join *j = arg;
    CHECK_OBJ(j, JOIN_MAGIC);
    pull(j);
}

static void on_joined_closed(void *arg)
{
    (void)arg; /* both sides have ended; the tunnel closes the connection when it has seen that */
}

static void on_joined_failed(void *arg, const struct rider_failure *f)
{
    struct join *j = arg;
    CHECK_OBJ(j, JOIN_MAGIC);
    join_break(j, f->error);
}

static const struct rider_ops join_riding = {.on_data = on_joined_data,
                                             .on_end = on_joined_end,
                                             .on_writable = on_joined_writable,
                                             .on_closed = on_joined_closed,
                                             .on_failed = on_joined_failed};

/* Until the callee of on_joined has set itself as the owner, which it does before it returns. */
static void on_nobodys_data(void *arg, const uint8_t *data, size_t len)
{
    (void)arg;
    (void)data;
    (void)len;
}
static void on_nobodys_close(void *arg, enum err e)
{
    (void)arg;
    (void)e;
}
static const struct conn_ops nobody = {.on_data = on_nobodys_data, .on_close = on_nobodys_close};

static void join(struct call *c, const struct http_head *h)
{
    struct join *j;
    OBJ_NEW(j, JOIN_MAGIC);
    struct conn *wire = rider_wire(&c->h2.rider);
    rider_move(&j->rider, &c->h2.rider, &join_riding, j);
    j->conn = carried_create(wire, &join_carrier, j, &nobody, NULL);
    conn_pause(j->conn);
    call_join(c, h, j->conn, NULL, 0);
}

/* ---- the request ---- */

static void start(struct call *c)
{
    struct call_on_h2 *k = &c->h2;
    *k = (struct call_on_h2){0};
    if (!rider_board(&k->rider, c->net, c->server, c->is_websocket, &call_riding, c))
        call_fail_later(c, ERR_LIMIT, "all HTTP/2 connections are full");
}

static void release(struct call *c)
{
    rider_leave(&c->h2.rider);
}

/* A WebSocket's head as it is sent. */
static void stream_head(const struct call *c, struct http_head *to)
{
    http_head_borrow(to, &c->head);
    to->method = http_view_of("CONNECT");
    to->protocol = http_view_of("websocket");
    to->field_count = 0;
    for (uint32_t i = 0; i < c->head.field_count; i++)
        if (!http_view_is_nocase(c->head.fields[i].name, "sec-websocket-key"))
            (void)http_head_add(to, c->head.fields[i].name, c->head.fields[i].value);
    if (http_find(to, "sec-websocket-version") == NULL)
        (void)http_head_add(to, http_view_of("sec-websocket-version"), http_view_of("13"));
}

static void on_board(void *arg)
{
    struct call *c = arg;
    struct http_head head;
    CHECK_OBJ(c, CALL_MAGIC);
    if (c->is_websocket)
        stream_head(c, &head);
    if (rider_request(&c->h2.rider, c->is_websocket ? &head : &c->head, c->has_body || c->is_websocket))
        call_sent_head(c);
    else
        call_fail(c, ERR_LIMIT, "request cannot be written", true);
}

/* WebSockets find another way. For other requests HTTP/2 may be what the configuration demands. */
static void on_declined(void *arg, enum rider_decline why)
{
    struct call *c = arg;
    CHECK_OBJ(c, CALL_MAGIC);
    if (c->is_websocket && why == RIDER_DECLINE_H1_ONLY)
        links_learn(c->net, c->server, LINKS_FACT_NO_WEBSOCKETS);
    if (c->is_websocket || c->over != OVER_H2)
        call_fall_back(c);
    else
        call_fail(c, ERR_PROTOCOL, "server does not speak HTTP/2", true);
}

static void write_body(struct call *c, const uint8_t *data, size_t len)
{
    rider_send(&c->h2.rider, data, len);
}

static void end_body(struct call *c)
{
    rider_end(&c->h2.rider);
}

static bool is_full(const struct call *c)
{
    return c->h2.rider.stream == NULL || h2_stream_is_full(c->h2.rider.stream);
}

static void on_writable(void *arg)
{
    struct call *c = arg;
    CHECK_OBJ(c, CALL_MAGIC);
    call_has_room(c);
}

/* ---- the answer ---- */

/* Statuses by which a server says that it does not do extended CONNECT after all. */
static bool is_refusal_of_connect(uint16_t status)
{
    return status == 405 || status == 501;
}

static void on_response(void *arg, const struct http_head *h, bool has_body)
{
    struct call *c = arg;
    CHECK_OBJ(c, CALL_MAGIC);
    if (c->is_websocket && is_refusal_of_connect(h->status)) {
        links_learn(c->net, c->server, LINKS_FACT_NO_WEBSOCKETS);
        call_fall_back(c);
        return;
    }
    if (c->is_websocket && h->status < 300) {
        const char *flaw = has_body ? upgrade_check_response(h, &c->head, c->key) : "accepted, and ended at once";
        if (flaw != NULL)
            call_fail(c, ERR_PROTOCOL, flaw, false);
        else
            join(c, h);
        return;
    }
    if (call_answer(c, h, has_body, true) && !has_body)
        call_finish(c);
}

static void on_data(void *arg, const uint8_t *data, size_t len)
{
    struct call *c = arg;
    CHECK_OBJ(c, CALL_MAGIC);
    call_moved(c);
    c->ops->on_data(c->arg, data, len);
    if (c->is_over)
        return; /* with its stream, the window came back */
    if (c->is_paused)
        c->h2.unconsumed_bytes += len;
    else
        h2_stream_consume(c->h2.rider.stream, len);
}

static void on_end(void *arg)
{
    struct call *c = arg;
    CHECK_OBJ(c, CALL_MAGIC);
    call_finish(c);
}

static void on_closed(void *arg)
{
    (void)arg; /* on_end came before, and took the call off */
}

/* The server resets the stream, for another reason than being busy; or it may not know HTTP/2 at all, which is no
 * surprise as long as only the route wants it. */
static bool is_no_way_for_websockets(const struct call *c, const struct rider_failure *f)
{
    if (f->is_stream)
        return f->code != H2_REFUSED_STREAM && f->code != H2_CANCEL;
    return f->is_not_h2 && c->server->pool_conf->http != OVER_H2;
}

static void on_failed(void *arg, const struct rider_failure *f)
{
    struct call *c = arg;
    CHECK_OBJ(c, CALL_MAGIC);
    const bool has_answer = c->phase == CALL_BODY;
    if (!f->is_resolved)
        c->phase = CALL_RESOLVE;
    if (c->is_websocket && is_no_way_for_websockets(c, f)) {
        links_learn(c->net, c->server, LINKS_FACT_NO_WEBSOCKETS);
        call_fall_back(c);
    } else if (f->is_stream && f->code == H2_HTTP_1_1_REQUIRED && c->over != OVER_H2 && !has_answer &&
               !c->is_body_begun) {
        links_learn(c->net, c->server, LINKS_FACT_H1_ONLY);
        call_fall_back(c);
    } else if (!has_answer && !f->is_stream && c->h2.rider.has_company && f->code != H2_REFUSED_STREAM &&
               call_replace(c, f->is_unprocessed)) {
        return;
    } else {
        call_fail(c, f->error, f->detail, f->is_unprocessed);
    }
}

static const struct rider_ops call_riding = {.on_board = on_board,
                                             .on_declined = on_declined,
                                             .on_response = on_response,
                                             .on_data = on_data,
                                             .on_end = on_end,
                                             .on_writable = on_writable,
                                             .on_closed = on_closed,
                                             .on_failed = on_failed};

static void pause_answer(struct call *c)
{
    (void)c; /* on_data keeps the window to itself */
}

static void resume_answer(struct call *c)
{
    const size_t len = c->h2.unconsumed_bytes;
    c->h2.unconsumed_bytes = 0;
    if (c->h2.rider.stream != NULL && len > 0)
        h2_stream_consume(c->h2.rider.stream, len);
}

const struct call_engine call_h2 = {.start = start,
                                    .write = write_body,
                                    .end_body = end_body,
                                    .is_full = is_full,
                                    .pause = pause_answer,
                                    .resume = resume_answer,
                                    .release = release};
