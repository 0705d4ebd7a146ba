/* What HTTP/2 says of a field: names are found in any case, and values judged byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/http/h2_field.h"

static void test_names(void **state)
{
    static const struct {
        const char *name;
        const char *text; /* NULL: not known */
        enum h2_manner manner;
    } rows[] = {
        {"Content-Type", "content-type", H2_SAID},
        {"cache-control", "cache-control", H2_SAID},
        {"CONTENT-RANGE", "content-range", H2_SAID},
        {"Strict-Transport-Security", "strict-transport-security", H2_SAID},
        {"Access-Control-Allow-Origin", "access-control-allow-origin", H2_SAID},
        {"Set-Cookie", "set-cookie", H2_SAID_APART},
        {"Authorization", "authorization", H2_SAID_APART},
        {"X-Request-Id", "x-request-id", H2_SAID_APART},
        {"traceparent", "traceparent", H2_SAID_APART},
        {"TE", "te", H2_UNSAID},
        {"Keep-Alive", "keep-alive", H2_UNSAID},
        {"Content-Length", "content-length", H2_UNSAID},
        {"Sec-WebSocket-Accept", "sec-websocket-accept", H2_UNSAID},
        {"", NULL, H2_SAID},
        {"x", NULL, H2_SAID},
        {"Content-Typo", NULL, H2_SAID},
        {"content_type", NULL, H2_SAID},
        {"a-name-longer-than-any-of-those-that-are-known", NULL, H2_SAID},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct h2_name *n = h2_name_find(http_view_of(rows[i].name));
        if (rows[i].text == NULL) {
            assert_null(n);
            continue;
        }
        assert_non_null(n);
        assert_true(http_view_is(n->text, rows[i].text));
        assert_int_equal(n->manner, rows[i].manner);
    }
}

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

/* RFC 9110 section 5.5, without blanks at the ends. */
static bool may_stand(uint8_t byte, size_t at, size_t len)
{
    const bool is_end = at == 0 || at == len - 1;
    return is_blank(byte) ? !is_end : byte >= 0x20 && byte != 0x7f;
}

/* Any byte at any place of a value of any length that is looked at in another way. */
static void test_values(void **state)
{
    char text[24];
    (void)state;
    assert_true(h2_value_is_sound((struct http_view){text, 0}));
    for (size_t len = 1; len <= sizeof text; len++) {
        for (size_t at = 0; at < len; at++) {
            memset(text, 'v', sizeof text);
            for (int byte = 0; byte < 256; byte++) {
                text[at] = (char)byte;
                assert_int_equal(h2_value_is_sound((struct http_view){text, len}), may_stand((uint8_t)byte, at, len));
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
