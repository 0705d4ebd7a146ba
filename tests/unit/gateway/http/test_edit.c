/* Edits of fields: remove, set, add. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/http/edit.h"
#include "tests/unit/gateway/http/head.h"

static const struct edit_values values = {
    .client_ip = {"192.0.2.7", 9},
    .host = {"a.example.com", 13},
    .scheme = {"https", 5},
    .request_id = {"id-1", 4},
    .route = {"api", 3},
};

static void check(const struct conf_edits *e, const char *expected)
{
    struct http_head h;
    struct http_texts texts;
    struct strbuf text;
    head_of_response(&h, "HTTP/1.1 200 OK\r\nX-A: 1\r\nX-B: 2\r\nx-a: 3\r\nX-C: 4\r\n\r\n");
    http_texts_init(&texts, 1024);
    assert_true(edit_apply(&h, &texts, e, &values));
    text_of_head(&text, &h);
    assert_string_equal(text.data, expected);
    strbuf_fini(&text);
    http_texts_fini(&texts);
}

static void nothing_to_do(void **state)
{
    (void)state;
    check(&(struct conf_edits){0}, "200\nX-A: 1\nX-B: 2\nx-a: 3\nX-C: 4\n");
}

static void fields_are_removed_set_and_added(void **state)
{
    const char *remove[] = {"x-b", "x-none"};
    struct conf_pair set[] = {{"X-a", "new"}, {"X-D", "new"}};
    struct conf_pair add[] = {{"X-C", "more"}};

    (void)state;
    check(&(struct conf_edits){.remove = remove, .remove_count = 2}, "200\nX-A: 1\nx-a: 3\nX-C: 4\n");
    check(&(struct conf_edits){.set = set, .set_count = 2}, "200\nX-A: new\nX-B: 2\nX-C: 4\nX-D: new\n");
    check(&(struct conf_edits){.add = add, .add_count = 1}, "200\nX-A: 1\nX-B: 2\nx-a: 3\nX-C: 4\nX-C: more\n");
}

static void a_name_may_be_set_to_several_values(void **state)
{
    struct conf_pair set[] = {{"X-A", "first"}, {"X-A", "second"}, {"X-B", ""}};

    (void)state;
    check(&(struct conf_edits){.set = set, .set_count = 3}, "200\nX-A: first\nX-B: \nX-C: 4\nX-A: second\n");
}

static void names_in_braces_stand_for_values(void **state)
{
    struct conf_pair add[] = {
        {"X-1", "{scheme}://{host}/?ip={client_ip}"},
        {"X-2", "{request_id}{route}"},
        {"X-3", "{\"group\":\"{host}\",\"x\":{}}"},
        {"X-4", "[{trace_id}]"},
        {"X-5", "{nobody} {"},
    };

    (void)state;
    check(&(struct conf_edits){.add = add, .add_count = 5}, "200\nX-A: 1\nX-B: 2\nx-a: 3\nX-C: 4\n"
                                                            "X-1: https://a.example.com/?ip=192.0.2.7\n"
                                                            "X-2: id-1api\n"
                                                            "X-3: {\"group\":\"a.example.com\",\"x\":{}}\n"
                                                            "X-4: []\n"
                                                            "X-5: {nobody} {\n");
}

static void what_does_not_fit_is_noticed(void **state)
{
    struct conf_pair add[] = {{"X-1", "{host}"}};
    const struct conf_edits e = {.add = add, .add_count = 1};
    struct http_head h;
    struct http_texts texts;

    (void)state;
    http_head_clear(&h);
    http_texts_init(&texts, 5);
    assert_false(edit_apply(&h, &texts, &e, &values));
    http_texts_fini(&texts);
    http_texts_init(&texts, 100);
    while (http_head_add(&h, http_view_of("X-More"), http_view_of("1")))
        ;
    assert_false(edit_apply(&h, &texts, &e, &values));
    http_texts_fini(&texts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_to_do),
        cmocka_unit_test(fields_are_removed_set_and_added),
        cmocka_unit_test(a_name_may_be_set_to_several_values),
        cmocka_unit_test(names_in_braces_stand_for_values),
        cmocka_unit_test(what_does_not_fit_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
