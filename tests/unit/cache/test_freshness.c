/* The table of freshness: one route, one request, one answer of an origin - and what may be done with it, and when. How
 * its rows read: freshness_rows.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/cache/freshness_rows.h"

#define COUNT(table) (sizeof(table) / sizeof(table)[0])
#define AUTH         "authorization: Bearer x"
#define CC           "cache-control: "
#define ETAG         "\netag: \"a\""

/* clang-format off */
static const struct row storing[] = {
    /* statuses (RFC 9110 section 15.1) */
    {"swr", "", "200 " CC "max-age=60", NULL, "stored"},
    {"swr", "", "203 " CC "max-age=60", NULL, "stored"},
    {"swr", "", "204 " CC "max-age=60", NULL, "stored"},
    {"swr", "", "206 " CC "max-age=60", NULL, "not: status"},
    {"swr", "", "301 " CC "max-age=60", NULL, "stored"},
    {"swr", "", "302 " CC "max-age=60", NULL, "stored"},
    {"swr", "", "302 last-modified: @-1000", NULL, "not: no-lifetime"},
    {"swr heuristic", "", "302 last-modified: @-1000", NULL, "not: no-lifetime"},
    {"swr fresh=5", "", "307 ", NULL, "stored"},
    {"swr fresh=5", "", "303 ", NULL, "not: status"},
    {"swr fresh=5", "", "304 ", NULL, "not: status"},
    {"swr fresh=5", "", "400 ", NULL, "not: status"},
    {"swr fresh=5", "", "401 ", NULL, "not: status"},
    {"swr fresh=5", "", "404 ", NULL, "stored"},
    {"swr fresh=5", "", "429 " CC "max-age=60", NULL, "not: status"},
    {"swr fresh=5", "", "500 " CC "max-age=60", NULL, "not: status"},
    {"swr fresh=5", "", "503 " CC "public, max-age=60", NULL, "not: status"},
    {"off fresh=5", "", "200 " CC "max-age=60", NULL, "not: off"},
    /* what the origin forbids holds against a lifetime of the route ... */
    {"swr fresh=60", "", "200 " CC "no-store", NULL, "not: no-store"},
    {"swr fresh=60", "", "200 " CC "private", NULL, "not: private"},
    {"swr fresh=60", "", "200 " CC "private=\"x-user\"", NULL, "not: private"},
    {"swr fresh=60 scoped", "", "200 " CC "private", NULL, "not: private"},
    {"swr fresh=60", "", "200 set-cookie: a=b", NULL, "not: set-cookie"},
    {"swr fresh=60", "", "200 " CC "no-cache", NULL, "not: no-cache"},
    {"swr fresh=60", "", "200 " CC "max-age=5\n" CC "x, NO-STORE", NULL, "not: no-store"},
    /* ... unless the route does not heed it, and only that */
    {"swr fresh=60 ignore:no-store", "", "200 " CC "no-store", NULL, "stored"},
    {"swr fresh=60 ignore:private", "", "200 " CC "private", NULL, "stored"},
    {"swr fresh=60 ignore:set-cookie", "", "200 set-cookie: a=b", NULL, "stored"},
    {"swr fresh=60 ignore:no-cache", "", "200 " CC "no-cache", NULL, "stored"},
    {"swr fresh=60 ignore:no-store", "", "200 " CC "no-store, private", NULL, "not: private"},
    {"swr ignore:no-store", "", "200 " CC "no-store", NULL, "not: no-lifetime"},
    /* what the client forbids */
    {"swr fresh=60", CC "no-store", "200 ", NULL, "not: request-no-store"},
    {"swr fresh=60 ignore:request", CC "no-store", "200 ", NULL, "stored"},
    {"swr fresh=60", CC "no-cache", "200 ", NULL, "stored"},
    /* who asked (section 3.5) */
    {"swr fresh=60", AUTH, "200 ", NULL, "not: authorization"},
    {"swr", AUTH, "200 " CC "max-age=60", NULL, "not: authorization"},
    {"swr", AUTH, "200 " CC "max-age=60, proxy-revalidate", NULL, "not: authorization"},
    {"swr", AUTH, "200 " CC "max-age=60, public", NULL, "stored"},
    {"swr", AUTH, "200 " CC "s-maxage=60", NULL, "stored"},
    {"swr", AUTH, "200 " CC "max-age=60, must-revalidate", NULL, "stored"},
    {"swr ignore:must-revalidate", AUTH, "200 " CC "max-age=60, must-revalidate", NULL, "not: authorization"},
    {"swr fresh=60 scoped", AUTH, "200 ", NULL, "stored"},
    {"swr fresh=60 ignore:authorization", AUTH, "200 ", NULL, "stored"},
    {"swr fresh=60 scoped", AUTH, "200 " CC "no-store", NULL, "not: no-store"},
    /* what never ends */
    {"swr fresh=60", "", "200 content-type: text/event-stream", NULL, "not: content-type"},
    {"swr fresh=60", "", "200 content-type: Text/Event-Stream ; charset=utf-8", NULL, "not: content-type"},
    {"swr fresh=60", "", "200 content-type: multipart/x-mixed-replace;boundary=x", NULL, "not: content-type"},
    {"swr fresh=60", "", "200 content-type: text/event-stream-log", NULL, "stored"},
    {"swr fresh=60", "", "200 content-type: ", NULL, "stored"},
    /* nothing to live on */
    {"swr", "", "200 ", NULL, "not: no-lifetime"},
    {"swr", "", "200 " CC "public", NULL, "not: no-lifetime"},
    {"swr", "", "200 " CC "stale-while-revalidate=60", NULL, "not: no-lifetime"},
    {"swr", "", "200 last-modified: yesterday", NULL, "not: no-lifetime"},
    {"swr", "", "200 " CC "max-age=0", NULL, "not: stale"},
    {"swr", "", "200 expires: 0", NULL, "not: stale"},
    {"swr", "", "200 expires: @0\ndate: @0", NULL, "not: stale"},
    {"swr", "", "200 " CC "max-age=60\nage: 60", NULL, "not: stale"},
};

