/* UTF-8 against the definition: every character there is, every pair of bytes there is, and the edges of longer forms.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/ws/utf8.h"

static bool is_text(const void *bytes, size_t len)
{
    struct utf8 u = {0};
    return utf8_feed(&u, bytes, len) && utf8_may_end(&u);
}

static size_t encode(uint32_t c, uint8_t *out)
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    const size_t len = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = len - 1; i > 0; i--, c >>= 6)
        out[i] = (uint8_t)(0x80 | (c & 0x3f));
    out[0] = (uint8_t)(leads[len] | c);
    return len;
}

static void every_character_is_text_and_no_surrogate_is(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 0x120000; c++) {
        uint8_t bytes[4];
        const size_t len = encode(c, bytes);
        const bool is_character = (c < 0xd800 || c > 0xdfff) && c <= 0x10ffff;
        if (is_text(bytes, len) != is_character)
            fail_msg("U+%04X", (unsigned)c);
        if (len > 1 && is_text(bytes, len - 1))
            fail_msg("U+%04X cut short", (unsigned)c);
    }
}

static void of_two_bytes_only_the_defined_ones_are_text(void **state)
{
    (void)state;
    for (unsigned a = 0; a < 256; a++) {
        for (unsigned b = 0; b < 256; b++) {
            const uint8_t bytes[] = {(uint8_t)a, (uint8_t)b};
            const bool is_valid = (a < 0x80 && b < 0x80) || (a >= 0xc2 && a <= 0xdf && b >= 0x80 && b <= 0xbf);
            if (is_text(bytes, 2) != is_valid)
                fail_msg("%02x %02x", a, b);
        }
    }
}

static void no_other_form_is_text(void **state)
{
    static const char *const forms[] = {
        "\xc0\x80",
        "\xc1\xbf",
        "\xe0\x80\x80",
        "\xe0\x9f\xbf",
        "\xf0\x80\x80\x80",
        "\xf0\x8f\xbf\xbf", /* overlong */
        "\xed\xa0\x80",
        "\xed\xbf\xbf", /* surrogates */
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xff", /* too large */
        "\xf8\x88\x80\x80\x80",
        "\xfc\x84\x80\x80\x80\x80", /* longer forms */
        "\xe2\x82\x41",
        "\xe2\x41\x82",
        "\xf0\x9d\x84\x41",
        "\xe2\x82\xac\x80", /* broken */
    };

    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
        assert_false(is_text(forms[i], strlen(forms[i])));
}

/* A lone bad byte at every place of an otherwise good text, so that the fast way over ASCII cannot jump over it. */
static void a_bad_byte_is_found_at_every_place(void **state)
{
    char text[64];

    (void)state;
    for (size_t len = 1; len <= sizeof text; len++) {
        memset(text, 'a', sizeof text);
        assert_true(is_text(text, len));
        for (size_t at = 0; at < len; at++) {
            text[at] = (char)0x80;
            assert_false(is_text(text, len));
            text[at] = 'a';
        }
    }
}

static void cuts_do_not_matter(void **state)
{
    static const char text[] = "a\xc3\xbc\xe2\x82\xac\xf0\x9d\x84\x9e-and-some-ascii-\xe2\x82\xac";

    (void)state;
    for (size_t cut = 0; cut < sizeof text; cut++) {
        struct utf8 u = {0};
        assert_true(utf8_feed(&u, (const uint8_t *)text, cut));
        assert_true(utf8_feed(&u, (const uint8_t *)text + cut, sizeof text - cut));
        assert_true(utf8_may_end(&u));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_character_is_text_and_no_surrogate_is),
        cmocka_unit_test(of_two_bytes_only_the_defined_ones_are_text),
        cmocka_unit_test(no_other_form_is_text),
        cmocka_unit_test(a_bad_byte_is_found_at_every_place),
        cmocka_unit_test(cuts_do_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
