/* A file holds what changed when, and at its end a rule (POSIX TZ) for all times after the last change. It is data
 * like any other: every count is checked against what is there before it is used, and a file that says something odd
 * is no zone. */
#include "base/tz.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define TZ_MAGIC     0x7a09e31cu
#define HEADER_BYTES 44u
#define TYPE_BYTES   6u
#define TYPES_MAX    256u
#define PATH_BYTES   256
#define DAY_S        INT64_C(86400)
#define HOURS_MAX    167                /* of a rule's time of the day, RFC 9636 section 3.3.1 */
#define LATEST_S     (INT64_C(1) << 40) /* far beyond any clock; nothing is worked out after it */
#define OFFSET_S_MAX (26 * 3600)        /* section 3.2 wants them less far off */

/* When a rule changes the clocks, each year. */
struct change {
    enum { CHANGE_WEEKDAY = 0, CHANGE_JULIAN, CHANGE_DAY } kind; /* Mm.w.d; Jn without 29 February; n with it */
    int month, week, day;
    int32_t at_s; /* after local midnight; may be negative */
};

struct tz {
    uint32_t magic;
    size_t change_count;
    int64_t *changed_s; /* change_count, rising */
    uint8_t *type;      /* from then on */
    size_t type_count;
    int32_t offset_s[TYPES_MAX];
    /* after the last change */
    bool has_rule, has_saving;
    int32_t standard_s, saving_s;
    struct change begin, end; /* of daylight saving */
};

/* ---- the calendar: proleptic Gregorian, days since 1970-01-01 ---- */

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int64_t days_before_year(int64_t year)
{
    const int64_t y = year - 1;

    return (year - 1970) * 365 + (y / 4 - y / 100 + y / 400) - (1969 / 4 - 1969 / 100 + 1969 / 400);
}

static int64_t year_of(int64_t day)
{
    int64_t year = 1970 + day / 366;

    while (days_before_year(year + 1) <= day)
        year++;
    return year;
}

static int month_days(int64_t year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return days[month - 1] + (month == 2 && is_leap(year));
}

/* The day of the year, from 0. */
static int64_t change_day(const struct change *c, int64_t year)
{
    int64_t first = 0;
    int day;

    if (c->kind == CHANGE_DAY)
        return c->day;
    if (c->kind == CHANGE_JULIAN)
        return c->day - 1 + (is_leap(year) && c->day >= 60);
    for (int month = 1; month < c->month; month++)
        first += month_days(year, month);
    /* The day of the epoch was a Thursday. */
    const int weekday = (int)((days_before_year(year) + first + 4) % 7);
    day = (c->day - weekday + 7) % 7 + (c->week - 1) * 7;
    if (day >= month_days(year, c->month))
        day -= 7;
    return first + day;
}

static int64_t change_s(const struct change *c, int64_t year, int32_t offset_s)
{
    return (days_before_year(year) + change_day(c, year)) * DAY_S + c->at_s - offset_s;
}

static int32_t rule_offset_s(const struct tz *z, int64_t utc_s)
{
    if (utc_s > LATEST_S)
        return z->standard_s;
    const int64_t year = year_of((utc_s + z->standard_s) / DAY_S);
    int64_t begin_s, end_s;

    if (!z->has_saving)
        return z->standard_s;
    begin_s = change_s(&z->begin, year, z->standard_s);
    end_s = change_s(&z->end, year, z->saving_s);
    /* On the southern half of the world the year begins in it. */
    const bool is_saving = begin_s < end_s ? utc_s >= begin_s && utc_s < end_s : utc_s >= begin_s || utc_s < end_s;
    return is_saving ? z->saving_s : z->standard_s;
}

int32_t tz_offset_s(const struct tz *z, int64_t utc_s)
{
    size_t low = 0, high = z->change_count;

    CHECK_OBJ(z, TZ_MAGIC);
    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (z->changed_s[middle] <= utc_s)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == z->change_count && z->has_rule && utc_s >= 0)
        return rule_offset_s(z, utc_s);
    return z->offset_s[low == 0 ? 0 : z->type[low - 1]];
}

/* ---- the rule ---- */

/* Digits up to `max`; false when there are none, or more. */
static bool read_number(const char **at, int max, int *out)
{
    int value = 0;

    if (**at < '0' || **at > '9')
        return false;
    while (**at >= '0' && **at <= '9') {
        value = value * 10 + (**at - '0');
        if (value > max)
            return false;
        (*at)++;
    }
    *out = value;
    return true;
}

