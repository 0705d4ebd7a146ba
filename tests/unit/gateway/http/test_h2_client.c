/* Requests to HTTP/2 servers that answer with frames written by hand: what is understood, what resets a stream, and of
 * every request that was lost, whether it may be made again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/gateway/http/h2_origin.h"

/* ---- heads ---- */

struct field {
    const char *name;
    const char *value;
    size_t value_len;
};
#define F(name, value)                                                                                                 \
    {                                                                                                                  \
        name, value, sizeof(value) - 1                                                                                 \
    }
#define OK F(":status", "200")

/* clang-format off */
static const struct {
    const char *what;
    bool is_good;
    bool has_body;
    struct field fields[4];
} rows[] = {
    {"plain", true, false, {OK}},
    {"plain with a body to come", true, true, {OK}},
    {"error", true, false, {F(":status", "503"), F("retry-after", "1")}},
    {"length zero", true, false, {OK, F("content-length", "0")}},
    {"no status", false, false, {F("x", "y")}},
    {"two statuses", false, false, {OK, OK}},
    {"101", false, true, {F(":status", "101")}},
    {"099", false, false, {F(":status", "099")}},
    {"600", false, false, {F(":status", "600")}},
    {"20", false, false, {F(":status", "20")}},
    {"2000", false, false, {F(":status", "2000")}},
    {"2x0", false, false, {F(":status", "2x0")}},
    {"status behind a field", false, false, {F("x", "y"), OK}},
    {"pseudo-header of requests", false, false, {OK, F(":path", "/")}},
    {"name in capitals", false, false, {OK, F("Server", "x")}},
    {"space in a name", false, false, {OK, F("x y", "z")}},
    {"empty name", false, false, {OK, F("", "z")}},
    {"line end in a value", false, false, {OK, F("x", "y\r\nset-cookie: a=b")}},
    {"NUL in a value", false, false, {OK, F("x", "y\0z")}},
    {"space before a value", false, false, {OK, F("x", " y")}},
    {"connection", false, false, {OK, F("connection", "close")}},
    {"transfer-encoding", false, true, {OK, F("transfer-encoding", "chunked")}},
    {"upgrade", false, false, {OK, F("upgrade", "websocket")}},
    {"keep-alive", false, false, {OK, F("keep-alive", "timeout=5")}},
    {"two lengths", false, true, {OK, F("content-length", "5"), F("content-length", "5")}},
    {"signed length", false, true, {OK, F("content-length", "-5")}},
    {"more than 18 digits", false, true, {OK, F("content-length", "1000000000000000000")}},
    {"a length, and nothing comes", false, false, {OK, F("content-length", "5")}},
    {"the last interim answer", false, false, {F(":status", "103")}},
};
/* clang-format on */

static void test_heads(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pair p;
        struct wire block = {.len = 0};
        start(&p);
        assert_non_null(get(&p));
        fetch(&p);
        assert_string_equal(sent(&p), "HEADERS:1$");
        for (size_t f = 0; f < 4 && rows[i].fields[f].name != NULL; f++)
            wire_field_n(&block, rows[i].fields[f].name, strlen(rows[i].fields[f].name), rows[i].fields[f].value,
                         rows[i].fields[f].value_len);
        wire_frame(&p.in, HEADERS, END_HEADERS | (rows[i].has_body ? 0 : END_STREAM), 1, block.data, block.len);
        exchange(&p);
        const bool is_reset = strcmp(sent(&p), "RST_STREAM:1=PROTOCOL_ERROR") == 0;
        if (is_reset == rows[i].is_good || (is_reset && strcmp(p.log, "close PROTOCOL_ERROR ") != 0))
            fail_msg("%s: %s / %s", rows[i].what, p.log, sent(&p));
        assert_null(h2_client_failure(p.client));
        stop(&p);
    }
}

static void test_interim_answers(void **state)
{
    struct pair p;
    (void)state;
    start(&p);
    get(&p);
    get(&p);
    fetch(&p);
    wire_headers(&p.in, 1, 0, ":status", "100", NULL);
    wire_headers(&p.in, 1, 0, ":status", "103", "link", "</x>", NULL);
    wire_headers(&p.in, 1, 0, ":status", "200", NULL);
    wire_frame(&p.in, DATA, 0, 1, "hello", 5);
    wire_headers(&p.in, 1, END_STREAM, "x-sum", "1", NULL);
    exchange(&p);
    assert_string_equal(p.log, "interim 100 interim 103 200+ data 5 end close NO_ERROR ");

    for (int i = 0; i < 17; i++)
        wire_headers(&p.in, 3, 0, ":status", "103", NULL);
    exchange(&p);
    assert_string_equal(sent(&p), "RST_STREAM:3=ENHANCE_YOUR_CALM");
    assert_non_null(strstr(p.log, "interim 103 close ENHANCE_YOUR_CALM "));
    stop(&p);
}

