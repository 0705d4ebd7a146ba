/* Resident memory of every process in the roster, read from /proc when somebody asks for a report. */
#ifndef GATEWAY_ADMIN_RSS_H
#define GATEWAY_ADMIN_RSS_H

#include <stdint.h>

#include "base/roster.h"

/* Fills ROSTER_ROWS entries; 0 for rows without a process and where /proc does not tell. */
void rss_read(const struct roster *r, uint64_t *rss_bytes);

#endif