static const struct row lifetimes[] = {
    /* to the millisecond: as long as its lifetime is greater than its age (section 4.2) */
    {"swr", "", "200 " CC "max-age=60", "0", "fresh"},
    {"swr", "", "200 " CC "max-age=60", "59.999", "fresh"},
    {"swr", "", "200 " CC "max-age=60", "60", "gone"},
    /* the route, then s-maxage, max-age, Expires - Date */
    {"swr fresh=5", "", "200 " CC "s-maxage=60, max-age=60", "4.9", "fresh"},
    {"swr fresh=5", "", "200 " CC "s-maxage=60, max-age=60", "5", "gone"},
    {"swr fresh=60", "", "200 " CC "max-age=0\nexpires: 0", "59", "fresh"},
    {"swr", "", "200 " CC "s-maxage=60, max-age=5", "59", "fresh"},
    {"swr", "", "200 " CC "s-maxage=5, max-age=60", "5", "gone"},
    {"swr", "", "200 " CC "max-age=60\nexpires: @0", "59", "fresh"},
    {"swr", "", "200 date: @0\nexpires: @60", "59", "fresh"},
    {"swr", "", "200 date: @0\nexpires: @60", "60", "gone"},
    {"swr fresh=0", "", "200 " CC "max-age=60", NULL, "not: stale"},
    /* Expires is taken by the origin's clock, whatever that shows, or by ours when it shows none */
    {"swr", "", "200 date: @3600\nexpires: @3660", "59", "fresh"},
    {"swr", "", "200 date: @3600\nexpires: @3660", "60", "gone"},
    {"swr", "", "200 expires: @60", "59", "fresh"},
    {"swr", "", "200 expires: @60", "60", "gone"},
    {"swr", "", "200 date: today\nexpires: @60", "59", "fresh"},
    {"swr", "", "200 expires: @60\nexpires: @30", "30", "gone"},
    {"swr", "", "200 expires: @30\nexpires: @60", "30", "gone"},
    {"swr", "", "200 expires: @60\nexpires: never", NULL, "not: stale"},
    {"swr", "", "200 expires: Thursday, 01-Jan-26 00:01:00 GMT", "59", "fresh"},
    {"swr", "", "200 expires: Thu Jan  1 00:01:00 2026", "59", "fresh"},
    /* nothing is for ever */
    {"swr", "", "200 " CC "max-age=99999999999999999999", "31535999", "fresh"},
    {"swr", "", "200 " CC "max-age=99999999999999999999", "31536000", "gone"},
    {"swr", "", "200 expires: Fri, 31 Dec 9999 23:59:59 GMT", "31536000", "gone"},
    {"swr", "", "200 date: Thu, 01 Jan 1970 00:00:00 GMT\nexpires: Fri, 31 Dec 9999 23:59:59 GMT", NULL, "not: stale"},
    /* heuristics (section 4.2.2): a tenth of its age, a day at most, only if the route says so and nothing else does */
    {"swr", "", "200 last-modified: @-1000", "0", "validate"},
    {"swr heuristic", "", "200 last-modified: @-1000", "99", "fresh"},
    {"swr heuristic", "", "200 last-modified: @-1000", "100", "validate"},
    {"swr heuristic", "", "200 last-modified: @-1000\ndate: @0", "99", "fresh"},
    {"swr heuristic", "", "404 last-modified: @-1000", "99", "fresh"},
    {"swr heuristic", "", "302 " CC "public\nlast-modified: @-1000", "99", "fresh"},
    {"swr heuristic", "", "200 last-modified: @-10000000", "86399", "fresh"},
    {"swr heuristic", "", "200 last-modified: @-10000000", "86400", "validate"},
    {"swr heuristic", "", "200 last-modified: @1000", "0", "validate"},
    {"swr heuristic", "", "200 " CC "max-age=5\nlast-modified: @-1000", "5", "validate"},
    {"swr heuristic", "", "200 expires: x\nlast-modified: @-1000", "0", "validate"},
    {"swr heuristic", "", "200 ", NULL, "not: no-lifetime"},
};

