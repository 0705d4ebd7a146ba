/* Connections of HTTP/2 clients: windows, answers, goodbyes, what breaks a connection, and that whatever the owner does
 * in a callback is survived. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/http/h2_watch.h"
#include "tests/unit/gateway/http/h2_peer.h"

/* ---- streams ---- */

static void test_tunnel(void **state)
{
    struct h2_server_limits l = limits;
    struct http_head head;
    struct peer p;
    (void)state;

    l.enable_connect_protocol = true;
    start_with(&p, &l);
    wire_headers(&p.in, 1, 0, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":path", "/chat",
                 ":authority", "a", NULL);
    exchange(&p);
    assert_string_equal(p.log, "CONNECT /chat+ ");

    http_head_clear(&head);
    head.status = 200;
    h2_server_respond(p.stream, &head, true);
    h2_stream_send(p.stream, "hello", 5);
    fetch(&p);
    assert_string_equal(sent(&p), "HEADERS:1 DATA:1(5)");

    /* One direction ends; the other does not notice. */
    h2_stream_end(p.stream);
    fetch(&p);
    assert_string_equal(sent(&p), "DATA:1(0)$");
    wire_frame(&p.in, DATA, 0, 1, "bye", 3);
    wire_frame(&p.in, DATA, END_STREAM, 1, NULL, 0);
    exchange(&p);
    assert_string_equal(p.log, "data 3 end close NO_ERROR ");
    assert_string_equal(sent(&p), "");
    stop(&p);
}

static void send_too_much(struct wire *w)
{
    static const uint8_t zeros[16384];
    WIRE_GET(w, 1, 0, NULL);
    for (int i = 0; i < 17; i++)
        wire_frame(w, DATA, 0, 1, zeros, sizeof zeros);
}

/* The window of a stream is what its reader has not read; beyond it nothing is taken. */
static void test_window(void **state)
{
    static const uint8_t zeros[16384];
    struct peer p;
    (void)state;
    start(&p);
    p.keeps = true;
    send_too_much(&p.in);
    exchange(&p);
    assert_string_equal(sent(&p), "RST_STREAM:1=FLOW_CONTROL_ERROR");
    assert_int_equal(p.received_bytes, 16 * sizeof zeros);

    /* What nobody had read when the stream ended is back: the connection's window is whole, and one stream's worth fits
     * four times. */
    assert_int_equal(h2_server_stream_count(p.server), 0);
    p.keeps = false;
    for (uint32_t id = 3; id < 11; id += 2) {
        WIRE_GET(&p.in, id, 0, NULL);
        for (int i = 0; i < 16; i++)
            wire_frame(&p.in, DATA, i == 15 ? END_STREAM : 0, id, zeros, sizeof zeros);
        exchange(&p);
        assert_non_null(strstr(p.log, "end "));
    }
    assert_null(h2_server_failure(p.server));

    p.keeps = true;
    WIRE_GET(&p.in, 11, 0, NULL);
    wire_frame(&p.in, DATA, 0, 11, zeros, sizeof zeros);
    exchange(&p);
    assert_int_equal(h2_stream_received_bytes(p.stream), sizeof zeros);
    h2_stream_consume(p.stream, sizeof zeros);
    stop(&p);
}

/* An answer that does not wait for the request ends both; what still comes is read over. */
static void test_early_answer(void **state)
{
    struct peer p;
    (void)state;
    start(&p);
    p.on_request = ANSWER;
    WIRE_GET(&p.in, 1, 0, NULL);
    exchange(&p);
    assert_string_equal(p.log, "GET /+ close NO_ERROR ");
    assert_string_equal(sent(&p), "HEADERS:1$ RST_STREAM:1=NO_ERROR");
    wire_frame(&p.in, DATA, END_STREAM, 1, "late", 4);
    WIRE_GET(&p.in, 3, END_STREAM, NULL);
    exchange(&p);
    assert_string_equal(p.log, "GET / close NO_ERROR ");
    stop(&p);
}

