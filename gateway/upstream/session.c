/* Sessions. The hard part is reentrancy: what the protocol finds in one read reaches many riders, each of which may do
 * as it likes, up to the end of the session itself. So whatever ends a session while bytes are being fed or fetched
 * only marks it (is_doomed), requests are made and output is written at the end of the pass (`work`), and the end takes
 * the riders off one by one, looking anew each time. */
#include "gateway/upstream/session.h"

#include <stdio.h>

#include "base/mem.h"
#include "gateway/http/h2_client.h"
#include "gateway/upstream/dial.h"
#include "gateway/upstream/links.h"

#define SESSION_MAGIC 0x5e5510f2u

#define DETAIL_BYTES 96u

struct session {
    uint32_t magic;
    struct list link; /* among those that take riders; alone: leaving */
    struct net *net;
    struct server *server; /* borrow: riders hold references, and links_forget() comes before it goes */
    uint32_t forgotten_count;
    struct dial *dial;    /* while connecting ... */
    struct conn *conn;    /* ... and from then on */
    struct h2_client *h2; /* with it */
    struct list waiting;  /* riders without a stream yet, in order */
    struct list riding;   /* those with one */
    uint32_t rider_count;
    uint32_t request_count;
    struct later work;
    struct timer watch;
    int64_t heard_ms;
    int64_t pinged_ms;
    int64_t idle_since_ms;
    bool is_pinging;
    bool is_busy;   /* somebody's callbacks are on the stack: it must not go away under them */
    bool is_doomed; /* to be ended when they have returned */
    bool is_resolved;
    bool is_ending; /* being destroyed: `failure` is what its riders hear */
    enum err error; /* why it ended */
    char detail[DETAIL_BYTES];
    struct rider_failure failure;
};

static struct session *session_with_room(struct net *n, struct server *s);

static struct rider *rider_of(struct list *link)
{
    return LIST_ENTRY(link, struct rider, link);
}

/* ---- riders get off ---- */

/* Takes the rider off without a word; the reference to the server is the caller's then. */
static struct server *take_off(struct rider *r)
{
    struct session *k = r->session;
    struct server *s = r->server;
    list_unlink(&r->link);
    r->session = NULL;
    r->server = NULL;
    if (r->stream != NULL && r->has_sent && (r->has_ended || r->may_linger))
        h2_stream_set_owner(r->stream, NULL); /* it closes by itself */
    else if (r->stream != NULL)
        h2_stream_reset(&r->stream, H2_CANCEL);
    r->stream = NULL;
    if (--k->rider_count == 0)
        k->idle_since_ms = loop_now_ms(k->net->loop);
    return s;
}

static void fail_rider(struct rider *r, const struct rider_failure *f)
{
    struct server *s = take_off(r);
    r->ops->on_failed(r->arg, f);
    server_unref(&s);
}

static void decline_rider(struct rider *r, enum rider_decline why)
{
    struct server *s = take_off(r);
    r->ops->on_declined(r->arg, why);
    server_unref(&s);
}

/* ---- the end ---- */

static void session_destroy(struct session *k)
{
    k->is_busy = true;
    list_unlink(&k->link);
    timer_cancel(&k->watch);
    if (k->dial != NULL)
        dial_cancel(&k->dial);
    k->failure = (struct rider_failure){.error = k->error == ERR_NONE ? ERR_EOF : k->error,
                                        .is_unprocessed = true,
                                        .is_resolved = k->is_resolved,
                                        .is_connected = k->h2 != NULL,
                                        .is_not_h2 = k->h2 != NULL && !h2_client_has_settings(k->h2),
                                        .detail = k->detail};
    k->is_ending = true;
    while (!list_is_empty(&k->waiting))
        fail_rider(rider_of(k->waiting.next), &k->failure);
    if (k->h2 != NULL)
        h2_client_destroy(&k->h2);     /* on_stream_close for each that rides */
    while (!list_is_empty(&k->riding)) /* without a stream any more */
        fail_rider(rider_of(k->riding.next), &k->failure);
    if (k->conn != NULL)
        conn_close(&k->conn, false);
    later_cancel(&k->work);
    OBJ_FREE(&k, SESSION_MAGIC);
}