static const struct row ages[] = {
    /* section 4.2.3: Age, and the time it took to get the answer */
    {"swr", "", "200 " CC "max-age=60\nage: 50", "9.9", "fresh"},
    {"swr", "", "200 " CC "max-age=60\nage: 50", "10", "gone"},
    {"swr delay=3", "", "200 " CC "max-age=60\nage: 50", "6.9", "fresh"},
    {"swr delay=3", "", "200 " CC "max-age=60\nage: 50", "7", "gone"},
    {"swr delay=3", "", "200 " CC "max-age=60", "57", "gone"},
    {"swr delay=60", "", "200 " CC "max-age=60", NULL, "not: stale"},
    {"swr fresh=60", "", "200 age: 50", "10", "gone"},
    {"swr fresh=60", "", "200 age: 99999999999999999999", NULL, "not: stale"},
    {"swr fresh=60 stale=600", "", "200 age: 99", "0", "refresh"},
    /* the first of a list; what is no number is not there (section 5.1) */
    {"swr", "", "200 " CC "max-age=60\nage: 50, 5", "10", "gone"},
    {"swr", "", "200 " CC "max-age=60\nage: 5, 50", "54", "fresh"},
    {"swr", "", "200 " CC "max-age=60\nage: 5\nage: 50", "54", "fresh"},
    {"swr", "", "200 " CC "max-age=60\nage: -50", "59", "fresh"},
    {"swr", "", "200 " CC "max-age=60\nage: 5.5", "59", "fresh"},
    {"swr", "", "200 " CC "max-age=60\nage: x, 50", "59", "fresh"},
    {"swr", "", "200 " CC "max-age=60\nage: ", "59", "fresh"},
    /* Date says it is older, as whole seconds can tell: that counts against a lifetime of the origin */
    {"swr", "", "200 " CC "max-age=60\ndate: @-50", "10.9", "fresh"},
    {"swr", "", "200 " CC "max-age=60\ndate: @-50", "11", "gone"},
    {"swr", "", "200 " CC "max-age=60\ndate: @-50\nage: 55", "5", "gone"},
    {"swr", "", "200 date: @-50\nexpires: @10", "11", "gone"},
    {"swr", "", "200 " CC "max-age=1\ndate: @0", "0.9", "fresh"},
    {"swr", "", "200 " CC "max-age=60\ndate: Thu, 01 Jan 1970 00:00:00 GMT", NULL, "not: stale"},
    /* ... not against one of the route, which a wrong clock cannot turn off */
    {"swr fresh=60", "", "200 date: @-5000", "59", "fresh"},
    {"swr fresh=60", "", "200 date: @-5000", "60", "gone"},
    /* a clock that is ahead makes nothing younger */
    {"swr", "", "200 " CC "max-age=60\ndate: @5000", "59", "fresh"},
    {"swr", "", "200 " CC "max-age=60\ndate: @5000", "60", "gone"},
    {"swr", "", "200 " CC "max-age=60\ndate: @5000\nage: 30", "30", "gone"},
};

