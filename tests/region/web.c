/* The library gets of every request only what it needs (a few headers, rewritten from the parsed head), because it
 * keeps its own opinions: a subprotocol it was not told of at start ends the connection, so the offer is kept from
 * it and the answer added at the end of the handshake; and of an adopted connection it cannot read a body. One callback
 * serves all protocols; the connection's client hangs on it as opaque data from the moment of adoption until
 * WSI_DESTROY. */
#include "tests/region/web.h"

#include <libwebsockets.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/sock.h"
#include "tests/region/client.h"
#include "tests/region/page.h"
#include "tests/region/region.h"
#include "tests/region/socket.h"

#define WEB_MAGIC 0x4e613e05u

_Static_assert(CLIENT_HEADROOM >= LWS_PRE, "room for the frame header");

struct web {
    uint32_t magic;
    struct region *region;
    struct lws_context *context;
    struct lws_vhost *vhost;
    struct client *arriving; /* between adoption and its first callback */
};

/* ---- out ---- */

/* Negative ends the connection, without a close frame: the library sends one only when it was given a code. */
static int send_wrong(struct client *c, struct lws *wsi)
{
    static const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    const struct wrong_frame *w = c->wrong;
    int fd = lws_get_socket_fd(wsi);

    c->wrong = NULL;
    if (w->len > 0 && send(fd, w->bytes, w->len, MSG_NOSIGNAL) != (ssize_t)w->len)
        return -1;
    if (w->then == WRONG_THEN_RESET &&
        connect(fd, &nobody, sizeof(nobody)) != 0) /* "disconnect" on Linux is RST, at once */
        LOG_WARN("no reset sent");
    if (w->then == WRONG_THEN_CUT)
        shutdown(fd, SHUT_RDWR);
    return w->then == WRONG_THEN_STAY ? 0 : -1;
}

static bool has_more(const struct client *c)
{
    return !c->is_busy && !list_is_empty(&c->out) && !(c->is_paused && c->is_answered && c->out.next == c->out.prev);
}

/* Writes what the socket takes. Negative ends the connection. */
static int flush(struct client *c, struct lws *wsi)
{
    while (has_more(c) && !lws_send_pipe_choked(wsi)) {
        struct outgoing *o = LIST_ENTRY(c->out.next, struct outgoing, link);
        int how = !c->is_upgraded ? LWS_WRITE_HTTP : o->is_binary ? LWS_WRITE_BINARY : LWS_WRITE_TEXT;
        int put = lws_write(wsi, o->room + CLIENT_HEADROOM, o->len, (enum lws_write_protocol)how);

        list_unlink(&o->link);
        c->out_bytes -= o->len;
        mem_free(o);
        if (put < 0)
            return -1;
    }
    if (has_more(c)) {
        lws_callback_on_writable(wsi);
        return 0;
    }
    if (c->is_busy)
        return 0;
    if (!c->is_upgraded)
        return c->is_answered && list_is_empty(&c->out) ? -1 : 0;
    web_check_reading(c);
    if (c->wrong != NULL && send_wrong(c, wsi) < 0)
        return -1;
    if (!c->is_closing)
        return 0;
    lws_close_reason(wsi, (enum lws_close_status)c->close_code, (unsigned char *)c->close_reason,
                     strlen(c->close_reason));
    return -1;
}

void web_want_write(struct client *c)
{
    CHECK_OBJ(c, CLIENT_MAGIC);
    if (c->wsi != NULL)
        lws_callback_on_writable(c->wsi);
}

void web_check_reading(struct client *c)
{
    CHECK_OBJ(c, CLIENT_MAGIC);
    if (c->wsi != NULL && c->is_upgraded)
        lws_rx_flow_control(c->wsi, client_may_read(c) ? 1 : 0);
}

/* ---- in ---- */

static void take_message(struct client *c)
{
    struct strbuf message = c->in;

    strbuf_init(&c->in, message.max_bytes);
    c->region->message_count++;
    if (c->kind == CLIENT_KIND_ECHO)
        client_send(c, message.data, message.len, c->in_is_binary);
    else
        socket_take(c->socket, message.data, message.len, c->in_is_binary);
    if (c->in.data == NULL && message.cap_bytes <= 4096) { /* small ones are used again */
        strbuf_clear(&message);
        c->in = message;
    } else {
        strbuf_fini(&message);
    }
}