/* Ends it as soon as nobody is in the middle of it. */
static void end(struct session *k, enum err e, const char *detail)
{
    if (k->error == ERR_NONE) {
        k->error = e;
        (void)snprintf(k->detail, sizeof k->detail, "%s", detail);
    }
    list_unlink(&k->link);
    k->is_doomed = true;
    if (!k->is_busy)
        session_destroy(k);
}

/* After callbacks; false when the session is gone. */
static bool settle(struct session *k)
{
    k->is_busy = false;
    if (!k->is_doomed)
        return true;
    session_destroy(k);
    return false;
}

struct session *session_of_link(struct list *link)
{
    struct session *k = LIST_ENTRY(link, struct session, link);
    CHECK_OBJ(k, SESSION_MAGIC);
    return k;
}

void session_leave(struct session *k)
{
    CHECK_OBJ(k, SESSION_MAGIC);
    list_unlink(&k->link);
    if (k->rider_count == 0)
        end(k, ERR_EOF, "");
    else
        later_post(&k->work);
}

static bool is_leaving(const struct session *k)
{
    return list_is_empty(&k->link);
}

/* ---- a rider's day ---- */

/* Before its settings nothing is known of the server, not even that it is one: everybody waits for them. */
static void serve_waiting(struct session *k)
{
    if (!h2_client_has_settings(k->h2))
        return;
    while (!k->is_doomed && !list_is_empty(&k->waiting)) {
        struct rider *r = rider_of(k->waiting.next);
        if (r->needs_connect && !h2_client_serves_connect(k->h2)) {
            links_learn(k->net, k->server, LINKS_FACT_NO_WEBSOCKETS);
            decline_rider(r, RIDER_DECLINE_NO_WEBSOCKETS);
        } else if (h2_client_can_request(k->h2)) {
            list_unlink(&r->link);
            list_append(&k->riding, &r->link);
            r->ops->on_board(r->arg);
        } else {
            return;
        }
    }
}

static void rider_sit(struct rider *r, struct session *k)
{
    r->session = k;
    list_append(&k->waiting, &r->link);
    if (k->rider_count++ == 0 && k->h2 != NULL && h2_client_has_settings(k->h2)) {
        /* Silence counts from now on; nobody has asked for anything before. */
        k->heard_ms = loop_now_ms(k->net->loop);
        k->is_pinging = false;
        timer_start(&k->watch, SESSION_QUIET_MS);
    }
    later_post(&k->work);
}

/* More had come than the server turns out to take at a time: the last ones change to other sessions, as long as there
 * are any. */
static void spread(struct session *k)
{
    const uint32_t max = h2_client_max_streams(k->h2);
    struct session *other = NULL;
    links_learn_streams(k->net, k->server, max);
    while (k->rider_count > max && !list_is_empty(&k->waiting) &&
           (other = session_with_room(k->net, k->server)) != NULL) {
        struct rider *r = rider_of(k->waiting.prev);
        list_unlink(&r->link);
        k->rider_count--;
        rider_sit(r, other);
    }
}

/* Who waits for a session that takes nobody any more. */
static void turn_away_waiting(struct session *k)
{
    const struct rider_failure f = {
        .error = ERR_EOF, .is_unprocessed = true, .is_resolved = true, .is_connected = true, .detail = "going away"};
    while (!list_is_empty(&k->waiting))
        fail_rider(rider_of(k->waiting.next), &f);
}

