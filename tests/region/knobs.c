/* One row per knob; its form is the function that reads the value. */
#include "tests/region/knobs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "tests/region/wrong.h"

typedef bool form_fn(const char *text, int64_t *number);

static bool form_any(const char *text, int64_t *number)
{
    (void)text;
    (void)number;
    return true;
}

static bool read_count(const char *text, int64_t max, const char *units, int64_t *number)
{
    char *end;

    *number = strtoll(text, &end, 10);
    return end != text && *number >= 0 && *number <= max && strcmp(end, units) == 0;
}

static bool form_duration(const char *text, int64_t *number)
{
    if (read_count(text, 3600000, "ms", number))
        return true;
    if (!read_count(text, 3600, "s", number))
        return false;
    *number *= 1000;
    return true;
}

static bool form_count(const char *text, int64_t *number)
{
    return read_count(text, 1000000, "", number) && *number > 0;
}

static bool form_status(const char *text, int64_t *number)
{
    return read_count(text, 599, "", number) && *number >= 200;
}

static bool form_refusal(const char *text, int64_t *number)
{
    if (strcmp(text, "reset") != 0)
        return form_status(text, number);
    *number = KNOB_REFUSE_RESET;
    return true;
}

/* Any 16-bit code, also those that must not be sent. */
static bool form_close_code(const char *text, int64_t *number)
{
    return read_count(text, 65535, "", number) && *number > 0;
}

static bool form_hang(const char *text, int64_t *number)
{
    static const char *const words[] = {"", "upgrade", "ping", "body", "reply", "ack"};

    for (size_t i = 1; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcmp(text, words[i]) == 0) {
            *number = (int64_t)i;
            return true;
        }
    return false;
}

static bool form_frame(const char *text, int64_t *number)
{
    for (size_t i = 1; i < wrong_frame_count; i++)
        if (strcmp(text, wrong_frames[i].name) == 0) {
            *number = (int64_t)i;
            return true;
        }
    return false;
}

static const struct {
    const char *name;
    form_fn *form;
    const char *doc;
} rows[KNOB_COUNT] = {
#define X(id, name, form, doc) [id] = {name, form_##form, doc},
    KNOB_TABLE(X)
#undef X
};

bool knobs_set(struct knobs *k, const char *name, const char *value, const char **error)
{
    for (size_t i = 0; i < KNOB_COUNT; i++) {
        int64_t number = 0;

        if (strcmp(name, rows[i].name) != 0)
            continue;
        *error = "a value of another form is expected";
        if (strlen(value) >= KNOB_TEXT_BYTES || (value[0] != '\0' && !rows[i].form(value, &number)))
            return false;
        snprintf(k->value[i].text, sizeof(k->value[i].text), "%s", value);
        k->value[i].number = number;
        return true;
    }
    *error = "there is no such knob";
    return false;
}

int64_t knobs_number(const struct knobs *k, enum knob id)
{
    ASSERT(id < KNOB_COUNT);
    return k->value[id].number;
}

const char *knobs_text(const struct knobs *k, enum knob id)
{
    ASSERT(id < KNOB_COUNT);
    return k->value[id].text;
}

void knobs_clear(struct knobs *k, enum knob id)
{
    ASSERT(id < KNOB_COUNT);
    k->value[id].text[0] = '\0';
    k->value[id].number = 0;
}

bool knobs_count_down(struct knobs *k, enum knob id)
{
    ASSERT(id < KNOB_COUNT);
    if (k->value[id].number == 0 || --k->value[id].number > 0)
        return false;
    k->value[id].text[0] = '\0';
    return true;
}

json_t *knobs_json(const struct knobs *k)
{
    json_t *j = json_object();

    for (size_t i = 0; i < KNOB_COUNT; i++)
        json_object_set_new(j, rows[i].name, json_string(k->value[i].text));
    return j;
}

void knobs_print_help(void)
{
    for (size_t i = 0; i < KNOB_COUNT; i++)
        printf("  %-16s %s\n", rows[i].name, rows[i].doc);
    printf("  frames:");
    for (size_t i = 1; i < wrong_frame_count; i++)
        printf(" %s", wrong_frames[i].name);
    printf("\n");
}
