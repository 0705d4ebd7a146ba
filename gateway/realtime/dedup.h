/* Tells copies from new messages while a session hears two servers at once: the one it leaves and the one it moves to.
 *
 * Realtime messages mostly have no id, so they are known by a hash of their content, and counted: each feed may be
 * ahead of the other with a message, and then the other's copy of it is suppressed. Two equal messages are two, and
 * both pass. What a feed was ahead with is forgotten after a while, for its copy may never come.
 *
 * Of a message that comes n times on one feed and m times on the other, max(n, m) are delivered, in whatever order they
 * come. */
#ifndef GATEWAY_REALTIME_DEDUP_H
#define GATEWAY_REALTIME_DEDUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEDUP_WINDOW_MS 10000 /* two servers of a cluster are milliseconds apart, and seconds at the very worst */
#define DEDUP_COUNT_MAX 4096u

enum dedup_feed { DEDUP_OLD = 0, DEDUP_NEW };

struct dedup_part {
    const void *data;
    size_t len;
};

struct dedup;

/* A message is waited for on the other feed for `window_ms`; of at most `max_count` messages, of which the oldest is
 * forgotten first. Costs next to nothing while the feeds are even. */
struct dedup *dedup_create(int64_t window_ms, uint32_t max_count);
void dedup_destroy(struct dedup **dp);

/* By what a message is known: its parts, each for itself ("ab", "c" is not "a", "bc"). Keyed, so that nobody can make
 * two messages that are taken for one. */
uint64_t dedup_hash(const struct dedup *d, const struct dedup_part *parts, size_t part_count);
/* A message came on a feed. True: it is to be delivered; false: it has been, when the other feed brought it. */
bool dedup_take(struct dedup *d, enum dedup_feed feed, uint64_t hash, int64_t now_ms);
/* The same for a message that is not delivered yet: true when it need not be, because the other feed has brought it.
 * Else nothing is remembered, and dedup_take() follows when it is delivered. */
bool dedup_take_copy(struct dedup *d, enum dedup_feed feed, uint64_t hash, int64_t now_ms);
/* Nothing more comes on a feed. What it was ahead with still suppresses the other's copies; what the other was ahead
 * with is not waited for any more. */
void dedup_end(struct dedup *d, enum dedup_feed feed);
/* A feed has ended, and no copy is waited for: from now on everything would be delivered. */
bool dedup_is_done(struct dedup *d, int64_t now_ms);

#endif
