/* Cache-Control (RFC 9111 section 5.2), parsed: over all fields of that name, without allocation, tolerant as the RFC
 * asks (unknown directives are skipped, a quoted number is a number, the smallest of repeated ones counts, a number
 * that is none makes an answer stale at once). */
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
    int64_t max_age_s; /* -1: not there; these are bounded by 2^31 (section 1.2.2) */
    int64_t s_maxage_s;
    int64_t max_stale_s; /* with has_max_stale; -1: any */
    int64_t min_fresh_s;
    int64_t stale_while_revalidate_s;
    int64_t stale_if_error_s;
};

/* Of a request: Pragma: no-cache counts where there is no Cache-Control (section 5.4). */
void cache_control_of_request(const struct http_head *h, struct cache_control *out);
void cache_control_of_answer(const struct http_head *h, struct cache_control *out);

#endif
