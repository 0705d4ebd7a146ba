/* Every figure of a report, as one table: thresholds name them, the JSON report has them all, scenarios compare them.
 */
#ifndef GATEWAY_BENCH_METRICS_H
#define GATEWAY_BENCH_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "gateway/bench/result.h"

enum metric_unit {
    METRIC_COUNT = 0,
    METRIC_PER_SECOND,
    METRIC_MS,
    METRIC_SECONDS,
    METRIC_BYTES,
    METRIC_RATIO, /* 0..1, shown as percent */
};

struct metric {
    const char *key; /* "p99_ms" */
    enum metric_unit unit;
    double (*value)(const struct result *r, uint32_t which); /* NAN: nothing was measured that it could say */
    uint32_t which;
    const char *help;
};

size_t metric_count(void);
const struct metric *metric_at(size_t i);
/* NULL: there is none of that name. */
const struct metric *metric_find(const char *key);
double metric_value(const struct metric *m, const struct result *r);

#define METRIC_TEXT_BYTES 48u
/* For people: "1,247/s", "12.3 ms", "99.20 %", "47.3 MB", "-" for what was not measured. Returns `out`. */
const char *metric_text(const struct metric *m, double value, char out[METRIC_TEXT_BYTES]);
/* A count with commas between thousands. */
const char *metric_count_text(uint64_t n, char out[METRIC_TEXT_BYTES]);

#endif
