/* Errors are counted by kind; of the first one the words are kept, for they mostly explain all the others. */
#include "gateway/bench/result.h"

#include <stdio.h>

#include "base/assert.h"

#define ERROR_TEXT(name, text) [ERROR_##name] = (text),
static const char *const kind_texts[] = {ERROR_KINDS(ERROR_TEXT)};
#undef ERROR_TEXT
_Static_assert(sizeof kind_texts / sizeof kind_texts[0] == ERROR_KIND_COUNT, "every kind has a name");

const char *error_kind_text(enum error_kind kind)
{
    ASSERT(kind < ERROR_KIND_COUNT);
    return kind_texts[kind];
}

void result_error(struct result *r, enum error_kind kind, const char *detail)
{
    r->errors[kind]++;
    if (r->first_error[0] != '\0')
        return;
    (void)snprintf(r->first_error, sizeof r->first_error, "%s: %s", error_kind_text(kind), detail);
    for (char *at = r->first_error; *at != '\0'; at++) { /* a server's words, on somebody's terminal */
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = '?';
    }
}

uint64_t result_error_count(const struct result *r)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < ERROR_KIND_COUNT; i++)
        sum += r->errors[i];
    return sum;
}
