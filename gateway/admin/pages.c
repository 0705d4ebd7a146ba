/* The table of pages, and the two that are not reports: the index, which is that table and a glance at what DNS
 * answers, and the proof of life. */
#include "gateway/admin/pages.h"

#include <string.h>

static int fill_index(const struct report_view *v, struct strbuf *out);

/* That this is answered at all says it: the loop turns. */
static int fill_alive(const struct report_view *v, struct strbuf *out)
{
    (void)v;
    strbuf_puts(out, "{\"alive\":true}\n");
    return 200;
}

static int fill_status(const struct report_view *v, struct strbuf *out)
{
    report_status_json(v, out);
    return 200;
}

static int fill_metrics(const struct report_view *v, struct strbuf *out)
{
    report_metrics_text(v, out);
    return 200;
}

static const struct page pages[] = {
    {"/", PAGE_TYPE_TEXT, "this list", fill_index},
    {"/health", PAGE_TYPE_JSON, "ok, degraded or down, and why; 503 when a route cannot be served", report_health_json},
    {"/livez", PAGE_TYPE_JSON, "200 as long as this process answers", fill_alive},
    {"/readyz", PAGE_TYPE_JSON, "200 when every process runs the current configuration", report_ready_json},
    {"/metrics", REPORT_METRICS_TYPE, "metrics for Prometheus", fill_metrics},
    {"/status", PAGE_TYPE_JSON, "everything there is to show", fill_status},
};
#define PAGE_COUNT (sizeof pages / sizeof pages[0])

static int fill_index(const struct report_view *v, struct strbuf *out)
{
    strbuf_printf(out, "Tidegate %s, node %s\n\n", TIDEGATE_VERSION, v->conf->node.name);
    for (size_t i = 0; i < PAGE_COUNT; i++)
        strbuf_printf(out, "%-10s %s\n", pages[i].path, pages[i].about);
    strbuf_printf(out, "%-10s %s\n", "/events",
                  "what happened (?after=NUMBER&limit=COUNT); live as text/event-stream or WebSocket tidegate.events");
    strbuf_printf(out, "%-10s %s\n", "/alerts", "what alerts told of and what lasts, and what is on its way");
    strbuf_puts(out, "\n");
    report_glance_text(v, out);
    return 200;
}

const struct page *page_find(const char *path, size_t len)
{
    for (size_t i = 0; i < PAGE_COUNT; i++)
        if (strlen(pages[i].path) == len && memcmp(pages[i].path, path, len) == 0)
            return &pages[i];
    return NULL;
}
