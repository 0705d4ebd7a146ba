/* Blocks and slices by who keeps what alive; the builder by its bound; JSON strings by the letter of RFC 8259. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"

static void a_block_lives_as_long_as_its_last_reference(void **state)
{
    struct block *b = block_create(16), *other;

    (void)state;
    assert_int_equal(b->cap_bytes, 16);
    other = block_ref(b);
    block_unref(&b);
    assert_null(b);
    memset(other->data, 'x', 16);
    block_unref(&other);
    assert_null(other);
}

static void a_slice_keeps_its_block(void **state)
{
    struct slice a = slice_copy("hello", 5), b = slice_ref(a);

    (void)state;
    assert_ptr_equal(a.data, b.data);
    slice_release(&a);
    assert_null(a.data);
    assert_int_equal(a.len, 0);
    assert_memory_equal(b.data, "hello", 5);
    slice_release(&b);
    slice_release(&b); /* an empty slice has nothing to give back */
}

static void keeping_borrowed_bytes_copies_them(void **state)
{
    char text[] = "fleeting";
    struct slice borrowed = slice_borrow(text, 8), kept = slice_ref(borrowed);

    (void)state;
    assert_null(borrowed.owner);
    memset(text, 0, sizeof text);
    assert_memory_equal(kept.data, "fleeting", 8);
    slice_release(&kept);
    slice_release(&borrowed);
    struct slice empty = slice_ref(slice_borrow(NULL, 0));
    assert_int_equal(empty.len, 0);
    slice_release(&empty);
}

static void the_builder_grows_to_its_bound_and_not_beyond(void **state)
{
    struct strbuf b;

    (void)state;
    strbuf_init(&b, 200);
    for (int i = 0; i < 20; i++)
        strbuf_puts(&b, "0123456789");
    assert_false(b.failed);
    assert_int_equal(b.len, 200);
    assert_int_equal(strlen(b.data), 200);
    strbuf_add(&b, "", 0);
    assert_false(b.failed);
    strbuf_add(&b, "!", 1);
    assert_true(b.failed);
    assert_int_equal(b.len, 200);
    strbuf_clear(&b);
    assert_false(b.failed);
    assert_string_equal(b.data, "");
    strbuf_fini(&b);
}

static void what_does_not_fit_leaves_the_text_alone(void **state)
{
    struct strbuf b;

    (void)state;
    strbuf_init(&b, 8);
    strbuf_puts(&b, "abc");
    strbuf_printf(&b, "%06d", 1);
    assert_true(b.failed);
    strbuf_puts(&b, "d"); /* would fit, but the builder has failed */
    assert_string_equal(b.data, "abc");
    strbuf_fini(&b);
}

static void printing_adds_formatted_text(void **state)
{
    struct strbuf b;

    (void)state;
    strbuf_init(&b, 1000);
    strbuf_printf(&b, "%s=%d", "answer", 42);
    strbuf_printf(&b, "%s", "");
    strbuf_printf(&b, " %0200d", 7);
    assert_int_equal(b.len, 9 + 1 + 200);
    assert_memory_equal(b.data, "answer=42 000", 13);
    assert_int_equal(b.data[b.len - 1], '7');
    strbuf_fini(&b);
}

static void utf8_is_well_formed_or_it_is_not(void **state)
{
    static const struct {
        const char *text;
        size_t len, sequence;
    } rows[] = {
        {"", 0, 0},
        {"a", 1, 1},
        {"\0", 1, 1},
        {"\x7f", 1, 1},
        {"\x80", 1, 0},             /* continuation first */
        {"\xc2\x80", 2, 2},         /* U+0080 */
        {"\xc2", 1, 0},             /* cut off */
        {"\xc1\xbf", 2, 0},         /* overlong */
        {"\xc3\x28", 2, 0},         /* no continuation */
        {"\xe0\xa0\x80", 3, 3},     /* U+0800 */
        {"\xe0\x9f\xbf", 3, 0},     /* overlong */
        {"\xed\x9f\xbf", 3, 3},     /* U+D7FF */
        {"\xed\xa0\x80", 3, 0},     /* surrogate */
        {"\xee\x80\x80", 3, 3},     /* U+E000 */
        {"\xe2\x82", 2, 0},         /* cut off */
        {"\xe2\x82\x28", 3, 0},     /* third byte wrong */
        {"\xf0\x90\x80\x80", 4, 4}, /* U+10000 */
        {"\xf0\x8f\xbf\xbf", 4, 0}, /* overlong */
        {"\xf4\x8f\xbf\xbf", 4, 4}, /* U+10FFFF */
        {"\xf4\x90\x80\x80", 4, 0}, /* beyond */
        {"\xf5\x80\x80\x80", 4, 0},
        {"\xff", 1, 0},
        {"\xc3\xa9xyz", 5, 2},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(utf8_sequence_len(rows[i].text, rows[i].len), rows[i].sequence);
}

static void bytes_are_written_in_hexadecimal(void **state)
{
    static const uint8_t bytes[] = {0x00, 0x09, 0x0a, 0x7f, 0x80, 0xff};
    char text[] = "-------------";
    (void)state;
    assert_ptr_equal(hex_text(bytes, sizeof bytes, text), text + 12);
    assert_string_equal(text, "00090a7f80ff-");
    assert_ptr_equal(hex_text(bytes, 0, text), text);
}

static void numbers_are_written_in_decimal(void **state)
{
    static const struct {
        uint64_t n;
        const char *text;
    } rows[] = {{0, "0"}, {9, "9"}, {10, "10"}, {1024, "1024"}, {UINT64_MAX, "18446744073709551615"}};
    struct strbuf b;

    (void)state;
    strbuf_init(&b, DECIMAL_BYTES);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        strbuf_clear(&b);
        strbuf_decimal(&b, rows[i].n);
        assert_string_equal(b.data, rows[i].text);
    }
    strbuf_decimal(&b, 7);
    assert_true(b.failed);
    strbuf_fini(&b);
}

