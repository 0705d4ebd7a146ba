/* One stored answer, many requests: what each of them is given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cache/serve.h"
#include "tests/unit/cache/request.h"

#define COUNT(table) (sizeof(table) / sizeof(table)[0])
#define TEXTS_BYTES  4096u
#define BODY         "0123456789"
#define GZIP_BODY    "gzip5"
#define BR_BODY      "br4."
#define BIT(coding)  (1u << (coding))
#define ALL          (BIT(CODING_GZIP) | BIT(CODING_BR) | BIT(CODING_ZSTD))

/* Dates in the order of time. */
#define OLDER    "Sun, 06 Nov 1994 08:49:36 GMT"
#define MODIFIED "Sun, 06 Nov 1994 08:49:37 GMT"
#define DATE     "Sun, 06 Nov 1994 08:50:00 GMT"
#define LATER    "Sun, 06 Nov 1994 08:51:00 GMT"

/* `answer` is a whole head in the form of HTTP/1.1. */
static struct cache_entry *entry_of(const char *answer, const char *body)
{
    struct http_head h;
    head_of_response(&h, answer);
    const struct cache_draft d = {.status = h.status,
                                  .fields = h.fields,
                                  .field_count = h.field_count,
                                  .key = {"k", 1},
                                  .life = {.fresh_ms = 60000},
                                  .body = slice_borrow(body, strlen(body))};
    return cache_entry_create(&d);
}

static struct cache_entry *entry_usual(void)
{
    return entry_of("HTTP/1.1 200 OK\r\nDate: " DATE "\r\nETag: \"x\"\r\nLast-Modified: " MODIFIED
                    "\r\nContent-Type: text/plain\r\n\r\n",
                    BODY);
}

static void make_coded(struct cache_entry *e, enum cache_coding c, const char *body)
{
    e->coded[c] = slice_copy(body, strlen(body));
}

static struct cache_serving chosen(const struct cache_entry *e, const char *method, const char *fields,
                                   uint32_t codings)
{
    struct request q;
    struct cache_serving s;
    cache_serve_choose(&s, e, request_make(&q, method, "/", fields), codings);
    return s;
}

static uint16_t status_for(const struct cache_entry *e, const char *fields)
{
    return chosen(e, "GET", fields, 0).status;
}

/* ---- conditions ---- */

