/* HTTP/2 clients, from frames written by hand: what is refused and how (every trick that has a name has a row), what is
 * understood, and that whatever the owner does in a callback is survived. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/gateway/http/h2_peer.h"

/* ---- heads ---- */

struct field {
    const char *name;
    size_t name_len;
    const char *value;
    size_t value_len;
};
#define F(name, value)                                                                                                 \
    {                                                                                                                  \
        name, sizeof(name) - 1, value, sizeof(value) - 1                                                               \
    }

#define METHOD    F(":method", "GET")
#define SCHEME    F(":scheme", "https")
#define PATH      F(":path", "/")
#define AUTHORITY F(":authority", "a")
#define GET       METHOD, SCHEME, PATH, AUTHORITY

#define GOOD  NULL
#define WRONG "RST_STREAM:1=PROTOCOL_ERROR"

/* clang-format off */
static const struct {
    const char *what;
    const char *verdict; /* GOOD, WRONG, or "refused <status>" */
    bool has_body;
    struct field fields[9];
} rows[] = {
    {"plain", GOOD, false, {GET}},
    {"plain with a body to come", GOOD, true, {GET}},
    {"http", GOOD, false, {METHOD, F(":scheme", "http"), PATH, AUTHORITY}},
    {"an odd method", GOOD, false, {F(":method", "brew-2"), SCHEME, PATH, AUTHORITY}},

    /* Who is asked */
    {"host instead of authority", GOOD, false, {METHOD, SCHEME, PATH, F("host", "a")}},
    {"both, and they agree", GOOD, false, {GET, F("host", "A")}},
    {"both, and they differ", "refused 400", false, {GET, F("host", "b")}},
    {"host with a port more", "refused 400", false, {GET, F("host", "a:443")}},
    {"neither", WRONG, false, {METHOD, SCHEME, PATH}},
    {"empty authority", WRONG, false, {METHOD, SCHEME, PATH, F(":authority", "")}},
    {"empty host", WRONG, false, {GET, F("host", "")}},
    {"two hosts", WRONG, false, {METHOD, SCHEME, PATH, F("host", "a"), F("host", "a")}},
    {"two authorities", WRONG, false, {GET, AUTHORITY}},
    {"somebody's name", "refused 400", false, {METHOD, SCHEME, PATH, F(":authority", "x@a")}},
    {"a path in it", WRONG, false, {METHOD, SCHEME, PATH, F(":authority", "a/b")}},
    {"a space in it", WRONG, false, {METHOD, SCHEME, PATH, F(":authority", "a b")}},
    {"a port that is none", "refused 400", false, {METHOD, SCHEME, PATH, F(":authority", "a:http")}},
    {"a line end in it", WRONG, false, {METHOD, SCHEME, PATH, F(":authority", "a\r\nx: y")}},

    /* What is asked for */
    {"OPTIONS *", GOOD, false, {F(":method", "OPTIONS"), SCHEME, F(":path", "*"), AUTHORITY}},
    {"GET *", WRONG, false, {METHOD, SCHEME, F(":path", "*"), AUTHORITY}},
    {"no path", WRONG, false, {METHOD, SCHEME, AUTHORITY}},
    {"empty path", WRONG, false, {METHOD, SCHEME, F(":path", ""), AUTHORITY}},
    {"two paths", WRONG, false, {GET, PATH}},
    {"path without slash", WRONG, false, {METHOD, SCHEME, F(":path", "x"), AUTHORITY}},
    {"absolute path", WRONG, false, {METHOD, SCHEME, F(":path", "http://b/"), AUTHORITY}},
    {"fragment", "refused 400", false, {METHOD, SCHEME, F(":path", "/#x"), AUTHORITY}},
    {"space in the path", WRONG, false, {METHOD, SCHEME, F(":path", "/ HTTP/1.1"), AUTHORITY}},
    {"line end in the path", WRONG, false, {METHOD, SCHEME, F(":path", "/\r\nx: y"), AUTHORITY}},
    {"NUL in the path", WRONG, false, {METHOD, SCHEME, F(":path", "/\0"), AUTHORITY}},
    {"UTF-8 in the path", "refused 400", false, {METHOD, SCHEME, F(":path", "/\xc3\xa9"), AUTHORITY}},

    /* The other pseudo-headers */
    {"no method", WRONG, false, {SCHEME, PATH, AUTHORITY}},
    {"two methods", WRONG, false, {GET, METHOD}},
    {"method with a space", WRONG, false, {F(":method", "GET /x"), SCHEME, PATH, AUTHORITY}},
    {"method with a line end", WRONG, false, {F(":method", "GET\r\n"), SCHEME, PATH, AUTHORITY}},
    {"no scheme", WRONG, false, {METHOD, PATH, AUTHORITY}},
    {"two schemes", WRONG, false, {GET, SCHEME}},
    {"another scheme", "refused 400", false, {METHOD, F(":scheme", "ftp"), PATH, AUTHORITY}},
    {"another scheme, odd path", "refused 400", false, {METHOD, F(":scheme", "ftp"), F(":path", "x"), AUTHORITY}},
    {"a scheme that splits", WRONG, false, {METHOD, F(":scheme", "http://b/?"), PATH, AUTHORITY}},
    {"an unknown one", WRONG, false, {GET, F(":x", "y")}},
    {"one of responses", WRONG, false, {GET, F(":status", "200")}},
    {"one in capitals", WRONG, false, {F(":METHOD", "GET"), SCHEME, PATH, AUTHORITY}},
    {"one behind a field", WRONG, false, {METHOD, SCHEME, AUTHORITY, F("x", "y"), PATH}},
    {"CONNECT", "refused 501", true, {F(":method", "CONNECT"), F(":authority", "a:1")}},
    {"CONNECT with a path", WRONG, true, {F(":method", "CONNECT"), SCHEME, PATH, AUTHORITY}},
    {"CONNECT with a protocol that is not served", WRONG, true, {F(":method", "CONNECT"), F(":protocol", "websocket"), SCHEME, PATH, AUTHORITY}},

    /* Fields */
    {"tab and letters above ASCII in a value", GOOD, false, {GET, F("x", "a\tb\xc3\xa9")}},
    {"empty value", GOOD, false, {GET, F("x", "")}},
    {"name in capitals", WRONG, false, {GET, F("Content-Length", "0")}},
    {"empty name", WRONG, false, {GET, F("", "x")}},
    {"space in a name", WRONG, false, {GET, F("x ", "y")}},
    {"colon in a name", WRONG, false, {GET, F("x: y", "z")}},
    {"line end in a name", WRONG, false, {GET, F("x\r\ny", "z")}},
    {"NUL in a name", WRONG, false, {GET, F("x\0", "z")}},
    {"CR LF in a value", WRONG, false, {GET, F("x", "y\r\ntransfer-encoding: chunked")}},
    {"LF in a value", WRONG, false, {GET, F("x", "y\nz")}},
    {"CR in a value", WRONG, false, {GET, F("x", "y\rz")}},
    {"NUL in a value", WRONG, false, {GET, F("x", "y\0z")}},
    {"DEL in a value", WRONG, false, {GET, F("x", "\x7f")}},
    {"space before a value", WRONG, false, {GET, F("x", " y")}},
    {"tab behind a value", WRONG, false, {GET, F("x", "y\t")}},
    {"connection", WRONG, false, {GET, F("connection", "close")}},
    {"keep-alive", WRONG, false, {GET, F("keep-alive", "timeout=5")}},
    {"proxy-connection", WRONG, false, {GET, F("proxy-connection", "close")}},
    {"transfer-encoding", WRONG, true, {GET, F("transfer-encoding", "chunked")}},
    {"upgrade", WRONG, false, {GET, F("upgrade", "websocket")}},
    {"te: trailers", GOOD, false, {GET, F("te", "trailers")}},
    {"te: gzip", WRONG, false, {GET, F("te", "gzip")}},
    {"te: trailers and more", WRONG, false, {GET, F("te", "trailers, gzip")}},

    /* Length */
    {"length zero", GOOD, false, {GET, F("content-length", "0")}},
    {"a length, and nothing comes", WRONG, false, {GET, F("content-length", "5")}},
    {"signed length", WRONG, true, {GET, F("content-length", "+5")}},
    {"empty length", WRONG, true, {GET, F("content-length", "")}},
    {"list of lengths", WRONG, true, {GET, F("content-length", "5, 5")}},
    {"two lengths", WRONG, true, {GET, F("content-length", "5"), F("content-length", "5")}},
    {"more than 64 bits", WRONG, true, {GET, F("content-length", "18446744073709551621")}},
    {"more than 18 digits", "refused 400", true, {GET, F("content-length", "1000000000000000000")}},
};
/* clang-format on */

