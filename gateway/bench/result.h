/* What a run found, and how it is printed. */
#ifndef GATEWAY_BENCH_RESULT_H
#define GATEWAY_BENCH_RESULT_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/bench/histogram.h"

struct result {
    uint64_t opened;      /* handshakes completed */
    uint64_t resumed;     /* of them: with a TLS session from before */
    uint64_t failed;      /* connections or handshakes that did not succeed */
    uint64_t dropped;     /* connections lost, or found silent or talking nonsense, after they were open */
    uint64_t alive;       /* hold: still there and echoing at the end */
    uint64_t join_bytes;  /* Phoenix: of the first join's frame */
    uint64_t cycles;      /* churn: connections opened, used and closed in good order */
    uint64_t round_trips; /* in the measured part */
    uint64_t echoes;      /* in the whole run */
    /* listening: broadcasts */
    uint64_t heard;      /* of the numbered ones */
    uint64_t missing;    /* numbers that were left out */
    uint64_t again;      /* numbers that came a second time, or too late */
    uint64_t refused;    /* channels that were closed, or said to have failed */
    uint64_t awaiting;   /* links that have heard nothing since the mark */
    int64_t open_ns;     /* from the first connect until all were open */
    int64_t measured_ns; /* length of the measured part */
    char first_error[160];
    struct histogram latency; /* listening: from the mark to the first broadcast made after it */
    struct histogram handshake;
};

/* Keeps the first one. */
void result_error(struct result *r, const char *what, const char *detail);
/* One line on stdout: key=value pairs, or a JSON object. */
void result_print(const struct result *r, bool is_json);

#endif
