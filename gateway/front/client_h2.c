/* A client that speaks HTTP/2: the session between the connection and its requests.
 *
 * What the session has to say is fetched at the end of the pass, when several requests may have left something, and
 * only while the connection has room: what does not fit stays in the streams' queues, which are bounded, and are full
 * then. A goodbye has two steps (RFC 9113 section 6.8): the first asks for no new requests, and a second later, when
 * those that crossed it have arrived, the next one means it. */
#include "base/log.h"
#include "base/mem.h"
#include "gateway/front/client_h2_priv.h"

#define LINGER_MS  1000
#define LEAVING_MS 1000
/* Fetched and written at once; a TLS record holds no more. */
#define OUTPUT_BYTES (16u * 1024u)

static struct client_h2 *of(struct client *base)
{
    struct client_h2 *c = LIST_ENTRY(base, struct client_h2, client);
    CHECK_OBJ(c, CLIENT_H2_MAGIC);
    return c;
}

static const struct conf *conf_of(const struct client_h2 *c)
{
    return c->client.home->env->conf;
}

/* ---- time ---- */

static int64_t idle_time_ms(const struct client_h2 *c)
{
    return c->had_request ? conf_of(c)->limits.keepalive_timeout_ms : conf_of(c)->limits.header_timeout_ms;
}

/* How long until something is to be looked at; INT64_MAX: nothing is. */
static int64_t next_look_ms(const struct client_h2 *c, int64_t now_ms)
{
    const struct conf *conf = conf_of(c);
    int64_t delay_ms = INT64_MAX;
    if (conn_buffered(c->conn) > 0 || (!c->is_closing && c->request_count > c->tunnel_count)) {
        int64_t least_ms = conf->limits.send_timeout_ms;
        if (least_ms > conf->limits.body_timeout_ms)
            least_ms = conf->limits.body_timeout_ms;
        delay_ms = least_ms / STALL_LOOKS;
    }
    if (c->is_closing && delay_ms == INT64_MAX) {
        delay_ms = LINGER_MS;
    } else if (c->request_count == 0 && delay_ms == INT64_MAX) {
        delay_ms = c->idle_ms + idle_time_ms(c) - now_ms;
    } else if (c->ending_count > 0 && delay_ms > ENDING_MS) {
        delay_ms = ENDING_MS;
    }
    if (c->is_leaving && !c->is_last && delay_ms > c->leaving_ms + LEAVING_MS - now_ms)
        delay_ms = c->leaving_ms + LEAVING_MS - now_ms;
    return delay_ms < 1 ? 1 : delay_ms;
}

static void watch(struct client_h2 *c)
{
    const int64_t now_ms = client_now_ms(&c->client);
    const int64_t delay_ms = next_look_ms(c, now_ms);
    if (delay_ms == INT64_MAX) {
        timer_cancel(&c->timer);
    } else if (!timer_is_active(&c->timer) || c->due_ms > now_ms + delay_ms) {
        c->due_ms = now_ms + delay_ms;
        timer_start(&c->timer, delay_ms);
    }
}

void client_h2_changed(struct client_h2 *c)
{
    if (c->request_count > 0)
        c->had_request = true;
    c->idle_ms = client_now_ms(&c->client);
    if (c->conn != NULL)
        watch(c);
}

/* ---- ends ---- */

static void leave(struct client_h2 *c)
{
    if (c->session != NULL)
        h2_server_destroy(&c->session); /* which closes the requests */
    h2_requests_break(c);
    timer_cancel(&c->timer);
    later_cancel(&c->work);
    client_leave(&c->client);
}

static void hang_up_how(struct client_h2 *c, bool reset)
{
    struct conn *conn = c->conn;
    leave(c); /* requests first: they stand on the connection */
    c->conn = NULL;
    conn_close(&conn, reset);
}

static void hang_up(struct client *base)
{
    hang_up_how(of(base), false);
}

static void free_client(struct client *base)
{
    struct client_h2 *c = of(base);
    OBJ_FREE(&c, CLIENT_H2_MAGIC);
}