static void on_receive(struct client *c, struct lws *wsi, const void *in, size_t len)
{
    if (c->is_closing)
        return;
    if (lws_is_first_fragment(wsi)) {
        strbuf_clear(&c->in);
        c->in_is_binary = lws_frame_is_binary(wsi);
    }
    strbuf_add(&c->in, in, len);
    if (c->in.failed) {
        client_close(c, 1009, "too long");
        return;
    }
    if (lws_is_final_fragment(wsi) && lws_remaining_packet_payload(wsi) == 0) {
        take_message(c);
        web_check_reading(c);
    }
}

static void on_established(struct client *c)
{
    const struct knobs *k = &c->region->knobs;

    c->is_upgraded = true;
    c->region->open_count++;
    if (c->kind == CLIENT_KIND_PHOENIX)
        c->socket = socket_create(c);
    if (knobs_number(k, KNOB_FRAME) > 0)
        client_send_wrong(c, &wrong_frames[knobs_number(k, KNOB_FRAME)]);
    if (knobs_number(k, KNOB_CLOSE) > 0)
        client_close(c, (uint16_t)knobs_number(k, KNOB_CLOSE), knobs_text(k, KNOB_CLOSE_REASON));
    web_check_reading(c);
}

/* The first subprotocol offered is the one that is spoken, whatever it is. */
static int add_handshake_headers(struct client *c, struct lws *wsi, struct lws_process_html_args *args)
{
    unsigned char **p = (unsigned char **)(void *)&args->p;
    unsigned char *end = (unsigned char *)args->p + args->max_len;
    const char *offer = head_field(&c->head, "sec-websocket-protocol");
    const char *wanted = knobs_text(&c->region->knobs, KNOB_SUBPROTOCOL);
    const char *name = c->region->name;

    if (lws_add_http_header_by_name(wsi, (const unsigned char *)"x-region:", (const unsigned char *)name,
                                    (int)strlen(name), p, end))
        return -1;
    if (wanted[0] != '\0')
        offer = wanted;
    if (offer == NULL || strcmp(wanted, "none") == 0)
        return 0;
    return lws_add_http_header_by_name(wsi,
                                       (const unsigned char *)"sec-websocket-protocol:", (const unsigned char *)offer,
                                       (int)strcspn(offer, ", \t"), p, end);
}

static void on_gone(struct client *c)
{
    if (c->is_upgraded)
        c->region->open_count--;
    c->wsi = NULL;
    client_destroy(&c);
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
    struct client *c = lws_get_opaque_user_data(wsi);
    struct web *w = lws_get_context(wsi) == NULL ? NULL : lws_context_user(lws_get_context(wsi));

    (void)user;
    if (reason == LWS_CALLBACK_SERVER_NEW_CLIENT_INSTANTIATED && w != NULL) {
        lws_set_opaque_user_data(wsi, w->arriving);
        w->arriving->wsi = wsi;
        w->arriving = NULL;
        return 0;
    }
    if (c == NULL)
        return 0;
    CHECK_OBJ(c, CLIENT_MAGIC);
    switch ((int)reason) {
    case LWS_CALLBACK_HTTP:
        page_serve(c);
        return 0;
    case LWS_CALLBACK_ADD_HEADERS:
        return add_handshake_headers(c, wsi, in);
    case LWS_CALLBACK_ESTABLISHED:
        on_established(c);
        return 0;
    case LWS_CALLBACK_RECEIVE:
        on_receive(c, wsi, in, len);
        return 0;
    case LWS_CALLBACK_HTTP_WRITEABLE:
    case LWS_CALLBACK_SERVER_WRITEABLE:
        return flush(c, wsi);
    case LWS_CALLBACK_WSI_DESTROY:
        lws_set_opaque_user_data(wsi, NULL);
        on_gone(c);
        return 0;
    default:
        return 0;
    }
}

/* ---- life ---- */

static const struct lws_protocols protocols[] = {
    {.name = "region", .callback = on_event, .rx_buffer_size = 4096},
    {0},
};

