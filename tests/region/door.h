/* The door: accepts connections and reads each request's head, and its body, before libwebsockets sees the socket. Here
 * a request is recorded exactly as it came, waits (delay), is refused (refuse, upgrade_status) or never gets in
 * (hang=upgrade). */
#ifndef REGION_DOOR_H
#define REGION_DOOR_H

#include <stdint.h>

#include "base/err.h"

struct region;
struct door;

/* NULL when the address cannot be had; the log says why. */
struct door *door_create(struct region *r, const char *listen);
uint16_t door_port(const struct door *d);
void door_shut(struct door *d);    /* accepts nobody any more */
void door_recheck(struct door *d); /* the knobs changed: who hangs may come in */
void door_destroy(struct door **dp);

#endif
