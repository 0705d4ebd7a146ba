/* A figure is a row: its name, what it counts, and how it follows from the result. Members of the result are reached by
 * their offset, so that a plain count needs no function of its own. */
#include "gateway/bench/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

static uint64_t member(const struct result *r, uint32_t offset)
{
    uint64_t n;
    memcpy(&n, (const char *)r + offset, sizeof n);
    return n;
}

static double ratio(double part, double whole)
{
    return whole > 0 ? part / whole : NAN;
}

static double count(const struct result *r, uint32_t offset)
{
    return (double)member(r, offset);
}

/* Of a duration in nanoseconds, which is not negative. */
static double seconds(const struct result *r, uint32_t offset)
{
    return (double)member(r, offset) / 1e9;
}

static double milliseconds(const struct result *r, uint32_t offset)
{
    return (double)member(r, offset) / 1e6;
}

static double per_measured_second(const struct result *r, uint32_t offset)
{
    return ratio((double)member(r, offset) * 1e9, (double)r->measured_ns);
}

static double opened_per_second(const struct result *r, uint32_t which)
{
    (void)which;
    return ratio((double)r->opened * 1e9, (double)r->open_ns);
}

static double received_per_second(const struct result *r, uint32_t which)
{
    (void)which;
    return ratio((double)(r->round_trips + r->deliveries) * 1e9, (double)r->measured_ns);
}

static double lost(const struct result *r, uint32_t which)
{
    (void)which;
    return r->expected > r->deliveries ? (double)(r->expected - r->deliveries) : 0;
}

static double connect_success(const struct result *r, uint32_t which)
{
    (void)which;
    return ratio((double)r->opened, (double)(r->opened + r->failed));
}

/* Broadcasts are done when they are heard, other messages when they are answered. */
static double success(const struct result *r, uint32_t which)
{
    (void)which;
    return r->expected > 0 ? ratio((double)r->deliveries, (double)r->expected)
                           : ratio((double)r->answered, (double)r->sent);
}

static double errors(const struct result *r, uint32_t which)
{
    (void)which;
    return (double)result_error_count(r);
}

static double errors_of(const struct result *r, uint32_t kind)
{
    return (double)r->errors[kind];
}

static double error_rate(const struct result *r, uint32_t which)
{
    (void)which;
    return ratio((double)result_error_count(r), (double)(r->opened + r->failed + r->said + r->queries));
}

static double cache_hits(const struct result *r, uint32_t which)
{
    (void)which;
    return ratio((double)r->cache_hits, (double)r->cache_answers);
}

/* `which`: hundredths of a percent. */
static double quantile(const struct histogram *h, uint32_t which)
{
    return h->count == 0 ? NAN : (double)histogram_quantile_ns(h, (double)which / 10000) / 1e6;
}

static double mean(const struct result *r, uint32_t which)
{
    (void)which;
    return ratio((double)r->latency.sum_ns / 1e6, (double)r->latency.count);
}

static double latency(const struct result *r, uint32_t which)
{
    return quantile(&r->latency, which);
}

static double connects(const struct result *r, uint32_t which)
{
    return quantile(&r->connects, which);
}

static double query_latency(const struct result *r, uint32_t which)
{
    return quantile(&r->query_latency, which);
}