static void test_heads(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct peer p;
        struct wire block = {.len = 0};
        start(&p);
        p.on_request = ANSWER;
        for (size_t f = 0; rows[i].fields[f].name != NULL; f++)
            wire_field_n(&block, rows[i].fields[f].name, rows[i].fields[f].name_len, rows[i].fields[f].value,
                         rows[i].fields[f].value_len);
        wire_frame(&p.in, HEADERS, END_HEADERS | (rows[i].has_body ? 0 : END_STREAM), 1, block.data, block.len);
        exchange(&p);
        const char *verdict = rows[i].verdict;
        const bool is_reset = verdict != NULL && strcmp(verdict, WRONG) == 0;
        const bool is_right = is_reset          ? strcmp(sent(&p), WRONG) == 0 && p.log_len == 0
                              : verdict == NULL ? strstr(p.log, "refused") == NULL && strstr(sent(&p), "HEADERS:1$")
                                                : strstr(p.log, verdict) == p.log;
        if (!is_right)
            fail_msg("%s: %s / %s", rows[i].what, p.log, sent(&p));
        assert_int_equal(p.malformed_count, is_reset ? 1 : 0);
        assert_null(h2_server_failure(p.server));
        stop(&p);
    }
}

static void on_request_cookies(void *arg, struct h2_stream *st, const struct http_head *head, bool has_body)
{
    struct peer *p = arg;
    (void)has_body;
    for (uint32_t i = 0; i < head->field_count; i++)
        note(p, "%.*s=%.*s|", V(head->fields[i].name), V(head->fields[i].value));
    note(p, "path=%.*s query=%.*s authority=%.*s continue=%d length=%d", V(head->path), V(head->query),
         V(head->authority), head->expects_continue, (int)head->content_length);
    answer(st, 204);
}

