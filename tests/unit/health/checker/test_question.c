/* What a server is asked, from its configuration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "health/checker/question.h"

static struct conf_server server_of(enum conf_scheme scheme, const char *host, uint16_t port)
{
    return (struct conf_server){
        .slot_name = "pool/a",
        .url = {.scheme = scheme, .host = host, .port = port, .path = "", .text = ""},
        .tls = {.server_name = "", .verify = true},
        .check = {.type = CHECK_HTTP, .path = "/", .host = "", .expect_statuses = {.count = 1, .range = {{200, 299}}}},
    };
}

static void test_host_header(void **state)
{
    (void)state;
    static const struct {
        enum conf_scheme scheme;
        const char *host;
        uint16_t port, check_port;
        const char *check_host, *expected;
    } cases[] = {
        {SCHEME_WS, "us-a.test", 80, 0, "", "us-a.test"},
        {SCHEME_WSS, "us-a.test", 443, 0, "", "us-a.test"},
        {SCHEME_HTTP, "us-a.test", 8080, 0, "", "us-a.test:8080"},
        {SCHEME_HTTPS, "us-a.test", 443, 9000, "", "us-a.test:9000"},
        {SCHEME_HTTP, "127.0.0.1", 80, 0, "", "127.0.0.1"},
        {SCHEME_HTTP, "::1", 8080, 0, "", "[::1]:8080"},
        {SCHEME_WS, "::1", 80, 0, "", "[::1]"},
        {SCHEME_WS, "10.0.0.1", 8080, 0, "rt.example.com", "rt.example.com"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[QUESTION_HOST_BYTES];
        struct conf_server s = server_of(cases[i].scheme, cases[i].host, cases[i].port);
        s.check.port = cases[i].check_port;
        s.check.host = cases[i].check_host;
        assert_string_equal(question_host_header(&s, text), cases[i].expected);
    }
}

static void test_server_name_does_not_follow_the_host_header(void **state)
{
    (void)state;
    struct conf_server s = server_of(SCHEME_WSS, "us-a.test", 443);
    s.check.host = "rt.example.com";
    assert_string_equal(question_server_name(&s), "us-a.test");
    s.tls.server_name = "internal.test";
    assert_string_equal(question_server_name(&s), "internal.test");
}

static void test_which_http(void **state)
{
    (void)state;
    static const struct {
        enum conf_check_type type;
        enum conf_scheme scheme;
        enum conf_over configured, expected;
    } cases[] = {
        {CHECK_HTTP, SCHEME_HTTPS, OVER_AUTO, OVER_AUTO}, /* both are offered */
        {CHECK_HTTP, SCHEME_HTTPS, OVER_H1, OVER_H1},     {CHECK_HTTP, SCHEME_HTTPS, OVER_H2, OVER_H2},
        {CHECK_HTTP, SCHEME_HTTP, OVER_AUTO, OVER_H1}, /* nobody to agree with */
        {CHECK_HTTP, SCHEME_HTTP, OVER_H2, OVER_H2},      {CHECK_WEBSOCKET, SCHEME_WSS, OVER_AUTO, OVER_H1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct conf_server s = server_of(cases[i].scheme, "a.test", 443);
        s.url.is_tls = cases[i].scheme == SCHEME_HTTPS || cases[i].scheme == SCHEME_WSS;
        s.check.type = cases[i].type;
        s.check.http = cases[i].configured;
        assert_int_equal(question_over(&s), cases[i].expected);
    }
}

static void test_which_checks_can_watch(void **state)
{
    (void)state;
    static const enum conf_check_type tcp[] = {CHECK_TCP, CHECK_TLS, CHECK_HTTP, CHECK_WEBSOCKET, CHECK_REDIS};
    static const enum conf_check_type others[] = {CHECK_NONE, CHECK_DNS, CHECK_COMMAND};
    struct conf_server s = server_of(SCHEME_HTTP, "a.test", 80);
    assert_false(question_is_watched(&s));
    s.check.watch = true;
    for (size_t i = 0; i < sizeof tcp / sizeof tcp[0]; i++) {
        s.check.type = tcp[i];
        assert_true(question_is_watched(&s));
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        s.check.type = others[i];
        assert_false(question_is_watched(&s));
    }
}

static void test_what_makes_it_another_question(void **state)
{
    (void)state;
    struct conf_server a = server_of(SCHEME_WSS, "us-a.test", 443), b = a;
    b.check.interval_ms = 77;
    b.check.timeout_ms = 77;
    b.check.rise = b.check.fall = 7;
    b.weight = 9;
    b.drain = true;
    b.region = "elsewhere";
    assert_true(question_is_same(&a, &b));

#define DIFFERS(assignment)                                                                                            \
    do {                                                                                                               \
        b = a;                                                                                                         \
        assignment;                                                                                                    \
        assert_false(question_is_same(&a, &b));                                                                        \
        assert_false(question_is_same(&b, &a));                                                                        \
    } while (0)
    DIFFERS(b.check.type = CHECK_TCP);
    DIFFERS(b.check.path = "/other");
    DIFFERS(b.check.host = "other");
    DIFFERS(b.check.port = 1);
    DIFFERS(b.check.speak = SPEAK_PING);
    DIFFERS(b.check.http = OVER_H2);
    DIFFERS(b.check.canary_topic = "realtime:canary");
    DIFFERS(b.check.canary_peer = "pool/b");
    DIFFERS(b.check.expect_statuses.range[0].min = 204);
    DIFFERS(b.check.expect_statuses.range[0].max = 204);
    DIFFERS(b.check.expect_statuses.count = 2);
    DIFFERS(b.check.expect_body = "well");
    DIFFERS(b.check.expiry_down_ms = 1);
    DIFFERS(b.check.redis_password = "secret");
    DIFFERS(b.check.dns_name = "example.test");
    DIFFERS(b.check.dns_record = 28);
    DIFFERS((b.check.expect_headers = (struct conf_pair[]){{"a", "b"}}, b.check.expect_header_count = 1));
    DIFFERS((b.check.command = (const char *[]){"/bin/true"}, b.check.command_count = 1));
    DIFFERS(b.url.host = "other");
    DIFFERS(b.url.port = 1);
    DIFFERS(b.url.scheme = SCHEME_WS);
    DIFFERS(b.url.is_tls = true);
    DIFFERS(b.tls.verify = false);
    DIFFERS(b.tls.server_name = "other");
    DIFFERS(b.tls.ca.text = "other");
    DIFFERS(b.tls.cert.text = "other");
    DIFFERS(b.tls.key.text = "other");
#undef DIFFERS
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_host_header),
        cmocka_unit_test(test_server_name_does_not_follow_the_host_header),
        cmocka_unit_test(test_which_http),
        cmocka_unit_test(test_which_checks_can_watch),
        cmocka_unit_test(test_what_makes_it_another_question),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
