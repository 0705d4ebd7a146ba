/* Dates of HTTP, written and read: three forms, and nothing that only looks like one of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/buf.h"
#include "gateway/http/date.h"

#define SECOND_MS INT64_C(1000)
#define DAY_MS    (INT64_C(86400) * SECOND_MS)
#define NOW_MS    (INT64_C(1767225600) * SECOND_MS) /* Thu, 01 Jan 2026 00:00:00 GMT */
#define EXAMPLE_S INT64_C(784111777)

static int64_t seconds_of(const char *text, int64_t wall_ms)
{
    const int64_t ms = date_parse(http_view_of(text), wall_ms);
    return ms < 0 ? ms : ms / SECOND_MS;
}

static void dates_are_those_of_http(void **state)
{
    char text[DATE_BYTES];

    (void)state;
    assert_string_equal(date_text(EXAMPLE_S * SECOND_MS + 999, text), "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_string_equal(date_text(0, text), "Thu, 01 Jan 1970 00:00:00 GMT");
    assert_string_equal(date_text(INT64_C(1709164800000), text), "Thu, 29 Feb 2024 00:00:00 GMT");
}

static void all_three_forms_are_read(void **state)
{
    (void)state;
    assert_int_equal(seconds_of("Sun, 06 Nov 1994 08:49:37 GMT", NOW_MS), EXAMPLE_S);
    assert_int_equal(seconds_of("Sunday, 06-Nov-94 08:49:37 GMT", NOW_MS), EXAMPLE_S);
    assert_int_equal(seconds_of("Sun Nov  6 08:49:37 1994", NOW_MS), EXAMPLE_S);
    assert_int_equal(seconds_of("Wed Nov 16 08:49:37 1994", NOW_MS), EXAMPLE_S + 10 * 86400);
}

static void what_is_odd_but_a_date(void **state)
{
    (void)state;
    /* the day of the week is that of another date: the numbers say enough */
    assert_int_equal(seconds_of("Mon, 06 Nov 1994 08:49:37 GMT", NOW_MS), EXAMPLE_S);
    /* a leap second is the one after 59 */
    assert_int_equal(seconds_of("Sat, 31 Dec 2016 23:59:60 GMT", NOW_MS), INT64_C(1483228800));
    /* before there were clocks */
    assert_int_equal(seconds_of("Mon, 01 Jan 1900 00:00:00 GMT", NOW_MS), 0);
    assert_int_equal(seconds_of("Thu, 01 Jan 1970 00:00:00 GMT", NOW_MS), 0);
    assert_int_equal(seconds_of("Sat, 01 Jan 0000 00:00:00 GMT", NOW_MS), 0);
    /* after all of us, and after 32 bits */
    assert_int_equal(seconds_of("Tue, 19 Jan 2038 03:14:08 GMT", NOW_MS), INT64_C(2147483648));
    assert_int_equal(seconds_of("Fri, 31 Dec 9999 23:59:59 GMT", NOW_MS), INT64_C(253402300799));
    assert_int_equal(seconds_of("Thu, 29 Feb 2024 00:00:00 GMT", NOW_MS), INT64_C(1709164800));
}

static void what_is_no_date(void **state)
{
    static const char *const texts[] = {
        "",
        "0",
        "-1",
        "784111777",
        "soon",
        "Sun, 06 Nov 1994 08:49:37",       /* no zone */
        "Sun, 06 Nov 1994 08:49:37 UTC",   /* another name for it */
        "Sun, 06 Nov 1994 08:49:37 +0000", /* that of mail */
        "Sun, 06 Nov 1994 08:49:37 gmt",
        "sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 06-Nov-1994 08:49:37 GMT", /* that of cookies, once */
        "Sun, 06  Nov 1994 08:49:37 GMT",
        "Sun 06 Nov 1994 08:49:37 GMT",
        "Son, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Foo 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 32 Oct 1994 08:49:37 GMT",
        "Wed, 29 Feb 2023 00:00:00 GMT",
        "Wed, 30 Feb 2022 23:59:60 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 1994 8:49:37 GMT",
        "Sun, 06 Nov 1994 08:49 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        " Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 19945 08:49:37 GMT",
        "Sun, 06 Nov -994 08:49:37 GMT",
        "Sun, 06-Nov-94 08:49:37 GMT",    /* RFC 850 has the day in full */
        "Sunday, 06-Nov-94 08:49:37 EST", /* and no zone but ours */
        "Sunday, 06 Nov 1994 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  0 08:49:37 1994",
        "Sun Nov 06 08:49:37 94",
        "Sun Nov  6 08:49:37 1994 GMT",
        "1994-11-06T08:49:37Z",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (seconds_of(texts[i], NOW_MS) != -1)
            fail_msg("was taken for a date: \"%s\"", texts[i]);
    }
    assert_int_equal(date_parse((struct http_view){.data = NULL, .len = 0}, NOW_MS), -1);
}

/* However short: every beginning of a date is none, and no byte behind its end is looked at. */
static void the_beginning_of_a_date_is_none(void **state)
{
    static const char *const whole[] = {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                                        "Sun Nov  6 08:49:37 1994"};

    (void)state;
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        for (size_t len = 0; len <= strlen(whole[i]); len++) {
            struct slice s = slice_copy(whole[i], len); /* a sanitizer sees the first byte too far */
            const int64_t ms = date_parse((struct http_view){(const char *)s.data, len}, NOW_MS);
            assert_int_equal(ms, len == strlen(whole[i]) ? EXAMPLE_S * SECOND_MS : -1);
            slice_release(&s);
        }
    }
}

