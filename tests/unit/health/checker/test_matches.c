/* What counts as a good answer to an http probe, whatever pieces its body comes in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "health/checker/matches.h"

static void test_statuses(void **state)
{
    (void)state;
    struct conf_check c = {.expect_statuses = {.count = 2, .range = {{200, 204}, {301, 301}}}};
    struct matches *m = matches_create(&c);
    static const struct {
        unsigned status;
        bool is_good;
    } cases[] = {{199, false}, {200, true}, {204, true}, {205, false}, {300, false}, {301, true}, {302, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(matches_status(m, cases[i].status), cases[i].is_good);
    matches_destroy(&m);
}

static void test_fields(void **state)
{
    (void)state;
    struct conf_pair pairs[] = {{"Content-Type", "json"}, {"X-Any", "*"}};
    struct conf_check c = {.expect_headers = pairs, .expect_header_count = 2};
    struct matches *m = matches_create(&c);
    assert_int_equal(matches_field_count(m), 2);
    assert_string_equal(matches_field_name(m, 0), "content-type");
    assert_true(matches_field(m, 0, "application/json; charset=utf-8"));
    assert_false(matches_field(m, 0, "text/html"));
    assert_false(matches_field(m, 0, NULL));
    assert_true(matches_field(m, 1, ""));
    assert_false(matches_field(m, 1, NULL));
    matches_destroy(&m);
}

/* The text is found wherever it stands and however the body is cut. */
static void test_body_in_pieces(void **state)
{
    (void)state;
    static const struct {
        const char *text, *body;
        bool is_found;
    } cases[] = {
        {"ok", "{\"status\":\"ok\"}", true}, {"aab", "aaaaaab", true}, {"abab", "abaabab", true}, {"x", "x", true},
        {"status ok", "status: ok", false},  {"abc", "ab", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t len = strlen(cases[i].body);
        for (size_t piece = 1; piece <= len; piece++) {
            struct conf_check c = {.expect_body = cases[i].text};
            struct matches *m = matches_create(&c);
            enum match match = MATCH_OPEN;
            assert_true(matches_wants_body(m));
            for (size_t at = 0; at < len && match == MATCH_OPEN; at += piece)
                match = matches_body(m, cases[i].body + at, len - at < piece ? len - at : piece);
            if ((match == MATCH_GOOD) != cases[i].is_found)
                fail_msg("\"%s\" in pieces of %zu", cases[i].body, piece);
            matches_destroy(&m);
        }
    }
}

static void test_body_without_an_end(void **state)
{
    (void)state;
    struct conf_check c = {.expect_body = "needle"};
    struct matches *m = matches_create(&c);
    char *hay = calloc(1, MATCHES_BODY_BYTES);
    assert_int_equal(matches_body(m, hay, MATCHES_BODY_BYTES - 6), MATCH_OPEN);
    assert_int_equal(matches_body(m, "needlework", 10), MATCH_GOOD); /* the last bytes looked at */
    matches_destroy(&m);
    m = matches_create(&c);
    assert_int_equal(matches_body(m, hay, MATCHES_BODY_BYTES - 5), MATCH_OPEN);
    assert_int_equal(matches_body(m, "needlework", 10), MATCH_BAD);
    assert_int_equal(matches_body(m, "needle", 6), MATCH_BAD);
    matches_destroy(&m);
    free(hay);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statuses),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_body_in_pieces),
        cmocka_unit_test(test_body_without_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
