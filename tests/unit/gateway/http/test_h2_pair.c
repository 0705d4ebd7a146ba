/* Both sides of HTTP/2 against each other: what one says is what the other hears, a slow reader slows its writer
 * whatever the direction, and nobody waits for somebody else's download. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "gateway/http/h2_client.h"
#include "gateway/http/h2_server.h"

#define QUEUE_BYTES (16u * 1024u)
#define PIECE_BYTES 3000u

/* One message's content on its way: written in pieces as long as the stream takes them, checked byte by byte. */
struct flow {
    uint64_t total_bytes;
    uint64_t written_bytes;
    uint64_t read_bytes;
    size_t most_queued_bytes;
    bool is_ended;
};

struct call {
    struct h2_stream *asking; /* the client's side */
    struct h2_stream *asked;  /* the server's */
    struct flow up, down;
    uint16_t status;
    char request_head[512];
    char answer_head[512];
    uint32_t close_code;
    bool is_closed;
    bool is_server_slow; /* consumes only when told to */
    bool is_client_slow; /* consumes nothing */
    size_t owed_bytes;
};

#define MAX_CALLS 64u

struct world {
    struct h2_client *client;
    struct h2_server *server;
    struct call calls[MAX_CALLS];
    uint32_t call_count;
    uint32_t seed;
    struct http_head answer;
    bool client_wants_output, server_wants_output;
};

static uint8_t byte_at(uint64_t at)
{
    return (uint8_t)(at * 31 + at / 251);
}

static void write_flow(struct flow *f, struct h2_stream *st, bool may_end)
{
    while (!h2_stream_is_full(st) && f->written_bytes < f->total_bytes) {
        uint8_t piece[PIECE_BYTES];
        const uint64_t left = f->total_bytes - f->written_bytes;
        const size_t len = left < sizeof piece ? (size_t)left : sizeof piece;
        for (size_t i = 0; i < len; i++)
            piece[i] = byte_at(f->written_bytes + i);
        h2_stream_send(st, piece, len);
        f->written_bytes += len;
        if (h2_stream_queued(st) > f->most_queued_bytes)
            f->most_queued_bytes = h2_stream_queued(st);
    }
    if (may_end && f->written_bytes == f->total_bytes && !f->is_ended) {
        f->is_ended = true;
        h2_stream_end(st);
    }
}

/* The answer ends after the request, or it would cut it short. */
static void write_answer(struct call *c)
{
    if (c->down.total_bytes > 0)
        write_flow(&c->down, c->asked, c->up.read_bytes == c->up.total_bytes);
}

static void read_flow(struct flow *f, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        assert_int_equal(data[i], byte_at(f->read_bytes + i));
    f->read_bytes += len;
}

static void print_head(char *out, size_t cap, const struct http_head *h)
{
    size_t len = 0;
    for (uint32_t i = 0; i < h->field_count; i++)
        len += (size_t)snprintf(out + len, cap - len, "%.*s: %.*s|", (int)h->fields[i].name.len, h->fields[i].name.data,
                                (int)h->fields[i].value.len, h->fields[i].value.data);
}

/* ---- the server's owner: the path is the number of the call ---- */

static void on_request(void *arg, struct h2_stream *st, const struct http_head *head, bool has_body)
{
    struct world *w = arg;
    struct call *c = &w->calls[(head->path.data[1] - '0') * 10 + head->path.data[2] - '0'];
    c->asked = st;
    h2_stream_set_owner(st, c);
    print_head(c->request_head, sizeof c->request_head, head);
    assert_true(http_view_is(head->authority, "a:1"));
    assert_true(http_view_is(head->query, "q"));
    assert_true(has_body == (c->up.total_bytes > 0));
    h2_server_respond(st, &w->answer, c->down.total_bytes > 0);
    write_answer(c);
}

static void on_refused(void *arg, struct h2_stream *st, const struct http_head *head)
{
    (void)arg;
    (void)st;
    fail_msg("refused: %s", head->error_reason);
}

static void on_server_goaway(void *arg, uint32_t code)
{
    (void)arg;
    assert_int_equal(code, H2_NO_ERROR);
}

static void on_server_output(void *arg)
{
    struct world *w = arg;
    assert_false(w->server_wants_output);
    w->server_wants_output = true;
}