static void test_answer_with_body(void **state)
{
    static char bytes[300000];
    struct http_head head;
    struct peer p;
    uint8_t buf[H2_OUTPUT_MIN_BYTES];
    (void)state;

    start(&p);
    WIRE_GET(&p.in, 1, END_STREAM, NULL);
    exchange(&p);
    h2_server_inform(p.stream, 100);
    http_head_clear(&head);
    head.status = 200;
    http_head_add(&head, http_view_of("Content-Type"), http_view_of("text/plain"));
    http_head_add(&head, http_view_of("Connection"), http_view_of("close"));
    h2_server_respond(p.stream, &head, true);
    assert_false(h2_stream_is_full(p.stream));
    h2_stream_send(p.stream, bytes, sizeof bytes);
    assert_true(h2_stream_is_full(p.stream));
    h2_stream_end(p.stream);

    /* The client's windows are 65535: so much leaves, in frames that fill the buffer, and then it waits. */
    size_t len = h2_server_output(p.server, buf, sizeof buf);
    assert_int_equal(len, sizeof buf);
    fetch(&p);
    assert_int_equal(h2_stream_sent_bytes(p.stream), 65535);
    assert_int_equal(h2_stream_queued(p.stream), sizeof bytes - 65535);
    assert_true(h2_stream_is_full(p.stream));

    wire_frame_u32(&p.in, WINDOW_UPDATE, 0, 1000000);
    wire_frame_u32(&p.in, WINDOW_UPDATE, 1, 200000);
    exchange(&p);
    assert_true(h2_stream_is_full(p.stream));
    wire_frame_u32(&p.in, WINDOW_UPDATE, 1, 10000);
    exchange(&p);
    assert_string_equal(p.log, "writable ");
    assert_false(h2_stream_is_full(p.stream));
    wire_frame_u32(&p.in, WINDOW_UPDATE, 1, 100000);
    exchange(&p);
    assert_string_equal(p.log, "close NO_ERROR ");
    stop(&p);
}

/* A head that is larger than anybody takes is not sent; the client learns that at once. */
static void test_answer_too_large(void **state)
{
    static char text[140000];
    struct http_head head;
    struct peer p;
    (void)state;
    memset(text, 'x', sizeof text - 1);
    start(&p);
    WIRE_GET(&p.in, 1, END_STREAM, NULL);
    exchange(&p);
    http_head_clear(&head);
    head.status = 200;
    http_head_add(&head, http_view_of("x"), http_view_of(text));
    h2_server_respond(p.stream, &head, true);
    h2_stream_send(p.stream, "hello", 5);
    fetch(&p);
    assert_string_equal(sent(&p), "RST_STREAM:1=INTERNAL_ERROR");
    assert_string_equal(p.log, "GET / close INTERNAL_ERROR ");
    stop(&p);
}

/* How long its head is on the wire. */
static size_t answer_with_id(struct peer *p, uint32_t stream_id)
{
    char id[32];
    struct http_head head;
    WIRE_GET(&p->in, stream_id, END_STREAM, NULL);
    exchange(p);
    http_head_clear(&head);
    head.status = 200;
    http_head_add(&head, http_view_of("X-Page"), http_view_of("the same in all answers"));
    (void)snprintf(id, sizeof id, "%024u", stream_id);
    http_head_add(&head, http_view_of("X-Request-Id"), http_view_of(id));
    h2_server_respond(p->stream, &head, false);
    fetch(p);
    return p->out.len;
}

/* What is another in each answer stays out of the table of the compression, and so drives nothing out of it. */
static void test_heads_stay_short(void **state)
{
    struct peer p;
    (void)state;
    start(&p);
    const size_t first_bytes = answer_with_id(&p, 1);
    const size_t next_bytes = answer_with_id(&p, 3);
    assert_true(next_bytes + strlen("X-Page") < first_bytes);
    for (uint32_t id = 5; id < 1005; id += 2)
        assert_true(answer_with_id(&p, id) <= next_bytes + strlen("100")); /* of which some letters take more room */
    stop(&p);
}

