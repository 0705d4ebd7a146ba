/* What tells one cached answer from another, and what the origin is told: the same things. What is not part of the key
 * does not reach the origin of a cacheable request, so that nobody can have an answer stored under a key that does not
 * say why it is as it is (cache poisoning by unkeyed input).
 *
 * A key is text: parts with their lengths before them, so that no part can pretend to be two, and with the names of
 * what the route adds, so that gateways of different configurations can share a Redis. There it goes by its SHA-256.
 * Pure. */
#ifndef CACHE_KEY_H
#define CACHE_KEY_H

#include <stdbool.h>

#include "base/buf.h"
#include "cache/entry.h"
#include "conf/conf.h"
#include "gateway/http/head.h"
#include "gateway/http/texts.h"

#define CACHE_QUERY_PARAMETERS_MAX 128u /* to be sorted or chosen from; a query of more is not for the cache */

/* Who is asking, as far as the origin can tell. */
struct cache_who {
    struct http_view token; /* the token itself, wherever it came from; data NULL: none. Only its SHA-256 becomes part
                               of the key, with scope token */
    /* Text of the route's claims, in the order of the route's list; data NULL: the token has no such claim. NULL when
     * the request has no verified token. */
    const struct http_view *claims;
    bool is_trusted; /* the peer is a trusted proxy: its X-Forwarded-Proto and -Host go on, so they are in the key */
};

/* Adds the key of a request under the route to `out` (CACHE_KEY_BYTES_MAX): the route's name, method (HEAD as GET),
 * scheme, host as cache_key_host() and query as cache_key_query() have them, path as written, the route's key headers
 * (each field of its own, in order; those that are secrets by their SHA-256), scope, and for a POST `body_hash` (32
 * bytes; else NULL) with Content-Type and Content-Encoding. False when the request is not for the cache: a key that is
 * too long, another method, a GET with a body (HTTP/2 may have one without saying so in its head: the caller's to
 * know), an Authorization that goes on and that the scope does not cover (several; with scope claims another one than
 * the token that was verified). `out` is as it may be then. */
bool cache_key_build(struct strbuf *out, const struct conf_route *r, const struct http_head *request, bool is_tls,
                     const struct cache_who *who, const uint8_t *body_hash);
/* The host as it is part of the key and as the origin is to be told (Host, X-Forwarded-Host): in lower case, without a
 * dot at its end and without the scheme's own port. No authority gives none. data NULL and t->failed when there is no
 * room. A view into `authority` where nothing is to be changed. */
struct http_view cache_key_host(struct http_texts *t, struct http_view authority, bool is_tls);
/* The query as it is part of the key and as the origin is to be asked: parameters kept, dropped and sorted as the route
 * says (names compared decoded; sorting by name, stable, so that repeated ones keep their order). data NULL: none,
 * which an empty one is as well. False when there is no room in `t`, or it is too long, or too many parameters to sort.
 * A view into `query` where nothing is to be changed. */
bool cache_key_query(struct http_view *out, struct http_texts *t, const struct conf_route *r, struct http_view query);

/* Whether a field of the client's request may reach the origin of a cacheable request (all others are to be taken off
 * before the gateway makes its own head of it): those of the key, and those the gateway continues for trusted proxies
 * (X-Forwarded-*, trace context). `is_post`: a POST that is a query. Fields that a route's answers are known to vary by
 * are the caller's to let pass as well (cache_learned_of()).
 *
 * Authorization passes with a scope of token or claims, and on a public route, where RFC 9111 section 3.5 keeps its
 * answers from being stored unless the origin says that they are for everybody - but not with `ignore: [authorization]`
 * there: then answers are stored whatever the origin says, and so it must not know who asked. An origin that demands a
 * token all the same is given one of the gateway's own (a route's request edits).
 *
 * Accept-Encoding passes as a key header alone: codings are the gateway's business. Conditions, Range and
 * Cache-Control never do. */
bool cache_key_passes(const struct conf_route *r, struct http_view name, bool is_post);

/* Vary (RFC 9111 section 4.1). The names an answer varies by, in lower case, sorted, each once, commas between; joined
 * with those known before (`known`, same form, may be data NULL). A view into `t`. From then on the caller
 * lets these fields pass as well, and adds them to the key. Left out is what is part of every key of the route anyway,
 * and what the gateway answers for itself (conditions, ranges). False: never to be stored (a "*", more than
 * CACHE_VARY_MAX names, a name that is none, or one of a field that is another for each client). data NULL: it does not
 * vary. */
#define CACHE_VARY_MAX 8u
bool cache_vary_of(struct http_view *out, struct http_texts *t, const struct conf_route *r,
                   const struct http_head *answer, struct http_view known);
/* Adds to the key what the request says in the fields of `vary` (as cache_vary_of() gives them): values joined by
 * commas, white space at commas removed; Accept-Encoding reduced to the codings known here; of secrets the SHA-256 of
 * each field as it is. False when too long. */
bool cache_key_add_vary(struct strbuf *key, struct http_view vary, const struct http_head *request);

#endif
