/* "p99_ms > 250": a figure of the report (metrics.h), a comparison, a number. What it says is what must not be. */
#ifndef GATEWAY_BENCH_THRESHOLD_H
#define GATEWAY_BENCH_THRESHOLD_H

#include <stdbool.h>

#include "gateway/bench/metrics.h"

#define THRESHOLD_ERROR_BYTES 256u

enum threshold_compare {
    THRESHOLD_OVER = 0,
    THRESHOLD_AT_LEAST,
    THRESHOLD_UNDER,
    THRESHOLD_AT_MOST,
    THRESHOLD_EQUAL,
    THRESHOLD_OTHER
};

struct threshold {
    const struct metric *metric;
    enum threshold_compare compare;
    double limit;
    const char *text; /* as written; borrowed */
};

/* A ratio may be written as percent: "connect_success < 99 %". False with a sentence in `error`
 * (THRESHOLD_ERROR_BYTES). */
bool threshold_parse(struct threshold *t, const char *text, char *error);
/* Whether it is as it must not be. What was not measured (NAN) fails: a run without a single message is no good one. */
bool threshold_fails(const struct threshold *t, double value);

#endif
