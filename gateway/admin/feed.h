/* The newest events, as the supervisor sends them, for those who look on: the admin pages, live or not, and the alerts.
 * Readers hold nothing but the number of the last event they have seen; who falls behind what is kept has lost some. */
#ifndef GATEWAY_ADMIN_FEED_H
#define GATEWAY_ADMIN_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/event.h"

#define FEED_KEPT 1024u

struct feed;

struct feed *feed_create(void);
void feed_destroy(struct feed **fp);
/* Takes an event with its number. False for one that is not newer than all before. */
bool feed_add(struct feed *f, const struct event *e);
/* The oldest that is kept; one more than the last when there is none. */
uint64_t feed_first_seq(const struct feed *f);
uint64_t feed_last_seq(const struct feed *f); /* 0: none yet */
/* One of those kept, borrowed until the next feed_add(); NULL for numbers that are missing. */
const struct event *feed_at(const struct feed *f, uint64_t seq);

#define FEED_LIMIT_USUAL 100u
/* Adds {"first":..,"last":..,"events":[..]}: of the events after `after` the first `limit` (0: FEED_LIMIT_USUAL), or,
 * when `after` is 0, the newest. */
void feed_json(const struct feed *f, uint64_t after, uint64_t limit, struct strbuf *out);
/* Adds the events after *cursor as server-sent events, about `bytes` of them, and moves the cursor behind them. */
void feed_sse(const struct feed *f, uint64_t *cursor, size_t bytes, struct strbuf *out);

#endif
