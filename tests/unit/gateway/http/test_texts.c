/* Text in a chain of blocks: it stays where it is, and all of it together is bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/http/texts.h"

static void views_stay_good_while_more_is_added(void **state)
{
    struct http_texts t;
    struct http_view views[200];
    char text[64];

    (void)state;
    http_texts_init(&t, 65536);
    for (int i = 0; i < 200; i++)
        views[i] = http_texts_printf(&t, "text number %d, about as long as a field", i);
    for (int i = 0; i < 200; i++) {
        snprintf(text, sizeof text, "text number %d, about as long as a field", i);
        assert_true(http_view_is(views[i], text));
    }
    assert_false(t.failed);
    http_texts_fini(&t);
}

static void pieces_are_joined(void **state)
{
    struct http_texts t;
    const struct http_view pieces[] = {{"a", 1}, {NULL, 0}, {", ", 2}, {"bc", 2}};

    (void)state;
    http_texts_init(&t, 100);
    assert_true(http_view_is(http_texts_join(&t, pieces, 4), "a, bc"));
    assert_true(http_view_is(http_texts_add(&t, "xyz", 2), "xy"));
    assert_true(http_view_is(http_texts_add(&t, "", 0), ""));
    assert_null(http_texts_copy(&t, (struct http_view){.data = NULL}).data);
    assert_int_equal(t.used_bytes, 7);
    http_texts_fini(&t);
}

static void long_text_gets_a_block_of_its_own(void **state)
{
    struct http_texts t;
    static char text[5000];

    (void)state;
    memset(text, 'x', sizeof text);
    http_texts_init(&t, 16384);
    const struct http_view before = http_texts_add(&t, "before", 6);
    const struct http_view v = http_texts_add(&t, text, sizeof text);
    assert_int_equal(v.len, sizeof text);
    assert_memory_equal(v.data, text, sizeof text);
    assert_true(http_view_is(before, "before"));
    http_texts_fini(&t);
}

static void what_does_not_fit_fails_for_good(void **state)
{
    struct http_texts t;

    (void)state;
    http_texts_init(&t, 4);
    assert_true(http_view_is(http_texts_add(&t, "abc", 3), "abc"));
    assert_null(http_texts_add(&t, "de", 2).data);
    assert_true(t.failed);
    assert_null(http_texts_add(&t, "f", 1).data);
    assert_null(http_texts_printf(&t, "%d", 1).data);
    http_texts_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_stay_good_while_more_is_added),
        cmocka_unit_test(pieces_are_joined),
        cmocka_unit_test(long_text_gets_a_block_of_its_own),
        cmocka_unit_test(what_does_not_fit_fails_for_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
