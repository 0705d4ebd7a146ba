/* The gateway's own answers, literally, and which form a client likes best. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/http/answer.h"
#include "tests/unit/gateway/http/head.h"

static void check(const struct answer *a, const char *expected_head, const char *expected_body)
{
    struct http_head h;
    struct http_texts texts;
    struct strbuf body, text;
    http_texts_init(&texts, 1024);
    strbuf_init(&body, 4096);
    assert_true(answer_build(&h, &texts, &body, a));
    text_of_head(&text, &h);
    assert_string_equal(text.data, expected_head);
    assert_string_equal(body.len > 0 ? body.data : "", expected_body);
    strbuf_fini(&text);
    strbuf_fini(&body);
    http_texts_fini(&texts);
}

static void an_error_says_what_is_wrong(void **state)
{
    (void)state;
    check(&(struct answer){.status = 404, .error = "no route \"x\"", .request_id = {"id-1", 4}},
          "404\n(60 bytes)\nContent-Type: application/json\nCache-Control: no-store\nX-Request-Id: id-1\n",
          "{\"error\":\"no route \\\"x\\\"\",\"status\":404,\"request_id\":\"id-1\"}\n");
    check(&(struct answer){.status = 400}, "400\n(37 bytes)\nContent-Type: application/json\nCache-Control: no-store\n",
          "{\"error\":\"Bad Request\",\"status\":400}\n");
}

static void the_same_as_text_and_as_a_page(void **state)
{
    struct answer a = {.status = 403, .form = ANSWER_TEXT, .error = "not <you>", .request_id = {"id-1", 4}};
    struct http_head h;
    struct http_texts texts;
    struct strbuf body;

    (void)state;
    check(&a, "403\n(27 bytes)\nContent-Type: text/plain; charset=utf-8\nCache-Control: no-store\nX-Request-Id: id-1\n",
          "403 not <you>\nrequest id-1\n");
    a.form = ANSWER_HTML;
    http_texts_init(&texts, 1024);
    strbuf_init(&body, 4096);
    assert_true(answer_build(&h, &texts, &body, &a));
    assert_true(http_view_is(http_value(&h, "content-type"), "text/html; charset=utf-8"));
    assert_int_equal(h.content_length, body.len);
    assert_non_null(strstr(body.data, "<h1>403 Forbidden</h1>"));
    assert_non_null(strstr(body.data, "<p>not &#60;you&#62;</p>"));
    assert_non_null(strstr(body.data, "request id-1"));
    assert_null(strstr(body.data, "http")); /* nothing is fetched from anywhere */
    strbuf_fini(&body);
    http_texts_fini(&texts);
}

static void what_a_status_demands_goes_with_it(void **state)
{
    (void)state;
    check(&(struct answer){.status = 405, .body = "", .body_len = 0},
          "405\n(0 bytes)\nContent-Type: text/plain; charset=utf-8\nAllow: GET\nCache-Control: no-store\n", "");
    check(&(struct answer){.status = 401, .body = ""},
          "401\n(0 bytes)\nContent-Type: text/plain; charset=utf-8\nWWW-Authenticate: Bearer\n"
          "Cache-Control: no-store\n",
          "");
    check(&(struct answer){.status = 503, .body = ""},
          "503\n(0 bytes)\nContent-Type: text/plain; charset=utf-8\nRetry-After: 1\nCache-Control: no-store\n", "");
    check(&(struct answer){.status = 429, .retry_after_s = 30, .body = ""},
          "429\n(0 bytes)\nContent-Type: text/plain; charset=utf-8\nRetry-After: 30\nCache-Control: no-store\n", "");
    check(&(struct answer){.status = 426, .body = "", .is_h1 = true},
          "426\n(0 bytes)\nContent-Type: text/plain; charset=utf-8\nSec-WebSocket-Version: 13\nUpgrade: websocket\n"
          "Cache-Control: no-store\n",
          "");
    check(&(struct answer){.status = 426, .body = ""},
          "426\n(0 bytes)\nContent-Type: text/plain; charset=utf-8\nSec-WebSocket-Version: 13\n"
          "Cache-Control: no-store\n",
          "");
}

