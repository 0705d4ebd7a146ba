/* strftime() would ask the locale for the names of days and months, and printf costs more than the rest of an answer's
 * head; so the digits are put in their places. Reading is the same the other way: three patterns, and nothing that is
 * only nearly one of them - a date that is no date must make an answer stale, not something else. */
#include "gateway/http/date.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "gateway/http/text.h"

#define YEARS_AHEAD_MAX 50 /* of a year of two digits (RFC 9110 section 5.6.7) */

static const char *const days[7] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

static void put_two(char *out, int n)
{
    out[0] = (char)('0' + n / 10 % 10);
    out[1] = (char)('0' + n % 10);
}

/* A day of the Gregorian calendar. Years begin in March here, so that the odd day of a leap year is the last of its
 * year, and of its four, hundred and four hundred years: each division but the last may leave one that is part of the
 * one before. Months from March on are 153 days in five. */
struct day {
    int year;
    int month; /* 0: January */
    int day;   /* of the month, from 1 */
};

#define DAYS_OF_4_YEARS   1461
#define DAYS_OF_100_YEARS 36524
#define DAYS_OF_400_YEARS 146097
#define DAYS_BEFORE_1970  719468 /* since the 1st of March of year 0 */

static int at_most(int n, int most)
{
    return n < most ? n : most;
}

static struct day day_of(int64_t days_since_1970)
{
    const int64_t since = days_since_1970 + DAYS_BEFORE_1970;
    int left = (int)(since % DAYS_OF_400_YEARS);
    const int hundreds = at_most(left / DAYS_OF_100_YEARS, 3);
    left -= hundreds * DAYS_OF_100_YEARS;
    const int fours = left / DAYS_OF_4_YEARS;
    left -= fours * DAYS_OF_4_YEARS;
    const int ones = at_most(left / 365, 3);
    left -= ones * 365;
    const int since_march = (5 * left + 2) / 153;
    const bool is_next_year = since_march >= 10;
    return (struct day){.year =
                            (int)(since / DAYS_OF_400_YEARS) * 400 + hundreds * 100 + fours * 4 + ones + is_next_year,
                        .month = is_next_year ? since_march - 10 : since_march + 2,
                        .day = left - (153 * since_march + 2) / 5 + 1};
}

const char *date_text(int64_t wall_ms, char out[DATE_BYTES])
{
    static const char form[DATE_BYTES] = "Sun, 06 Nov 1994 08:49:37 GMT";
    const int64_t seconds = wall_ms > 0 ? wall_ms / 1000 : 0; /* a clock that was never set */
    const int64_t days_since_1970 = seconds / 86400;
    const int second = (int)(seconds % 86400);
    const struct day d = day_of(days_since_1970);

    memcpy(out, form, sizeof form);
    memcpy(out, days[(days_since_1970 + 4) % 7], 3); /* it began on a Thursday */
    put_two(out + 5, d.day);
    memcpy(out + 8, months[d.month], 3);
    put_two(out + 12, d.year / 100);
    put_two(out + 14, d.year % 100);
    put_two(out + 17, second / 3600);
    put_two(out + 20, second / 60 % 60);
    put_two(out + 23, second % 60);
    return out;
}

/* ---- reading ---- */

/* As in strptime(), but each stands for one spelling alone: %a, %A and %b for names as the tables have them, numbers
 * for just so many digits, %e for a day of the month with a space in place of its leading 0. */
static const char *const patterns[] = {
    "%a, %d %b %Y %H:%M:%S GMT", /* IMF-fixdate */
    "%A, %d-%b-%y %H:%M:%S GMT", /* RFC 850 */
    "%a %b %e %H:%M:%S %Y",      /* asctime() */
};

