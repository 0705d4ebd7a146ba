/* What a child is born with, all of it: fixed descriptor numbers, one small sealed note, nothing else. Listening
 * sockets and the configuration come as messages (MSG_LISTENER, MSG_CONF) over the control socket, so that start
 * and reload are one path. */
#ifndef BASE_BIRTH_H
#define BASE_BIRTH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/roster.h"
#include "base/shm.h"
#include "base/slots.h"
#include "base/stats.h"

enum birth_fd {
    BIRTH_FD_CONTROL = 3, /* socketpair to the supervisor: base/ipc.h */
    BIRTH_FD_NOTE,        /* sealed struct birth_note */
    BIRTH_FD_SLOTS,       /* struct slots, read-only */
    BIRTH_FD_ROSTER,      /* struct roster, read-only */
    BIRTH_FD_STATS,       /* struct stats: own block written, all read */
    BIRTH_FD_VERDICTS,    /* health/verdict.h; written by the checker alone */
    BIRTH_FD_NUDGE,       /* eventfd: workers signal passive failures, the checker listens */
    BIRTH_FD_LAST_WORDS,  /* one page for a failed assert */
    BIRTH_FD_LOG,         /* where to log; a duplicate of the supervisor's sink */
    BIRTH_FD_END
};

#define BIRTH_MAGIC 0xb127401eu
struct birth_note {
    uint32_t magic;
    uint32_t role;       /* enum role */
    uint32_t index;      /* among its role */
    uint32_t roster_row; /* also the row of its stats block */
    uint32_t worker_count;
    uint32_t log_level;  /* enum log_level */
    uint32_t log_format; /* enum log_format */
    uint32_t uid, gid;   /* to become; 0 keeps the identity */
    uint64_t fd_limit;   /* RLIMIT_NOFILE */
    char state_dir[256]; /* "" when the process keeps no files; opened before privileges go */
};

/* Everything above, mapped and checked; lives as long as the process. */
struct birth {
    struct birth_note note;
    int control_fd; /* hand to ipc_create */
    int nudge_fd;
    const struct slots *slots;
    const struct roster *roster;
    struct stats *stats;
    struct stats_block *block; /* the own block in `stats` */
    struct shm verdicts;       /* writable for the checker, read-only for others */
    bool is_alone;             /* a checker without a gateway around it: nobody reads its verdicts but itself */
};

/* Child side, first thing in main: takes the inherited descriptors, opens the log, sets limits, registers last words,
 * ties its life to the parent's. Exits with 71 and a message when something is missing (e.g. started by hand). */
void birth_attach(struct birth *b, enum role expected, size_t verdicts_size_bytes);
/* Gives up privileges for good (groups, gid, uid, no_new_privs); after files that need them are open. */
void birth_drop_privileges(const struct birth *b);

/* Supervisor side: what is handed to a new child. Descriptors are borrowed. */
struct birth_gift {
    struct birth_note note;
    int slots_fd, roster_fd, stats_fd, verdicts_fd, nudge_fd, last_words_fd, log_fd;
};
/* fork + exec of `exe`; *control_fd is the supervisor's end of a new socketpair. */
enum err birth_spawn(const char *exe, const struct birth_gift *g, pid_t *pid, int *control_fd) MUST_CHECK;

#endif
