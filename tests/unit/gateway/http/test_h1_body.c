/* Bodies: where they end and what is in them, whole and in every cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/http/h1_body.h"

static const struct h1_limits limits = H1_LIMITS_DEFAULT;

static struct h1_body body_of_response(const char *head, bool is_answer_to_head)
{
    struct http_head h;
    struct h1_scan scan = {0};
    struct h1_body b;
    assert_int_equal(h1_parse_response(&h, &scan, (const uint8_t *)head, strlen(head), &limits), H1_DONE);
    h1_body_init_response(&b, &h, is_answer_to_head);
    return b;
}

static struct h1_body chunked_body(void)
{
    return body_of_response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false);
}

/* Feeds `len` bytes in pieces; gathers the content; *total: how many belonged to the body. */
static enum h1_result feed(struct h1_body *b, const char *data, size_t len, size_t piece, char *content, size_t *total)
{
    enum h1_result r = H1_MORE;
    size_t content_len = 0;
    *total = 0;
    while (*total < len && r == H1_MORE) {
        const size_t have = len - *total < piece ? len - *total : piece;
        struct http_view run;
        size_t used;
        r = h1_body_feed(b, (const uint8_t *)data + *total, have, &used, &run);
        assert_true(used <= have && run.len <= used);
        assert_true(r != H1_MORE || used > 0);
        memcpy(content + content_len, run.data, run.len);
        content_len += run.len;
        *total += used;
    }
    content[content_len] = '\0';
    return r;
}

static void the_kind_follows_the_head(void **state)
{
    static const struct {
        const char *head;
        bool is_answer_to_head;
        enum h1_body_kind kind;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", false, H1_BODY_LENGTH},
        {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", true, H1_BODY_NONE},
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, H1_BODY_NONE},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, H1_BODY_CHUNKED},
        {"HTTP/1.1 200 OK\r\n\r\n", false, H1_BODY_UNTIL_CLOSE},
        {"HTTP/1.1 204 No\r\nContent-Length: 3\r\n\r\n", false, H1_BODY_NONE},
        {"HTTP/1.1 304 No\r\nContent-Length: 3\r\n\r\n", false, H1_BODY_NONE},
        {"HTTP/1.1 101 Go\r\n\r\n", false, H1_BODY_NONE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(body_of_response(rows[i].head, rows[i].is_answer_to_head).kind, rows[i].kind);
}

static void a_request_without_framing_has_no_body(void **state)
{
    static const char head[] = "POST / HTTP/1.1\r\nHost: a\r\n\r\n";
    struct http_head h;
    struct h1_scan scan = {0};
    struct h1_body b;

    (void)state;
    assert_int_equal(h1_parse_request(&h, &scan, (const uint8_t *)head, sizeof head - 1, &limits), H1_DONE);
    h1_body_init_request(&b, &h);
    assert_int_equal(b.kind, H1_BODY_NONE);
}

static void a_body_of_known_length(void **state)
{
    (void)state;
    for (size_t piece = 1; piece <= 9; piece++) {
        struct h1_body b = body_of_response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false);
        char content[16];
        size_t total;
        assert_int_equal(feed(&b, "hell", 4, piece, content, &total), H1_MORE);
        assert_false(h1_body_may_end(&b));
        assert_int_equal(feed(&b, "o and more", 10, piece, content, &total), H1_DONE);
        assert_int_equal(total, 1);
        assert_string_equal(content, "o");
        assert_true(h1_body_may_end(&b));
    }
}

static void a_body_until_close_ends_only_there(void **state)
{
    struct h1_body b = body_of_response("HTTP/1.1 200 OK\r\n\r\n", false);
    char content[16];
    size_t total;

    (void)state;
    assert_int_equal(feed(&b, "anything", 8, 3, content, &total), H1_MORE);
    assert_string_equal(content, "anything");
    assert_true(h1_body_may_end(&b));
}

