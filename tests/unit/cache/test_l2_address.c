/* Where a node is, as configurations, MOVED and Sentinel write it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cache/l2_link.h"

static void addresses_are_read_with_or_without_brackets(void **state)
{
    static const struct {
        const char *text, *host; /* NULL: refused */
        uint16_t port;
    } cases[] = {
        {"127.0.0.1:6379", "127.0.0.1", 6379},
        {"redis.example.com:1", "redis.example.com", 1},
        {"[::1]:65535", "::1", 65535},
        {"::1:6379", "::1", 6379},
        {"2001:db8::7:6380", "2001:db8::7", 6380},
        {"", NULL, 0},
        {"host", NULL, 0},
        {"host:", NULL, 0},
        {":6379", NULL, 0},
        {"host:0", NULL, 0},
        {"host:65536", NULL, 0},
        {"host:99999999999", NULL, 0},
        {"host:6379x", NULL, 0},
        {"host:-1", NULL, 0},
        {"host: 1", NULL, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct l2_address a;
        assert_int_equal(l2_address_parse(&a, cases[i].text, strlen(cases[i].text)), cases[i].host != NULL);
        if (cases[i].host != NULL) {
            assert_string_equal(a.host, cases[i].host);
            assert_int_equal(a.port, cases[i].port);
            assert_false(a.is_unix);
        }
    }
}

static void what_does_not_fit_is_refused(void **state)
{
    char text[L2_HOST_BYTES + 8];
    struct l2_address a;
    (void)state;
    memset(text, 'a', sizeof text);
    memcpy(text + L2_HOST_BYTES - 1, ":1", 2);
    assert_true(l2_address_parse(&a, text, L2_HOST_BYTES + 1));
    text[L2_HOST_BYTES - 1] = 'a';
    memcpy(text + L2_HOST_BYTES, ":1", 2);
    assert_false(l2_address_parse(&a, text, L2_HOST_BYTES + 2));
    assert_false(l2_address_parse(&a, "ho\0st:1", 7));
}

static void the_same_place_is_the_same(void **state)
{
    struct l2_address a = {.port = 1, .host = "h"}, b = a, c = {.is_unix = true, .port = 1, .host = "h"};
    (void)state;
    assert_true(l2_address_equal(&a, &b));
    assert_false(l2_address_equal(&a, &c));
    b.port = 2;
    assert_false(l2_address_equal(&a, &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_with_or_without_brackets),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(the_same_place_is_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
