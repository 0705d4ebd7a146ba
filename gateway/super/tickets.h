/* The keys of session tickets: made here, known to every worker, turned over each period (base/tls_tickets.h), so that
 * a client may come back to any worker and across reloads. They live in memory only and end with the supervisor. */
#ifndef GATEWAY_SUPER_TICKETS_H
#define GATEWAY_SUPER_TICKETS_H

#include "base/err.h"
#include "base/loop.h"
#include "base/tls_tickets.h"

struct super;
struct child;

struct tickets {
    struct tls_ticket_keys keys;
    struct timer turn; /* to the next key */
};

void tickets_init(struct super *s);
void tickets_fini(struct super *s);
/* Makes the next key and tells all workers; by itself each period. */
void tickets_turn(struct super *s);
/* Gives a worker the current keys; nothing to others. */
enum err tickets_give(const struct super *s, struct child *c) MUST_CHECK;

#endif