static void on_server_data(void *arg, struct h2_stream *st, const uint8_t *data, size_t len)
{
    struct call *c = h2_stream_owner(st);
    (void)arg;
    read_flow(&c->up, data, len);
    if (c->is_server_slow)
        c->owed_bytes += len;
    else
        h2_stream_consume(st, len);
}

static void on_server_end(void *arg, struct h2_stream *st)
{
    struct call *c = h2_stream_owner(st);
    (void)arg;
    assert_int_equal(c->up.read_bytes, c->up.total_bytes);
    write_answer(c);
}

static void on_server_writable(void *arg, struct h2_stream *st)
{
    (void)arg;
    write_answer(h2_stream_owner(st));
}

static void on_server_close(void *arg, struct h2_stream *st, uint32_t code, bool is_unprocessed)
{
    struct call *c = h2_stream_owner(st);
    (void)arg;
    (void)code;
    assert_false(is_unprocessed);
    c->asked = NULL;
}

static const struct h2_server_ops server_ops = {
    .on_request = on_request,
    .on_refused = on_refused,
    .on_goaway = on_server_goaway,
    .on_output = on_server_output,
    .stream = {on_server_data, on_server_end, on_server_writable, on_server_close},
};

/* ---- the client's owner ---- */

static void on_response(void *arg, struct h2_stream *st, const struct http_head *head, bool has_body)
{
    struct call *c = h2_stream_owner(st);
    (void)arg;
    c->status = head->status;
    print_head(c->answer_head, sizeof c->answer_head, head);
    assert_true(has_body == (c->down.total_bytes > 0));
}

static void on_settings(void *arg)
{
    (void)arg;
}

static void on_client_goaway(void *arg, uint32_t code)
{
    (void)arg;
    assert_int_equal(code, H2_NO_ERROR);
}

static void on_client_output(void *arg)
{
    struct world *w = arg;
    assert_false(w->client_wants_output);
    w->client_wants_output = true;
}

static void on_client_data(void *arg, struct h2_stream *st, const uint8_t *data, size_t len)
{
    struct call *c = h2_stream_owner(st);
    (void)arg;
    read_flow(&c->down, data, len);
    if (!c->is_client_slow)
        h2_stream_consume(st, len);
}

static void on_client_end(void *arg, struct h2_stream *st)
{
    struct call *c = h2_stream_owner(st);
    (void)arg;
    assert_int_equal(c->down.read_bytes, c->down.total_bytes);
}

static void on_client_writable(void *arg, struct h2_stream *st)
{
    struct call *c = h2_stream_owner(st);
    (void)arg;
    write_flow(&c->up, st, true);
}

static void on_client_close(void *arg, struct h2_stream *st, uint32_t code, bool is_unprocessed)
{
    struct call *c = h2_stream_owner(st);
    (void)arg;
    (void)is_unprocessed;
    c->asking = NULL;
    c->is_closed = true;
    c->close_code = code;
}

static const struct h2_client_ops client_ops = {
    .on_response = on_response,
    .on_settings = on_settings,
    .on_goaway = on_client_goaway,
    .on_output = on_client_output,
    .stream = {on_client_data, on_client_end, on_client_writable, on_client_close},
};

/* ---- the world ---- */

static uint32_t random_next(struct world *w)
{
    w->seed = w->seed * 1664525u + 1013904223u;
    return w->seed >> 8;
}

/* Carries at most one buffer each way, in pieces of any size; false when nothing moves. Nothing may be there to send
 * without on_output having said so. */
static bool carry(struct world *w)
{
    uint8_t buf[H2_OUTPUT_MIN_BYTES + 5000];
    size_t len = h2_client_output(w->client, buf, H2_OUTPUT_MIN_BYTES + random_next(w) % 5000);
    bool moved = len > 0;
    assert_true(len == 0 || w->client_wants_output);
    w->client_wants_output = len > 0;
    for (size_t at = 0; at < len;) {
        const size_t piece = random_next(w) % 3000 + 1;
        const size_t have = len - at < piece ? len - at : piece;
        h2_server_feed(w->server, buf + at, have, 0);
        at += have;
    }
    len = h2_server_output(w->server, buf, H2_OUTPUT_MIN_BYTES + random_next(w) % 5000);
    moved |= len > 0;
    assert_true(len == 0 || w->server_wants_output);
    w->server_wants_output = len > 0;
    h2_client_feed(w->client, buf, len, 0);
    return moved;
}

