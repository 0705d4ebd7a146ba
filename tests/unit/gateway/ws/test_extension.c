/* Offers of permessage-deflate and what they are answered: the examples of RFC 7692 and the rules around them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/ws/extension.h"

static const struct ws_deflate_policy alone = {.is_enabled = true, .window_bits = 15, .level = 4, .min_bytes = 256};
static const struct ws_deflate_policy lasting = {
    .is_enabled = true, .keeps_context = true, .window_bits = 15, .level = 4, .min_bytes = 256};
static const struct ws_deflate_policy narrow = {
    .is_enabled = true, .keeps_context = true, .window_bits = 11, .level = 4, .min_bytes = 256};
static const struct ws_deflate_policy off = {.is_enabled = false};

/* Column 3: the whole answer; NULL: declined. */
struct row {
    const struct ws_deflate_policy *policy;
    const char *offer;
    const char *answer;
};

#define P  "permessage-deflate"
#define SN "; server_no_context_takeover"
#define CN "; client_no_context_takeover"

static void expect_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct ws_deflate_params params = {0};
        char answer[WS_OFFER_ANSWER_BYTES] = "(untouched)";
        enum ws_offer got = ws_offer_judge(rows[i].policy, rows[i].offer, strlen(rows[i].offer), &params, answer);
        if (got != (rows[i].answer != NULL ? WS_OFFER_ACCEPTED : WS_OFFER_NONE))
            print_error("offer: %s\n", rows[i].offer);
        assert_int_equal(got, rows[i].answer != NULL ? WS_OFFER_ACCEPTED : WS_OFFER_NONE);
        assert_string_equal(answer, rows[i].answer != NULL ? rows[i].answer : "(untouched)");
    }
}
#define EXPECT_ROWS(rows) expect_rows(rows, sizeof(rows) / sizeof((rows)[0]))

static void messages_stand_alone_unless_the_route_says_otherwise(void **state)
{
    static const struct row rows[] = {
        {&alone, P, P SN CN},
        {&alone, P SN, P SN CN},
        {&alone, P "; client_max_window_bits", P SN CN}, /* what browsers send */
        {&lasting, P, P},
        {&lasting, P "; client_max_window_bits", P},
        {&lasting, P SN, P SN},
        {&lasting, P CN, P CN},
        {&lasting, P SN CN, P SN CN},
    };
    (void)state;
    EXPECT_ROWS(rows);
}

static void windows_are_the_smaller_of_what_both_want(void **state)
{
    static const struct row rows[] = {
        {&lasting, P "; server_max_window_bits=10", P "; server_max_window_bits=10"}, /* RFC 7692 section 7.1.2.1 */
        {&lasting, P "; server_max_window_bits=15", P "; server_max_window_bits=15"},
        {&lasting, P "; server_max_window_bits=\"10\"", P "; server_max_window_bits=10"},
        {&lasting, P "; client_max_window_bits=10", P "; client_max_window_bits=10"},
        {&lasting, P "; client_max_window_bits=8", P "; client_max_window_bits=8"},
        {&narrow, P "; client_max_window_bits", P "; server_max_window_bits=11; client_max_window_bits=11"},
        {&narrow, P "; client_max_window_bits=9; server_max_window_bits=10",
         P "; server_max_window_bits=10; client_max_window_bits=9"},
        /* This client does not know the parameter, so it must not be sent it (7.1.2.2): its window may not last. */
        {&narrow, P, P CN "; server_max_window_bits=11"},
    };
    (void)state;
    EXPECT_ROWS(rows);
}

