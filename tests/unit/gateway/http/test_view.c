/* Views are compared and looked through eight or sixteen bytes at a time: every length, every byte in every place. Each
 * text has a block of its own, so that a sanitizer sees what is read outside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gateway/http/head.h"
#include "gateway/http/text.h"

#define LEN_MAX 42u /* two steps of sixteen bytes, a word, and an end that is none */

static struct http_view filled(size_t len, char c)
{
    char *text = mem_alloc_begun(len, 0);
    memset(text, c, len);
    return (struct http_view){.data = text, .len = len};
}

/* Puts `c` at one place of a text from filled(). */
static void put(struct http_view v, size_t at, char c)
{
    ((char *)(uintptr_t)v.data)[at] = c;
}

static void release(struct http_view v)
{
    mem_free((char *)(uintptr_t)v.data);
}

static void only_the_case_of_letters_may_differ(void **state)
{
    (void)state;
    for (size_t len = 1; len <= LEN_MAX; len++) {
        const struct http_view a = filled(len, 'Q'), b = filled(len, 'q');
        for (size_t at = 0; at < len; at++) {
            for (int c = 0; c < 256; c++) {
                put(a, at, (char)c);
                put(b, at, (char)(c ^ 0x20));
                assert_int_equal(http_view_equal_nocase(a, b), text_lower((char)c) == text_lower((char)(c ^ 0x20)));
                put(b, at, (char)c);
                assert_true(http_view_equal_nocase(a, b));
                for (unsigned bit = 1; bit < 0x100; bit <<= 1) {
                    put(b, at, (char)((unsigned)c ^ bit));
                    assert_int_equal(http_view_equal_nocase(a, b),
                                     text_lower((char)c) == text_lower((char)((unsigned)c ^ bit)));
                }
            }
            put(a, at, 'Q');
            put(b, at, 'q');
        }
        release(a);
        release(b);
    }
}

static void all_pairs_of_bytes(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        for (int d = 0; d < 256; d++) {
            const char a = (char)c, b = (char)d;
            assert_int_equal(http_view_equal_nocase((struct http_view){&a, 1}, (struct http_view){&b, 1}),
                             text_lower(a) == text_lower(b));
        }
    }
}

static void another_length_is_another_text(void **state)
{
    (void)state;
    assert_true(http_view_is_nocase(http_view_of("Sec-WebSocket-Key"), "sec-websocket-key"));
    assert_false(http_view_is_nocase(http_view_of("Sec-WebSocket-Key"), "sec-websocket-ke"));
    assert_false(http_view_is_nocase(http_view_of("Sec-WebSocket-Ke"), "sec-websocket-key"));
    assert_false(http_view_is_nocase(http_view_of(""), "a"));
    assert_true(http_view_is_nocase(http_view_of(""), ""));
    assert_false(http_view_is_nocase((struct http_view){NULL, 0}, ""));
    assert_true(http_view_equal_nocase((struct http_view){NULL, 0}, http_view_of("")));
}

static void one_of_several_names(void **state)
{
    static const char *const names[] = {"te", "trailer", "upgrade"};
    (void)state;
    assert_true(http_view_is_any(http_view_of("TE"), names, 3));
    assert_true(http_view_is_any(http_view_of("Upgrade"), names, 3));
    assert_false(http_view_is_any(http_view_of("Upgrades"), names, 3));
    assert_false(http_view_is_any(http_view_of("t"), names, 3));
    assert_false(http_view_is_any(http_view_of(""), names, 3));
    assert_false(http_view_is_any((struct http_view){NULL, 0}, names, 3));
}

static void what_would_leave_its_line(void **state)
{
    (void)state;
    assert_true(http_view_is_inline((struct http_view){NULL, 0}));
    for (size_t len = 1; len <= LEN_MAX; len++) {
        const struct http_view v = filled(len, 'x');
        for (size_t at = 0; at < len; at++) {
            for (int c = 0; c < 256; c++) {
                put(v, at, (char)c);
                assert_int_equal(http_view_is_inline(v), c != '\0' && c != '\r' && c != '\n');
            }
            put(v, at, 'x');
        }
        /* behind bytes that look alike to arithmetic on whole words */
        for (size_t at = 1; at < len; at++) {
            put(v, at - 1, '\t');
            assert_true(http_view_is_inline(v));
            put(v, at, '\n');
            assert_false(http_view_is_inline(v));
            put(v, at, '\x0b');
            assert_true(http_view_is_inline(v));
            put(v, at, 'x');
        }
        release(v);
    }
}

static void tokens_are_made_of_these(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        const bool is_tchar = c != 0 && (text_is_alnum((char)c) || strchr("!#$%&'*+-.^_`|~", c) != NULL);
        const char text[] = {'a', (char)c, 'z'};
        assert_int_equal(text_is_tchar((char)c), is_tchar);
        assert_int_equal(http_is_token((struct http_view){text, 3}), is_tchar);
    }
    for (size_t len = 1; len <= LEN_MAX; len++) {
        const struct http_view v = filled(len, 'x');
        assert_true(http_is_token(v));
        for (size_t at = 0; at < len; at++) {
            for (int c = 0; c < 256; c++) {
                put(v, at, (char)c);
                assert_int_equal(http_is_token(v), text_is_tchar((char)c));
            }
            put(v, at, 'x');
        }
        release(v);
    }
    assert_false(http_is_token(http_view_of("")));
    assert_false(http_is_token((struct http_view){NULL, 0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_case_of_letters_may_differ), cmocka_unit_test(all_pairs_of_bytes),
        cmocka_unit_test(another_length_is_another_text),      cmocka_unit_test(one_of_several_names),
        cmocka_unit_test(what_would_leave_its_line),           cmocka_unit_test(tokens_are_made_of_these),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
