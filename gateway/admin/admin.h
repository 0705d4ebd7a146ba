/* The admin process: takes the configuration and one listening socket from the supervisor, and shows what the shared
 * tables say. It writes nothing that others read. */
#ifndef GATEWAY_ADMIN_ADMIN_H
#define GATEWAY_ADMIN_ADMIN_H

#include "base/birth.h"
#include "base/loop.h"

struct admin;

/* `birth` is borrowed. NULL when the HTTP server cannot start. */
struct admin *admin_create(struct loop *l, const struct birth *birth);
void admin_destroy(struct admin **ap);

#endif