static const struct row windows[] = {
    /* served while it is refreshed (RFC 5861 section 3): the origin's word, or the route's in its place */
    {"swr", "", "200 " CC "max-age=10, stale-while-revalidate=20", "9.9", "fresh"},
    {"swr", "", "200 " CC "max-age=10, stale-while-revalidate=20", "10", "refresh"},
    {"swr", "", "200 " CC "max-age=10, stale-while-revalidate=20", "29.9", "refresh"},
    {"swr", "", "200 " CC "max-age=10, stale-while-revalidate=20", "30", "gone"},
    {"swr stale=5", "", "200 " CC "max-age=10, stale-while-revalidate=20", "15", "gone"},
    {"swr stale=0", "", "200 " CC "max-age=10, stale-while-revalidate=20", "10", "gone"},
    {"swr fresh=5 stale=600", "", "200 ", "604.9", "refresh"},
    {"swr fresh=5 stale=600", "", "200 " CC "max-age=0", "5", "refresh"},
    {"swr", "", "200 " CC "max-age=0, stale-while-revalidate=20", "0", "refresh"},
    {"swr stale=600", "", "200 ", "0", "refresh"},
    {"swr stale=600", "", "302 ", "599", "refresh"},
    {"swr", "", "200 " CC "max-age=10, stale-while-revalidate=soon", "10", "gone"},
    /* served when the origin fails (section 4), at the same time */
    {"swr", "", "200 " CC "max-age=10, stale-if-error=20", "10", "if-error"},
    {"swr", "", "200 " CC "max-age=10, stale-if-error=20", "10 failed", "fresh"},
    {"swr", "", "200 " CC "max-age=10, stale-if-error=20", "10 down", "fresh"},
    {"swr", "", "200 " CC "max-age=10, stale-if-error=20", "30 failed", "gone"},
    {"swr error=5", "", "200 " CC "max-age=10, stale-if-error=20", "15 failed", "gone"},
    {"swr stale=20 error=60 fresh=10", "", "200 ", "29", "refresh"},
    {"swr stale=20 error=60 fresh=10", "", "200 ", "30", "if-error"},
    {"swr stale=20 error=60 fresh=10", "", "200 ", "69 failed", "fresh"},
    {"swr stale=20 error=60 fresh=10", "", "200 ", "70 failed", "gone"},
    {"swr stale=60 error=20 fresh=10", "", "200 ", "69 failed", "fresh"},
    /* served while no origin is up: the route's word alone */
    {"swr fresh=10 down=3600", "", "200 ", "10", "if-down"},
    {"swr fresh=10 down=3600", "", "200 ", "10 failed", "if-down"},
    {"swr fresh=10 down=3600", "", "200 ", "3609 down", "fresh"},
    {"swr fresh=10 down=3600", "", "200 ", "3610 down", "gone"},
    {"swr fresh=10 stale=20 error=60 down=3600", "", "200 ", "15 down", "fresh"},
    {"swr fresh=10 stale=20 error=60 down=3600", "", "200 ", "80", "if-down"},
    {"swr down=3600", "", "200 ", "3599 down", "fresh"},
    /* the origin forbids what is stale (section 4.2.4): no window is left, only lifetimes and validators */
    {"swr fresh=10 stale=20", "", "200 " CC "must-revalidate", "9", "fresh"},
    {"swr fresh=10 stale=20", "", "200 " CC "must-revalidate", "10", "gone"},
    {"swr fresh=10 error=20", "", "200 " CC "proxy-revalidate", "10 failed", "gone"},
    {"swr fresh=10 down=20", "", "200 " CC "must-revalidate" ETAG, "10 down", "validate"},
    {"swr stale=20", "", "200 " CC "max-age=10, must-revalidate, stale-while-revalidate=20", "10", "gone"},
    {"swr stale=20", "", "200 " CC "must-revalidate", NULL, "not: no-lifetime"},
    {"swr stale=20 ignore:must-revalidate", "", "200 " CC "max-age=10, must-revalidate", "29", "refresh"},
    /* s-maxage says that too (section 5.2.2.10), where it is what counts */
    {"swr", "", "200 " CC "s-maxage=10, stale-while-revalidate=20", "9", "fresh"},
    {"swr", "", "200 " CC "s-maxage=10, stale-while-revalidate=20", "10", "gone"},
    {"swr stale=20", "", "200 " CC "s-maxage=10", "10 failed", "gone"},
    {"swr stale=20 ignore:must-revalidate", "", "200 " CC "s-maxage=10", "29", "refresh"},
    {"swr fresh=5 stale=20", "", "200 " CC "s-maxage=10", "24", "refresh"},
    /* no-cache: never without the origin's word */
    {"swr fresh=10 stale=20 error=20 down=20", "", "200 " CC "no-cache" ETAG, "0", "validate"},
    {"swr fresh=10 stale=20 error=20 down=20", "", "200 " CC "no-cache" ETAG, "0 failed", "validate"},
    {"swr fresh=10 stale=20 error=20 down=20", "", "200 " CC "no-cache" ETAG, "0 down", "validate"},
    {"swr", "", "200 " CC "no-cache=\"x-a\", max-age=60" ETAG, "0", "validate"},
    {"swr fresh=10 stale=20 ignore:no-cache", "", "200 " CC "no-cache" ETAG, "9", "fresh"},
    {"swr fresh=10 stale=20 ignore:no-cache", "", "200 " CC "no-cache" ETAG, "29", "refresh"},
    {"swr stale=20 ignore:no-store", "", "200 " CC "no-cache, no-store" ETAG, "5", "validate"},
    /* what has a validator is kept for it: ten minutes to an hour */
    {"swr", "", "200 " CC "max-age=0" ETAG, "0", "validate"},
    {"swr", "", "200 etag: W/\"a\"", "599", "validate"},
    {"swr", "", "200 etag: W/\"a\"", "600", "gone"},
    {"swr", "", "200 " CC "max-age=10, stale-while-revalidate=20" ETAG, "30", "validate"},
    {"swr", "", "200 " CC "max-age=10, stale-while-revalidate=20" ETAG, "629", "validate"},
    {"swr", "", "200 " CC "max-age=10, stale-while-revalidate=20" ETAG, "630", "gone"},
    {"swr", "", "200 " CC "max-age=1000" ETAG, "1999", "validate"},
    {"swr", "", "200 " CC "max-age=86400" ETAG, "89999", "validate"},
    {"swr", "", "200 " CC "max-age=86400" ETAG, "90000", "gone"},
    {"swr", "", "200 " CC "max-age=10\nlast-modified: @-1000", "10", "validate"},
};

