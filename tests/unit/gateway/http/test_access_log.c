/* The access log as its readers see it: lines in a file, in three forms, with credentials masked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/log.h"
#include "base/mem.h"
#include "gateway/http/access_log.h"
#include "gateway/http/access_mask.h"

#define TEXT(text)                                                                                                     \
    {                                                                                                                  \
        (text), sizeof(text) - 1                                                                                       \
    }

static const struct access_record request = {
    .begun_wall_ms = INT64_C(784111777000),
    .id = TEXT("id-1"),
    .client = TEXT("192.0.2.7"),
    .user = TEXT("u-1"),
    .method = TEXT("GET"),
    .scheme = TEXT("https"),
    .host = TEXT("a.example.com"),
    .path = TEXT("/rest/v1/cars"),
    .query = TEXT("apikey=abc&select=*"),
    .major_version = 2,
    .tls = TEXT("TLSv1.3"),
    .user_agent = TEXT("curl/7.88"),
    .referer = TEXT("https://b.example.com/?token=abc"),
    .trace_id = TEXT("0af7651916cd43dd8448eb211c80319c"),
    .route = TEXT("api"),
    .server = TEXT("p/us-a"),
    .status = 200,
    .attempt_count = 1,
    .in_bytes = 5,
    .out_bytes = 1234,
    .duration_ms = 42,
    .first_byte_ms = 40,
    .upstream_ms = 39,
};

static struct access_record websocket(void)
{
    struct access_record r = request;
    r.status = 101;
    r.reason = (struct http_view)TEXT("gateway going away");
    r.upstream_ms = -1;
    r.websocket.was_open = true;
    r.websocket.code = 1001;
    r.websocket.by = "drain";
    r.websocket.phase = "open";
    r.websocket.up_messages = 1;
    r.websocket.up_bytes = 2;
    r.websocket.down_messages = 3;
    r.websocket.down_bytes = 4;
    return r;
}

/* What the record looks like in a file of its own. mem_free. */
static char *written(const struct access_record *r, enum conf_access_format format, enum conf_access_query query)
{
    struct conf c = {.log = {.access = true, .access_format = format, .access_query = query}};
    struct access_log *a = access_log_create();
    int fd = memfd_create("access", MFD_CLOEXEC);
    assert_true(fd >= 0);
    access_log_use_fd(a, dup(fd));
    access_log_write(a, &c, r);
    access_log_destroy(&a);
    char *text = mem_alloc(8192);
    assert_true(pread(fd, text, 8191, 0) >= 0);
    close(fd);
    return text;
}

static void check(const struct access_record *r, enum conf_access_format format, const char *expected)
{
    char *text = written(r, format, ACCESS_QUERY_MASKED);
    assert_string_equal(text, expected);
    mem_free(text);
}

static void a_request_as_an_event(void **state)
{
    (void)state;
    log_open("worker-1", LOG_LEVEL_INFO, LOG_FORMAT_TEXT, NULL);
    check(&request, ACCESS_FORMAT_EVENT,
          "1994-11-06T08:49:37.042Z INFO worker-1 request answered id=id-1 client=192.0.2.7 user=u-1 route=api "
          "server=p/us-a attempts=1 status=200 duration_ms=42 first_byte_ms=40 upstream_ms=39 in_bytes=5 "
          "out_bytes=1234 method=GET scheme=https host=a.example.com path=/rest/v1/cars "
          "query=\"apikey=***&select=*\" protocol=HTTP/2.0 user_agent=curl/7.88 "
          "referer=\"https://b.example.com/?token=***\" tls=TLSv1.3 trace_id=0af7651916cd43dd8448eb211c80319c\n");
    log_close();
}

static void a_websocket_says_how_it_ended(void **state)
{
    struct access_record r = websocket();

    (void)state;
    log_open("worker-1", LOG_LEVEL_INFO, LOG_FORMAT_TEXT, NULL);
    check(&r, ACCESS_FORMAT_EVENT,
          "1994-11-06T08:49:37.042Z INFO worker-1 websocket closed id=id-1 client=192.0.2.7 user=u-1 route=api "
          "server=p/us-a attempts=1 by=drain phase=open code=1001 reason=\"gateway going away\" duration_ms=42 "
          "first_byte_ms=40 up_messages=1 up_bytes=2 down_messages=3 down_bytes=4 method=GET scheme=https "
          "host=a.example.com path=/rest/v1/cars query=\"apikey=***&select=*\" protocol=HTTP/2.0 "
          "user_agent=curl/7.88 referer=\"https://b.example.com/?token=***\" tls=TLSv1.3 "
          "trace_id=0af7651916cd43dd8448eb211c80319c\n");
    log_close();
}

