/* Those who follow the events, over server-sent events or a WebSocket. What a client has seen is one number, and the
 * queue it is served from is the feed that all share: nothing is kept for anybody. The hard part is the client that
 * does not read. Whenever there is something for it, the deadline runs; the library says when the socket took it. Who
 * lets it pass is cut off, as is who was so slow that the feed has gone on without him. */
#include <libwebsockets.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "gateway/admin/web_priv.h"
#include "gateway/report/event_line.h"

#define BEAT_MS 15000 /* what sits in between gives up idle connections after 30 s, mostly */

/* ---- requests ---- */

bool live_is_asked(struct lws *wsi)
{
    char accept[256];

    return lws_hdr_copy(wsi, accept, sizeof accept, WSI_TOKEN_HTTP_ACCEPT) > 0 &&
           strstr(accept, "text/event-stream") != NULL;
}

bool live_seen(struct lws *wsi, uint64_t *seq)
{
    static const char header[] = "last-event-id:";
    char text[32];
    const char *value = NULL;

    if (lws_hdr_custom_length(wsi, header, sizeof header - 1) > 0 &&
        lws_hdr_custom_copy(wsi, text, sizeof text, header, sizeof header - 1) > 0)
        value = text;
    else
        value = lws_get_urlarg_by_name(wsi, "after=", text, sizeof text);
    if (value == NULL || value[0] < '0' || value[0] > '9')
        return false;
    *seq = strtoull(value, NULL, 10);
    return true;
}

/* A browser says which page's script asks. Only one that was served here itself may: others would read along. */
static bool origin_is_ours(struct lws *wsi)
{
    char origin[256], host[256];
    const char *name;

    if (lws_hdr_total_length(wsi, WSI_TOKEN_ORIGIN) == 0)
        return true;
    if (lws_hdr_copy(wsi, origin, sizeof origin, WSI_TOKEN_ORIGIN) <= 0 ||
        lws_hdr_copy(wsi, host, sizeof host, WSI_TOKEN_HOST) <= 0)
        return false;
    name = strstr(origin, "://");
    return name != NULL && strcasecmp(name + 3, host) == 0;
}

bool live_accepts(const struct web_conn *c, struct lws *wsi)
{
    char path[64];

    return c->web->ops->feed != NULL && !c->web->is_draining && c->web->live_count < WEB_LIVE_MAX &&
           lws_hdr_copy(wsi, path, sizeof path, WSI_TOKEN_GET_URI) > 0 && strcmp(path, LIVE_PATH) == 0 &&
           origin_is_ours(wsi);
}

/* ---- following ---- */

static void want_write(struct web_conn *c)
{
    if (c->is_write_due)
        return;
    c->is_write_due = true;
    timer_start(&c->deadline, c->web->limits.response_ms);
    lws_callback_on_writable(c->wsi);
}

static void rest(struct web_conn *c)
{
    c->is_write_due = false;
    timer_start(&c->deadline, BEAT_MS);
}

static void begin(struct web_conn *c, struct lws *wsi, enum web_live live)
{
    const struct feed *f = c->web->ops->feed(c->web->arg);
    uint64_t seen = feed_last_seq(f);

    (void)live_seen(wsi, &seen);
    if (seen > feed_last_seq(f))
        seen = feed_last_seq(f);
    if (seen + 1 < feed_first_seq(f))
        seen = feed_first_seq(f) - 1;
    c->live = live;
    c->wsi = wsi;
    c->seen_seq = seen;
    c->web->live_count++;
    lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
    c->is_beat_due = live == LIVE_SSE; /* the first one tells the browser that it is connected */
    if (c->is_beat_due || seen < feed_last_seq(f))
        want_write(c);
    else
        rest(c);
}

static bool add_header(struct lws *wsi, const char *name, const char *value, unsigned char **p, unsigned char *end)
{
    return lws_add_http_header_by_name(wsi, (const unsigned char *)name, (const unsigned char *)value,
                                       (int)strlen(value), p, end) == 0;
}

