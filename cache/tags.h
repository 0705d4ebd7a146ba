/* The tags of an answer: those of its route, and what the origin says in Surrogate-Key (separated by spaces) and
 * Cache-Tag (by commas), each once. Pure. */
#ifndef CACHE_TAGS_H
#define CACHE_TAGS_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/entry.h"
#include "conf/conf.h"
#include "gateway/http/head.h"

struct cache_tags {
    uint32_t count;
    struct http_view tags[CACHE_TAGS_MAX]; /* look into the route and the answer */
};

/* False when there are more than CACHE_TAGS_MAX of them, one is longer than CACHE_TAG_BYTES_MAX, or one has a control
 * character: such an answer must not be stored, as nobody could purge it. */
bool cache_tags_collect(struct cache_tags *out, const struct conf_cache_route *r, const struct http_head *answer);

#endif
