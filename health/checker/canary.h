/* A canary of Phoenix Channels (vsn 2.0.0): a broadcast sent at one server, the peer, has to arrive at another, the one
 * that is judged. It finds the region that answers every heartbeat and is cut off from all others.
 *
 * Pure: messages in, messages out. Both sides are joined, the broadcast is sent over THERE and awaited HERE, then both
 * are left. What goes wrong over THERE is no word about HERE. */
#ifndef HEALTH_CHECKER_CANARY_H
#define HEALTH_CHECKER_CANARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum canary_side { CANARY_HERE = 0, CANARY_THERE };
#define CANARY_SIDES 2

#define CANARY_NONCE_BYTES 32u

enum canary_outcome {
    CANARY_OPEN = 0,
    CANARY_CROSSED, /* and both sides have been told that we leave */
    CANARY_REFUSED, /* the server judged does not let us join */
    CANARY_UNKNOWN, /* the peer is gone, or does not let us join */
};

struct canary;

/* `random`: what makes this broadcast unlike all others. */
struct canary *canary_create(const char *topic, const uint8_t random[CANARY_NONCE_BYTES / 2]);
void canary_destroy(struct canary **cp);

void canary_up(struct canary *c, enum canary_side side); /* it can be spoken to */
void canary_lost(struct canary *c);                      /* over THERE */
/* A piece of a message, wherever it was cut. */
void canary_hear(struct canary *c, enum canary_side side, const char *piece, size_t len, bool is_last);

bool canary_wants_to_say(const struct canary *c, enum canary_side side);
/* The next message to send on that side, added to `out`; only when it wants to say something. */
void canary_say(struct canary *c, enum canary_side side, struct strbuf *out, int64_t now_ms);

enum canary_outcome canary_outcome(const struct canary *c);
/* Time is up, and so much of it there was altogether. UNKNOWN when the peer is late, OPEN when the server judged has
 * not let us join yet, CROSSED when only the good-bye was missing; REFUSED when the broadcast had a fair chance (half
 * of the time) and did not come. */
enum canary_outcome canary_expire(const struct canary *c, int64_t now_ms, int64_t timeout_ms);

#endif
