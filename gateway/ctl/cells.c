/* Small and used everywhere; the header says all. */
#include "gateway/ctl/cells.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "-";
}

int64_t number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

const char *span_text(int64_t ms, char out[AMOUNT_BYTES])
{
    static const struct {
        int64_t ms;
        const char *name;
    } units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}};
    const size_t count = sizeof units / sizeof units[0];

    for (size_t i = 0; i < count; i++) {
        int64_t whole = ms / units[i].ms, rest = 0;

        if (whole == 0)
            continue;
        if (i + 1 < count)
            rest = ms % units[i].ms / units[i + 1].ms;
        if (rest > 0)
            snprintf(out, AMOUNT_BYTES, "%" PRId64 "%s %" PRId64 "%s", whole, units[i].name, rest, units[i + 1].name);
        else
            snprintf(out, AMOUNT_BYTES, "%" PRId64 "%s", whole, units[i].name);
        return out;
    }
    snprintf(out, AMOUNT_BYTES, "%" PRId64 "ms", ms);
    return out;
}

void cell_text(struct grid *g, const json_t *object, const char *key)
{
    grid_cell(g, "%s", text_of(object, key));
}

void cell_count(struct grid *g, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    if (json_is_integer(value))
        grid_cell(g, "%" PRId64, (int64_t)json_integer_value(value));
    else
        grid_cell(g, "-");
}

void cell_span(struct grid *g, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    char text[AMOUNT_BYTES];

    grid_cell(g, "%s", json_is_integer(value) ? span_text(json_integer_value(value), text) : "-");
}

void cell_state(struct grid *g, const json_t *server)
{
    static const char *const flags[] = {"forced", "draining", "degraded"};
    char text[64] = "";

    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (json_is_true(json_object_get(server, flags[i])))
            strcat(strcat(text, " "), flags[i]);
    grid_cell(g, "%s%s", text_of(server, "state"), text);
}

void cell_words(struct grid *g, const json_t *words)
{
    struct strbuf text;
    const json_t *word;
    size_t i;

    strbuf_init(&text, 4096);
    json_array_foreach(words, i, word)
    {
        const char *value = json_string_value(word);

        strbuf_printf(&text, "%s%s", i > 0 ? " " : "", value != NULL ? value : "-");
    }
    grid_cell(g, "%s", text.len > 0 ? text.data : "-");
    strbuf_fini(&text);
}

struct grid *cells_begin(const char *const *titles, size_t count)
{
    struct grid *g = grid_create(count);

    for (size_t i = 0; i < count; i++)
        grid_cell(g, "%s", titles[i]);
    return g;
}

void cells_finish(struct grid **g, const char *indent, struct strbuf *out)
{
    strbuf_puts(out, "\n");
    grid_print(*g, indent, out);
    grid_destroy(g);
}

void cells_line(struct strbuf *out, const char *indent, const char *text)
{
    strbuf_puts(out, indent);
    for (; *text != '\0'; text++)
        strbuf_printf(out, "%c", (unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text);
    strbuf_puts(out, "\n");
}
