/* The decision what every steered record is answered with.
 *
 * From the verdict table, the views of the others and what was decided before it makes the choices, gives them a
 * version and the zone a serial, keeps them in the file `steering` of the state directory, and only then lets the DNS
 * process have them (health/steering.h). Who leads, or is alone, decides; who follows adopts what the leader decided,
 * about the records both have. While nobody may decide, for the time of a lease, and while nobody sees anything, the
 * last decision stands. */
#ifndef HEALTH_CHECKER_STEERER_H
#define HEALTH_CHECKER_STEERER_H

#include "base/birth.h"
#include "base/event.h"
#include "base/loop.h"
#include "conf/conf.h"
#include "health/checker/state_file.h"
#include "health/steering.h"

struct steerer;

/* Something for the journal. */
typedef void steerer_event_fn(void *arg, const struct event *e);

struct steerer_env {
    struct loop *loop;
    const struct birth *birth; /* its slots, and what the fleet wants of it */
    struct health_table *table;
    struct state_file *file;
    steerer_event_fn *on_event;
    void *arg;
};

/* What `env` points to outlives it. Reads what the last run decided; nothing is published before there is a
 * configuration. */
struct steerer *steerer_create(const struct steerer_env *env);
/* Turns the loop, to take leave of the others: see fleet_destroy(). */
void steerer_destroy(struct steerer **sp);
/* Follows `c` (a reference is taken), whose servers have their rows in the verdict table by now. Decides at once. */
void steerer_take_conf(struct steerer *s, const struct conf *c);
/* A probe of the server in this slot has ended; the table says what follows. */
void steerer_probed(struct steerer *s, int slot);
/* The table says something else for another reason. */
void steerer_touch(struct steerer *s);

#endif
