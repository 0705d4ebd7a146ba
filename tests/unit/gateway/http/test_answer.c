/* The gateway's own answers, literally. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/http/answer.h"
#include "tests/unit/gateway/http/head.h"

static void check(const struct answer *a, const char *expected)
{
    struct strbuf out;
    strbuf_init(&out, 4096);
    answer_build(&out, a);
    assert_false(out.failed);
    assert_string_equal(out.data, expected);
    strbuf_fini(&out);
}

static void an_error_says_what_is_wrong(void **state)
{
    (void)state;
    check(&(struct answer){.status = 404, .error = "no route \"x\"", .request_id = {"id-1", 4}, .keep_alive = true},
          "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 60\r\n"
          "Cache-Control: no-store\r\nX-Request-Id: id-1\r\n\r\n"
          "{\"error\":\"no route \\\"x\\\"\",\"status\":404,\"request_id\":\"id-1\"}\n");
    check(&(struct answer){.status = 400},
          "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 37\r\n"
          "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
          "{\"error\":\"Bad Request\",\"status\":400}\n");
}

static void the_length_is_that_of_the_body(void **state)
{
    struct strbuf out;
    struct http_head h;

    (void)state;
    strbuf_init(&out, 4096);
    answer_build(&out, &(struct answer){.status = 502, .error = "caf\xc3\xa9", .keep_alive = true});
    head_of_response(&h, out.data);
    assert_int_equal(h.content_length, out.len - h.head_bytes);
    strbuf_fini(&out);
}

static void an_upgrade_required_says_how(void **state)
{
    struct strbuf out;
    struct http_head h;

    (void)state;
    strbuf_init(&out, 4096);
    answer_build(&out, &(struct answer){.status = 426, .keep_alive = true});
    head_of_response(&h, out.data);
    assert_true(http_view_is(http_value(&h, "sec-websocket-version"), "13"));
    assert_true(http_view_is(http_value(&h, "upgrade"), "websocket"));
    assert_true(http_has_token(&h, "connection", "upgrade"));
    assert_true(h.is_persistent);
    strbuf_clear(&out);
    answer_build(&out, &(struct answer){.status = 426});
    head_of_response(&h, out.data);
    assert_true(h.wants_upgrade);
    assert_false(h.is_persistent);
    strbuf_fini(&out);
}

static void a_busy_gateway_says_when_to_come_back(void **state)
{
    struct strbuf out;
    struct http_head h;

    (void)state;
    strbuf_init(&out, 4096);
    answer_build(&out, &(struct answer){.status = 503});
    head_of_response(&h, out.data);
    assert_true(http_view_is(http_value(&h, "retry-after"), "1"));
    strbuf_clear(&out);
    answer_build(&out, &(struct answer){.status = 503, .retry_after_s = 30});
    head_of_response(&h, out.data);
    assert_true(http_view_is(http_value(&h, "retry-after"), "30"));
    strbuf_fini(&out);
}

static void a_body_of_the_callers_own(void **state)
{
    struct answer a = {.status = 200,
                       .content_type = "application/json",
                       .body = "{}",
                       .body_len = 2,
                       .extra_fields = "X-A: b\r\n",
                       .keep_alive = true};

    (void)state;
    check(&a, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nCache-Control: no-store\r\n"
              "X-A: b\r\n\r\n{}");
    a.is_head = true;
    check(&a, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nCache-Control: no-store\r\n"
              "X-A: b\r\n\r\n");
}

static void statuses_have_phrases(void **state)
{
    (void)state;
    assert_string_equal(answer_reason(504), "Gateway Timeout");
    assert_string_equal(answer_reason(431), "Request Header Fields Too Large");
    assert_string_equal(answer_reason(599), "Unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_says_what_is_wrong),  cmocka_unit_test(the_length_is_that_of_the_body),
        cmocka_unit_test(an_upgrade_required_says_how), cmocka_unit_test(a_busy_gateway_says_when_to_come_back),
        cmocka_unit_test(a_body_of_the_callers_own),    cmocka_unit_test(statuses_have_phrases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