static void settle(struct world *w)
{
    while (carry(w))
        continue;
    assert_null(h2_server_failure(w->server));
    assert_null(h2_client_failure(w->client));
}

static void start_with(struct world *w, struct h2_server_limits sl, struct h2_client_limits cl)
{
    *w = (struct world){.seed = 1, .client_wants_output = true, .server_wants_output = true};
    http_head_clear(&w->answer);
    w->answer.status = 200;
    sl.queue_bytes = cl.queue_bytes = QUEUE_BYTES;
    w->client = h2_client_create(&cl, &client_ops, w, 0);
    w->server = h2_server_create(&sl, &server_ops, w, 0);
    settle(w);
}

static void start(struct world *w)
{
    struct h2_server_limits sl = H2_SERVER_LIMITS_DEFAULT;
    struct h2_client_limits cl = H2_CLIENT_LIMITS_DEFAULT;
    sl.stream_window_bytes = cl.stream_window_bytes = 65536;
    start_with(w, sl, cl);
}

static void stop(struct world *w)
{
    h2_client_destroy(&w->client);
    h2_server_destroy(&w->server);
}

static struct call *call(struct world *w, uint64_t up_bytes, uint64_t down_bytes, const struct http_field *fields,
                         size_t field_count)
{
    struct call *c = &w->calls[w->call_count];
    struct http_head h;
    char path[8];

    assert_true(w->call_count < MAX_CALLS);
    (void)snprintf(path, sizeof path, "/%02u", w->call_count++);
    http_head_clear(&h);
    h.method = http_view_of(up_bytes > 0 ? "POST" : "GET");
    h.path = http_view_of(path);
    h.query = http_view_of("q");
    h.authority = http_view_of("a:1");
    for (size_t i = 0; i < field_count; i++)
        http_head_add(&h, fields[i].name, fields[i].value);
    c->up.total_bytes = up_bytes;
    c->down.total_bytes = down_bytes;
    c->asking = h2_client_request(w->client, &h, "https", up_bytes > 0, c);
    assert_non_null(c->asking);
    if (up_bytes > 0)
        write_flow(&c->up, c->asking, true);
    return c;
}

/* ---- tests ---- */

static void test_fields(void **state)
{
    const struct http_field fields[] = {
        {http_view_of("Accept"), http_view_of("*/*")},
        {http_view_of("Host"), http_view_of("other")},
        {http_view_of("Connection"), http_view_of("keep-alive")},
        {http_view_of("Keep-Alive"), http_view_of("timeout=5")},
        {http_view_of("Transfer-Encoding"), http_view_of("chunked")},
        {http_view_of("TE"), http_view_of("trailers")},
        {http_view_of("Upgrade"), http_view_of("h2c")},
        {http_view_of("HTTP2-Settings"), http_view_of("AAMAAABkAAQAAP__")},
        {http_view_of("Cookie"), http_view_of("a=1; b=2")},
        {http_view_of("X-Bad"), http_view_of("a\r\nb")},
        {http_view_of("Bad Name"), http_view_of("x")},
        {http_view_of("Authorization"), http_view_of("Bearer x")},
        {http_view_of("X-Empty"), http_view_of("")},
    };
    struct world w;
    (void)state;
    start(&w);
    http_head_add(&w.answer, http_view_of("Server"), http_view_of("x"));
    http_head_add(&w.answer, http_view_of("Connection"), http_view_of("close"));
    http_head_add(&w.answer, http_view_of("Set-Cookie"), http_view_of("a"));
    http_head_add(&w.answer, http_view_of("Set-Cookie"), http_view_of("b"));
    struct call *c = call(&w, 0, 0, fields, sizeof fields / sizeof fields[0]);
    settle(&w);
    assert_int_equal(c->status, 200);
    assert_string_equal(c->request_head, "accept: */*|cookie: a=1; b=2|authorization: Bearer x|x-empty: |");
    assert_string_equal(c->answer_head, "server: x|set-cookie: a|set-cookie: b|");
    stop(&w);
}