static void conditions(void **state)
{
    static const struct {
        const char *fields;
        uint16_t status;
    } rows[] = {
        {"", 200},
        {"If-None-Match: \"x\"\r\n", 304},
        {"If-None-Match: W/\"x\"\r\n", 304},
        {"If-None-Match: *\r\n", 304},
        {"If-None-Match: \"y\"\r\n", 200},
        {"If-None-Match: \"X\"\r\n", 200},
        {"If-None-Match: \"a,\", W/\"b\" ,\"x\"\r\n", 304},
        {"If-None-Match: \"a,\"x\",\"\r\n", 200}, /* "a,", and then no tag */
        {"If-None-Match: \"y\"\r\nIf-None-Match: \"x\"\r\n", 304},
        {"If-None-Match: x\r\n", 200},
        {"If-None-Match: \"x\r\n", 200},
        {"If-None-Match:\r\n", 200},
        {"If-None-Match: \"x-gzip\"\r\n", 200}, /* nothing is coded here */
        {"If-Modified-Since: " MODIFIED "\r\n", 304},
        {"If-Modified-Since: " LATER "\r\n", 304},
        {"If-Modified-Since: " OLDER "\r\n", 200},
        {"If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT\r\n", 304},
        {"If-Modified-Since: yesterday\r\n", 200},
        {"If-Modified-Since: " LATER "\r\nIf-Modified-Since: " LATER "\r\n", 200},
        /* If-None-Match alone counts when both are there. */
        {"If-None-Match: \"y\"\r\nIf-Modified-Since: " LATER "\r\n", 200},
        {"If-None-Match: \"x\"\r\nIf-Modified-Since: " OLDER "\r\n", 304},
        {"If-Match: \"x\"\r\n", 200},
        {"If-Match: W/\"x\"\r\n", 412},
        {"If-Match: *\r\n", 200},
        {"If-Match: \"y\", \"x\"\r\n", 200},
        {"If-Match: \"y\"\r\n", 412},
        {"If-Unmodified-Since: " MODIFIED "\r\n", 200},
        {"If-Unmodified-Since: " OLDER "\r\n", 412},
        {"If-Unmodified-Since: never\r\n", 200},
        {"If-Match: \"x\"\r\nIf-Unmodified-Since: " OLDER "\r\n", 200},
        /* The first two go before the others. */
        {"If-Match: \"y\"\r\nIf-None-Match: \"x\"\r\n", 412},
        {"If-Match: \"x\"\r\nIf-None-Match: \"x\"\r\n", 304},
        {"If-Unmodified-Since: " OLDER "\r\nIf-Modified-Since: " LATER "\r\n", 412},
        /* Conditions go before ranges. */
        {"If-None-Match: \"x\"\r\nRange: bytes=0-1\r\n", 304},
        {"If-Match: \"y\"\r\nRange: bytes=0-1\r\n", 412},
    };
    struct cache_entry *e = entry_usual();
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct cache_serving s = chosen(e, "GET", rows[i].fields, 0);
        if (s.status != rows[i].status)
            fail_msg("%s: %u", rows[i].fields, (unsigned)s.status);
        assert_int_equal(s.has_body, s.status == 200);
        if (strstr(rows[i].fields, "Range") == NULL)
            assert_int_equal(chosen(e, "HEAD", rows[i].fields, 0).status, s.status);
        assert_int_equal(chosen(e, "POST", rows[i].fields, 0).status, 200);
    }
    cache_entry_unref(&e);
}

static void a_weak_tag_is_never_strong(void **state)
{
    struct cache_entry *e = entry_of("HTTP/1.1 200 OK\r\nETag: W/\"x\"\r\n\r\n", BODY);
    (void)state;
    assert_int_equal(status_for(e, "If-None-Match: \"x\"\r\n"), 304);
    assert_int_equal(status_for(e, "If-None-Match: W/\"x\"\r\n"), 304);
    assert_int_equal(status_for(e, "If-Match: \"x\"\r\n"), 412);
    assert_int_equal(status_for(e, "If-Match: W/\"x\"\r\n"), 412);
    assert_int_equal(status_for(e, "Range: bytes=0-1\r\nIf-Range: W/\"x\"\r\n"), 200);
    assert_int_equal(status_for(e, "Range: bytes=0-1\r\nIf-Range: \"x\"\r\n"), 200);
    cache_entry_unref(&e);
}

static void without_validators(void **state)
{
    struct cache_entry *e = entry_of("HTTP/1.1 200 OK\r\nDate: " DATE "\r\n\r\n", BODY);
    struct cache_entry *bare = entry_of("HTTP/1.1 200 OK\r\n\r\n", BODY);
    (void)state;
    assert_int_equal(status_for(e, "If-None-Match: \"x\"\r\n"), 200);
    assert_int_equal(status_for(e, "If-Match: \"x\"\r\n"), 412);
    /* RFC 9111 section 4.3.2: the date of the answer counts instead. */
    assert_int_equal(status_for(e, "If-Modified-Since: " LATER "\r\n"), 304);
    assert_int_equal(status_for(e, "If-Modified-Since: " OLDER "\r\n"), 200);
    assert_int_equal(status_for(e, "If-Unmodified-Since: " OLDER "\r\n"), 200);
    assert_int_equal(status_for(bare, "If-Modified-Since: " LATER "\r\n"), 200);
    assert_int_equal(status_for(bare, "If-None-Match: *\r\n"), 304);
    cache_entry_unref(&e);
    cache_entry_unref(&bare);
}

