/* Edits by a table: what is not edited is the same text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/json_edit.h"

static const struct {
    const char *before;
    const char *path, *value; /* NULL: the member goes */
    const char *after;        /* NULL: refused */
} rows[] = {
    {"{}", "a", "1", "{\"a\":1}"},
    {"{}", "a", NULL, "{}"},
    {"{\"a\":1}", "a", NULL, "{}"},
    {"{\"a\":1}", "a", "{\"x\":[]}", "{\"a\":{\"x\":[]}}"},
    {"{\"a\":1,\"b\":2}", "a", NULL, "{\"b\":2}"},
    {"{\"b\":2,\"a\":1}", "a", NULL, "{\"b\":2}"},
    {"{\"b\":2,\"a\":1,\"c\":3}", "a", NULL, "{\"b\":2,\"c\":3}"},
    {"{\"b\":2,\"a\":1,\"c\":3}", "a", "4", "{\"b\":2,\"c\":3,\"a\":4}"},
    {"{\"a\":1,\"\\u0061\":2}", "a", "3", "{\"a\":3}"},
    {" { \"n\" : 1.0e+2 , \"s\":\"\\u00e4\\/\" } ", "a", "1", "{\"n\":1.0e+2,\"s\":\"\\u00e4\\/\",\"a\":1}"},
    {"{\"p\":{\"q\":{\"a\":1,\"z\":0}}}", "p.q.a", NULL, "{\"p\":{\"q\":{\"z\":0}}}"},
    {"{\"p\":{\"q\":{}}}", "p.q.a", "\"\"", "{\"p\":{\"q\":{\"a\":\"\"}}}"},
    {"{\"p\":{}}", "p.q.a", "1", "{\"p\":{}}"},
    {"{\"p\":{\"q\":[{\"a\":1}]}}", "p.q.a", NULL, "{\"p\":{\"q\":[{\"a\":1}]}}"},
    {"{\"p\":{\"a\":1},\"a\":{\"p\":2}}", "p.a", NULL, "{\"p\":{},\"a\":{\"p\":2}}"},
    {"[]", "a", "1", NULL},
    {"null", "a", "1", NULL},
    {"", "a", "1", NULL},
    {"{\"a\":1", "a", NULL, NULL},
    {"{} {}", "a", "1", NULL},
    {"{\"p\":{\"a\":tru}}", "p.a", NULL, NULL},
};

static void members_change_and_the_rest_stays(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct json_edit edit = {rows[i].path,
                                       {rows[i].value, rows[i].value != NULL ? strlen(rows[i].value) : 0}};
        struct strbuf out;
        strbuf_init(&out, 1024);
        strbuf_puts(&out, "before:");
        const bool is_done = json_edit(&out, (struct json_text){rows[i].before, strlen(rows[i].before)}, &edit, 1);
        assert_int_equal(is_done, rows[i].after != NULL);
        assert_memory_equal(out.data, "before:", 7);
        assert_string_equal(out.data + 7, is_done ? rows[i].after : "");
        strbuf_fini(&out);
    }
}

static void several_at_once(void **state)
{
    static const char before[] = "{\"t\":1,\"c\":{\"b\":{\"r\":{},\"s\":1},\"p\":{\"k\":\"\"}},\"u\":2}";
    const struct json_edit edits[] = {
        {"t", {"9", 1}},
        {"u", {NULL, 0}},
        {"c.b.r", {NULL, 0}},
        {"c.p.k", {"\"me\"", 4}},
    };
    struct strbuf out;
    (void)state;
    strbuf_init(&out, 1024);
    assert_true(json_edit(&out, (struct json_text){before, sizeof before - 1}, edits, 4));
    assert_string_equal(out.data, "{\"c\":{\"b\":{\"s\":1},\"p\":{\"k\":\"me\"}},\"t\":9}");
    strbuf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_change_and_the_rest_stays),
        cmocka_unit_test(several_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
