/* The backend: a WebSocket echo server that does as little as it can, so that what stands before it is measured. */
#ifndef TESTS_BENCH_LOAD_SERVE_H
#define TESTS_BENCH_LOAD_SERVE_H

#include "tests/bench/load/options.h"

/* Serves until the process is killed; false when it could not begin. Plain HTTP requests are answered with 200. */
bool serve_run(const struct options *o);

#endif
