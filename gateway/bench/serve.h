/* The backend: a WebSocket echo server, and an origin of one small answer, that does as little as it can, so that what
 * stands before it is measured. */
#ifndef GATEWAY_BENCH_SERVE_H
#define GATEWAY_BENCH_SERVE_H

#include "gateway/bench/options.h"

/* Serves until the process is killed; false when it could not begin. Plain HTTP requests are answered with 200 and
 * 1 KiB, over connections that are kept; a WebSocket whose path has a `vsn` speaks Phoenix (phoenix.h). */
bool serve_run(const struct options *o);

#endif
