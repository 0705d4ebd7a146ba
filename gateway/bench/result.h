/* What a run counts while it runs. What follows from it - rates, ratios, percentiles - is in metrics.h. */
#ifndef GATEWAY_BENCH_RESULT_H
#define GATEWAY_BENCH_RESULT_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/bench/histogram.h"

/* What can go wrong with a connection or a message: constant, name in reports and thresholds. */
/* clang-format off */
#define ERROR_KINDS(X)            \
    X(CONNECT,   "connect")       \
    X(TLS,       "tls")           \
    X(UPGRADE,   "upgrade")       \
    X(JOIN,      "join")          \
    X(TIMEOUT,   "timeout")       \
    X(CLOSED,    "closed")        \
    X(BROKEN,    "broken")        \
    X(NONSENSE,  "nonsense")      \
    X(ANSWER,    "answer")        \
    X(CHANNEL,   "channel")       \
    X(HEARTBEAT, "heartbeat")
/* clang-format on */
#define ERROR_CONSTANT(name, text) ERROR_##name,
enum error_kind { ERROR_KINDS(ERROR_CONSTANT) ERROR_KIND_COUNT };
#undef ERROR_CONSTANT

#define RESULT_ERROR_BYTES 160u

struct result {
    /* connections */
    uint64_t opened;     /* handshakes completed, joins included */
    uint64_t resumed;    /* of them: with a TLS session from before */
    uint64_t reopened;   /* of them: after the same connection had been lost */
    uint64_t failed;     /* connections or handshakes that did not succeed */
    uint64_t dropped;    /* connections lost, or found silent or talking nonsense, after they were open */
    uint64_t alive;      /* hold: still there and echoing at the end */
    uint64_t join_bytes; /* Phoenix: of the first join's frame */
    uint64_t cycles;     /* churn: connections opened, used and closed in good order */
    int64_t open_ns;     /* from the first connect until all were open */
    /* messages */
    uint64_t said;             /* in the whole run */
    uint64_t sent;             /* of them: in the measured part */
    uint64_t answered;         /* of these, in good order; the answer may come after the measured part */
    uint64_t unsent;           /* were due in the measured part, and there was no connection that could send them */
    uint64_t echoes;           /* answers and broadcasts heard, in the whole run */
    uint64_t round_trips;      /* answers that came in the measured part */
    int64_t measured_ns;       /* length of the measured part */
    struct histogram latency;  /* of the measured part; listening: from the mark to the first broadcast made after it */
    struct histogram connects; /* from the connect to open */
    struct histogram second;   /* latencies since the last progress line */
    /* broadcasts of the measured part */
    uint64_t expected;      /* times that somebody was to hear one */
    uint64_t deliveries;    /* times that somebody did */
    uint64_t twice;         /* times that somebody heard one again */
    int64_t longest_gap_ns; /* for which an open connection heard nothing */
    /* listening to broadcasts that others number */
    uint64_t heard, missing, again, refused, awaiting;
    /* queries beside it */
    uint64_t queries, queries_failed;
    uint64_t cache_hits, cache_answers; /* answers that say where they come from (Cache-Status, RFC 9211) */
    struct histogram query_latency;

    uint64_t bytes_sent, bytes_received; /* as the sockets took and gave them; inside of TLS */
    uint64_t errors[ERROR_KIND_COUNT];
    char first_error[RESULT_ERROR_BYTES];
    bool is_interrupted;
};

const char *error_kind_text(enum error_kind kind);
/* Counts it, and keeps the words of the first one. */
void result_error(struct result *r, enum error_kind kind, const char *detail);
uint64_t result_error_count(const struct result *r);

#endif
