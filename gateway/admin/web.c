/* Admin pages over libwebsockets, which sits on our loop and parses HTTP; everything that bounds a client is our own.
 *
 * We accept, because the socket is the supervisor's and because pausing at a limit is then one call. Each connection
 * has one deadline timer: first for its request to be complete, then for its response to be taken, and so on. What
 * breaks the deadline is reset through the socket itself, which works in whatever state the library is: its own close
 * waits for buffered output, and a client that does not read would keep it waiting.
 *
 * Requests with a body are refused and their connection closed: no page takes one, and an unread body would be taken
 * for the next request. */
#include "gateway/admin/web.h"

#include <libwebsockets.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/sock.h"
#include "gateway/admin/pages.h"
#include "gateway/admin/web_priv.h"

#define HEADER_BYTES_MAX 8192u /* of a request */
#define ACCEPT_BATCH     32    /* connections accepted before other events get their turn */
#define ACCEPT_RETRY_MS  500   /* after descriptors ran out */
#define LINGER_MS        1000  /* for the client to see why before its connection is reset */
#define LIBRARY_FDS      16    /* what the library needs besides connections */

/* What one request gets, before it is written. */
struct answer {
    int status;
    const char *type;
    const char *allow; /* value of the Allow header, or NULL */
    bool is_live;      /* events are to be followed: there is no end */
    bool must_close;
};

/* ---- connections ---- */

static void on_listen(void *arg, unsigned events);

static void watch_listener(struct web *w)
{
    if (w->listen_fd >= 0)
        io_want(&w->listen_io, !w->is_draining && w->conn_count < WEB_CONNECTIONS_MAX ? IO_READ : 0);
}

static void on_accept_retry(void *arg)
{
    watch_listener(arg);
}

void web_conn_cut(struct web_conn *c, const char *why)
{
    LOG_LIMITED(&c->web->refusal_log, loop_now_ms(c->web->loop), LOG_LEVEL_DEBUG, "admin client cut off",
                KV_STR("cause", why));
    sock_reset_on_close(c->fd);
    (void)shutdown(c->fd, SHUT_RDWR); /* the library sees the end of the connection and closes it */
}

static void on_deadline(void *arg)
{
    struct web_conn *c = arg;

    CHECK_OBJ(c, WEB_CONN_MAGIC);
    if (c->live != LIVE_NONE)
        live_on_deadline(c);
    else
        web_conn_cut(c, c->is_busy ? "response not taken" : "no request");
}

static void conn_idle(struct web_conn *c)
{
    struct web *w = c->web;

    strbuf_fini(&c->body);
    if (!c->is_busy)
        return;
    c->is_busy = false;
    w->busy_count--;
    if (w->is_draining && w->busy_count == 0)
        w->ops->on_idle(w->arg);
}

static void conn_destroy(struct web_conn *c)
{
    struct web *w = c->web;

    CHECK_OBJ(c, WEB_CONN_MAGIC);
    if (c->was_destroyed != NULL)
        *c->was_destroyed = true;
    conn_idle(c);
    live_end(c);
    timer_cancel(&c->deadline);
    list_unlink(&c->link);
    w->conn_count--;
    watch_listener(w);
    OBJ_FREE(&c, WEB_CONN_MAGIC);
}

static void conn_create(struct web *w, int fd)
{
    struct addr local;
    struct web_conn *c;
    bool was_destroyed = false;
    lws_adopt_desc_t adopt = {.vh = w->vhost, .type = LWS_ADOPT_SOCKET | LWS_ADOPT_HTTP, .fd = {.sockfd = fd}};
    struct cidr loopback4, loopback6;

    OBJ_NEW(c, WEB_CONN_MAGIC);
    c->web = w;
    c->fd = fd;
    c->was_destroyed = &was_destroyed;
    strbuf_init(&c->body, REPORT_BYTES_MAX);
    timer_init(&c->deadline, w->loop, on_deadline, c);
    if (sock_local_addr(fd, &local) == ERR_NONE && cidr_parse(&loopback4, "127.0.0.0/8") &&
        cidr_parse(&loopback6, "::1"))
        c->is_loopback = cidr_contains(&loopback4, &local) || cidr_contains(&loopback6, &local);
    list_append(&w->conns, &c->link);
    w->conn_count++;
    adopt.opaque = c;
    if (lws_adopt_descriptor_vhost_via_info(&adopt) == NULL) {
        if (!was_destroyed)
            conn_destroy(c);
        return;
    }
    c->was_destroyed = NULL;
    timer_start(&c->deadline, w->limits.request_ms);
}

