/* Failures have one text each, and error numbers one meaning each. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

/* The texts are values in logs and labels in metrics: lower case, one word, each its own. */
static void texts_are_distinct_words(void **state)
{
    (void)state;
    for (int i = 0; i < ERR_COUNT; i++) {
        const char *text = err_text((enum err)i);

        assert_true(strlen(text) > 0);
        assert_int_equal(strspn(text, "abcdefghijklmnopqrstuvwxyz_"), strlen(text));
        for (int k = 0; k < i; k++)
            assert_string_not_equal(text, err_text((enum err)k));
    }
}

static void error_numbers_have_a_meaning(void **state)
{
    static const struct {
        int errno_value;
        enum err err;
    } rows[] = {
        {0, ERR_NONE},
        {EAGAIN, ERR_AGAIN},
        {EINPROGRESS, ERR_AGAIN},
        {ECONNRESET, ERR_RESET},
        {EPIPE, ERR_RESET},
        {ECONNREFUSED, ERR_REFUSED},
        {EHOSTUNREACH, ERR_UNREACHABLE},
        {ENETUNREACH, ERR_UNREACHABLE},
        {ETIMEDOUT, ERR_TIMEOUT},
        {EMFILE, ERR_LIMIT},
        {EADDRINUSE, ERR_BUSY},
        {EACCES, ERR_DENIED},
        {ENOENT, ERR_NOT_FOUND},
        {EINVAL, ERR_INVALID},
        {EXDEV, ERR_SYSTEM},
        {-1, ERR_SYSTEM},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(err_from_errno(rows[i].errno_value), rows[i].err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_distinct_words),
        cmocka_unit_test(error_numbers_have_a_meaning),
    };
    return cmocka_run_group_tests_name("base/err", tests, NULL, NULL);
}
