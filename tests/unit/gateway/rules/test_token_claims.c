/* Claims: what parses, and how they read as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/rules/token_claims.h"

static struct token_claims *parse(const char *json)
{
    return token_claims_parse(json, strlen(json));
}

static void what_is_no_set_of_claims(void **state)
{
    static const char *const rows[] = {
        "",
        "null",
        "[]",
        "\"text\"",
        "{",
        "{}}",
        "{} x",
        "{\"a\":1,\"a\":2}",
        "{\"a\":\"\\u0000\"}",
        "{\"a\":\"\xff\"}",
        /* times that are none */
        "{\"exp\":\"1800000000\"}",
        "{\"exp\":null}",
        "{\"exp\":true}",
        "{\"exp\":-1}",
        "{\"exp\":0}",
        "{\"exp\":1e300}",
        "{\"exp\":1e12}",
        "{\"nbf\":[]}",
        "{\"iat\":{}}",
        "{\"exp\":99999999999999999999}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (parse(rows[i]) != NULL)
            fail_msg("%s was taken", rows[i]);
}

static void deep_nesting_is_refused_and_harmless(void **state)
{
    (void)state;
    char text[8192];
    memset(text, '[', sizeof text);
    memcpy(text, "{\"a\":", 5);
    assert_null(token_claims_parse(text, sizeof text));
}

static void times(void **state)
{
    (void)state;
    struct token_claims *c = parse("{\"exp\":1800000000,\"nbf\":1700000000.5,\"iat\":1}");
    assert_int_equal(token_claims_expires_ms(c), INT64_C(1800000000000));
    assert_int_equal(token_claims_not_before_ms(c), INT64_C(1700000000500));
    assert_int_equal(token_claims_issued_ms(c), 1000);
    token_claims_unref(&c);
    c = parse("{\"nbf\":0,\"iat\":0.0}"); /* the beginning of all time, as issuers say it who have no better idea */
    assert_non_null(c);
    assert_int_equal(token_claims_not_before_ms(c), 0);
    assert_int_equal(token_claims_issued_ms(c), 0);
    token_claims_unref(&c);
    c = parse("{}");
    assert_int_equal(token_claims_expires_ms(c), 0);
    assert_null(token_claims_subject(c).data);
    assert_null(token_claims_id(c).data);
    token_claims_unref(&c);
}

static const char document[] =
    "{\"sub\":\"u-1\",\"jti\":7,\"empty\":\"\",\"n\":42,\"r\":1.5,\"yes\":true,\"no\":false,\"nil\":null,"
    "\"list\":[\"a\",\"b\",3],\"comma\":[\"a,b\"],\"deep\":[[1]],\"none\":[],"
    "\"app_metadata\":{\"role\":\"admin\",\"org\":{\"id\":\"o-1\"}},\"a.b\":\"dotted\",\"a\":{\"b\":\"nested\"},"
    "\"https://x.example/role\":\"chief\",\"x\":{\"c.d\":\"half\"}}";

static void text_of_claims(void **state)
{
    static const struct {
        const char *path, *text;
    } rows[] = {
        {"sub", "u-1"},
        {"jti", "7"},
        {"empty", ""},
        {"n", "42"},
        {"r", "1.5"},
        {"yes", "true"},
        {"no", "false"},
        {"nil", NULL},
        {"list", "a,b,3"},
        {"comma", NULL}, /* would read as two */
        {"deep", NULL},
        {"none", ""},
        {"app_metadata", NULL},
        {"app_metadata.role", "admin"},
        {"app_metadata.org.id", "o-1"},
        {"app_metadata.org.nothing", NULL},
        {"app_metadata.role.x", NULL},
        {"a.b", "dotted"}, /* the whole name comes first */
        {"https://x.example/role", "chief"},
        {"x.c.d", "half"},
        {"", NULL},
        {".", NULL},
        {"nothing", NULL},
    };
    (void)state;
    struct token_claims *c = parse(document);
    for (int round = 0; round < 2; round++) /* the second time from memory */
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            const struct http_view v = token_claims_text(c, rows[i].path);
            if (rows[i].text == NULL ? v.data != NULL : !http_view_is(v, rows[i].text))
                fail_msg("%s is \"%.*s\"", rows[i].path, (int)v.len, v.data);
        }
    assert_true(http_view_is(token_claims_subject(c), "u-1"));
    assert_null(token_claims_id(c).data); /* a number is no id */
    token_claims_unref(&c);
}

static void equal_or_among(void **state)
{
    static const struct {
        const char *path, *value;
        bool has;
    } rows[] = {
        {"sub", "u-1", true},
        {"sub", "u-", false},
        {"sub", "u-12", false},
        {"sub", "U-1", false},
        {"sub", "", false},
        {"empty", "", true},
        {"n", "42", true},
        {"n", "42.0", false},
        {"yes", "true", true},
        {"yes", "1", false},
        {"nil", "null", false},
        {"list", "b", true},
        {"list", "3", true},
        {"list", "a,b,3", false},
        {"comma", "a,b", true},
        {"comma", "a", false},
        {"app_metadata.role", "admin", true},
        {"app_metadata", "", false},
        {"nothing", "", false},
    };
    (void)state;
    struct token_claims *c = parse(document);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (token_claims_has(c, rows[i].path, rows[i].value) != rows[i].has)
            fail_msg("%s = %s", rows[i].path, rows[i].value);
    assert_true(token_claims_has_any(c, "no"));
    assert_true(token_claims_has_any(c, "app_metadata"));
    assert_false(token_claims_has_any(c, "nil"));
    assert_false(token_claims_has_any(c, "nothing"));
    token_claims_unref(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_set_of_claims),
        cmocka_unit_test(deep_nesting_is_refused_and_harmless),
        cmocka_unit_test(times),
        cmocka_unit_test(text_of_claims),
        cmocka_unit_test(equal_or_among),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