static const struct number {
    char letter;
    size_t digit_count;
    size_t at; /* in struct tm */
    int max;
} numbers[] = {
    {'d', 2, offsetof(struct tm, tm_mday), 31}, {'Y', 4, offsetof(struct tm, tm_year), 9999},
    {'y', 2, offsetof(struct tm, tm_year), 99}, {'H', 2, offsetof(struct tm, tm_hour), 23},
    {'M', 2, offsetof(struct tm, tm_min), 59},  {'S', 2, offsetof(struct tm, tm_sec), 60}, /* a leap second */
};

static bool read_text(struct http_view *in, const char *text, size_t len)
{
    if (in->len < len || memcmp(in->data, text, len) != 0)
        return false;
    in->data += len;
    in->len -= len;
    return true;
}

static bool read_number(struct http_view *in, size_t digit_count, int *to)
{
    if (in->len < digit_count)
        return false;
    *to = 0;
    for (size_t i = 0; i < digit_count; i++) {
        if (!text_is_digit(in->data[i]))
            return false;
        *to = *to * 10 + (in->data[i] - '0');
    }
    in->data += digit_count;
    in->len -= digit_count;
    return true;
}

static bool read_day(struct http_view *in, bool is_long)
{
    for (size_t i = 0; i < sizeof days / sizeof days[0]; i++) {
        if (read_text(in, days[i], is_long ? strlen(days[i]) : 3))
            return true;
    }
    return false;
}

static bool read_month(struct http_view *in, int *to)
{
    for (int i = 0; i < 12; i++) {
        if (read_text(in, months[i], 3)) {
            *to = i;
            return true;
        }
    }
    return false;
}

static bool read_letter(struct http_view *in, char letter, struct tm *tm)
{
    if (letter == 'a' || letter == 'A')
        return read_day(in, letter == 'A');
    if (letter == 'b')
        return read_month(in, &tm->tm_mon);
    if (letter == 'e') {
        if (!read_text(in, " ", 1))
            return read_letter(in, 'd', tm);
        return read_number(in, 1, &tm->tm_mday);
    }
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        const struct number *n = &numbers[i];
        int *const to = (int *)(void *)((char *)tm + n->at);
        if (n->letter == letter)
            return read_number(in, n->digit_count, to) && *to <= n->max;
    }
    ASSERT(false);
}

static bool read_pattern(struct http_view in, const char *pattern, struct tm *tm)
{
    *tm = (struct tm){0};
    for (const char *p = pattern; *p != '\0'; p++) {
        if (!(*p == '%' ? read_letter(&in, *++p, tm) : read_text(&in, p, 1)))
            return false;
    }
    return in.len == 0;
}

/* False when there is no such day. timegm() would make the 1st of March of a 30th of February, and the last of
 * October of a 0th of November. */
static bool seconds_of(const struct tm *tm, int year, int64_t *out)
{
    struct tm t = *tm;
    t.tm_year = year - 1900;
    t.tm_sec = 0;
    *out = (int64_t)timegm(&t) + tm->tm_sec;
    return t.tm_mon == tm->tm_mon;
}

static int64_t milliseconds_of(const struct tm *tm, bool has_century, int64_t wall_ms)
{
    int64_t s = 0;
    int year = tm->tm_year;
    if (!has_century) {
        const time_t now_s = (time_t)(wall_ms / 1000);
        struct tm now = {0};
        int64_t latest_s = 0;
        (void)gmtime_r(&now_s, &now);
        const int latest = now.tm_year + 1900 + YEARS_AHEAD_MAX;
        year = latest - ((latest - year) % 100 + 100) % 100;
        (void)seconds_of(&now, latest, &latest_s);
        if (seconds_of(tm, year, &s) && s > latest_s)
            year -= 100;
    }
    if (!seconds_of(tm, year, &s))
        return -1;
    return s > 0 ? s * 1000 : 0;
}

int64_t date_parse(struct http_view text, int64_t wall_ms)
{
    struct tm tm;
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        if (text.data != NULL && read_pattern(text, patterns[i], &tm))
            return milliseconds_of(&tm, strstr(patterns[i], "%y") == NULL, wall_ms);
    }
    return -1;
}