static const struct row by_policy[] = {
    /* network-first: the network is asked for everything, and the cache is what stands in */
    {"network-first stale=3600", "", "200 ", "0", "if-error"},
    {"network-first stale=3600", "", "200 ", "3599", "if-error"},
    {"network-first stale=3600", "", "200 ", "3599 failed", "fresh"},
    {"network-first stale=3600", "", "200 ", "3600 failed", "gone"},
    {"network-first stale=60 error=10", "", "200 ", "59 failed", "fresh"},
    {"network-first stale=10 error=60", "", "200 ", "59 failed", "fresh"},
    {"network-first", "", "200 " CC "max-age=60", "59", "if-error"},
    {"network-first", "", "200 " CC "max-age=60", "59 failed", "fresh"},
    {"network-first", "", "200 " CC "max-age=60, stale-while-revalidate=60", "119", "if-error"},
    {"network-first stale=10 down=60", "", "200 ", "30 failed", "if-down"},
    {"network-first stale=10 down=60", "", "200 ", "30 down", "fresh"},
    {"network-first stale=3600", "", "200 " CC "no-cache" ETAG, "0 failed", "validate"},
    {"network-first stale=3600", "", "200 " CC "max-age=0, must-revalidate" ETAG, "0 failed", "validate"},
    {"network-first stale=3600", CC "max-age=0", "200 ", "5", "if-error"},
    {"network-first stale=3600", CC "max-stale", "200 ", "5", "if-error"},
    /* cache-first: what is fresh without asking; what is stale only when asking failed */
    {"cache-first fresh=600", "", "200 ", "599", "fresh"},
    {"cache-first fresh=600", "", "200 ", "600", "gone"},
    {"cache-first fresh=600 stale=60", "", "200 ", "600", "if-error"},
    {"cache-first fresh=600 stale=60", "", "200 ", "659 failed", "fresh"},
    {"cache-first fresh=600 down=60", "", "200 ", "659", "if-down"},
    {"cache-first fresh=600", "", "200 last-modified: @-1", "600", "validate"},
    /* a soft purge: no longer fresh, and its windows begin */
    {"swr fresh=60", "", "200 ", "5 purged", "gone"},
    {"swr fresh=60 stale=60", "", "200 ", "5 purged", "refresh"},
    {"swr fresh=60 stale=60", "", "200 ", "119 purged", "refresh"},
    {"swr fresh=60 stale=60", "", "200 ", "120 purged", "gone"},
    {"swr fresh=60 error=60", "", "200 ", "5 purged", "if-error"},
    {"swr fresh=60 error=60", "", "200 ", "5 purged failed", "fresh"},
    {"swr fresh=60 down=60", "", "200 ", "5 purged", "if-down"},
    {"swr fresh=60", "", "200 etag: \"a\"", "5 purged", "validate"},
    {"swr fresh=60", "", "200 etag: \"a\"", "5 purged failed", "validate"},
    {"cache-first fresh=60 stale=60", "", "200 ", "5 purged", "if-error"},
    {"network-first fresh=60", "", "200 ", "5 purged failed", "gone"},
};

