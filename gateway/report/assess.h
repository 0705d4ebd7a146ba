/* What the shared tables mean, worked out once per answer: the standing of every server, pool and route, and the
 * reasons why the gateway is not simply `ok`. Health, readiness, status and metrics only print it.
 *
 * The grade of the gateway is the worst grade of its findings, so nothing can be degraded without saying why. */
#ifndef GATEWAY_REPORT_ASSESS_H
#define GATEWAY_REPORT_ASSESS_H

#include <stdbool.h>
#include <stddef.h>

#include "gateway/report/report.h"

enum grade { GRADE_OK = 0, GRADE_DEGRADED, GRADE_DOWN };
const char *grade_text(enum grade g);

struct server_standing {
    const struct conf_pool *pool; /* NULL: a target, nobody's server */
    const struct conf_server *server;
    int slot; /* -1: not in the shared tables yet */
    struct verdict verdict;
    bool is_draining; /* by configuration (drain, or weight 0) or by an operator: takes no new clients */
};

struct pool_standing {
    const struct conf_pool *pool;
    struct server_standing *servers; /* server_count of them, inside the assessment */
    size_t up_count, down_count, unknown_count, draining_count;
    bool is_served;
    bool is_failing_open;     /* served, but only by servers that are down */
    enum conf_tier tier;      /* in use; valid while is_served */
    enum conf_tier tier_best; /* the best one configured */
    enum grade grade;
};

struct role_standing {
    uint32_t expected_count;
    uint32_t ready_count;
};

struct assessment {
    struct pool_standing *pools;     /* conf->pool_count */
    struct server_standing *servers; /* of all pools, one after the other */
    size_t server_count;
    struct server_standing *targets; /* conf->target_count */
    struct steering_record *record;  /* what was decided; NULL: nothing is configured for it, or not known here */
    struct steering_fleet *fleet;    /* who judges with us; NULL: nobody is to, or not known here */
    int *route_slots;                /* conf->route_count; -1: not in the shared tables yet */
    struct role_standing roles[ROLE_COUNT];
    bool has_checks;          /* some server is probed, so a silent checker matters */
    int64_t heartbeat_age_ms; /* of the checker; -1: it never reported */
    enum grade grade;         /* of the whole gateway */
    struct strbuf reasons;    /* JSON strings with commas between */
};

void assess_init(struct assessment *a, const struct report_view *v);
void assess_fini(struct assessment *a);

/* DNS and quorum, in assess_dns.c: takes what was decided from shared memory and adds what is to be said about it. */
void assess_dns(struct assessment *a, const struct report_view *v);

bool dns_is_configured(const struct conf *c);

/* Of names for people, as long as any can be. */
#define DNS_TEXT_BYTES 256u
/* A record's whole name, without the dot at its end. */
const char *steered_name_text(const struct conf *c, const struct conf_dns_record *r, char out[DNS_TEXT_BYTES]);
/* What an answer is about: its target as the configuration names it, or what is answered. */
const char *dns_answer_text(const struct conf_dns_answer *r);
/* The names of the answers that `chosen` has bits of, with commas between. */
void dns_chosen_text(const struct conf_dns_record *r, uint32_t chosen, char *out, size_t size_bytes);
/* The row of a steered record; NULL while nothing is decided about it. */
const struct steering_row *dns_row(const struct assessment *a, const struct conf_dns_record *r);
/* The node that decides, ourselves included; NULL: nobody, or not known. */
const char *quorum_leader(const struct assessment *a, const struct conf *c);

/* Adds a finding: its sentence, and its weight on the gateway's grade. */
void assess_find(struct assessment *a, enum grade g, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The value of the JSON member "tier": the tier in use, NULL when nothing is served. */
const char *pool_tier_text(const struct pool_standing *p);

/* Walks the rows of the roster in use; NULL at the end. Start with *cursor = 0. */
const struct roster_row *roster_next(const struct roster *r, size_t *cursor);

#endif
