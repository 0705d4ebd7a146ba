/* One steered record of the configuration, prepared for being decided again and again: where the verdicts stand that
 * its answers follow, and how it is called in the journal.
 *
 * Pure: it reads verdicts, by slot, and chooses nothing itself. */
#ifndef HEALTH_CHECKER_STEERED_H
#define HEALTH_CHECKER_STEERED_H

#include "base/event.h"
#include "base/slots.h"
#include "conf/conf.h"
#include "health/quorum.h"
#include "health/steer.h"

#define STEERED_ANSWERS_MAX 32u

/* A server that has to stand for an answer to stand: its target, or what it requires. */
struct steered_part {
    uint32_t answer;  /* its number */
    int slot;         /* -1: nobody knows it, nobody judges it */
    const char *name; /* of the slot */
};

struct steered {
    const struct conf_dns_record *record; /* borrowed from the configuration */
    uint64_t id;                          /* steering_id() */
    char name[EVENT_SUBJECT_BYTES];       /* absolute, without the last dot */
    struct steer_policy policy;
    size_t count; /* of answers */
    struct steer_candidate candidates[STEERED_ANSWERS_MAX];
    size_t part_count;
    struct steered_part *parts; /* in the order of the answers; owned */
};

/* `r` has answers, of the zone `zone`. */
void steered_init(struct steered *s, const char *zone, const struct conf_dns_record *r, const struct slots *slots);
void steered_fini(struct steered *s);

/* What all parts of each answer come to: one that is down takes it down, one that is unknown leaves it unknown, one
 * that drains drains it. The check that may change it first is told, of those that can. */
void steered_look(const struct steered *s, const struct quorum_verdict verdicts[SLOTS_SERVERS],
                  struct steer_view views[STEERED_ANSWERS_MAX]);

/* The answers of a choice by the names of their targets: "us-edge", "us-a,us-b", "us-a,+7". */
void steered_choice_text(const struct steered *s, uint32_t chosen, char out[EVENT_WORD_BYTES]);
/* What became of its parts: "targets/us-edge is down, targets/eu-edge drains"; "" when nothing did. `before` and `now`
 * by slot, as in struct steering_peer. */
void steered_cause(const struct steered *s, const uint8_t before[SLOTS_SERVERS], const uint8_t now[SLOTS_SERVERS],
                   char out[EVENT_CAUSE_BYTES]);

#endif
