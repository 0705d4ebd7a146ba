/* What gateways and checkers tell each other, as text that travels through Redis and stands in the state file: a view
 * (what one of them sees of the servers) and a decision (what the names are answered with, and under whose term).
 *
 * Pure: structs to bytes and back. Whoever can write to that Redis can write anything here, so parsing trusts nothing:
 * what does not parse whole is refused, counts and lengths are bounded, names are checked. Both formats begin with
 * their version. */
#ifndef HEALTH_DECISION_H
#define HEALTH_DECISION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slots.h"
#include "health/quorum.h"
#include "health/steering.h"

/* ---- a view ---- */
struct view_row {
    char name[SLOTS_NAME_BYTES]; /* "pool/server", "targets/NAME" */
    struct quorum_vote vote;
};
struct view {
    char node[STEERING_NODE_BYTES];
    char region[STEERING_NODE_BYTES];
    bool is_cut_off;
    bool is_gateway; /* may lead: it answers DNS */
    uint32_t serial; /* that it answers; 0: none yet */
    size_t count;
    struct view_row rows[SLOTS_SERVERS];
};
#define VIEW_BYTES_MAX (256u + SLOTS_SERVERS * (SLOTS_NAME_BYTES + 48u))
void view_print(const struct view *v, struct strbuf *out);
bool view_parse(struct view *v, const char *text, size_t len);
const struct view_row *view_find(const struct view *v, const char *name); /* or NULL */

/* ---- a decision ---- */
struct decision_row {
    uint64_t id;        /* steering_id() */
    uint32_t chosen;    /* never 0 */
    uint32_t last_good; /* the last choice that was not a last resort; 0: none */
    bool is_last_resort;
    bool is_draining;
};
struct decision_state { /* what all together say of a server, so that a tie stays what it was under a new leader */
    char name[SLOTS_NAME_BYTES];
    enum verdict_state state;
};
struct decision {
    uint64_t term, version;
    int64_t since_wall_ms;
    uint32_t serial;
    uint64_t zone_hash;             /* of the fixed part of the zone this serial was given to */
    char node[STEERING_NODE_BYTES]; /* who decided */
    size_t row_count;
    struct decision_row rows[CONF_DNS_STEERED_MAX];
    size_t state_count;
    struct decision_state states[SLOTS_SERVERS];
};
#define DECISION_BYTES_MAX (512u + CONF_DNS_STEERED_MAX * 64u + SLOTS_SERVERS * (SLOTS_NAME_BYTES + 16u))
void decision_print(const struct decision *d, struct strbuf *out);
bool decision_parse(struct decision *d, const char *text, size_t len);
const struct decision_row *decision_find(const struct decision *d, uint64_t id);

#endif
