/* The result line. One table of keys serves both forms. */
#include "gateway/bench/result.h"

#include <inttypes.h>
#include <stdio.h>

void result_error(struct result *r, const char *what, const char *detail)
{
    if (r->first_error[0] == '\0')
        (void)snprintf(r->first_error, sizeof r->first_error, "%s: %s", what, detail);
}

static double per_second(uint64_t count, int64_t ns)
{
    return ns <= 0 ? 0 : (double)count * 1e9 / (double)ns;
}

void result_print(const struct result *r, bool is_json)
{
    const struct {
        const char *key;
        double value;
        int decimals;
    } rows[] = {
        {"opened", (double)r->opened, 0},
        {"resumed", (double)r->resumed, 0},
        {"failed", (double)r->failed, 0},
        {"dropped", (double)r->dropped, 0},
        {"alive", (double)r->alive, 0},
        {"open_seconds", (double)r->open_ns / 1e9, 3},
        {"opened_per_second", per_second(r->opened, r->open_ns), 0},
        {"measured_seconds", (double)r->measured_ns / 1e9, 3},
        {"round_trips", (double)r->round_trips, 0},
        {"round_trips_per_second", per_second(r->round_trips, r->measured_ns), 0},
        {"echoes", (double)r->echoes, 0},
        {"cycles", (double)r->cycles, 0},
        {"cycles_per_second", per_second(r->cycles, r->measured_ns), 0},
        {"join_bytes", (double)r->join_bytes, 0},
        {"heard", (double)r->heard, 0},
        {"missing", (double)r->missing, 0},
        {"again", (double)r->again, 0},
        {"refused", (double)r->refused, 0},
        {"awaiting", (double)r->awaiting, 0},
        {"latency_p50_us", (double)histogram_quantile_ns(&r->latency, 0.50) / 1e3, 1},
        {"latency_p99_us", (double)histogram_quantile_ns(&r->latency, 0.99) / 1e3, 1},
        {"latency_max_us", (double)r->latency.max_ns / 1e3, 1},
        {"handshake_p50_us", (double)histogram_quantile_ns(&r->handshake, 0.50) / 1e3, 1},
        {"handshake_p99_us", (double)histogram_quantile_ns(&r->handshake, 0.99) / 1e3, 1},
    };
    const size_t count = sizeof rows / sizeof rows[0];
    for (size_t i = 0; i < count; i++)
        printf(is_json ? "%s\"%s\":%.*f" : "%s%s=%.*f", i > 0 ? (is_json ? "," : " ") : (is_json ? "{" : ""),
               rows[i].key, rows[i].decimals, rows[i].value);
    printf(is_json ? ",\"first_error\":\"%s\"}\n" : " first_error=\"%s\"\n", r->first_error);
    (void)fflush(stdout);
}