static void write_output(struct session *k)
{
    /* Nothing that was read is in use at the end of a pass: the scratch buffer is free. */
    uint8_t *buf = k->net->scratch;
    size_t len = 0;
    while (!k->is_doomed && !conn_is_full(k->conn) && (len = h2_client_output(k->h2, buf, NET_SCRATCH_BYTES)) > 0)
        conn_write(k->conn, buf, len);
    if (!k->is_doomed && h2_client_is_over(k->h2) && conn_buffered(k->conn) == 0) {
        const char *failure = h2_client_failure(k->h2);
        end(k, failure != NULL ? ERR_PROTOCOL : ERR_EOF, failure != NULL ? failure : "going away");
    }
}

static void on_work(void *arg)
{
    struct session *k = arg;
    CHECK_OBJ(k, SESSION_MAGIC);
    if (k->h2 == NULL)
        return;
    k->is_busy = true;
    if (is_leaving(k))
        turn_away_waiting(k);
    else
        serve_waiting(k);
    if (!is_leaving(k) && h2_client_has_settings(k->h2))
        spread(k);
    write_output(k);
    if (is_leaving(k) && k->rider_count == 0)
        end(k, ERR_EOF, "");
    (void)settle(k);
}

bool rider_request(struct rider *r, const struct http_head *head, bool has_body)
{
    struct session *k = r->session;
    CHECK_OBJ(k, SESSION_MAGIC);
    ASSERT(r->stream == NULL);
    r->stream = h2_client_request(k->h2, head, k->server->server_conf->url.is_tls ? "https" : "http", has_body, r);
    if (r->stream == NULL)
        return false;
    r->has_sent = !has_body;
    if (k->request_count++ > 0)
        server_reused(k->server);
    return true;
}

void rider_send(struct rider *r, const void *data, size_t len)
{
    if (r->stream != NULL && len > 0)
        h2_stream_send(r->stream, data, len);
}

void rider_end(struct rider *r)
{
    if (r->stream != NULL && !r->has_sent)
        h2_stream_end(r->stream);
    r->has_sent = true;
}

void rider_move(struct rider *to, struct rider *from, const struct rider_ops *ops, void *arg)
{
    ASSERT(from->stream != NULL);
    *to = *from;
    list_init(&to->link);
    list_insert_before(&from->link, &to->link);
    list_unlink(&from->link);
    to->ops = ops;
    to->arg = arg;
    h2_stream_set_owner(to->stream, to);
    from->session = NULL;
    from->server = NULL;
    from->stream = NULL;
}

void rider_leave(struct rider *r)
{
    struct session *k = r->session;
    if (k == NULL)
        return;
    CHECK_OBJ(k, SESSION_MAGIC);
    struct server *s = take_off(r);
    if (k->rider_count == 0 && is_leaving(k))
        end(k, ERR_EOF, "");
    else
        later_post(&k->work);
    server_unref(&s); /* the last: links_forget() may come of it */
}

struct conn *rider_wire(const struct rider *r)
{
    CHECK_OBJ(r->session, SESSION_MAGIC);
    return r->session->conn;
}

/* ---- what the protocol tells ---- */

static void on_response(void *arg, struct h2_stream *st, const struct http_head *head, bool has_body)
{
    struct rider *r = h2_stream_owner(st);
    (void)arg;
    if (r == NULL)
        return;
    r->has_ended = !has_body;
    r->ops->on_response(r->arg, head, has_body);
}

static void on_settings(void *arg)
{
    struct session *k = arg;
    later_post(&k->work);
}

static void on_goaway(void *arg, uint32_t code)
{
    struct session *k = arg;
    (void)code;
    list_unlink(&k->link);
    later_post(&k->work);
}

static void on_output(void *arg)
{
    struct session *k = arg;
    later_post(&k->work);
}

static void on_stream_data(void *arg, struct h2_stream *st, const uint8_t *data, size_t len)
{
    struct rider *r = h2_stream_owner(st);
    (void)arg;
    if (r != NULL)
        r->ops->on_data(r->arg, data, len);
    else
        h2_stream_reset(&st, H2_CANCEL); /* nobody listens any more */
}

