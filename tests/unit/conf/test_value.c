/* The small languages of values, one table per language. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "conf/value.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static void test_durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"0", 0},
                {"0s", 0},
                {"1ms", 1},
                {"800ms", 800},
                {"5s", 5000},
                {"10m", 600000},
                {"1h", 3600000},
                {"2d", 172800000},
                {"90s", 90000},
                {"1000ms", 1000},
                {"106751991167d", INT64_C(106751991167) * 86400000}};
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        int64_t ms = -1;
        assert_null(value_duration(good[i].text, &ms));
        assert_int_equal(ms, good[i].ms);
    }
    static const char *const bad[] = {"",
                                      "s",
                                      "5",
                                      "5S",
                                      "5 s",
                                      " 5s",
                                      "5s ",
                                      "-5s",
                                      "+5s",
                                      "05s",
                                      "5ss",
                                      "5us",
                                      "1,5s",
                                      "1.5s",
                                      "5.",
                                      "106751991168d",
                                      "99999999999999999999ms"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        int64_t ms = -1;
        assert_non_null(value_duration(bad[i], &ms));
        assert_int_equal(ms, -1); /* untouched */
    }
}

static void test_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"0", 0},
                {"512B", 512},
                {"64KiB", 65536},
                {"1MiB", 1048576},
                {"10MB", 10000000},
                {"1KB", 1000},
                {"1kB", 1000},
                {"2GiB", UINT64_C(1) << 31},
                {"3GB", 3000000000u}};
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        uint64_t bytes = 1;
        assert_null(value_size(good[i].text, &bytes));
        assert_int_equal(bytes, good[i].bytes);
    }
    static const char *const bad[] = {"64", "64K", "64kib", "64 KiB", "KiB", "-1B", "1.5MiB", "9999999999GiB", "0x10B"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        uint64_t bytes = 1;
        assert_non_null(value_size(bad[i], &bytes));
    }
}

static void test_durations_and_sizes_are_written_exactly(void **state)
{
    (void)state;
    static const struct {
        int64_t value;
        const char *duration;
        const char *size;
    } rows[] = {{0, "0", "0"},
                {1, "1ms", "1B"},
                {800, "800ms", "800B"},
                {1000, "1s", "1000B"},
                {1024, "1024ms", "1KiB"},
                {1500, "1500ms", "1500B"},
                {60000, "1m", "60000B"},
                {86400000, "1d", "84375KiB"},
                {90000, "90s", "90000B"},
                {1048576, "1048576ms", "1MiB"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct strbuf b;
        strbuf_init(&b, 64);
        value_duration_text(&b, rows[i].value);
        assert_string_equal(b.data, rows[i].duration);
        strbuf_clear(&b);
        value_size_text(&b, (uint64_t)rows[i].value);
        assert_string_equal(b.data, rows[i].size);
        int64_t ms = 0;
        assert_null(value_duration(rows[i].duration, &ms));
        assert_int_equal(ms, rows[i].value);
        strbuf_fini(&b);
    }
}

static void test_numbers_percentages_and_booleans(void **state)
{
    (void)state;
    uint64_t number = 0;
    assert_null(value_uint("9223372036854775807", &number));
    assert_int_equal(number, INT64_MAX);
    assert_non_null(value_uint("9223372036854775808", &number));
    assert_non_null(value_uint("1e3", &number));
    uint32_t percent = 0;
    assert_null(value_percent("100%", &percent));
    assert_int_equal(percent, 100);
    assert_non_null(value_percent("10 %", &percent));
    assert_non_null(value_percent("%", &percent));
    bool yes = false;
    assert_null(value_bool("true", &yes));
    assert_true(yes);
    assert_null(value_bool("false", &yes));
    assert_false(yes);
    assert_non_null(value_bool("TRUE", &yes));
    assert_non_null(value_bool("", &yes));
}

static void test_statuses(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t low, high;
    } good[] = {{"200", 200, 200}, {"200-299", 200, 299}, {"2xx", 200, 299}, {"5xx", 500, 599}, {"100-599", 100, 599}};
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        uint32_t range[2] = {0, 0};
        assert_null(value_status(good[i].text, range));
        assert_int_equal(range[0], good[i].low);
        assert_int_equal(range[1], good[i].high);
    }
    static const char *const bad[] = {"",     "99",   "600",         "6xx",     "2XX", "2xxx",
                                      "200-", "-200", "200-299-300", "200,204", "xx"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        uint32_t range[2] = {7, 7};
        assert_non_null(value_status(bad[i], range));
        assert_int_equal(range[0], 7);
    }
}

