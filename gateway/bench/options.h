/* The command line of tidegate-bench. Every number has a bound, so that no typing error starts an endless or a crushing
 * run; what would break the protocol it is put into is refused here. */
#ifndef GATEWAY_BENCH_OPTIONS_H
#define GATEWAY_BENCH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/sock.h"
#include "gateway/bench/scenarios.h"
#include "gateway/bench/threshold.h"
#include "gateway/bench/url.h"

enum mode {
    MODE_SERVE = 0, /* be the backend: echo */
    MODE_ECHO,      /* all connections open, each with one message in flight */
    MODE_BROADCAST, /* Phoenix: what one says the others of its group hear */
    MODE_HOLD,      /* open, hold idle, then one message each to see who is still there */
    MODE_CHURN,     /* open, one message, close, and again */
    MODE_LISTEN,    /* Phoenix: open and joined, count what is broadcast, and tell how long it was not heard */
    MODE_COUNT
};

#define OPTIONS_ERROR_BYTES    512u
#define OPTIONS_HEADERS_MAX    16u
#define OPTIONS_THRESHOLDS_MAX 32u
#define OPTIONS_RATE_MAX       1000000u /* messages per second over all connections */
/* Channels over all connections: each has its place in memory. */
#define OPTIONS_SUBSCRIPTIONS_MAX 2000000u

/* Texts are borrowed from the command line. */
struct options {
    enum mode mode;
    const struct scenario *scenario; /* NULL: none */
    struct addr serve;               /* to listen on */
    const char *url_text;            /* NULL: none */
    struct url url;

    /* connections */
    uint32_t connections;
    uint32_t ramp_per_second; /* opened per second; 0: as fast as they are accepted */
    int64_t ramp_ms;          /* or the time over which they open; 0: none */
    uint32_t opening_count;   /* handshakes under way at a time */
    uint32_t source_count;    /* client addresses 127.0.0.1, 127.0.0.2, ... taken in turn; 0: the kernel's choice */
    int64_t timeout_ms;       /* for a handshake, an answer, a close */
    bool reconnects;
    bool resumes; /* TLS sessions */
    bool is_insecure;
    const char *ca_file; /* NULL: the system's */
    const char *headers[OPTIONS_HEADERS_MAX];
    uint32_t header_count;
    const char *token;

    /* messages */
    double rate;           /* per second over all connections; 0: each as soon as the last is answered */
    double per_connection; /* per second on each; 0: `rate` says it */
    uint32_t size_bytes;   /* payload of a message */
    uint32_t messages;     /* per connection; 0: until the time is over */
    int64_t time_ms;       /* measured part of echo and churn; longest hold */
    int64_t warm_up_ms;    /* before the measured part */

    /* Phoenix */
    uint32_t channel_count; /* joined on each connection; 0: messages are bare echoes */
    uint32_t member_count;  /* connections that share topics; 0: all */
    const char *topic;      /* what all topics begin with */
    const char *event;
    const char *join;  /* JSON to join with; NULL: as realtime-js does */
    bool hears_itself; /* broadcasts come back to who sent them */
    bool is_binary;    /* user broadcasts (kind 3) instead of text messages */
    int64_t heartbeat_ms;

    /* queries beside it, over HTTP */
    const char *queries; /* path; NULL: none */
    double query_rate;
    uint32_t query_connections;

    /* what is told */
    bool is_json;
    bool shows_progress;
    bool shows_percentiles;
    const char *report_file; /* NULL: none */
    struct threshold thresholds[OPTIONS_THRESHOLDS_MAX];
    uint32_t threshold_count;

    /* --header and --param before the URL is complete */
    const char *params[OPTIONS_HEADERS_MAX];
    uint32_t param_count;
};

enum options_verdict {
    OPTIONS_RUN = 0,
    OPTIONS_HELP,
    OPTIONS_SCENARIOS, /* to be listed */
    OPTIONS_FIGURES,
    OPTIONS_BAD, /* `error` says why */
};

/* A scenario's options come first, whatever the order; others override them. `error` has OPTIONS_ERROR_BYTES. */
enum options_verdict options_parse(struct options *o, int argc, const char *const *argv, char *error);
void options_print_usage(FILE *to);
const char *mode_text(enum mode m);

#endif
