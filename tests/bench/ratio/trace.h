/* Made-up traces of requests: the same numbers in every run. Pure. */
#ifndef TESTS_BENCH_RATIO_TRACE_H
#define TESTS_BENCH_RATIO_TRACE_H

#include <stddef.h>
#include <stdint.h>

/* Keys are asked for by Zipf's law: the n-th most wanted one n^-skew times as often as the first. */
struct trace {
    const char *name;
    double skew;
    uint32_t key_count;
    uint32_t request_count;
    uint32_t scan_every; /* requests; 0: never. Then so many keys are asked for, each once and never again */
    uint32_t scan_count;
    uint32_t shift_every; /* requests; 0: never. Then each key is as wanted as the one so many ranks further down was */
    uint32_t shift_count;
};

/* Those that are played: plain ones, some with scans, some whose working set moves. */
extern const struct trace traces[];
extern const size_t trace_count;

/* A trace being told. */
struct telling;
struct telling *telling_create(const struct trace *t); /* borrowed */
void telling_destroy(struct telling **tp);
/* The key of the next request. */
uint64_t telling_next(struct telling *t);

/* The size of the answer: 256 bytes to 64 KiB, as many between 1 and 2 KiB as between 2 and 4. */
size_t trace_body_bytes(uint64_t key);
/* Of all answers but those of scans. */
uint64_t trace_all_bytes(const struct trace *t);

#endif
