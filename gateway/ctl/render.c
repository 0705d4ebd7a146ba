/* Jansson reads, grids line up. A gateway of another version may send more or less than is known here: unknown members
 * are passed over and missing ones show as "-". */
#include "gateway/ctl/render.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "gateway/ctl/grid.h"

#define AMOUNT_BYTES 32u

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "-";
}

static int64_t number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static void add_count(struct grid *g, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    if (json_is_integer(value))
        grid_cell(g, "%" PRId64, (int64_t)json_integer_value(value));
    else
        grid_cell(g, "-");
}

/* The two largest units of a time span: "3d 4h", "12m 5s", "850ms". */
static const char *span_text(int64_t ms, char out[AMOUNT_BYTES])
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

static void add_span(struct grid *g, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    char text[AMOUNT_BYTES];

    grid_cell(g, "%s", json_is_integer(value) ? span_text(json_integer_value(value), text) : "-");
}

static void add_titles(struct grid *g, const char *const *titles, size_t count)
{
    for (size_t i = 0; i < count; i++)
        grid_cell(g, "%s", titles[i]);
}

#define GRID_OF(titles) (sizeof(titles) / sizeof((titles)[0]))

static void finish_grid(struct grid **g, const char *indent, struct strbuf *out)
{
    grid_print(*g, indent, out);
    grid_destroy(g);
}

/* ---- sections ---- */

