/* One target: a server that is asked again and again, and the verdict about it.
 *
 * It owns its slot's row in the verdict table. One probe is under way at most; it is given `timeout` for everything
 * from the name to the last byte. A probe that finds an address refused goes on to the server's next one. The state
 * survives a reload when slot and name stay, and a restart of the process when the table holds it. */
#ifndef HEALTH_CHECKER_TARGET_H
#define HEALTH_CHECKER_TARGET_H

#include "base/ipc.h"
#include "base/loop.h"
#include "base/resolve.h"
#include "base/stats.h"
#include "conf/conf.h"
#include "health/checker/commands.h"
#include "health/checker/lws_engine.h"
#include "health/persist.h"
#include "health/verdict.h"

struct target;

/* The state shown changed; already written to the table and the log. */
typedef void target_flip_fn(void *arg, const struct target *t, enum verdict_state before, const char *cause);

/* Whether `t`, which would go down with this failure, may: it is not if the failure is ours. */
typedef bool target_sure_fn(void *arg, const struct target *t);
/* It answered. */
typedef void target_answered_fn(void *arg);
/* A probe of the server in this slot has ended with a result that counts; the table says what follows. */
typedef void target_probed_fn(void *arg, int slot);

/* The server of that name ("pool/server") in the configuration in force; NULL: none. */
typedef const struct conf_server *target_find_fn(void *arg, const char *name);

/* What all targets share; outlives them. */
struct target_env {
    struct loop *loop;
    struct resolver *resolver;
    struct lws_engine *engine;
    struct commands *commands;
    struct verdict_table *verdicts;
    struct stats_block *block; /* counts probes */
    target_flip_fn *on_flip;
    target_sure_fn *is_sure;         /* NULL: always */
    target_answered_fn *on_answered; /* NULL: nobody asks */
    target_probed_fn *on_probed;     /* likewise */
    target_find_fn *find_server;     /* for canaries; NULL: there are none */
    void *arg;
};

/* The row must be adopted for this slot's era. It goes on from what the row says, else from `last` (NULL: nothing is
 * known). `server` is borrowed until the next target_set_server or the end. */
struct target *target_create(const struct target_env *env, int slot, const struct conf_server *server,
                             const struct persist_entry *last);
void target_destroy(struct target **tp);
/* The same server under a new configuration. State stays; a question that changed is asked anew, and soon. */
void target_set_server(struct target *t, const struct conf_server *server);
/* The traffic met a failure, or a connection that was watched has ended: probes now, or as soon as the probe under way
 * is over. */
void target_nudge(struct target *t);

/* An operator's word: shown at once, in table and log. */
void target_override(struct target *t, enum override_kind kind);

const char *target_name(const struct target *t); /* "pool/server" */
enum verdict_state target_state(const struct target *t);
bool target_is_checked(const struct target *t);
/* In the loop's time: when it answered last (-1: never), and since when it has not. */
int64_t target_answered_ms(const struct target *t);
int64_t target_failing_since_ms(const struct target *t);
struct persist_entry target_entry(const struct target *t); /* for the file */

#endif