static void only_success_has_conditions(void **state)
{
    struct cache_entry *e = entry_of("HTTP/1.1 404 Not Found\r\nETag: \"x\"\r\n\r\n", BODY);
    (void)state;
    assert_int_equal(status_for(e, "If-None-Match: \"x\"\r\n"), 404);
    assert_int_equal(status_for(e, "If-Match: \"y\"\r\n"), 404);
    assert_int_equal(status_for(e, "Range: bytes=0-1\r\n"), 404);
    cache_entry_unref(&e);
}

/* ---- ranges ---- */

static void ranges(void **state)
{
    static const struct {
        const char *value;
        uint16_t status;
        size_t from_byte, byte_count;
    } rows[] = {
        {"bytes=0-0", 206, 0, 1},
        {"bytes=2-5", 206, 2, 4},
        {"bytes=9-", 206, 9, 1},
        {"bytes=0-", 206, 0, 10},
        {"bytes=0-9", 206, 0, 10},
        {"bytes=5-100", 206, 5, 5},
        {"bytes=5-99999999999999999999999", 206, 5, 5},
        {"bytes=-1", 206, 9, 1},
        {"bytes=-10", 206, 0, 10},
        {"bytes=-11", 206, 0, 10},
        {"bytes=-99999999999999999999999", 206, 0, 10},
        {"BYTES=1-1", 206, 1, 1},
        {"bytes= 1-1 ,", 206, 1, 1},
        {"bytes=007-007", 206, 7, 1},
        {"bytes=10-", 416, 0, 0},
        {"bytes=10-12", 416, 0, 0},
        {"bytes=99999999999999999999999-", 416, 0, 0},
        {"bytes=18446744073709551616-18446744073709551617", 416, 0, 0},
        {"bytes=-0", 416, 0, 0},
        {"bytes=0-0,2-2", 200, 0, 10},
        {"bytes=5-4", 200, 0, 10},
        {"bytes=-", 200, 0, 10},
        {"bytes=", 200, 0, 10},
        {"bytes", 200, 0, 10},
        {"bytes=a-b", 200, 0, 10},
        {"bytes=1", 200, 0, 10},
        {"bytes=1-2x", 200, 0, 10},
        {"bytes=1 - 2", 200, 0, 10},
        {"bytes=+1-2", 200, 0, 10},
        {"bytes=--1", 200, 0, 10},
        {"bytes =1-2", 200, 0, 10},
        {"items=0-1", 200, 0, 10},
        {"", 200, 0, 10},
    };
    struct cache_entry *e = entry_usual();
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char fields[128];
        (void)snprintf(fields, sizeof fields, "Range: %s\r\n", rows[i].value);
        const struct cache_serving s = chosen(e, "GET", fields, 0);
        if (s.status != rows[i].status || s.byte_count != rows[i].byte_count || s.from_byte != rows[i].from_byte)
            fail_msg("%s: %u, %zu from %zu", rows[i].value, (unsigned)s.status, s.byte_count, s.from_byte);
        assert_int_equal(s.has_body, s.status != 416);
        assert_int_equal(chosen(e, "HEAD", fields, 0).status, 200);
        assert_int_equal(chosen(e, "HEAD", fields, 0).byte_count, 10);
        assert_int_equal(chosen(e, "POST", fields, 0).status, 200);
    }
    assert_int_equal(status_for(e, "Range: bytes=0-1\r\nRange: bytes=2-3\r\n"), 200);
    cache_entry_unref(&e);
}

static void ranges_of_nothing(void **state)
{
    struct cache_entry *e = entry_of("HTTP/1.1 200 OK\r\n\r\n", "");
    (void)state;
    assert_int_equal(status_for(e, "Range: bytes=0-\r\n"), 416);
    assert_int_equal(status_for(e, "Range: bytes=-0\r\n"), 416);
    assert_int_equal(status_for(e, "Range: bytes=-5\r\n"), 200);
    assert_int_equal(status_for(e, ""), 200);
    cache_entry_unref(&e);
}

