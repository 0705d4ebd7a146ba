/* The same figures twice. The table for people leaves out what did not happen. */
#include "gateway/bench/report.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "gateway/bench/metrics.h"

/* ---- JSON ---- */

static void add_string(struct strbuf *b, const char *key, const char *text)
{
    strbuf_printf(b, "\"%s\":", key);
    if (text != NULL)
        strbuf_json_string(b, text, strlen(text));
    else
        strbuf_puts(b, "null");
}

static void add_number(struct strbuf *b, const char *key, double value, int decimals)
{
    if (isfinite(value))
        strbuf_printf(b, "\"%s\":%.*f", key, decimals, value);
    else
        strbuf_printf(b, "\"%s\":null", key);
}

static void add_settings(struct strbuf *b, const struct options *o)
{
    strbuf_puts(b, "\"settings\":{");
    add_string(b, "url", o->url_text);
    strbuf_puts(b, ",");
    add_string(b, "mode", mode_text(o->mode));
    strbuf_puts(b, ",");
    add_string(b, "scenario", o->scenario != NULL ? o->scenario->name : NULL);
    strbuf_printf(b,
                  ",\"connections\":%u,\"channels\":%u,\"members\":%u,\"rate\":%g,\"per_connection\":%g,\"size\":%u,"
                  "\"seconds\":%g,\"warm_up\":%g,\"reconnect\":%s}",
                  o->connections, o->channel_count, o->member_count, o->rate, o->per_connection, o->size_bytes,
                  (double)o->time_ms / 1000, (double)o->warm_up_ms / 1000, o->reconnects ? "true" : "false");
}

static int decimals_of(const struct metric *m)
{
    switch (m->unit) {
    case METRIC_COUNT:
    case METRIC_BYTES:
        return 0;
    case METRIC_PER_SECOND:
        return 1;
    case METRIC_SECONDS:
        return 3;
    case METRIC_MS:
        return 4;
    case METRIC_RATIO:
        return 6;
    }
    return 0;
}

static void add_thresholds(struct strbuf *b, const struct options *o, const struct result *r)
{
    strbuf_puts(b, "\"thresholds\":[");
    for (uint32_t i = 0; i < o->threshold_count; i++) {
        const struct threshold *t = &o->thresholds[i];
        const double value = metric_value(t->metric, r);
        strbuf_puts(b, i > 0 ? ",{" : "{");
        add_string(b, "fail_if", t->text);
        strbuf_puts(b, ",");
        add_number(b, "value", value, 6);
        strbuf_printf(b, ",\"failed\":%s}", threshold_fails(t, value) ? "true" : "false");
    }
    strbuf_puts(b, "]");
}

static void add_theirs(struct strbuf *b, const struct scenario *s)
{
    strbuf_puts(b, ",\"theirs\":{");
    for (const struct scenario_figure *f = s->figures; f < s->figures + SCENARIO_FIGURES_MAX && f->title != NULL; f++) {
        strbuf_puts(b, f > s->figures ? "," : "");
        add_string(b, f->metric, f->theirs);
    }
    strbuf_puts(b, "}");
}

void report_json(struct strbuf *b, const struct options *o, const struct result *r)
{
    strbuf_puts(b, "{\"tool\":\"tidegate-bench " TIDEGATE_VERSION "\",");
    add_settings(b, o);
    for (size_t i = 0; i < metric_count(); i++) {
        strbuf_puts(b, ",");
        add_number(b, metric_at(i)->key, metric_value(metric_at(i), r), decimals_of(metric_at(i)));
    }
    strbuf_puts(b, ",");
    add_string(b, "first_error", r->first_error);
    strbuf_printf(b, ",\"interrupted\":%s,", r->is_interrupted ? "true" : "false");
    add_thresholds(b, o, r);
    if (o->scenario != NULL)
        add_theirs(b, o->scenario);
    strbuf_puts(b, "}\n");
}

/* ---- for people ---- */

/* "12.3 ms", of the figure with this key. */
static const char *figure(const char *key, const struct result *r, char out[METRIC_TEXT_BYTES])
{
    const struct metric *m = metric_find(key);
    ASSERT(m != NULL);
    return metric_text(m, metric_value(m, r), out);
}

/* A line of the table: figures by their keys in braces, and the words around them. */
static void add_line(struct strbuf *b, const struct result *r, const char *title, const char *line)
{
    char text[METRIC_TEXT_BYTES], key[METRIC_TEXT_BYTES];
    strbuf_printf(b, "%-13s", title);
    while (*line != '\0') {
        const size_t plain_len = strcspn(line, "{");
        strbuf_add(b, line, plain_len);
        line += plain_len;
        if (*line == '{') {
            const size_t key_len = strcspn(line, "}") - 1;
            (void)snprintf(key, sizeof key, "%.*s", (int)key_len, line + 1);
            strbuf_puts(b, figure(key, r, text));
            line += key_len + 2;
        }
    }
    strbuf_puts(b, "\n");
}

/* A line of percentiles, the unit once. */
static void add_quantiles(struct strbuf *b, const char *title, const struct histogram *h)
{
    static const double quantiles[] = {50, 75, 90, 95, 99, 99.9, 100};
    if (h->count == 0)
        return;
    strbuf_printf(b, "%-13s", title);
    for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++) {
        const double ms = (double)histogram_quantile_ns(h, quantiles[i] / 100) / 1e6;
        if (quantiles[i] < 100)
            strbuf_printf(b, "p%g %.*f  ", quantiles[i], ms < 10 ? 2 : 1, ms);
        else
            strbuf_printf(b, "max %.*f ms\n", ms < 10 ? 2 : 1, ms);
    }
}