static void on_stream_end(void *arg, struct h2_stream *st)
{
    struct rider *r = h2_stream_owner(st);
    (void)arg;
    if (r == NULL)
        return;
    r->has_ended = true;
    r->ops->on_end(r->arg);
}

static void on_stream_writable(void *arg, struct h2_stream *st)
{
    struct rider *r = h2_stream_owner(st);
    (void)arg;
    if (r != NULL)
        r->ops->on_writable(r->arg);
}

static void on_stream_close(void *arg, struct h2_stream *st, uint32_t code, bool is_unprocessed)
{
    struct session *k = arg;
    struct rider *r = h2_stream_owner(st);
    later_post(&k->work); /* there is room for another */
    if (r == NULL)
        return;
    r->stream = NULL;
    if (k->is_ending) {
        struct rider_failure f = k->failure;
        f.is_unprocessed = is_unprocessed;
        fail_rider(r, &f);
        return;
    }
    if (code == H2_NO_ERROR && r->has_ended) {
        r->ops->on_closed(r->arg);
        return;
    }
    /* A goodbye closes the streams it does not mean to serve: that is about the connection, not about the request. */
    const bool is_left_behind = is_unprocessed && is_leaving(k);
    const struct rider_failure f = {.error = is_left_behind ? ERR_EOF : ERR_RESET,
                                    .is_stream = !is_left_behind,
                                    .code = is_left_behind ? H2_NO_ERROR : code,
                                    .is_unprocessed = is_unprocessed,
                                    .is_resolved = true,
                                    .is_connected = true,
                                    .detail = h2_code_text(code)};
    fail_rider(r, &f);
}

static const struct h2_client_ops h2_ops = {.on_response = on_response,
                                            .on_settings = on_settings,
                                            .on_goaway = on_goaway,
                                            .on_output = on_output,
                                            .stream = {.on_data = on_stream_data,
                                                       .on_end = on_stream_end,
                                                       .on_writable = on_stream_writable,
                                                       .on_close = on_stream_close}};

/* ---- the wire ---- */

static void on_wire_data(void *arg, const uint8_t *data, size_t len)
{
    struct session *k = arg;
    CHECK_OBJ(k, SESSION_MAGIC);
    k->heard_ms = loop_now_ms(k->net->loop);
    k->is_pinging = false;
    k->is_busy = true;
    h2_client_feed(k->h2, data, len, k->heard_ms);
    later_post(&k->work);
    (void)settle(k);
}

static void on_wire_eof(void *arg)
{
    struct session *k = arg;
    CHECK_OBJ(k, SESSION_MAGIC);
    end(k, ERR_EOF, "");
}

static void on_wire_room(void *arg)
{
    struct session *k = arg;
    CHECK_OBJ(k, SESSION_MAGIC);
    later_post(&k->work);
}

static void on_wire_close(void *arg, enum err e)
{
    struct session *k = arg;
    CHECK_OBJ(k, SESSION_MAGIC);
    const char *detail = conn_failure_text(k->conn);
    k->conn = NULL;
    end(k, e, detail);
}

static const struct conn_ops wire_ops = {.on_data = on_wire_data,
                                         .on_eof = on_wire_eof,
                                         .on_drain = on_wire_room,
                                         .on_flushed = on_wire_room,
                                         .on_close = on_wire_close};

