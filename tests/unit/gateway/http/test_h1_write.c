/* Heads as text: what is written, what is left out, and what is not written at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/http/h1.h"
#include "gateway/http/h1_write.h"

static void add(struct http_head *h, const char *name, const char *value)
{
    assert_true(http_head_add(h, http_view_of(name), http_view_of(value)));
}

static struct http_head answer(uint16_t status)
{
    struct http_head h;
    http_head_clear(&h);
    h.status = status;
    return h;
}

static void expect_answer(const struct http_head *h, struct h1_write w, const char *text)
{
    struct strbuf out;
    strbuf_init(&out, 4096);
    assert_true(h1_write_response(&out, h, &w));
    assert_string_equal(out.data, text);
    strbuf_fini(&out);
}

static void an_answer_says_how_it_is_framed(void **state)
{
    struct http_head h = answer(200);
    (void)state;
    add(&h, "Content-Type", "text/plain");
    expect_answer(&h, (struct h1_write){.framing = H1_FRAMING_LENGTH, .content_length = 12},
                  "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\n");
    expect_answer(&h, (struct h1_write){.framing = H1_FRAMING_CHUNKED},
                  "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n");
    expect_answer(&h, (struct h1_write){.framing = H1_FRAMING_CLOSE, .connection = H1_CONNECTION_CLOSE},
                  "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n");
    expect_answer(&h, (struct h1_write){.connection = H1_CONNECTION_KEEP_ALIVE},
                  "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: keep-alive\r\n\r\n");
    expect_answer(&h, (struct h1_write){.framing = H1_FRAMING_LENGTH, .content_length = UINT64_MAX},
                  "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 18446744073709551615\r\n\r\n");
}

static void the_reason_is_the_servers_own_if_it_gave_one(void **state)
{
    struct http_head h = answer(404);
    (void)state;
    expect_answer(&h, (struct h1_write){.framing = H1_FRAMING_NONE}, "HTTP/1.1 404 Not Found\r\n\r\n");
    h.reason = http_view_of("Not Here");
    expect_answer(&h, (struct h1_write){.framing = H1_FRAMING_NONE}, "HTTP/1.1 404 Not Here\r\n\r\n");
    h.reason = http_view_of("");
    expect_answer(&h, (struct h1_write){.framing = H1_FRAMING_NONE}, "HTTP/1.1 404 \r\n\r\n");
}

static void what_belongs_to_the_connection_is_the_writers(void **state)
{
    struct http_head h = answer(200);
    (void)state;
    add(&h, "Connection", "keep-alive, x");
    add(&h, "content-length", "7");
    add(&h, "Transfer-Encoding", "gzip, chunked");
    add(&h, "Keep-Alive", "timeout=5");
    add(&h, "Proxy-Connection", "close");
    add(&h, "Content-Length-Of", "it");
    expect_answer(&h, (struct h1_write){.framing = H1_FRAMING_LENGTH, .content_length = 3},
                  "HTTP/1.1 200 OK\r\nContent-Length-Of: it\r\nContent-Length: 3\r\n\r\n");
}

static void an_upgrade_names_itself_in_connection(void **state)
{
    struct http_head h = answer(101);
    (void)state;
    add(&h, "Upgrade", "websocket");
    expect_answer(&h, (struct h1_write){.framing = H1_FRAMING_NONE},
                  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    h.status = 426;
    expect_answer(&h, (struct h1_write){.framing = H1_FRAMING_LENGTH, .connection = H1_CONNECTION_CLOSE},
                  "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nContent-Length: 0\r\n"
                  "Connection: Upgrade, close\r\n\r\n");
}

static struct http_head request(void)
{
    struct http_head h;
    http_head_clear(&h);
    h.method = http_view_of("POST");
    h.target = http_view_of("http://other/elsewhere");
    h.path = http_view_of("/a/b");
    h.query = http_view_of("c=d");
    h.authority = http_view_of("example.com:8080");
    return h;
}

static void a_request_says_where_it_goes_and_to_whom(void **state)
{
    struct http_head h = request();
    struct h1_write w = {.framing = H1_FRAMING_CHUNKED};
    struct strbuf out;
    (void)state;
    add(&h, "Accept", "*/*");
    add(&h, "Host", "another.example.com"); /* the authority speaks for the host */
    strbuf_init(&out, 4096);
    assert_true(h1_write_request(&out, &h, &w));
    assert_string_equal(out.data, "POST /a/b?c=d HTTP/1.1\r\nHost: example.com:8080\r\nAccept: */*\r\n"
                                  "Transfer-Encoding: chunked\r\n\r\n");
    strbuf_fini(&out);

    h.authority.data = NULL;
    h.query = http_view_of("");
    w.framing = H1_FRAMING_NONE;
    assert_true(h1_write_request(&out, &h, &w));
    assert_string_equal(out.data, "POST /a/b? HTTP/1.1\r\nHost: another.example.com\r\nAccept: */*\r\n\r\n");
    strbuf_fini(&out);
}

