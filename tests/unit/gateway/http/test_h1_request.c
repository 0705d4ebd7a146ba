/* Request heads: what is refused and why (every trick by which two programs could be made to read one message in two
 * ways has a row), what is understood, and that neither depends on how the bytes arrive. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/http/h1.h"

static const struct h1_limits limits = H1_LIMITS_DEFAULT;

#define VIEW_EQUAL(view, text)                                                                                         \
    do {                                                                                                               \
        assert_int_equal((view).len, strlen(text));                                                                    \
        assert_memory_equal((view).data, text, (view).len);                                                            \
    } while (0)

static enum h1_result parse(struct http_head *h, const void *data, size_t len)
{
    struct h1_scan scan = {0};
    return h1_parse_request(h, &scan, data, len, &limits);
}

/* Byte by byte, with the whole of what is there each time, as a reader would. *used: bytes until the verdict. */
static enum h1_result parse_slowly(struct http_head *h, const char *data, size_t len, size_t *used)
{
    struct h1_scan scan = {0};
    enum h1_result r = H1_MORE;
    for (*used = 0; r == H1_MORE && *used < len;)
        r = h1_parse_request(h, &scan, (const uint8_t *)data, ++*used, &limits);
    return r;
}

#define GET  "GET / HTTP/1.1\r\nHost: a\r\n"
#define POST "POST / HTTP/1.1\r\nHost: a\r\n"

