/* The yardstick: a cache of keys bounded by bytes that puts out whoever was not asked for the longest. */
#ifndef TESTS_BENCH_RATIO_LRU_H
#define TESTS_BENCH_RATIO_LRU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lru;

struct lru *lru_create(size_t max_bytes);
void lru_destroy(struct lru **lp);
/* Whether it was there; it is now, if it fits at all. */
bool lru_ask(struct lru *l, uint64_t key, size_t bytes);

#endif
