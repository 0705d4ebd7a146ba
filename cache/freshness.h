/* May an answer be stored, for how long does it serve, and what may be done with it now: RFC 9111, RFC 5861, and what
 * a route says instead. Pure: heads and times in, verdicts out.
 *
 * What wins: `fresh`, `stale`, `stale_if_error` of a route stand in place of the origin's own lifetimes (max-age,
 * s-maxage, Expires, stale-while-revalidate, stale-if-error). The origin's prohibitions (no-store, private, no-cache,
 * must-revalidate, proxy-revalidate, Set-Cookie, the Authorization rule of section 3.5) hold all the same, unless the
 * route lists them under `ignore`. */
#ifndef CACHE_FRESHNESS_H
#define CACHE_FRESHNESS_H

#include "cache/control.h"
#include "cache/entry.h"
#include "conf/conf.h"
#include "gateway/http/head.h"

struct cache_storing {
    bool may_store;
    const char *why; /* not; static, a word or two as Cache-Status detail would have it (a token) */
    struct cache_life life;
    int64_t age_ms; /* the answer's age when it came (section 4.2.3): born_ms is that much earlier */
};

/* `request` as the client sent it; `answer` as the origin did; `delay_ms` from asking to the answer's head (section
 * 4.2.3: response_delay). `is_scoped`: the key holds who is asking. Statuses that may be stored at all: 200, 203, 204,
 * 300, 301, 302, 307, 308, 404, 405, 410, 414, 501; those that are not heuristically cacheable (section 4.2.2) need an
 * explicit lifetime, the origin's own or the route's; 5xx never but by cache_negative_life(). 206 is never stored. */
void cache_may_store(const struct conf_cache_route *r, const struct http_head *request, const struct http_head *answer,
                     bool is_scoped, int64_t wall_ms, int64_t delay_ms, struct cache_storing *out);

enum cache_use {
    CACHE_USE_NOT = 0,  /* too old for anything: as if it were not there (its validators may still help) */
    CACHE_USE_FRESH,    /* serve it */
    CACHE_USE_REFRESH,  /* serve it now, and have it refreshed */
    CACHE_USE_IF_DOWN,  /* only while no origin is up */
    CACHE_USE_IF_ERROR, /* only when the origin fails */
    CACHE_USE_VALIDATE, /* only when the origin says it still holds */
    CACHE_USE_COUNT
};

/* What the moment adds to an entry's own times. */
struct cache_moment {
    enum conf_cache_policy policy;
    bool is_purged;                      /* softly: no longer fresh, whatever its age */
    bool is_origin_down;                 /* no server of the pool is up */
    bool has_failed;                     /* the origin was asked for this request, and failed or took too long */
    const struct cache_control *request; /* directives of the client (no-cache, max-age, min-fresh, max-stale); NULL:
                                            not looked at */
};
/* What may be done with an entry of that age. A policy of network-first gives CACHE_USE_IF_ERROR also for what is
 * fresh. With is_origin_down or has_failed the answer is what holds then: CACHE_USE_FRESH for all that may be served.
 */
enum cache_use cache_judge(const struct cache_life *l, int64_t age_ms, const struct cache_moment *m);

#endif