static void ranges_with_a_condition(void **state)
{
    static const struct {
        const char *if_range;
        uint16_t status;
    } rows[] = {
        {"\"x\"", 206},      {"\"y\"", 200},  {"W/\"x\"", 200},      {"\"x", 200},
        {"", 200},           {MODIFIED, 206}, {LATER, 200},          {OLDER, 200},
        {"not a date", 200}, {"*", 200},      {"\"y\", \"x\"", 200},
    };
    struct cache_entry *e = entry_usual();
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char fields[128];
        (void)snprintf(fields, sizeof fields, "Range: bytes=0-1\r\nIf-Range: %s\r\n", rows[i].if_range);
        if (status_for(e, fields) != rows[i].status)
            fail_msg("%s", rows[i].if_range);
    }
    assert_int_equal(status_for(e, "Range: bytes=0-1\r\nIf-Range: \"x\"\r\nIf-Range: \"x\"\r\n"), 200);
    assert_int_equal(status_for(e, "If-Range: \"y\"\r\n"), 200);
    /* Not in range, but not the same either. */
    assert_int_equal(status_for(e, "Range: bytes=10-\r\nIf-Range: \"y\"\r\n"), 200);
    cache_entry_unref(&e);
    /* Modified in the very second in which it was sent: it may have been modified once more. */
    e = entry_of("HTTP/1.1 200 OK\r\nDate: " MODIFIED "\r\nLast-Modified: " MODIFIED "\r\n\r\n", BODY);
    assert_int_equal(status_for(e, "Range: bytes=0-1\r\nIf-Range: " MODIFIED "\r\n"), 200);
    cache_entry_unref(&e);
}

/* ---- codings ---- */

static void the_coding_a_client_likes_best(void **state)
{
    static const struct {
        const char *accept;
        uint32_t codings;
        enum cache_coding coding;
    } rows[] = {
        {NULL, ALL, CODING_IDENTITY},
        {"", ALL, CODING_IDENTITY},
        {"gzip", ALL, CODING_GZIP},
        {"x-gzip", ALL, CODING_GZIP},
        {"GZIP", ALL, CODING_GZIP},
        {"gzip, deflate, br, zstd", ALL, CODING_BR},
        {"gzip, zstd", ALL, CODING_ZSTD},
        {"gzip, deflate, br", BIT(CODING_GZIP), CODING_GZIP},
        {"gzip, br", 0, CODING_IDENTITY},
        {"br", BIT(CODING_GZIP), CODING_IDENTITY},
        {"gzip;q=1.0, br;q=0.9", ALL, CODING_GZIP},
        {"gzip;q=0.5, br;q=0.501", ALL, CODING_BR},
        {"gzip;q=0", ALL, CODING_IDENTITY},
        {"gzip; q=0.001", ALL, CODING_GZIP},
        {"*", ALL, CODING_BR},
        {"*;q=0.5, br;q=0", ALL, CODING_ZSTD},
        {"br;q=0, *;q=0.5", ALL, CODING_ZSTD},
        {"identity, gzip;q=0.5", ALL, CODING_IDENTITY},
        {"identity;q=0.5, gzip;q=0.5", ALL, CODING_GZIP},
        {"identity;q=0, gzip;q=0.001", ALL, CODING_GZIP},
        {"identity;q=0", ALL, CODING_IDENTITY}, /* better than nothing */
        {"*;q=0", ALL, CODING_IDENTITY},
        {"deflate, compress, evil", ALL, CODING_IDENTITY},
        {"gzip;q=2", ALL, CODING_IDENTITY},
        {"gzip;q=0.5555", ALL, CODING_IDENTITY},
        {"gzip;q=", ALL, CODING_IDENTITY},
        {"gzip;q=-1", ALL, CODING_IDENTITY},
        {"gzip;level=9", ALL, CODING_IDENTITY},
        {"gzip;q=1.001", ALL, CODING_IDENTITY},
        {"gzip;q=0, gzip;q=1", ALL, CODING_IDENTITY},
        {"gzipp, gzi", ALL, CODING_IDENTITY},
    };
    struct cache_entry *e = entry_usual();
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char fields[128] = "";
        if (rows[i].accept != NULL)
            (void)snprintf(fields, sizeof fields, "Accept-Encoding: %s\r\n", rows[i].accept);
        const struct cache_serving s = chosen(e, "GET", fields, rows[i].codings);
        if (s.coding != rows[i].coding)
            fail_msg("%s: %s", fields, cache_coding_text(s.coding));
        assert_int_equal(s.needs_coding, s.coding != CODING_IDENTITY);
    }
    assert_int_equal(chosen(e, "GET", "Accept-Encoding: gzip\r\nAccept-Encoding: br\r\n", ALL).coding, CODING_BR);
    cache_entry_unref(&e);
}

