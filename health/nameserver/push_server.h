/* Somebody else's server that is told what the steered names are answered with (dns.push), and how that goes.
 *
 * It is told when the answers change, once after the start and once after this gateway has become the one that decides;
 * every hour, should somebody have changed them there; and again and again while telling fails, after pauses that grow.
 * One visit at a time: what changes meanwhile is told by the next. Gateways that follow a leader tell nothing, nor do
 * those that have just begun to look for one. That it fails, and that it works again, is logged and journalled; answers
 * of our own do not depend on it. */
#ifndef HEALTH_NAMESERVER_PUSH_SERVER_H
#define HEALTH_NAMESERVER_PUSH_SERVER_H

#include <stdbool.h>

#include "base/event.h"
#include "base/loop.h"
#include "base/resolve.h"
#include "base/stats.h"
#include "conf/conf.h"
#include "health/dns/push_plan.h"

struct push_server;

typedef void push_event_fn(void *arg, const struct event *e);

/* What all servers share; borrowed. */
struct push_env {
    struct loop *loop;
    struct resolver *resolver;
    struct stats_block *block;
    struct push_choice choice; /* of the moment; its record is replaced in place */
    int64_t alone_from_ms; /* who decides alone tells nothing before this: he may only not have met the others yet */
    struct {
        int64_t again_ms;               /* after a success */
        int64_t retry_ms, retry_max_ms; /* after a failure: at first, then twice as long each time, up to */
    } pace;
    push_event_fn *on_event;
    void *arg;
};

struct push_server *push_server_create(const struct push_env *env);
void push_server_destroy(struct push_server **sp);

/* NULL, or why it cannot be used; then nothing is told until one can. `conf` and `push` are borrowed until the next. */
const char *push_server_take_conf(struct push_server *s, const struct conf_dns *conf, const struct conf_dns_push *push);
/* The choice may have changed, or what names resolve to. */
void push_server_look(struct push_server *s);
/* Whether it is this server and zone, as it was configured before. */
bool push_server_is(const struct push_server *s, const struct conf_dns_push *push);

#endif
