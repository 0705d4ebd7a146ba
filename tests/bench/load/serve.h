/* The backend: a WebSocket echo server, and an origin of one small answer, that does as little as it can, so that what
 * stands before it is measured. */
#ifndef TESTS_BENCH_LOAD_SERVE_H
#define TESTS_BENCH_LOAD_SERVE_H

#include "tests/bench/load/options.h"

/* Serves until the process is killed; false when it could not begin. Plain HTTP requests are answered with 200 and
 * 1 KiB, over connections that are kept; a WebSocket whose path has a `vsn` speaks Phoenix (phoenix.h). */
bool serve_run(const struct options *o);

#endif
