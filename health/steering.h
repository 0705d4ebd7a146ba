/* What the names are answered with: decided by the checker, answered by the DNS process, shown by status.
 *
 * The checker takes what it sees and what the others who judge with it say (health/quorum.h), and chooses for every
 * steered record of the configuration; the choice stands here, one row per record. The DNS process looks at nothing
 * else. Rows are found by what the record is (steering_id), not by its place: for a moment around a reload the two
 * processes hold different configurations. One writer, the checker; who dies leaves the last choice standing. */
#ifndef HEALTH_STEERING_H
#define HEALTH_STEERING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/seqlock.h"
#include "base/slots.h"
#include "conf/conf.h"
#include "health/verdict.h"

#define STEERING_NODE_BYTES 64u
#define STEERING_PEERS_MAX  16u /* others who judge with us */

/* Whose choice it is. */
enum steering_role {
    STEERING_ALONE = 0, /* ours: nobody else is there, or Redis is not */
    STEERING_LEADS,     /* ours, and the others follow */
    STEERING_FOLLOWS,   /* the leader's */
    STEERING_ROLE_COUNT
};
const char *steering_role_text(enum steering_role r); /* "alone", "leads", "follows" */

struct steering_row {
    uint64_t id;     /* steering_id() */
    uint32_t chosen; /* bit per answer of the record, never 0 */
    uint32_t ttl_s;
    uint32_t is_last_resort; /* nothing stands */
    uint32_t is_draining;    /* only what drains is left */
};

struct steering_record {   /* copied whole: multiples of 8 bytes */
    uint64_t term;         /* grows with every new leader; 0: there never was one */
    uint64_t version;      /* grows with every choice that differs from the one before */
    int64_t since_wall_ms; /* of this version */
    uint32_t serial;       /* of the zone; 0: nothing was decided yet */
    uint32_t role;         /* enum steering_role */
    uint32_t voter_count;  /* fresh views that counted, ours included */
    uint32_t row_count;
    struct steering_row rows[CONF_DNS_STEERED_MAX];
};

/* What somebody says about a server: enum verdict_state, and bits. */
#define STEERING_SAYS_STATE    3u
#define STEERING_SAYS_FORCED   4u
#define STEERING_SAYS_DRAINING 8u

struct steering_peer {
    char node[STEERING_NODE_BYTES];
    char region[STEERING_NODE_BYTES];
    int64_t heard_wall_ms;
    uint32_t is_cut_off; /* says so itself: does not vote */
    uint32_t is_gateway; /* or a checker that stands alone */
    uint32_t is_leader;
    uint32_t unused;
    uint8_t says[SLOTS_SERVERS]; /* by our slot */
};

struct steering_fleet {
    uint32_t is_configured; /* there is a quorum to be part of */
    uint32_t is_connected;  /* Redis answers */
    int64_t connected_since_wall_ms;
    uint32_t peer_count; /* those with a fresh view, not ourselves */
    uint32_t unused;
    uint8_t effective[SLOTS_SERVERS]; /* what all together say, by slot: as steering_peer.says */
    struct steering_peer peers[STEERING_PEERS_MAX];
};

#define STEERING_MAGIC 0x57ee12c9u
struct steering_table {
    uint32_t magic;
    seqlock record_sequence; /* changes with every store: a reader who saw it need not look again */
    struct steering_record record;
    seqlock fleet_sequence;
    uint32_t unused;
    struct steering_fleet fleet;
};

/* All that the checker writes, in one piece of shared memory: who needs verdicts alone maps the first part. */
struct health_table {
    struct verdict_table verdicts;
    struct steering_table steering;
};
void health_table_init(struct health_table *t); /* supervisor, once */

void steering_table_init(struct steering_table *t);
/* Checker only. */
void steering_store(struct steering_table *t, const struct steering_record *r);
void steering_store_fleet(struct steering_table *t, const struct steering_fleet *f);
/* Readers; false, and zeroes, when the writer kept it busy. Counts and texts are within bounds whatever stands there.
 */
bool steering_load(const struct steering_table *t, struct steering_record *out);
bool steering_load_fleet(const struct steering_table *t, struct steering_fleet *out);
/* Differs from `seen` when there is something new to load; `seen` begins as 0 for never. */
uint32_t steering_sequence(const struct steering_table *t);

/* What a steered record is, as a number: its name and its answers, in their order. The same on every gateway, whatever
 * else its configuration has. Never 0. */
uint64_t steering_id(const struct conf_dns_record *r);
/* What a record of the zone is called: absolute, without the last dot; "zone" for "@". Cut off where it does not fit.
 */
void steering_name(const char *zone, const char *record_name, char *out, size_t cap_bytes);
/* The row of this record, or NULL. */
const struct steering_row *steering_find(const struct steering_record *s, uint64_t id);

#endif
