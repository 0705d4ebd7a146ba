/* Routing by host, path and query: what matches, and what must not be let near the routes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/http/target.h"

static struct http_view view(const char *text)
{
    return (struct http_view){.data = text, .len = text != NULL ? strlen(text) : 0};
}

static void paths_that_mean_one_thing_only(void **state)
{
    static const struct {
        const char *path;
        bool is_safe;
    } rows[] = {
        {"/", true},
        {"/a/b", true},
        {"/a//b", true},
        {"/.well-known/x", true},
        {"/a..b/..c/d..", true},
        {"/...", true},
        {"/a;b=../c", true},
        {"/%2Fa", true},
        {"/a%20b%25", true},
        {"/caf%C3%A9", true},
        {"*", true},
        {"/..", false},
        {"/../a", false},
        {"/a/../b", false},
        {"/a/..", false},
        {"/a/./b", false},
        {"/a/.", false},
        {"/%2e%2e/a", false},
        {"/%2E./a", false},
        {"/a/.%2e", false},
        {"/a/..%2fb", false},
        {"/a%2f..%2fb", false},
        {"/a%2F../b", false},
        {"/a\\..\\b", false},
        {"/a/..%5cb", false},
        {"/a/..;/b", false},
        {"/a/..;x=y/b", false},
        {"/a/..;", false},
        {"/a%00b", false},
        {"/a%0d%0ab", false},
        {"/a%7f", false},
        {"/a%", false},
        {"/a%2", false},
        {"/a%zz", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (target_path_is_safe(view(rows[i].path)) != rows[i].is_safe)
            fail_msg("%s", rows[i].path);
    }
}

static void prefixes_match_on_segment_borders(void **state)
{
    static const struct {
        const char *prefix, *path;
        bool matches;
    } rows[] = {
        {"/", "/", true},
        {"/", "/a/b", true},
        {"/", "*", false},
        {"/a", "/a", true},
        {"/a", "/a/", true},
        {"/a", "/a/b", true},
        {"/a", "/ab", false},
        {"/a", "/A", false},
        {"/a", "/", false},
        {"/a/", "/a/", true},
        {"/a/", "/a/b", true},
        {"/a/", "/a", false},
        {"/a/", "/ab", false},
        {"/admin", "/%61dmin", true}, /* an escape is no way around a route */
        {"/admin", "/%61dmin%2Fx", false},
        {"/a/", "/a%2Fb", false},
        {"/a b", "/a%20b/c", true},
        {"/a%20b", "/a%20b", true},
        {"/a%2fb", "/a%2Fb", true},
        {"/a%2fb", "/a/b", false},
        {"/socket/websocket", "/socket/websocket", true},
        {"/socket/websocket", "/socket/websocke", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (target_matches_prefix(view(rows[i].path), rows[i].prefix) != rows[i].matches)
            fail_msg("prefix %s, path %s", rows[i].prefix, rows[i].path);
    }
}

