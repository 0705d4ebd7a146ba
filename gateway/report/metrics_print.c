/* The one place that knows what a line of the format looks like. */
#include "gateway/report/metrics_print.h"

#include <inttypes.h>
#include <string.h>

/* Label values escape backslash, double quote and line feed; nothing else is special. */
static void add_escaped(struct strbuf *out, const char *value)
{
    while (*value != '\0') {
        size_t plain = strcspn(value, "\\\"\n");

        strbuf_add(out, value, plain);
        value += plain;
        if (*value == '\0')
            break;
        strbuf_puts(out, *value == '\n' ? "\\n" : *value == '"' ? "\\\"" : "\\\\");
        value++;
    }
}

void metric_head(const struct printer *p, const char *type, const char *help)
{
    strbuf_printf(p->out, "# HELP tidegate_%s %s\n# TYPE tidegate_%s %s\n", p->family, help, p->family, type);
}

/* The value and the end of the line are to follow. */
static void begin(const struct printer *p, const struct label *labels)
{
    strbuf_printf(p->out, "tidegate_%s", p->family);
    for (const struct label *l = labels; l != NULL && l->name != NULL; l++) {
        strbuf_printf(p->out, "%s%s=\"", l == labels ? "{" : ",", l->name);
        add_escaped(p->out, l->value);
        strbuf_puts(p->out, "\"");
    }
    strbuf_puts(p->out, labels != NULL ? "} " : " ");
}

void metric_uint(const struct printer *p, const struct label *labels, uint64_t value)
{
    begin(p, labels);
    strbuf_printf(p->out, "%" PRIu64 "\n", value);
}

void metric_seconds(const struct printer *p, const struct label *labels, int64_t ms)
{
    begin(p, labels);
    strbuf_printf(p->out, "%" PRId64 ".%03d\n", ms / 1000, (int)(ms % 1000));
}

/* A cell of the tables: gauges may be summed over processes to something negative for a moment. */
void metric_cell(const struct printer *p, const struct label *labels, enum stat_kind kind, uint64_t value)
{
    begin(p, labels);
    if (kind == STAT_GAUGE)
        strbuf_printf(p->out, "%" PRId64 "\n", (int64_t)value);
    else if (kind == STAT_MICROSECONDS)
        strbuf_printf(p->out, "%" PRIu64 ".%06u\n", value / 1000000, (unsigned)(value % 1000000));
    else
        strbuf_printf(p->out, "%" PRIu64 "\n", value);
}

void metric_probe(const struct printer *p, const struct label *labels, int slot)
{
    struct verdict_detail d;

    if (slot < 0 || !verdict_read_detail(p->v->verdicts, slot, &d) || d.latency_us == 0)
        return;
    begin(p, labels);
    strbuf_printf(p->out, "%" PRIu32 ".%06" PRIu32 "\n", d.latency_us / 1000000u, d.latency_us % 1000000u);
}

void metric_families(struct printer *p, const struct family *families, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        p->family = families[i].name;
        metric_head(p, families[i].type, families[i].help);
        families[i].print(p);
    }
}
