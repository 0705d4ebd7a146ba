/* Jobs keep their commands as bytes until they end, so that another node can be asked the same. */
#include "cache/l2_job.h"

#include "base/log.h"
#include "base/mem.h"

#define JOB_MAGIC 0x12b0b77du

/* Nodes that send us on and on do not agree with each other; the next request finds out again. */
#define HOPS_MAX 4u

static void on_replies(void *arg, enum err e, struct l2_reply *const *replies, size_t count);
static void on_patience(void *arg);

enum err l2_fault_err(enum l2_fault f)
{
    static const enum err errs[] = {
        [L2_FAULT_NONE] = ERR_NONE,       [L2_FAULT_OTHER] = ERR_PROTOCOL,       [L2_FAULT_ILL] = ERR_UNREACHABLE,
        [L2_FAULT_FULL] = ERR_FULL,       [L2_FAULT_ACCESS] = ERR_DENIED,        [L2_FAULT_MOVED] = ERR_UNREACHABLE,
        [L2_FAULT_ASK] = ERR_UNREACHABLE, [L2_FAULT_READONLY] = ERR_UNREACHABLE, [L2_FAULT_TYPE] = ERR_INVALID,
    };
    ASSERT((unsigned)f < sizeof errs / sizeof *errs);
    return errs[f];
}

struct l2_job *l2_job_create(struct l2 *l, enum l2_name name, const void *key, size_t key_len)
{
    struct l2_job *j;
    OBJ_NEW(j, JOB_MAGIC);
    j->l2 = l;
    l2_redis_key(l, name, key, key_len, &j->key);
    list_init(&j->link);
    timer_init(&j->patience, l->net->loop, on_patience, j);
    return j;
}

void l2_job_add(struct l2_job *j, const struct l2_args *a)
{
    CHECK_OBJ(j, JOB_MAGIC);
    ASSERT(j->command_count < L2_JOB_COMMANDS_MAX);
    l2_command_init(&j->commands[j->command_count++], a);
}

void l2_job_destroy(struct l2_job **jp)
{
    struct l2_job *j = *jp;
    CHECK_OBJ(j, JOB_MAGIC);
    if (j->call != NULL)
        l2_link_forget(&j->call);
    list_unlink(&j->link);
    timer_cancel(&j->patience);
    for (size_t i = 0; i < j->command_count; i++)
        l2_command_fini(&j->commands[i]);
    OBJ_FREE(jp, JOB_MAGIC);
}

static void done(struct l2_job *j, enum err e, struct l2_reply *const *replies)
{
    list_unlink(&j->link); /* from here on it cannot be cancelled by l2_destroy() */
    j->on_done(j, e, replies);
    l2_job_destroy(&j);
}

/* False: the link takes no call, or there is no time left. */
static bool send_over(struct l2_job *j, struct l2_link *k)
{
    const int64_t left_ms = j->deadline_ms - loop_now_ms(j->l2->net->loop);
    if (k == NULL || left_ms <= 0)
        return false;
    if (!j->is_asking) {
        j->call = l2_link_send(k, j->commands, j->command_count, left_ms, on_replies, j);
        return j->call != NULL;
    }
    struct l2_command commands[2 * L2_JOB_COMMANDS_MAX];
    struct l2_command asking;
    l2_command_words(&asking, "ASKING", NULL);
    for (size_t i = 0; i < j->command_count; i++) {
        commands[2 * i] = asking;
        commands[2 * i + 1] = j->commands[i];
    }
    j->call = l2_link_send(k, commands, 2 * j->command_count, left_ms, on_replies, j);
    l2_command_fini(&asking);
    return j->call != NULL;
}

/* A node that was not known before is being connected to: there may be time enough. False: that is not it. */
static bool wait_for(struct l2_job *j, const struct l2_link *k)
{
    const int64_t left_ms = j->deadline_ms - loop_now_ms(j->l2->net->loop);
    if (k == NULL || l2_link_is_connected(k) || left_ms <= 0)
        return false;
    timer_start(&j->patience, left_ms);
    return true;
}

static void on_patience(void *arg)
{
    struct l2_job *j = arg;
    CHECK_OBJ(j, JOB_MAGIC);
    j->l2->counts.timeout_count++;
    j->l2->counts.failure_count++;
    done(j, ERR_TIMEOUT, NULL);
}

/* From where the key was looked for first, for the node that was not there may still be the one in between. */
void l2_jobs_wake(struct l2 *l)
{
    LIST_EACH (it, &l->jobs) {
        struct l2_job *j = LIST_ENTRY(it, struct l2_job, link);
        if (l->kind == NULL || !timer_is_active(&j->patience))
            continue;
        j->is_asking = false;
        if (send_over(j, l->kind->route(l->nodes, j->key.text, j->key.len)))
            timer_cancel(&j->patience);
    }
}

/* The first reply that says that another node should be asked; NULL: none. */
static const struct l2_reply *find_redirect(const struct l2_job *j, struct l2_reply *const *replies)
{
    for (size_t i = 0; i < j->command_count; i++)
        switch (l2_reply_fault(replies[i])) {
        case L2_FAULT_MOVED:
        case L2_FAULT_ASK:
        case L2_FAULT_READONLY:
            return replies[i];
        case L2_FAULT_NONE:
        case L2_FAULT_OTHER:
        case L2_FAULT_ILL:
        case L2_FAULT_FULL:
        case L2_FAULT_ACCESS:
        case L2_FAULT_TYPE:
            break;
        }
    return NULL;
}

static bool is_redirected(struct l2_job *j, struct l2_reply *const *replies)
{
    const struct l2_reply *error = find_redirect(j, replies);
    struct l2 *l = j->l2;
    if (error == NULL || l->kind == NULL || j->hop_count >= HOPS_MAX)
        return false;
    bool is_asking = false;
    struct l2_link *k = l->kind->redirect(l->nodes, j->key.text, j->key.len, error, &is_asking);
    j->hop_count++;
    j->is_asking = is_asking;
    return send_over(j, k) || wait_for(j, k);
}

static void on_replies(void *arg, enum err e, struct l2_reply *const *replies, size_t count)
{
    struct l2_job *j = arg;
    struct l2_reply *own[L2_JOB_COMMANDS_MAX] = {NULL};
    CHECK_OBJ(j, JOB_MAGIC);
    j->call = NULL;
    if (e != ERR_NONE) {
        done(j, e, NULL);
        return;
    }
    const size_t step = j->is_asking ? 2 : 1;
    ASSERT(count == step * j->command_count);
    for (size_t i = 0; i < j->command_count; i++)
        own[i] = replies[step * i + step - 1];
    if (!is_redirected(j, own))
        done(j, ERR_NONE, own);
}

bool l2_job_send(struct l2_job *j)
{
    struct l2 *l = j->l2;
    CHECK_OBJ(j, JOB_MAGIC);
    ASSERT(j->call == NULL && j->command_count > 0);
    if (l->kind != NULL) {
        j->deadline_ms = loop_now_ms(l->net->loop) + l->redis->timeout_ms;
        if (send_over(j, l->kind->route(l->nodes, j->key.text, j->key.len))) {
            list_append(&l->jobs, &j->link);
            return true;
        }
    }
    l2_job_destroy(&j);
    return false;
}