static const struct row wishes[] = {
    /* no-cache (section 5.2.1.4), and what it was before (5.4) */
    {"swr fresh=60", CC "no-cache", "200 ", "5", "validate"},
    {"swr fresh=60", "pragma: no-cache", "200 ", "5", "validate"},
    {"swr fresh=60", "pragma: no-cache\n" CC "max-age=10", "200 ", "5", "fresh"},
    {"swr fresh=60 stale=60", CC "no-cache", "200 ", "61", "validate"},
    {"swr fresh=60", CC "no-cache", "200 ", "60", "gone"},
    {"swr fresh=60 ignore:request", CC "no-cache", "200 ", "5", "fresh"},
    /* max-age: nothing older, and nothing stale */
    {"swr fresh=60", CC "max-age=10", "200 ", "10", "fresh"},
    {"swr fresh=60", CC "max-age=10", "200 ", "10.1", "validate"},
    {"swr fresh=60", CC "max-age=0", "200 ", "0.1", "validate"},
    {"swr fresh=60", CC "max-age=10", "200 age: 8", "3", "validate"},
    {"swr fresh=5 stale=60", CC "max-age=10", "200 ", "6", "validate"},
    {"swr fresh=5 stale=60", CC "max-age=10, max-stale", "200 ", "6", "refresh"},
    {"swr fresh=5 stale=60", CC "max-age=10, max-stale", "200 ", "11", "validate"},
    {"swr fresh=60", CC "max-age=x", "200 ", "5", "fresh"},
    /* min-fresh: good for so long yet */
    {"swr fresh=60", CC "min-fresh=10", "200 ", "50", "fresh"},
    {"swr fresh=60", CC "min-fresh=10", "200 ", "50.1", "validate"},
    {"swr fresh=60 stale=60", CC "min-fresh=0", "200 ", "61", "validate"},
    /* max-stale: what the entry's windows allow, and no more */
    {"swr fresh=10 error=60", CC "max-stale=30", "200 ", "40", "refresh"},
    {"swr fresh=10 error=60", CC "max-stale=30", "200 ", "40.1", "validate"},
    {"swr fresh=10 error=60", CC "max-stale", "200 ", "69", "refresh"},
    {"swr fresh=10 error=60", CC "max-stale", "200 ", "70", "gone"},
    {"swr fresh=10 down=60", CC "max-stale", "200 ", "69", "refresh"},
    {"cache-first fresh=10 stale=60", CC "max-stale", "200 ", "69", "refresh"},
    {"swr fresh=10 error=60", CC "max-stale", "200 ", "5 purged", "if-error"},
    {"swr fresh=10 error=60", CC "max-stale", "200 " CC "must-revalidate" ETAG, "10", "validate"},
    {"swr fresh=10 error=60", CC "max-stale", "200 " CC "no-cache" ETAG, "0", "validate"},
    {"swr", CC "max-stale", "200 " CC "max-age=10" ETAG, "10", "validate"},
    {"swr fresh=10 stale=60", CC "max-stale=5", "200 ", "15", "refresh"},
    {"swr fresh=10 stale=60", CC "max-stale=5", "200 ", "16", "validate"},
    /* stale-if-error: as far as any window of the entry */
    {"swr fresh=10 down=60", CC "stale-if-error=30", "200 ", "39", "if-error"},
    {"swr fresh=10 down=60", CC "stale-if-error=30", "200 ", "39 failed", "fresh"},
    {"swr fresh=10 down=60", CC "stale-if-error=30", "200 ", "40 failed", "if-down"},
    {"swr fresh=10 down=60", CC "stale-if-error=999", "200 ", "70 failed", "gone"},
    {"swr fresh=10 error=60", CC "stale-if-error=0", "200 ", "11 failed", "fresh"},
    {"swr fresh=10 down=60", CC "stale-if-error=30", "200 " CC "must-revalidate" ETAG, "11 failed", "validate"},
    /* where the origin cannot answer, the entry's windows hold for all */
    {"swr fresh=60", CC "no-cache", "200 ", "5 failed", "fresh"},
    {"swr fresh=60", CC "no-cache", "200 ", "5 down", "fresh"},
    {"swr fresh=10 error=60", CC "max-age=0", "200 ", "11 failed", "fresh"},
    {"swr fresh=10 error=60", CC "max-stale=5", "200 ", "16 failed", "fresh"},
    /* immutable (RFC 8246): a reload need not ask as long as it is fresh, a forced one does */
    {"swr", CC "max-age=0", "200 " CC "max-age=60, immutable", "5", "fresh"},
    {"swr", CC "no-cache", "200 " CC "max-age=60, immutable", "5", "validate"},
    {"swr stale=60", CC "max-age=0", "200 " CC "max-age=60, immutable", "61", "validate"},
    {"swr stale=60", CC "max-age=0", "200 " CC "max-age=60, immutable", "5 purged", "validate"},
};
/* clang-format on */

