/* Everything that answers are made of under one configuration: the zone, the choices in it, cookies, NSID, the limit.
 * Made whole before anything of the one before is given up, so that a configuration that cannot be used changes
 * nothing. */
#ifndef HEALTH_NAMESERVER_SITE_H
#define HEALTH_NAMESERVER_SITE_H

#include "conf/conf.h"
#include "health/dns/answer.h"
#include "health/dns/limit.h"
#include "health/dns/zone_conf.h"
#include "health/nameserver/choices.h"

struct site {
    uint32_t magic;
    struct conf *conf;
    struct zone_conf zone;
    struct cookie_secrets cookies;
    struct dns_service service;
    struct choices *choices;
    struct limit *limit; /* NULL: none */
};

/* What is random, and the same for as long as the process lives. */
struct site_secrets {
    uint8_t cookie[COOKIE_SECRET_BYTES];
    uint8_t limit[LIMIT_KEY_BYTES];
};

/* Takes a reference to `conf`. NULL, with the reason in `why`, when there can be no such zone. `serial` is answered
 * until the steering table has one. */
struct site *site_create(struct conf *conf, const struct steering_table *table, const struct site_secrets *secrets,
                         uint32_t serial, char why[ZONE_CONF_WHY_BYTES]);
void site_destroy(struct site **sp);

#endif
