/* From a URL to the address that is loaded: names are looked up once, at the start, and the first address that accepts
 * a connection is the one. So a wrong URL is one clear sentence and not ten thousand failures. */
#ifndef GATEWAY_BENCH_TARGET_H
#define GATEWAY_BENCH_TARGET_H

#include "base/sock.h"
#include "gateway/bench/url.h"

#define TARGET_ERROR_BYTES 384u

/* Blocks, for a few seconds per address at most. False with a sentence in `error` (TARGET_ERROR_BYTES). */
bool target_find(struct addr *a, const struct url *u, char *error);

#endif
