/* Requests of HTTP/2 clients. What is common to both sides of a connection is in h2_session.c; here is what a server
 * announces, how a header block becomes a request or a refusal, and how answers are said. */
#include "gateway/http/h2_server.h"

#include <string.h>

#include "base/mem.h"
#include "gateway/http/h2_priv.h"

#define H2_SERVER_MAGIC 0x2c5e7b13u

struct h2_server {
    uint32_t magic;
    const struct h2_server_ops *ops;
    struct h2_session session;
};

static struct h2_server *server_of(struct h2_session *s)
{
    return LIST_ENTRY(s, struct h2_server, session);
}

/* ---- from the session ---- */

static void on_head(struct h2_session *s, struct h2_stream *st, struct h2_head *head, bool has_body)
{
    const struct h2_server_ops *ops = server_of(s)->ops;

    st->has_head = true;
    h2_stream_introduce(st);
    if (!h2_head_finish_request(head, &s->head_limits)) {
        st->is_refused = true;
        ops->on_refused(s->arg, st, &head->head);
        return;
    }
    st->is_tunnel = head->head.protocol.data != NULL;
    /* Streams of one urgency take turns, so that a long answer does not hold up the others. */
    const nghttp2_extpri turn = {.urgency = h2_head_urgency(&head->head), .inc = 1};
    (void)nghttp2_session_change_extpri_stream_priority(s->ng, st->id, &turn, 1);
    ops->on_request(s->arg, st, &head->head, has_body);
}

static void on_malformed(struct h2_session *s, const char *reason)
{
    if (server_of(s)->ops->on_malformed != NULL)
        server_of(s)->ops->on_malformed(s->arg, reason);
}

static void on_goaway(struct h2_session *s, uint32_t code)
{
    server_of(s)->ops->on_goaway(s->arg, code);
}

static void on_output(struct h2_session *s)
{
    server_of(s)->ops->on_output(s->arg);
}

static void free_server(struct h2_session *s)
{
    struct h2_server *server = server_of(s);
    OBJ_FREE(&server, H2_SERVER_MAGIC);
}

static const struct h2_role role = {
    .is_server = true,
    .on_head = on_head,
    .on_malformed = on_malformed,
    .on_goaway = on_goaway,
    .on_output = on_output,
    .free = free_server,
};

/* ---- the session ---- */

struct h2_server *h2_server_create(const struct h2_server_limits *l, const struct h2_server_ops *ops, void *arg,
                                   int64_t now_ms)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, l->stream_count},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, l->stream_window_bytes},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)l->header_bytes},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
        {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
    };
    const size_t count = sizeof settings / sizeof settings[0];
    struct h2_server *s;

    OBJ_NEW(s, H2_SERVER_MAGIC);
    s->ops = ops;
    s->session.role = &role;
    s->session.ops = &ops->stream;
    s->session.arg = arg;
    s->session.head_limits = (struct h2_head_limits){l->header_bytes, l->target_bytes, l->field_count};
    s->session.stream_window_bytes = l->stream_window_bytes;
    s->session.queue_bytes = l->queue_bytes;
    s->session.max_streams = l->stream_count;
    h2_session_init(&s->session, settings, l->enable_connect_protocol ? count : count - 1, l->connection_window_bytes,
                    now_ms);
    return s;
}

void h2_server_feed(struct h2_server *s, const uint8_t *data, size_t len, int64_t now_ms)
{
    CHECK_OBJ(s, H2_SERVER_MAGIC);
    h2_session_feed(&s->session, data, len, now_ms);
}

size_t h2_server_output(struct h2_server *s, uint8_t *buf, size_t cap_bytes)
{
    CHECK_OBJ(s, H2_SERVER_MAGIC);
    return h2_session_output(&s->session, buf, cap_bytes);
}

bool h2_server_is_over(const struct h2_server *s)
{
    CHECK_OBJ(s, H2_SERVER_MAGIC);
    return h2_session_is_over(&s->session);
}

const char *h2_server_failure(const struct h2_server *s)
{
    CHECK_OBJ(s, H2_SERVER_MAGIC);
    return s->session.failure;
}

void h2_server_goaway(struct h2_server *s, bool is_final)
{
    CHECK_OBJ(s, H2_SERVER_MAGIC);
    nghttp2_session *ng = s->session.ng;
    if (is_final)
        (void)nghttp2_submit_goaway(ng, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(ng), H2_NO_ERROR,
                                    NULL, 0);
    else
        (void)nghttp2_submit_shutdown_notice(ng);
    h2_session_touched(&s->session);
}

uint32_t h2_server_stream_count(const struct h2_server *s)
{
    CHECK_OBJ(s, H2_SERVER_MAGIC);
    return s->session.stream_count;
}

void h2_server_destroy(struct h2_server **sp)
{
    struct h2_server *s = *sp;
    CHECK_OBJ(s, H2_SERVER_MAGIC);
    *sp = NULL;
    h2_session_destroy(&s->session);
}

/* ---- answers ---- */

static void put_status(char text[4], uint16_t status)
{
    ASSERT(status >= 100 && status <= 999 && status != 101);
    text[0] = (char)('0' + status / 100);
    text[1] = (char)('0' + status / 10 % 10);
    text[2] = (char)('0' + status % 10);
    text[3] = '\0';
}

void h2_server_inform(struct h2_stream *st, uint16_t status)
{
    char text[4];
    struct h2_fields fields;

    ASSERT(st->session->role->is_server && status < 200 && !st->is_head_sent);
    put_status(text, status);
    h2_fields_begin(&fields);
    h2_fields_add(&fields, ":status", http_view_of(text));
    (void)nghttp2_submit_headers(st->session->ng, NGHTTP2_FLAG_NONE, st->id, NULL, fields.list, fields.count, NULL);
    h2_session_touched(st->session);
}

void h2_server_respond(struct h2_stream *st, const struct http_head *head, bool has_body)
{
    char text[4];
    struct h2_fields fields;
    const nghttp2_data_provider body = h2_stream_source();
    const bool is_joined = head->status == 101;

    ASSERT(st->session->role->is_server && (head->status >= 200 || is_joined) && !st->is_head_sent);
    put_status(text, is_joined ? 200 : head->status);
    h2_fields_begin(&fields);
    h2_fields_add(&fields, ":status", http_view_of(text));
    h2_fields_add_all(&fields, head);
    if (!is_joined && head->status != 204)
        h2_fields_add_length(&fields, head->content_length);
    st->is_head_sent = true;
    st->is_open = has_body;
    const int rv = nghttp2_submit_response(st->session->ng, st->id, fields.list, fields.count, has_body ? &body : NULL);
    ASSERT(rv == 0);
    h2_session_touched(st->session);
}
