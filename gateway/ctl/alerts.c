/* One line for what lasts, in each alert that watches it, and one for each message that is not delivered yet. */
#include "gateway/ctl/alerts.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "gateway/ctl/cells.h"

/* What became of it so far. */
static void cell_care(struct grid *g, const json_t *a)
{
    const char *who = json_string_value(json_object_get(a, "acknowledged_by"));
    const char *handed_on = json_string_value(json_object_get(a, "escalated_at")) != NULL ? ", handed on" : "";

    if (json_is_true(json_object_get(a, "acknowledged")))
        grid_cell(g, "acknowledged%s%s at %s%s", who != NULL ? " by " : "", who != NULL ? who : "",
                  text_of(a, "acknowledged_at"), handed_on);
    else
        grid_cell(g, "%s%s", json_is_true(json_object_get(a, "told")) ? "told" : "not told yet", handed_on);
}

static void render_open(const json_t *open, struct strbuf *out)
{
    static const char *const titles[] = {"NUMBER", "ALERT", "KIND", "SUBJECT", "STATE", "SINCE", "CARE", "CAUSE"};
    struct grid *g;
    const json_t *a;
    size_t i;

    if (json_array_size(open) == 0) {
        strbuf_puts(out, "nothing is open\n");
        return;
    }
    g = cells_begin(titles, GRID_OF(titles));
    json_array_foreach(open, i, a)
    {
        const char *cause = json_string_value(json_object_get(a, "cause"));

        cell_count(g, a, "id");
        cell_text(g, a, "rule");
        cell_text(g, a, "kind");
        cell_text(g, a, "subject");
        cell_text(g, a, "state");
        cell_span(g, a, "since_age_ms");
        cell_care(g, a);
        grid_cell(g, "%s", cause != NULL ? cause : "");
    }
    grid_print(g, "", out);
    grid_destroy(&g);
}

static void render_waiting(const json_t *waiting, struct strbuf *out)
{
    static const char *const titles[] = {"MESSAGE", "ALERT", "EVENTS", "ATTEMPTS", "WAITS"};
    struct grid *g;
    const json_t *d;
    size_t i;

    if (json_array_size(waiting) == 0)
        return;
    g = cells_begin(titles, GRID_OF(titles));
    json_array_foreach(waiting, i, d)
    {
        cell_count(g, d, "number");
        cell_text(g, d, "rule");
        cell_count(g, d, "events");
        cell_count(g, d, "attempts");
        cell_span(g, d, "age_ms");
    }
    cells_finish(&g, "", out);
}

bool alerts_render(const char *json, size_t len, struct strbuf *out)
{
    json_t *list = json_loadb(json, len, 0, NULL);
    const bool is_list = json_is_array(json_object_get(list, "open"));

    if (is_list) {
        render_open(json_object_get(list, "open"), out);
        render_waiting(json_object_get(list, "waiting"), out);
    }
    json_decref(list);
    return is_list;
}

void alerts_who(char *out, size_t size_bytes)
{
    const char *name = getenv("SUDO_USER");
    const struct passwd *user = name == NULL || name[0] == '\0' ? getpwuid(getuid()) : NULL;

    if (user != NULL)
        name = user->pw_name;
    snprintf(out, size_bytes, "%s", name != NULL ? name : "");
    for (char *c = out; *c != '\0'; c++)
        if ((unsigned char)*c <= ' ' || *c == 0x7f)
            *c = '_';
}
