/* The table of keys holds what the code takes for granted about it, and the manual in the repository is the one it
 * gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "conf/kind.h"
#include "conf/schema.h"

static const struct schema_row *rows_of(int section, size_t *count)
{
    return schema_section_rows((enum schema_section)section, count);
}

static void test_sections_stand_together(void **state)
{
    (void)state;
    for (int s = 0; s < SECTION_COUNT; s++) {
        size_t count = 0;
        const struct schema_row *rows = rows_of(s, &count);
        assert_in_range(count, 1, SCHEMA_SECTION_ROWS);
        for (int other = s + 1; other < SECTION_COUNT; other++) { /* those behind it come from other places */
            size_t other_count = 0;
            const struct schema_row *others = rows_of(other, &other_count);
            for (size_t i = 0; i < other_count; i++)
                assert_false(&others[i] >= rows && &others[i] < rows + count);
        }
        for (size_t i = 0; i < count; i++)
            assert_int_equal(rows[i].section, s);
        assert_true(schema_sections[s].size_bytes > 0);
        assert_non_null(schema_sections[s].doc);
    }
}

static void test_keys_are_unique_and_groups_stand_together(void **state)
{
    (void)state;
    for (int s = 0; s < SECTION_COUNT; s++) {
        size_t count = 0;
        const struct schema_row *rows = rows_of(s, &count);
        for (size_t i = 0; i < count; i++) {
            const struct schema_row *a = &rows[i];
            size_t group = strcspn(a->key, ".") + 1;
            bool has_left = false;
            for (size_t j = i + 1; j < count; j++) {
                const struct schema_row *b = &rows[j];
                assert_string_not_equal(a->key, b->key);
                bool is_same_group = strchr(a->key, '.') != NULL && strncmp(a->key, b->key, group) == 0;
                assert_false(is_same_group && has_left);
                has_left = has_left || !is_same_group;
            }
            assert_ptr_equal(strchr(a->key, '.'), strrchr(a->key, '.')); /* groups do not nest */
        }
    }
}

static void assert_complete(const struct schema_row *row)
{
    assert_non_null(kinds[row->kind].title);
    assert_non_null(kinds[row->kind].expect);
    assert_true(row->offset + row->size_bytes <= schema_sections[row->section].size_bytes);
    assert_true(row->min <= row->max);
    assert_in_range(row->applies, 0, APPLIES_COUNT - 1);
    size_t doc_len = strlen(row->doc);
    assert_true(doc_len > 10 && row->doc[doc_len - 1] == '.');
    bool has_default = row->standard != NULL || row->standard_doc != NULL;
    bool is_composed = row->kind == KIND_PAIRS || kind_lists[row->kind].item_bytes > 0 || row->kind == KIND_INLINE;
    assert_true(row->is_required || has_default || is_composed);
    assert_false(row->is_required && has_default);
    assert_true((row->kind != KIND_WORD && row->kind != KIND_WORDS) || row->words != NULL);
}

static void test_every_row_is_complete(void **state)
{
    (void)state;
    for (int s = 0; s < SECTION_COUNT; s++) {
        size_t count = 0;
        const struct schema_row *rows = rows_of(s, &count);
        for (size_t i = 0; i < count; i++)
            assert_complete(&rows[i]);
    }
}

static void test_words_go_both_ways(void **state)
{
    (void)state;
    for (int s = 0; s < SECTION_COUNT; s++) {
        size_t count = 0;
        const struct schema_row *rows = rows_of(s, &count);
        for (size_t i = 0; i < count; i++)
            for (const struct schema_word *w = rows[i].words; w != NULL && w->text != NULL; w++)
                assert_string_equal(schema_word_text(rows[i].words, w->value), w->text);
    }
}

static void test_the_manual_is_up_to_date(void **state)
{
    (void)state;
    char *wanted = conf_reference();
    FILE *f = fopen("conf/reference.md", "rb");
    assert_non_null(f);
    size_t cap = strlen(wanted) + 2;
    char *found = mem_alloc(cap);
    size_t len = fread(found, 1, cap - 1, f);
    fclose(f);
    found[len] = '\0';
    if (strcmp(found, wanted) != 0)
        fail_msg("conf/reference.md differs from the schema: run `make reference`");
    mem_free(found);
    mem_free(wanted);
}

static void test_the_manual_has_every_key(void **state)
{
    (void)state;
    char *text = conf_reference();
    for (int s = 0; s < SECTION_COUNT; s++) {
        size_t count = 0;
        const struct schema_row *rows = rows_of(s, &count);
        for (size_t i = 0; i < count; i++) {
            char key[128];
            snprintf(key, sizeof key, "\n| `%s` | ", rows[i].key);
            assert_non_null(strstr(text, key));
            assert_non_null(strstr(text, rows[i].doc));
        }
    }
    mem_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sections_stand_together),
        cmocka_unit_test(test_keys_are_unique_and_groups_stand_together),
        cmocka_unit_test(test_every_row_is_complete),
        cmocka_unit_test(test_words_go_both_ways),
        cmocka_unit_test(test_the_manual_is_up_to_date),
        cmocka_unit_test(test_the_manual_has_every_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
