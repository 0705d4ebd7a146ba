/* The shared tables: created once, inherited by every child, and never moved or resized. */
#ifndef GATEWAY_SUPER_TABLES_H
#define GATEWAY_SUPER_TABLES_H

#include <stdbool.h>

#include "base/roster.h"
#include "base/shm.h"
#include "base/slots.h"
#include "base/stats.h"
#include "conf/conf.h"
#include "health/steering.h"

#define TABLES_ERROR_BYTES 256u

struct tables {
    struct shm slots_shm, roster_shm, stats_shm, verdicts_shm;
    struct slots *slots;
    struct roster *roster;
    struct stats *stats;
    struct health_table *health;
    int slots_reader_fd, roster_reader_fd, verdicts_reader_fd; /* cannot be mapped writable */
    int nudge_fd;
};

enum err tables_create(struct tables *t) MUST_CHECK;
void tables_fini(struct tables *t);

/* Gives every server and route of `c` a row and clears the rows that are new. False, with a sentence in `error`, when a
 * name gets none. Rows in use stay with their owners either way; tables_retire() takes back what was claimed in vain.
 */
bool tables_claim(struct tables *t, const struct conf *c, char error[TABLES_ERROR_BYTES]);
/* Retires the rows of names that are not in `c`. */
void tables_retire(struct tables *t, const struct conf *c);

#endif