/* What cannot be had in a coding, what is empty, and what came coded. */
static void there_is_not_always_a_choice(void **state)
{
    struct cache_entry *e = entry_usual();
    struct cache_entry *empty = entry_of("HTTP/1.1 200 OK\r\n\r\n", "");
    struct cache_entry *coded = entry_of("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", GZIP_BODY);
    (void)state;
    e->is_coded_in_vain[CODING_BR] = true;
    assert_int_equal(chosen(e, "GET", "Accept-Encoding: gzip, br\r\n", ALL).coding, CODING_GZIP);
    assert_false(chosen(empty, "GET", "Accept-Encoding: gzip\r\n", ALL).needs_coding);
    const struct cache_serving s = chosen(coded, "GET", "Accept-Encoding: br\r\n", ALL);
    assert_int_equal(s.coding, CODING_GZIP);
    assert_int_equal(s.byte_count, strlen(GZIP_BODY));
    assert_false(s.needs_coding);
    cache_entry_unref(&e);
    cache_entry_unref(&empty);
    cache_entry_unref(&coded);
}

static void ranges_are_of_the_coded_body(void **state)
{
    static const char range[] = "Accept-Encoding: gzip\r\nRange: bytes=4-\r\n";
    struct cache_entry *e = entry_usual();
    (void)state;
    assert_true(chosen(e, "GET", range, ALL).needs_coding);
    make_coded(e, CODING_GZIP, GZIP_BODY);
    const struct cache_serving s = chosen(e, "GET", range, ALL);
    assert_int_equal(s.status, 206);
    assert_int_equal(s.byte_count, 1);
    assert_int_equal(chosen(e, "GET", "Accept-Encoding: gzip\r\nRange: bytes=5-\r\n", ALL).status, 416);
    assert_int_equal(chosen(e, "HEAD", "Accept-Encoding: gzip\r\n", ALL).byte_count, strlen(GZIP_BODY));
    cache_entry_unref(&e);
}

