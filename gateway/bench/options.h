/* The command line of tidegate-bench. Every number has a bound, so that no typing error starts an endless or a crushing
 * run. */
#ifndef GATEWAY_BENCH_OPTIONS_H
#define GATEWAY_BENCH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/sock.h"

enum mode {
    MODE_SERVE = 0, /* be the backend: echo */
    MODE_ECHO,      /* all connections open, each with one message in flight */
    MODE_HOLD,      /* open, hold idle, then one message each to see who is still there */
    MODE_CHURN,     /* open, one message, close, and again */
    MODE_LISTEN,    /* Phoenix: open and joined, count what is broadcast, and tell how long it was not heard */
    MODE_COUNT
};

struct options {
    enum mode mode;
    bool speaks_http; /* requests and answers over kept connections instead of messages and echoes */
    bool is_binary;   /* Phoenix: user broadcasts instead of text messages */
    bool is_tls;
    bool resumes;          /* TLS sessions */
    struct addr address;   /* to listen on, or to connect to */
    const char *authority; /* as written, for the Host field */
    const char *path;
    uint32_t connections;
    uint32_t channel_count; /* Phoenix: joined on each connection; 0: messages are bare echoes */
    uint32_t messages;      /* per connection; 0: until the time is over */
    int64_t time_ms;        /* measured part of echo and churn; longest hold */
    int64_t warm_up_ms;     /* echo: before the measured part */
    uint32_t size_bytes;    /* payload of a message */
    uint32_t pace;          /* messages per second over all connections; 0: each as soon as the last is answered */
    uint32_t rate;          /* connections opened per second; 0: as fast as they are accepted */
    uint32_t opening_count; /* handshakes under way at a time */
    uint32_t source_count;  /* client addresses 127.0.0.1, 127.0.0.2, ... taken in turn; 0: the kernel's choice */
    bool is_json;
};

/* False with usage on stderr when the line is not understood. */
bool options_parse(struct options *o, int argc, char **argv);

#endif