/* The session is over. Its last words are on their way; a reset would destroy them. */
static void linger(struct client_h2 *c)
{
    const char *failure = h2_server_failure(c->session);
    if (failure != NULL) {
        struct addr peer;
        char ip[INET6_ADDRSTRLEN];
        conn_peer(c->conn, &peer);
        LOG_LIMITED(&c->client.home->h2_log, client_now_ms(&c->client), LOG_LEVEL_INFO, "http/2 connection given up",
                    KV_STR("client", addr_ip_text(&peer, ip, sizeof ip)), KV_STR("reason", failure));
    }
    h2_server_destroy(&c->session);
    h2_requests_break(c);
    c->is_closing = true;
    conn_shutdown_write(c->conn);
    if (conn_eof_seen(c->conn) && conn_buffered(c->conn) == 0) {
        hang_up_how(c, false);
        return;
    }
    timer_cancel(&c->timer);
    watch(c);
}

static void say_goodbye(struct client_h2 *c, bool is_final)
{
    if (c->session == NULL || c->is_last)
        return;
    c->is_last = is_final;
    c->is_leaving = true;
    c->leaving_ms = client_now_ms(&c->client);
    h2_server_goaway(c->session, is_final);
    later_post(&c->work);
    watch(c);
}

static void drain(struct client *base)
{
    struct client_h2 *c = of(base);
    say_goodbye(c, c->request_count == 0 && c->had_request);
}

static const struct client_kind client_h2_kind = {.drain = drain, .hang_up = hang_up, .free = free_client};

/* ---- output ---- */

static void flush(struct client_h2 *c)
{
    uint8_t out[OUTPUT_BYTES];
    size_t len = 1;
    while (len > 0 && !conn_is_full(c->conn)) {
        len = h2_server_output(c->session, out, sizeof out);
        if (len > 0) {
            conn_write(c->conn, out, len);
            stall_wrote(&c->stall, c->conn, len, client_now_ms(&c->client));
        }
    }
    if (len == 0 && h2_server_is_over(c->session))
        linger(c);
    else
        watch(c);
}

static void on_work(void *arg)
{
    struct client_h2 *c = arg;
    CHECK_OBJ(c, CLIENT_H2_MAGIC);
    h2_requests_work(c);
    if (c->session != NULL)
        flush(c);
}

/* ---- from the session ---- */

static void on_request(void *arg, struct h2_stream *st, const struct http_head *head, bool has_body)
{
    h2_request_begin(arg, st, head, has_body);
}

static void on_refused(void *arg, struct h2_stream *st, const struct http_head *head)
{
    h2_request_refuse(arg, st, head);
}

static void on_malformed(void *arg, const char *reason)
{
    struct client_h2 *c = arg;
    struct addr peer;
    char ip[INET6_ADDRSTRLEN];
    conn_peer(c->conn, &peer);
    LOG_LIMITED(&c->client.home->refusal_log, client_now_ms(&c->client), LOG_LEVEL_INFO, "request refused",
                KV_STR("client", addr_ip_text(&peer, ip, sizeof ip)), KV_STR("reason", reason));
}

static void on_goaway(void *arg, uint32_t code)
{
    struct client_h2 *c = arg;
    (void)code;
    c->is_leaving = true;
    c->is_last = true;
}

static void on_output(void *arg)
{
    struct client_h2 *c = arg;
    later_post(&c->work);
}

static void on_stream_data(void *arg, struct h2_stream *st, const uint8_t *data, size_t len)
{
    struct h2_request *r = h2_stream_owner(st);
    (void)arg;
    if (r == NULL)
        h2_stream_consume(st, len);
    else
        h2_request_data(r, data, len);
}

static void on_stream_end(void *arg, struct h2_stream *st)
{
    (void)arg;
    h2_request_end(h2_stream_owner(st));
}

static void on_stream_writable(void *arg, struct h2_stream *st)
{
    (void)arg;
    h2_request_writable(h2_stream_owner(st));
}

static void on_stream_close(void *arg, struct h2_stream *st, uint32_t code, bool is_unprocessed)
{
    (void)arg;
    (void)is_unprocessed;
    h2_request_closed(h2_stream_owner(st), code);
}