static void the_combined_form_has_the_rest_behind(void **state)
{
    struct access_record r = websocket();

    (void)state;
    check(&request, ACCESS_FORMAT_COMBINED,
          "192.0.2.7 - u-1 [06/Nov/1994:08:49:37 +0000] \"GET /rest/v1/cars?apikey=***&select=* HTTP/2.0\" 200 1234 "
          "\"https://b.example.com/?token=***\" \"curl/7.88\" id=id-1 host=a.example.com route=api server=p/us-a "
          "attempts=1 duration_ms=42 first_byte_ms=40 upstream_ms=39 in_bytes=5 tls=TLSv1.3 "
          "trace_id=0af7651916cd43dd8448eb211c80319c\n");
    check(&r, ACCESS_FORMAT_COMBINED,
          "192.0.2.7 - u-1 [06/Nov/1994:08:49:37 +0000] \"GET /rest/v1/cars?apikey=***&select=* HTTP/2.0\" 101 4 "
          "\"https://b.example.com/?token=***\" \"curl/7.88\" id=id-1 host=a.example.com route=api server=p/us-a "
          "attempts=1 by=drain phase=open code=1001 reason=\"gateway going away\" duration_ms=42 first_byte_ms=40 "
          "up_messages=1 up_bytes=2 down_messages=3 down_bytes=4 tls=TLSv1.3 "
          "trace_id=0af7651916cd43dd8448eb211c80319c\n");
}

static void what_is_not_known_is_a_dash(void **state)
{
    const struct access_record r = {
        .status = 400, .client = TEXT("unix"), .user = TEXT("a b\""), .first_byte_ms = -1, .upstream_ms = -1};

    (void)state;
    check(&r, ACCESS_FORMAT_COMBINED,
          "unix - a_b\\\" [01/Jan/1970:00:00:00 +0000] \"-\" 400 0 \"-\" \"-\" attempts=0 duration_ms=0 in_bytes=0\n");
}

static void a_json_line_is_one_object(void **state)
{
    struct access_record r = websocket();
    char *text = written(&r, ACCESS_FORMAT_JSON, ACCESS_QUERY_MASKED);
    json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, NULL);

    (void)state;
    assert_non_null(o);
    assert_string_equal(json_string_value(json_object_get(o, "msg")), "websocket closed");
    assert_string_equal(json_string_value(json_object_get(o, "time")), "1994-11-06T08:49:37.042Z");
    assert_string_equal(json_string_value(json_object_get(o, "path")), "/rest/v1/cars");
    assert_string_equal(json_string_value(json_object_get(o, "by")), "drain");
    assert_int_equal(json_integer_value(json_object_get(o, "code")), 1001);
    assert_int_equal(json_integer_value(json_object_get(o, "down_messages")), 3);
    json_decref(o);
    mem_free(text);
}

/* Whatever peers send, a line is a line, and it is not longer than what one write takes. */
static void the_worst_record_is_one_line(void **state)
{
    static char bad[9000];
    struct access_record r = websocket();
    static const enum conf_access_format formats[] = {ACCESS_FORMAT_EVENT, ACCESS_FORMAT_JSON, ACCESS_FORMAT_COMBINED};
    static const char *const fills[] = {"\n", "\"", "\\", "\xff", " ", "&", "=", "x"};

    (void)state;
    for (size_t f = 0; f < sizeof formats / sizeof formats[0]; f++) {
        for (size_t i = 0; i < sizeof fills / sizeof fills[0]; i++) {
            memset(bad, fills[i][0], sizeof bad);
            const struct http_view v = {.data = bad, .len = sizeof bad};
            r.user = r.method = r.host = r.path = r.query = r.user_agent = r.referer = r.client = v;
            char *text = written(&r, formats[f], ACCESS_QUERY_WHOLE);
            const size_t len = strlen(text);
            assert_in_range(len, 100, 4096);
            assert_ptr_equal(strchr(text, '\n'), text + len - 1);
            if (formats[f] == ACCESS_FORMAT_JSON) {
                json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
                assert_non_null(o);
                json_decref(o);
            }
            mem_free(text);
        }
    }
}