static void what_is_stored(void **state)
{
    (void)state;
    check_all(storing, COUNT(storing));
}

static void how_long_it_is_fresh(void **state)
{
    (void)state;
    check_all(lifetimes, COUNT(lifetimes));
}

static void how_old_it_came(void **state)
{
    (void)state;
    check_all(ages, COUNT(ages));
}

static void what_stale_ones_are_good_for(void **state)
{
    (void)state;
    check_all(windows, COUNT(windows));
}

static void what_policies_and_purges_make_of_it(void **state)
{
    (void)state;
    check_all(by_policy, COUNT(by_policy));
}

static void what_clients_may_wish(void **state)
{
    (void)state;
    check_all(wishes, COUNT(wishes));
}

/* A life in numbers: `stale` of a route that asks first is for failures. */
static void stale_stands_in_where_the_network_is_asked_first(void **state)
{
    static const char *const routes[] = {"network-first fresh=1 stale=7 error=5 down=9",
                                         "cache-first fresh=1 stale=5 error=7 down=9"};
    struct http_head request, answer;
    struct cache_storing s;
    char room[TEXT_BYTES];

    (void)state;
    http_head_clear(&request);
    answer_of(&answer, room, "200 ");
    for (size_t i = 0; i < COUNT(routes); i++) {
        const struct place p = place_of(routes[i]);
        const struct cache_life expected = {.fresh_ms = 1000, .error_ms = 7000, .down_ms = 9000};
        cache_may_store(&p.route, &request, &answer, false, WALL_MS, 0, &s);
        assert_memory_equal(&s.life, &expected, sizeof expected);
    }
}

/* An entry that a reloaded configuration finds under a policy it was not stored under. */
static void an_entry_of_another_policy(void **state)
{
    const struct cache_life l = {.fresh_ms = 1000, .stale_ms = 1000};
    struct cache_moment m = {.policy = CACHE_STALE_WHILE_REVALIDATE};

    (void)state;
    assert_int_equal(cache_judge(&l, 1500, &m), CACHE_USE_REFRESH);
    m.policy = CACHE_FIRST;
    assert_int_equal(cache_judge(&l, 1500, &m), CACHE_USE_IF_ERROR);
    m.policy = CACHE_NETWORK_FIRST;
    assert_int_equal(cache_judge(&l, 500, &m), CACHE_USE_IF_ERROR);
    m.policy = CACHE_OFF;
    assert_int_equal(cache_judge(&l, 500, &m), CACHE_USE_NOT);
    m.has_failed = true;
    assert_int_equal(cache_judge(&l, 500, &m), CACHE_USE_NOT);
}

