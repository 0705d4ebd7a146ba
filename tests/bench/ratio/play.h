/* A trace played to L1 (cache/memory.h) and to plain LRU, both of the same size and with the same bytes to an entry. */
#ifndef TESTS_BENCH_RATIO_PLAY_H
#define TESTS_BENCH_RATIO_PLAY_H

#include <stdint.h>

#include "tests/bench/ratio/trace.h"

struct played {
    uint64_t request_count; /* scans included */
    uint64_t hit_count, lru_hit_count;
};

void play(const struct trace *t, size_t max_bytes, struct played *out);

#endif
