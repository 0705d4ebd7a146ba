/* The list, and one job for each of those that are on their way.
 *
 * A Redis without room (maxmemory, noeviction) refuses XADD, and would go on serving what was purged until something
 * in it expires. There the record goes by a script, which may have the room it takes: Redis 7 and Valkey know that
 * flag, older ones refuse the script and are asked again later. */
#include "cache/l2_outbox.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cache/l2_job.h"

#define OUTBOX_MAGIC  0x120b0c5du
#define WAITING_MAGIC 0x12a17b3eu

/* After an error, or no answer. */
#define RETRY_MS      1000
#define ID_TEXT_BYTES 24u

static const char roomless_script[] =
    "#!lua flags=allow-oom\nreturn redis.call('XADD',KEYS[1],unpack(ARGV))"; /* ARGV: what follows the key */

struct l2_outbox {
    uint32_t magic;
    struct l2 *l2;
    const struct l2_redis_key *log_key;
    struct list waiting; /* struct waiting, oldest first */
    size_t count;
    struct timer again;
    struct log_limit limit;
    l2_outbox_empty_fn *on_empty;
    void *arg;
};

struct waiting {
    uint32_t magic;
    uint32_t kind;
    uint32_t is_soft;
    uint64_t id;
    struct list link;
    struct l2_outbox *outbox;
    struct l2_job *job; /* NULL: not sent */
    bool is_roomless;   /* there was no room for it: it goes by the script */
    char *text;
};

static void waiting_free(struct waiting *w)
{
    if (w->job != NULL)
        l2_job_destroy(&w->job);
    list_unlink(&w->link);
    w->outbox->count--;
    mem_free(w->text);
    OBJ_FREE(&w, WAITING_MAGIC);
}

static void on_added(struct l2_job *j, enum err e, struct l2_reply *const *replies);

static void record_args(struct l2_args *a, const struct waiting *w, const char *id)
{
    const struct l2_redis_key *key = w->outbox->log_key;
    if (w->is_roomless) {
        l2_args_text(a, "EVAL");
        l2_args_text(a, roomless_script);
        l2_args_int(a, 1);
    } else {
        l2_args_text(a, "XADD");
    }
    l2_args_bytes(a, key->text, key->len);
    l2_args_text(a, "MAXLEN");
    l2_args_text(a, "~");
    l2_args_text(a, L2_LOG_RECORDS);
    l2_args_text(a, "*");
    l2_args_text(a, "kind");
    l2_args_text(a, cache_purge_kind_text((enum cache_purge_kind)w->kind));
    l2_args_text(a, "soft");
    l2_args_text(a, w->is_soft ? "1" : "0");
    l2_args_text(a, "text");
    l2_args_text(a, w->text);
    l2_args_text(a, "id");
    l2_args_text(a, id);
}

static bool send_one(struct l2_outbox *o, struct waiting *w)
{
    char id[ID_TEXT_BYTES];
    struct l2_args a = {0};
    struct l2_job *j = l2_job_create(o->l2, L2_NAME_ENTRY, "", 0);
    j->key = *o->log_key;
    (void)snprintf(id, sizeof id, "%" PRIu64, w->id);
    record_args(&a, w, id);
    l2_job_add(j, &a);
    j->on_done = on_added;
    j->arg = w;
    w->job = j;
    if (l2_job_send(j))
        return true;
    w->job = NULL;
    return false;
}

static void on_added(struct l2_job *j, enum err e, struct l2_reply *const *replies)
{
    struct waiting *w = j->arg;
    CHECK_OBJ(w, WAITING_MAGIC);
    struct l2_outbox *o = w->outbox;
    const char *detail = "";
    w->job = NULL;
    if (e == ERR_NONE && l2_reply_fault(replies[0]) != L2_FAULT_NONE) {
        e = l2_fault_err(l2_reply_fault(replies[0]));
        detail = replies[0]->text;
        o->l2->counts.failure_count++;
    }
    if (e == ERR_NONE) {
        waiting_free(w);
        if (o->count == 0)
            o->on_empty(o->arg);
        return;
    }
    const bool was_roomless = w->is_roomless;
    w->is_roomless = e == ERR_FULL && !was_roomless;
    if (w->is_roomless && send_one(o, w))
        return;
    LOG_LIMITED(&o->limit, loop_now_ms(o->l2->net->loop), LOG_LEVEL_WARN, "purge not in the log yet",
                KV_STR("key", o->log_key->text), KV_STR("cause", err_text(e)), KV_STR("detail", detail),
                KV_UINT("waiting", o->count), KV_INT("retry_ms", RETRY_MS));
    timer_start(&o->again, RETRY_MS);
}

void l2_outbox_send(struct l2_outbox *o)
{
    CHECK_OBJ(o, OUTBOX_MAGIC);
    if (o->l2->kind == NULL)
        return;
    LIST_EACH (it, &o->waiting) {
        struct waiting *w = LIST_ENTRY(it, struct waiting, link);
        if (w->job == NULL && !send_one(o, w)) {
            timer_start(&o->again, RETRY_MS);
            return;
        }
    }
}

static void on_again(void *arg)
{
    l2_outbox_send(arg);
}

static struct waiting *wait_for(struct l2_outbox *o, const struct cache_purge *what)
{
    struct waiting *w;
    OBJ_NEW(w, WAITING_MAGIC);
    w->outbox = o;
    w->id = what->id;
    w->kind = what->kind;
    w->is_soft = what->is_soft;
    w->text = mem_strdup(what->text);
    list_init(&w->link);
    list_append(&o->waiting, &w->link);
    o->count++;
    return w;
}

static void forget_waiting(struct l2_outbox *o)
{
    LIST_EACH (it, &o->waiting) {
        waiting_free(LIST_ENTRY(it, struct waiting, link));
    }
}

struct l2_outbox *l2_outbox_create(struct l2 *l, const struct l2_redis_key *log_key, l2_outbox_empty_fn *on_empty,
                                   void *arg)
{
    struct l2_outbox *o;
    OBJ_NEW(o, OUTBOX_MAGIC);
    o->l2 = l;
    o->log_key = log_key;
    o->on_empty = on_empty;
    o->arg = arg;
    list_init(&o->waiting);
    timer_init(&o->again, l->net->loop, on_again, o);
    return o;
}

void l2_outbox_destroy(struct l2_outbox **op)
{
    CHECK_OBJ(*op, OUTBOX_MAGIC);
    timer_cancel(&(*op)->again);
    forget_waiting(*op);
    OBJ_FREE(op, OUTBOX_MAGIC);
}

bool l2_outbox_add(struct l2_outbox *o, const struct cache_purge *what)
{
    static const struct cache_purge all = {.kind = PURGE_ALL};
    CHECK_OBJ(o, OUTBOX_MAGIC);
    ASSERT(cache_purge_check(what) == NULL);
    if (o->count >= L2_PURGES_WAITING) {
        LOG_LIMITED(&o->limit, loop_now_ms(o->l2->net->loop), LOG_LEVEL_WARN,
                    "too many purges wait for redis, purging all instead", KV_UINT("waiting", o->count));
        forget_waiting(o);
        (void)wait_for(o, &all);
    }
    struct waiting *w = wait_for(o, what);
    l2_outbox_send(o);
    return w->job != NULL;
}

size_t l2_outbox_count(const struct l2_outbox *o)
{
    CHECK_OBJ(o, OUTBOX_MAGIC);
    return o->count;
}
