/* A server that was frozen (paused, out of memory, cut off) and goes on has a backlog: what the others of its cluster
 * said meanwhile lies in its sockets, beside the requests of those who come to it now. It may well answer these first.
 * Who joins then is told what is old, and what he has heard elsewhere.
 *
 * So the gateway keeps in mind, of each server, when it was last seen to come late: it answered a handshake or a sign
 * of life long after it was asked, owes one since long, or is back after the checks had found it silent. For a moment
 * after that it is not calm. Pure; all zero is a server of which nothing is known, which is calm. */
#ifndef GATEWAY_UPSTREAM_LAG_H
#define GATEWAY_UPSTREAM_LAG_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf_session.h"

#define LAG_LATE_MS 300 /* an answer that took so long is late, where nobody said what is (hedge_after) */
#define LAG_CALM_MS 300 /* to read what lies in the sockets; a server that has nothing else to do needs much less */

/* From when on answers of this route's servers are late: whoever waits so long asks another one, too. */
static inline int64_t lag_limit_ms(const struct conf_session *c)
{
    return c->hedge_ms > 0 ? c->hedge_ms : LAG_LATE_MS;
}

struct lag {
    int64_t asked_ms; /* the first sign of life that it owes; 0: none */
    int64_t late_ms;  /* when it last came late; 0: never */
    bool is_silent;   /* found down by its silence, and not back yet */
};

/* It was asked for a sign of life. */
void lag_asked(struct lag *l, int64_t now_ms);
/* It gave one, or whoever asked does not wait for it any more. */
void lag_forget(struct lag *l);
/* It answered what it was asked `took_ms` ago; longer than `limit_ms` is late. */
void lag_answered(struct lag *l, int64_t took_ms, int64_t limit_ms, int64_t now_ms);
/* The checks found it down: because it did not answer in time, or for another reason. */
void lag_went_down(struct lag *l, bool is_silent);
/* The checks found it up again. */
void lag_came_up(struct lag *l, int64_t now_ms);

/* It took a WebSocket just now: how long until it will be calm; 0: it is. */
int64_t lag_calm_in_ms(struct lag *l, int64_t limit_ms, int64_t now_ms);

#endif