static void test_urls(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum conf_scheme scheme;
        const char *host;
        uint16_t port;
        const char *path;
        bool is_tls;
    } good[] = {
        {"ws://h", SCHEME_WS, "h", 80, "", false},
        {"wss://us-a.example.com", SCHEME_WSS, "us-a.example.com", 443, "", true},
        {"http://10.0.0.1:8080/", SCHEME_HTTP, "10.0.0.1", 8080, "", false},
        {"https://h:1/prefix/", SCHEME_HTTPS, "h", 1, "/prefix", true},
        {"https://h/a/b//", SCHEME_HTTPS, "h", 443, "/a/b", true},
        {"ws://[::1]:9001/x", SCHEME_WS, "::1", 9001, "/x", false},
        {"ws://[2001:db8::1]", SCHEME_WS, "2001:db8::1", 80, "", false},
        {"ws://my_service.internal.:65535", SCHEME_WS, "my_service.internal.", 65535, "", false},
        {"ws://h/%20%2f", SCHEME_WS, "h", 80, "/%20%2f", false},
    };
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        struct value_url u;
        assert_null(value_url(good[i].text, &u));
        assert_int_equal(u.scheme, good[i].scheme);
        assert_int_equal(u.host_len, strlen(good[i].host));
        assert_memory_equal(u.host, good[i].host, u.host_len);
        assert_int_equal(u.port, good[i].port);
        assert_int_equal(u.path_len, strlen(good[i].path));
        assert_memory_equal(u.path, good[i].path, u.path_len);
        assert_int_equal(value_scheme_is_tls(u.scheme), good[i].is_tls);
    }
}

static void test_urls_that_are_none(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "h",
                                      "//h",
                                      "ws:/h",
                                      "WS://h",
                                      "tcp://h:1",
                                      "ws://",
                                      "ws:///x",
                                      "ws://:80",
                                      "ws://h:",
                                      "ws://h:0",
                                      "ws://h:65536",
                                      "ws://h:1x",
                                      "ws://h:000080",
                                      "ws://::1",
                                      "ws://[::1",
                                      "ws://[h]",
                                      "ws://[]",
                                      "ws://[::1]x",
                                      "ws://h\t",
                                      "ws://a..b",
                                      "ws://-a",
                                      "ws://1.2.3",
                                      "ws://999.1.1.1",
                                      "ws://u@h",
                                      "ws://u:p@h",
                                      "ws://h?x",
                                      "ws://h#x",
                                      "ws://h/a b",
                                      "ws://h/\"",
                                      "ws://h/a?b",
                                      "ws://h/\r\nX",
                                      "ws://h\\x",
                                      "ws://\xc3\xa4",
                                      "ws://h/\xc3\xa4"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct value_url u;
        if (value_url(bad[i], &u) == NULL)
            fail_msg("accepted %s", bad[i]);
    }
}

/* What is only asked has its path as it is, and may speak nothing of HTTP. */
static void test_urls_that_are_asked(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum conf_scheme scheme;
        uint16_t port;
        const char *path;
    } good[] = {
        {"https://192.0.2.10/health/?a=b", SCHEME_HTTPS, 443, "/health/?a=b"},
        {"wss://h/", SCHEME_WSS, 443, "/"},
        {"http://h", SCHEME_HTTP, 80, ""},
        {"tcp://[::1]:6379", SCHEME_TCP, 6379, ""},
    };
    static const char *const bad[] = {
        "", "h", "tcp://h", "udp://h:1", "http://h?a", "http://h/a#b", "http://u@h/", "http://h/a b"};
    struct value_url u;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        assert_null(value_asked_url(good[i].text, &u));
        assert_int_equal(u.scheme, good[i].scheme);
        assert_int_equal(u.port, good[i].port);
        assert_int_equal(u.path_len, strlen(good[i].path));
        assert_memory_equal(u.path, good[i].path, u.path_len);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (value_asked_url(bad[i], &u) == NULL)
            fail_msg("accepted %s", bad[i]);
}

static void test_names_and_addresses_of_dns(void **state)
{
    (void)state;
    static const struct {
        const char *(*judge)(const char *);
        const char *good[4], *bad[5];
    } all[] = {
        {value_domain, {"rt.example.com", "a.b.", "_x._tcp.h"}, {"", "192.0.2.1", "::1", "a..b", "*.a"}},
        {value_owner, {"@", "*", "*.a.b.", "10"}, {"", "a.*", "@.a", "a b", ".a"}},
        {value_ipv4, {"192.0.2.1"}, {"", "192.0.2", "::1", "h", "192.0.2.1 "}},
        {value_ipv6, {"::1", "2001:db8::1"}, {"", "192.0.2.1", "[::1]", "h", "::1%lo"}},
    };
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        for (size_t k = 0; k < COUNT_OF(all[i].good) && all[i].good[k] != NULL; k++)
            assert_null(all[i].judge(all[i].good[k]));
        for (size_t k = 0; k < COUNT_OF(all[i].bad); k++)
            assert_non_null(all[i].judge(all[i].bad[k]));
    }
}

