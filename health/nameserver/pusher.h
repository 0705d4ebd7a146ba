/* The hidden primary: servers of dns.push are told what the steered names are answered with (RFC 2136). Watches the
 * steering table by itself; push_server.h has the rules for each server. */
#ifndef HEALTH_NAMESERVER_PUSHER_H
#define HEALTH_NAMESERVER_PUSHER_H

#include "base/loop.h"
#include "base/resolve.h"
#include "base/stats.h"
#include "conf/conf.h"
#include "health/nameserver/push_server.h"
#include "health/steering.h"

struct pusher;

struct pusher_env {
    struct loop *loop;
    struct resolver *resolver;
    struct stats_block *block; /* the process' own */
    const struct steering_table *table;
    push_alias_fn *alias;    /* what names resolve to; asked for records of the configuration in use */
    push_event_fn *on_event; /* for the journal */
    void *arg;               /* of both */
};

/* Nothing happens before the first configuration. */
struct pusher *pusher_create(const struct pusher_env *env);
void pusher_destroy(struct pusher **pp);

/* Keeps a reference. Servers that stay are told once, to be sure, and keep what is known of them. */
void pusher_take_conf(struct pusher *p, struct conf *conf);

#endif