static void test_bodies_both_ways(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    struct call *c = call(&w, 1000000, 2000000, NULL, 0);
    settle(&w);
    assert_true(c->is_closed);
    assert_int_equal(c->close_code, H2_NO_ERROR);
    assert_int_equal(c->down.read_bytes, 2000000);
    assert_int_equal(c->up.read_bytes, 1000000);
    assert_true(c->up.most_queued_bytes <= QUEUE_BYTES + PIECE_BYTES);
    assert_true(c->down.most_queued_bytes <= QUEUE_BYTES + PIECE_BYTES);
    assert_int_equal(h2_client_stream_count(w.client), 0);
    assert_int_equal(h2_server_stream_count(w.server), 0);
    stop(&w);
}

/* The reader takes nothing: the writer stands still after a window and a queue. */
static void test_slow_reader(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    w.calls[0].is_server_slow = true;
    struct call *c = call(&w, 300000, 1, NULL, 0);
    settle(&w);
    assert_int_equal(c->up.read_bytes, 65536);
    assert_true(c->up.written_bytes <= 65536 + QUEUE_BYTES + PIECE_BYTES);
    while (c->asked != NULL) {
        const size_t owed_bytes = c->owed_bytes;
        c->owed_bytes = 0;
        h2_stream_consume(c->asked, owed_bytes);
        settle(&w);
    }
    assert_int_equal(c->up.read_bytes, 300000);
    assert_true(c->is_closed);
    stop(&w);
}

/* The streams of one connection to a server belong to clients who know nothing of each other. However many of them do
 * not read, the next one gets its answer. */
static void test_slow_readers_hold_up_nobody(void **state)
{
    struct world w;
    (void)state;
    start_with(&w, (struct h2_server_limits)H2_SERVER_LIMITS_DEFAULT,
               (struct h2_client_limits)H2_CLIENT_LIMITS_DEFAULT);
    for (uint32_t i = 0; i + 1 < MAX_CALLS; i++) {
        w.calls[i].is_client_slow = true;
        (void)call(&w, 0, 1000000, NULL, 0);
    }
    settle(&w);
    struct call *c = call(&w, 0, 300000, NULL, 0);
    settle(&w);
    assert_true(c->is_closed);
    stop(&w);
}

/* A download that always has more to say does not hold up a small answer behind it. */
static void test_streams_take_turns(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    struct call *large = call(&w, 0, 50000000, NULL, 0);
    for (int i = 0; i < 20; i++)
        carry(&w);
    struct call *small = call(&w, 0, 20000, NULL, 0);
    for (int i = 0; i < 40 && !small->is_closed; i++)
        carry(&w);
    assert_true(small->is_closed);
    assert_false(large->is_closed);
    assert_true(large->down.read_bytes < 2000000);
    stop(&w);
}

static void test_many_at_once(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    for (uint32_t i = 0; i < MAX_CALLS; i++) {
        call(&w, random_next(&w) % 3 * (random_next(&w) % 100000), 1 + random_next(&w) % 100000, NULL, 0);
        for (uint32_t n = random_next(&w) % 4; n > 0; n--)
            carry(&w);
    }
    settle(&w);
    for (uint32_t i = 0; i < MAX_CALLS; i++) {
        assert_true(w.calls[i].is_closed);
        assert_int_equal(w.calls[i].status, 200);
        assert_int_equal(w.calls[i].close_code, H2_NO_ERROR);
    }
    stop(&w);
}

static void test_goodbyes(void **state)
{
    struct world w;
    (void)state;
    start(&w);
    struct call *c = call(&w, 0, 500000, NULL, 0);
    carry(&w);
    h2_server_goaway(w.server, false);
    while (h2_client_can_request(w.client))
        assert_true(carry(&w));
    h2_server_goaway(w.server, true);
    settle(&w);
    assert_int_equal(c->down.read_bytes, 500000);
    assert_true(h2_server_is_over(w.server));
    assert_true(h2_client_is_over(w.client));
    stop(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_bodies_both_ways),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_slow_readers_hold_up_nobody),
        cmocka_unit_test(test_streams_take_turns),
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_goodbyes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
