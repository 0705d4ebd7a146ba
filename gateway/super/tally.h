/* Sessions of many clients that lost one server at once: the workers say how theirs fare (MSG_LOSSES), and the journal
 * gets one line for all of them. */
#ifndef GATEWAY_SUPER_TALLY_H
#define GATEWAY_SUPER_TALLY_H

#include "base/ipc.h"
#include "base/list.h"
#include "base/log.h"
#include "base/loop.h"

/* Fewer are no mass failover: a few sessions come and go with every hiccup of a network, and the counters have them. */
#define TALLY_SESSIONS_MIN 10u
/* Workers see a server die at the same moment, and tell of it within this time of each other. */
#define TALLY_QUIET_MS 1000
/* Longer than a worker takes to tell how it went (gateway/realtime/losses.h), so that a lost message delays a line and
 * does not swallow it. */
#define TALLY_LATEST_MS 15000

struct super;
struct child;

struct tallies {
    struct list list;
    uint32_t count;
    struct timer timer;
    struct log_limit complaints;
};

void tallies_init(struct super *s);
void tallies_fini(struct super *s);

/* A worker's account. */
void tallies_take(struct super *s, const struct child *from, const struct msg_losses *m);
/* Its process is gone: what it was going to tell will not come. */
void tallies_forget(struct super *s, const struct child *c);

#endif
