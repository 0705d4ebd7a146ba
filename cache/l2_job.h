/* One thing asked of the node that has a key: one or two commands with one deadline, followed to another node where the
 * first says so (MOVED, ASK, a replica). */
#ifndef CACHE_L2_JOB_H
#define CACHE_L2_JOB_H

#include "cache/l2_priv.h"

#define L2_JOB_COMMANDS_MAX 2u

struct l2_job {
    uint32_t magic;
    struct list link; /* of l2->jobs */
    struct l2 *l2;
    struct l2_redis_key key;
    struct l2_command commands[L2_JOB_COMMANDS_MAX];
    size_t command_count;
    struct l2_call *call;
    int64_t deadline_ms;
    uint32_t hop_count;
    bool is_asking;
    struct timer patience; /* runs while a node it was sent to is being connected to: there is no call then */
    /* Once; the job is gone when it returns. `replies` as in l2_reply_fn, those of the commands alone. */
    void (*on_done)(struct l2_job *j, enum err e, struct l2_reply *const *replies);
    l2_entry_fn *entry_fn;   /* of l2_get */
    l2_done_fn *done_fn;     /* of l2_lease */
    l2_answer_fn *answer_fn; /* of l2_ask */
    void *arg;
};

/* For l2_job_send(). */
struct l2_job *l2_job_create(struct l2 *l, enum l2_name name, const void *key, size_t key_len);
void l2_job_add(struct l2_job *j, const struct l2_args *a);
/* False: no node to ask; the job is gone and nobody is told. */
bool l2_job_send(struct l2_job *j);
void l2_job_destroy(struct l2_job **jp); /* without a callback */
/* Nodes have changed: those that wait for one ask again. No callback comes before it returns. */
void l2_jobs_wake(struct l2 *l);

/* What an error reply means for who asked. */
enum err l2_fault_err(enum l2_fault f);

#endif
