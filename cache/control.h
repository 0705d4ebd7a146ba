/* Cache-Control (RFC 9111 section 5.2), parsed: over all fields of that name, without allocation, tolerant as the RFC
 * asks. Unknown directives are skipped, a quoted number is a number, of repeated ones the strictest counts. A number
 * that is none is 0 in an answer, which makes it stale at once (section 4.2.1), and is not there in a request.
 * must-understand is not known here, so that a no-store beside it holds (section 5.2.2.3). */
#ifndef CACHE_CONTROL_H
#define CACHE_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/http/head.h"

struct cache_control {
    bool no_cache; /* also with field names: taken as the whole answer */
    bool no_store;
    bool is_private; /* also with field names */
    bool is_public;
    bool must_revalidate;
    bool proxy_revalidate;
    bool no_transform;
    bool only_if_cached;
    bool is_immutable;
    bool has_max_stale;
    int64_t max_age_s; /* -1: not there; all are bounded by 2^31 (section 1.2.2) */
    int64_t s_maxage_s;
    int64_t max_stale_s; /* with has_max_stale; -1: any */
    int64_t min_fresh_s;
    int64_t stale_while_revalidate_s;
    int64_t stale_if_error_s;
};

/* Of a request: Pragma: no-cache counts where there is no Cache-Control (section 5.4). */
void cache_control_of_request(const struct http_head *h, struct cache_control *out);
/* Of an answer, or of the fields of a stored one. Pragma means nothing there. */
void cache_control_of_answer(const struct http_field *fields, uint32_t field_count, struct cache_control *out);

#endif
