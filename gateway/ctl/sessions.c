/* What all protocols have in common has its columns; what a protocol says of itself (channels, subscriptions) is shown
 * as it comes, since a new protocol is not to need a new tool. */
#include "gateway/ctl/sessions.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gateway/ctl/cells.h"

#define VALUE_BYTES 256u

bool sessions_is_id(const char *text)
{
    const size_t worker = strspn(text, "0123456789");
    const size_t serial = text[worker] == '-' ? strspn(text + worker + 1, "0123456789") : 0;

    return worker > 0 && serial > 0 && text[worker + 1 + serial] == '\0';
}

/* How long the server takes to answer a heartbeat, and what that is called. */
static void cell_beat(struct grid *g, const json_t *s)
{
    const json_t *rtt = json_object_get(s, "rtt_ms");

    if (json_is_number(rtt))
        grid_cell(g, "%.1fms %s", json_number_value(rtt), text_of(s, "quality"));
    else
        grid_cell(g, "-");
}

/* Joins, operations, subscriptions: whatever the protocol has a list or a number of. */
static void cell_joined(struct grid *g, json_t *s)
{
    const char *key;
    json_t *value;

    json_object_foreach(s, key, value)
    {
        if (!json_is_array(value) || strcmp(key, "life") == 0)
            continue;
        grid_cell(g, "%zu", json_array_size(value));
        return;
    }
    cell_count(g, s, "subscriptions");
}

/* What is not all there is to see. */
static void render_rest(const json_t *answer, size_t shown_count, struct strbuf *out)
{
    const json_t *name;
    char line[VALUE_BYTES];
    size_t i;

    if ((size_t)number_of(answer, "fitting") > shown_count) {
        snprintf(line, sizeof line, "%zu of %" PRId64 " sessions are shown%s", shown_count,
                 number_of(answer, "fitting"),
                 json_is_true(json_object_get(answer, "cut")) ? ", for want of room" : "");
        cells_line(out, "", line);
    }
    json_array_foreach(json_object_get(answer, "missing"), i, name)
    {
        const char *text = json_string_value(name);

        snprintf(line, sizeof line, "%s did not answer in time: its sessions are not shown", text != NULL ? text : "-");
        cells_line(out, "", line);
    }
}

bool sessions_render(const char *json, size_t len, struct strbuf *out)
{
    static const char *const titles[] = {"ID",  "CLIENT", "ROUTE",  "PROTOCOL", "STATE", "SERVER",
                                         "AGE", "BEAT",   "JOINED", "HELD",     "LOSSES"};
    json_t *answer = json_loadb(json, len, 0, NULL), *list = json_object_get(answer, "sessions"), *s;
    const bool is_list = json_is_array(list);
    size_t i;

    if (is_list && json_array_size(list) == 0)
        strbuf_puts(out, "no sessions\n");
    if (is_list && json_array_size(list) > 0) {
        struct grid *g = cells_begin(titles, GRID_OF(titles));

        json_array_foreach(list, i, s)
        {
            cell_text(g, s, "id");
            cell_text(g, s, "client");
            cell_text(g, s, "route");
            cell_text(g, s, "protocol");
            cell_text(g, s, "state");
            cell_text(g, s, "server");
            cell_span(g, s, "opened_ms_ago");
            cell_beat(g, s);
            cell_joined(g, s);
            cell_count(g, s, "held");
            cell_count(g, s, "losses");
        }
        grid_print(g, "", out);
        grid_destroy(&g);
    }
    if (is_list)
        render_rest(answer, json_array_size(list), out);
    json_decref(answer);
    return is_list;
}

/* ---- one session ---- */

static void value_text(const json_t *value, char out[VALUE_BYTES])
{
    if (json_is_string(value))
        snprintf(out, VALUE_BYTES, "%s", json_string_value(value));
    else if (json_is_integer(value))
        snprintf(out, VALUE_BYTES, "%" PRId64, (int64_t)json_integer_value(value));
    else if (json_is_real(value))
        snprintf(out, VALUE_BYTES, "%.1f", json_real_value(value));
    else
        snprintf(out, VALUE_BYTES, "%s", json_is_true(value) ? "yes" : json_is_false(value) ? "no" : "-");
}

/* "name  value", times as spans. */
static void render_members(const json_t *s, struct strbuf *out)
{
    static const char ago[] = "_ms_ago";
    struct grid *g = grid_create(2);
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)s, key, value)
    {
        const size_t len = strlen(key);
        char text[VALUE_BYTES], span[AMOUNT_BYTES];

        if (json_is_array(value) || json_is_object(value))
            continue;
        if (len > sizeof ago - 1 && strcmp(key + len - (sizeof ago - 1), ago) == 0 && json_is_integer(value)) {
            grid_cell(g, "%.*s", (int)(len - (sizeof ago - 1)), key);
            grid_cell(g, "%s ago", span_text(json_integer_value(value), span));
            continue;
        }
        value_text(value, text);
        grid_cell(g, "%s", key);
        grid_cell(g, "%s", text);
    }
    grid_print(g, "", out);
    grid_destroy(&g);
}

/* The protocol's own lists: one line for each item, "key=value" with blanks between. */
static void render_lists(const json_t *s, struct strbuf *out)
{
    const char *key, *member;
    json_t *value, *item, *of;
    size_t i;

    json_object_foreach((json_t *)s, key, value)
    {
        if (!json_is_array(value) || json_array_size(value) == 0 || strcmp(key, "life") == 0)
            continue;
        strbuf_puts(out, "\n");
        cells_line(out, "", key);
        json_array_foreach(value, i, item)
        {
            struct strbuf line;
            char text[VALUE_BYTES];

            strbuf_init(&line, 4096);
            if (!json_is_object(item)) {
                value_text(item, text);
                strbuf_puts(&line, text);
            }
            json_object_foreach(item, member, of)
            {
                value_text(of, text);
                strbuf_printf(&line, "%s%s=%s", line.len > 0 ? " " : "", member, text);
            }
            cells_line(out, "  ", line.len > 0 ? line.data : "-");
            strbuf_fini(&line);
        }
    }
}

static void render_life(const json_t *s, struct strbuf *out)
{
    static const char *const titles[] = {"AGO", "WHAT", "SERVER"};
    const json_t *life = json_object_get(s, "life"), *note;
    struct grid *g;
    size_t i;

    if (json_array_size(life) == 0)
        return;
    g = cells_begin(titles, GRID_OF(titles));
    json_array_foreach(life, i, note)
    {
        const char *server = json_string_value(json_object_get(note, "server"));

        cell_span(g, note, "ms_ago");
        cell_text(g, note, "what");
        grid_cell(g, "%s", server != NULL ? server : "");
    }
    cells_finish(&g, "", out);
}

bool sessions_render_life(const char *json, size_t len, struct strbuf *out)
{
    json_t *answer = json_loadb(json, len, 0, NULL), *list = json_object_get(answer, "sessions"), *s;
    const bool is_list = json_is_array(list);
    size_t i;

    if (is_list && json_array_size(list) == 0)
        strbuf_puts(out, "no such session\n");
    json_array_foreach(list, i, s)
    {
        strbuf_puts(out, i > 0 ? "\n" : "");
        render_members(s, out);
        render_lists(s, out);
        render_life(s, out);
    }
    if (is_list)
        render_rest(answer, json_array_size(list), out);
    json_decref(answer);
    return is_list;
}