/* Seen from 2026, 76 is still to come and 77 was in the last century. */
static void two_digits_of_a_year_are_within_fifty_years(void **state)
{
    static const struct {
        const char *now, *text, *same;
    } rows[] = {
        {"Thu, 01 Jan 2026 00:00:00 GMT", "Thursday, 01-Jan-70 00:00:01 GMT", "Wed, 01 Jan 2070 00:00:01 GMT"},
        {"Thu, 01 Jan 2026 00:00:00 GMT", "Thursday, 01-Jan-26 00:00:00 GMT", "Thu, 01 Jan 2026 00:00:00 GMT"},
        {"Thu, 01 Jan 2026 00:00:00 GMT", "Thursday, 31-Dec-99 23:59:59 GMT", "Fri, 31 Dec 1999 23:59:59 GMT"},
        {"Thu, 01 Jan 2026 00:00:00 GMT", "Thursday, 01-Jan-77 00:00:00 GMT", "Sat, 01 Jan 1977 00:00:00 GMT"},
        /* to the second */
        {"Mon, 15 Jun 2026 12:00:00 GMT", "Monday, 15-Jun-76 12:00:00 GMT", "Mon, 15 Jun 2076 12:00:00 GMT"},
        {"Mon, 15 Jun 2026 12:00:00 GMT", "Monday, 15-Jun-76 12:00:01 GMT", "Tue, 15 Jun 1976 12:00:01 GMT"},
        /* and over the end of a century */
        {"Fri, 31 Dec 1999 00:00:00 GMT", "Saturday, 01-Jan-00 00:00:00 GMT", "Sat, 01 Jan 2000 00:00:00 GMT"},
        {"Fri, 31 Dec 1999 00:00:00 GMT", "Thursday, 31-Dec-98 00:00:00 GMT", "Thu, 31 Dec 1998 00:00:00 GMT"},
        {"Sun, 01 Jan 2090 00:00:00 GMT", "Saturday, 01-Jan-05 00:00:00 GMT", "Thu, 01 Jan 2105 00:00:00 GMT"},
        {"Thu, 29 Feb 2024 12:00:00 GMT", "Thursday, 29-Feb-72 12:00:00 GMT", "Mon, 29 Feb 2072 12:00:00 GMT"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const int64_t now_ms = seconds_of(rows[i].now, 0) * SECOND_MS;
        if (seconds_of(rows[i].text, now_ms) != seconds_of(rows[i].same, 0))
            fail_msg("\"%s\" seen from \"%s\" is not \"%s\"", rows[i].text, rows[i].now, rows[i].same);
    }
    assert_int_equal(seconds_of("Sunday, 29-Feb-26 00:00:00 GMT", NOW_MS), -1);
}

/* Every day of more than 400 years, against the C library's calendar. */
static void days_are_those_of_the_calendar(void **state)
{
    char text[DATE_BYTES], expected[DATE_BYTES];

    (void)state;
    for (int64_t day = 0; day < INT64_C(430) * 366; day++) {
        const time_t s = (time_t)(day * 86400 + day % 86400);
        struct tm tm;
        assert_non_null(gmtime_r(&s, &tm));
        assert_int_equal(strftime(expected, sizeof expected, "%a, %d %b %Y %H:%M:%S GMT", &tm), DATE_BYTES - 1);
        assert_string_equal(date_text((int64_t)s * SECOND_MS, text), expected);
    }
    assert_string_equal(date_text(-1, text), "Thu, 01 Jan 1970 00:00:00 GMT");
}

static void what_is_written_is_read_again(void **state)
{
    char text[DATE_BYTES];

    (void)state;
    /* a step that is no whole number of days, over all of 400 years and their leap days */
    for (int64_t ms = 0; ms < INT64_C(400) * 366 * DAY_MS; ms += 10 * DAY_MS + 12345678) {
        const int64_t whole_ms = ms / SECOND_MS * SECOND_MS;
        assert_int_equal(date_parse(http_view_of(date_text(ms, text)), NOW_MS), whole_ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_are_those_of_http),
        cmocka_unit_test(all_three_forms_are_read),
        cmocka_unit_test(what_is_odd_but_a_date),
        cmocka_unit_test(what_is_no_date),
        cmocka_unit_test(the_beginning_of_a_date_is_none),
        cmocka_unit_test(two_digits_of_a_year_are_within_fifty_years),
        cmocka_unit_test(days_are_those_of_the_calendar),
        cmocka_unit_test(what_is_written_is_read_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