static void each_coding_has_its_own_tag(void **state)
{
    static const struct {
        const char *fields;
        uint16_t status;
        enum cache_coding coding;
    } rows[] = {
        {"Accept-Encoding: gzip\r\nIf-None-Match: \"x-gzip\"\r\n", 304, CODING_GZIP},
        {"Accept-Encoding: gzip\r\nIf-None-Match: W/\"x-gzip\"\r\n", 304, CODING_GZIP},
        {"Accept-Encoding: gzip\r\nIf-None-Match: \"x-br\"\r\n", 200, CODING_GZIP},
        {"Accept-Encoding: gzip\r\nIf-None-Match: \"x-gzi\"\r\n", 200, CODING_GZIP},
        {"Accept-Encoding: gzip\r\nIf-None-Match: \"xgzip\"\r\n", 200, CODING_GZIP},
        {"Accept-Encoding: gzip\r\nIf-None-Match: *\r\n", 304, CODING_GZIP},
        {"If-None-Match: \"x-gzip\"\r\n", 200, CODING_IDENTITY},
        /* What the client has already is as good, as long as it takes it. */
        {"Accept-Encoding: gzip\r\nIf-None-Match: \"x\"\r\n", 304, CODING_IDENTITY},
        {"Accept-Encoding: gzip, br\r\nIf-None-Match: \"x-gzip\"\r\n", 304, CODING_GZIP},
        {"Accept-Encoding: gzip, identity;q=0\r\nIf-None-Match: \"x\"\r\n", 200, CODING_GZIP},
        {"Accept-Encoding: gzip, br\r\nIf-None-Match: \"x\", \"x-br\"\r\n", 304, CODING_BR},
        {"Accept-Encoding: gzip\r\nIf-Match: \"x-gzip\"\r\n", 200, CODING_GZIP},
        {"Accept-Encoding: gzip\r\nIf-Match: \"x\"\r\n", 200, CODING_IDENTITY},
        {"Accept-Encoding: gzip\r\nIf-Match: \"x-br\"\r\n", 412, CODING_GZIP},
        /* The second half of what the first half is of. */
        {"Accept-Encoding: gzip\r\nRange: bytes=1-\r\nIf-Range: \"x-gzip\"\r\n", 206, CODING_GZIP},
        {"Accept-Encoding: gzip\r\nRange: bytes=1-\r\nIf-Range: \"x\"\r\n", 206, CODING_IDENTITY},
        {"Accept-Encoding: gzip\r\nRange: bytes=1-\r\nIf-Range: \"x-br\"\r\n", 200, CODING_GZIP},
        {"Range: bytes=1-\r\nIf-Range: \"x-gzip\"\r\n", 200, CODING_IDENTITY},
        {"Accept-Encoding: gzip\r\nRange: bytes=1-\r\nIf-Range: " MODIFIED "\r\n", 200, CODING_GZIP},
    };
    struct cache_entry *e = entry_usual();
    (void)state;
    make_coded(e, CODING_GZIP, GZIP_BODY);
    make_coded(e, CODING_BR, BR_BODY);
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct cache_serving s = chosen(e, "GET", rows[i].fields, ALL);
        if (s.status != rows[i].status || s.coding != rows[i].coding)
            fail_msg("%s: %u in %s", rows[i].fields, (unsigned)s.status, cache_coding_text(s.coding));
    }
    cache_entry_unref(&e);
}

/* Who has it already is not kept waiting for a body that is not sent. */
static void a_304_needs_no_coding(void **state)
{
    struct cache_entry *e = entry_usual();
    (void)state;
    const struct cache_serving s = chosen(e, "GET", "Accept-Encoding: gzip\r\nIf-None-Match: \"x-gzip\"\r\n", ALL);
    assert_int_equal(s.status, 304);
    assert_false(s.needs_coding);
    cache_entry_unref(&e);
}

/* ---- heads ---- */

static void check_head(const struct cache_entry *e, const char *method, const char *fields, uint32_t codings,
                       const char *expected)
{
    struct request q;
    struct cache_serving s;
    struct http_head h;
    struct http_texts t;
    struct strbuf text;
    http_texts_init(&t, TEXTS_BYTES);
    cache_serve_choose(&s, e, request_make(&q, method, "/", fields), codings);
    assert_true(cache_serve_head(&h, &t, e, &s, codings, 12999));
    text_of_head(&text, &h);
    assert_string_equal(text.data, expected);
    strbuf_fini(&text);
    http_texts_fini(&t);
}

