/* base64 and base64url: one text per value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base64.h"

static void what_decodes_for_urls(void **state)
{
    static const struct {
        const char *text, *value;
    } rows[] = {{"", ""},           {"Zg", "f"},          {"Zm8", "fo"},          {"Zm9v", "foo"},
                {"Zm9vYg", "foob"}, {"Zm9vYmE", "fooba"}, {"Zm9vYmFy", "foobar"}, {"-_-_", "\xfb\xff\xbf"}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t out[16];
        size_t len = 99;
        assert_true(base64url_decode(rows[i].text, strlen(rows[i].text), out, &len));
        assert_int_equal(len, strlen(rows[i].value));
        assert_memory_equal(out, rows[i].value, len);
        assert_true(len <= BASE64_ROOM(strlen(rows[i].text)));
    }
}

static void what_does_not_for_urls(void **state)
{
    static const char *const rows[] = {
        "Z",          /* six bits make no byte */
        "Zg==",       /* padding */
        "Zg=",        /* half of it */
        "Zm9v\n",     /* white space */
        "Zm 9v",      /* in the middle */
        "+/+/",       /* the other alphabet */
        "Zh",         /* "f" and four bits left over */
        "Zm9",        /* "fo" and two */
        "Zm\xc3\xa4", /* no ASCII */
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t out[16];
        size_t len;
        if (base64url_decode(rows[i], strlen(rows[i]), out, &len))
            fail_msg("\"%s\" was taken", rows[i]);
    }
}

static void what_decodes(void **state)
{
    static const struct {
        const char *text, *value;
    } rows[] = {{"", ""},
                {"Zg==", "f"},
                {"Zm8=", "fo"},
                {"Zm9v", "foo"},
                {"Zm9vYg==", "foob"},
                {"Zm9vYmE=", "fooba"},
                {"Zm9vYmFy", "foobar"},
                {"+/+/", "\xfb\xff\xbf"}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t out[16];
        size_t len = 99;
        assert_true(base64_decode(rows[i].text, strlen(rows[i].text), out, &len));
        assert_int_equal(len, strlen(rows[i].value));
        assert_memory_equal(out, rows[i].value, len);
        assert_true(len <= BASE64_ROOM(strlen(rows[i].text)));
    }
}

static void what_does_not(void **state)
{
    static const char *const rows[] = {
        "Zg",       /* no padding */
        "Zg=",      /* half of it */
        "Z===",     /* six bits make no byte */
        "====",     /* none */
        "Zg==Zg==", /* padding in the middle */
        "Zm9v\n",   /* white space */
        "-_-_",     /* the other alphabet */
        "Zh==",     /* "f" and four bits left over */
        "Zm9=",     /* "fo" and two */
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t out[16];
        size_t len;
        if (base64_decode(rows[i], strlen(rows[i]), out, &len))
            fail_msg("\"%s\" was taken", rows[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_decodes_for_urls),
                                       cmocka_unit_test(what_does_not_for_urls), cmocka_unit_test(what_decodes),
                                       cmocka_unit_test(what_does_not)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
