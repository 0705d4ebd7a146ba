/* Three words, blanks between them or not. */
#include "gateway/bench/threshold.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_BYTES 64u

/* Longer signs before those they begin with. */
static const struct {
    const char *sign;
    enum threshold_compare compare;
} compares[] = {
    {">=", THRESHOLD_AT_LEAST}, {"<=", THRESHOLD_AT_MOST}, {"==", THRESHOLD_EQUAL},
    {"!=", THRESHOLD_OTHER},    {">", THRESHOLD_OVER},     {"<", THRESHOLD_UNDER},
};
#define COMPARE_COUNT (sizeof compares / sizeof compares[0])
_Static_assert(COMPARE_COUNT == THRESHOLD_OTHER + 1, "every comparison has a sign");

static bool bad(char *error, const char *text, const char *why)
{
    (void)snprintf(error, THRESHOLD_ERROR_BYTES, "threshold \"%.60s\": %.180s", text, why);
    return false;
}

static const char *skip_blanks(const char *at)
{
    return at + strspn(at, " ");
}

static bool parse_compare(struct threshold *t, const char **at)
{
    for (size_t i = 0; i < COMPARE_COUNT; i++) {
        const size_t len = strlen(compares[i].sign);
        if (strncmp(*at, compares[i].sign, len) == 0) {
            t->compare = compares[i].compare;
            *at += len;
            return true;
        }
    }
    return false;
}

bool threshold_parse(struct threshold *t, const char *text, char *error)
{
    char key[KEY_BYTES], *end;
    const char *at = skip_blanks(text);
    const size_t key_len = strcspn(at, " <>=!");
    if (key_len == 0 || key_len >= sizeof key)
        return bad(error, text, "expected something like \"p99_ms > 250\"");
    memcpy(key, at, key_len);
    key[key_len] = '\0';
    *t = (struct threshold){.metric = metric_find(key), .text = text};
    if (t->metric == NULL)
        return bad(error, text, "no figure of the report has that name (--list-figures shows them)");
    at = skip_blanks(at + key_len);
    if (!parse_compare(t, &at))
        return bad(error, text, "expected >, >=, <, <=, == or != behind the name");
    at = skip_blanks(at);
    t->limit = strtod(at, &end);
    if (end == at || !isfinite(t->limit))
        return bad(error, text, "expected a number behind the comparison");
    at = skip_blanks(end);
    if (*at == '%' && t->metric->unit == METRIC_RATIO) {
        t->limit /= 100;
        at = skip_blanks(at + 1);
    }
    if (*at != '\0')
        return bad(error, text,
                   *at == '%' ? "only a ratio is written as percent" : "there is something behind the number");
    return true;
}

bool threshold_fails(const struct threshold *t, double value)
{
    if (isnan(value))
        return true;
    switch (t->compare) {
    case THRESHOLD_OVER:
        return value > t->limit;
    case THRESHOLD_AT_LEAST:
        return value >= t->limit;
    case THRESHOLD_UNDER:
        return value < t->limit;
    case THRESHOLD_AT_MOST:
        return value <= t->limit;
    case THRESHOLD_EQUAL:
        return !(value < t->limit) && !(value > t->limit);
    case THRESHOLD_OTHER:
        return value < t->limit || value > t->limit;
    }
    return true;
}
