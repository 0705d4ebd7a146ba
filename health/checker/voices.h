/* Those who judge with us, as heard last: a view each, good until its lifetime is over on our clock.
 *
 * Who votes is a node, not a process: of several with one name (one that crashed, and its successor) the one heard
 * last counts, and none of those with our own name. */
#ifndef HEALTH_CHECKER_VOICES_H
#define HEALTH_CHECKER_VOICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "health/checker/exchange.h"
#include "health/decision.h"

struct voice {
    int64_t said_ms, until_ms; /* of our clock */
    struct view *view;
    char *text; /* of it */
    size_t len;
};
struct voices { /* all zero: none */
    size_t count;
    struct voice list[STEERING_PEERS_MAX]; /* by the names of their nodes */
};

struct voices_odd {      /* what is to be complained about */
    size_t unread_count; /* were not understood */
    bool is_our_name;    /* somebody who speaks now has it */
    bool is_cut_short;   /* a voice is gone before its time: its owner left, or what all said was lost */
};

/* Takes what an exchange brought that was sent at `sent_ms`, in place of what was there; `node` is ours, since
 * `since_ms`. True when somebody is new, is gone, or says something else. */
bool voices_take(struct voices *v, const struct exchange_answer *a, const char *node, int64_t since_ms, int64_t sent_ms,
                 struct voices_odd *odd);
/* Drops those whose time is over; true when there was one. */
bool voices_lapse(struct voices *v, int64_t now_ms);
int64_t voices_lapse_ms(const struct voices *v); /* when the next one is over; INT64_MAX: none */
void voices_fini(struct voices *v);

#endif
