/* What the gateway says about itself, as text: health, readiness, status and metrics.
 *
 * Every answer is a pure function of the shared tables, the configuration and one reading of the clock, so that the
 * admin process, the workers (public health path) and the supervisor (tidegatectl) tell the same truth. A view
 * borrows everything. The text goes to the end of `out`; the bound is the strbuf's own, and a caller looks at
 * `out->failed` once before sending (REPORT_BYTES_MAX is enough for full tables). */
#ifndef GATEWAY_REPORT_REPORT_H
#define GATEWAY_REPORT_REPORT_H

#include <stdint.h>

#include "base/buf.h"
#include "base/roster.h"
#include "base/slots.h"
#include "base/stats.h"
#include "conf/conf.h"
#include "health/steering.h"
#include "health/verdict.h"

#define REPORT_BYTES_MAX (4u << 20)

struct report_view {
    const struct conf *conf;
    const struct slots *slots;
    const struct roster *roster;
    const struct stats *stats;
    const struct verdict_table *verdicts;
    const struct steering_table *steering; /* NULL: not mapped here, nothing is said about DNS and quorum */
    int64_t wall_ms;                       /* now */
    const uint64_t *rss_bytes;             /* ROSTER_ROWS entries, 0: unknown; NULL: none known */
};

/* The health of the gateway as its users meet it. Adds
 *   {"status":"ok|degraded|down","node":..,"reasons":[..],"routes":[..],"pools":[..]}
 * and returns the HTTP status: 503 when a route cannot be served, else 200.
 *
 * A route is served while its pool has a server that takes new clients: one that is not down and not draining (unknown
 * is not down), or, with fail_open, any that is not draining. `degraded` is everything that works but needs a human:
 * the best tier in use is not the best one configured, a server is down, a process is missing, the last reload was
 * refused, the checker is silent, a certificate is about to end or has ended, a target of DNS is down, a name is
 * answered by its last resort, a quorum is configured and nobody else is heard.
 *
 * What DNS and the quorum say is never a reason for `down`: others ask this answer to learn whether this gateway can
 * serve, and one that turned itself off because its peers are away would take them along. */
int report_health_json(const struct report_view *v, struct strbuf *out);

/* Whether traffic may be sent here: all processes ready under the current configuration. Adds
 * {"ready":bool,"reasons":[..]}; returns 200 or 503. */
int report_ready_json(const struct report_view *v, struct strbuf *out);

/* Everything there is to show, as one JSON object: health, node, times, configuration, processes, listeners,
 * certificates, pools with their servers, routes, closes, answers; and, where they are configured, targets, dns and
 * quorum. Times are RFC 3339 in UTC, ages and uptimes `_ms`. */
void report_status_json(const struct report_view *v, struct strbuf *out);

/* A few lines for people: the status, and every target, steered name and peer there is. */
void report_glance_text(const struct report_view *v, struct strbuf *out);

/* Metrics in the Prometheus text format, version 0.0.4; REPORT_METRICS_TYPE is its Content-Type. */
#define REPORT_METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"
void report_metrics_text(const struct report_view *v, struct strbuf *out);

#endif
