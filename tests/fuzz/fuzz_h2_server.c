/* Clients that send anything behind the preface and their settings. The first byte chooses what the owner does with
 * requests and how the rest is cut. Laws: whatever comes, a stream's events come in order and end with on_close; no
 * head that is passed on breaks a rule of HTTP/1.1; what is unread and unsent stays bounded; a session that is over
 * stays over. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "gateway/http/h2_server.h"
#include "gateway/http/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define MAX_STREAMS 8u
#define WINDOW      65535u

struct tale { /* of one stream */
    struct h2_stream *stream;
    size_t unread_bytes;
    bool has_body;
    bool is_refused;
    bool is_ended;
};

struct owner {
    struct h2_server *server;
    uint8_t mood;
    uint32_t request_count;
    struct tale tales[MAX_STREAMS];
};

static struct tale *tale_of(struct h2_stream *st)
{
    struct tale *t = h2_stream_owner(st);
    ASSERT(t != NULL && t->stream == st);
    return t;
}

static struct tale *begin(struct owner *o, struct h2_stream *st)
{
    size_t i = 0;
    while (i < MAX_STREAMS && o->tales[i].stream != NULL)
        i++;
    ASSERT(i < MAX_STREAMS); /* as many as were announced */
    o->tales[i] = (struct tale){.stream = st};
    h2_stream_set_owner(st, &o->tales[i]);
    return &o->tales[i];
}

static void answer(struct h2_stream *st, uint16_t status, size_t body_bytes)
{
    static const uint8_t zeros[70000];
    struct http_head head;
    http_head_clear(&head);
    head.status = status;
    (void)http_head_add(&head, http_view_of("Content-Type"), http_view_of("text/plain"));
    h2_server_respond(st, &head, body_bytes > 0);
    if (body_bytes > 0) {
        h2_stream_send(st, zeros, body_bytes);
        h2_stream_end(st);
    }
}

static void check_view(struct http_view v)
{
    for (size_t i = 0; i < v.len; i++)
        ASSERT(v.data[i] != '\0' && v.data[i] != '\r' && v.data[i] != '\n');
}

static void check_head(const struct http_head *h)
{
    static const char *const forbidden[] = {"connection", "transfer-encoding", "upgrade", "keep-alive", "host", "te"};
    ASSERT(h->field_count <= HTTP_MAX_FIELDS && h->error_status == 0);
    ASSERT(http_is_token(h->method) && http_is_authority(h->authority));
    ASSERT(h->path.len > 0 && (h->path.data[0] == '/' || http_view_is(h->path, "*")));
    check_view(h->target);
    for (uint32_t i = 0; i < h->field_count; i++) {
        ASSERT(http_is_token(h->fields[i].name));
        check_view(h->fields[i].value);
    }
    for (size_t i = 0; i < sizeof forbidden / sizeof forbidden[0]; i++)
        ASSERT(http_count(h, forbidden[i]) == 0);
    ASSERT(http_count(h, "content-length") <= 1 && http_count(h, "cookie") <= 1);
    (void)target_path_is_safe(h->path);
}

static void on_request(void *arg, struct h2_stream *st, const struct http_head *head, bool has_body)
{
    struct owner *o = arg;
    struct tale *t = begin(o, st);
    check_head(head);
    t->has_body = has_body;
    switch ((o->mood + o->request_count++) % 6) {
    case 0:
        answer(st, 200, 0);
        break;
    case 1:
        answer(st, 200, 70000);
        break;
    case 2:
        h2_server_inform(st, 100);
        break;
    case 3:
        t->stream = NULL;
        h2_stream_reset(&st, H2_CANCEL);
        break;
    case 4: /* when all of it has come */
        break;
    default:
        if ((o->mood & 128) != 0)
            h2_server_destroy(&o->server);
        else
            h2_server_goaway(o->server, (o->mood & 64) != 0);
        break;
    }
}

static void on_refused(void *arg, struct h2_stream *st, const struct http_head *head)
{
    struct tale *t = begin(arg, st);
    ASSERT(head->error_status >= 400 && head->error_reason != NULL);
    t->is_refused = true;
    answer(st, head->error_status, 5);
}

