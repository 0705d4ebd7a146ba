/* A pace, pure: a token bucket that says when a server may be given more work of a kind that is hard on it (joins that
 * are made again for sessions that lost another server).
 *
 * Kept as what is missing from a full bucket, so that all zero is a full one and limits may change at any time. */
#ifndef GATEWAY_UPSTREAM_PACE_H
#define GATEWAY_UPSTREAM_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pace_limits {
    double per_s; /* 0: none */
    double burst; /* the size of the bucket; at least 1 counts */
};
/* This process's part of limits that `share_count` processes keep together. */
struct pace_limits pace_share(uint32_t per_s, uint32_t burst, uint32_t share_count);

struct pace {
    double missing;
    int64_t at_ms; /* as of this time */
};

/* How long until `cost` may be taken; 0: now. What is more than the bucket may be taken from a full one. */
int64_t pace_wait_ms(struct pace *p, const struct pace_limits *l, uint32_t cost, int64_t now_ms);
/* Takes it, whether it may be or not: what is missing then delays the next. */
void pace_take(struct pace *p, const struct pace_limits *l, uint32_t cost, int64_t now_ms);

#endif