static void failures_are_remembered_as_the_route_says(void **state)
{
    const struct cache_moment m = {.policy = CACHE_STALE_WHILE_REVALIDATE},
                              down = {.policy = CACHE_FIRST, .is_origin_down = true};
    struct place p = place_of("swr fresh=60 stale=60 error=60 down=60 negative=2");
    struct cache_life l = cache_negative_life(&p.route);

    (void)state;
    assert_int_equal(cache_judge(&l, 1999, &m), CACHE_USE_FRESH);
    assert_int_equal(cache_judge(&l, 2000, &m), CACHE_USE_NOT);
    assert_int_equal(cache_judge(&l, 2000, &down), CACHE_USE_NOT);
    p = place_of("swr fresh=60");
    l = cache_negative_life(&p.route);
    assert_int_equal(cache_judge(&l, 0, &m), CACHE_USE_NOT);
}

static void store_again(struct cache_storing *s, const char *route, const char *stored, const char *not_modified)
{
    const struct place p = place_of(route);
    struct http_head old, now, request;
    char rooms[2][TEXT_BYTES];

    http_head_clear(&request);
    answer_of(&old, rooms[0], stored);
    answer_of(&now, rooms[1], not_modified);
    const struct cache_entry e = {
        .magic = CACHE_ENTRY_MAGIC, .status = old.status, .fields = old.fields, .field_count = old.field_count};
    cache_may_store_again(&p.route, &request, &e, &now, p.is_scoped, WALL_MS, p.delay_ms, s);
}

/* Section 4.3.4: what a 304 does not say, the stored answer has said. */
static void a_304_makes_it_young_again(void **state)
{
    struct cache_storing s;

    (void)state;
    store_again(&s, "swr", "200 " CC "max-age=60\ndate: @-500" ETAG, "304 ");
    assert_true(s.may_store);
    assert_int_equal(s.life.fresh_ms, 60000);
    assert_int_equal(s.age_ms, 0);
    assert_int_equal(s.life.keep_ms, 600000);

    store_again(&s, "swr delay=1", "200 " CC "max-age=60" ETAG, "304 " CC "max-age=5\nage: 2");
    assert_int_equal(s.life.fresh_ms, 5000);
    assert_int_equal(s.age_ms, 3000);

    store_again(&s, "swr", "200 expires: @-400\ndate: @-500" ETAG, "304 date: @0\nexpires: @30");
    assert_int_equal(s.life.fresh_ms, 30000);

    store_again(&s, "swr", "200 " CC "max-age=60" ETAG, "304 " CC "no-store");
    assert_false(s.may_store);
    assert_string_equal(s.why, "no-store");
}

static void a_304_with_more_fields_than_there_is_room(void **state)
{
    struct http_head many;
    struct cache_storing s;
    const struct place p = place_of("swr fresh=5");

    (void)state;
    http_head_clear(&many);
    while (http_head_add(&many, http_view_of("x-a"), http_view_of("1"))) {
    }
    struct http_field other = {.name = http_view_of("x-b"), .value = http_view_of("2")};
    const struct cache_entry e = {.magic = CACHE_ENTRY_MAGIC, .status = 200, .fields = &other, .field_count = 1};
    cache_may_store_again(&p.route, &many, &e, &many, false, WALL_MS, 0, &s);
    assert_false(s.may_store);
    assert_string_equal(s.why, "too-many-fields");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_stored),
        cmocka_unit_test(how_long_it_is_fresh),
        cmocka_unit_test(how_old_it_came),
        cmocka_unit_test(what_stale_ones_are_good_for),
        cmocka_unit_test(what_policies_and_purges_make_of_it),
        cmocka_unit_test(what_clients_may_wish),
        cmocka_unit_test(stale_stands_in_where_the_network_is_asked_first),
        cmocka_unit_test(an_entry_of_another_policy),
        cmocka_unit_test(failures_are_remembered_as_the_route_says),
        cmocka_unit_test(a_304_makes_it_young_again),
        cmocka_unit_test(a_304_with_more_fields_than_there_is_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
