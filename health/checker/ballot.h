/* Who says what about every server of the configuration, and what that comes to.
 *
 * Our own vote comes from the verdict table, those of the others from the views that the fleet brings. A verdict we
 * only remember from a former run, and which no probe of this one has borne out, is no vote while there is a decision
 * that knows better. Who is cut off, ourselves or others, is heard for the sake of its operator's words alone.
 *
 * What was decided last about each server is kept here by name as `believed`: a tie goes to it, and when others decide,
 * or nobody may at the moment, it stands. */
#ifndef HEALTH_CHECKER_BALLOT_H
#define HEALTH_CHECKER_BALLOT_H

#include "base/slots.h"
#include "conf/conf.h"
#include "health/checker/fleet.h"
#include "health/decision.h"
#include "health/quorum.h"
#include "health/steering.h"
#include "health/verdict.h"

struct ballot;

/* Both tables outlive it. */
struct ballot *ballot_create(const struct verdict_table *verdicts, const struct slots *slots);
void ballot_destroy(struct ballot **bp);

/* The servers and targets of `c` that have a slot; `c` is borrowed until the next one. Nothing is believed about any of
 * them then, and no peer is known, until ballot_believe() and ballot_hear(). */
void ballot_take_conf(struct ballot *b, const struct conf *c);
/* What was decided about servers we know. It stands until the next one, for those that are in it. */
void ballot_believe(struct ballot *b, const struct decision *d);
/* A probe of this server has ended, and the table says what follows. */
void ballot_probed(struct ballot *b, int slot);
/* Takes over what the others say now; `wall_ms` is that of now. */
void ballot_hear(struct ballot *b, const struct fleet *f, int64_t wall_ms);
/* Takes over what the verdict table says now. */
void ballot_look(struct ballot *b);

/* Who decides about a server's state. */
enum ballot_rule {
    BALLOT_COUNTS = 0, /* the votes do */
    BALLOT_STANDS      /* what ballot_believe() brought stands; the votes decide about the rest */
};
/* Counts the votes, for all that follows. What comes of it is believed. */
void ballot_count(struct ballot *b, enum ballot_rule rule);

/* ---- after ballot_count() ---- */
const struct quorum_verdict *ballot_verdicts(const struct ballot *b); /* by slot */
uint32_t ballot_voter_count(const struct ballot *b);
bool ballot_has_word(const struct ballot *b, int slot);             /* an operator said something about it, here */
bool ballot_is_disputed(const struct ballot *b);                    /* somebody says otherwise than what stands */
void ballot_states(const struct ballot *b, struct decision *d);     /* fills its states */
void ballot_view(const struct ballot *b, struct view *v);           /* fills our rows, and whether we are cut off */
void ballot_tell(const struct ballot *b, struct steering_fleet *f); /* fills what all say, and the peers but leader */
/* As in struct steering_peer: what all together say, by slot. */
const uint8_t *ballot_says(const struct ballot *b);

#endif
