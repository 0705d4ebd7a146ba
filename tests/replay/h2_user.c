/* The user runs its session against the rig, with the clock standing still. */
#include "tests/replay/h2_user.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"

static void on_response(void *arg, struct h2_stream *st, const struct http_head *head, bool has_body)
{
    struct h2_call *c = h2_stream_owner(st);
    size_t len = 0;
    (void)arg;
    c->status = head->status;
    c->is_ended = !has_body;
    for (uint32_t i = 0; i < head->field_count; i++) {
        const struct http_field *f = &head->fields[i];
        len += (size_t)snprintf(c->fields + len, sizeof c->fields - len, "%.*s: %.*s\n", (int)f->name.len, f->name.data,
                                (int)f->value.len, f->value.data);
        assert_true(len < sizeof c->fields);
    }
}

static void on_informational(void *arg, struct h2_stream *st, const struct http_head *head)
{
    (void)arg;
    ((struct h2_call *)h2_stream_owner(st))->interim = head->status;
}

static void on_settings(void *arg)
{
    (void)arg;
}

static void on_goaway(void *arg, uint32_t code)
{
    struct h2_user *u = arg;
    (void)code;
    u->is_goodbye = true;
}

static void on_output(void *arg)
{
    (void)arg;
}

static void on_data(void *arg, struct h2_stream *st, const uint8_t *data, size_t len)
{
    struct h2_call *c = h2_stream_owner(st);
    (void)arg;
    size_t room = c->body_bytes < sizeof c->body - 1 ? sizeof c->body - 1 - c->body_bytes : 0;
    memcpy(c->body + c->body_bytes, data, len < room ? len : room);
    c->body_bytes += len;
    if (!c->keeps)
        h2_stream_consume(st, len);
}

static void on_end(void *arg, struct h2_stream *st)
{
    (void)arg;
    ((struct h2_call *)h2_stream_owner(st))->is_ended = true;
}

static void on_writable(void *arg, struct h2_stream *st)
{
    (void)arg;
    (void)st;
}

static void on_close(void *arg, struct h2_stream *st, uint32_t code, bool is_unprocessed)
{
    struct h2_call *c = h2_stream_owner(st);
    (void)arg;
    (void)is_unprocessed;
    c->stream = NULL;
    c->is_closed = true;
    c->code = code;
}

static const struct h2_client_ops ops = {
    .on_response = on_response,
    .on_informational = on_informational,
    .on_settings = on_settings,
    .on_goaway = on_goaway,
    .on_output = on_output,
    .stream = {.on_data = on_data, .on_end = on_end, .on_writable = on_writable, .on_close = on_close},
};

/* Sends what the session has, as far as the socket takes it; true when something moved. */
static bool send_output(struct h2_user *u)
{
    static uint8_t out[65536];
    size_t len = h2_client_output(u->session, out, sizeof out);
    size_t at = 0;
    while (at < len && !u->is_gone) {
        ssize_t n = send(u->fd, out + at, len - at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0)
            at += (size_t)n;
        sim_settle(u->rig->loop);
    }
    return len > 0;
}

static bool take_input(struct h2_user *u)
{
    static char in[65536];
    int n = u->is_gone ? 0 : rig_read(u->rig, u->fd, in, sizeof in);
    if (n == 0 || n == -2)
        u->is_gone = true;
    if (n > 0)
        h2_client_feed(u->session, (const uint8_t *)in, (size_t)n, loop_now_ms(u->rig->loop));
    return n > 0;
}

void h2_user_run(struct h2_user *u)
{
    bool has_moved = true;
    while (has_moved) {
        has_moved = !u->is_gone && send_output(u);
        has_moved = take_input(u) || has_moved;
    }
}

void h2_user_pass(struct h2_user *u, int64_t time_ms)
{
    h2_user_run(u);
    rig_advance(u->rig, time_ms);
    h2_user_run(u);
}

void h2_user_open(struct h2_user *u, struct rig *r)
{
    const struct h2_client_limits limits = H2_CLIENT_LIMITS_DEFAULT;
    *u = (struct h2_user){.rig = r, .fd = rig_client(r, "")};
    u->session = h2_client_create(&limits, &ops, u, loop_now_ms(r->loop));
    h2_user_run(u);
    assert_true(h2_client_has_settings(u->session));
}

void h2_user_close(struct h2_user *u)
{
    h2_client_destroy(&u->session);
    close(u->fd);
    sim_settle(u->rig->loop);
}

static void add_fields(struct http_head *h, const char *fields)
{
    while (fields != NULL && *fields != '\0') {
        const char *colon = strchr(fields, ':');
        const char *end = strstr(fields, "\r\n");
        assert_true(http_head_add(h, (struct http_view){fields, (size_t)(colon - fields)},
                                  (struct http_view){colon + 2, (size_t)(end - colon - 2)}));
        fields = end + 2;
    }
}

static void begin(struct h2_call *c, struct h2_user *u, struct http_head *h, bool has_body)
{
    *c = (struct h2_call){.user = u, .has_body = has_body};
    h->authority = http_view_of("app.example.com");
    c->stream = h2_client_request(u->session, h, "http", has_body, c);
    assert_non_null(c->stream);
}

void h2_call_begin(struct h2_call *c, struct h2_user *u, const char *method, const char *path, const char *fields,
                   bool has_body)
{
    struct http_head h;
    http_head_clear(&h);
    h.method = http_view_of(method);
    h.path = http_view_of(path);
    add_fields(&h, fields);
    assert_null(http_head_set_length(&h));
    begin(c, u, &h, has_body);
}

void h2_call_websocket(struct h2_call *c, struct h2_user *u, const char *path)
{
    struct http_head h;
    assert_true(h2_client_serves_connect(u->session));
    http_head_clear(&h);
    h.method = http_view_of("CONNECT");
    h.protocol = http_view_of("websocket");
    h.path = http_view_of(path);
    add_fields(&h, "sec-websocket-version: 13\r\n");
    begin(c, u, &h, true);
}