static void the_callers_fields_come_first(void **state)
{
    static const struct http_field fields[] = {{{"allow", 5}, {"GET, POST", 9}}, {{"X-A", 3}, {"b", 1}}};

    (void)state;
    check(&(struct answer){.status = 405, .body = "", .fields = fields, .field_count = 2},
          "405\n(0 bytes)\nContent-Type: text/plain; charset=utf-8\nCache-Control: no-store\nallow: GET, POST\n"
          "X-A: b\n",
          "");
}

static void a_body_of_the_callers_own(void **state)
{
    (void)state;
    check(&(struct answer){.status = 200,
                           .content_type = "application/json",
                           .body = "{}",
                           .body_len = 2,
                           .server = "edge",
                           .wall_ms = INT64_C(784111777000)},
          "200\n(2 bytes)\nContent-Type: application/json\nCache-Control: no-store\nServer: edge\n"
          "Date: Sun, 06 Nov 1994 08:49:37 GMT\n",
          "{}");
}

static void no_content_has_none(void **state)
{
    (void)state;
    check(&(struct answer){.status = 204}, "204\nCache-Control: no-store\n", "");
}

static void what_does_not_fit_is_noticed(void **state)
{
    struct http_head h;
    struct http_texts texts;
    struct strbuf body;

    (void)state;
    http_texts_init(&texts, 1024);
    strbuf_init(&body, 8);
    assert_false(answer_build(&h, &texts, &body, &(struct answer){.status = 404}));
    strbuf_fini(&body);
    http_texts_fini(&texts);
}

static void statuses_have_phrases(void **state)
{
    (void)state;
    assert_string_equal(answer_reason(504), "Gateway Timeout");
    assert_string_equal(answer_reason(431), "Request Header Fields Too Large");
    assert_string_equal(answer_reason(599), "Unknown");
}

static void accept_says_what_is_liked(void **state)
{
    static const struct {
        const char *accept;
        enum answer_form form;
    } rows[] = {
        {"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", ANSWER_HTML},
        {"*/*", ANSWER_JSON},
        {"application/json, text/plain, */*", ANSWER_JSON},
        {"text/plain", ANSWER_TEXT},
        {"TEXT/HTML", ANSWER_HTML},
        {"text/*", ANSWER_HTML},
        {"text/*, text/html;q=0.1", ANSWER_TEXT},
        {"text/html;level=1;q=0.5, text/plain;q=0.6", ANSWER_TEXT},
        {"text/html; q=0.5 , application/json;q=0.4", ANSWER_HTML},
        {"application/json;q=0, */*", ANSWER_HTML},
        {"text/html;q=0", ANSWER_JSON},
        {"image/png", ANSWER_JSON},
        {"text/html;q=0.999, text/plain;q=1.000", ANSWER_TEXT},
        {"text/html;q=nonsense, text/plain;q=0.9", ANSWER_HTML},
        {"text/plain;q=, ;;, text/html;q=0.3", ANSWER_TEXT},
        {"", ANSWER_JSON},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct http_head h;
        http_head_clear(&h);
        assert_true(http_head_add(&h, http_view_of("Accept"), http_view_of(rows[i].accept)));
        if (answer_choose(&h) != rows[i].form)
            fail_msg("%s: %d", rows[i].accept, answer_choose(&h));
    }
}

static void accept_may_be_several_fields_or_none(void **state)
{
    struct http_head h;

    (void)state;
    http_head_clear(&h);
    assert_int_equal(answer_choose(&h), ANSWER_JSON);
    assert_true(http_head_add(&h, http_view_of("accept"), http_view_of("text/plain;q=0.5")));
    assert_true(http_head_add(&h, http_view_of("accept"), http_view_of("text/html")));
    assert_int_equal(answer_choose(&h), ANSWER_HTML);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_says_what_is_wrong),        cmocka_unit_test(the_same_as_text_and_as_a_page),
        cmocka_unit_test(what_a_status_demands_goes_with_it), cmocka_unit_test(the_callers_fields_come_first),
        cmocka_unit_test(a_body_of_the_callers_own),          cmocka_unit_test(no_content_has_none),
        cmocka_unit_test(what_does_not_fit_is_noticed),       cmocka_unit_test(statuses_have_phrases),
        cmocka_unit_test(accept_says_what_is_liked),          cmocka_unit_test(accept_may_be_several_fields_or_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
