/* What tells one cached answer from another, and what the origin is told: the same things. What is not part of the key
 * does not reach the origin of a cacheable request, so that nobody can have an answer stored under a key that does not
 * say why it is as it is (cache poisoning by unkeyed input).
 *
 * A key is text: parts with their lengths before them, so that no part can pretend to be two. In Redis it goes by its
 * SHA-256. Pure. */
#ifndef CACHE_KEY_H
#define CACHE_KEY_H

#include <stdbool.h>

#include "base/buf.h"
#include "cache/entry.h"
#include "conf/conf.h"
#include "gateway/http/head.h"
#include "gateway/http/texts.h"

/* Who is asking, as the route's scope has it. */
struct cache_who {
    struct http_view token; /* the token itself; data NULL: none. Only its SHA-256 becomes part of the key */
    /* Text of the route's claims, in the order of the route's list; data NULL: the token has no such claim. NULL when
     * the request has no verified token. */
    const struct http_view *claims;
};

/* Adds the key of a request under the route to `out` (CACHE_KEY_BYTES_MAX): the route's name, method (HEAD as GET),
 * scheme, host (lower case), path as written, query as cache_key_query() has it, the route's key headers, scope, and
 * for a POST `body_hash` (32 bytes; else NULL). False when it is too long: the request is not for the cache. */
bool cache_key_build(struct strbuf *out, const struct conf_route *r, const struct http_head *request, bool is_tls,
                     const struct cache_who *who, const uint8_t *body_hash);
/* The query as it is part of the key and as the origin is asked: parameters kept, dropped and sorted as the route says
 * (names compared decoded; sorting by name, stable, so that repeated ones keep their order). data NULL: none. False
 * when there is no room in `t`. */
bool cache_key_query(struct http_view *out, struct http_texts *t, const struct conf_route *r, struct http_view query);
/* Whether a field of the client's request may reach the origin of a cacheable request: those of the key, and those
 * the gateway writes or rewrites itself. With a scope of token or claims also Authorization; Cookie only as a key
 * header. */
bool cache_key_passes(const struct conf_route *r, struct http_view name);

/* Vary (RFC 9111 section 4.1). The names an answer varies by, in lower case, sorted, each once, commas between; joined
 * with those known before (`known`, same form, may be data NULL). Accept-Encoding is left out when `is_coded_here`:
 * codings are the gateway's own business then. False: never to be stored (a "*", more than CACHE_VARY_MAX names, or a
 * name that is none). data NULL: it does not vary. */
#define CACHE_VARY_MAX 8u
bool cache_vary_of(struct http_view *out, struct http_texts *t, const struct http_head *answer, struct http_view known,
                   bool is_coded_here);
/* Adds to the key what the request says in the fields of `vary`: values joined by commas, white space at commas
 * removed; Accept-Encoding reduced to the codings known here. False when too long. */
bool cache_key_add_vary(struct strbuf *key, struct http_view vary, const struct http_head *request);

#endif
