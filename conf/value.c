/* Numbers with units, and their way back to text. Everything is exact: no fractions, no floating point, no value that
 * silently wraps or is read in another base. */
#include "conf/value.h"

#include <arpa/inet.h>
#include <string.h>

struct unit {
    const char *text;
    uint64_t factor;
};

static const struct unit duration_units[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000},
};
static const struct unit size_units[] = {
    {"B", 1},
    {"KB", 1000},
    {"kB", 1000},
    {"MB", 1000000},
    {"GB", 1000000000},
    {"KiB", UINT64_C(1) << 10},
    {"MiB", UINT64_C(1) << 20},
    {"GiB", UINT64_C(1) << 30},
};
#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* Reads the leading digits; `*end` is what follows them. */
static const char *digits(const char *text, uint64_t *out, const char **end)
{
    const char *s = text;
    if (*s == '-')
        return "is negative";
    if (*s < '0' || *s > '9')
        return "is not a number";
    if (s[0] == '0' && s[1] >= '0' && s[1] <= '9')
        return "has a leading zero";
    uint64_t value = 0;
    for (; *s >= '0' && *s <= '9'; s++) {
        uint64_t digit = (uint64_t)(*s - '0');
        if (value > (INT64_MAX - digit) / 10)
            return "is far too large";
        value = value * 10 + digit;
    }
    *out = value;
    *end = s;
    return NULL;
}

const char *value_uint(const char *text, uint64_t *out)
{
    uint64_t value = 0;
    const char *rest = NULL;
    const char *why = digits(text, &value, &rest);
    if (why != NULL)
        return why;
    if (*rest != '\0')
        return "is not a whole number";
    *out = value;
    return NULL;
}

static const char *with_unit(const char *text, const struct unit *units, size_t count, uint64_t *out)
{
    uint64_t value = 0;
    const char *rest = NULL;
    const char *why = digits(text, &value, &rest);
    if (why != NULL)
        return why;
    if (*rest == '.' || *rest == ',')
        return "has a fraction";
    if (*rest == '\0' && value != 0)
        return "has no unit";
    if (*rest == '\0')
        rest = units[0].text; /* nothing is nothing in every unit */
    if (*rest == ' ')
        return "has a space before the unit";
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rest, units[i].text) != 0)
            continue;
        if (value > INT64_MAX / units[i].factor)
            return "is far too large";
        *out = value * units[i].factor;
        return NULL;
    }
    return "has an unknown unit";
}

const char *value_duration(const char *text, int64_t *ms)
{
    uint64_t value = 0;
    const char *why = with_unit(text, duration_units, COUNT_OF(duration_units), &value);
    if (why == NULL)
        *ms = (int64_t)value;
    return why;
}

const char *value_size(const char *text, uint64_t *bytes)
{
    return with_unit(text, size_units, COUNT_OF(size_units), bytes);
}

const char *value_percent(const char *text, uint32_t *percent)
{
    uint64_t value = 0;
    const char *rest = NULL;
    const char *why = digits(text, &value, &rest);
    if (why != NULL)
        return why;
    if (strcmp(rest, "%") != 0)
        return *rest == '\0' ? "has no percent sign" : "is not a percentage";
    if (value > 100)
        return "is more than all";
    *percent = (uint32_t)value;
    return NULL;
}

const char *value_bool(const char *text, bool *out)
{
    if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
        return "is not a boolean here";
    *out = text[0] == 't';
    return NULL;
}

const char *value_status(const char *text, uint32_t out[2])
{
    uint64_t low = 0, high = 0;
    const char *rest = NULL;
    if (text[0] >= '1' && text[0] <= '5' && strcmp(text + 1, "xx") == 0) {
        out[0] = (uint32_t)(text[0] - '0') * 100;
        out[1] = out[0] + 99;
        return NULL;
    }
    const char *why = digits(text, &low, &rest);
    if (why != NULL)
        return why;
    high = low;
    if (*rest == '-') {
        why = digits(rest + 1, &high, &rest);
        if (why != NULL)
            return "is not a range";
    }
    if (*rest != '\0')
        return "is not a status";
    if (low < 100 || high > 599)
        return "is no HTTP status";
    if (low > high)
        return "is a range from high to low";
    out[0] = (uint32_t)low;
    out[1] = (uint32_t)high;
    return NULL;
}

static void unit_text(struct strbuf *b, const struct unit *units, const size_t *order, size_t count, uint64_t value)
{
    for (size_t i = 0; i < count; i++) {
        const struct unit *u = &units[order[i]];
        if (value != 0 && value % u->factor == 0) {
            strbuf_printf(b, "%llu%s", (unsigned long long)(value / u->factor), u->text);
            return;
        }
    }
    strbuf_puts(b, "0");
}

void value_duration_text(struct strbuf *b, int64_t ms)
{
    static const size_t largest_first[] = {4, 3, 2, 1, 0};
    unit_text(b, duration_units, largest_first, COUNT_OF(largest_first), (uint64_t)ms);
}

void value_size_text(struct strbuf *b, uint64_t bytes)
{
    static const size_t largest_first[] = {7, 6, 5, 0}; /* powers of two, then bytes */
    unit_text(b, size_units, largest_first, COUNT_OF(largest_first), bytes);
}

void value_cidr_text(struct strbuf *b, const struct cidr *c)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    char text[INET6_ADDRSTRLEN];
    bool is_v4 = c->prefix_bits >= 96 && memcmp(c->bytes, mapped, sizeof mapped) == 0;
    const char *ip =
        is_v4 ? inet_ntop(AF_INET, c->bytes + 12, text, sizeof text) : inet_ntop(AF_INET6, c->bytes, text, sizeof text);
    strbuf_printf(b, "%s/%u", ip, is_v4 ? c->prefix_bits - 96u : c->prefix_bits);
}

#define NEAR_MAX_BYTES 63u

size_t value_distance(const char *a, const char *b, size_t max)
{
    /* Optimal string alignment, three rows at a time. */
    size_t la = strlen(a), lb = strlen(b);
    if (la > NEAR_MAX_BYTES || lb > NEAR_MAX_BYTES || la > lb + max || lb > la + max)
        return max + 1;
    size_t rows[3][NEAR_MAX_BYTES + 1] = {0};
    size_t *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= lb; j++)
        last[j] = j;
    for (size_t i = 1; i <= la; i++) {
        now[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t cost = a[i - 1] == b[j - 1] ? 0 : 1;
            size_t best = last[j - 1] + cost;
            if (last[j] + 1 < best)
                best = last[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            now[j] = best;
        }
        size_t *recycled = before;
        before = last;
        last = now;
        now = recycled;
    }
    return last[lb] > max ? max + 1 : last[lb];
}