/* The length is said by the head alone, and a WebSocket that is accepted is no length and no 101. */
static void test_length(void **state)
{
    static const struct {
        uint16_t status;
        int64_t content_length;
        const char *block; /* names and statuses are in the static table of RFC 7541 */
        size_t block_bytes;
    } rows[] = {
        {200, 5,
         "\x88\x0f\x0d\x01"
         "5",
         5},
        {200, -1, "\x88", 1},
        {204, 0, "\x89", 1},
        {101, 0, "\x88", 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct http_head head;
        struct peer p;
        start(&p);
        WIRE_GET(&p.in, 1, END_STREAM, NULL);
        exchange(&p);
        http_head_clear(&head);
        head.status = rows[i].status;
        head.content_length = rows[i].content_length;
        http_head_add(&head, http_view_of("Content-Length"), http_view_of("77"));
        http_head_add(&head, http_view_of("Sec-WebSocket-Accept"), http_view_of("x"));
        h2_server_respond(p.stream, &head, false);
        fetch(&p);
        assert_int_equal(p.out.len, H2_FRAME_HEADER_BYTES + rows[i].block_bytes);
        assert_memory_equal(p.out.data + H2_FRAME_HEADER_BYTES, rows[i].block, rows[i].block_bytes);
        stop(&p);
    }
}

/* ---- the connection ---- */

static void test_preface(void **state)
{
    struct peer p = {.now_ms = 0};
    (void)state;
    p.server = h2_server_create(&limits, &ops, &p, 0);
    wire_put(&p.in, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27);
    exchange(&p);
    assert_string_equal(h2_server_failure(p.server), "bad preface");
    assert_string_equal(sent(&p), "SETTINGS GOAWAY=PROTOCOL_ERROR");
    assert_true(h2_server_is_over(p.server));
    stop(&p);

    /* Byte by byte, with a request behind it. */
    p.server = h2_server_create(&limits, &ops, &p, 0);
    p.on_request = ANSWER;
    wire_put(&p.in, H2_PREFACE, H2_PREFACE_BYTES);
    wire_frame(&p.in, SETTINGS, 0, 0, NULL, 0);
    WIRE_GET(&p.in, 1, END_STREAM, NULL);
    p.log_len = 0;
    for (size_t i = 0; i < p.in.len; i++)
        h2_server_feed(p.server, p.in.data + i, 1, 0);
    p.in.len = 0;
    fetch(&p);
    assert_string_equal(p.log, "GET / close NO_ERROR ");

    /* A head that does not end is no stream of anybody's. */
    wire_frame(&p.in, HEADERS, END_STREAM, 3, "\x82", 1);
    exchange(&p);
    assert_int_equal(h2_server_stream_count(p.server), 0);
    stop(&p);
    assert_string_equal(p.log, "");
}

static void break_stream_zero(struct wire *w)
{
    wire_frame(w, DATA, 0, 0, "x", 1);
}

static void break_idle(struct wire *w)
{
    wire_frame(w, DATA, 0, 5, "x", 1);
}

static void break_even(struct wire *w)
{
    WIRE_GET(w, 2, END_STREAM, NULL);
}

static void break_push(struct wire *w)
{
    wire_frame(w, PUSH_PROMISE, END_HEADERS, 1, "\0\0\0\2", 4);
}

static void break_size(struct wire *w)
{
    static const uint8_t zeros[16385];
    wire_frame(w, DATA, 0, 1, zeros, sizeof zeros);
}

static void break_hpack(struct wire *w)
{
    wire_frame(w, HEADERS, END_HEADERS, 1, "\xff\xff\xff\xff\xff", 5);
}

static void break_interleave(struct wire *w)
{
    wire_frame(w, HEADERS, 0, 1, "", 0);
    wire_frame(w, DATA, 0, 1, "x", 1);
}

static void break_closed(struct wire *w)
{
    WIRE_GET(w, 1, END_STREAM, NULL);
    wire_frame(w, DATA, 0, 1, "x", 1);
}

static void break_settings_size(struct wire *w)
{
    wire_frame(w, SETTINGS, 0, 0, "x", 1);
}

static void break_settings_count(struct wire *w)
{
    static const uint8_t zeros[6 * 33];
    wire_frame(w, SETTINGS, 0, 0, zeros, sizeof zeros);
}

static void break_ack(struct wire *w)
{
    wire_frame(w, SETTINGS, ACK, 0, NULL, 0);
}

static void break_window(struct wire *w)
{
    wire_frame_u32(w, WINDOW_UPDATE, 0, 0x7fffffff);
}

static void break_padding(struct wire *w)
{
    WIRE_GET(w, 1, 0, NULL);
    wire_frame(w, DATA, PADDED, 1, "\x09x", 2);
}

static const struct {
    const char *what;
    const char *code;
    void (*send)(struct wire *w);
} broken_rows[] = {
    {"data on stream 0", "PROTOCOL_ERROR", break_stream_zero},
    {"data on a stream that never was", "PROTOCOL_ERROR", break_idle},
    {"a stream with an even number", "PROTOCOL_ERROR", break_even},
    {"a push by the client", "PROTOCOL_ERROR", break_push},
    {"a frame larger than announced", "FRAME_SIZE", break_size},
    {"an index that is not in the table", "COMPRESSION_ERROR", break_hpack},
    {"data inside a header block", "PROTOCOL_ERROR", break_interleave},
    {"data behind the end", "STREAM_CLOSED", break_closed},
    {"a setting cut short", "FRAME_SIZE", break_settings_size},
    {"33 settings", "ENHANCE_YOUR_CALM", break_settings_count},
    {"an acknowledgement of nothing", "PROTOCOL_ERROR", break_ack},
    {"a window beyond 31 bits", "FLOW_CONTROL_ERROR", break_window},
    {"more padding than frame", "PROTOCOL_ERROR", break_padding},
};

static void test_broken_connections(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof broken_rows / sizeof broken_rows[0]; i++) {
        struct peer p;
        char goaway[64];
        start(&p);
        broken_rows[i].send(&p.in);
        WIRE_GET(&p.in, 101, END_STREAM, NULL); /* is not looked at any more */
        exchange(&p);
        (void)snprintf(goaway, sizeof goaway, "GOAWAY=%s", broken_rows[i].code);
        if (strstr(sent(&p), goaway) == NULL || h2_server_failure(p.server) == NULL || !h2_server_is_over(p.server))
            fail_msg("%s: %s / %s", broken_rows[i].what, p.log, sent(&p));
        assert_null(strstr(sent(&p), ":101"));
        stop(&p);
    }
}