/* [+-]hh[:mm[:ss]] */
static bool read_time(const char **at, int hours_max, int32_t *out_s)
{
    const int sign = **at == '-' ? -1 : 1;
    int hours, minutes = 0, seconds = 0;

    if (**at == '-' || **at == '+')
        (*at)++;
    if (!read_number(at, hours_max, &hours))
        return false;
    if (**at == ':') {
        (*at)++;
        if (!read_number(at, 59, &minutes))
            return false;
        if (**at == ':') {
            (*at)++;
            if (!read_number(at, 59, &seconds))
                return false;
        }
    }
    *out_s = sign * (hours * 3600 + minutes * 60 + seconds);
    return true;
}

/* What a clock is called: letters, or anything between < and >. */
static bool skip_name(const char **at)
{
    const char *begin = *at;

    if (**at == '<') {
        *at += strcspn(*at, ">");
        if (**at == '\0')
            return false;
        (*at)++;
        return true;
    }
    while ((**at >= 'A' && **at <= 'Z') || (**at >= 'a' && **at <= 'z'))
        (*at)++;
    return *at - begin >= 3;
}

static bool read_change(const char **at, struct change *c)
{
    c->at_s = 2 * 3600;
    if (**at == 'M') {
        c->kind = CHANGE_WEEKDAY;
        (*at)++;
        if (!read_number(at, 12, &c->month) || c->month < 1 || *(*at)++ != '.' || !read_number(at, 5, &c->week) ||
            c->week < 1 || *(*at)++ != '.' || !read_number(at, 6, &c->day))
            return false;
    } else {
        c->kind = **at == 'J' ? CHANGE_JULIAN : CHANGE_DAY;
        *at += **at == 'J';
        if (!read_number(at, 365, &c->day) || (c->kind == CHANGE_JULIAN && c->day < 1))
            return false;
    }
    if (**at != '/')
        return true;
    (*at)++;
    return read_time(at, HOURS_MAX, &c->at_s);
}

/* "CET-1CEST,M3.5.0,M10.5.0/3": offsets count westwards. */
static bool read_rule(struct tz *z, const char *at)
{
    if (!skip_name(&at) || !read_time(&at, 24, &z->standard_s))
        return false;
    z->standard_s = -z->standard_s;
    z->has_rule = true;
    if (*at == '\0')
        return true;
    z->has_saving = true;
    if (!skip_name(&at))
        return false;
    z->saving_s = z->standard_s + 3600;
    if (*at != ',') {
        if (!read_time(&at, 24, &z->saving_s))
            return false;
        z->saving_s = -z->saving_s;
    }
    return *at++ == ',' && read_change(&at, &z->begin) && *at++ == ',' && read_change(&at, &z->end) && *at == '\0';
}

/* ---- the file ---- */

struct header {
    uint8_t version;
    uint32_t ut_count, standard_count, leap_count, time_count, type_count, char_count;
};

static uint64_t read_be(const uint8_t *p, size_t bytes)
{
    uint64_t value = 0;

    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | p[i];
    return value;
}

static bool read_header(const uint8_t *p, size_t len, struct header *h)
{
    if (len < HEADER_BYTES || memcmp(p, "TZif", 4) != 0)
        return false;
    *h = (struct header){.version = p[4],
                         .ut_count = (uint32_t)read_be(p + 20, 4),
                         .standard_count = (uint32_t)read_be(p + 24, 4),
                         .leap_count = (uint32_t)read_be(p + 28, 4),
                         .time_count = (uint32_t)read_be(p + 32, 4),
                         .type_count = (uint32_t)read_be(p + 36, 4),
                         .char_count = (uint32_t)read_be(p + 40, 4)};
    /* What is more than the whole file may have is refused before anything is multiplied with it. */
    return h->ut_count <= TYPES_MAX && h->standard_count <= TYPES_MAX && h->leap_count <= TZ_BYTES_MAX &&
           h->time_count <= TZ_BYTES_MAX && h->type_count >= 1 && h->type_count <= TYPES_MAX &&
           h->char_count <= TZ_BYTES_MAX;
}

