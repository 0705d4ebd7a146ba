/* What pages of other origins are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/rules/cors.h"
#include "tests/unit/gateway/rules/world.h"

static void which_origins_match(void **state)
{
    static const struct {
        const char *pattern, *origin;
        bool matches;
    } rows[] = {
        {"https://app.example.com", "https://app.example.com", true},
        {"https://app.example.com", "http://app.example.com", false},
        {"https://app.example.com", "https://app.example.com:8443", false},
        {"https://app.example.com", "https://app.example.com.evil.net", false},
        {"https://app.example.com", "https://APP.example.com", false}, /* no browser writes that */
        {"https://app.example.com", "null", false},
        {"https://*.example.com", "https://a.example.com", true},
        {"https://*.example.com", "https://a.b.example.com", true},
        {"https://*.example.com", "https://example.com", false},
        {"https://*.example.com", "https://.example.com", false},
        {"https://*.example.com", "https://evilexample.com", false},
        {"https://*.example.com", "https://evil.net/.example.com", false},
        {"https://*.example.com", "https://evil.net:1.example.com", false},
        {"https://*.example.com", "https://u@x.example.com", false},
        {"https://*.example.com", "https://a.example.com:444", false},
        {"https://*.example.com:444", "https://a.example.com:444", true},
        {"https://*.example.com", "http://a.example.com", false},
        {"capacitor://localhost", "capacitor://localhost", true},
        {"*", "https://anything.example", true},
        {"*", "null", true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (cors_origin_matches(&rows[i].pattern, 1, http_view_of(rows[i].origin)) != rows[i].matches)
            fail_msg("%s and %s", rows[i].pattern, rows[i].origin);
    assert_false(cors_origin_matches(&rows[0].pattern, 1, http_view_of(NULL)));
}

/* Rules, request, status, and the fields of the answer. */
static const struct {
    const char *cors, *request;
    uint16_t status;
    const char *fields;
} answers[] = {
    /* simple requests pass and their answers are decorated */
    {"origins: [ \"https://a.example\" ]", "GET / HTTP/1.1\r\nHost: h\r\nOrigin: https://a.example\r\n\r\n", 0,
     "Vary: Origin\nAccess-Control-Allow-Origin: https://a.example\n"},
    {"origins: [ \"https://a.example\" ]", "GET / HTTP/1.1\r\nHost: h\r\nOrigin: https://b.example\r\n\r\n", 0,
     "Vary: Origin\n"},
    {"origins: [ \"https://a.example\" ]", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", 0, "Vary: Origin\n"},
    {"origins: [ \"https://a.example\" ]",
     "GET / HTTP/1.1\r\nHost: h\r\nOrigin: https://a.example\r\nOrigin: https://b.example\r\n\r\n", 0,
     "Vary: Origin\n"},
    {"origins: [ \"*\" ]", "GET / HTTP/1.1\r\nHost: h\r\nOrigin: https://a.example\r\n\r\n", 0,
     "Access-Control-Allow-Origin: *\n"},
    {"origins: [ \"https://*.example\" ], credentials: true, expose: [ X-Total, ETag ]",
     "GET / HTTP/1.1\r\nHost: h\r\nOrigin: https://a.example\r\n\r\n", 0,
     "Vary: Origin\nAccess-Control-Allow-Origin: https://a.example\nAccess-Control-Allow-Credentials: true\n"
     "Access-Control-Expose-Headers: X-Total, ETag\n"},
    /* OPTIONS that asks nothing is a request like others */
    {"origins: [ \"*\" ]", "OPTIONS / HTTP/1.1\r\nHost: h\r\nOrigin: https://a.example\r\n\r\n", 0,
     "Access-Control-Allow-Origin: *\n"},
    /* preflights */
    {"origins: [ \"https://a.example\" ]",
     "OPTIONS / HTTP/1.1\r\nHost: h\r\nOrigin: https://a.example\r\nAccess-Control-Request-Method: PUT\r\n\r\n", 204,
     "Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\n"
     "Access-Control-Allow-Origin: https://a.example\n"
     "Access-Control-Allow-Methods: GET, HEAD, POST, PUT, PATCH, DELETE\nAccess-Control-Max-Age: 600\n"},
    {"origins: [ \"https://a.example\" ], methods: [ PUT ], headers: [ X-A, X-B ], credentials: true, max_age: 1h",
     "OPTIONS / HTTP/1.1\r\nHost: h\r\nOrigin: https://a.example\r\nAccess-Control-Request-Method: PUT\r\n"
     "Access-Control-Request-Headers: x-a,x-c\r\n\r\n",
     204,
     "Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\n"
     "Access-Control-Allow-Origin: https://a.example\nAccess-Control-Allow-Credentials: true\n"
     "Access-Control-Allow-Methods: PUT\nAccess-Control-Allow-Headers: X-A, X-B\nAccess-Control-Max-Age: 3600\n"},
    {"origins: [ \"https://a.example\" ], headers: [ \"*\" ], max_age: 0",
     "OPTIONS / HTTP/1.1\r\nHost: h\r\nOrigin: https://a.example\r\nAccess-Control-Request-Method: GET\r\n"
     "Access-Control-Request-Headers: x-a, x-c\r\n\r\n",
     204,
     "Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\n"
     "Access-Control-Allow-Origin: https://a.example\n"
     "Access-Control-Allow-Methods: GET, HEAD, POST, PUT, PATCH, DELETE\n"
     "Access-Control-Allow-Headers: x-a, x-c\nAccess-Control-Max-Age: 0\n"},
    {"origins: [ \"https://a.example\" ], headers: [ \"*\" ]", /* what is no list of names is not repeated */
     "OPTIONS / HTTP/1.1\r\nHost: h\r\nOrigin: https://a.example\r\nAccess-Control-Request-Method: GET\r\n"
     "Access-Control-Request-Headers: x-a; \"y\"\r\n\r\n",
     204,
     "Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\n"
     "Access-Control-Allow-Origin: https://a.example\n"
     "Access-Control-Allow-Methods: GET, HEAD, POST, PUT, PATCH, DELETE\nAccess-Control-Max-Age: 600\n"},
    {"origins: [ \"https://a.example\" ]",
     "OPTIONS / HTTP/1.1\r\nHost: h\r\nOrigin: https://b.example\r\nAccess-Control-Request-Method: PUT\r\n\r\n", 403,
     "Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\n"},
};

static void what_pages_are_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        struct world w;
        char route[256];
        snprintf(route, sizeof route, "cors: { %s }", answers[i].cors);
        world_init(&w, "", route);
        assert_int_equal(world_ask(&w, answers[i].request), answers[i].status);
        assert_true(w.verdict.replaces_cors);
        world_expect_fields(&w, answers[i].fields);
        world_fini(&w);
    }
}