int live_begin_sse(struct web_conn *c, struct lws *wsi)
{
    unsigned char head[LWS_PRE + HEAD_BYTES_MAX];
    unsigned char *start = head + LWS_PRE, *p = start, *end = head + sizeof head - 1;

    if (lws_add_http_header_status(wsi, 200, &p, end) != 0 ||
        !add_header(wsi, "content-type:", "text/event-stream", &p, end) ||
        !add_header(wsi, "cache-control:", "no-store", &p, end) ||
        !add_header(wsi, "x-content-type-options:", "nosniff", &p, end) ||
        !add_header(wsi, "x-accel-buffering:", "no", &p, end) || !add_header(wsi, "connection:", "close", &p, end) ||
        lws_finalize_write_http_header(wsi, start, &p, end) != 0)
        return -1;
    begin(c, wsi, LIVE_SSE);
    return 0;
}

void live_begin_websocket(struct web_conn *c, struct lws *wsi)
{
    begin(c, wsi, LIVE_WEBSOCKET);
}

/* ---- writing ---- */

static bool send_text(struct lws *wsi, const struct strbuf *text, enum lws_write_protocol how)
{
    unsigned char *piece = mem_alloc(LWS_PRE + text->len + 1);
    int written;

    if (text->len > 0)
        memcpy(piece + LWS_PRE, text->data, text->len);
    written = lws_write(wsi, piece + LWS_PRE, text->len, how);
    mem_free(piece);
    return written >= (int)text->len;
}

static bool write_sse(struct web_conn *c, struct lws *wsi, const struct feed *f, struct strbuf *text)
{
    if (c->is_beat_due)
        strbuf_puts(text, ": tidegate\n\n");
    feed_sse(f, &c->seen_seq, PIECE_BYTES / 2, text);
    return text->len == 0 || send_text(wsi, text, LWS_WRITE_HTTP);
}

/* One message for each event. */
static bool write_websocket(struct web_conn *c, struct lws *wsi, const struct feed *f, struct strbuf *text)
{
    const struct event *e = NULL;

    while (e == NULL && c->seen_seq < feed_last_seq(f))
        e = feed_at(f, ++c->seen_seq);
    if (e == NULL)
        return !c->is_beat_due || send_text(wsi, text, LWS_WRITE_PING);
    event_line_write(e, text);
    return send_text(wsi, text, LWS_WRITE_TEXT);
}

int live_write(struct web_conn *c, struct lws *wsi)
{
    const struct feed *f = c->web->ops->feed(c->web->arg);
    struct strbuf text;
    bool is_written;

    if (c->seen_seq + 1 < feed_first_seq(f)) {
        web_conn_cut(c, "events not taken");
        return -1;
    }
    strbuf_init(&text, PIECE_BYTES);
    is_written = c->live == LIVE_SSE ? write_sse(c, wsi, f, &text) : write_websocket(c, wsi, f, &text);
    is_written = is_written && !text.failed;
    strbuf_fini(&text);
    c->is_beat_due = false;
    if (!is_written)
        return -1;
    if (lws_partial_buffered(wsi)) { /* part of it is still here: the deadline goes on */
        lws_callback_on_writable(wsi);
        return 0;
    }
    rest(c);
    if (c->seen_seq < feed_last_seq(f))
        want_write(c);
    return 0;
}

void live_on_deadline(struct web_conn *c)
{
    if (c->is_write_due) {
        web_conn_cut(c, "events not taken");
        return;
    }
    c->is_beat_due = true;
    want_write(c);
}

void live_end(struct web_conn *c)
{
    if (c->live == LIVE_NONE)
        return;
    c->live = LIVE_NONE;
    c->web->live_count--;
}

void web_feed_grew(struct web *w)
{
    CHECK_OBJ(w, WEB_MAGIC);
    LIST_EACH (it, &w->conns) {
        struct web_conn *c = LIST_ENTRY(it, struct web_conn, link);

        if (c->live != LIVE_NONE)
            want_write(c);
    }
}