/* Quotes that are not escaped come in pairs, and what stands between them is one piece. */
static void a_long_value_does_not_eat_its_quote(void **state)
{
    static char agent[1025];
    struct access_record r = request;

    (void)state;
    for (size_t shift = 0; shift < 2; shift++) {
        memset(agent, '\\', sizeof agent);
        agent[0] = shift == 0 ? 'x' : '\\';
        r.user_agent = (struct http_view){.data = agent, .len = sizeof agent};
        char *text = written(&r, ACCESS_FORMAT_COMBINED, ACCESS_QUERY_MASKED);
        assert_non_null(strstr(text, "\\\" id=id-1 host="));
        size_t quotes = 0;
        for (const char *s = text; *s != '\0'; s++) {
            if (*s == '\\')
                s++;
            else
                quotes += *s == '"';
        }
        assert_int_equal(quotes, 6);
        mem_free(text);
    }
}

static void off_means_nothing(void **state)
{
    struct conf c = {.log = {.access = false}};
    struct access_log *a = access_log_create();
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    access_log_use_fd(a, fds[1]);
    access_log_write(a, &c, &request);
    access_log_destroy(&a);
    char byte;
    assert_int_equal(read(fds[0], &byte, 1), 0);
    close(fds[0]);
}

static void without_a_file_lines_go_to_the_log(void **state)
{
    struct conf c = {.log = {.access = true, .access_format = ACCESS_FORMAT_COMBINED}};
    struct access_log *a = access_log_create();
    int fds[2];
    char text[4096] = "";

    (void)state;
    assert_int_equal(pipe(fds), 0);
    log_open("worker-1", LOG_LEVEL_INFO, LOG_FORMAT_TEXT, NULL);
    log_use_fd(fds[1]);
    access_log_write(a, &c, &request);
    c.log.access_format = ACCESS_FORMAT_EVENT;
    access_log_write(a, &c, &request);
    log_close();
    access_log_destroy(&a);
    assert_true(read(fds[0], text, sizeof text - 1) > 0);
    assert_ptr_equal(strstr(text, "192.0.2.7 - u-1 ["), text);
    assert_non_null(strstr(text, "\n2")); /* the second line begins with its time */
    assert_non_null(strstr(text, " INFO worker-1 request answered id=id-1 "));
    close(fds[0]);
}

static void what_is_kept_outlives_what_it_was_made_of(void **state)
{
    char path[] = "/gone";
    static char agent[4000];
    struct access_record from = request, to;

    (void)state;
    memset(agent, 'x', sizeof agent);
    from.path = (struct http_view){.data = path, .len = 5};
    from.user_agent = (struct http_view){.data = agent, .len = sizeof agent};
    from.cache = (struct http_view){.data = NULL};
    struct access_kept *kept = access_record_keep(&from);
    memset(path, '!', sizeof path - 1);
    access_record_restore(&to, kept);
    assert_true(http_view_is(to.path, "/gone"));
    assert_true(http_view_is(to.id, "id-1"));
    assert_null(to.cache.data);
    assert_in_range(to.user_agent.len, 100, 1000);
    assert_int_equal(to.duration_ms, 42);
    access_kept_free(&kept);
    assert_null(kept);
}

/* ---- masks ---- */

static const char *const token_queries[] = {"t", "bearer"}; /* of routes[].jwt.query */
#define SHOWING(how)                                                                                                   \
    {                                                                                                                  \
        .log = {.access_query = how, .token_queries = token_queries, .token_query_count = 2 }                          \
    }
static const struct conf show_masked = SHOWING(ACCESS_QUERY_MASKED), show_whole = SHOWING(ACCESS_QUERY_WHOLE),
                         show_none = SHOWING(ACCESS_QUERY_NONE);

