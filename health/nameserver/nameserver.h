/* The DNS process: one struct, and its life. It answers what the checker decided, and goes on doing so when the checker
 * is dead; it needs no files and probes nobody. */
#ifndef HEALTH_NAMESERVER_NAMESERVER_H
#define HEALTH_NAMESERVER_NAMESERVER_H

#include "base/birth.h"
#include "base/loop.h"

struct nameserver;

/* `birth` is borrowed. */
struct nameserver *nameserver_create(struct loop *l, const struct birth *birth);
void nameserver_destroy(struct nameserver **np);

#endif