/* What one server or another takes for a path below the prefix, though as it is written it is none. */
static void prefixes_are_guessed_at_as_servers_do(void **state)
{
    static const struct {
        const char *prefix, *path;
        bool may_match;
    } rows[] = {
        {"/admin", "/admin/x", true},   {"/admin", "//admin/x", true},
        {"/admin", "/%2fadmin", true},  {"/admin", "/\\admin", true},
        {"/admin", "/%5cadmin", true},  {"/admin", "/;x/admin", true},
        {"/admin", "/admin;x=1", true}, {"/admin", "/admin;x=1/y", true},
        {"/admin", "/admin%2Fx", true}, {"/a/b/", "/a;x//b%2f", true},
        {"/a/b/", "/a//b/c", true},     {"/a//b", "/a/b", true}, /* and the prefix as well */
        {"/a%2fb", "/a%2Fb/c", true},   {"/", "//", true},
        {"/admin", "/", false},         {"/admin", "//admins", false},
        {"/admin", "/x//admin", false}, {"/admin", "/adm;in", false},
        {"/a/b/", "/a;b/", false},      {"/a/b/", "/a;/b", false},
        {"/admin", "", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (target_may_match_prefix(view(rows[i].path), rows[i].prefix) != rows[i].may_match)
            fail_msg("prefix %s, path %s", rows[i].prefix, rows[i].path);
    }
}

static void plain_paths_are_read_alike_by_all(void **state)
{
    static const char *const plain[] = {"/", "/a/b/", "/%61", "/a:b@c", "*"};
    static const char *const odd[] = {"//", "/a//", "/a;b", "/a%3Bb", "/a%2fb", "/a\\b", "/a%5Cb"};

    (void)state;
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        assert_true(target_path_is_plain(view(plain[i])));
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
        assert_false(target_path_is_plain(view(odd[i])));
}

/* Every text of up to six of the characters that mean something. */
static void what_is_simple_is_safe_and_plain(void **state)
{
    static const char letters[] = "/.a%2F;\\";
    static const char *const simple[] = {"/", "/a", "/a/b.js", "/a../b", "/a/", "/~a/@b,c=d"};
    static const char *const others[] = {"",      "a",    "*",     "//",    "/.",       "/.a",
                                         "/a%41", "/a;b", "/a\\b", "/\x7f", "/\xc3\xa4"};
    size_t simple_count = 0;
    (void)state;
    for (size_t i = 0; i < sizeof simple / sizeof simple[0]; i++)
        assert_true(target_path_is_simple(view(simple[i])));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(target_path_is_simple(view(others[i])));
    for (uint32_t n = 0; n < 1u << 18; n++) {
        char text[7] = "";
        for (size_t i = 0; i < 6; i++)
            text[i] = letters[n >> 3 * i & 7];
        for (size_t len = 1; len <= 6; len++) {
            const struct http_view path = {text, len};
            if (!target_path_is_simple(path))
                continue;
            simple_count++;
            assert_true(target_path_is_safe(path) && target_path_is_plain(path));
        }
    }
    assert_true(simple_count > 1000);
}

static void hosts_match_without_case_port_and_dot(void **state)
{
    static const struct {
        const char *pattern, *authority;
        bool matches;
    } rows[] = {
        {"", "a.example.com", true},
        {"", NULL, true},
        {"a.example.com", "a.example.com", true},
        {"a.example.com", "A.Example.COM:8443", true},
        {"A.example.com", "a.example.com", true},
        {"a.example.com", "a.example.com.", true},
        {"a.example.com", "a.example.com.:80", true},
        {"a.example.com", "b.a.example.com", false},
        {"a.example.com", "xa.example.com", false},
        {"a.example.com", NULL, false},
        {"*.example.com", "a.example.com", true},
        {"*.example.com", "a.b.example.com:80", true},
        {"*.example.com", "example.com", false},
        {"*.example.com", ".example.com", false},
        {"*.example.com", "badexample.com", false},
        {"*.example.com", "a.example.com.evil", false},
        {"[::1]", "[::1]:8080", true},
        {"[::1]", "[::2]:8080", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (target_matches_host(view(rows[i].authority), rows[i].pattern) != rows[i].matches)
            fail_msg("pattern %s, authority %s", rows[i].pattern,
                     rows[i].authority != NULL ? rows[i].authority : "none");
    }
}

static void query_values_are_found_and_decoded(void **state)
{
    static const struct {
        const char *query, *name, *value; /* value NULL: not there */
    } rows[] = {
        {"a=1&b=2", "a", "1"},
        {"a=1&b=2", "b", "2"},
        {"a=1&a=2", "a", "1"},
        {"a=1", "c", NULL},
        {"ab=1", "a", NULL},
        {"a=1", "ab", NULL},
        {"a", "a", ""},
        {"a=", "a", ""},
        {"&&a=x&", "a", "x"},
        {"=x&a=y", "a", "y"},
        {"a=b=c", "a", "b=c"},
        {"a=%41%2fb", "a", "A/b"},
        {"a=x+y%2B", "a", "x y+"},
        {"%61=x", "a", "x"},
        {"a+b=x", "a b", "x"},
        {"a=%zz%", "a", "%zz%"},
        {"topic=realtime%3Apublic", "topic", "realtime:public"},
        {NULL, "a", NULL},
        {"", "a", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char out[64] = {0};
        const ptrdiff_t len = target_query_value(view(rows[i].query), rows[i].name, out, sizeof out);
        if (len != (rows[i].value != NULL ? (ptrdiff_t)strlen(rows[i].value) : -1))
            fail_msg("query %s, name %s: length %td", rows[i].query, rows[i].name, len);
        if (rows[i].value != NULL)
            assert_string_equal(out, rows[i].value);
    }
}

static void a_long_query_value_is_cut_but_measured(void **state)
{
    char out[4] = "....";

    (void)state;
    assert_int_equal(target_query_value(view("a=0123456789"), "a", out, 3), 10);
    assert_memory_equal(out, "012.", 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_that_mean_one_thing_only),
        cmocka_unit_test(prefixes_match_on_segment_borders),
        cmocka_unit_test(prefixes_are_guessed_at_as_servers_do),
        cmocka_unit_test(plain_paths_are_read_alike_by_all),
        cmocka_unit_test(what_is_simple_is_safe_and_plain),
        cmocka_unit_test(hosts_match_without_case_port_and_dot),
        cmocka_unit_test(query_values_are_found_and_decoded),
        cmocka_unit_test(a_long_query_value_is_cut_but_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
