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
 * 4.2.3: response_delay). `is_scoped`: the key holds who is asking. Methods and Vary are the caller's business.
 *
 * Statuses that may be stored at all: 200, 203, 204, 300, 301, 302, 307, 308, 404, 405, 410, 414, 501; those that are
 * not heuristically cacheable (section 4.2.2) need an explicit lifetime, the origin's own or the route's; 5xx else
 * never but by cache_negative_life(). 206 is never stored.
 *
 * A route's stale, stale_if_error or stale_if_down is enough to store an answer that says nothing about its lifetime:
 * never fresh, good for those windows. The origin's own windows come after a lifetime. With a policy other than
 * stale-while-revalidate nothing stale is served before the origin was asked: `stale` counts as stale_if_error there.
 * An answer with a validator is kept for a while beyond all windows (keep_ms), so that a 304 can bring it back. Every
 * part of a life is bounded by CACHE_LIFE_MS_MAX. */
#define CACHE_LIFE_MS_MAX (INT64_C(365) * 86400 * 1000)
void cache_may_store(const struct conf_cache_route *r, const struct http_head *request, const struct http_head *answer,
                     bool is_scoped, int64_t wall_ms, int64_t delay_ms, struct cache_storing *out);
/* The same for what a 304 makes of a stored answer (section 4.3.4): `stored` has its fields and status, those of
 * `not_modified` stand in place of the stored ones of the same names. */
void cache_may_store_again(const struct conf_cache_route *r, const struct http_head *request,
                           const struct cache_entry *stored, const struct http_head *not_modified, bool is_scoped,
                           int64_t wall_ms, int64_t delay_ms, struct cache_storing *out);
/* Of a failure that is remembered, a 5xx or the gateway's own answer in place of one: fresh for the route's `negative`,
 * then gone. All zero: it is not remembered. */
struct cache_life cache_negative_life(const struct conf_cache_route *r);

enum cache_use {
    CACHE_USE_NOT = 0,  /* too old for anything: as if it were not there */
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
    bool is_immutable;                   /* the answer says so (RFC 8246): a client's max-age asks for no validation */
    bool is_origin_down;                 /* no server of the pool is up */
    bool has_failed;                     /* the origin was asked for this request, and failed or took too long */
    const struct cache_control *request; /* directives of the client (no-cache, max-age, min-fresh, max-stale,
                                            stale-if-error); NULL: not looked at */
};
/* What may be done with an entry of that age. A policy of network-first gives CACHE_USE_IF_ERROR also for what is
 * fresh. What is purged softly while it is fresh has just become stale, and its windows end when they would anyway.
 * With is_origin_down or has_failed the answer is what holds then: CACHE_USE_FRESH for all that may be served, and
 * anything else means that it may not.
 *
 * What a client asks for decides whether its origin is asked (CACHE_USE_VALIDATE), not what it gets when the origin
 * cannot answer: there the entry's own windows hold, for it as for all others. It may ask for more of what the entry
 * allows, never for what it does not: max-stale opens all of the entry's windows and stale-if-error the longest of
 * them, and an entry that must be validated has none. */
enum cache_use cache_judge(const struct cache_life *l, int64_t age_ms, const struct cache_moment *m);

#endif
