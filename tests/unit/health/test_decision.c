/* Views and decisions as text: what is printed is read back, and nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "health/decision.h"

struct pair {
    struct view v, v_back;
    struct decision d, d_back;
    struct strbuf text;
};

static int setup(void **state)
{
    struct pair *t = calloc(1, sizeof *t);
    strbuf_init(&t->text, VIEW_BYTES_MAX > DECISION_BYTES_MAX ? VIEW_BYTES_MAX : DECISION_BYTES_MAX);
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    struct pair *t = *state;
    strbuf_fini(&t->text);
    free(t);
    return 0;
}

/* From a copy of the exact size, so that a sanitizer sees the first byte read beyond it. */
static bool parse_exact(struct pair *t, bool is_view, const char *text, size_t len)
{
    char *copy = malloc(len > 0 ? len : 1);
    memcpy(copy, text, len);
    const bool is_taken = is_view ? view_parse(&t->v_back, copy, len) : decision_parse(&t->d_back, copy, len);
    free(copy);
    return is_taken;
}

#define VIEW                                                                                                           \
    "view 1 gateway reaching 1790000000 3\nnode fra 1\nregion eu\nup 2 250 targets/us-edge\n"                          \
    "down,forced 255 1000 targets/eu edge\nunknown,forced,draining 0 0 pool/a\n"
#define DECISION                                                                                                       \
    "decision 1 7 12 1790000000123 1790000000 9f86d081884c7d65 2 2\nnode fra-1\nrow cbf29ce484222325 1 0 good\n"       \
    "row a 7 2 last-resort,draining\nstate up targets/us-edge\nstate down targets/eu-edge\n"

static void test_a_view_comes_back(void **state)
{
    struct pair *t = *state;
    assert_true(parse_exact(t, true, VIEW, strlen(VIEW)));
    const struct view *v = &t->v_back;
    assert_string_equal(v->node, "fra 1");
    assert_string_equal(v->region, "eu");
    assert_true(v->is_gateway && !v->is_cut_off);
    assert_int_equal(v->serial, 1790000000);
    assert_int_equal(v->count, 3);
    const struct view_row *row = view_find(v, "targets/eu edge");
    assert_non_null(row);
    assert_int_equal(row->vote.state, VERDICT_DOWN);
    assert_true(row->vote.is_forced && !row->vote.is_draining);
    assert_int_equal(row->vote.checks_left, 255);
    assert_int_equal(row->vote.interval_ms, 1000);
    assert_null(view_find(v, "targets/eu"));
    view_print(v, &t->text);
    assert_string_equal(t->text.data, VIEW);
}

static void test_a_decision_comes_back(void **state)
{
    struct pair *t = *state;
    assert_true(parse_exact(t, false, DECISION, strlen(DECISION)));
    const struct decision *d = &t->d_back;
    assert_int_equal(d->term, 7);
    assert_int_equal(d->version, 12);
    assert_int_equal(d->since_wall_ms, 1790000000123);
    assert_int_equal(d->serial, 1790000000);
    assert_true(d->zone_hash == 0x9f86d081884c7d65u);
    const struct decision_row *row = decision_find(d, 0xa);
    assert_non_null(row);
    assert_int_equal(row->chosen, 7);
    assert_int_equal(row->last_good, 2);
    assert_true(row->is_last_resort && row->is_draining);
    assert_int_equal(d->states[1].state, VERDICT_DOWN);
    assert_string_equal(d->states[1].name, "targets/eu-edge");
    decision_print(d, &t->text);
    assert_string_equal(t->text.data, DECISION);
}

static void test_the_largest_of_each_fits(void **state)
{
    struct pair *t = *state;
    t->v.count = SLOTS_SERVERS;
    t->d.row_count = CONF_DNS_STEERED_MAX;
    t->d.state_count = SLOTS_SERVERS;
    t->d.term = t->d.version = t->d.zone_hash = UINT64_MAX;
    t->d.since_wall_ms = INT64_MAX;
    t->d.serial = UINT32_MAX;
    memset(t->v.node, 'n', sizeof t->v.node - 1);
    memset(t->v.region, 'r', sizeof t->v.region - 1);
    memset(t->d.node, 'n', sizeof t->d.node - 1);
    for (size_t i = 0; i < SLOTS_SERVERS; i++) {
        struct view_row *row = &t->v.rows[i];
        memset(row->name, 'x', sizeof row->name - 1);
        row->name[0] = (char)('A' + i / 16);
        row->name[1] = (char)('A' + i % 16);
        row->vote = (struct quorum_vote){.state = VERDICT_UNKNOWN,
                                         .is_forced = true,
                                         .is_draining = true,
                                         .checks_left = UINT8_MAX,
                                         .interval_ms = UINT32_MAX};
        memcpy(t->d.states[i].name, row->name, sizeof row->name);
    }
    for (size_t i = 0; i < CONF_DNS_STEERED_MAX; i++)
        t->d.rows[i] = (struct decision_row){.id = UINT64_MAX - i,
                                             .chosen = UINT32_MAX,
                                             .last_good = UINT32_MAX,
                                             .is_last_resort = true,
                                             .is_draining = true};
    t->text.max_bytes = VIEW_BYTES_MAX;
    view_print(&t->v, &t->text);
    assert_false(t->text.failed);
    assert_true(parse_exact(t, true, t->text.data, t->text.len));
    strbuf_clear(&t->text);
    t->text.max_bytes = DECISION_BYTES_MAX;
    decision_print(&t->d, &t->text);
    assert_false(t->text.failed);
    assert_true(parse_exact(t, false, t->text.data, t->text.len));
    assert_int_equal(t->d_back.row_count, CONF_DNS_STEERED_MAX);
    assert_int_equal(t->d_back.state_count, SLOTS_SERVERS);
}