static void on_watch(void *arg)
{
    struct session *k = arg;
    CHECK_OBJ(k, SESSION_MAGIC);
    const int64_t now_ms = loop_now_ms(k->net->loop);
    if (k->dial != NULL) {
        k->is_resolved = k->server->addr_count > 0;
        end(k, ERR_TIMEOUT, "");
    } else if (!h2_client_has_settings(k->h2)) {
        end(k, ERR_TIMEOUT, "no settings");
    } else if (k->rider_count == 0) {
        const int64_t left_ms = k->idle_since_ms + k->server->pool_conf->keepalive_ms - now_ms;
        if (left_ms <= 0)
            end(k, ERR_EOF, "");
        else
            timer_start(&k->watch, left_ms);
    } else if (k->is_pinging) {
        end(k, ERR_TIMEOUT, "no sign of life");
    } else if (now_ms - k->heard_ms >= SESSION_QUIET_MS) {
        k->is_pinging = true;
        h2_client_ping(k->h2);
        timer_start(&k->watch, SESSION_PONG_MS);
    } else {
        timer_start(&k->watch, k->heard_ms + SESSION_QUIET_MS - now_ms);
    }
}

/* ALPN chose HTTP/1.1: the connection serves the first rider that comes back for one. */
static void be_none(struct session *k, struct conn *conn)
{
    struct link l = {.conn = conn, .forgotten_count = k->forgotten_count};
    k->is_busy = true;
    list_unlink(&k->link);
    links_learn(k->net, k->server, LINKS_FACT_H1_ONLY);
    links_keep(k->net, k->server, &l);
    while (!list_is_empty(&k->waiting))
        decline_rider(rider_of(k->waiting.next), RIDER_DECLINE_H1_ONLY);
    session_destroy(k);
}

static void on_dialled(void *arg, const struct dial_result *r)
{
    struct session *k = arg;
    CHECK_OBJ(k, SESSION_MAGIC);
    k->dial = NULL;
    k->is_resolved = r->is_resolved;
    if (r->error != ERR_NONE) {
        end(k, r->error, r->detail);
        return;
    }
    if (k->server->server_conf->url.is_tls && !r->is_h2) {
        be_none(k, r->conn);
        return;
    }
    static const struct h2_client_limits limits = H2_CLIENT_LIMITS_DEFAULT;
    k->conn = r->conn;
    conn_set_owner(k->conn, &wire_ops, k);
    k->heard_ms = loop_now_ms(k->net->loop);
    k->h2 = h2_client_create(&limits, &h2_ops, k, k->heard_ms);
    timer_start(&k->watch, k->server->pool_conf->connect_timeout_ms); /* for its settings */
    later_post(&k->work);
}

/* ---- boarding ---- */

static bool has_room(const struct session *k)
{
    const bool is_known = k->h2 != NULL && h2_client_has_settings(k->h2);
    return k->rider_count < (is_known ? h2_client_max_streams(k->h2) : links_streams(k->server));
}

static struct session *session_create(struct net *n, struct server *s)
{
    struct session *k;
    OBJ_NEW(k, SESSION_MAGIC);
    k->net = n;
    k->server = s;
    k->forgotten_count = s->forgotten_count;
    list_init(&k->link);
    list_init(&k->waiting);
    list_init(&k->riding);
    later_init(&k->work, n->loop, on_work, k);
    timer_init(&k->watch, n->loop, on_watch, k);
    list_append(links_sessions(n, s), &k->link);
    k->dial = dial_start(n, s, TLS_OFFER_H2, on_dialled, k);
    timer_start(&k->watch, s->pool_conf->connect_timeout_ms);
    return k;
}

static struct session *session_with_room(struct net *n, struct server *s)
{
    struct list *all = links_sessions(n, s);
    uint32_t count = 0;
    LIST_EACH (it, all) {
        struct session *k = session_of_link(it);
        if (has_room(k))
            return k;
        count++;
    }
    return count < SESSION_COUNT_MAX ? session_create(n, s) : NULL;
}

bool rider_board(struct rider *r, struct net *n, struct server *s, bool needs_connect, const struct rider_ops *ops,
                 void *arg)
{
    struct session *k = session_with_room(n, s);
    if (k == NULL)
        return false;
    *r = (struct rider){
        .server = server_ref(s), .needs_connect = needs_connect, .has_company = k->h2 != NULL, .ops = ops, .arg = arg};
    list_init(&r->link);
    rider_sit(r, k);
    return true;
}