static const struct h2_server_ops session_ops = {
    .on_request = on_request,
    .on_refused = on_refused,
    .on_malformed = on_malformed,
    .on_goaway = on_goaway,
    .on_output = on_output,
    .stream = {.on_data = on_stream_data,
               .on_end = on_stream_end,
               .on_writable = on_stream_writable,
               .on_close = on_stream_close},
};

/* ---- the connection ---- */

static void on_data(void *arg, const uint8_t *data, size_t len)
{
    struct client_h2 *c = arg;
    CHECK_OBJ(c, CLIENT_H2_MAGIC);
    if (c->session != NULL)
        h2_server_feed(c->session, data, len, client_now_ms(&c->client));
}

/* Half a connection is of no use to HTTP/2. */
static void on_eof(void *arg)
{
    struct client_h2 *c = arg;
    CHECK_OBJ(c, CLIENT_H2_MAGIC);
    if (!c->is_closing || conn_buffered(c->conn) == 0)
        hang_up_how(c, false); /* else on_flushed */
}

static void on_flushed(void *arg)
{
    struct client_h2 *c = arg;
    CHECK_OBJ(c, CLIENT_H2_MAGIC);
    if (!c->is_closing)
        return;
    if (conn_eof_seen(c->conn))
        hang_up_how(c, false);
    else
        watch(c);
}

static void on_drain(void *arg)
{
    struct client_h2 *c = arg;
    CHECK_OBJ(c, CLIENT_H2_MAGIC);
    if (c->session == NULL)
        return;
    h2_requests_drained(c);
    later_post(&c->work);
}

static void on_close(void *arg, enum err e)
{
    struct client_h2 *c = arg;
    CHECK_OBJ(c, CLIENT_H2_MAGIC);
    (void)e;
    leave(c);
    c->conn = NULL;
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
    struct client_h2 *c = arg;
    CHECK_OBJ(c, CLIENT_H2_MAGIC);
    const int64_t now_ms = client_now_ms(&c->client);
    const bool is_flushed = conn_buffered(c->conn) == 0;
    if (stall_is_over(&c->stall, c->conn, now_ms, conf_of(c)->limits.send_timeout_ms)) {
        hang_up_how(c, true);
        return;
    }
    if (c->is_closing && is_flushed) {
        hang_up_how(c, false);
        return;
    }
    if (c->session != NULL) {
        h2_requests_look(c);
        if (c->is_leaving && !c->is_last && now_ms - c->leaving_ms >= LEAVING_MS)
            say_goodbye(c, true);
    }
    if (c->session != NULL && c->request_count == 0 && is_flushed && now_ms - c->idle_ms >= idle_time_ms(c)) {
        if (c->is_last) {
            hang_up_how(c, false); /* goodbye was said, and it does not go */
            return;
        }
        say_goodbye(c, true);
        c->idle_ms = now_ms - idle_time_ms(c) + LEAVING_MS;
    }
    watch(c);
}

void client_h2_begin(struct client_home *h, struct conn *conn, const struct door *d, const struct slice *data,
                     size_t data_count)
{
    struct client_h2 *c;
    struct h2_server_limits limits = H2_SERVER_LIMITS_DEFAULT;
    const struct conf *conf = h->env->conf;
    limits.stream_count = conf->limits.streams;
    limits.header_bytes = conf->limits.header_bytes;
    limits.enable_connect_protocol = d->redirect_port == 0;
    OBJ_NEW(c, CLIENT_H2_MAGIC);
    client_join(&c->client, h, &client_h2_kind);
    c->conn = conn;
    c->redirect_port = d->redirect_port;
    list_init(&c->requests);
    timer_init(&c->timer, client_loop(&c->client), on_timer, c);
    later_init(&c->work, client_loop(&c->client), on_work, c);
    c->session = h2_server_create(&limits, &session_ops, c, client_now_ms(&c->client));
    conn_set_owner(conn, &conn_ops, c);
    client_h2_changed(c);
    later_post(&c->work);
    for (size_t i = 0; i < data_count; i++)
        if (data[i].len > 0)
            on_data(c, data[i].data, data[i].len);
}
