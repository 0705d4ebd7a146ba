/* The supervisor: one struct for the whole process, and its life. It touches no client bytes; what it does has time. */
#ifndef GATEWAY_SUPER_SUPER_H
#define GATEWAY_SUPER_SUPER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "conf/conf.h"
#include "gateway/super/alerter.h"
#include "gateway/super/children.h"
#include "gateway/super/control.h"
#include "gateway/super/events.h"
#include "gateway/super/listeners.h"
#include "gateway/super/lister.h"
#include "gateway/super/notify.h"
#include "gateway/super/overrider.h"
#include "gateway/super/purger.h"
#include "gateway/super/reload.h"
#include "gateway/super/tables.h"
#include "gateway/super/tally.h"
#include "gateway/super/tickets.h"

#define SUPER_MAGIC     0x50be211eu
#define SUPER_SIG_COUNT 7

enum super_state {
    SUPER_STARTING = 0, /* not all children have been ready yet */
    SUPER_RUNNING,
    SUPER_DRAINING, /* workers drain, then all stop */
    SUPER_STOPPING,
};

struct super {
    uint32_t magic;

    /* set at create */
    struct loop *loop;
    const char *conf_path;
    char *program_dir; /* where the children's programs are */
    uint32_t uid, gid; /* of the children; 0: ours */
    struct tables tables;
    struct listeners *listeners;
    struct notify *notify;
    struct control *control; /* NULL: none configured */
    struct events *events;
    struct sig sigs[SUPER_SIG_COUNT];

    /* changing */
    enum super_state state;
    int exit_code;
    uint64_t last_generation;
    struct edition current;
    struct reload reload;
    struct tickets tickets;
    struct purger purger;
    struct alerter alerter;
    struct lister lister;
    struct tallies tallies;
    struct overrider overrider;
    struct timer pulse;
    struct child child[CHILDREN_MAX];
};

/* Loads the configuration and gets everything ready to start; NULL after saying why on the log, with *exit_code set. */
struct super *super_create(struct loop *l, const char *conf_path, int *exit_code);
/* Starts the children and runs until told to stop; returns the exit code. */
int super_run(struct super *s);
void super_destroy(struct super **sp);

/* ---- for its parts ---- */
void super_stop(struct super *s, int exit_code);
bool super_is_leaving(const struct super *s);
void super_child_changed(struct super *s); /* a child became ready or went away */

#endif