static void on_listen(void *arg, unsigned events)
{
    struct web *w = arg;
    struct addr peer;
    int fd;

    CHECK_OBJ(w, WEB_MAGIC);
    (void)events;
    for (int i = 0; i < ACCEPT_BATCH && w->conn_count < WEB_CONNECTIONS_MAX; i++) {
        enum err e = sock_accept(w->listen_fd, &fd, &peer);

        if (e == ERR_NONE) {
            conn_create(w, fd);
            continue;
        }
        if (e == ERR_LIMIT) {
            LOG_LIMITED(&w->refusal_log, loop_now_ms(w->loop), LOG_LEVEL_WARN, "admin accept paused",
                        KV_STR("cause", err_text(e)), KV_INT("retry_ms", ACCEPT_RETRY_MS));
            io_want(&w->listen_io, 0);
            timer_start(&w->accept_retry, ACCEPT_RETRY_MS);
        }
        return;
    }
    watch_listener(w);
}

/* ---- requests ---- */

static void refuse(struct answer *a, struct strbuf *body, int status, const char *error)
{
    strbuf_clear(body);
    *a = (struct answer){.status = status, .type = PAGE_TYPE_JSON, .must_close = status != 404 && status != 503};
    strbuf_puts(body, "{\"error\":");
    strbuf_json_string(body, error, strlen(error));
    strbuf_puts(body, "}\n");
}

/* A page that somebody's browser shows can make that browser ask loopback addresses under a host name of its own
 * (DNS rebinding), and read the answers. So on loopback the Host must be an address or localhost. */
static bool host_is_allowed(const struct web_conn *c, struct lws *wsi)
{
    char host[256];
    struct addr a;
    size_t len;
    int copied;

    if (!c->is_loopback || lws_hdr_total_length(wsi, WSI_TOKEN_HOST) == 0)
        return true;
    copied = lws_hdr_copy(wsi, host, sizeof host, WSI_TOKEN_HOST);
    if (copied <= 0)
        return false;
    if (addr_parse(&a, host))
        return true; /* with a port */
    len = (size_t)copied;
    if (host[0] == '[' && host[len - 1] == ']') {
        host[len - 1] = '\0';
        return addr_from_ip(&a, host + 1, 0);
    }
    host[strcspn(host, ":")] = '\0';
    return strcasecmp(host, "localhost") == 0 || addr_from_ip(&a, host, 0);
}

static bool has_body(struct lws *wsi)
{
    char length[32];

    if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0)
        return true;
    if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) == 0)
        return false;
    return lws_hdr_copy(wsi, length, sizeof length, WSI_TOKEN_HTTP_CONTENT_LENGTH) <= 0 || strcmp(length, "0") != 0;
}

static uint64_t number_of(struct lws *wsi, const char *name)
{
    char text[32];
    const char *value = lws_get_urlarg_by_name(wsi, name, text, sizeof text);

    return value != NULL ? strtoull(value, NULL, 10) : 0;
}

/* The list of events, or the wish to follow them. */
static void answer_events(struct web_conn *c, struct lws *wsi, struct answer *a)
{
    bool is_head = lws_hdr_total_length(wsi, WSI_TOKEN_HEAD_URI) > 0;
    uint64_t after = 0;

    *a = (struct answer){.status = 200, .type = PAGE_TYPE_JSON, .is_live = !is_head && live_is_asked(wsi)};
    if (a->is_live && c->web->live_count >= WEB_LIVE_MAX) {
        refuse(a, &c->body, 503, "too many follow the events already");
    } else if (!a->is_live) {
        (void)live_seen(wsi, &after);
        feed_json(c->web->ops->feed(c->web->arg), after, number_of(wsi, "limit="), &c->body);
    }
}

static void answer_request(struct web_conn *c, struct lws *wsi, const char *path, size_t len, struct answer *a)
{
    struct web *w = c->web;
    const struct page *page;
    struct report_view view;
    bool is_head = lws_hdr_total_length(wsi, WSI_TOKEN_HEAD_URI) > 0;

    if (!is_head && lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI) == 0) {
        refuse(a, &c->body, 405, "only GET and HEAD are allowed here");
        a->allow = "GET, HEAD";
        return;
    }
    if (has_body(wsi)) {
        refuse(a, &c->body, 413, "no page takes a request body");
        return;
    }
    if (!host_is_allowed(c, wsi)) {
        refuse(a, &c->body, 421, "on a loopback address the Host must be an address or localhost");
        return;
    }
    if (w->ops->feed != NULL && strlen(LIVE_PATH) == len && memcmp(path, LIVE_PATH, len) == 0) {
        answer_events(c, wsi, a);
        return;
    }
    if (w->ops->alerts != NULL && strlen(ALERTS_PATH) == len && memcmp(path, ALERTS_PATH, len) == 0) {
        *a = (struct answer){.status = 200, .type = PAGE_TYPE_JSON};
        if (!w->ops->alerts(w->arg, &c->body))
            refuse(a, &c->body, 503, "no configuration yet");
        else if (c->body.failed)
            refuse(a, &c->body, 500, "the answer is too long");
        return;
    }
    page = page_find(path, len);
    if (page == NULL) {
        refuse(a, &c->body, 404, "no such page");
        return;
    }
    if (!w->ops->view(w->arg, &view)) {
        refuse(a, &c->body, 503, "no configuration yet");
        return;
    }
    *a = (struct answer){.status = page->fill(&view, &c->body), .type = page->type};
    if (c->body.failed)
        refuse(a, &c->body, 500, "the answer is too long");
}

