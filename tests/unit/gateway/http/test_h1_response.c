/* Response heads: the status line, interim answers, framing; whatever is wrong with one is a 502 for the client. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/http/h1.h"

static const struct h1_limits limits = H1_LIMITS_DEFAULT;

static enum h1_result parse(struct http_head *h, const char *text)
{
    struct h1_scan scan = {0};
    return h1_parse_response(h, &scan, (const uint8_t *)text, strlen(text), &limits);
}

static const struct {
    const char *what;
    uint16_t status; /* 0: refused */
    const char *head;
} rows[] = {
    {"plain", 200, "HTTP/1.1 200 OK\r\n\r\n"},
    {"switching protocols", 101, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"},
    {"interim", 100, "HTTP/1.1 100 Continue\r\n\r\n"},
    {"early hints", 103, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"},
    {"empty phrase", 204, "HTTP/1.1 204 \r\n\r\n"},
    {"no phrase, no space", 429, "HTTP/1.1 429\r\n\r\n"},
    {"phrase of several words", 404, "HTTP/1.0 404 Not Found\r\n\r\n"},
    {"phrase above ASCII", 200, "HTTP/1.1 200 tr\xc3\xa8s bien\r\n\r\n"},
    {"unknown but well-formed", 599, "HTTP/1.1 599 What\r\n\r\n"},
    {"no version", 0, "200 OK\r\n\r\n"},
    {"HTTP/2", 0, "HTTP/2 200 OK\r\n\r\n"},
    {"HTTP/2.0", 0, "HTTP/2.0 200 OK\r\n\r\n"},
    {"two digits", 0, "HTTP/1.1 20 OK\r\n\r\n"},
    {"four digits", 0, "HTTP/1.1 2000 OK\r\n\r\n"},
    {"a letter", 0, "HTTP/1.1 2x0 OK\r\n\r\n"},
    {"below 100", 0, "HTTP/1.1 099 No\r\n\r\n"},
    {"above 599", 0, "HTTP/1.1 600 No\r\n\r\n"},
    {"two spaces", 0, "HTTP/1.1  200 OK\r\n\r\n"},
    {"bare LF", 0, "HTTP/1.1 200 OK\n\r\n"},
    {"an empty line first", 0, "\r\nHTTP/1.1 200 OK\r\n\r\n"},
    {"folded", 0, "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n"},
    {"both framings", 0, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {"two lengths", 0, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"},
    {"unknown coding", 0, "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"},
};

static void each_head_is_accepted_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct http_head h;
        const enum h1_result r = parse(&h, rows[i].head);
        if (r != (rows[i].status != 0 ? H1_DONE : H1_BAD))
            fail_msg("%s: result %d", rows[i].what, r);
        if (r == H1_DONE && h.status != rows[i].status)
            fail_msg("%s: status %u", rows[i].what, h.status);
        if (r == H1_BAD && (h.error_status != 502 || h.error_reason == NULL))
            fail_msg("%s: refused with %u", rows[i].what, h.error_status);

        struct h1_scan scan = {0};
        enum h1_result slow = H1_MORE;
        for (size_t have = 1; slow == H1_MORE && have <= strlen(rows[i].head); have++)
            slow = h1_parse_response(&h, &scan, (const uint8_t *)rows[i].head, have, &limits);
        if (slow != r)
            fail_msg("%s, byte by byte: result %d", rows[i].what, slow);
    }
}

static void the_parts_of_a_head(void **state)
{
    static const char text[] = "HTTP/1.1 403 Not For You\r\nContent-Length: 12\r\nConnection: close\r\n\r\nbody";
    struct http_head h;

    (void)state;
    assert_int_equal(parse(&h, text), H1_DONE);
    assert_int_equal(h.head_bytes, sizeof text - 1 - 4);
    assert_true(http_view_is(h.reason, "Not For You"));
    assert_int_equal(h.content_length, 12);
    assert_false(h.is_persistent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_head_is_accepted_or_refused),
        cmocka_unit_test(the_parts_of_a_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
