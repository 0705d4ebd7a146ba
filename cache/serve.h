/* How a stored answer meets one request: conditions (RFC 9110 section 13), a range (section 14), the coding the client
 * takes (section 12.5.3), and the fields that are said anew each time. Pure. */
#ifndef CACHE_SERVE_H
#define CACHE_SERVE_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/entry.h"
#include "conf/conf.h"
#include "gateway/http/head.h"
#include "gateway/http/texts.h"

/* What goes out: a head made of the entry, and a part of one of its bodies. */
struct cache_serving {
    uint16_t status; /* the entry's own, 206, 304, 412 or 416 */
    enum cache_coding coding;
    bool has_body;
    size_t from_byte, byte_count; /* of the body in that coding */
};

/* Decides. If-Match and If-Unmodified-Since (412), If-None-Match (weak comparison), If-Modified-Since, Range with
 * If-Range: one range of bytes, several or malformed ones are answered with the whole; only for GET and 200. The coding
 * is the one that the request likes best among those that `codings` (bit 1 << enum cache_coding) allows and the entry
 * has or can have: the caller makes it (cache/compress.h) before it asks for the head; with q=0 for all of them
 * identity is served nevertheless. A range is one of the coded body. */
void cache_serve_choose(struct cache_serving *out, const struct cache_entry *e, const struct http_head *request,
                        uint32_t codings);
/* Makes the head: status, the entry's fields (for a 304 those of RFC 9110 section 15.4.5 alone), Age, ETag as the
 * coding has it (its own for each: "x" becomes "x-gzip", W/ stays), Content-Encoding, Content-Range, Accept-Ranges,
 * Vary with Accept-Encoding when there is a choice of codings. content_length is set; a 304 has -1. False when there is
 * no room. */
bool cache_serve_head(struct http_head *to, struct http_texts *t, const struct cache_entry *e,
                      const struct cache_serving *s, uint32_t codings, int64_t now_ms);
/* The entity tag the origin knows, for a validator a client sent: without the ending a coding has put on it. */
struct http_view cache_serve_origin_etag(struct http_view etag);

/* Cache-Status (RFC 9211), one member: what the cache named `node` did with a request. */
enum cache_fwd {
    CACHE_FWD_NONE = 0,
    CACHE_FWD_BYPASS,
    CACHE_FWD_METHOD,
    CACHE_FWD_URI_MISS,
    CACHE_FWD_VARY_MISS,
    CACHE_FWD_MISS,
    CACHE_FWD_REQUEST,
    CACHE_FWD_STALE,
    CACHE_FWD_PARTIAL,
    CACHE_FWD_COUNT
};
struct cache_told {
    bool is_hit;
    enum cache_fwd fwd;
    uint16_t fwd_status; /* 0: not said */
    bool has_ttl;
    int64_t ttl_s; /* negative: stale for so long */
    bool is_stored;
    bool is_collapsed;
    const char *detail; /* a token; NULL: none. e.g. l1, l2, down, error, purged */
};
struct http_view cache_status_text(struct http_texts *t, const char *node, const struct cache_told *told);

#endif
