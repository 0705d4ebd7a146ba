/* URLs as users write them, and those that are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/bench/url.h"

static void good_ones_are_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host, *authority, *target;
        uint16_t port;
        bool is_tls, speaks_http, has_path;
    } rows[] = {
        {"ws://gw.example", "gw.example", "gw.example", "/", 80, false, false, false},
        {"ws://gw.example:80/", "gw.example", "gw.example", "/", 80, false, false, false},
        {"wss://gw.example/socket?a=b&c", "gw.example", "gw.example", "/socket?a=b&c", 443, true, false, true},
        {"wss://gw.example:8443?a=b", "gw.example", "gw.example:8443", "/?a=b", 8443, true, false, false},
        {"http://127.0.0.1:8080/x/", "127.0.0.1", "127.0.0.1:8080", "/x/", 8080, false, true, true},
        {"https://[::1]:9/", "::1", "[::1]:9", "/", 9, true, true, false},
        {"https://[fe80::1]", "fe80::1", "[fe80::1]", "/", 443, true, true, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct url u;
        char error[URL_ERROR_BYTES] = "";
        assert_true(url_parse(&u, rows[i].text, error));
        assert_string_equal(u.host, rows[i].host);
        assert_string_equal(u.authority, rows[i].authority);
        assert_string_equal(u.target, rows[i].target);
        assert_int_equal(u.port, rows[i].port);
        assert_int_equal(u.is_tls, rows[i].is_tls);
        assert_int_equal(u.speaks_http, rows[i].speaks_http);
        assert_int_equal(u.has_path, rows[i].has_path);
    }
}

static void bad_ones_are_refused_with_words(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",           "gw.example",       "ftp://gw.example/", "ws:/gw.example", "ws://",           "ws:///x",
        "ws://a:0/",  "ws://a:65536/",    "ws://a:12x/",       "ws://a:/",       "ws://a:-1/",      "ws://user@a/",
        "ws://[::1/", "ws://[::1]x:80/x", "ws://a/b c",        "ws://a/\r\nX:y", "ws://a/\xc3\xa4", "ws://a/#part",
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct url u;
        char error[URL_ERROR_BYTES] = "";
        assert_false(url_parse(&u, rows[i], error));
        assert_string_not_equal(error, "");
    }
}

static void what_is_too_long_is_refused(void **state)
{
    (void)state;
    struct url u;
    char error[URL_ERROR_BYTES], text[URL_TARGET_BYTES + 64] = "ws://a/";
    memset(text + 7, 'x', URL_TARGET_BYTES);
    assert_false(url_parse(&u, text, error));
    memcpy(text, "ws://xx", 7);
    assert_false(url_parse(&u, text, error));
}

static void parameters_are_added_and_encoded(void **state)
{
    (void)state;
    struct url u;
    char error[URL_ERROR_BYTES];
    assert_true(url_parse(&u, "ws://a/x", error));
    assert_false(url_has_param(&u, "vsn"));
    assert_true(url_add_param(&u, "apikey", "a b&c=\xc3\xa4/~"));
    assert_true(url_add_param(&u, "vsn", "2.0.0"));
    assert_string_equal(u.target, "/x?apikey=a%20b%26c%3D%C3%A4%2F~&vsn=2.0.0");
    assert_true(url_has_param(&u, "vsn"));
    assert_true(url_has_param(&u, "apikey"));
    assert_false(url_has_param(&u, "api"));
}

static void a_parameter_without_room_changes_nothing(void **state)
{
    (void)state;
    struct url u;
    char error[URL_ERROR_BYTES], value[URL_TARGET_BYTES];
    memset(value, 'x', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    assert_true(url_parse(&u, "ws://a/x?y", error));
    assert_false(url_add_param(&u, "k", value));
    assert_string_equal(u.target, "/x?y");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_ones_are_taken_apart),
        cmocka_unit_test(bad_ones_are_refused_with_words),
        cmocka_unit_test(what_is_too_long_is_refused),
        cmocka_unit_test(parameters_are_added_and_encoded),
        cmocka_unit_test(a_parameter_without_room_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