static void heads(void **state)
{
    struct cache_entry *e = entry_of("HTTP/1.1 200 OK\r\nDate: " DATE "\r\nETag: W/\"x\"\r\nLast-Modified: " MODIFIED
                                     "\r\nContent-Type: text/plain\r\nCache-Control: max-age=60\r\nExpires: 0\r\n"
                                     "Content-Digest: d\r\nRepr-Digest: r\r\nAccept-Ranges: none\r\nVary: Origin\r\n"
                                     "Access-Control-Allow-Origin: *\r\nContent-Location: /y\r\nAge: 5\r\n\r\n",
                                     BODY);
    (void)state;
    make_coded(e, CODING_GZIP, GZIP_BODY);
    check_head(e, "GET", "", 0,
               "200\n(10 bytes)\nDate: " DATE "\nETag: W/\"x\"\nLast-Modified: " MODIFIED
               "\nContent-Type: text/plain\nCache-Control: max-age=60\nExpires: 0\nContent-Digest: d\nRepr-Digest: r\n"
               "Vary: Origin\nAccess-Control-Allow-Origin: *\nContent-Location: /y\nAccept-Ranges: bytes\nAge: 12\n");
    check_head(e, "HEAD", "Accept-Encoding: gzip\r\n", BIT(CODING_GZIP),
               "200\n(5 bytes)\nDate: " DATE "\nLast-Modified: " MODIFIED
               "\nContent-Type: text/plain\nCache-Control: max-age=60\nExpires: 0\nVary: Origin\n"
               "Access-Control-Allow-Origin: *\nContent-Location: /y\nETag: W/\"x-gzip\"\nContent-Encoding: gzip\n"
               "Vary: Accept-Encoding\nAccept-Ranges: bytes\nAge: 12\n");
    check_head(e, "GET", "Range: bytes=2-4\r\n", 0,
               "206\n(3 bytes)\nDate: " DATE "\nETag: W/\"x\"\nLast-Modified: " MODIFIED
               "\nContent-Type: text/plain\nCache-Control: max-age=60\nExpires: 0\nRepr-Digest: r\nVary: Origin\n"
               "Access-Control-Allow-Origin: *\nContent-Location: /y\nAccept-Ranges: bytes\n"
               "Content-Range: bytes 2-4/10\nAge: 12\n");
    check_head(e, "GET", "Range: bytes=5-\r\nAccept-Encoding: gzip\r\n", ALL,
               "416\n(0 bytes)\nDate: " DATE "\nVary: Origin\nAccess-Control-Allow-Origin: *\nETag: W/\"x-gzip\"\n"
               "Vary: Accept-Encoding\nAccept-Ranges: bytes\nContent-Range: bytes */5\n");
    check_head(e, "GET", "If-Match: \"y\"\r\n", 0,
               "412\n(0 bytes)\nDate: " DATE "\nETag: W/\"x\"\nVary: Origin\nAccess-Control-Allow-Origin: *\n"
               "Accept-Ranges: bytes\n");
    check_head(e, "GET", "If-None-Match: \"x-gzip\"\r\nAccept-Encoding: gzip\r\n", ALL,
               "304\nDate: " DATE "\nCache-Control: max-age=60\nExpires: 0\nVary: Origin\n"
               "Access-Control-Allow-Origin: *\nContent-Location: /y\nETag: W/\"x-gzip\"\nVary: Accept-Encoding\n"
               "Age: 12\n");
    cache_entry_unref(&e);
}

