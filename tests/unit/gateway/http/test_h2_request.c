/* Requests over HTTP/2: what is refused and how (every trick that has a name has a row), and what is understood. */
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

static void on_request_with_many_cookies(void *arg, struct h2_stream *st, const struct http_head *head, bool has_body)
{
    (void)has_body;
    const struct http_view cookie = http_value(head, "cookie");
    note(arg, "%u fields, %zu bytes, %.7s...%.6s ", head->field_count, cookie.len, cookie.data,
         cookie.data + cookie.len - 6);
    answer(st, 204);
}

/* Browsers send each cookie as a field of its own (RFC 9113 section 8.2.3): however many there are, it is one field. */
static void test_many_cookies(void **state)
{
    struct h2_server_ops with_cookies = ops;
    struct peer p = {.now_ms = 0};
    struct wire block = {.len = 0};
    (void)state;
    with_cookies.on_request = on_request_with_many_cookies;
    p.server = h2_server_create(&limits, &with_cookies, &p, 0);
    wire_put(&p.in, H2_PREFACE, H2_PREFACE_BYTES);
    wire_frame(&p.in, SETTINGS, 0, 0, NULL, 0);
    wire_field(&block, ":method", "GET");
    wire_field(&block, ":scheme", "https");
    wire_field(&block, ":path", "/");
    wire_field(&block, ":authority", "a");
    wire_field(&block, "x", "y");
    for (unsigned i = 0; i < 180; i++) {
        char crumb[8];
        (void)snprintf(crumb, sizeof crumb, "n%03u=v", i);
        wire_field(&block, "cookie", i == 90 ? "" : crumb);
    }
    wire_frame(&p.in, HEADERS, END_STREAM | END_HEADERS, 1, block.data, block.len);
    exchange(&p);
    assert_string_equal(p.log, "2 fields, 1432 bytes, n000=v;...n179=v close NO_ERROR ");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads),        cmocka_unit_test(test_request_is_as_one_of_http1),
        cmocka_unit_test(test_many_cookies), cmocka_unit_test(test_large_heads),
        cmocka_unit_test(test_bomb),         cmocka_unit_test(test_body_and_trailers),
        cmocka_unit_test(test_bad_bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
