/* Tokens and conditions on rows: what an example believes, and what it compares. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/region/changes.h"
#include "tests/region/condition.h"
#include "tests/region/token.h"

static void reads_when_a_token_expires(void **state)
{
    static const struct {
        const char *text;
        bool is_token;
        int64_t expires_s;
    } rows[] = {
        {"eyJhbGciOiJub25lIn0.eyJleHAiOjE3MDAwMDAwMDB9.x", true, 1700000000}, /* {"exp":1700000000} */
        {"eyJhbGciOiJub25lIn0.eyJyb2xlIjoiYW5vbiJ9.x", true, 0},              /* {"role":"anon"} */
        {"eyJhbGciOiJub25lIn0.W10.x", false, 0},                              /* [] */
        {"a.!!.c", false, 0},
        {"a.b", false, 0},
        {"none", false, 0},
        {"", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t expires_s = -1;

        assert_int_equal(token_read(rows[i].text, &expires_s), rows[i].is_token);
        assert_int_equal(expires_s, rows[i].expires_s);
    }
}

static void compares_numbers_and_texts(void **state)
{
    static const struct {
        const char *text;
        bool holds;
    } rows[] = {
        {"owner=eq.7", true},
        {"owner=eq.8", false},
        {"owner=gt.6", true},
        {"owner=lte.6", false},
        {"name=eq.ann", true},
        {"name=neq.ann", false},
        {"none=eq.1", false},
        {"owner", true},
        {"owner=something", true},
        {"", true},
        {NULL, true},
    };
    json_t *row = json_pack("{s:i, s:s}", "owner", 7, "name", "ann");

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(condition_text_holds(row, rows[i].text), rows[i].holds);
    json_decref(row);
}

static json_int_t id_of(const char *binding)
{
    json_t *config = json_pack("{s:[o]}", "postgres_changes", json_loads(binding, 0, NULL));
    json_t *bindings = changes_bindings(config);
    json_int_t id = json_integer_value(json_object_get(json_array_get(bindings, 0), "id"));

    json_decref(bindings);
    json_decref(config);
    return id;
}

static void numbers_bindings_by_what_they_say(void **state)
{
    json_int_t id = id_of("{\"event\":\"*\",\"schema\":\"public\",\"table\":\"cars\"}");

    (void)state;
    assert_in_range(id, 1, (1 << 27) - 1);
    assert_int_equal(id, id_of("{\"table\":\"cars\",\"schema\":\"public\",\"event\":\"*\"}"));
    assert_int_not_equal(id, id_of("{\"event\":\"*\",\"schema\":\"public\",\"table\":\"bikes\"}"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_when_a_token_expires),
        cmocka_unit_test(compares_numbers_and_texts),
        cmocka_unit_test(numbers_bindings_by_what_they_say),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
