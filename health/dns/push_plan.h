/* What somebody else's server is told: for every steered name of the configuration that lies in its zone, the records
 * that the choice of the moment stands for.
 *
 * As in our own answers a candidate that is a name becomes a CNAME where one may stand, and its addresses elsewhere:
 * at the apex of the server's zone, beside other records, together with other candidates. Unlike there, what cannot be
 * said now is not said at all: a candidate whose name is not resolved is left out, and a name with nothing left, or one
 * that nothing was decided about, stays at the server as it is. Pure. */
#ifndef HEALTH_DNS_PUSH_PLAN_H
#define HEALTH_DNS_PUSH_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "health/dns/answer.h"
#include "health/dns/update.h"
#include "health/steering.h"

struct push_plan;

/* What the name of an answer resolves to, as it is known now; NULL: it is not. */
typedef const struct steering_alias *push_alias_fn(void *arg, const struct conf_dns_record *record, size_t answer);

/* The choice, and where addresses of names come from. */
struct push_choice {
    const struct steering_record *record;
    push_alias_fn *alias;
    void *arg;
    bool must_flatten; /* no CNAMEs: the server has said that other records are in their way */
};

/* For the zone `zone` at that server; "" is dns.zone. The configuration is borrowed until the plan is destroyed. */
struct push_plan *push_plan_create(const struct conf_dns *conf, const char *zone);
void push_plan_destroy(struct push_plan **pp);

const struct dns_name *push_plan_zone(const struct push_plan *p);
/* How many steered names lie in the zone, and how many do not. */
size_t push_plan_count(const struct push_plan *p);
size_t push_plan_outside_count(const struct push_plan *p);

/* A number that changes when what would be told changes, whatever the order; 0: there is nothing to tell. Lifetimes do
 * not count: they follow the checks and would have every failed check told. They are sent along with what changed. */
uint64_t push_plan_digest(const struct push_plan *p, const struct push_choice *c);
/* Adds the sets of the names from number `from` on to the message, as many as fit; the number of the first that did
 * not, push_plan_count() when all are told. Names that become CNAMEs are required to have room for one. What fits no
 * message at all is left out. */
size_t push_plan_write(const struct push_plan *p, const struct push_choice *c, size_t from, struct update *u);

#endif