/* A line of free text; what is not printable is kept out as in the grids. */
static void add_line(struct strbuf *out, const char *indent, const char *text)
{
    strbuf_puts(out, indent);
    for (; *text != '\0'; text++)
        strbuf_printf(out, "%c", (unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text);
    strbuf_puts(out, "\n");
}

static void render_head(const json_t *status, struct strbuf *out)
{
    const json_t *node = json_object_get(status, "node"), *config = json_object_get(status, "config"), *reason;
    char up[AMOUNT_BYTES], loaded[AMOUNT_BYTES], line[512];
    size_t i;

    snprintf(line, sizeof line, "%s: Tidegate %s, %s, up %s", text_of(node, "name"), text_of(status, "version"),
             text_of(status, "status"), span_text(number_of(status, "uptime_ms"), up));
    add_line(out, "", line);
    snprintf(
        line, sizeof line, "configuration %" PRId64 " from %s, loaded %s ago; %" PRId64 " reloads, %" PRId64 " refused",
        number_of(config, "generation"), text_of(config, "path"), span_text(number_of(config, "loaded_age_ms"), loaded),
        number_of(config, "reloads"), number_of(config, "reloads_refused"));
    add_line(out, "", line);
    json_array_foreach(json_object_get(status, "reasons"), i, reason)
    {
        const char *text = json_string_value(reason);

        add_line(out, "  ! ", text != NULL ? text : "-");
    }
}

static void render_processes(const json_t *status, struct strbuf *out)
{
    static const char *const titles[] = {"PROCESS", "PID", "STATE", "UP", "RESTARTS", "CONFIG"};
    struct grid *g = grid_create(GRID_OF(titles));
    const json_t *p;
    size_t i;

    add_titles(g, titles, GRID_OF(titles));
    json_array_foreach(json_object_get(status, "processes"), i, p)
    {
        grid_cell(g, "%s %" PRId64, text_of(p, "role"), number_of(p, "index"));
        add_count(g, p, "pid");
        grid_cell(g, "%s", text_of(p, "state"));
        add_span(g, p, "uptime_ms");
        add_count(g, p, "restarts");
        add_count(g, p, "conf_generation");
    }
    strbuf_puts(out, "\n");
    finish_grid(&g, "", out);
}

static void add_state(struct grid *g, const json_t *server)
{
    static const char *const flags[] = {"forced", "draining", "degraded"};
    char text[64] = "";

    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (json_is_true(json_object_get(server, flags[i])))
            strcat(strcat(text, " "), flags[i]);
    grid_cell(g, "%s%s", text_of(server, "state"), text);
}

static void add_server(struct grid *g, const json_t *s)
{
    const char *cause = json_string_value(json_object_get(s, "cause"));

    grid_cell(g, "%s", text_of(s, "name"));
    grid_cell(g, "%s", text_of(s, "tier"));
    grid_cell(g, "%s", text_of(s, "region"));
    add_state(g, s);
    add_span(g, s, "since_age_ms");
    add_count(g, s, "connections");
    add_count(g, s, "attempts");
    add_count(g, s, "failures");
    if (number_of(s, "latency_us") > 0)
        grid_cell(g, "%.1fms", (double)number_of(s, "latency_us") / 1000.0);
    else
        grid_cell(g, "-");
    grid_cell(g, "%s", text_of(s, "url"));
    grid_cell(g, "%s", cause != NULL ? cause : "");
}

static void render_pools(const json_t *status, struct strbuf *out)
{
    static const char *const titles[] = {"SERVER",   "TIER",     "REGION",  "STATE", "SINCE", "OPEN",
                                         "ATTEMPTS", "FAILURES", "LATENCY", "URL",   "CAUSE"};
    const json_t *pool, *server;
    size_t i, k;

    json_array_foreach(json_object_get(status, "pools"), i, pool)
    {
        struct grid *g = grid_create(GRID_OF(titles));
        char line[512];

        snprintf(line, sizeof line, "pool %s: %s, served by %s, %s", text_of(pool, "name"), text_of(pool, "status"),
                 text_of(pool, "tier"), text_of(pool, "balance"));
        strbuf_puts(out, "\n");
        add_line(out, "", line);
        add_titles(g, titles, GRID_OF(titles));
        json_array_foreach(json_object_get(pool, "servers"), k, server) add_server(g, server);
        finish_grid(&g, "  ", out);
    }
}

static void render_routes(const json_t *status, struct strbuf *out)
{
    static const char *const titles[] = {"ROUTE", "POOL", "STATUS", "TIER", "REQUESTS", "OPEN", "OPENED", "REFUSED"};
    struct grid *g = grid_create(GRID_OF(titles));
    const json_t *r;
    size_t i;

    add_titles(g, titles, GRID_OF(titles));
    json_array_foreach(json_object_get(status, "routes"), i, r)
    {
        grid_cell(g, "%s", text_of(r, "name"));
        grid_cell(g, "%s", text_of(r, "pool"));
        grid_cell(g, "%s", text_of(r, "status"));
        grid_cell(g, "%s", text_of(r, "tier"));
        add_count(g, r, "requests");
        add_count(g, r, "ws_connections");
        add_count(g, r, "ws_opened");
        add_count(g, r, "refused");
    }
    strbuf_puts(out, "\n");
    finish_grid(&g, "", out);
}

/* Of the routes that keep answers, once they had any to do with one. */
static void render_cache(const json_t *status, struct strbuf *out)
{
    static const char *const titles[] = {"CACHED ROUTE", "HITS",      "STALE",    "REDIS",
                                         "MISSES",       "COALESCED", "BYPASSED", "REFRESHES"};
    static const char *const keys[] = {"cache_hits",      "cache_stale_served", "cache_l2_hits",  "cache_misses",
                                       "cache_coalesced", "cache_bypassed",     "cache_refreshes"};
    struct grid *g = grid_create(GRID_OF(titles));
    const json_t *r;
    size_t i, row_count = 0;

    add_titles(g, titles, GRID_OF(titles));
    json_array_foreach(json_object_get(status, "routes"), i, r)
    {
        json_int_t sum = 0;
        for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++)
            sum += json_integer_value(json_object_get(r, keys[k]));
        if (sum == 0)
            continue;
        row_count++;
        grid_cell(g, "%s", text_of(r, "name"));
        for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++)
            add_count(g, r, keys[k]);
    }
    if (row_count > 0) {
        strbuf_puts(out, "\n");
        grid_print(g, "", out);
    }
    grid_destroy(&g);
}

bool render_status(const char *json, size_t len, struct strbuf *out)
{
    json_t *status = json_loadb(json, len, 0, NULL);
    bool is_object = json_is_object(status);

    if (is_object) {
        render_head(status, out);
        render_processes(status, out);
        render_pools(status, out);
        render_routes(status, out);
        render_cache(status, out);
    }
    json_decref(status);
    return is_object;
}