static const struct {
    const char *query, *shown;
} queries[] = {
    {"", ""},
    {"a=b", "a=b"},
    {"apikey=abc&vsn=2.0.0", "apikey=***&vsn=2.0.0"},
    {"vsn=2.0.0&apikey=abc", "vsn=2.0.0&apikey=***"},
    {"access_token=a&accessToken=b&X-Access-Token=c", "access_token=***&accessToken=***&X-Access-Token=***"},
    {"JWT=a;b=c", "JWT=***;b=c"},
    {"%61pikey=a&to%6ben=b", "%61pikey=***&to%6ben=***"},
    {"user%5bpassword%5d=a", "user%5bpassword%5d=***"},
    {"X-Amz-Signature=a&X-Amz-Credential=b", "X-Amz-Signature=***&X-Amz-Credential=***"},
    {"key=a&keyword=b&monkey=c", "key=***&keyword=b&monkey=c"},
    {"code=a&postcode=b", "code=***&postcode=b"},
    {"token", "token"},
    {"token=", "token=***"},
    {"token=a=b", "token=***"},
    {"=a", "=a"},
    {"a&&b=c&", "a&&b=c&"},
    {"x?token=a#jwt=b", "x?token=***#jwt=***"},
    {"an-awfully-long-name-of-more-than-sixty-four-bytes-that-ends-as-a-secret-token=a",
     "an-awfully-long-name-of-more-than-sixty-four-bytes-that-ends-as-a-secret-token=***"},
    {"%=a&%4=b&token%=c", "%=a&%4=b&token%=***"},
    {"t=eyJ&tt=b&T=c&bearer=d", "t=***&tt=b&T=c&bearer=***"}, /* where a route expects its tokens */
};

static void values_that_sound_like_credentials_are_masked(void **state)
{
    struct strbuf out;

    (void)state;
    strbuf_init(&out, ACCESS_MASK_BYTES);
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
        access_mask_query(&out, http_view_of(queries[i].query), &show_masked);
        assert_string_equal(out.len > 0 ? out.data : "", queries[i].shown);
        access_mask_query(&out, http_view_of(queries[i].query), &show_whole);
        assert_string_equal(out.len > 0 ? out.data : "", queries[i].query);
        access_mask_query(&out, http_view_of(queries[i].query), &show_none);
        assert_int_equal(out.len, 0);
    }
    access_mask_query(&out, (struct http_view){.data = NULL}, &show_masked);
    assert_int_equal(out.len, 0);
    strbuf_fini(&out);
}

static void urls_have_queries_and_fragments(void **state)
{
    struct strbuf out;

    (void)state;
    strbuf_init(&out, ACCESS_MASK_BYTES);
    access_mask_url(&out, http_view_of("https://a/token=x?token=y&z=1#access_token=w"), &show_masked);
    assert_string_equal(out.data, "https://a/token=x?token=***&z=1#access_token=***");
    access_mask_url(&out, http_view_of("https://a/#access_token=w"), &show_none);
    assert_string_equal(out.data, "https://a/");
    strbuf_fini(&out);
}

static void what_is_too_long_is_cut_and_stays_masked(void **state)
{
    static char query[3000];
    struct strbuf out;

    (void)state;
    memset(query, 'a', sizeof query);
    memcpy(query, "token=", 6);
    memcpy(query + 2000, "&x=", 3);
    strbuf_init(&out, ACCESS_MASK_BYTES);
    access_mask_query(&out, (struct http_view){.data = query, .len = sizeof query}, &show_masked);
    assert_memory_equal(out.data, "token=***&x=aaa", 15);
    access_mask_query(&out, (struct http_view){.data = query, .len = sizeof query}, &show_whole);
    assert_int_equal(out.len, ACCESS_MASK_BYTES);
    strbuf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_as_an_event),
        cmocka_unit_test(a_websocket_says_how_it_ended),
        cmocka_unit_test(the_combined_form_has_the_rest_behind),
        cmocka_unit_test(what_is_not_known_is_a_dash),
        cmocka_unit_test(a_json_line_is_one_object),
        cmocka_unit_test(the_worst_record_is_one_line),
        cmocka_unit_test(a_long_value_does_not_eat_its_quote),
        cmocka_unit_test(off_means_nothing),
        cmocka_unit_test(without_a_file_lines_go_to_the_log),
        cmocka_unit_test(what_is_kept_outlives_what_it_was_made_of),
        cmocka_unit_test(values_that_sound_like_credentials_are_masked),
        cmocka_unit_test(urls_have_queries_and_fragments),
        cmocka_unit_test(what_is_too_long_is_cut_and_stays_masked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