static void test_stream_limit(void **state)
{
    struct peer p;
    (void)state;
    struct h2_server_limits l = limits;
    l.stream_count = 2;
    start_with(&p, &l);
    for (uint32_t id = 1; id <= 5; id += 2)
        WIRE_GET(&p.in, id, END_STREAM, NULL);
    exchange(&p);
    assert_string_equal(p.log, "GET / GET / ");
    assert_int_equal(h2_server_stream_count(p.server), 2);
    assert_string_equal(sent(&p), "GOAWAY=PROTOCOL_ERROR");
    p.log_len = 0;
    stop(&p);
    assert_string_equal(p.log, "close CANCEL close CANCEL ");
}

static void test_goodbye(void **state)
{
    struct peer p;
    (void)state;
    start(&p);
    WIRE_GET(&p.in, 1, 0, NULL);
    exchange(&p);
    struct h2_stream *first = p.stream;

    h2_server_goaway(p.server, false);
    fetch(&p);
    assert_string_equal(sent(&p), "GOAWAY=NO_ERROR");
    assert_int_equal(wire_u32(p.out.data + 9), 0x7fffffff);
    p.on_request = ANSWER;
    WIRE_GET(&p.in, 3, END_STREAM, NULL); /* was on its way */
    exchange(&p);
    assert_string_equal(p.log, "GET / close NO_ERROR ");

    h2_server_goaway(p.server, true);
    fetch(&p);
    assert_int_equal(wire_u32(p.out.data + 9), 3);
    WIRE_GET(&p.in, 5, END_STREAM, NULL); /* too late */
    wire_frame(&p.in, DATA, END_STREAM, 1, "x", 1);
    exchange(&p);
    assert_string_equal(p.log, "data 1 end ");
    assert_false(h2_server_is_over(p.server));
    answer(first, 200);
    fetch(&p);
    assert_true(h2_server_is_over(p.server));
    assert_null(h2_server_failure(p.server));
    stop(&p);

    /* The client says it. */
    start(&p);
    p.on_request = NOTHING;
    wire_frame(&p.in, GOAWAY, 0, 0, "\0\0\0\0\0\0\0\0", 8);
    exchange(&p);
    assert_string_equal(p.log, "goaway NO_ERROR ");
    assert_true(h2_server_is_over(p.server));
    stop(&p);
}