static void test_request_is_as_one_of_http1(void **state)
{
    struct h2_server_ops with_cookies = ops;
    struct peer p = {.now_ms = 0};
    (void)state;
    with_cookies.on_request = on_request_cookies;
    p.server = h2_server_create(&limits, &with_cookies, &p, 0);
    wire_put(&p.in, H2_PREFACE, H2_PREFACE_BYTES);
    wire_frame(&p.in, SETTINGS, 0, 0, NULL, 0);
    wire_headers(&p.in, 1, 0, ":method", "POST", ":scheme", "https", ":path", "/a?b=c?d", "cookie", "a=1", "x", "y",
                 "cookie", "b=2", "te", "trailers", "host", "h:1", "cookie", "c=3", "expect", "100-continue",
                 "content-length", "7", NULL);
    exchange(&p);
    assert_string_equal(p.log, "cookie=a=1; b=2; c=3|x=y|expect=100-continue|content-length=7|"
                               "path=/a query=b=c?d authority=h:1 continue=1 length=7close NO_ERROR ");
    stop(&p);
}

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

static void test_large_heads(void **state)
{
    static char long_text[20000];
    static char name[8];
    struct peer p;
    struct wire block = {.len = 0};
    (void)state;
    memset(long_text, 'x', sizeof long_text - 1);
    start(&p);

    /* Too long a target, a field, too many fields: each is answered, and the connection goes on. */
    long_text[0] = '/';
    long_text[9000] = '\0';
    wire_headers(&p.in, 1, END_STREAM, ":method", "GET", ":scheme", "https", ":path", long_text, ":authority", "a",
                 NULL);
    exchange(&p);
    assert_string_equal(p.log, "refused 414 close NO_ERROR ");
    long_text[9000] = 'x';
    for (uint32_t i = 0; i < 4; i++) { /* HEADERS and CONTINUATION: the block is larger than a frame */
        const bool is_first = i == 0;
        block.len = 0;
        if (is_first) {
            wire_field(&block, ":method", "GET");
            wire_field(&block, ":scheme", "https");
            wire_field(&block, ":path", "/");
            wire_field(&block, ":authority", "a");
        }
        long_text[8000] = '\0';
        wire_field(&block, "x", long_text);
        wire_frame(&p.in, is_first ? HEADERS : CONTINUATION,
                   is_first ? END_STREAM
                   : i == 3 ? END_HEADERS
                            : 0,
                   3, block.data, block.len);
    }
    exchange(&p);
    assert_string_equal(p.log, "refused 431 close NO_ERROR ");
    assert_string_equal(sent(&p), "HEADERS:3$");

    block.len = 0;
    wire_field(&block, ":method", "GET");
    wire_field(&block, ":scheme", "https");
    wire_field(&block, ":path", "/");
    wire_field(&block, ":authority", "a");
    for (uint32_t i = 0; i <= HTTP_MAX_FIELDS; i++) {
        (void)snprintf(name, sizeof name, "x%u", i);
        wire_field(&block, name, "");
    }
    wire_frame(&p.in, HEADERS, END_HEADERS | END_STREAM, 5, block.data, block.len);
    p.on_request = ANSWER;
    WIRE_GET(&p.in, 7, END_STREAM, NULL);
    exchange(&p);
    assert_string_equal(p.log, "refused 431 GET / close NO_ERROR close NO_ERROR ");
    stop(&p);
}

