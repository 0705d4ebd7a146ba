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
    bool has_body;                /* of a HEAD there is none, though byte_count says how long it would be */
    bool needs_coding;            /* only `coding` is decided: make that body, then choose again */
    size_t from_byte, byte_count; /* of the body in that coding */
};

/* Decides, in the order of RFC 9110 section 13.2.2: If-Match, else If-Unmodified-Since (412), If-None-Match (weak
 * comparison), else If-Modified-Since (304), Range with If-Range: one range of bytes (206, 416), several or malformed
 * ones are answered with the whole. Conditions only for GET and HEAD of what is 2xx, ranges only for GET and 200. A 412
 * is what the entry says: the caller may ask the origin instead (RFC 9111 section 4.3.2).
 *
 * The coding is the one that the request likes best among those that `codings` (bit 1 << enum cache_coding) allows and
 * the entry can have; among equals br before zstd before gzip before none - always the same ones, made already or not,
 * so that all workers know the tags of each other's answers. But what the client has already, by its conditions, comes
 * first: it is answered in that coding as long as it takes it. An entry that came coded is served so, and with q=0 for
 * all there is, the entry's own is served nevertheless. A range is one of the coded body.
 *
 * When the answer needs a body that is not made yet, needs_coding is set and only `coding` counts: the caller asks for
 * it (cache_compress_get), takes the coding out of `codings` when it cannot be had, and chooses again. */
void cache_serve_choose(struct cache_serving *out, const struct cache_entry *e, const struct http_head *request,
                        uint32_t codings);
/* Makes the head: status, the entry's fields, Age, ETag as the coding has it (its own for each: "x" becomes "x-gzip",
 * W/ stays), Content-Encoding, Content-Range, Accept-Ranges, Vary with Accept-Encoding when there is a choice of
 * codings. Of the entry's fields a 304 has those of RFC 9110 section 15.4.5 (Last-Modified without an ETag alone), a
 * 412 and a 416 the ones that are not about a body; all of them have those of CORS. content_length is set; -1 where
 * there must be none (204, 304). `to` looks into `t` and the entry. `codings` as cache_serve_choose() had them at
 * first. False when there is no room. */
bool cache_serve_head(struct http_head *to, struct http_texts *t, const struct cache_entry *e,
                      const struct cache_serving *s, uint32_t codings, int64_t now_ms);
/* The list of an If-Match or If-None-Match on its way to the origin, which knows the tags it gave, not those with the
 * ending of a coding: each of these in both forms, because an origin may use such endings itself. "*" stays. A view
 * into the list or `t`, which fails when there is no room. For writes: what is answered with 304 or 206 must be of the
 * body that the client has, and for that a tag which the origin does not know is right. */
struct http_view cache_serve_origin_etags(struct http_texts *t, struct http_view list);

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
/* A view into `t`; data NULL and t->failed when there is no room. */
struct http_view cache_status_text(struct http_texts *t, const char *node, const struct cache_told *told);

#endif