/* ---- responses ---- */

static bool add_header(struct lws *wsi, const char *name, const char *value, unsigned char **p, unsigned char *end)
{
    return lws_add_http_header_by_name(wsi, (const unsigned char *)name, (const unsigned char *)value,
                                       (int)strlen(value), p, end) == 0;
}

/* False: the connection is to be closed. */
static bool write_head(struct lws *wsi, const struct answer *a, size_t body_bytes)
{
    unsigned char head[LWS_PRE + HEAD_BYTES_MAX];
    unsigned char *start = head + LWS_PRE, *p = start, *end = head + sizeof head - 1;

    return lws_add_http_header_status(wsi, (unsigned)a->status, &p, end) == 0 &&
           add_header(wsi, "content-type:", a->type, &p, end) &&
           add_header(wsi, "cache-control:", "no-store", &p, end) &&
           add_header(wsi, "x-content-type-options:", "nosniff", &p, end) &&
           (a->allow == NULL || add_header(wsi, "allow:", a->allow, &p, end)) &&
           (!a->must_close || add_header(wsi, "connection:", "close", &p, end)) &&
           lws_add_http_header_content_length(wsi, body_bytes, &p, end) == 0 &&
           lws_finalize_write_http_header(wsi, start, &p, end) == 0;
}

/* Everything is handed over. Returns the callback's result: nonzero closes the connection. */
static int response_done(struct web_conn *c, struct lws *wsi)
{
    conn_idle(c);
    if (c->must_close) {
        /* Closing with unread input would reset the connection and could take the answer along: the client hears
         * the end, and has until the deadline to hang up. */
        timer_start(&c->deadline, LINGER_MS);
        (void)shutdown(c->fd, SHUT_WR);
        return 0;
    }
    timer_start(&c->deadline, c->web->limits.request_ms);
    return c->web->is_draining || lws_http_transaction_completed(wsi) != 0 ? -1 : 0;
}

static int write_piece(struct web_conn *c, struct lws *wsi)
{
    unsigned char piece[LWS_PRE + PIECE_BYTES];
    size_t left = c->body.len - c->sent_bytes;
    size_t len = left < PIECE_BYTES ? left : PIECE_BYTES;
    int written;

    if (len > 0) {
        memcpy(piece + LWS_PRE, c->body.data + c->sent_bytes, len);
        written = lws_write(wsi, piece + LWS_PRE, len, len == left ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP);
        if (written < 0 || (size_t)written < len)
            return -1;
        c->sent_bytes += len;
    }
    if (c->sent_bytes == c->body.len && !lws_partial_buffered(wsi))
        return response_done(c, wsi);
    lws_callback_on_writable(wsi);
    return 0;
}

static int on_request(struct web_conn *c, struct lws *wsi, const char *path, size_t len)
{
    struct answer a = {.status = 0};
    bool is_head = lws_hdr_total_length(wsi, WSI_TOKEN_HEAD_URI) > 0;

    if (c->is_busy || c->must_close || c->live != LIVE_NONE) /* the library waits for its turn, as far as is known */
        return -1;
    c->is_busy = true;
    c->web->busy_count++;
    c->sent_bytes = 0;
    answer_request(c, wsi, path, len, &a);
    if (a.is_live) {
        conn_idle(c);
        return live_begin_sse(c, wsi);
    }
    c->must_close = a.must_close;
    timer_start(&c->deadline, c->web->limits.response_ms);
    if (!write_head(wsi, &a, c->body.len))
        return -1;
    if (is_head)
        return response_done(c, wsi);
    if (a.must_close) /* short, and the library must not begin to read the body */
        return write_piece(c, wsi);
    lws_callback_on_writable(wsi);
    return 0;
}

/* Whether the protocol that was agreed on is the one there is. */
static bool is_followers(struct lws *wsi)
{
    const struct lws_protocols *p = lws_get_protocol(wsi);

    return p != NULL && strcmp(p->name, LIVE_PROTOCOL) == 0;
}

