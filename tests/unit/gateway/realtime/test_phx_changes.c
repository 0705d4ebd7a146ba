/* Which changes are the same, and what becomes of their numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/realtime/phx_changes.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static struct phx_text text_of(const char *s)
{
    return (struct phx_text){s, strlen(s)};
}

#define TODOS(id) "{\"id\":" #id ",\"event\":\"*\",\"schema\":\"public\",\"table\":\"todos\",\"filter\":\"owner=eq.7\"}"
#define CARS(id)  "{\"id\":" #id ",\"event\":\"INSERT\",\"schema\":\"public\",\"table\":\"cars\"}"

/* clang-format off */
static const struct {
    const char *told, *got;
    enum phx_changes changes;
} compared[] = {
    {"", "", PHX_CHANGES_SAME},
    {"[]", "", PHX_CHANGES_SAME},
    {"[" TODOS(1) "," CARS(2) "]", "[" TODOS(1) "," CARS(2) "]", PHX_CHANGES_SAME},
    {"[" TODOS(1) "]", "[ {\"table\":\"todos\",\"id\":1,\"filter\":\"owner=eq.7\",\"schema\":\"public\",\"event\":\"*\"} ]", PHX_CHANGES_SAME},
    {"[" CARS(1) "]", "[{\"id\":1,\"event\":\"INSERT\",\"schema\":\"public\",\"table\":\"c\\u0061rs\",\"filter\":null}]", PHX_CHANGES_SAME},
    {"[" CARS(1) "]", "[{\"id\":1,\"event\":\"INSERT\",\"schema\":\"public\",\"table\":\"cars\",\"select\":[\"x\"]}]", PHX_CHANGES_SAME},
    {"[" TODOS(1) "," CARS(2) "]", "[" TODOS(3) "," CARS(4) "]", PHX_CHANGES_RENUMBERED},
    {"[" TODOS(1) "," CARS(2) "]", "[" TODOS(2) "," CARS(1) "]", PHX_CHANGES_RENUMBERED},
    {"[" TODOS(1) "," CARS(2) "]", "[" CARS(2) "," TODOS(1) "]", PHX_CHANGES_DIFFER},
    {"[" TODOS(1) "," CARS(2) "]", "[" TODOS(1) "]", PHX_CHANGES_DIFFER},
    {"[" TODOS(1) "]", "[" TODOS(1) "," CARS(2) "]", PHX_CHANGES_DIFFER},
    {"[" TODOS(1) "]", "", PHX_CHANGES_DIFFER},
    {"[" CARS(1) "]", "[{\"id\":1,\"event\":\"INSERT\",\"schema\":\"public\",\"table\":\"cars\",\"filter\":\"\"}]", PHX_CHANGES_DIFFER},
    {"[" CARS(1) "]", "[{\"id\":\"1\",\"event\":\"INSERT\",\"schema\":\"public\",\"table\":\"cars\"}]", PHX_CHANGES_DIFFER},
    {"[" CARS(1) "]", "[{\"event\":\"INSERT\",\"schema\":\"public\",\"table\":\"cars\"}]", PHX_CHANGES_DIFFER},
    {"[" CARS(1) "]", "{\"id\":1}", PHX_CHANGES_DIFFER},
    {"[" CARS(1) "]", "[1]", PHX_CHANGES_DIFFER},
    {"[" CARS(1) "]", "[" CARS(1), PHX_CHANGES_DIFFER},
};

static const struct {
    const char *payload;
    int count;
    const char *after;
} rewritten[] = { /* 11 -> 1, 12 -> 2 */
    {"{\"ids\":[11],\"data\":{\"ids\":[11]}}", 1, "{\"data\":{\"ids\":[11]},\"ids\":[1]}"},
    {"{\"data\":{\"n\":1.0},\"ids\":[12,11]}", 2, "{\"data\":{\"n\":1.0},\"ids\":[2,1]}"},
    {"{\"ids\":[11,13,\"12\",null],\"data\":{}}", 1, "{\"data\":{},\"ids\":[1]}"},
    {"{\"ids\":[13,1,2]}", 0, ""},
    {"{\"ids\":[]}", 0, ""},
    {"{\"ids\":{}}", -1, ""},
    {"{}", -1, ""},
    {"{\"ids\":[11]", -1, ""},
    {"{\"ids\":[11]} x", -1, ""},
    {"", -1, ""},
};
/* clang-format on */

static void changes_are_compared_by_order_and_meaning(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(compared); i++) {
        struct phx_ids *ids;
        const enum phx_changes c = phx_changes_compare(text_of(compared[i].told), text_of(compared[i].got), &ids);
        if (c != compared[i].changes)
            fail_msg("%d: %s and %s", (int)c, compared[i].told, compared[i].got);
        assert_int_equal(ids != NULL, c == PHX_CHANGES_RENUMBERED);
        if (ids != NULL)
            phx_ids_destroy(&ids);
    }
}

static void numbers_become_the_clients(void **state)
{
    struct phx_ids *ids;
    (void)state;
    assert_int_equal(
        phx_changes_compare(text_of("[" TODOS(1) "," CARS(2) "]"), text_of("[" TODOS(11) "," CARS(12) "]"), &ids),
        PHX_CHANGES_RENUMBERED);
    for (size_t i = 0; i < COUNT(rewritten); i++) {
        struct strbuf out;
        strbuf_init(&out, 1024);
        assert_int_equal(phx_ids_rewrite(&out, text_of(rewritten[i].payload), ids), rewritten[i].count);
        assert_string_equal(out.len > 0 ? out.data : "", rewritten[i].after);
        strbuf_fini(&out);
    }
    phx_ids_destroy(&ids);
    assert_null(ids);
}

static void too_many_are_not_compared(void **state)
{
    struct strbuf told, got;
    struct phx_ids *ids;
    (void)state;
    for (uint32_t count = PHX_CHANGES_MAX; count <= PHX_CHANGES_MAX + 1; count++) {
        strbuf_init(&told, 1 << 20);
        strbuf_init(&got, 1 << 20);
        for (uint32_t i = 0; i < count; i++) {
            strbuf_printf(&told, "%c{\"id\":%u,\"event\":\"*\"}", i > 0 ? ',' : '[', i);
            strbuf_printf(&got, "%c{\"id\":%u,\"event\":\"*\"}", i > 0 ? ',' : '[', i + 7);
        }
        strbuf_puts(&told, "]");
        strbuf_puts(&got, "]");
        assert_int_equal(
            phx_changes_compare((struct phx_text){told.data, told.len}, (struct phx_text){got.data, got.len}, &ids),
            count == PHX_CHANGES_MAX ? PHX_CHANGES_RENUMBERED : PHX_CHANGES_DIFFER);
        if (ids != NULL)
            phx_ids_destroy(&ids);
        strbuf_fini(&told);
        strbuf_fini(&got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_are_compared_by_order_and_meaning),
        cmocka_unit_test(numbers_become_the_clients),
        cmocka_unit_test(too_many_are_not_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