static void on_library_log(int level, const char *line)
{
    LOG_AT(level == LLL_ERR ? LOG_LEVEL_ERR : LOG_LEVEL_WARN, "libwebsockets says",
           KV_STRN("line", line, strcspn(line, "\n")));
}

struct web *web_create(struct region *r)
{
    struct lws_context_creation_info info = {0};
    struct web *w;
    void *loops[1] = {loop_native(r->loop)};

    OBJ_NEW(w, WEB_MAGIC);
    w->region = r;
    lws_set_log_level(LLL_ERR, on_library_log);
    info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
    info.protocols = protocols;
    info.options = LWS_SERVER_OPTION_LIBEV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
    info.foreign_loops = loops;
    info.user = w;
    info.pt_serv_buf_size = 65536;
    info.max_http_header_data = 16384;
    info.max_http_header_pool = 1024;
    w->context = lws_create_context(&info);
    if (w->context != NULL)
        w->vhost = lws_create_vhost(w->context, &info);
    /* From here on the library calls every adopted connection an error in its log. */
    lws_set_log_level(0, NULL);
    if (w->vhost == NULL) {
        LOG_ERR("libwebsockets does not start");
        web_destroy(&w);
        return NULL;
    }
    return w;
}

void web_destroy(struct web **wp)
{
    struct web *w = *wp;

    CHECK_OBJ(w, WEB_MAGIC);
    if (w->context != NULL)
        lws_context_destroy(w->context);
    OBJ_FREE(wp, WEB_MAGIC);
}

static bool ends_with(const char *s, const char *tail)
{
    size_t len = strlen(s), tail_len = strlen(tail);

    return len >= tail_len && strcmp(s + len - tail_len, tail) == 0;
}

int64_t web_refusal(const struct region *r, const struct head *h)
{
    const char *refused_vsn = knobs_text(&r->knobs, KNOB_REFUSE_VSN);
    char vsn[16];

    if (!head_asks_websocket(h) || strcmp(h->path, "/echo") == 0 || strncmp(h->path, "/echo/", 6) == 0)
        return 0;
    if (!ends_with(h->path, "/websocket"))
        return 404;
    if (!head_query(h, "vsn", vsn, sizeof(vsn)))
        return 0;
    if (refused_vsn[0] != '\0' && strncmp(vsn, refused_vsn, strlen(refused_vsn)) == 0)
        return 403;
    return strncmp(vsn, "1.0.", 4) == 0 || strncmp(vsn, "2.0.", 4) == 0 ? 0 : 403;
}

static void add_field(struct strbuf *b, const struct head *h, const char *name)
{
    const char *value = head_field(h, name);

    if (value != NULL)
        strbuf_printf(b, "%s: %s\r\n", name, value);
}

/* Every plain request is a GET to the library: the method and the body are the page's business. */
static void rewrite_head(struct strbuf *b, const struct head *h)
{
    strbuf_printf(b, "GET %s HTTP/1.1\r\n", h->path);
    add_field(b, h, "host");
    if (head_asks_websocket(h)) {
        add_field(b, h, "upgrade");
        add_field(b, h, "connection");
        add_field(b, h, "sec-websocket-key");
        add_field(b, h, "sec-websocket-version");
    }
    strbuf_puts(b, "\r\n");
}

void web_admit(struct web *w, int fd, struct head *take_head, struct strbuf *take_body)
{
    struct strbuf b;
    struct client *c;

    CHECK_OBJ(w, WEB_MAGIC);
    strbuf_init(&b, 2 * (size_t)HEAD_BYTES_MAX);
    rewrite_head(&b, take_head);
    ASSERT(!b.failed);
    c = client_create(w->region, take_head);
    if (c->kind == CLIENT_KIND_HTTP)
        c->in = *take_body;
    else
        strbuf_fini(take_body);
    w->arriving = c;
    lws_adopt_socket_vhost_readbuf(w->vhost, fd, b.data, b.len);
    if (w->arriving != NULL) { /* not even begun; the library has closed the socket */
        w->arriving = NULL;
        client_destroy(&c);
    }
    strbuf_fini(&b);
}
