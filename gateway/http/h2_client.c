/* Requests to HTTP/2 servers. What is common to both sides of a connection is in h2_session.c. */
#include "gateway/http/h2_client.h"

#include <string.h>

#include "base/mem.h"
#include "gateway/http/h2_priv.h"

#define H2_CLIENT_MAGIC 0x71b9d46fu

struct h2_client {
    uint32_t magic;
    const struct h2_client_ops *ops;
    bool has_settings;
    bool is_pinging;
    bool is_leaving;
    struct h2_session session;
};

static struct h2_client *client_of(struct h2_session *s)
{
    return LIST_ENTRY(s, struct h2_client, session);
}

/* ---- from the session ---- */

static void reset_quietly(struct h2_session *s, struct h2_stream *st, enum h2_code code)
{
    st->is_blamed = true;
    h2_watch_charge(&s->watch, H2_PURSE_RESET);
    (void)nghttp2_submit_rst_stream(s->ng, NGHTTP2_FLAG_NONE, st->id, code);
}

static void on_head(struct h2_session *s, struct h2_stream *st, struct h2_head *head, bool has_body)
{
    const struct h2_client_ops *ops = client_of(s)->ops;

    if (!h2_head_finish_response(head)) {
        reset_quietly(s, st, H2_PROTOCOL_ERROR);
    } else if (head->head.status >= 200) {
        st->has_head = true;
        ops->on_response(s->arg, st, &head->head, has_body);
    } else if (++st->interim_count > H2_MAX_INTERIMS) {
        reset_quietly(s, st, H2_ENHANCE_YOUR_CALM);
    } else if (ops->on_informational != NULL) {
        ops->on_informational(s->arg, st, &head->head);
    }
}

static void on_goaway(struct h2_session *s, uint32_t code)
{
    client_of(s)->ops->on_goaway(s->arg, code);
}

static void on_settings(struct h2_session *s)
{
    client_of(s)->has_settings = true;
    client_of(s)->ops->on_settings(s->arg);
}

static void on_pong(struct h2_session *s)
{
    struct h2_client *c = client_of(s);
    const bool is_awaited = c->is_pinging;
    c->is_pinging = false;
    if (is_awaited && c->ops->on_pong != NULL)
        c->ops->on_pong(s->arg);
}

static void on_output(struct h2_session *s)
{
    client_of(s)->ops->on_output(s->arg);
}

static void free_client(struct h2_session *s)
{
    struct h2_client *c = client_of(s);
    OBJ_FREE(&c, H2_CLIENT_MAGIC);
}

static const struct h2_role role = {
    .is_server = false,
    .on_head = on_head,
    .on_goaway = on_goaway,
    .on_settings = on_settings,
    .on_pong = on_pong,
    .on_output = on_output,
    .free = free_client,
};

/* ---- the session ---- */

struct h2_client *h2_client_create(const struct h2_client_limits *l, const struct h2_client_ops *ops, void *arg,
                                   int64_t now_ms)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, l->stream_window_bytes},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)l->header_bytes},
    };
    struct h2_client *c;

    OBJ_NEW(c, H2_CLIENT_MAGIC);
    c->ops = ops;
    c->session.role = &role;
    c->session.ops = &ops->stream;
    c->session.arg = arg;
    c->session.head_limits = (struct h2_head_limits){.header_bytes = l->header_bytes, .field_count = l->field_count};
    c->session.stream_window_bytes = l->stream_window_bytes;
    c->session.queue_bytes = l->queue_bytes;
    c->session.max_streams = l->stream_count;
    h2_session_init(&c->session, settings, sizeof settings / sizeof settings[0], l->connection_window_bytes, now_ms);
    return c;
}

void h2_client_feed(struct h2_client *c, const uint8_t *data, size_t len, int64_t now_ms)
{
    CHECK_OBJ(c, H2_CLIENT_MAGIC);
    h2_session_feed(&c->session, data, len, now_ms);
}

size_t h2_client_output(struct h2_client *c, uint8_t *buf, size_t cap_bytes)
{
    CHECK_OBJ(c, H2_CLIENT_MAGIC);
    return h2_session_output(&c->session, buf, cap_bytes);
}

bool h2_client_is_over(const struct h2_client *c)
{
    CHECK_OBJ(c, H2_CLIENT_MAGIC);
    return h2_session_is_over(&c->session);
}

const char *h2_client_failure(const struct h2_client *c)
{
    CHECK_OBJ(c, H2_CLIENT_MAGIC);
    return c->session.failure;
}