static void test_reset_by_client(void **state)
{
    struct peer p;
    (void)state;
    start(&p);
    WIRE_GET(&p.in, 1, END_STREAM, NULL);
    wire_frame_u32(&p.in, RST_STREAM, 1, H2_CANCEL);
    WIRE_GET(&p.in, 3, 0, NULL);
    wire_frame_u32(&p.in, RST_STREAM, 3, H2_NO_ERROR); /* is no answer, whatever it is called */
    exchange(&p);
    assert_string_equal(p.log, "GET / close CANCEL GET /+ close CANCEL ");
    assert_int_equal(h2_server_stream_count(p.server), 0);
    stop(&p);
}

/* ---- callbacks that do the worst ---- */

static void test_callbacks_may_do_anything(void **state)
{
    static const size_t places[] = {offsetof(struct peer, on_request), offsetof(struct peer, on_data),
                                    offsetof(struct peer, on_end)};
    (void)state;
    for (size_t place = 0; place < sizeof places / sizeof places[0]; place++) {
        for (enum deed deed = ANSWER; deed <= DESTROY; deed++) {
            struct peer p;
            start(&p);
            memcpy((char *)&p + places[place], &deed, sizeof deed);
            WIRE_GET(&p.in, 1, 0, NULL);
            wire_frame(&p.in, DATA, 0, 1, "abc", 3);
            wire_frame(&p.in, DATA, END_STREAM, 1, NULL, 0);
            if (deed == ANSWER && place == 1)
                p.in.len -= 9; /* answers once only */
            exchange(&p);
            assert_true((p.server == NULL) == (deed == DESTROY));
            if (deed == DESTROY)
                assert_non_null(strstr(p.log, "close CANCEL"));
            if (deed == RESET)
                assert_null(strstr(p.log, "close"));
            stop(&p);
        }
    }
}

static void test_destroyed_by_on_close(void **state)
{
    struct peer p;
    (void)state;
    start(&p); /* in feed */
    p.on_close = DESTROY;
    WIRE_GET(&p.in, 1, END_STREAM, NULL);
    WIRE_GET(&p.in, 3, END_STREAM, NULL);
    wire_frame_u32(&p.in, RST_STREAM, 1, H2_CANCEL);
    WIRE_GET(&p.in, 5, END_STREAM, NULL);
    exchange(&p);
    assert_null(p.server);
    assert_string_equal(p.log, "GET / GET / close CANCEL close CANCEL ");

    start(&p); /* in output */
    p.on_close = DESTROY;
    p.on_request = ANSWER;
    WIRE_GET(&p.in, 1, END_STREAM, NULL);
    WIRE_GET(&p.in, 3, END_STREAM, NULL);
    exchange(&p);
    assert_null(p.server);
    assert_string_equal(p.log, "GET / GET / close NO_ERROR close CANCEL ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tunnel),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_early_answer),
        cmocka_unit_test(test_answer_with_body),
        cmocka_unit_test(test_answer_too_large),
        cmocka_unit_test(test_heads_stay_short),
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_preface),
        cmocka_unit_test(test_broken_connections),
        cmocka_unit_test(test_stream_limit),
        cmocka_unit_test(test_goodbye),
        cmocka_unit_test(test_reset_by_client),
        cmocka_unit_test(test_callbacks_may_do_anything),
        cmocka_unit_test(test_destroyed_by_on_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