static void test_large_heads(void **state)
{
    char text[16001];
    struct pair p;
    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    start(&p);
    get(&p);
    fetch(&p);
    for (int i = 0; i < 5; i++) {
        struct wire block = {.len = 0};
        if (i == 0)
            wire_field(&block, ":status", "200");
        wire_field(&block, "x", text);
        wire_frame(&p.in, i == 0 ? HEADERS : CONTINUATION,
                   i == 0   ? END_STREAM
                   : i == 4 ? END_HEADERS
                            : 0,
                   1, block.data, block.len);
    }
    exchange(&p);
    assert_string_equal(p.log, "close ENHANCE_YOUR_CALM ");
    assert_null(h2_client_failure(p.client));
    stop(&p);
}

/* A head that no peer would take never leaves, and is not tried elsewhere. */
static void test_request_too_large(void **state)
{
    static char text[140000];
    struct http_head h;
    struct pair p;
    (void)state;
    memset(text, 'x', sizeof text - 1);
    start(&p);
    head_of(&h, "GET");
    http_head_add(&h, http_view_of("x"), http_view_of(text));
    assert_non_null(h2_client_request(p.client, &h, "https", false, NULL));
    p.log_len = 0;
    fetch(&p);
    assert_string_equal(p.log, "close INTERNAL_ERROR ");
    assert_string_equal(sent(&p), "");
    get(&p);
    fetch(&p);
    assert_string_equal(sent(&p), "HEADERS:3$");
    stop(&p);
}

/* ---- bodies ---- */

static void test_bodies(void **state)
{
    struct pair p;
    (void)state;
    start(&p);
    for (int i = 0; i < 5; i++)
        get(&p);
    struct h2_stream *head_request = request(&p, "HEAD", false);
    assert_int_equal(h2_stream_id(head_request), 11);
    fetch(&p);

    wire_headers(&p.in, 1, 0, ":status", "200", "content-length", "5", NULL);
    wire_frame(&p.in, DATA, END_STREAM, 1, "hello!", 6);
    exchange(&p);
    assert_string_equal(p.log, "200+ close PROTOCOL_ERROR ");
    wire_headers(&p.in, 3, 0, ":status", "200", "content-length", "5", NULL);
    wire_frame(&p.in, DATA, END_STREAM, 3, "hell", 4);
    exchange(&p);
    assert_string_equal(p.log, "200+ data 4 close PROTOCOL_ERROR ");
    wire_headers(&p.in, 5, 0, ":status", "204", NULL);
    wire_frame(&p.in, DATA, END_STREAM, 5, "x", 1);
    exchange(&p);
    assert_string_equal(p.log, "204+ close PROTOCOL_ERROR ");
    wire_headers(&p.in, 7, 0, ":status", "200", NULL);
    wire_headers(&p.in, 7, 0, "x", "y", NULL); /* trailers that end nothing */
    exchange(&p);
    assert_string_equal(p.log, "200+ close PROTOCOL_ERROR ");
    wire_headers(&p.in, 9, 0, ":status", "200", NULL);
    wire_frame(&p.in, DATA, 0, 9, "hello", 5);
    wire_frame_u32(&p.in, RST_STREAM, 9, H2_NO_ERROR); /* what came is not all, whatever it says */
    exchange(&p);
    assert_string_equal(p.log, "200+ data 5 close CANCEL ");
    wire_headers(&p.in, 11, END_STREAM, ":status", "200", "content-length", "5", NULL);
    exchange(&p);
    assert_string_equal(p.log, "200 close NO_ERROR ");

    /* What still comes for streams that are gone is read over. */
    wire_frame(&p.in, DATA, END_STREAM, 1, "late", 4);
    wire_headers(&p.in, 3, END_STREAM, "x", "y", NULL);
    exchange(&p);
    assert_string_equal(p.log, "");
    assert_null(h2_client_failure(p.client));
    stop(&p);
}

static void test_answer_before_the_request_ends(void **state)
{
    struct pair p;
    (void)state;
    start(&p);
    struct h2_stream *st = request(&p, "POST", true);
    h2_stream_send(st, "hello", 5);
    fetch(&p);
    assert_string_equal(sent(&p), "HEADERS:1 DATA:1(5)");
    wire_headers(&p.in, 1, END_STREAM, ":status", "413", NULL);
    exchange(&p);
    assert_string_equal(p.log, "413 ");
    wire_frame_u32(&p.in, RST_STREAM, 1, H2_NO_ERROR);
    exchange(&p);
    assert_string_equal(p.log, "close NO_ERROR ");
    stop(&p);
}

static void test_reset_by_owner(void **state)
{
    struct pair p;
    (void)state;
    start(&p);
    struct h2_stream *early = get(&p); /* before it has left */
    h2_stream_reset(&early, H2_CANCEL);
    assert_null(early);
    fetch(&p);
    assert_string_equal(sent(&p), "");
    struct h2_stream *st = request(&p, "POST", true);
    h2_stream_send(st, "hello", 5);
    fetch(&p);
    h2_stream_send(st, "more", 4);
    h2_stream_reset(&st, H2_CANCEL);
    fetch(&p);
    assert_string_equal(sent(&p), "RST_STREAM:3=CANCEL");
    assert_int_equal(h2_client_stream_count(p.client), 0);
    stop(&p);
    assert_string_equal(p.log, "settings ");
}