static void on_malformed(void *arg, const char *reason)
{
    (void)arg;
    ASSERT(reason != NULL);
}

static void on_goaway(void *arg, uint32_t code)
{
    (void)arg;
    ASSERT(h2_code_text(code) != NULL);
}

static void on_output(void *arg)
{
    (void)arg;
}

static void on_data(void *arg, struct h2_stream *st, const uint8_t *data, size_t len)
{
    struct owner *o = arg;
    struct tale *t = tale_of(st);
    ASSERT(len > 0 && data != NULL && t->has_body && !t->is_ended && !t->is_refused);
    t->unread_bytes += len;
    ASSERT(t->unread_bytes <= WINDOW);
    if ((o->mood & 32) != 0) {
        h2_stream_consume(st, t->unread_bytes);
        t->unread_bytes = 0;
    }
}

static void on_end(void *arg, struct h2_stream *st)
{
    struct owner *o = arg;
    struct tale *t = tale_of(st);
    ASSERT(t->has_body && !t->is_ended && !t->is_refused);
    t->is_ended = true;
    if ((o->mood & 16) != 0 && h2_stream_queued(st) == 0 && h2_stream_sent_bytes(st) == 0) {
        t->stream = NULL;
        h2_stream_reset(&st, H2_INTERNAL_ERROR);
    }
}

static void on_writable(void *arg, struct h2_stream *st)
{
    (void)arg;
    ASSERT(!h2_stream_is_full(tale_of(st)->stream));
}

static void on_close(void *arg, struct h2_stream *st, uint32_t code, bool is_unprocessed)
{
    (void)arg;
    (void)code;
    ASSERT(!is_unprocessed);
    tale_of(st)->stream = NULL;
}

static const struct h2_server_ops ops = {
    .on_request = on_request,
    .on_refused = on_refused,
    .on_malformed = on_malformed,
    .on_goaway = on_goaway,
    .on_output = on_output,
    .stream = {on_data, on_end, on_writable, on_close},
};

/* Reads what there is to send: whole frames in the end, of types and sizes that may be sent. */
static void drain(struct owner *o)
{
    uint8_t buf[H2_OUTPUT_MIN_BYTES];
    size_t rounds = 0;
    while (o->server != NULL && h2_server_output(o->server, buf, sizeof buf) > 0)
        ASSERT(++rounds < 1000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const uint8_t hello[] = H2_PREFACE "\0\0\0\4\0\0\0\0\0"
                                              "\0\0\0\4\1\0\0\0\0";
    const struct h2_server_limits limits = {.stream_count = MAX_STREAMS,
                                            .header_bytes = 4096,
                                            .target_bytes = 256,
                                            .field_count = 20,
                                            .stream_window_bytes = WINDOW,
                                            .connection_window_bytes = 2 * WINDOW,
                                            .queue_bytes = 8192,
                                            .enable_connect_protocol = true};
    struct owner o = {.mood = 0};
    int64_t now_ms = 0;
    if (len < 1)
        return 0;
    o.mood = data[0];
    const size_t piece = (o.mood & 8) != 0 ? 7 : len;
    o.server = h2_server_create(&limits, &ops, &o, 0);
    drain(&o);
    h2_server_feed(o.server, hello, sizeof hello - 1, 0);
    for (size_t at = 1; at < len && o.server != NULL; at += piece) {
        const size_t have = len - at < piece ? len - at : piece;
        h2_server_feed(o.server, data + at, have, now_ms++);
        drain(&o);
    }
    if (o.server != NULL) {
        const bool is_over = h2_server_is_over(o.server);
        ASSERT(h2_server_failure(o.server) == NULL || is_over);
        h2_server_goaway(o.server, true);
        drain(&o);
        ASSERT(!is_over || h2_server_is_over(o.server));
        h2_server_destroy(&o.server);
    }
    for (size_t i = 0; i < MAX_STREAMS; i++)
        ASSERT(o.tales[i].stream == NULL);
    return 0;
}