static void memory_asked_for_ahead_stays_where_it_is(void **state)
{
    struct strbuf b;

    (void)state;
    strbuf_init(&b, 500);
    strbuf_reserve(&b, 400);
    const char *place = b.data;
    for (int i = 0; i < 400; i++)
        strbuf_puts(&b, "x");
    assert_ptr_equal(b.data, place);
    strbuf_reserve(&b, 10000); /* a wish, not a write */
    assert_false(b.failed);
    assert_int_equal(b.len, 400);
    assert_in_range(b.cap_bytes, 401, 501);
    char *at = strbuf_extend(&b, 100);
    memset(at, 'y', 100);
    assert_string_equal(
        b.data + 399,
        "xyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy");
    assert_null(strbuf_extend(&b, 1));
    assert_true(b.failed);
    strbuf_fini(&b);
}

static void printing_into_too_little_room_is_no_different(void **state)
{
    struct strbuf b;

    (void)state;
    strbuf_init(&b, 100);
    strbuf_puts(&b, "The first room has 64 bytes, and this text takes most of it: ");
    strbuf_printf(&b, "%d%s", 42, " does not fit");
    assert_string_equal(b.data, "The first room has 64 bytes, and this text takes most of it: 42 does not fit");
    strbuf_printf(&b, "%100s", "beyond the bound");
    assert_true(b.failed);
    assert_string_equal(b.data, "The first room has 64 bytes, and this text takes most of it: 42 does not fit");
    strbuf_fini(&b);
}

static void json_strings_are_escaped(void **state)
{
    static const struct {
        const char *text;
        size_t len;
        const char *json;
    } rows[] = {
        {"", 0, "\"\""},
        {"plain", 5, "\"plain\""},
        {"\"\\/", 3, "\"\\\"\\\\/\""},
        {"\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\""},
        {"\0\x01\x1f\x7f", 4, "\"\\u0000\\u0001\\u001f\x7f\""},
        {"caf\xc3\xa9", 5, "\"caf\xc3\xa9\""},
        {"\xf0\x9f\x8c\x8a", 4, "\"\xf0\x9f\x8c\x8a\""},
        {"a\xff"
         "b",
         3,
         "\"a\xef\xbf\xbd"
         "b\""},
        {"\xe2\x82", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\""},
    };
    struct strbuf b;

    (void)state;
    strbuf_init(&b, 1000);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        strbuf_clear(&b);
        strbuf_json_string(&b, rows[i].text, rows[i].len);
        assert_false(b.failed);
        assert_string_equal(b.data, rows[i].json);
    }
    strbuf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_lives_as_long_as_its_last_reference),
        cmocka_unit_test(a_slice_keeps_its_block),
        cmocka_unit_test(keeping_borrowed_bytes_copies_them),
        cmocka_unit_test(the_builder_grows_to_its_bound_and_not_beyond),
        cmocka_unit_test(what_does_not_fit_leaves_the_text_alone),
        cmocka_unit_test(printing_adds_formatted_text),
        cmocka_unit_test(utf8_is_well_formed_or_it_is_not),
        cmocka_unit_test(json_strings_are_escaped),
        cmocka_unit_test(bytes_are_written_in_hexadecimal),
        cmocka_unit_test(numbers_are_written_in_decimal),
        cmocka_unit_test(memory_asked_for_ahead_stays_where_it_is),
        cmocka_unit_test(printing_into_too_little_room_is_no_different),
    };
    return cmocka_run_group_tests_name("base/buf", tests, NULL, NULL);
}
