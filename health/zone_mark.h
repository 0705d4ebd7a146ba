/* A number for the part of a zone that nobody steers: it is another one when a record, the SOA or a nameserver is. Who
 * gives out serials compares it with that of the last serial, also over restarts. */
#ifndef HEALTH_ZONE_MARK_H
#define HEALTH_ZONE_MARK_H

#include <stdint.h>

#include "conf/conf.h"

/* Steered records count by what they are (steering_id), not by how they are steered. Never 0. */
uint64_t zone_mark(const struct conf_dns *d);

#endif