/* ---- what may be tried again ---- */

static void test_unprocessed(void **state)
{
    struct pair p;
    (void)state;
    start(&p);
    for (int i = 0; i < 5; i++)
        get(&p);
    fetch(&p);
    wire_frame_u32(&p.in, RST_STREAM, 1, H2_REFUSED_STREAM);
    exchange(&p);
    assert_string_equal(p.log, "close REFUSED_STREAM! ");
    wire_headers(&p.in, 3, 0, ":status", "200", NULL);
    wire_frame_u32(&p.in, RST_STREAM, 3, H2_REFUSED_STREAM);
    exchange(&p);
    assert_string_equal(p.log, "200+ close REFUSED_STREAM ");
    wire_frame_u32(&p.in, RST_STREAM, 5, H2_INTERNAL_ERROR);
    exchange(&p);
    assert_string_equal(p.log, "close INTERNAL_ERROR ");

    get(&p); /* 11 */
    wire_frame(&p.in, GOAWAY, 0, 0, "\0\0\0\7\0\0\0\0", 8);
    exchange(&p);
    assert_string_equal(p.log, "goaway NO_ERROR close REFUSED_STREAM! close REFUSED_STREAM! ");
    assert_false(h2_client_can_request(p.client));
    assert_null(get(&p));
    assert_int_equal(h2_client_stream_count(p.client), 1);
    wire_headers(&p.in, 7, END_STREAM, ":status", "200", NULL);
    exchange(&p);
    assert_string_equal(p.log, "200 close NO_ERROR ");
    assert_true(h2_client_is_over(p.client));
    stop(&p);

    start(&p); /* the connection is lost */
    get(&p);
    fetch(&p);
    get(&p);
    p.log_len = 0;
    stop(&p);
    assert_string_equal(p.log, "close CANCEL close CANCEL! ");
}

static void test_settings(void **state)
{
    struct http_head h;
    struct pair p;
    (void)state;
    create(&p);
    assert_false(h2_client_has_settings(p.client));
    assert_true(h2_client_can_request(p.client));
    head_of(&h, "CONNECT");
    h.protocol = http_view_of("websocket");
    assert_null(h2_client_request(p.client, &h, "https", true, NULL));
    fetch(&p);

    wire_setting(&p.in, 8, 1); /* SETTINGS_ENABLE_CONNECT_PROTOCOL */
    wire_setting(&p.in, 3, 2); /* SETTINGS_MAX_CONCURRENT_STREAMS */
    exchange(&p);
    assert_string_equal(p.log, "settings settings ");
    assert_true(h2_client_serves_connect(p.client));
    assert_int_equal(h2_client_max_streams(p.client), 2);
    struct h2_stream *tunnel = h2_client_request(p.client, &h, "https", true, NULL);
    get(&p);
    assert_false(h2_client_can_request(p.client));
    assert_null(get(&p));
    fetch(&p);
    assert_string_equal(sent(&p), "HEADERS:1 HEADERS:3$");
    wire_headers(&p.in, 1, 0, ":status", "200", NULL);
    wire_frame(&p.in, DATA, 0, 1, "hello", 5);
    exchange(&p);
    assert_string_equal(p.log, "200+ data 5 ");
    h2_stream_send(tunnel, "hi", 2);
    fetch(&p);
    assert_string_equal(sent(&p), "DATA:1(2)");

    wire_setting(&p.in, 8, 0); /* what was announced cannot be taken back */
    exchange(&p);
    assert_string_equal(sent(&p), "GOAWAY=PROTOCOL_ERROR");
    assert_true(h2_client_is_over(p.client));
    stop(&p);
}

static void test_ping_and_goodbye(void **state)
{
    struct pair p;
    (void)state;
    start(&p);
    h2_client_ping(p.client);
    h2_client_ping(p.client);
    fetch(&p);
    assert_string_equal(sent(&p), "PING");
    wire_frame(&p.in, PING, ACK, 0, "\0\0\0\0\0\0\0\0", 8);
    wire_frame(&p.in, PING, ACK, 0, "\0\0\0\0\0\0\0\0", 8); /* of nothing */
    exchange(&p);
    assert_string_equal(p.log, "pong ");

    get(&p);
    h2_client_goaway(p.client);
    assert_false(h2_client_can_request(p.client));
    fetch(&p);
    wire_headers(&p.in, 1, END_STREAM, ":status", "200", NULL);
    exchange(&p);
    assert_string_equal(p.log, "200 close NO_ERROR ");
    assert_true(h2_client_is_over(p.client));
    assert_null(h2_client_failure(p.client));
    stop(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads),          cmocka_unit_test(test_interim_answers),
        cmocka_unit_test(test_large_heads),    cmocka_unit_test(test_request_too_large),
        cmocka_unit_test(test_bodies),         cmocka_unit_test(test_answer_before_the_request_ends),
        cmocka_unit_test(test_reset_by_owner), cmocka_unit_test(test_unprocessed),
        cmocka_unit_test(test_settings),       cmocka_unit_test(test_ping_and_goodbye),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
