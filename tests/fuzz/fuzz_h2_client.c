/* Servers that answer anything. The first byte chooses what is asked and how the rest is cut. Laws: the events of a
 * stream come in order and end with on_close; no head that is passed on breaks a rule of HTTP/1.1; what nobody reads
 * stays bounded; a request that was answered is never called unprocessed. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "gateway/http/h2_client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define MAX_STREAMS 6u
#define WINDOW      65535u

struct tale {
    struct h2_stream *stream;
    size_t unread_bytes;
    bool is_answered;
    bool has_body;
    bool is_ended;
    bool is_closed;
};

struct owner {
    struct h2_client *client;
    uint8_t mood;
    struct tale tales[MAX_STREAMS];
};

static struct tale *tale_of(struct h2_stream *st)
{
    struct tale *t = h2_stream_owner(st);
    ASSERT(t != NULL && t->stream == st && !t->is_closed);
    return t;
}

static void check_head(const struct http_head *h)
{
    ASSERT(h->field_count <= HTTP_MAX_FIELDS && h->status >= 100 && h->status <= 599 && h->status != 101);
    ASSERT(http_count(h, "connection") == 0 && http_count(h, "transfer-encoding") == 0);
    ASSERT(http_count(h, "content-length") <= 1);
    for (uint32_t i = 0; i < h->field_count; i++) {
        const struct http_view v = h->fields[i].value;
        ASSERT(http_is_token(h->fields[i].name));
        for (size_t at = 0; at < v.len; at++)
            ASSERT(v.data[at] != '\0' && v.data[at] != '\r' && v.data[at] != '\n');
    }
}

static void on_response(void *arg, struct h2_stream *st, const struct http_head *head, bool has_body)
{
    struct owner *o = arg;
    struct tale *t = tale_of(st);
    ASSERT(!t->is_answered && head->status >= 200);
    check_head(head);
    t->is_answered = true;
    t->has_body = has_body;
    if ((o->mood & 16) != 0 && head->status == 404) {
        t->is_closed = true;
        t->stream = NULL;
        h2_stream_reset(&st, H2_CANCEL);
    }
    if ((o->mood & 32) != 0 && head->status == 500)
        h2_client_destroy(&o->client);
}

static void on_informational(void *arg, struct h2_stream *st, const struct http_head *head)
{
    (void)arg;
    ASSERT(!tale_of(st)->is_answered && head->status < 200);
    check_head(head);
}

static void on_settings(void *arg)
{
    struct owner *o = arg;
    ASSERT(h2_client_has_settings(o->client));
    ASSERT(h2_client_max_streams(o->client) <= MAX_STREAMS);
}

static void on_goaway(void *arg, uint32_t code)
{
    struct owner *o = arg;
    (void)code;
    ASSERT(!h2_client_can_request(o->client));
}

static void on_pong(void *arg)
{
    (void)arg;
}

static void on_output(void *arg)
{
    (void)arg;
}

static void on_data(void *arg, struct h2_stream *st, const uint8_t *data, size_t len)
{
    struct owner *o = arg;
    struct tale *t = tale_of(st);
    ASSERT(len > 0 && data != NULL && t->is_answered && t->has_body && !t->is_ended);
    t->unread_bytes += len;
    ASSERT(t->unread_bytes <= WINDOW);
    if ((o->mood & 64) != 0) {
        h2_stream_consume(st, t->unread_bytes);
        t->unread_bytes = 0;
    }
}

static void on_end(void *arg, struct h2_stream *st)
{
    struct tale *t = tale_of(st);
    (void)arg;
    ASSERT(t->is_answered && t->has_body && !t->is_ended);
    t->is_ended = true;
}

static void on_writable(void *arg, struct h2_stream *st)
{
    (void)arg;
    (void)tale_of(st);
    h2_stream_send(st, "more", 4);
}

static void on_close(void *arg, struct h2_stream *st, uint32_t code, bool is_unprocessed)
{
    struct tale *t = tale_of(st);
    (void)arg;
    ASSERT(!is_unprocessed || !t->is_answered);
    ASSERT(code != H2_NO_ERROR || t->is_ended || (t->is_answered && !t->has_body));
    t->is_closed = true;
    t->stream = NULL;
}

static const struct h2_client_ops ops = {
    .on_response = on_response,
    .on_informational = on_informational,
    .on_settings = on_settings,
    .on_goaway = on_goaway,
    .on_pong = on_pong,
    .on_output = on_output,
    .stream = {on_data, on_end, on_writable, on_close},
};

static void drain(struct owner *o)
{
    uint8_t buf[H2_OUTPUT_MIN_BYTES];
    size_t rounds = 0;
    while (o->client != NULL && h2_client_output(o->client, buf, sizeof buf) > 0)
        ASSERT(++rounds < 10000);
}

static void ask(struct owner *o)
{
    static const char *const methods[MAX_STREAMS] = {"GET", "POST", "HEAD", "CONNECT", "GET", "PUT"};
    static const uint8_t zeros[9000];
    for (size_t i = 0; i < MAX_STREAMS; i++) {
        struct http_head h;
        const bool has_body = methods[i][0] == 'P' || methods[i][0] == 'C';
        http_head_clear(&h);
        h.method = http_view_of(methods[i]);
        h.path = http_view_of("/");
        h.authority = http_view_of("a");
        if (methods[i][0] == 'C')
            h.protocol = http_view_of("websocket");
        o->tales[i] = (struct tale){.is_closed = true};
        struct h2_stream *st = h2_client_request(o->client, &h, "https", has_body, &o->tales[i]);
        if (st == NULL)
            continue;
        o->tales[i] = (struct tale){.stream = st};
        if (has_body)
            h2_stream_send(st, zeros, sizeof zeros);
        if (has_body && (o->mood & 1) != 0)
            h2_stream_send(st, zeros, sizeof zeros);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    /* SETTINGS_ENABLE_CONNECT_PROTOCOL, and the client's own acknowledged */
    static const uint8_t hello[] = "\0\0\6\4\0\0\0\0\0\0\10\0\0\0\1"
                                   "\0\0\0\4\1\0\0\0\0";
    const struct h2_client_limits limits = {.stream_count = MAX_STREAMS,
                                            .header_bytes = 4096,
                                            .field_count = 20,
                                            .stream_window_bytes = WINDOW,
                                            .connection_window_bytes = 2 * WINDOW,
                                            .queue_bytes = 8192};
    struct owner o = {.mood = 0};
    int64_t now_ms = 0;
    if (len < 1)
        return 0;
    o.mood = data[0];
    const size_t piece = (o.mood & 8) != 0 ? 7 : len;
    o.client = h2_client_create(&limits, &ops, &o, 0);
    if ((o.mood & 2) != 0)
        h2_client_feed(o.client, hello, sizeof hello - 1, 0);
    if (o.client != NULL)
        ask(&o);
    if ((o.mood & 4) != 0)
        h2_client_ping(o.client);
    drain(&o);
    for (size_t at = 1; at < len && o.client != NULL; at += piece) {
        const size_t have = len - at < piece ? len - at : piece;
        h2_client_feed(o.client, data + at, have, now_ms++);
        drain(&o);
    }
    if (o.client != NULL) {
        ASSERT(h2_client_failure(o.client) == NULL || h2_client_is_over(o.client));
        h2_client_destroy(&o.client);
    }
    for (size_t i = 0; i < MAX_STREAMS; i++)
        ASSERT(o.tales[i].is_closed);
    return 0;
}
