/* What `tidegatectl purge` sends for what an operator types. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/ctl/purge.h"

static void assert_line(const char *kind, const char *name, bool is_soft, const char *expected)
{
    struct strbuf line;

    strbuf_init(&line, PURGE_LINE_BYTES);
    assert_null(purge_line(&line, kind, name, is_soft));
    assert_string_equal(line.data, expected);
    strbuf_fini(&line);
}

static void assert_refused(const char *kind, const char *name)
{
    struct strbuf line;

    strbuf_init(&line, PURGE_LINE_BYTES);
    assert_non_null(purge_line(&line, kind, name, false));
    strbuf_fini(&line);
}

static void test_a_tag_is_sent_as_it_is(void **state)
{
    (void)state;
    assert_line("tag", "table:Cars", false, "purge tag table:Cars");
    assert_line("tag", "table:Cars", true, "purge tag --soft table:Cars");
    assert_line("tag", "https://not/a#url", false, "purge tag https://not/a#url");
    assert_line("tag", "--soft", false, "purge tag --soft"); /* the gateway says that the name is missing */
}

static void test_everything_has_no_name(void **state)
{
    (void)state;
    assert_line("all", "all", false, "purge all");
    assert_line("all", "all", true, "purge all --soft");
}

static void test_a_url_may_be_pasted_from_a_browser(void **state)
{
    static const struct {
        const char *typed, *line;
    } cases[] = {
        {"https://example.com/a?b=1", "purge url example.com/a?b=1"},
        {"HTTP://Example.COM/A?B=1#C", "purge url example.com/A?B=1"},
        {"https://example.com", "purge url example.com/"},
        {"https://example.com?b=1", "purge url example.com/?b=1"},
        {"example.com:8443/a", "purge url example.com:8443/a"},
        {"https://example.com:443/a", "purge url example.com/a"},
        {"http://example.com:80", "purge url example.com/"},
        {"http://example.com:443/a", "purge url example.com:443/a"},
        {"https://example.com:8443/a:443", "purge url example.com:8443/a:443"},
        {"example.com:443/a", "purge url example.com:443/a"},
        {"https://[2001:DB8::1]/a", "purge url [2001:db8::1]/a"},
        {"/rest/v1/Cars", "purge url /rest/v1/Cars"},
        {"/go?to=https://Example.com/", "purge url /go?to=https://Example.com/"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_line("url", cases[i].typed, false, cases[i].line);
}

static void test_a_prefix_is_a_beginning_and_needs_no_path(void **state)
{
    (void)state;
    assert_line("prefix", "https://Example.com/Rest/", false, "purge prefix example.com/Rest/");
    assert_line("prefix", "Example.c", false, "purge prefix example.c");
    assert_line("prefix", "/rest/", true, "purge prefix --soft /rest/");
}

static void test_what_would_become_another_line_is_refused(void **state)
{
    char name[PURGE_LINE_BYTES + 1];

    (void)state;
    assert_refused("tag", "");
    assert_refused("tag", "a\nb");
    assert_refused("url", "/a\r");
    assert_refused("tag", " a");
    assert_refused("tag", "a ");
    assert_refused("tag", "a\x7f");
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_refused("tag", name);
    assert_refused("prefix", name);
}

static void test_kinds_have_names_or_none(void **state)
{
    static char tag[] = "tag", url[] = "url", prefix[] = "prefix", all[] = "all", name[] = "x", wrong[] = "tags";
    static char *const with_names[][3] = {{tag, name, name}, {url, name, name}, {prefix, name, name}};
    static char *const nothing[] = {all, name};
    static char *const unknown[] = {wrong, name};

    (void)state;
    for (size_t i = 0; i < sizeof with_names / sizeof *with_names; i++) {
        assert_null(purge_check_words(2, with_names[i]));
        assert_null(purge_check_words(3, with_names[i]));
        assert_non_null(purge_check_words(1, with_names[i]));
    }
    assert_null(purge_check_words(1, nothing));
    assert_non_null(purge_check_words(2, nothing));
    assert_non_null(purge_check_words(2, unknown));
    assert_non_null(purge_check_words(0, unknown));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_tag_is_sent_as_it_is),
        cmocka_unit_test(test_everything_has_no_name),
        cmocka_unit_test(test_a_url_may_be_pasted_from_a_browser),
        cmocka_unit_test(test_a_prefix_is_a_beginning_and_needs_no_path),
        cmocka_unit_test(test_what_would_become_another_line_is_refused),
        cmocka_unit_test(test_kinds_have_names_or_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