static void the_servers_own_fields_give_way(void **state)
{
    (void)state;
    struct world w;
    const char *request = "GET / HTTP/1.1\r\nHost: h\r\nOrigin: https://b.example\r\n\r\n";
    world_init(&w, "", "cors: { origins: [ \"https://a.example\" ] }");
    world_ask(&w, request);
    assert_true(rules_drops_answer_field(&w.verdict, http_view_of("access-control-allow-origin")));
    assert_true(rules_drops_answer_field(&w.verdict, http_view_of("Access-Control-Max-Age")));
    assert_false(rules_drops_answer_field(&w.verdict, http_view_of("Vary")));
    assert_false(rules_drops_answer_field(&w.verdict, http_view_of("Access-Control")));
    world_take(&w, world_conf("", "path: /"));
    world_ask(&w, request);
    assert_false(rules_drops_answer_field(&w.verdict, http_view_of("access-control-allow-origin")));
    world_expect_fields(&w, "");
    world_fini(&w);
}

static void a_refusal_can_be_read_by_the_page(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, "", "methods: [ GET ], cors: { origins: [ \"https://a.example\" ] }");
    assert_int_equal(world_ask(&w, "PUT / HTTP/1.1\r\nHost: h\r\nOrigin: https://a.example\r\n\r\n"), 405);
    world_expect_fields(&w, "Vary: Origin\nAccess-Control-Allow-Origin: https://a.example\nAllow: GET\n");
    world_fini(&w);
}

static void preflights_pass_the_methods_and_need_no_token(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, "",
               "methods: [ GET, PUT ], cors: { origins: [ \"https://a.example\" ] }, "
               "jwt: { secret: 01234567890123456789012345678901 }");
    assert_int_equal(
        world_ask(
            &w,
            "OPTIONS / HTTP/1.1\r\nHost: h\r\nOrigin: https://a.example\r\nAccess-Control-Request-Method: PUT\r\n\r\n"),
        204);
    assert_int_equal(world_ask(&w, "GET / HTTP/1.1\r\nHost: h\r\nOrigin: https://a.example\r\n\r\n"), 401);
    world_expect_fields(&w, "Vary: Origin\nAccess-Control-Allow-Origin: https://a.example\nWWW-Authenticate: Bearer\n");
    world_fini(&w);
}

static void websockets_have_a_list_of_their_own(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, "", "websocket: { origins: [ \"https://a.example\" ] }, cors: { origins: [ \"*\" ] }");
    w.is_websocket = true;
    assert_int_equal(world_ask(&w, "GET / HTTP/1.1\r\nHost: h\r\nOrigin: https://a.example\r\n\r\n"), 0);
    world_expect_fields(&w, "");
    assert_int_equal(world_ask(&w, "GET / HTTP/1.1\r\nHost: h\r\nOrigin: https://b.example\r\n\r\n"), 403);
    assert_string_equal(w.verdict.reason, "origin not allowed");
    assert_int_equal(world_ask(&w, "GET / HTTP/1.1\r\nHost: h\r\nOrigin: null\r\n\r\n"), 403);
    assert_int_equal(world_ask(&w, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"), 0); /* no browser */
    w.is_websocket = false;
    assert_int_equal(world_ask(&w, "GET / HTTP/1.1\r\nHost: h\r\nOrigin: https://b.example\r\n\r\n"), 0);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(which_origins_match),
        cmocka_unit_test(what_pages_are_told),
        cmocka_unit_test(the_servers_own_fields_give_way),
        cmocka_unit_test(a_refusal_can_be_read_by_the_page),
        cmocka_unit_test(preflights_pass_the_methods_and_need_no_token),
        cmocka_unit_test(websockets_have_a_list_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
