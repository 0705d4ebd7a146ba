/* Names of targets are shown as the commands take them (targets/NAME). In the table of who says what, a column is one
 * of those who judge; the grid has room for as many as there can be peers in practice, the rest is in --json. */
#include "gateway/ctl/render_dns.h"

#include <inttypes.h>
#include <stdio.h>

#include "gateway/ctl/cells.h"

#define LINE_BYTES     512
#define SPEAKERS_SHOWN (GRID_COLUMNS_MAX - 2u)

static void render_targets(const json_t *targets, struct strbuf *out)
{
    static const char *const titles[] = {"TARGET", "STATE", "SINCE", "LATENCY", "URL", "CAUSE"};
    struct grid *g;
    const json_t *t;
    size_t i;

    if (json_array_size(targets) == 0)
        return;
    g = cells_begin(titles, GRID_OF(titles));
    json_array_foreach(targets, i, t)
    {
        const char *cause = json_string_value(json_object_get(t, "cause"));

        grid_cell(g, "targets/%s", text_of(t, "name"));
        cell_state(g, t);
        cell_span(g, t, "since_age_ms");
        if (number_of(t, "latency_us") > 0)
            grid_cell(g, "%.1fms", (double)number_of(t, "latency_us") / 1000.0);
        else
            grid_cell(g, "-");
        cell_text(g, t, "url");
        grid_cell(g, "%s", cause != NULL ? cause : "");
    }
    cells_finish(&g, "", out);
}

static void render_names(const json_t *dns, struct strbuf *out)
{
    static const char *const titles[] = {"NAME", "ANSWERED WITH", "TTL", "NOTE"};
    char line[LINE_BYTES], since[AMOUNT_BYTES];
    struct grid *g;
    const json_t *r;
    size_t i;

    if (!json_is_object(dns))
        return;
    snprintf(line, sizeof line,
             "dns %s: %s, serial %" PRId64 ", term %" PRId64 ", version %" PRId64 ", unchanged for %s",
             text_of(dns, "zone"), text_of(dns, "role"), number_of(dns, "serial"), number_of(dns, "term"),
             number_of(dns, "version"), span_text(number_of(dns, "since_age_ms"), since));
    strbuf_puts(out, "\n");
    cells_line(out, "", line);
    if (json_array_size(json_object_get(dns, "records")) == 0)
        return;
    g = cells_begin(titles, GRID_OF(titles));
    json_array_foreach(json_object_get(dns, "records"), i, r)
    {
        cell_text(g, r, "name");
        cell_words(g, json_object_get(r, "chosen"));
        grid_cell(g, "%" PRId64 "s", number_of(r, "ttl_s"));
        grid_cell(g, "%s",
                  !json_is_true(json_object_get(r, "decided"))      ? "not decided yet"
                  : json_is_true(json_object_get(r, "last_resort")) ? "last resort"
                  : json_is_true(json_object_get(r, "draining"))    ? "draining"
                                                                    : "");
    }
    grid_print(g, "  ", out);
    grid_destroy(&g);
}

static void render_peers(const json_t *peers, struct strbuf *out)
{
    static const char *const titles[] = {"PEER", "REGION", "KIND", "HEARD", "NOTE"};
    struct grid *g;
    const json_t *p;
    size_t i;

    if (json_array_size(peers) == 0)
        return;
    g = cells_begin(titles, GRID_OF(titles));
    json_array_foreach(peers, i, p)
    {
        cell_text(g, p, "node");
        cell_text(g, p, "region");
        cell_text(g, p, "kind");
        cell_span(g, p, "age_ms");
        grid_cell(g, "%s%s", json_is_true(json_object_get(p, "leader")) ? "leader " : "",
                  json_is_true(json_object_get(p, "cut_off")) ? "cut off" : "");
    }
    grid_print(g, "  ", out);
    grid_destroy(&g);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* All views name the same speakers, in the same order: those of the first one are the columns. */
static void render_views(const json_t *views, struct strbuf *out)
{
    const json_t *view;
    json_t *first = json_object_get(json_array_get(views, 0), "says"), *word;
    const char *node;
    const size_t speaker_count = least(json_object_size(first), SPEAKERS_SHOWN);
    struct grid *g;
    size_t i, k = 0;

    if (speaker_count == 0)
        return;
    g = grid_create(2 + speaker_count);
    grid_cell(g, "SERVER");
    grid_cell(g, "TOGETHER");
    json_object_foreach(first, node, word)
    {
        if (k++ < speaker_count)
            grid_cell(g, "%s", node);
    }
    json_array_foreach(views, i, view)
    {
        cell_text(g, view, "server");
        cell_text(g, view, "effective");
        k = 0;
        json_object_foreach(first, node, word)
        {
            if (k++ < speaker_count)
                cell_text(g, json_object_get(view, "says"), node);
        }
    }
    grid_print(g, "  ", out);
    grid_destroy(&g);
}

static void render_quorum(const json_t *quorum, struct strbuf *out)
{
    char line[LINE_BYTES];

    if (!json_is_object(quorum))
        return;
    snprintf(line, sizeof line, "quorum %s: %s, leader %s, %" PRId64 " voters, Redis %s", text_of(quorum, "group"),
             text_of(quorum, "role"), text_of(quorum, "leader"), number_of(quorum, "voters"),
             json_is_true(json_object_get(quorum, "connected")) ? "answers" : "does not answer");
    strbuf_puts(out, "\n");
    cells_line(out, "", line);
    render_peers(json_object_get(quorum, "peers"), out);
    render_views(json_object_get(quorum, "views"), out);
}

void render_dns(const json_t *status, struct strbuf *out)
{
    render_targets(json_object_get(status, "targets"), out);
    render_names(json_object_get(status, "dns"), out);
    render_quorum(json_object_get(status, "quorum"), out);
}
