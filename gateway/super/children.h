/* The child processes: who should run under a configuration, starting, telling, watching and burying them. */
#ifndef GATEWAY_SUPER_CHILDREN_H
#define GATEWAY_SUPER_CHILDREN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/ipc.h"
#include "base/loop.h"
#include "base/shm.h"
#include "conf/conf.h"
#include "gateway/super/child.h"

#define CHILDREN_MAX (ROSTER_ROWS - 1u) /* row 0 is the supervisor's */

struct super;

/* One configuration in the form in which it is handed out. */
struct edition {
    struct conf *conf;
    int fd;        /* sealed text; -1: none */
    int access_fd; /* of log.access_file; -1: none */
    uint64_t generation;
};

#define EDITION_NONE ((struct edition){.fd = -1, .access_fd = -1})

/* A place for a process; which role it has never changes. */
struct child {
    struct super *super;
    uint32_t row; /* in roster and counters */
    enum role role;
    uint32_t index;
    char name[24];
    enum roster_state state;
    struct backoff backoff;
    struct pulse pulse;
    int64_t wait_ms;       /* while WAITING: all of it */
    struct timer restart;  /* while WAITING */
    struct timer deadline; /* to be ready, or to be gone; then it is killed */
    bool is_killed;

    /* of the process that runs */
    pid_t pid;
    struct ipc *ipc; /* NULL once the process hung up */
    struct shm last_words;
    uint64_t sent_generation;
    uint64_t held_generation; /* the last one it confirmed */
    struct conf *sent_conf;   /* NULL: none yet */
    struct conf *held_conf;
    bool is_purge_owed; /* it took no more purges: see purger.c */
};

void children_init(struct super *s);
void children_fini(struct super *s);

/* Starts who should run under the current configuration and dismisses who should not. */
void children_adjust(struct super *s);
/* Hands the edition out: sockets the child does not have yet, then the configuration. */
void child_offer(struct child *c, const struct edition *e);
/* Whether `c` runs and has been given the edition but has not answered yet. */
bool child_owes_answer(const struct child *c, uint64_t generation);
bool child_is_running(const struct child *c); /* STARTING or READY */
/* Tells it to leave: within `drain_ms`, or at once when that is 0. Killed when it stays. */
void child_dismiss(struct child *c, int64_t drain_ms);
/* Asks every READY child whether it lives, and kills those that have not answered for too long; every PULSE_EVERY_MS.
 */
void children_feel_pulse(struct super *s);
/* Takes the exit status of every child that ended. */
void children_reap(struct super *s);
/* Hands out the log, and the access log of `newest`, after they were opened again. */
void children_reopen_log(struct super *s, const struct edition *newest);
/* Children of this role (ROLE_COUNT: of any) that have a process. */
uint32_t children_alive_count(const struct super *s, enum role role);
/* Workers, as bits 1 << index, that will not accept for longer than clients are willing to wait: those that drain, and
 * those that are started again late. */
uint64_t children_away(const struct super *s);
bool children_are_ready(const struct super *s); /* all that should run */

#endif
