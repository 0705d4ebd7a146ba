/* An h2_client, a server made of bytes, and an owner who writes down what happens. */
#ifndef TESTS_UNIT_GATEWAY_HTTP_H2_ORIGIN_H
#define TESTS_UNIT_GATEWAY_HTTP_H2_ORIGIN_H

#include "gateway/http/h2_client.h"
#include "gateway/http/h2_server.h"
#include "tests/unit/gateway/http/h2_wire.h"

/* A client and the server it talks to, which is bytes; and what has happened, as text. */
struct pair {
    struct h2_client *client;
    int64_t now_ms;
    struct wire in;
    struct wire out;
    char log[4096];
    size_t log_len;
    bool destroys; /* in the next callback */
};

static inline void note(struct pair *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline void note(struct pair *p, const char *fmt, ...)
{
    va_list ap;
    const size_t left = sizeof p->log - p->log_len;
    va_start(ap, fmt);
    const int len = vsnprintf(p->log + p->log_len, left, fmt, ap);
    va_end(ap);
    if (len > 0 && (size_t)len < left)
        p->log_len += (size_t)len;
    if (p->destroys && p->client != NULL)
        h2_client_destroy(&p->client);
}

static inline void on_response(void *arg, struct h2_stream *st, const struct http_head *head, bool has_body)
{
    (void)st;
    assert_int_equal(head->major_version, 2);
    note(arg, "%u%s ", head->status, has_body ? "+" : "");
}

static inline void on_informational(void *arg, struct h2_stream *st, const struct http_head *head)
{
    (void)st;
    note(arg, "interim %u ", head->status);
}

static inline void on_settings(void *arg)
{
    note(arg, "settings ");
}

static inline void on_goaway(void *arg, uint32_t code)
{
    note(arg, "goaway %s ", h2_code_text(code));
}

static inline void on_pong(void *arg)
{
    note(arg, "pong ");
}

static inline void on_output(void *arg)
{
    (void)arg;
}

static inline void on_data(void *arg, struct h2_stream *st, const uint8_t *data, size_t len)
{
    (void)data;
    h2_stream_consume(st, len);
    note(arg, "data %zu ", len);
}

static inline void on_end(void *arg, struct h2_stream *st)
{
    (void)st;
    note(arg, "end ");
}

static inline void on_writable(void *arg, struct h2_stream *st)
{
    (void)st;
    note(arg, "writable ");
}

static inline void on_close(void *arg, struct h2_stream *st, uint32_t code, bool is_unprocessed)
{
    (void)st;
    note(arg, "close %s%s ", h2_code_text(code), is_unprocessed ? "!" : "");
}

static const struct h2_client_ops ops = {
    .on_response = on_response,
    .on_informational = on_informational,
    .on_settings = on_settings,
    .on_goaway = on_goaway,
    .on_pong = on_pong,
    .on_output = on_output,
    .stream = {.on_data = on_data, .on_end = on_end, .on_writable = on_writable, .on_close = on_close},
};

static inline void fetch(struct pair *p)
{
    p->out.len = 0;
    for (size_t len = 1; len > 0 && p->client != NULL;) {
        uint8_t buf[H2_OUTPUT_MIN_BYTES];
        len = h2_client_output(p->client, buf, sizeof buf);
        wire_put(&p->out, buf, len);
    }
}

static inline const char *sent(const struct pair *p)
{
    static char text[20000];
    return wire_text(p->out.data, p->out.len, text, sizeof text);
}

static inline void exchange(struct pair *p)
{
    p->log_len = 0;
    p->log[0] = '\0';
    h2_client_feed(p->client, p->in.data, p->in.len, p->now_ms);
    p->in.len = 0;
    fetch(p);
}

static inline void create(struct pair *p)
{
    static const struct h2_client_limits limits = H2_CLIENT_LIMITS_DEFAULT;
    memset(p, 0, offsetof(struct pair, in));
    memset(&p->log, 0, sizeof *p - offsetof(struct pair, log));
    p->in.len = p->out.len = 0;
    p->now_ms = 1000;
    p->client = h2_client_create(&limits, &ops, p, p->now_ms);
}

static inline void start(struct pair *p)
{
    create(p);
    fetch(p);
    assert_memory_equal(p->out.data, H2_PREFACE, H2_PREFACE_BYTES);
    p->out.len -= H2_PREFACE_BYTES;
    memmove(p->out.data, p->out.data + H2_PREFACE_BYTES, p->out.len);
    assert_string_equal(sent(p), "SETTINGS");
    wire_frame(&p->in, SETTINGS, 0, 0, NULL, 0);
    wire_frame(&p->in, SETTINGS, ACK, 0, NULL, 0);
    exchange(p);
    assert_string_equal(p->log, "settings ");
}

static inline void stop(struct pair *p)
{
    if (p->client != NULL)
        h2_client_destroy(&p->client);
}

static inline void head_of(struct http_head *h, const char *method)
{
    http_head_clear(h);
    h->method = http_view_of(method);
    h->path = http_view_of("/");
    h->authority = http_view_of("a");
}

static inline struct h2_stream *request(struct pair *p, const char *method, bool has_body)
{
    struct http_head h;
    head_of(&h, method);
    return h2_client_request(p->client, &h, "https", has_body, p);
}

static inline struct h2_stream *get(struct pair *p)
{
    return request(p, "GET", false);
}

#endif
