/* Telling the service manager how things stand: the datagram protocol of sd_notify(3), by hand. Without a manager
 * everything here does nothing. */
#ifndef GATEWAY_SUPER_NOTIFY_H
#define GATEWAY_SUPER_NOTIFY_H

#include <stdint.h>

#include "base/loop.h"

struct notify;

/* `socket_path` as in NOTIFY_SOCKET ("/path", or "@name" for an abstract socket; NULL: no manager). With
 * `watchdog_us` (0: none) a sign of life is sent twice as often as the manager wants one. */
struct notify *notify_create(struct loop *l, const char *socket_path, int64_t watchdog_us);
/* The same from the environment, whose variables are removed so that children do not speak for the service. */
struct notify *notify_create_from_environment(struct loop *l);
void notify_destroy(struct notify **np);

void notify_ready(struct notify *n);
void notify_reloading(struct notify *n); /* until the next notify_ready() */
void notify_stopping(struct notify *n);
void notify_status(struct notify *n, const char *text); /* one line for people */

#endif