static void add_errors(struct strbuf *b, const struct result *r)
{
    const char *before = "";
    strbuf_printf(b, "%-13s", "errors");
    for (uint32_t i = 0; i < ERROR_KIND_COUNT; i++) {
        if (r->errors[i] == 0)
            continue;
        strbuf_printf(b, "%s%" PRIu64 " %s", before, r->errors[i], error_kind_text((enum error_kind)i));
        before = ", ";
    }
    strbuf_puts(b, result_error_count(r) == 0 ? "none\n" : "\n");
    if (r->first_error[0] != '\0')
        strbuf_printf(b, "%-13s%s\n", "first error", r->first_error);
}

/* As HDR histograms are mostly shown: twice as close to 100 % with every line. */
static void add_distribution(struct strbuf *b, const struct histogram *h)
{
    strbuf_puts(b, "\nlatency ms   percentile   messages\n");
    double left = 0.5;
    for (uint64_t above = h->count; above > 0 && left > 1e-7; left /= 2) {
        const uint64_t ns = histogram_quantile_ns(h, 1 - left);
        above = (uint64_t)((double)h->count * left);
        strbuf_printf(b, "%10.3f   %10.5f   %8" PRIu64 "\n", (double)ns / 1e6, (1 - left) * 100, h->count - above);
    }
}

static void add_side_by_side(struct strbuf *b, const struct scenario *s, const struct result *r)
{
    char text[METRIC_TEXT_BYTES];
    strbuf_printf(b, "\nscenario %s: %s\n%-26s %12s %12s\n", s->name, s->summary, "", "theirs", "ours");
    for (const struct scenario_figure *f = s->figures; f < s->figures + SCENARIO_FIGURES_MAX && f->title != NULL; f++)
        strbuf_printf(b, "%-26s %12s %12s\n", f->title, f->theirs, figure(f->metric, r, text));
}

static void add_verdicts(struct strbuf *b, const struct options *o, const struct result *r)
{
    char text[METRIC_TEXT_BYTES];
    if (o->threshold_count > 0)
        strbuf_puts(b, "\n");
    for (uint32_t i = 0; i < o->threshold_count; i++) {
        const struct threshold *t = &o->thresholds[i];
        const double value = metric_value(t->metric, r);
        strbuf_printf(b, "%-13sfail if %s: %s\n", threshold_fails(t, value) ? "FAILED" : "good", t->text,
                      metric_text(t->metric, value, text));
    }
}

/* What there is to tell of messages, by what was done. */
static const struct {
    const char *title, *line, *more;
} message_lines[MODE_COUNT] = {
    [MODE_ECHO] = {"messages", "{sent} sent ({sent_per_second}), {round_trips_per_second} answered, {success} of all",
                   "{unsent} were due and could not be sent"},
    [MODE_BROADCAST] = {"broadcasts", "{sent} sent ({sent_per_second}), {deliveries} heard ({deliveries_per_second})",
                        "{lost} lost, {twice} heard twice, {unsent} not sent; longest silence {longest_gap_ms}"},
    [MODE_HOLD] = {"held", "{alive} alive at the end", NULL},
    [MODE_CHURN] = {"cycles", "{cycles} opened, used and closed ({cycles_per_second})", NULL},
    [MODE_LISTEN] = {"listened", "{heard} heard, {missing} missing, {again} again",
                     "{refused} channels failed, {awaiting} awaiting"},
};

void report_text(struct strbuf *b, const struct options *o, const struct result *r)
{
    char seconds[METRIC_TEXT_BYTES], count[METRIC_TEXT_BYTES];
    strbuf_printf(b, "%s, %s connections%s%s\n\n", o->url_text, metric_count_text(o->connections, count),
                  r->measured_ns > 0 ? ", measured for " : "",
                  r->measured_ns > 0 ? figure("measured_seconds", r, seconds) : "");
    if (r->is_interrupted)
        strbuf_puts(b, "interrupted: this is what was found so far\n");
    add_line(b, r, "connections",
             "{opened} opened ({connect_success} of all attempts) in {open_seconds}, {dropped} lost, {reopened} opened "
             "again");
    add_quantiles(b, "connect", &r->connects);
    if (message_lines[o->mode].line != NULL)
        add_line(b, r, message_lines[o->mode].title, message_lines[o->mode].line);
    if (message_lines[o->mode].more != NULL && (o->mode != MODE_ECHO || r->unsent > 0))
        add_line(b, r, "", message_lines[o->mode].more);
    add_quantiles(b, "latency", &r->latency);
    if (o->queries != NULL) {
        add_line(b, r, "queries", "{queries} asked, {queries_failed} failed, {cache_hits} answered by a cache");
        add_quantiles(b, "", &r->query_latency);
    }
    add_line(b, r, "traffic", "{bytes_sent} sent, {bytes_received} received");
    add_errors(b, r);
    if (o->shows_percentiles && r->latency.count > 0)
        add_distribution(b, &r->latency);
    if (o->scenario != NULL)
        add_side_by_side(b, o->scenario, r);
    add_verdicts(b, o, r);
}

unsigned report_failure_count(const struct options *o, const struct result *r)
{
    unsigned failures = 0;
    for (uint32_t i = 0; i < o->threshold_count; i++)
        failures += threshold_fails(&o->thresholds[i], metric_value(o->thresholds[i].metric, r));
    return failures;
}
