/* A line each second about the second that is over. */
#ifndef GATEWAY_BENCH_PROGRESS_H
#define GATEWAY_BENCH_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/bench/result.h"

struct progress {
    bool is_shown;
    bool is_terminal; /* the line is written over itself */
    int64_t start_ns, last_ns;
    uint64_t said, echoes; /* until the last line */
};

void progress_init(struct progress *p, bool is_wanted, int64_t now_ns);
/* Writes the line to stderr when a second is over, and empties r->second. */
void progress_tick(struct progress *p, struct result *r, uint32_t open_count, const char *phase, int64_t now_ns);
/* The line is done with: what is written next begins a new one. */
void progress_end(struct progress *p);

#endif