static void test_names_and_hosts(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "us-a", "A.b_c-1", "0"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        assert_null(value_name(names[i]));
    static const char *const not_names[] = {"", "-a", ".a", "a b", "a/b", "a\n", "\xc3\xa4", "a:b", "a\"b"};
    for (size_t i = 0; i < COUNT_OF(not_names); i++)
        assert_non_null(value_name(not_names[i]));

    static const char *const patterns[] = {"example.com", "*.example.com", "10.0.0.1", "::1", "localhost"};
    for (size_t i = 0; i < COUNT_OF(patterns); i++)
        assert_null(value_host_pattern(patterns[i]));
    static const char *const not_patterns[] = {"*",    "*.",       "*example.com", "a.*",   "*.*.com",
                                               "a:80", "http://a", "a/b",          "[::1]", "a b"};
    for (size_t i = 0; i < COUNT_OF(not_patterns); i++)
        if (value_host_pattern(not_patterns[i]) == NULL)
            fail_msg("accepted %s", not_patterns[i]);

    assert_null(value_authority("example.com:8080"));
    assert_null(value_authority("[::1]:80"));
    assert_non_null(value_authority("a\r\nX: y"));
    assert_non_null(value_authority("a:80:90"));
}

static void test_names_are_bounded(void **state)
{
    (void)state;
    char text[2048];
    memset(text, 'a', sizeof text);
    text[60] = '\0';
    assert_null(value_name(text));
    assert_null(value_token(text));
    text[60] = 'a', text[61] = '\0';
    assert_non_null(value_name(text));
    assert_non_null(value_token(text));
    assert_non_null(value_parameter(text));
    text[61] = 'a', text[63] = '\0';
    assert_null(value_hostname(text)); /* one part of 63 */
    text[63] = 'a', text[64] = '\0';
    assert_non_null(value_hostname(text));
    text[64] = 'a', text[127] = '\0';
    assert_null(value_label(text));
    text[127] = 'a', text[128] = '\0';
    assert_non_null(value_label(text));
    text[128] = 'a', text[0] = '/', text[1024] = '\0';
    assert_null(value_path(text, false));
    text[1024] = 'a', text[1025] = '\0';
    assert_non_null(value_path(text, false));
}

static void test_request_paths(void **state)
{
    (void)state;
    assert_null(value_path("/", false));
    assert_null(value_path("/socket/websocket", false));
    assert_null(value_path("/.well-known/...//a.b/%20", false));
    assert_null(value_path("/a?b=../%", true));
    assert_null(value_path("/a?b=c&d", true));
    static const char *const bad[] = {"",    "a",    "/a b",  "/a#b", "/.",   "/a/..", "/../a",     "/./",      "/%",
                                      "/%1", "/%zz", "/a\tb", "/<",   "/a\"", "/\x7f", "/\xc3\xa4", "http://h/"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_non_null(value_path(bad[i], true));
    assert_non_null(value_path("/a?b", false));
}

static void test_address_blocks_are_written_as_they_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text, *wanted;
    } rows[] = {{"10.0.0.0/8", "10.0.0.0/8"}, {"192.0.2.1", "192.0.2.1/32"},
                {"0.0.0.0/0", "0.0.0.0/0"},   {"fd00::/8", "fd00::/8"},
                {"::1", "::1/128"},           {"::/0", "::/0"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct cidr first, second;
        assert_true(cidr_parse(&first, rows[i].text));
        struct strbuf b;
        strbuf_init(&b, 64);
        value_cidr_text(&b, &first);
        assert_string_equal(b.data, rows[i].wanted);
        assert_true(cidr_parse(&second, b.data));
        assert_memory_equal(first.bytes, second.bytes, sizeof first.bytes);
        assert_int_equal(first.prefix_bits, second.prefix_bits);
        strbuf_fini(&b);
    }
}

static void test_distance(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        size_t max, wanted;
    } rows[] = {{"", "", 2, 0},
                {"listen", "listen", 2, 0},
                {"listn", "listen", 2, 1},
                {"balace", "balance", 2, 1},
                {"wieght", "weight", 2, 1},
                {"ab", "ba", 2, 1},
                {"abc", "xyz", 2, 3},
                {"abc", "xyz", 3, 3},
                {"a", "abcd", 2, 3},
                {"regoin", "region", 2, 1},
                {"kitten", "sitting", 5, 3}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(value_distance(rows[i].a, rows[i].b, rows[i].max), rows[i].wanted);
        assert_int_equal(value_distance(rows[i].b, rows[i].a, rows[i].max), rows[i].wanted);
    }
    char endless[1000];
    memset(endless, 'a', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    assert_int_equal(value_distance(endless, endless, 3), 4); /* too long to be worth a look */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_durations_and_sizes_are_written_exactly),
        cmocka_unit_test(test_numbers_percentages_and_booleans),
        cmocka_unit_test(test_statuses),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_urls_that_are_none),
        cmocka_unit_test(test_urls_that_are_asked),
        cmocka_unit_test(test_names_and_addresses_of_dns),
        cmocka_unit_test(test_names_and_hosts),
        cmocka_unit_test(test_names_are_bounded),
        cmocka_unit_test(test_request_paths),
        cmocka_unit_test(test_address_blocks_are_written_as_they_are_read),
        cmocka_unit_test(test_distance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