static const struct {
    const char *what;
    uint16_t status; /* 0: accepted */
    const char *head;
    size_t len; /* 0: strlen */
} rows[] = {
    /* Line ends and characters */
    {"plain", 0, GET "\r\n", 0},
    {"one empty line before it", 0, "\r\n" GET "\r\n", 0},
    {"two empty lines before it", 400, "\r\n\r\n" GET "\r\n", 0},
    {"bare LF behind the request line", 400, "GET / HTTP/1.1\nHost: a\r\n\r\n", 0},
    {"bare LF behind a field", 400, "GET / HTTP/1.1\r\nHost: a\n\r\n", 0},
    {"bare LF at the end", 400, GET "\n", 0},
    {"bare CR in a value", 400, GET "X: a\rb\r\n\r\n", 0},
    {"CR CR LF", 400, GET "X: a\r\r\n\r\n", 0},
    {"NUL in a value", 400, GET "X: a\0b\r\n\r\n", sizeof(GET "X: a\0b\r\n\r\n") - 1},
    {"NUL in a name", 400, GET "X\0: a\r\n\r\n", sizeof(GET "X\0: a\r\n\r\n") - 1},
    {"NUL in the target", 400, "GET /\0 HTTP/1.1\r\n\r\n", sizeof("GET /\0 HTTP/1.1\r\n\r\n") - 1},
    {"vertical tab in a value", 400, GET "Transfer-Encoding: \vchunked\r\n\r\n", 0},
    {"DEL in a value", 400, GET "X: \x7f\r\n\r\n", 0},
    {"tab in a value", 0, GET "X: a\tb\r\n\r\n", 0},
    {"bytes above ASCII in a value", 0, GET "X: caf\xc3\xa9\r\n\r\n", 0},
    {"a TLS client hello", 400, "\x16\x03\x01\x02\x00\x01", 0},

    /* Request line */
    {"no version", 400, "GET /\r\nHost: a\r\n\r\n", 0},
    {"two spaces", 400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 0},
    {"space behind the version", 400, "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 0},
    {"space before the method", 400, " GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0},
    {"tab between", 400, "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 0},
    {"method not a token", 400, "G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 0},
    {"unknown method", 0, "BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n", 0},
    {"lower-case protocol", 400, "GET / http/1.1\r\nHost: a\r\n\r\n", 0},
    {"HTTP/1.10", 400, "GET / HTTP/1.10\r\nHost: a\r\n\r\n", 0},
    {"HTTP/1", 400, "GET / HTTP/1\r\nHost: a\r\n\r\n", 0},
    {"HTTP/1.2 is told as 1.1", 0, "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 0},
    {"HTTP/0.9 spelled out", 505, "GET / HTTP/0.9\r\nHost: a\r\n\r\n", 0},
    {"HTTP/2.0", 505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 0},
    {"the HTTP/2 preface", 505, "PRI * HTTP/2.0\r\n\r\n", 0},

    /* Target */
    {"relative target", 400, "GET a HTTP/1.1\r\nHost: a\r\n\r\n", 0},
    {"fragment", 400, "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 0},
    {"not ASCII", 400, "GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", 0},
    {"tab in the target", 400, "GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n", 0},
    {"asterisk with GET", 400, "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 0},
    {"asterisk with OPTIONS", 0, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 0},
    {"authority form", 400, "GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 0},
    {"CONNECT", 501, "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 0},
    {"absolute form", 0, "GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n", 0},
    {"absolute form without host", 400, "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", 0},
    {"absolute form with a user", 400, "GET http://u@b/x HTTP/1.1\r\nHost: a\r\n\r\n", 0},
    {"absolute form, other scheme", 400, "GET ftp://b/x HTTP/1.1\r\nHost: a\r\n\r\n", 0},

    /* Host */
    {"no host in 1.1", 400, "GET / HTTP/1.1\r\n\r\n", 0},
    {"no host in 1.1, absolute target", 400, "GET http://a/ HTTP/1.1\r\n\r\n", 0},
    {"no host in 1.0", 0, "GET / HTTP/1.0\r\n\r\n", 0},
    {"two hosts", 400, GET "Host: a\r\n\r\n", 0},
    {"two hosts in 1.0", 400, "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 0},
    {"empty host", 400, "GET / HTTP/1.1\r\nHost:\r\n\r\n", 0},
    {"host with port", 0, "GET / HTTP/1.1\r\nHost: a.example:8080\r\n\r\n", 0},
    {"host with a port of letters", 400, "GET / HTTP/1.1\r\nHost: a:http\r\n\r\n", 0},
    {"host with a long port", 400, "GET / HTTP/1.1\r\nHost: a:123456\r\n\r\n", 0},
    {"host with a user", 400, "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 0},
    {"host with a path", 400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 0},
    {"host list", 400, "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 0},
    {"host IPv6", 0, "GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n", 0},
    {"host IPv6 not closed", 400, "GET / HTTP/1.1\r\nHost: [2001:db8::1\r\n\r\n", 0},
    {"host IPv6 without an address", 400, "GET / HTTP/1.1\r\nHost: []\r\n\r\n", 0},
    {"host IPv6 with letters", 400, "GET / HTTP/1.1\r\nHost: [::xyz]\r\n\r\n", 0},
    {"host IPv6 with something behind", 400, "GET / HTTP/1.1\r\nHost: [::1]a\r\n\r\n", 0},

    /* Fields */
    {"folded line", 400, GET "X: a\r\n b\r\n\r\n", 0},
    {"folded first line", 400, "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 0},
    {"line of a space", 400, GET " \r\n\r\n", 0},
    {"space before the colon", 400, GET "Content-Length : 5\r\n\r\n", 0},
    {"tab before the colon", 400, GET "Content-Length\t: 5\r\n\r\n", 0},
    {"no colon", 400, GET "Content-Length\r\n\r\n", 0},
    {"no name", 400, GET ": a\r\n\r\n", 0},
    {"name not a token", 400, GET "X(y): a\r\n\r\n", 0},
    {"name above ASCII", 400, GET "X\xe9: a\r\n\r\n", 0},
    {"empty value", 0, GET "X:\r\n\r\n", 0},
    {"no space behind the colon", 0, GET "X:a\r\n\r\n", 0},

    /* Content-Length */
    {"length", 0, POST "Content-Length: 5\r\n\r\n", 0},
    {"length 0", 0, POST "Content-Length: 0\r\n\r\n", 0},
    {"length with a plus", 400, POST "Content-Length: +5\r\n\r\n", 0},
    {"length with a minus", 400, POST "Content-Length: -5\r\n\r\n", 0},
    {"length hexadecimal", 400, POST "Content-Length: 0x5\r\n\r\n", 0},
    {"length fractional", 400, POST "Content-Length: 5.0\r\n\r\n", 0},
    {"length with a space inside", 400, POST "Content-Length: 5 5\r\n\r\n", 0},
    {"length empty", 400, POST "Content-Length:\r\n\r\n", 0},
    {"length as a list", 400, POST "Content-Length: 5, 5\r\n\r\n", 0},
    {"length twice, equal", 400, POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", 0},
    {"length twice, different", 400, POST "Content-Length: 5\r\ncontent-length: 6\r\n\r\n", 0},
    {"length over 64 bits", 400, POST "Content-Length: 18446744073709551621\r\n\r\n", 0},
    {"length of 18 nines", 0, POST "Content-Length: 999999999999999999\r\n\r\n", 0},

    /* Transfer-Encoding */
    {"chunked", 0, POST "Transfer-Encoding: chunked\r\n\r\n", 0},
    {"chunked in capitals", 0, POST "Transfer-Encoding: Chunked\r\n\r\n", 0},
    {"CL.TE", 400, POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 0},
    {"TE.CL", 400, POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 0},
    {"chunked twice", 400, POST "Transfer-Encoding: chunked, chunked\r\n\r\n", 0},
    {"chunked in two fields", 400, POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 0},
    {"identity", 501, POST "Transfer-Encoding: identity\r\n\r\n", 0},
    {"gzip, chunked", 501, POST "Transfer-Encoding: gzip, chunked\r\n\r\n", 0},
    {"chunked, gzip", 501, POST "Transfer-Encoding: chunked, gzip\r\n\r\n", 0},
    {"xchunked", 501, POST "Transfer-Encoding: xchunked\r\n\r\n", 0},
    {"chunked in quotes", 501, POST "Transfer-Encoding: \"chunked\"\r\n\r\n", 0},
    {"chunked with a parameter", 501, POST "Transfer-Encoding: chunked;a=b\r\n\r\n", 0},
    {"transfer encoding empty", 400, POST "Transfer-Encoding:\r\n\r\n", 0},
    {"chunked in 1.0", 400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 0},
    {"chunked with a space before the colon", 400, POST "Transfer-Encoding : chunked\r\n\r\n", 0},
    {"chunked folded", 400, POST "Transfer-Encoding:\r\n chunked\r\n\r\n", 0},
};

static void each_head_is_accepted_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const size_t len = rows[i].len != 0 ? rows[i].len : strlen(rows[i].head);
        struct http_head h;
        size_t used;
        const enum h1_result whole = parse(&h, rows[i].head, len);
        const uint16_t status = whole == H1_BAD ? h.error_status : 0;
        if (whole == H1_MORE || status != rows[i].status)
            fail_msg("%s: result %d, status %u (%s)", rows[i].what, whole, status, status != 0 ? h.error_reason : "");
        const enum h1_result slow = parse_slowly(&h, rows[i].head, len, &used);
        if (slow != whole || (slow == H1_BAD && h.error_status != status) || (slow == H1_DONE && used != len))
            fail_msg("%s, byte by byte: result %d after %zu bytes", rows[i].what, slow, used);
    }
}

static void what_can_never_be_a_head_is_refused_at_once(void **state)
{
    static const char *const beginnings[] = {"\x16", "GET / HTTP/1.1\n", "\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\rb"};
    struct http_head h;

    (void)state;
    for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++) {
        const size_t len = strlen(beginnings[i]);
        assert_int_equal(parse(&h, beginnings[i], len - 1), H1_MORE);
        assert_int_equal(parse(&h, beginnings[i], len), H1_BAD);
    }
}

static void the_log_learns_which_trick_it_was(void **state)
{
    static const struct {
        const char *head, *reason;
    } tricks[] = {
        {"GET / HTTP/1.1\nHost: a\r\n\r\n", "line feed without carriage return"},
        {GET "X: a\rb\r\n\r\n", "carriage return alone"},
        {GET "X: a\r\n b\r\n\r\n", "folded line"},
        {GET "X : a\r\n\r\n", "bad field name"},
        {POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "both content length and transfer encoding"},
    };
    struct http_head h;

    (void)state;
    for (size_t i = 0; i < sizeof tricks / sizeof tricks[0]; i++) {
        assert_int_equal(parse(&h, tricks[i].head, strlen(tricks[i].head)), H1_BAD);
        assert_string_equal(h.error_reason, tricks[i].reason);
    }
}

static void a_head_is_views_into_the_bytes(void **state)
{
    static const char text[] = "GET /chat/x?vsn=2.0.0&a=%20 HTTP/1.1\r\n"
                               "Host: Example.com:8080\r\n"
                               "ORIGIN:  https://example.com \t\r\n"
                               "Cookie: a=b\r\n"
                               "cookie: c=d\r\n"
                               "\r\n";
    struct http_head h;

    (void)state;
    assert_int_equal(parse(&h, text, sizeof text - 1), H1_DONE);
    assert_int_equal(h.head_bytes, sizeof text - 1);
    VIEW_EQUAL(h.method, "GET");
    VIEW_EQUAL(h.target, "/chat/x?vsn=2.0.0&a=%20");
    VIEW_EQUAL(h.path, "/chat/x");
    VIEW_EQUAL(h.query, "vsn=2.0.0&a=%20");
    VIEW_EQUAL(h.authority, "Example.com:8080");
    assert_int_equal(h.minor_version, 1);
    assert_int_equal(h.field_count, 4);
    VIEW_EQUAL(h.fields[1].name, "ORIGIN");
    VIEW_EQUAL(http_value(&h, "origin"), "https://example.com");
    assert_ptr_equal(h.fields[0].name.data, text + 38);
    assert_int_equal(http_count(&h, "cookie"), 2);
    VIEW_EQUAL(http_value(&h, "cookie"), "a=b");
    assert_null(http_find(&h, "cook"));
    assert_null(http_value(&h, "x-none").data);
    assert_int_equal(h.content_length, -1);
    assert_false(h.is_chunked);
}

static void an_absolute_target_overrides_host(void **state)
{
    static const struct {
        const char *target, *authority, *path, *query;
    } targets[] = {
        {"http://b.example:81/x?y", "b.example:81", "/x", "y"},
        {"HTTPS://b/", "b", "/", NULL},
        {"http://b", "b", "/", NULL},
        {"http://b?q", "b", "/", "q"},
        {"http://[::1]:80/a?", "[::1]:80", "/a", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        char text[256];
        struct http_head h;
        const int len = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", targets[i].target);
        assert_int_equal(parse(&h, text, (size_t)len), H1_DONE);
        VIEW_EQUAL(h.authority, targets[i].authority);
        VIEW_EQUAL(h.path, targets[i].path);
        if (targets[i].query == NULL)
            assert_null(h.query.data);
        else
            VIEW_EQUAL(h.query, targets[i].query);
    }
}

static void options_for_the_whole_server(void **state)
{
    struct http_head h;
    static const char star[] = "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n";
    static const char absolute[] = "OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n";

    (void)state;
    assert_int_equal(parse(&h, star, sizeof star - 1), H1_DONE);
    VIEW_EQUAL(h.path, "*");
    assert_int_equal(parse(&h, absolute, sizeof absolute - 1), H1_DONE);
    VIEW_EQUAL(h.path, "*");
}

static void what_the_fields_say_about_the_connection(void **state)
{
    static const struct {
        const char *head;
        bool is_persistent, wants_upgrade, expects_continue;
    } heads[] = {
        {GET "\r\n", true, false, false},
        {GET "Connection: close\r\n\r\n", false, false, false},
        {GET "Connection: foo, Close\r\n\r\n", false, false, false},
        {GET "Connection: foo\r\nConnection: close\r\n\r\n", false, false, false},
        {GET "Connection: closed\r\n\r\n", true, false, false},
        {"GET / HTTP/1.0\r\n\r\n", false, false, false},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true, false, false},
        {GET "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n", true, true, false},
        {GET "Connection: upgrade\r\n\r\n", true, false, false},
        {GET "Upgrade: websocket\r\n\r\n", true, false, false},
        {"GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", false, false, false},
        {GET "Expect: 100-Continue\r\n\r\n", true, false, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        struct http_head h;
        assert_int_equal(parse(&h, heads[i].head, strlen(heads[i].head)), H1_DONE);
        if (h.is_persistent != heads[i].is_persistent || h.wants_upgrade != heads[i].wants_upgrade ||
            h.expects_continue != heads[i].expects_continue)
            fail_msg("%s", heads[i].head);
    }
}

static void a_second_request_behind_it_is_left_alone(void **state)
{
    static const char two[] = POST "Content-Length: 2\r\n\r\nhiGET /second HTTP/1.1\r\nHost: b\r\n\r\n";
    const size_t first = strlen(POST "Content-Length: 2\r\n\r\n");
    struct http_head h;

    (void)state;
    assert_int_equal(parse(&h, two, sizeof two - 1), H1_DONE);
    assert_int_equal(h.head_bytes, first);
    assert_int_equal(h.content_length, 2);
    assert_int_equal(parse(&h, two + first + 2, sizeof two - 1 - first - 2), H1_DONE);
    VIEW_EQUAL(h.target, "/second");
}

/* A head of `field_count` fields besides Host, all made of a target and values of the given lengths. */
static size_t build(char *out, size_t target_len, size_t field_count, size_t value_len)
{
    size_t len = (size_t)sprintf(out, "GET /");
    memset(out + len, 't', target_len - 1);
    len += target_len - 1;
    len += (size_t)sprintf(out + len, " HTTP/1.1\r\nHost: a\r\n");
    for (size_t i = 0; i < field_count; i++) {
        len += (size_t)sprintf(out + len, "X: ");
        memset(out + len, 'v', value_len);
        len += value_len;
        len += (size_t)sprintf(out + len, "\r\n");
    }
    return len + (size_t)sprintf(out + len, "\r\n");
}

static void limits_are_exact(void **state)
{
    static const struct h1_limits small = {.head_bytes = 600, .target_bytes = 100, .field_count = 10};
    static const struct {
        size_t target, fields, value;
        uint16_t status;
    } heads[] = {
        {100, 0, 0, 0},  {101, 0, 0, 414}, {700, 0, 0, 414}, {5, 9, 5, 0},
        {5, 10, 5, 431}, {5, 1, 564, 0},   {5, 1, 565, 431}, {5, 1, 5000, 431},
    };

    (void)state;
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        char text[8192];
        struct http_head h;
        const size_t len = build(text, heads[i].target, heads[i].fields, heads[i].value);
        for (size_t piece = 1; piece <= len; piece += len - 1) {
            struct h1_scan scan = {0};
            enum h1_result r = H1_MORE;
            for (size_t have = piece; r == H1_MORE && have <= len; have += piece)
                r = h1_parse_request(&h, &scan, (const uint8_t *)text, have, &small);
            const uint16_t status = r == H1_BAD ? h.error_status : 0;
            if (r == H1_MORE || status != heads[i].status)
                fail_msg("row %zu, %zu bytes in pieces of %zu: result %d status %u", i, len, piece, r, status);
        }
    }
}

/* Long before it fills the room for a whole head. */
static void an_endless_request_line_is_refused_early(void **state)
{
    static const struct h1_limits narrow = {.head_bytes = 16384, .target_bytes = 100, .field_count = 10};
    struct h1_scan scan = {0};
    struct http_head h;
    char text[200];

    (void)state;
    memset(text, 'a', sizeof text);
    assert_int_equal(h1_parse_request(&h, &scan, (uint8_t *)text, 100, &narrow), H1_MORE);
    assert_int_equal(h1_parse_request(&h, &scan, (uint8_t *)text, sizeof text, &narrow), H1_BAD);
    assert_int_equal(h.error_status, 414);
}

/* A reader with a buffer of head_bytes must never be told to read more when it is full. */
static void a_full_buffer_is_never_asked_for_more(void **state)
{
    char text[600];
    static const struct h1_limits small = {.head_bytes = sizeof text, .target_bytes = 1000, .field_count = 10};
    struct h1_scan scan = {0};
    struct http_head h;

    (void)state;
    memset(text, 'a', sizeof text);
    assert_int_equal(h1_parse_request(&h, &scan, (uint8_t *)text, sizeof text - 1, &small), H1_MORE);
    assert_int_equal(h1_parse_request(&h, &scan, (uint8_t *)text, sizeof text, &small), H1_BAD);
    assert_int_equal(h.error_status, 414);
}

static void the_bytes_may_move_between_calls(void **state)
{
    static const char text[] = GET "X: y\r\n\r\n";
    struct h1_scan scan = {0};
    struct http_head h;
    char first[sizeof text], second[sizeof text];

    (void)state;
    memcpy(first, text, sizeof text);
    memcpy(second, text, sizeof text);
    assert_int_equal(h1_parse_request(&h, &scan, (uint8_t *)first, 20, &limits), H1_MORE);
    memset(first, 0, sizeof first);
    assert_int_equal(h1_parse_request(&h, &scan, (uint8_t *)second, sizeof text - 1, &limits), H1_DONE);
    VIEW_EQUAL(http_value(&h, "x"), "y");
}

static void lists_are_taken_apart(void **state)
{
    static const char text[] = " a ,,\tb c\t, ,d";
    struct http_view list = {text, sizeof text - 1}, element;

    (void)state;
    assert_true(http_list_next(&list, &element));
    VIEW_EQUAL(element, "a");
    assert_true(http_list_next(&list, &element));
    VIEW_EQUAL(element, "b c");
    assert_true(http_list_next(&list, &element));
    VIEW_EQUAL(element, "d");
    assert_false(http_list_next(&list, &element));
    list = (struct http_view){text, sizeof text - 1};
    assert_true(http_list_has(list, http_view_of("a")));
    assert_true(http_list_has(list, http_view_of("B C")));
    assert_false(http_list_has(list, http_view_of("b")));
    assert_false(http_list_has(list, http_view_of("")));
}

/* Bytes are looked at several at a time: neither where one stands nor what stands beside it may change what it is. */
static void a_byte_is_judged_alike_wherever_it_stands(void **state)
{
    static const uint8_t beside[] = {' ', 0x7e, 0x80, 0xa0, 0xff};

    (void)state;
    for (unsigned c = 0; c <= 0xff; c++) {
        const bool is_allowed = (c >= 0x20 && c != 0x7f) || c == '\t';
        for (size_t at = 0; at < 36; at++) {
            for (size_t i = 0; i < sizeof beside; i++) {
                uint8_t text[96] = GET "X:x";
                const size_t from = strlen((char *)text);
                struct http_head h;
                memset(text + from, beside[i], 36);
                text[from + at] = (uint8_t)c;
                memcpy(text + from + 36, "x\r\n\r\n", 5);
                assert_int_equal(parse(&h, text, from + 41), is_allowed ? H1_DONE : H1_BAD);
            }
        }
    }
}

static void many_connection_options_are_refused(void **state)
{
    char text[1024] = GET "Connection: a";
    struct http_head h;

    (void)state;
    for (unsigned i = 1; i < HTTP_MAX_OPTIONS; i++)
        strcat(text, ",a");
    const size_t len = strlen(text);
    strcpy(text + len, "\r\n\r\n");
    assert_int_equal(parse(&h, text, strlen(text)), H1_DONE);
    strcpy(text + len, ",a\r\n\r\n");
    assert_int_equal(parse(&h, text, strlen(text)), H1_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_head_is_accepted_or_refused),
        cmocka_unit_test(what_can_never_be_a_head_is_refused_at_once),
        cmocka_unit_test(the_log_learns_which_trick_it_was),
        cmocka_unit_test(a_head_is_views_into_the_bytes),
        cmocka_unit_test(an_absolute_target_overrides_host),
        cmocka_unit_test(options_for_the_whole_server),
        cmocka_unit_test(what_the_fields_say_about_the_connection),
        cmocka_unit_test(a_second_request_behind_it_is_left_alone),
        cmocka_unit_test(limits_are_exact),
        cmocka_unit_test(an_endless_request_line_is_refused_early),
        cmocka_unit_test(a_full_buffer_is_never_asked_for_more),
        cmocka_unit_test(the_bytes_may_move_between_calls),
        cmocka_unit_test(lists_are_taken_apart),
        cmocka_unit_test(a_byte_is_judged_alike_wherever_it_stands),
        cmocka_unit_test(many_connection_options_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