/* Of the block after a header, whose times have so many bytes. */
static size_t block_bytes(const struct header *h, size_t time_bytes)
{
    return h->time_count * (time_bytes + 1) + h->type_count * TYPE_BYTES + h->char_count +
           h->leap_count * (time_bytes + 4) + h->standard_count + h->ut_count;
}

static bool read_block(struct tz *z, const struct header *h, const uint8_t *p, size_t time_bytes)
{
    const uint8_t *types = p + h->time_count * time_bytes, *infos = types + h->time_count;

    z->change_count = h->time_count;
    z->type_count = h->type_count;
    z->changed_s = mem_alloc_array(h->time_count + 1, sizeof *z->changed_s);
    z->type = mem_alloc(h->time_count + 1);
    for (size_t i = 0; i < h->time_count; i++) {
        const uint64_t value = read_be(p + i * time_bytes, time_bytes);

        z->changed_s[i] = time_bytes == 4 ? (int32_t)(uint32_t)value : (int64_t)value;
        z->type[i] = types[i];
        if (types[i] >= h->type_count || (i > 0 && z->changed_s[i] <= z->changed_s[i - 1]))
            return false;
    }
    for (size_t i = 0; i < h->type_count; i++) {
        z->offset_s[i] = (int32_t)(uint32_t)read_be(infos + i * TYPE_BYTES, 4);
        if (z->offset_s[i] < -OFFSET_S_MAX || z->offset_s[i] > OFFSET_S_MAX)
            return false;
    }
    return true;
}

/* The rule between two line feeds; an empty one: the last change holds for good. */
static bool read_footer(struct tz *z, const uint8_t *p, size_t len)
{
    const uint8_t *end = len > 0 && p[0] == '\n' ? memchr(p + 1, '\n', len - 1) : NULL;
    char *text;
    bool is_good;

    if (end == NULL)
        return false;
    if (end == p + 1)
        return true;
    text = mem_strndup((const char *)p + 1, (size_t)(end - p) - 1);
    is_good = read_rule(z, text);
    mem_free(text);
    return is_good;
}

static bool read_all(struct tz *z, const uint8_t *p, size_t len)
{
    struct header h;
    size_t bytes;

    if (!read_header(p, len, &h))
        return false;
    bytes = HEADER_BYTES + block_bytes(&h, 4);
    if (bytes > len)
        return false;
    if (h.version == 0)
        return read_block(z, &h, p + HEADER_BYTES, 4);
    p += bytes; /* the same again, with longer times */
    len -= bytes;
    if (!read_header(p, len, &h))
        return false;
    bytes = HEADER_BYTES + block_bytes(&h, 8);
    return bytes <= len && read_block(z, &h, p + HEADER_BYTES, 8) && read_footer(z, p + bytes, len - bytes);
}

struct tz *tz_parse(const void *data, size_t len)
{
    struct tz *z;

    OBJ_NEW(z, TZ_MAGIC);
    if (len > TZ_BYTES_MAX || !read_all(z, data, len))
        tz_destroy(&z);
    return z;
}

void tz_destroy(struct tz **zp)
{
    CHECK_OBJ(*zp, TZ_MAGIC);
    mem_free((*zp)->changed_s);
    mem_free((*zp)->type);
    OBJ_FREE(zp, TZ_MAGIC);
}

/* Words of letters, digits, _, + and - with slashes between. */
static bool is_name(const char *name)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/";

    return name[0] != '\0' && name[0] != '/' && name[strspn(name, plain)] == '\0';
}

static struct tz *read_file(int fd)
{
    struct stat st;
    struct tz *z;
    uint8_t *data;
    size_t len = 0;
    ssize_t n;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_size > (off_t)TZ_BYTES_MAX)
        return NULL;
    data = mem_alloc((size_t)st.st_size);
    while (len < (size_t)st.st_size &&
           ((n = read(fd, data + len, (size_t)st.st_size - len)) > 0 || (n < 0 && errno == EINTR)))
        len += n > 0 ? (size_t)n : 0;
    z = tz_parse(data, len);
    mem_free(data);
    return z;
}

struct tz *tz_load(const char *dir, const char *name)
{
    char path[PATH_BYTES];
    struct tz *z;
    int fd;

    if (!is_name(name) || (size_t)snprintf(path, sizeof path, "%s/%s", dir, name) >= sizeof path)
        return NULL;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return NULL;
    z = read_file(fd);
    close(fd);
    return z;
}