#define OF(m) offsetof(struct result, m)
/* clang-format off */
static const struct metric metrics[] = {
    {"opened",                 METRIC_COUNT,      count, OF(opened),                      "connections opened, handshake and joins included"},
    {"failed",                 METRIC_COUNT,      count, OF(failed),                      "connections that could not be opened"},
    {"dropped",                METRIC_COUNT,      count, OF(dropped),                     "open connections that were lost"},
    {"reopened",               METRIC_COUNT,      count, OF(reopened),                    "lost connections that were opened again (--reconnect)"},
    {"resumed",                METRIC_COUNT,      count, OF(resumed),                     "connections with a TLS session from before (--resume)"},
    {"connect_success",        METRIC_RATIO,      connect_success, 0,                     "opened, of all attempts"},
    {"open_seconds",           METRIC_SECONDS,    seconds, OF(open_ns),                   "from the first connect until all were open"},
    {"opened_per_second",      METRIC_PER_SECOND, opened_per_second, 0,                   "connections opened"},
    {"connect_p50_ms",         METRIC_MS,         connects, 5000,                         "from connect to open: median"},
    {"connect_p95_ms",         METRIC_MS,         connects, 9500,                         "95 % of connects were faster"},
    {"connect_p99_ms",         METRIC_MS,         connects, 9900,                         "99 % of connects were faster"},
    {"connect_max_ms",         METRIC_MS,         connects, 10000,                        "the slowest connect"},
    {"measured_seconds",       METRIC_SECONDS,    seconds, OF(measured_ns),               "length of the measured part"},
    {"sent",                   METRIC_COUNT,      count, OF(sent),                        "messages or requests sent"},
    {"sent_per_second",        METRIC_PER_SECOND, per_measured_second, OF(sent),          "messages or requests sent"},
    {"unsent",                 METRIC_COUNT,      count, OF(unsent),                      "were due, and no connection could send them"},
    {"answered",               METRIC_COUNT,      count, OF(answered),                    "of those sent, answered in good order"},
    {"round_trips",            METRIC_COUNT,      count, OF(round_trips),                 "answers that came within the measured part"},
    {"round_trips_per_second", METRIC_PER_SECOND, per_measured_second, OF(round_trips),   "answers"},
    {"expected",               METRIC_COUNT,      count, OF(expected),                    "broadcasts: deliveries there should be"},
    {"deliveries",             METRIC_COUNT,      count, OF(deliveries),                  "broadcasts: deliveries there were"},
    {"deliveries_per_second",  METRIC_PER_SECOND, per_measured_second, OF(deliveries),    "broadcasts heard"},
    {"received_per_second",    METRIC_PER_SECOND, received_per_second, 0,                 "answers and deliveries"},
    {"lost",                   METRIC_COUNT,      lost, 0,                                "broadcasts: deliveries that never came"},
    {"twice",                  METRIC_COUNT,      count, OF(twice),                       "broadcasts: deliveries that came again"},
    {"longest_gap_ms",         METRIC_MS,         milliseconds, OF(longest_gap_ns),       "longest time an open connection heard nothing"},
    {"success",                METRIC_RATIO,      success, 0,                             "answered of sent; broadcasts: delivered of expected"},
    {"errors",                 METRIC_COUNT,      errors, 0,                              "errors of all kinds"},
    {"error_rate",             METRIC_RATIO,      error_rate, 0,                          "errors, of connects, messages and queries"},
#define ERROR_ROW(name, text) {"errors_" text,    METRIC_COUNT,      errors_of, ERROR_##name,  "errors of this kind"},
    ERROR_KINDS(ERROR_ROW)
#undef ERROR_ROW
    {"bytes_sent",             METRIC_BYTES,      count, OF(bytes_sent),                  "in the whole run, inside of TLS"},
    {"bytes_received",         METRIC_BYTES,      count, OF(bytes_received),              "in the whole run, inside of TLS"},
    {"mean_ms",                METRIC_MS,         mean, 0,                                "latency: mean"},
    {"p50_ms",                 METRIC_MS,         latency, 5000,                          "latency: median"},
    {"p75_ms",                 METRIC_MS,         latency, 7500,                          "latency"},
    {"p90_ms",                 METRIC_MS,         latency, 9000,                          "latency"},
    {"p95_ms",                 METRIC_MS,         latency, 9500,                          "latency"},
    {"p99_ms",                 METRIC_MS,         latency, 9900,                          "latency"},
    {"p999_ms",                METRIC_MS,         latency, 9990,                          "latency: 99.9 %"},
    {"max_ms",                 METRIC_MS,         latency, 10000,                         "latency: the longest"},
    {"queries",                METRIC_COUNT,      count, OF(queries),                     "queries beside it (--queries) that were asked"},
    {"queries_failed",         METRIC_COUNT,      count, OF(queries_failed),              "of them, not answered in good order"},
    {"query_p50_ms",           METRIC_MS,         query_latency, 5000,                    "latency of queries: median"},
    {"query_p95_ms",           METRIC_MS,         query_latency, 9500,                    "latency of queries"},
    {"query_p99_ms",           METRIC_MS,         query_latency, 9900,                    "latency of queries"},
    {"cache_hits",             METRIC_RATIO,      cache_hits, 0,                          "hits, of the answers with Cache-Status"},
    {"echoes",                 METRIC_COUNT,      count, OF(echoes),                      "answers and deliveries in the whole run"},
    {"alive",                  METRIC_COUNT,      count, OF(alive),                       "--mode hold: still answering at the end"},
    {"join_bytes",             METRIC_BYTES,      count, OF(join_bytes),                  "of one channel's join, as sent"},
    {"cycles",                 METRIC_COUNT,      count, OF(cycles),                      "--mode churn: opened, used and closed"},
    {"cycles_per_second",      METRIC_PER_SECOND, per_measured_second, OF(cycles),        "--mode churn: opened, used and closed"},
    {"heard",                  METRIC_COUNT,      count, OF(heard),                       "--mode listen: numbered broadcasts"},
    {"missing",                METRIC_COUNT,      count, OF(missing),                     "--mode listen: numbers left out"},
    {"again",                  METRIC_COUNT,      count, OF(again),                       "--mode listen: numbers that came again, or too late"},
    {"refused",                METRIC_COUNT,      count, OF(refused),                     "--mode listen: channels that failed"},
    {"awaiting",               METRIC_COUNT,      count, OF(awaiting),                    "--mode listen: nothing heard since the mark"},
};
/* clang-format on */

