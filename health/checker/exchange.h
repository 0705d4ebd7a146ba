/* One exchange with the others who judge with us: a script that Redis runs in one piece, so that nobody sees half of
 * it. It takes our view, keeps or takes the lease, takes our decision if we lead, and brings what all others said.
 *
 * Four keys, under one hash tag so that a cluster has them in one place; none outlives those who use it by more than a
 * lifetime, but the last decision, from which the next leader goes on, and the count of terms: they stay for
 * EXCHANGE_DECISION_HOURS and EXCHANGE_TERM_DAYS:
 *   {PREFIX:GROUP}:views      hash: who (a random id per process) -> said at (Redis' time), lifetime, view
 *   {PREFIX:GROUP}:lease      who leads, in which term, and the name of the node
 *   {PREFIX:GROUP}:decision   the term, and what its leader decided
 *   {PREFIX:GROUP}:term       the highest term ever; the first one is the time in milliseconds
 *
 * Pure: words for Redis in, its reply out. Anything may stand under these keys, and any reply may come. */
#ifndef HEALTH_CHECKER_EXCHANGE_H
#define HEALTH_CHECKER_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "cache/l2_wire.h"
#include "health/steering.h"

#define EXCHANGE_DECISION_HOURS 24
#define EXCHANGE_TERM_DAYS      30
#define EXCHANGE_TERM_MAX       (UINT64_C(1) << 52) /* Redis' scripts count in doubles */
#define EXCHANGE_WHO_BYTES      33u                 /* 32 hexadecimal digits */
#define EXCHANGE_KEY_BYTES      192u

enum exchange_key { EXCHANGE_VIEWS = 0, EXCHANGE_LEASE, EXCHANGE_DECISION, EXCHANGE_TERM, EXCHANGE_KEYS };
struct exchange_names {
    char text[EXCHANGE_KEYS][EXCHANGE_KEY_BYTES];
};
/* False when prefix and group are too long together. */
bool exchange_names_make(struct exchange_names *n, const char *prefix, const char *group);

struct exchange_ask { /* texts are borrowed until the words are made */
    const struct exchange_names *names;
    const char *who;
    const char *node;
    struct slice view;     /* empty: we leave; view and lease are dropped, and the answer says nothing */
    int64_t lifetime_ms;   /* of the view, and of a lease */
    bool may_lead;         /* takes a lease nobody has, if we have spoken before; false: one we hold is dropped */
    uint64_t highest_term; /* we heard of; a lease of an older one, and one to come, are not worth having */
    uint64_t decision_term;
    struct slice decision; /* empty: none, or nothing new */
};
/* The words borrow from `q`. The first key is where they go. */
void exchange_words(const struct exchange_ask *q, struct l2_args *words);

struct exchange_peer {
    const char *who;
    int64_t age_ms, left_ms; /* of the view, when the script ran */
    struct slice view;
};
struct exchange_answer { /* texts are borrowed from the reply */
    uint64_t term;       /* of the lease; the highest ever when there is none. 0: there never was one */
    bool is_led, is_ours;
    struct slice leader;     /* node; empty when nobody leads */
    int64_t lease_left_ms;   /* likewise 0 */
    struct slice decision;   /* of this leader in this term, or to him of an earlier one; empty: none yet */
    bool is_full;            /* as many as may speak speak already: our view was not taken */
    uint32_t repaired_count; /* keys and views that were none of ours, and are gone */
    size_t peer_count;
    struct exchange_peer peers[STEERING_PEERS_MAX];
};
/* False when this is no answer of the script. */
bool exchange_read(struct exchange_answer *a, const struct l2_reply *reply);

#endif