uint32_t h2_client_stream_count(const struct h2_client *c)
{
    CHECK_OBJ(c, H2_CLIENT_MAGIC);
    return c->session.stream_count;
}

void h2_client_destroy(struct h2_client **cp)
{
    struct h2_client *c = *cp;
    CHECK_OBJ(c, H2_CLIENT_MAGIC);
    *cp = NULL;
    h2_session_destroy(&c->session);
}

bool h2_client_has_settings(const struct h2_client *c)
{
    CHECK_OBJ(c, H2_CLIENT_MAGIC);
    return c->has_settings;
}

bool h2_client_serves_connect(const struct h2_client *c)
{
    CHECK_OBJ(c, H2_CLIENT_MAGIC);
    return nghttp2_session_get_remote_settings(c->session.ng, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1;
}

uint32_t h2_client_max_streams(const struct h2_client *c)
{
    CHECK_OBJ(c, H2_CLIENT_MAGIC);
    const uint32_t theirs = nghttp2_session_get_remote_settings(c->session.ng, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    return theirs < c->session.max_streams ? theirs : c->session.max_streams;
}

bool h2_client_can_request(const struct h2_client *c)
{
    CHECK_OBJ(c, H2_CLIENT_MAGIC);
    return !c->is_leaving && c->session.failure == NULL && !c->session.is_broken &&
           c->session.stream_count < h2_client_max_streams(c) &&
           nghttp2_session_check_request_allowed(c->session.ng) != 0;
}

void h2_client_ping(struct h2_client *c)
{
    CHECK_OBJ(c, H2_CLIENT_MAGIC);
    if (c->is_pinging)
        return;
    c->is_pinging = true;
    (void)nghttp2_submit_ping(c->session.ng, NGHTTP2_FLAG_NONE, NULL);
    h2_session_touched(&c->session);
}

void h2_client_goaway(struct h2_client *c)
{
    CHECK_OBJ(c, H2_CLIENT_MAGIC);
    if (c->is_leaving)
        return;
    c->is_leaving = true;
    (void)nghttp2_submit_goaway(c->session.ng, NGHTTP2_FLAG_NONE, 0, H2_NO_ERROR, NULL, 0);
    h2_session_touched(&c->session);
}

/* ---- requests ---- */

static void add_pseudo(struct h2_fields *f, const struct http_head *head, const char *scheme, const struct strbuf *path)
{
    h2_fields_add(f, ":method", head->method);
    if (head->protocol.data != NULL)
        h2_fields_add(f, ":protocol", head->protocol);
    h2_fields_add(f, ":scheme", http_view_of(scheme));
    if (head->authority.data != NULL)
        h2_fields_add(f, ":authority", head->authority);
    h2_fields_add(f, ":path", (struct http_view){.data = path->data, .len = path->len});
}

struct h2_stream *h2_client_request(struct h2_client *c, const struct http_head *head, const char *scheme,
                                    bool has_body, void *owner)
{
    const nghttp2_data_provider body = h2_stream_source();
    struct h2_fields fields;
    struct strbuf path;

    if (!h2_client_can_request(c) || (head->protocol.data != NULL && !h2_client_serves_connect(c)))
        return NULL;
    ASSERT(head->path.len > 0 && head->method.len > 0);
    strbuf_init(&path, head->path.len + 1 + head->query.len);
    strbuf_add(&path, head->path.data, head->path.len);
    if (head->query.data != NULL) {
        strbuf_add(&path, "?", 1);
        strbuf_add(&path, head->query.data, head->query.len);
    }
    h2_fields_begin(&fields);
    add_pseudo(&fields, head, scheme, &path);
    h2_fields_add_all(&fields, head);
    if (has_body && head->protocol.data == NULL)
        h2_fields_add_length(&fields, head->content_length);

    struct h2_stream *st = h2_stream_create(&c->session, 0);
    st->id = nghttp2_submit_request(c->session.ng, NULL, fields.list, fields.count, has_body ? &body : NULL, st);
    strbuf_fini(&path);
    if (st->id <= 0) { /* the last number of a stream was used */
        c->is_leaving = true;
        st->id = 0;
        h2_stream_destroy(&st);
        return NULL;
    }
    st->owner = owner;
    h2_stream_introduce(st);
    st->is_head_sent = true;
    st->is_open = has_body;
    /* A server may refuse as many as it is asked for. */
    h2_watch_credit(&c->session.watch, H2_PURSE_RESET, 1);
    h2_session_touched(&c->session);
    return st;
}
