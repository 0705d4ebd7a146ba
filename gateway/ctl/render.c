/* Jansson reads, grids line up. A gateway of another version may send more or less than is known here: unknown members
 * are passed over and missing ones show as "-". */
#include "gateway/ctl/render.h"

#include <inttypes.h>
#include <stdio.h>

#include "gateway/ctl/cells.h"
#include "gateway/ctl/render_dns.h"

static void render_head(const json_t *status, struct strbuf *out)
{
    const json_t *node = json_object_get(status, "node"), *config = json_object_get(status, "config"), *reason;
    char up[AMOUNT_BYTES], loaded[AMOUNT_BYTES], line[512];
    size_t i;

    snprintf(line, sizeof line, "%s: Tidegate %s, %s, up %s", text_of(node, "name"), text_of(status, "version"),
             text_of(status, "status"), span_text(number_of(status, "uptime_ms"), up));
    cells_line(out, "", line);
    snprintf(
        line, sizeof line, "configuration %" PRId64 " from %s, loaded %s ago; %" PRId64 " reloads, %" PRId64 " refused",
        number_of(config, "generation"), text_of(config, "path"), span_text(number_of(config, "loaded_age_ms"), loaded),
        number_of(config, "reloads"), number_of(config, "reloads_refused"));
    cells_line(out, "", line);
    json_array_foreach(json_object_get(status, "reasons"), i, reason)
    {
        const char *text = json_string_value(reason);

        cells_line(out, "  ! ", text != NULL ? text : "-");
    }
}

static void render_processes(const json_t *status, struct strbuf *out)
{
    static const char *const titles[] = {"PROCESS", "PID", "STATE", "UP", "RESTARTS", "CONFIG"};
    struct grid *g = cells_begin(titles, GRID_OF(titles));
    const json_t *p;
    size_t i;

    json_array_foreach(json_object_get(status, "processes"), i, p)
    {
        grid_cell(g, "%s %" PRId64, text_of(p, "role"), number_of(p, "index"));
        cell_count(g, p, "pid");
        cell_text(g, p, "state");
        cell_span(g, p, "uptime_ms");
        cell_count(g, p, "restarts");
        cell_count(g, p, "conf_generation");
    }
    cells_finish(&g, "", out);
}

static void add_server(struct grid *g, const json_t *s)
{
    const char *cause = json_string_value(json_object_get(s, "cause"));

    cell_text(g, s, "name");
    cell_text(g, s, "tier");
    cell_text(g, s, "region");
    cell_state(g, s);
    cell_span(g, s, "since_age_ms");
    cell_count(g, s, "connections");
    cell_count(g, s, "attempts");
    cell_count(g, s, "failures");
    if (number_of(s, "latency_us") > 0)
        grid_cell(g, "%.1fms", (double)number_of(s, "latency_us") / 1000.0);
    else
        grid_cell(g, "-");
    cell_text(g, s, "url");
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
        struct grid *g = cells_begin(titles, GRID_OF(titles));
        char line[512];

        snprintf(line, sizeof line, "pool %s: %s, served by %s, %s", text_of(pool, "name"), text_of(pool, "status"),
                 text_of(pool, "tier"), text_of(pool, "balance"));
        strbuf_puts(out, "\n");
        cells_line(out, "", line);
        json_array_foreach(json_object_get(pool, "servers"), k, server) add_server(g, server);
        grid_print(g, "  ", out);
        grid_destroy(&g);
    }
}

static void render_routes(const json_t *status, struct strbuf *out)
{
    static const char *const titles[] = {"ROUTE", "POOL", "STATUS", "TIER", "REQUESTS", "OPEN", "OPENED", "REFUSED"};
    struct grid *g = cells_begin(titles, GRID_OF(titles));
    const json_t *r;
    size_t i;

    json_array_foreach(json_object_get(status, "routes"), i, r)
    {
        cell_text(g, r, "name");
        cell_text(g, r, "pool");
        cell_text(g, r, "status");
        cell_text(g, r, "tier");
        cell_count(g, r, "requests");
        cell_count(g, r, "ws_connections");
        cell_count(g, r, "ws_opened");
        cell_count(g, r, "refused");
    }
    cells_finish(&g, "", out);
}

/* Of the routes whose WebSockets outlive their servers. */
static void render_sessions(const json_t *status, struct strbuf *out)
{
    static const char *const titles[] = {"SESSIONS ON",  "PROTOCOL",     "CONNECTED", "CONNECTING",
                                         "RECONNECTING", "DISCONNECTED", "LOSSES",    "MOVES",
                                         "GIVEN UP",     "UNKNOWN",      "DROPPED",   "RECOVERY"};
    static const char *const keys[] = {"connected", "connecting", "reconnecting",     "disconnected",    "failovers",
                                       "moves",     "given_up",   "messages_unknown", "messages_dropped"};
    struct grid *g = cells_begin(titles, GRID_OF(titles));
    const json_t *r;
    size_t i, row_count = 0;

    json_array_foreach(json_object_get(status, "routes"), i, r)
    {
        const json_t *s = json_object_get(r, "sessions"), *recovery = json_object_get(s, "recovery");

        if (s == NULL)
            continue;
        row_count++;
        cell_text(g, r, "name");
        cell_text(g, s, "protocol");
        for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++)
            cell_count(g, s, keys[k]);
        if (json_is_integer(json_object_get(recovery, "p99_within_ms")))
            grid_cell(g, "99%% within %" PRId64 "ms", number_of(recovery, "p99_within_ms"));
        else
            grid_cell(g, "-");
    }
    if (row_count > 0) {
        strbuf_puts(out, "\n");
        grid_print(g, "", out);
    }
    grid_destroy(&g);
}

/* Of the routes that keep answers, once they had any to do with one. */
static void render_cache(const json_t *status, struct strbuf *out)
{
    static const char *const titles[] = {"CACHED ROUTE", "HITS",      "STALE",    "REDIS",
                                         "MISSES",       "COALESCED", "BYPASSED", "REFRESHES"};
    static const char *const keys[] = {"cache_hits",      "cache_stale_served", "cache_l2_hits",  "cache_misses",
                                       "cache_coalesced", "cache_bypassed",     "cache_refreshes"};
    struct grid *g = cells_begin(titles, GRID_OF(titles));
    const json_t *r;
    size_t i, row_count = 0;

    json_array_foreach(json_object_get(status, "routes"), i, r)
    {
        json_int_t sum = 0;
        for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++)
            sum += json_integer_value(json_object_get(r, keys[k]));
        if (sum == 0)
            continue;
        row_count++;
        cell_text(g, r, "name");
        for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++)
            cell_count(g, r, keys[k]);
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
        render_dns(status, out);
        render_routes(status, out);
        render_sessions(status, out);
        render_cache(status, out);
    }
    json_decref(status);
    return is_object;
}
