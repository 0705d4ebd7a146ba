/* What a run found, for people and for programs. */
#ifndef GATEWAY_BENCH_REPORT_H
#define GATEWAY_BENCH_REPORT_H

#include <stdbool.h>
#include <stdio.h>

#include "base/buf.h"
#include "gateway/bench/options.h"
#include "gateway/bench/result.h"

#define REPORT_BYTES (256u << 10)

/* One JSON object and a line end: every figure of metrics.h by its key (null: not measured), the settings, errors by
 * kind, the thresholds, and with a scenario theirs. */
void report_json(struct strbuf *b, const struct options *o, const struct result *r);
/* A small table, and what has to be said besides. */
void report_text(struct strbuf *b, const struct options *o, const struct result *r);
/* How many of the thresholds have failed. */
unsigned report_failure_count(const struct options *o, const struct result *r);

#endif