static void an_offer_not_understood_is_declined(void **state)
{
    static const struct row rows[] = {
        {&off, P, NULL},
        {&alone, "", NULL},
        {&alone, ", ,", NULL},
        {&alone, "permessage-bzip2", NULL},
        {&alone, "Permessage-Deflate", NULL},
        {&alone, "x-webkit-deflate-frame", NULL},
        {&alone, P "; use_y_method", NULL},
        {&alone, P SN SN, NULL},
        {&alone, P "; client_max_window_bits; client_max_window_bits=10", NULL},
        {&alone, P "; server_no_context_takeover=1", NULL},
        {&alone, P "; client_no_context_takeover=true", NULL},
        {&alone, P "; server_max_window_bits", NULL},
        {&alone, P "; server_max_window_bits=8", NULL}, /* zlib cannot */
        {&alone, P "; server_max_window_bits=7", NULL},
        {&alone, P "; server_max_window_bits=16", NULL},
        {&alone, P "; server_max_window_bits=010", NULL},
        {&alone, P "; server_max_window_bits=10.0", NULL},
        {&alone, P "; client_max_window_bits=0", NULL},
        {&alone, P "; client_max_window_bits=150", NULL},
        {&alone, P "; client_max_window_bits=99999999999999999999999999", NULL},
    };
    (void)state;
    EXPECT_ROWS(rows);
}

static void the_first_offer_that_can_be_met_is_taken(void **state)
{
    static const struct row rows[] = {
        /* RFC 7692 section 5.1 and 7.1.3 */
        {&alone, P "; client_max_window_bits; server_max_window_bits=10, " P "; client_max_window_bits",
         P SN CN "; server_max_window_bits=10"},
        {&lasting, P "; use_y_method, " P, P},
        {&lasting, P "; server_max_window_bits=8," P SN, P SN},
        {&lasting, "bar; baz=2, foo, " P CN " ,, " P, P CN},
        {&lasting, "foo;a=\"b\\c\" , " P " ; server_max_window_bits = 12", P "; server_max_window_bits=12"},
    };
    (void)state;
    EXPECT_ROWS(rows);
}

static void what_is_no_list_is_malformed(void **state)
{
    static const char *const texts[] = {
        ";",
        P ";",
        P "; ;",
        P " x",
        P "; server_max_window_bits=",
        P "; a=\"\"",
        P "; a=\"b c\"",
        P "; a=\"b",
        P "; a=\"b\\",
        P "; a=\"b\"c",
        P ", =",
        "(",
        P "\x01",
        P "; \xc3\xa4",
        P ", foo bar",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct ws_deflate_params params;
        char answer[WS_OFFER_ANSWER_BYTES];
        /* Whether or not the route compresses: the field is wrong either way. */
        assert_int_equal(ws_offer_judge(&alone, texts[i], strlen(texts[i]), &params, answer), WS_OFFER_MALFORMED);
        assert_int_equal(ws_offer_judge(&off, texts[i], strlen(texts[i]), &params, answer), WS_OFFER_MALFORMED);
    }
}

static void the_parameters_say_what_the_answer_says(void **state)
{
    static const char offer[] = P "; client_max_window_bits=9; server_max_window_bits=14";
    struct ws_deflate_params params;
    char answer[WS_OFFER_ANSWER_BYTES];
    (void)state;
    assert_int_equal(ws_offer_judge(&narrow, offer, sizeof offer - 1, &params, answer), WS_OFFER_ACCEPTED);
    assert_int_equal(params.client_window_bits, 9);
    assert_int_equal(params.server_window_bits, 11);
    assert_false(params.client_no_context_takeover);
    assert_false(params.server_no_context_takeover);
    assert_int_equal(params.level, 4);
    assert_int_equal(params.min_bytes, 256);
    assert_int_equal(ws_offer_judge(&alone, P, sizeof P - 1, &params, answer), WS_OFFER_ACCEPTED);
    assert_int_equal(params.client_window_bits, 15);
    assert_int_equal(params.server_window_bits, 15);
    assert_true(params.client_no_context_takeover);
    assert_true(params.server_no_context_takeover);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_stand_alone_unless_the_route_says_otherwise),
        cmocka_unit_test(windows_are_the_smaller_of_what_both_want),
        cmocka_unit_test(an_offer_not_understood_is_declined),
        cmocka_unit_test(the_first_offer_that_can_be_met_is_taken),
        cmocka_unit_test(what_is_no_list_is_malformed),
        cmocka_unit_test(the_parameters_say_what_the_answer_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
