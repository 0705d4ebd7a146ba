/* The others who judge with us, met in Redis: one exchange there and back every quorum.interval, at once when something
 * flipped. It tells our view, with a lifetime, and brings the fresh views of the others and the leader's decision.
 *
 * One of those that may lead (gateways that answer DNS) holds a lease and leads; every lease has a term of its own,
 * larger than any before, and a decision of an older term is refused there, so that who was away and does not know it
 * cannot undo anything. Ages are Redis' own time: no clocks are compared. Redis may be away, slow or hold anything:
 * every exchange has a deadline, and then there are no others until it is back. */
#ifndef HEALTH_CHECKER_FLEET_H
#define HEALTH_CHECKER_FLEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/birth.h"
#include "base/loop.h"
#include "conf/conf.h"
#include "health/decision.h"

struct fleet;

/* Views, leadership, decision or connection changed. Never from inside a call of fleet_*. */
typedef void fleet_news_fn(void *arg);

/* `b`: the tables this process was born with; borrowed for life. */
struct fleet *fleet_create(struct loop *l, const struct birth *b, fleet_news_fn *on_news, void *arg);
/* Says good-bye first, so that the others need not wait for the end of our lease and view; a view with an operator's
 * word stays for its lifetime, that a restart does not undo it for a moment. That turns the loop for up
 * to FLEET_LEAVE_MS: whatever else lives on it is still there, or gone from it. No news from here on. */
#define FLEET_LEAVE_MS 300
void fleet_destroy(struct fleet **fp);
/* Follows conf.quorum and node (a reference is taken). `highest_term` is the highest we ever heard of. `may_lead`: we
 * answer DNS; who stands alone (birth.is_alone) never may. */
void fleet_take_conf(struct fleet *f, const struct conf *c, bool may_lead, uint64_t highest_term);

/* Our view from now on (copied). `is_urgent`: something flipped, tell it at once (within 20 ms, not more often). */
void fleet_say(struct fleet *f, const struct view *mine, bool is_urgent);
/* What we decided as the leader (copied); its term is ours. Sent at once. */
void fleet_decide(struct fleet *f, const struct decision *d);
/* Somebody disagrees with what stands: exchange every FLEET_HURRY_MS instead of every quorum.interval. */
#define FLEET_HURRY_MS 100
void fleet_hurry(struct fleet *f, bool is_hurried);

/* ---- what is known now; all false or empty when alone ---- */
bool fleet_is_configured(const struct fleet *f);
bool fleet_is_connected(const struct fleet *f); /* an exchange succeeded, no longer than the lifetime ago */
/* We hold the lease by our own clock as well, counted from before we asked for it: nobody else can have it. */
bool fleet_leads(const struct fleet *f);
uint64_t fleet_term(const struct fleet *f);         /* of the lease we hold; 0: none */
uint64_t fleet_highest_term(const struct fleet *f); /* that we heard of */
const char *fleet_leader(const struct fleet *f);    /* node; "" = nobody */
/* The leader's decision as it stands in Redis, also when that is us; NULL when there is no fresh leader or it has not
 * decided yet. To us, who lead and have not decided yet, it is the one of the leader before: we go on from it. Borrowed
 * until the next turn of the loop. */
const struct decision *fleet_decision(const struct fleet *f);
/* Fresh views of the others. Borrowed likewise. */
size_t fleet_view_count(const struct fleet *f);
const struct view *fleet_view(const struct fleet *f, size_t i, int64_t *age_ms);

#endif
