#include "tests/region/condition.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Numbers compare as numbers when both sides are, everything else as text. */
static int compare(const json_t *have, const char *wanted)
{
    char *end;
    double number = strtod(wanted, &end);
    char *text;
    int result;

    if (json_is_number(have) && end != wanted && *end == '\0')
        return json_number_value(have) < number ? -1 : json_number_value(have) > number;
    text =
        json_is_string(have) ? mem_strdup(json_string_value(have)) : json_dumps(have, JSON_ENCODE_ANY | JSON_COMPACT);
    result = strcmp(text == NULL ? "null" : text, wanted);
    mem_free(text);
    return result < 0 ? -1 : result > 0;
}

static const struct {
    const char *name;
    bool less, equal, more; /* which outcomes of compare() match */
} operators[] = {
    {"eq.", false, true, false}, {"neq.", true, false, true}, {"gt.", false, false, true},
    {"gte.", false, true, true}, {"lt.", true, false, false}, {"lte.", true, true, false},
};

bool condition_holds(const json_t *row, const char *column, const char *condition)
{
    for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
        size_t len = strlen(operators[i].name);
        int outcome;

        if (strncmp(condition, operators[i].name, len) != 0)
            continue;
        outcome = compare(json_object_get(row, column), condition + len);
        return outcome < 0 ? operators[i].less : outcome > 0 ? operators[i].more : operators[i].equal;
    }
    return true; /* not a condition: some other parameter */
}

bool condition_text_holds(const json_t *row, const char *text)
{
    const char *condition = text == NULL ? NULL : strchr(text, '=');
    char *column;
    bool holds;

    if (condition == NULL)
        return true;
    column = mem_strndup(text, (size_t)(condition - text));
    holds = condition_holds(row, column, condition + 1);
    mem_free(column);
    return holds;
}
