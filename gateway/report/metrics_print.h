/* Lines of the Prometheus text format, for the files that know what stands in them: metrics.c, metrics_dns.c for
 * targets, names and the quorum, and metrics_sessions.c. */
#ifndef GATEWAY_REPORT_METRICS_PRINT_H
#define GATEWAY_REPORT_METRICS_PRINT_H

#include "gateway/report/assess.h"

struct printer {
    const struct report_view *v;
    const struct assessment *a;
    struct strbuf *out;
    const char *family; /* whose samples are being printed, without "tidegate_" */
};

struct family {
    const char *name;
    const char *type;
    const char *help;
    void (*print)(const struct printer *p); /* its samples */
};

struct label {
    const char *name;
    const char *value;
};
#define LABELS(...) ((const struct label[]){__VA_ARGS__, {NULL, NULL}})

/* All samples of each family, in one block under its head. */
void metric_families(struct printer *p, const struct family *families, size_t count);
void metric_head(const struct printer *p, const char *type, const char *help);

/* One sample; `labels` ends with a row of NULLs, NULL: none. */
void metric_uint(const struct printer *p, const struct label *labels, uint64_t value);
void metric_seconds(const struct printer *p, const struct label *labels, int64_t ms);
void metric_cell(const struct printer *p, const struct label *labels, enum stat_kind kind, uint64_t value);
/* How long the last successful probe of a server took; nothing when there was none. */
void metric_probe(const struct printer *p, const struct label *labels, int slot);

/* In metrics_dns.c: the families of what is configured of targets, DNS and quorum. */
void metrics_dns(struct printer *p);
/* In metrics_sessions.c: those of routes whose WebSockets outlive their servers. */
void metrics_sessions(struct printer *p);

#endif
