/* Who runs: one row per child process, written by the supervisor, read by status and metrics. */
#ifndef BASE_ROSTER_H
#define BASE_ROSTER_H

#include <stdatomic.h>
#include <stdint.h>

#define ROSTER_MAGIC 0x2057e2b7u
#define ROSTER_ROWS  80u /* 64 workers and every other role */

/* One row per kind of process: enum, name in logs, executable. */
/* clang-format off */
#define ROLE_TABLE(X)                                                                                        \
    X(ROLE_SUPERVISOR, "supervisor", "tidegate")                                                             \
    X(ROLE_WORKER,     "worker",     "tidegate-worker")                                                      \
    X(ROLE_CHECKER,    "checker",    "tidegate-checker")                                                     \
    X(ROLE_DNS,        "dns",        "tidegate-dns")                                                         \
    X(ROLE_ADMIN,      "admin",      "tidegate-admin")

enum role {
#define X(id, name, exe) id,
    ROLE_TABLE(X)
#undef X
    ROLE_COUNT
};
/* clang-format on */
const char *role_name(enum role r);
const char *role_executable(enum role r);

enum roster_state {
    ROSTER_UNUSED = 0,
    ROSTER_STARTING,
    ROSTER_READY,
    ROSTER_DRAINING,
    ROSTER_WAITING /* for its restart */,
    ROSTER_GONE
};
const char *roster_state_text(enum roster_state s);

struct roster_row {
    _Atomic uint32_t state; /* enum roster_state */
    uint32_t role;          /* set before the row leaves ROSTER_UNUSED */
    uint32_t index;         /* among its role, from 0 */
    _Atomic int32_t pid;
    _Atomic uint32_t restarts;
    _Atomic int64_t started_wall_ms;
    _Atomic uint64_t conf_generation; /* last one it confirmed */
};

struct roster {
    uint32_t magic;
    _Atomic int64_t started_wall_ms;
    _Atomic uint64_t conf_generation;
    _Atomic int64_t conf_loaded_wall_ms;
    _Atomic uint32_t reload_ok; /* 1: the last reload was accepted */
    _Atomic uint32_t reloads_total;
    _Atomic uint32_t reloads_refused_total;
    struct roster_row row[ROSTER_ROWS];
};

#endif