/* The one door through which the library calls us. */
static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
    struct web_conn *c = wsi != NULL ? lws_get_opaque_user_data(wsi) : NULL;

    (void)user;
    if (c == NULL) /* vhost events, and the first moments of a connection */
        return 0;
    if (reason == LWS_CALLBACK_HTTP)
        return on_request(c, wsi, in, len);
    if (reason == LWS_CALLBACK_HTTP_WRITEABLE && c->live == LIVE_NONE)
        return c->is_busy ? write_piece(c, wsi) : 0;
    if (reason == LWS_CALLBACK_HTTP_WRITEABLE || reason == LWS_CALLBACK_SERVER_WRITEABLE)
        return c->live != LIVE_NONE ? live_write(c, wsi) : 0;
    if (reason == LWS_CALLBACK_HTTP_CONFIRM_UPGRADE)
        return strcmp(in, "websocket") == 0 ? 0 : -1;
    if (reason == LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION)
        return is_followers(wsi) && host_is_allowed(c, wsi) && live_accepts(c, wsi) ? 0 : -1;
    if (reason == LWS_CALLBACK_ESTABLISHED)
        live_begin_websocket(c, wsi);
    if (reason == LWS_CALLBACK_WSI_DESTROY) {
        lws_set_opaque_user_data(wsi, NULL);
        conn_destroy(c);
    }
    return 0;
}

/* ---- life ---- */

static const struct lws_protocols protocols[] = {
    {.name = "admin", .callback = on_event},
    {.name = LIVE_PROTOCOL, .callback = on_event, .rx_buffer_size = 1024},
    {.name = NULL},
};

/* While the library starts, what it says is ours to act on; later its lines are about clients' doings. */
static void on_library_start(int level, const char *line)
{
    (void)level;
    LOG_WARN("libwebsockets", KV_STRN("text", line, strcspn(line, "\n")));
}

static void on_library_line(int level, const char *line)
{
    (void)level;
    LOG_DEBUG("libwebsockets", KV_STRN("text", line, strcspn(line, "\n")));
}

struct web *web_create(struct loop *l, const struct web_ops *ops, void *arg, const struct web_limits *limits)
{
    void *loops[] = {loop_native(l)};
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .options = LWS_SERVER_OPTION_LIBEV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_DISABLE_IPV6,
        .foreign_loops = loops,
        .protocols = protocols,
        .server_string = "tidegate",
        .max_http_header_data2 = HEADER_BYTES_MAX,
        .max_http_header_pool2 = WEB_CONNECTIONS_MAX,
        .fd_limit_per_thread = WEB_CONNECTIONS_MAX + LIBRARY_FDS,
        .uid = -1,
        .gid = -1,
    };
    struct web *w;

    lws_set_log_level(LLL_ERR, on_library_start);
    OBJ_NEW(w, WEB_MAGIC);
    w->loop = l;
    w->ops = ops;
    w->arg = arg;
    w->limits = *limits;
    w->listen_fd = -1;
    list_init(&w->conns);
    timer_init(&w->accept_retry, l, on_accept_retry, w);
    w->context = lws_create_context(&info);
    if (w->context != NULL)
        w->vhost = lws_create_vhost(w->context, &info);
    lws_set_log_level(LLL_ERR | LLL_WARN, on_library_line);
    if (w->vhost == NULL) {
        if (w->context != NULL)
            lws_context_destroy(w->context);
        OBJ_FREE(&w, WEB_MAGIC);
    }
    return w;
}

void web_set_limits(struct web *w, const struct web_limits *limits)
{
    CHECK_OBJ(w, WEB_MAGIC);
    w->limits = *limits;
}

static void close_listener(struct web *w)
{
    timer_cancel(&w->accept_retry);
    if (w->listen_fd < 0)
        return;
    io_fini(&w->listen_io);
    close(w->listen_fd);
    w->listen_fd = -1;
}

void web_listen(struct web *w, int fd)
{
    CHECK_OBJ(w, WEB_MAGIC);
    close_listener(w);
    if (fd < 0)
        return;
    w->listen_fd = fd;
    io_init(&w->listen_io, w->loop, fd, on_listen, w);
    watch_listener(w);
}

void web_drain(struct web *w)
{
    CHECK_OBJ(w, WEB_MAGIC);
    if (w->is_draining)
        return;
    w->is_draining = true;
    close_listener(w);
    LIST_EACH (it, &w->conns) {
        struct web_conn *c = LIST_ENTRY(it, struct web_conn, link);

        if (c->live != LIVE_NONE)
            (void)shutdown(c->fd, SHUT_RDWR);
    }
    if (w->busy_count == 0)
        w->ops->on_idle(w->arg);
}

void web_destroy(struct web **wp)
{
    struct web *w = *wp;

    CHECK_OBJ(w, WEB_MAGIC);
    w->is_draining = false; /* nobody waits for on_idle any more */
    close_listener(w);
    lws_context_destroy(w->context);
    ASSERT(list_is_empty(&w->conns));
    OBJ_FREE(wp, WEB_MAGIC);
}
