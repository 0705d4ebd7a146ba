/* A client made of bytes, its h2_server, and an owner who writes down what happens and does what the test says. */
#ifndef TESTS_UNIT_GATEWAY_HTTP_H2_PEER_H
#define TESTS_UNIT_GATEWAY_HTTP_H2_PEER_H

#include "gateway/http/h2_server.h"
#include "tests/unit/gateway/http/h2_wire.h"

enum deed { NOTHING = 0, ANSWER, RESET, DESTROY };

/* A client, its server, and what has happened, as text. */
struct peer {
    struct h2_server *server;
    int64_t now_ms;
    struct wire in;
    struct wire out;
    char log[4096];
    size_t log_len;
    struct h2_stream *stream; /* the newest */
    enum deed on_request;
    enum deed on_data;
    enum deed on_end;
    enum deed on_close;
    bool keeps; /* does not consume */
    uint32_t malformed_count;
    size_t received_bytes;
};

static inline void note(struct peer *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline void note(struct peer *p, const char *fmt, ...)
{
    va_list ap;
    const size_t left = sizeof p->log - p->log_len;
    va_start(ap, fmt);
    const int len = vsnprintf(p->log + p->log_len, left, fmt, ap);
    va_end(ap);
    if (len > 0 && (size_t)len < left)
        p->log_len += (size_t)len;
}

#define V(view) (int)(view).len, (view).data != NULL ? (view).data : ""

static inline void answer(struct h2_stream *st, uint16_t status)
{
    struct http_head head;
    http_head_clear(&head);
    head.status = status;
    h2_server_respond(st, &head, false);
}

static inline void act(struct peer *p, struct h2_stream *st, enum deed deed)
{
    if (deed == ANSWER)
        answer(st, 200);
    else if (deed == RESET)
        h2_stream_reset(&st, H2_CANCEL);
    else if (deed == DESTROY)
        h2_server_destroy(&p->server);
}

static inline void on_request(void *arg, struct h2_stream *st, const struct http_head *head, bool has_body)
{
    struct peer *p = arg;
    p->stream = st;
    note(p, "%.*s %.*s%s ", V(head->method), V(head->target), has_body ? "+" : "");
    assert_int_equal(head->major_version, 2);
    assert_true(head->is_persistent);
    assert_non_null(head->authority.data);
    assert_int_equal(http_count(head, "host"), 0);
    act(p, st, p->on_request);
}

static inline void on_refused(void *arg, struct h2_stream *st, const struct http_head *head)
{
    struct peer *p = arg;
    note(p, "refused %u ", head->error_status);
    answer(st, head->error_status);
}

static inline void on_malformed(void *arg, const char *reason)
{
    struct peer *p = arg;
    assert_non_null(reason);
    p->malformed_count++;
}

static inline void on_goaway(void *arg, uint32_t code)
{
    note(arg, "goaway %s ", h2_code_text(code));
}

static inline void on_output(void *arg)
{
    (void)arg;
}

static inline void on_data(void *arg, struct h2_stream *st, const uint8_t *data, size_t len)
{
    struct peer *p = arg;
    (void)data;
    note(p, "data %zu ", len);
    p->received_bytes += len;
    if (!p->keeps)
        h2_stream_consume(st, len);
    act(p, st, p->on_data);
}

static inline void on_end(void *arg, struct h2_stream *st)
{
    struct peer *p = arg;
    note(p, "end ");
    act(p, st, p->on_end);
}

static inline void on_writable(void *arg, struct h2_stream *st)
{
    (void)st;
    note(arg, "writable ");
}

static inline void on_close(void *arg, struct h2_stream *st, uint32_t code, bool is_unprocessed)
{
    struct peer *p = arg;
    assert_false(is_unprocessed);
    note(p, "close %s ", h2_code_text(code));
    if (p->stream == st)
        p->stream = NULL;
    if (p->on_close == DESTROY && p->server != NULL)
        h2_server_destroy(&p->server);
}

static const struct h2_server_ops ops = {
    .on_request = on_request,
    .on_refused = on_refused,
    .on_malformed = on_malformed,
    .on_goaway = on_goaway,
    .on_output = on_output,
    .stream = {.on_data = on_data, .on_end = on_end, .on_writable = on_writable, .on_close = on_close},
};

/* Fetches all there is; the text of it is in p->out afterwards. */
static inline void fetch(struct peer *p)
{
    p->out.len = 0;
    for (size_t len = 1; len > 0 && p->server != NULL;) {
        uint8_t buf[H2_OUTPUT_MIN_BYTES];
        len = h2_server_output(p->server, buf, sizeof buf);
        wire_put(&p->out, buf, len);
    }
}

static inline void feed(struct peer *p)
{
    h2_server_feed(p->server, p->in.data, p->in.len, p->now_ms);
    p->in.len = 0;
}

static inline const char *sent(const struct peer *p)
{
    static char text[20000];
    return wire_text(p->out.data, p->out.len, text, sizeof text);
}

static inline void exchange(struct peer *p)
{
    p->log_len = 0;
    p->log[0] = '\0';
    feed(p);
    if (p->server != NULL)
        fetch(p);
}

/* As far as both sides' settings. */
static inline void start_with(struct peer *p, const struct h2_server_limits *l)
{
    memset(p, 0, offsetof(struct peer, in));
    memset(&p->log, 0, sizeof *p - offsetof(struct peer, log));
    p->in.len = p->out.len = 0;
    p->now_ms = 1000;
    p->server = h2_server_create(l, &ops, p, p->now_ms);
    fetch(p);
    assert_string_equal(sent(p), "SETTINGS");
    wire_put(&p->in, H2_PREFACE, H2_PREFACE_BYTES);
    wire_frame(&p->in, SETTINGS, 0, 0, NULL, 0);
    wire_frame(&p->in, SETTINGS, ACK, 0, NULL, 0);
    exchange(p);
    assert_string_equal(sent(p), "SETTINGS!");
}

static const struct h2_server_limits limits = H2_SERVER_LIMITS_DEFAULT;

static inline void start(struct peer *p)
{
    start_with(p, &limits);
}

static inline void stop(struct peer *p)
{
    if (p->server != NULL)
        h2_server_destroy(&p->server);
}

#endif