size_t metric_count(void)
{
    return sizeof metrics / sizeof metrics[0];
}

const struct metric *metric_at(size_t i)
{
    ASSERT(i < metric_count());
    return &metrics[i];
}

const struct metric *metric_find(const char *key)
{
    for (size_t i = 0; i < metric_count(); i++) {
        if (strcmp(metrics[i].key, key) == 0)
            return &metrics[i];
    }
    return NULL;
}

double metric_value(const struct metric *m, const struct result *r)
{
    return m->value(r, m->which);
}

const char *metric_count_text(uint64_t n, char out[METRIC_TEXT_BYTES])
{
    char digits[24];
    const int len = snprintf(digits, sizeof digits, "%" PRIu64, n);
    char *to = out;
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits[i];
    }
    *to = '\0';
    return out;
}

/* Three digits say enough to a reader, and fewer hide something. */
static int decimals(double value)
{
    return value < 0.9995 ? 3 : value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
}

const char *metric_text(const struct metric *m, double value, char out[METRIC_TEXT_BYTES])
{
    char number[METRIC_TEXT_BYTES];
    if (!isfinite(value)) {
        (void)snprintf(out, METRIC_TEXT_BYTES, "-");
        return out;
    }
    switch (m->unit) {
    case METRIC_COUNT:
        return metric_count_text((uint64_t)value, out);
    case METRIC_PER_SECOND:
        if (value < 99.95)
            (void)snprintf(out, METRIC_TEXT_BYTES, "%.1f/s", value);
        else
            (void)snprintf(out, METRIC_TEXT_BYTES, "%.40s/s", metric_count_text((uint64_t)llround(value), number));
        break;
    case METRIC_MS:
        (void)snprintf(out, METRIC_TEXT_BYTES, "%.*f ms", decimals(value), value);
        break;
    case METRIC_SECONDS:
        (void)snprintf(out, METRIC_TEXT_BYTES, "%.1f s", value);
        break;
    case METRIC_BYTES:
        (void)snprintf(out, METRIC_TEXT_BYTES, value < 1e6 ? "%.1f kB" : "%.1f MB", value / (value < 1e6 ? 1e3 : 1e6));
        break;
    case METRIC_RATIO:
        (void)snprintf(out, METRIC_TEXT_BYTES, "%.2f %%", value * 100);
        break;
    }
    return out;
}