static void heads_of_other_entries(void **state)
{
    struct cache_entry *e = entry_of("HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n", "");
    (void)state;
    check_head(e, "GET", "", ALL, "204\nX-A: b\nAge: 12\n");
    cache_entry_unref(&e);
    e = entry_of("HTTP/1.1 404 Not Found\r\nX-A: b\r\n\r\n", BODY);
    check_head(e, "GET", "Range: bytes=0-1\r\n", 0, "404\n(10 bytes)\nX-A: b\nAge: 12\n");
    cache_entry_unref(&e);
    /* What came coded is served so, and there is no choice that would have to be told. */
    e = entry_of("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nETag: \"x-gzip\"\r\n\r\n", GZIP_BODY);
    check_head(e, "GET", "", ALL,
               "200\n(5 bytes)\nContent-Encoding: gzip\nETag: \"x-gzip\"\nAccept-Ranges: bytes\nAge: 12\n");
    cache_entry_unref(&e);
    /* One Vary is enough, and a 304 without a tag has the date. */
    e = entry_of("HTTP/1.1 200 OK\r\nVary: origin, Accept-Encoding\r\nLast-Modified: " MODIFIED "\r\n\r\n", BODY);
    check_head(e, "GET", "If-Modified-Since: " MODIFIED "\r\n", ALL,
               "304\nVary: origin, Accept-Encoding\nLast-Modified: " MODIFIED "\nAge: 12\n");
    /* Nothing can be had in another coding: no choice. */
    cache_entry_unref(&e);
    e = entry_of("HTTP/1.1 200 OK\r\n\r\n", BODY);
    e->is_coded_in_vain[CODING_GZIP] = true;
    check_head(e, "GET", "", BIT(CODING_GZIP), "200\n(10 bytes)\nAccept-Ranges: bytes\nAge: 12\n");
    check_head(e, "GET", "", ALL, "200\n(10 bytes)\nVary: Accept-Encoding\nAccept-Ranges: bytes\nAge: 12\n");
    cache_entry_unref(&e);
}

static void without_room_there_is_no_head(void **state)
{
    struct cache_entry *e = entry_usual();
    struct cache_serving s = chosen(e, "GET", "", 0);
    struct http_head h;
    struct http_texts t;
    (void)state;
    http_texts_init(&t, 1);
    assert_false(cache_serve_head(&h, &t, e, &s, 0, 12000));
    http_texts_fini(&t);
    cache_entry_unref(&e);
}

/* ---- tags for the origin ---- */

static void tags_the_origin_knows(void **state)
{
    static const struct {
        const char *in, *out;
    } lists[] = {
        {"*", "*"},
        {"\"x\", \"y\"", "\"x\", \"y\""},
        {"\"x-gzip\"", "\"x-gzip\", \"x\""},
        {"W/\"x-br\"", "W/\"x-br\", W/\"x\""},
        {"\"x-zstd\"", "\"x-zstd\", \"x\""},
        {"\"-gzip\"", "\"-gzip\", \"\""},
        {"\"xgzip\"", "\"xgzip\""},
        {"\"x-gzip", "\"x-gzip"},
        {"gzip", "gzip"},
        {"\"x-gzip-br\"", "\"x-gzip-br\", \"x-gzip\""},
        {"\"x-identity\"", "\"x-identity\""},
        {"\"a\",W/\"x-br\" , \"y,-zstd\"", "\"a\",W/\"x-br\" , \"y,-zstd\", W/\"x\", \"y,\""},
        {"", ""},
    };
    struct http_texts t;
    (void)state;
    http_texts_init(&t, TEXTS_BYTES);
    for (size_t i = 0; i < COUNT(lists); i++)
        assert_view(cache_serve_origin_etags(&t, http_view_of(lists[i].in)), lists[i].out);
    http_texts_fini(&t);
    http_texts_init(&t, 1);
    assert_null(cache_serve_origin_etags(&t, http_view_of("\"x-gzip\"")).data);
    http_texts_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conditions),
        cmocka_unit_test(a_weak_tag_is_never_strong),
        cmocka_unit_test(without_validators),
        cmocka_unit_test(only_success_has_conditions),
        cmocka_unit_test(ranges),
        cmocka_unit_test(ranges_of_nothing),
        cmocka_unit_test(ranges_with_a_condition),
        cmocka_unit_test(the_coding_a_client_likes_best),
        cmocka_unit_test(there_is_not_always_a_choice),
        cmocka_unit_test(ranges_are_of_the_coded_body),
        cmocka_unit_test(each_coding_has_its_own_tag),
        cmocka_unit_test(a_304_needs_no_coding),
        cmocka_unit_test(heads),
        cmocka_unit_test(heads_of_other_entries),
        cmocka_unit_test(without_room_there_is_no_head),
        cmocka_unit_test(tags_the_origin_knows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