static void what_was_written_is_read_back_as_the_same(void **state)
{
    static const struct h1_limits limits = H1_LIMITS_DEFAULT;
    struct http_head h = request(), again;
    struct h1_scan scan = {0};
    struct strbuf out;
    (void)state;
    add(&h, "X-Empty", "");
    add(&h, "X-Odd", "a\tb \"c\", \xc3\xa4");
    strbuf_init(&out, 4096);
    assert_true(h1_write_request(&out, &h, &(struct h1_write){.framing = H1_FRAMING_LENGTH, .content_length = 5}));
    assert_int_equal(h1_parse_request(&again, &scan, (const uint8_t *)out.data, out.len, &limits), H1_DONE);
    assert_int_equal(again.head_bytes, out.len);
    assert_true(http_view_is(again.path, "/a/b"));
    assert_true(http_view_is(again.authority, "example.com:8080"));
    assert_true(http_view_is(http_value(&again, "x-odd"), "a\tb \"c\", \xc3\xa4"));
    assert_int_equal(again.content_length, 5);
    strbuf_fini(&out);
}

static const struct {
    const char *name;
    struct http_view value;
} poison[] = {
    {"X-Split", {"a\r\nX-Other: b", 13}},
    {"X-Lf", {"a\nb", 3}},
    {"X-Cr", {"a\rb", 3}},
    {"X-Nul", {"a\0b", 3}},
    {"X Space", {"a", 1}},
    {"X-Colon:", {"a", 1}},
    {"", {"a", 1}},
    {"X\r\nY", {"a", 1}},
    {"Connectio\n", {"close", 5}},
};

static void nothing_breaks_out_of_its_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof poison / sizeof *poison; i++) {
        struct http_head a = answer(200), r = request();
        struct strbuf out;
        assert_true(http_head_add(&a, http_view_of(poison[i].name), poison[i].value));
        assert_true(http_head_add(&r, http_view_of(poison[i].name), poison[i].value));
        strbuf_init(&out, 4096);
        assert_false(h1_write_response(&out, &a, &(struct h1_write){.framing = H1_FRAMING_NONE}));
        strbuf_fini(&out);
        assert_false(h1_write_request(&out, &r, &(struct h1_write){.framing = H1_FRAMING_NONE}));
        strbuf_fini(&out);
    }
}

static void nothing_breaks_out_of_the_first_line(void **state)
{
    struct strbuf out;
    (void)state;
    for (int i = 0; i < 6; i++) {
        struct http_head h = request();
        const char *const odd[] = {"GE T", "/a b", "/a\r\nX: y", "c\nd", "x\r\nY: z", ""};
        struct http_view *const places[] = {&h.method, &h.path, &h.path, &h.query, &h.authority, &h.path};
        *places[i] = http_view_of(odd[i]);
        strbuf_init(&out, 4096);
        assert_false(h1_write_request(&out, &h, &(struct h1_write){.framing = H1_FRAMING_NONE}));
        strbuf_fini(&out);
    }
    struct http_head h = answer(200);
    h.reason = http_view_of("OK\r\nX: y");
    assert_false(h1_write_response(&out, &h, &(struct h1_write){.framing = H1_FRAMING_NONE}));
    strbuf_fini(&out);
}

static void a_head_without_room_is_told(void **state)
{
    struct http_head h = answer(200);
    struct strbuf out;
    (void)state;
    strbuf_init(&out, 10);
    assert_false(h1_write_response(&out, &h, &(struct h1_write){.framing = H1_FRAMING_NONE}));
    strbuf_fini(&out);
}

static void chunks_begin_with_their_size(void **state)
{
    char line[H1_CHUNK_HEAD_BYTES];
    (void)state;
    assert_int_equal(h1_write_chunk_head(line, 1), 3);
    assert_string_equal(line, "1\r\n");
    assert_int_equal(h1_write_chunk_head(line, 0xabcdef), 8);
    assert_string_equal(line, "abcdef\r\n");
    assert_int_equal(h1_write_chunk_head(line, SIZE_MAX), 18);
    assert_string_equal(line, "ffffffffffffffff\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_says_how_it_is_framed),
        cmocka_unit_test(the_reason_is_the_servers_own_if_it_gave_one),
        cmocka_unit_test(what_belongs_to_the_connection_is_the_writers),
        cmocka_unit_test(an_upgrade_names_itself_in_connection),
        cmocka_unit_test(a_request_says_where_it_goes_and_to_whom),
        cmocka_unit_test(what_was_written_is_read_back_as_the_same),
        cmocka_unit_test(nothing_breaks_out_of_its_line),
        cmocka_unit_test(nothing_breaks_out_of_the_first_line),
        cmocka_unit_test(a_head_without_room_is_told),
        cmocka_unit_test(chunks_begin_with_their_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