/* Cut off anywhere, or with a byte changed to one that means something: taken only if it says just that. */
static void test_damage_is_refused(void **state)
{
    struct pair *t = *state;
    static const char others[] = "\n \0,x9-";
    for (int is_view = 0; is_view <= 1; is_view++) {
        const char *whole = is_view ? VIEW : DECISION;
        const size_t len = strlen(whole);
        for (size_t cut = 0; cut < len; cut++)
            assert_false(parse_exact(t, is_view, whole, cut));
        for (size_t i = 0; i < len; i++) {
            char text[sizeof VIEW + sizeof DECISION];
            memcpy(text, whole, len);
            text[i] = others[i % (sizeof others - 1)];
            if (!parse_exact(t, is_view, text, len))
                continue;
            strbuf_clear(&t->text);
            if (is_view)
                view_print(&t->v_back, &t->text);
            else
                decision_print(&t->d_back, &t->text);
            assert_int_equal(t->text.len, len);
            assert_memory_equal(t->text.data, text, len);
        }
    }
}

static void test_hostile_texts_are_refused(void **state)
{
    struct pair *t = *state;
#define VIEW_OF(count, rows)       "view 1 checker reaching 0 " count "\nnode n\nregion \n" rows
#define DECISION_OF(numbers, rows) "decision 1 " numbers "\nnode n\n" rows
    static const char *const texts[] = {
        "",
        "\n",
        "view",
        "view 2 gateway reaching 0\nnode n\nregion r\n",
        "view 1 leader reaching 0 0\nnode n\nregion r\n",
        "view 1 gateway blind 0 0\nnode n\nregion r\n",
        "view 1 gateway reaching 0 0\nnode \nregion r\n",
        "view 1 gateway reaching 0 0\nnode a\x7f\nregion r\n",
        VIEW_OF("257", ""),
        VIEW_OF("99999999999999999999999", ""),
        VIEW_OF("-1", ""),
        VIEW_OF("00", ""),
        VIEW_OF("0", "up 1 1 a\n"),
        VIEW_OF("2", "up 1 1 a\n"),
        VIEW_OF("2", "up 1 1 a\nup 1 1 a\n"),
        VIEW_OF("1", "up 256 1 a\n"),
        VIEW_OF("1", "up 1 4294967296 a\n"),
        VIEW_OF("1", "up 1 1 \n"),
        VIEW_OF("1", "up,draining,forced 1 1 a\n"),
        VIEW_OF("1", "up,forced,forced 1 1 a\n"),
        VIEW_OF("1", ",forced 1 1 a\n"),
        VIEW_OF("1", "up 1 1 a\tb\n"),
        DECISION_OF("1 1 1 1 1 65 0", ""),
        DECISION_OF("1 1 1 1 1 0 257", ""),
        DECISION_OF("18446744073709551616 1 1 1 1 0 0", ""),
        DECISION_OF("1 1 9223372036854775808 1 1 0 0", ""),
        DECISION_OF("1 1 1 1 1 1 0", "row 0 1 1 good\n"),
        DECISION_OF("1 1 1 1 1 1 0", "row 1 0 1 good\n"),
        DECISION_OF("1 1 1 1 1 1 0", "row 1 100000000 1 good\n"),
        DECISION_OF("1 1 1 1 1 1 0", "row 1 A 1 good\n"),
        DECISION_OF("1 1 1 1 1 1 0", "row 1 1 1 bad\n"),
        DECISION_OF("1 1 1 1 1 2 0", "row 1 1 1 good\nrow 1 2 1 good\n"),
        DECISION_OF("1 1 1 1 1 0 2", "state up a\nstate down a\n"),
        DECISION_OF("1 1 1 1 1 0 1", "state sideways a\n"),
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (parse_exact(t, true, texts[i], strlen(texts[i])) || parse_exact(t, false, texts[i], strlen(texts[i])))
            fail_msg("taken: %s", texts[i]);
        assert_int_equal(t->v_back.count, 0);
        assert_int_equal(t->d_back.row_count + t->d_back.state_count, 0);
    }
    assert_true(parse_exact(t, true, VIEW_OF("0", ""), strlen(VIEW_OF("0", ""))));
    assert_true(parse_exact(t, false, DECISION_OF("1 1 1 1 1 0 0", ""), strlen(DECISION_OF("1 1 1 1 1 0 0", ""))));
}

static void test_a_name_that_does_not_end_in_time_is_refused(void **state)
{
    struct pair *t = *state;
    for (size_t len = SLOTS_NAME_BYTES - 1; len <= SLOTS_NAME_BYTES; len++) {
        strbuf_clear(&t->text);
        strbuf_printf(&t->text, "view 1 checker reaching 0 1\nnode n\nregion \nup 1 1 %0*d\n", (int)len, 0);
        assert_int_equal(parse_exact(t, true, t->text.data, t->text.len), len < SLOTS_NAME_BYTES);
    }
    for (size_t len = STEERING_NODE_BYTES - 1; len <= STEERING_NODE_BYTES; len++) {
        strbuf_clear(&t->text);
        strbuf_printf(&t->text, "view 1 checker reaching 0 0\nnode %0*d\nregion \n", (int)len, 0);
        assert_int_equal(parse_exact(t, true, t->text.data, t->text.len), len < STEERING_NODE_BYTES);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_view_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_decision_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_largest_of_each_fits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damage_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hostile_texts_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_name_that_does_not_end_in_time_is_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