static const struct {
    const char *what;
    const char *body;
    const char *content; /* NULL: refused */
} chunked_rows[] = {
    {"one chunk", "5\r\nhello\r\n0\r\n\r\n", "hello"},
    {"two chunks", "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world"},
    {"none", "0\r\n\r\n", ""},
    {"hexadecimal of both cases", "A\r\n0123456789\r\nb\r\nabcdefghijk\r\n0\r\n\r\n", "0123456789abcdefghijk"},
    {"leading zeros", "0005\r\nhello\r\n000\r\n\r\n", "hello"},
    {"line ends inside the data", "4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n"},
    {"extension", "5;a=b\r\nhello\r\n0;last\r\n\r\n", "hello"},
    {"quoted extension", "5 ; a=\"b;c\"\r\nhello\r\n0\r\n\r\n", "hello"},
    {"trailers", "5\r\nhello\r\n0\r\nA: b\r\nC: d\r\n\r\n", "hello"},
    {"no size", "\r\nhello\r\n", NULL},
    {"no size for the second chunk", "1\r\na\r\n\r\n\r\n", NULL},
    {"long sizes in every chunk", "0000000001\r\na\r\n0000000001\r\nb\r\n0000000000\r\n\r\n", "ab"},
    {"a sign", "+5\r\nhello\r\n", NULL},
    {"0x", "0x5\r\nhello\r\n", NULL},
    {"white space behind the size", "5 \t\r\nhello\r\n0 \r\n\r\n", "hello"},
    {"another size behind the size", "5 5\r\nhello\r\n0\r\n\r\n", NULL},
    {"space before the size", " 5\r\nhello\r\n", NULL},
    {"size too large", "10000000000000000\r\n", NULL},
    {"bare LF behind the size", "5\nhello\r\n", NULL},
    {"bare LF behind an extension", "5;a\nhello\r\n", NULL},
    {"bare CR in an extension", "5;a\rb\r\nhello\r\n", NULL},
    {"NUL-like byte in an extension", "5;\x01\r\nhello\r\n", NULL},
    {"data longer than the size", "4\r\nhello\r\n0\r\n\r\n", NULL},
    {"data without a line end", "5\r\nhello0\r\n\r\n", NULL},
    {"bare LF behind the data", "5\r\nhello\n0\r\n\r\n", NULL},
    {"bare LF in trailers", "0\r\nA: b\n\r\n", NULL},
    {"bare LF at the end", "0\r\n\n", NULL},
};

static void each_chunked_body_is_read_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof chunked_rows / sizeof chunked_rows[0]; i++) {
        const size_t len = strlen(chunked_rows[i].body);
        for (size_t piece = 1; piece <= len; piece++) {
            struct h1_body b = chunked_body();
            char text[256], content[256];
            size_t total;
            snprintf(text, sizeof text, "%sGET / HTTP/1.1", chunked_rows[i].body);
            const enum h1_result r = feed(&b, text, strlen(text), piece, content, &total);
            if (r != (chunked_rows[i].content != NULL ? H1_DONE : H1_BAD))
                fail_msg("%s in pieces of %zu: result %d", chunked_rows[i].what, piece, r);
            if (r == H1_DONE && (total != len || strcmp(content, chunked_rows[i].content) != 0))
                fail_msg("%s in pieces of %zu: %zu bytes, %s", chunked_rows[i].what, piece, total, content);
            if (r == H1_BAD)
                assert_non_null(b.error_reason);
        }
    }
}

static void a_chunked_body_may_not_end_early(void **state)
{
    static const char text[] = "5\r\nhello\r\n0\r\nA: b\r\n\r\n";

    (void)state;
    for (size_t len = 0; len < sizeof text - 1; len++) {
        struct h1_body b = chunked_body();
        char content[64];
        size_t total;
        assert_int_equal(feed(&b, text, len, len + 1, content, &total), H1_MORE);
        assert_false(h1_body_may_end(&b));
    }
}

/* Feeds `begin`, then `len` times 'x'; true when it was refused. */
static bool is_refused(const char *begin, size_t len)
{
    struct h1_body b = chunked_body();
    struct http_view content;
    size_t used;
    enum h1_result r = h1_body_feed(&b, (const uint8_t *)begin, strlen(begin), &used, &content);
    for (size_t i = 0; i < len && r == H1_MORE; i++)
        r = h1_body_feed(&b, (const uint8_t *)"x", 1, &used, &content);
    return r == H1_BAD;
}

static void extensions_and_trailers_are_bounded(void **state)
{
    (void)state;
    assert_false(is_refused("5;", H1_BODY_EXTENSION_BYTES));
    assert_true(is_refused("5;", H1_BODY_EXTENSION_BYTES + 1));
    assert_false(is_refused("0\r\n", H1_BODY_TRAILER_BYTES));
    assert_true(is_refused("0\r\n", H1_BODY_TRAILER_BYTES + 1));
    assert_false(is_refused("0;extension\r\n", H1_BODY_TRAILER_BYTES)); /* each counts by itself */
}

static void extensions_are_bounded_over_all_chunks(void **state)
{
    static const char chunk[] = "1;xxxxxxx\r\na\r\n"; /* 7 bytes of extension */
    struct h1_body b = chunked_body();
    enum h1_result r = H1_MORE;
    size_t chunk_count = 0, total;
    char content[16];

    (void)state;
    for (; r == H1_MORE && chunk_count < 10000; chunk_count++)
        r = feed(&b, chunk, sizeof chunk - 1, sizeof chunk, content, &total);
    assert_int_equal(r, H1_BAD);
    assert_int_equal(chunk_count, H1_BODY_EXTENSION_BYTES / 7 + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_kind_follows_the_head),
        cmocka_unit_test(a_request_without_framing_has_no_body),
        cmocka_unit_test(a_body_of_known_length),
        cmocka_unit_test(a_body_until_close_ends_only_there),
        cmocka_unit_test(each_chunked_body_is_read_or_refused),
        cmocka_unit_test(a_chunked_body_may_not_end_early),
        cmocka_unit_test(extensions_and_trailers_are_bounded),
        cmocka_unit_test(extensions_are_bounded_over_all_chunks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