/* A field put into the table once and named again and again for one byte each unfolds to more than anybody reads. */
static void test_bomb(void **state)
{
    static char value[3900];
    struct peer p;
    struct wire block = {.len = 0};
    (void)state;
    memset(value, 'x', sizeof value - 1);
    start(&p);
    wire_field(&block, ":method", "GET");
    wire_field(&block, ":scheme", "https");
    wire_field(&block, ":path", "/");
    wire_field(&block, ":authority", "a");
    wire_put(&block, "\x40", 1); /* literal with indexing */
    wire_string(&block, "x", 1);
    wire_string(&block, value, sizeof value - 1);
    for (uint32_t i = 0; i < 1000; i++)
        wire_put(&block, "\xbe", 1); /* the newest of the table */
    wire_frame(&p.in, HEADERS, END_HEADERS | END_STREAM, 1, block.data, block.len);
    p.on_request = ANSWER;
    WIRE_GET(&p.in, 3, END_STREAM, NULL);
    exchange(&p);
    assert_string_equal(p.log, "GET / close NO_ERROR ");
    assert_non_null(strstr(sent(&p), "RST_STREAM:1=ENHANCE_YOUR_CALM"));
    assert_int_equal(p.malformed_count, 1);
    stop(&p);
}

/* ---- bodies ---- */

