/* Accept-Encoding (RFC 9110 section 12.5.3), as far as the codings known here go. Pure. */
#ifndef CACHE_ACCEPT_H
#define CACHE_ACCEPT_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/entry.h"
#include "gateway/http/head.h"

/* How much a client likes each coding, in thousandths; 0: it does not take it. */
struct cache_accept {
    uint16_t weight[CODING_OTHER];
};

/* Without the field identity alone: any coding would be allowed, but who did not ask may not be able to. Identity is
 * fine unless it is ruled out. A weight that is none, and what is unknown, is skipped; "x-gzip" is gzip. */
void cache_accept_of(struct cache_accept *out, const struct http_head *request);

#endif
