/* The door's parser: what the tests read at /_last_request must be what was sent, and nothing malformed may pass. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/region/head.h"

static enum err parse(struct head *h, const char *text)
{
    assert_int_equal(head_length(text, strlen(text)), strlen(text));
    return head_parse(h, text, strlen(text));
}

static void keeps_fields_as_they_came(void **state)
{
    struct head h;
    json_t *j;

    (void)state;
    assert_int_equal(
        parse(&h, "POST /a/b?x=1 HTTP/1.1\r\nHost: h\r\nX-Y:  one \r\nx-y: two\r\nContent-Length: 12\r\n\r\n"),
        ERR_NONE);
    assert_string_equal(h.method, "POST");
    assert_string_equal(h.target, "/a/b?x=1");
    assert_string_equal(h.path, "/a/b");
    assert_string_equal(h.query, "x=1");
    assert_string_equal(head_field(&h, "X-y"), "one");
    assert_int_equal(head_body_bytes(&h), 12);
    assert_false(head_asks_websocket(&h));
    j = head_json(&h);
    assert_string_equal(json_string_value(json_object_get(json_object_get(j, "headers"), "x-y")), "one, two");
    assert_string_equal(json_string_value(json_array_get(json_object_get(j, "lines"), 2)), "x-y: two");
    json_decref(j);
    head_fini(&h);
}

static void decodes_the_query(void **state)
{
    struct head h;
    char name[8], value[8];
    size_t cursor = 0;

    (void)state;
    assert_int_equal(parse(&h, "GET /?a=%41+b&&flag&long=123456789 HTTP/1.1\r\n\r\n"), ERR_NONE);
    assert_true(head_query_next(&h, &cursor, name, sizeof(name), value, sizeof(value)));
    assert_string_equal(name, "a");
    assert_string_equal(value, "A b");
    assert_true(head_query_next(&h, &cursor, name, sizeof(name), value, sizeof(value)));
    assert_string_equal(name, "flag");
    assert_string_equal(value, "");
    assert_true(head_query(&h, "long", value, sizeof(value)));
    assert_string_equal(value, "1234567");
    assert_false(head_query(&h, "other", value, sizeof(value)));
    head_fini(&h);
}

static void refuses_what_is_malformed(void **state)
{
    static const char *const bad[] = {
        "GET /\r\n\r\n",
        "GET http://x/ HTTP/1.1\r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n",
        "GET / HTTP/1.1\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\n: no name\r\n\r\n",
        "GET / HTTP/1.1\r\nspace : before\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n",
    };
    struct head h;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(parse(&h, bad[i]), ERR_INVALID);
    assert_int_equal(head_parse(&h, "GET / HTTP/1.1\r\nA: \0\r\n\r\n", 25), ERR_INVALID);
    assert_int_equal(head_length("GET / HTTP/1.1\r\n", 16), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_fields_as_they_came),
        cmocka_unit_test(decodes_the_query),
        cmocka_unit_test(refuses_what_is_malformed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