static void test_body_and_trailers(void **state)
{
    struct peer p;
    (void)state;
    start(&p);
    p.on_end = ANSWER;
    WIRE_GET(&p.in, 1, 0, "content-length", "5", NULL);
    wire_frame(&p.in, DATA, 0, 1, "he", 2);
    wire_frame(&p.in, DATA, PADDED, 1, "\x03llo\0\0\0", 7);
    wire_headers(&p.in, 1, END_STREAM, "x-sum", "1", "content-length", "9", NULL);
    exchange(&p);
    /* Trailers may not speak of the length once more. */
    assert_string_equal(p.log, "GET /+ data 2 data 3 close PROTOCOL_ERROR ");

    WIRE_GET(&p.in, 3, 0, "content-length", "5", NULL);
    wire_frame(&p.in, DATA, 0, 3, "hello", 5);
    wire_headers(&p.in, 3, END_STREAM, "x-sum", "1", NULL);
    exchange(&p);
    assert_string_equal(p.log, "GET /+ data 5 end close NO_ERROR ");
    assert_string_equal(sent(&p), "HEADERS:3$");
    stop(&p);
}

static void send_more(struct wire *w)
{
    WIRE_GET(w, 1, 0, "content-length", "5", NULL);
    wire_frame(w, DATA, END_STREAM, 1, "hello!", 6);
}

static void send_less(struct wire *w)
{
    WIRE_GET(w, 1, 0, "content-length", "5", NULL);
    wire_frame(w, DATA, END_STREAM, 1, "hell", 4);
}

static void send_open_trailers(struct wire *w)
{
    WIRE_GET(w, 1, 0, NULL);
    wire_headers(w, 1, 0, "x", "y", NULL);
}

static void send_pseudo_trailers(struct wire *w)
{
    WIRE_GET(w, 1, 0, NULL);
    wire_headers(w, 1, END_STREAM, ":path", "/other", NULL);
}

static void send_bad_trailers(struct wire *w)
{
    WIRE_GET(w, 1, 0, NULL);
    wire_headers(w, 1, END_STREAM, "x", "a\nb", NULL);
}

static void send_large_trailers(struct wire *w)
{
    struct wire block = {.len = 0};
    for (int i = 0; i < 600; i++)
        wire_field(&block, "x", "");
    WIRE_GET(w, 1, 0, NULL);
    wire_frame(w, HEADERS, END_HEADERS | END_STREAM, 1, block.data, block.len);
}

static void send_too_much(struct wire *w)
{
    static const uint8_t zeros[16384];
    WIRE_GET(w, 1, 0, NULL);
    for (int i = 0; i < 17; i++)
        wire_frame(w, DATA, 0, 1, zeros, sizeof zeros);
}

static const struct {
    const char *what;
    const char *log;
    void (*send)(struct wire *w);
} body_rows[] = {
    {"more than the length", "GET /+ close PROTOCOL_ERROR ", send_more},
    {"less than the length", "GET /+ data 4 close PROTOCOL_ERROR ", send_less},
    {"trailers that do not end", "GET /+ close PROTOCOL_ERROR ", send_open_trailers},
    {"trailers with a path", "GET /+ close PROTOCOL_ERROR ", send_pseudo_trailers},
    {"trailers with a line end", "GET /+ close PROTOCOL_ERROR ", send_bad_trailers},
    {"large trailers", "GET /+ close ENHANCE_YOUR_CALM ", send_large_trailers},
};

static void test_bad_bodies(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof body_rows / sizeof body_rows[0]; i++) {
        struct peer p;
        start(&p);
        body_rows[i].send(&p.in);
        exchange(&p);
        if (strcmp(p.log, body_rows[i].log) != 0)
            fail_msg("%s: %s / %s", body_rows[i].what, p.log, sent(&p));
        assert_int_equal(h2_server_stream_count(p.server), 0);
        stop(&p);
    }
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

    /* What nobody had read when the stream ended is back: the connection's window is whole, and one stream's worth fits
     * four times. */
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
    stop(&p);
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
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_request_is_as_one_of_http1),
        cmocka_unit_test(test_tunnel),
        cmocka_unit_test(test_large_heads),
        cmocka_unit_test(test_bomb),
        cmocka_unit_test(test_body_and_trailers),
        cmocka_unit_test(test_bad_bodies),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_early_answer),
        cmocka_unit_test(test_answer_with_body),
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
