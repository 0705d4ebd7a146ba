/* A purge is in force when every worker says so; one that ends instead has nothing left to serve from. A worker that
 * was started after the purge began has an empty memory, and learns from the purge log what not to take from Redis.
 *
 * Two things are hard. The publisher may die with the question whether other gateways know; then another worker
 * publishes once more, for purging twice is no harm and not at all is. And a worker may be too slow for its queue:
 * from the first purge that does not fit it is owed one purge of everything, which stands for all it missed. */
#include "gateway/super/purger.h"

#include <string.h>
#include <sys/random.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "cache/purges.h"
#include "gateway/super/super.h"

#define PURGE_JOB_MAGIC 0x9a4e0b3du
#define RETRY_MS        50
#define NOBODY          CHILDREN_MAX

_Static_assert(CACHE_PURGE_TEXT_BYTES == IPC_PURGE_TEXT_BYTES, "a purge is the same text to the cache and on its way");

/* Of a worker, as far as one purge is concerned. */
enum holding {
    HOLDING_NOTHING = 0, /* was not told, or has nothing left that could be purged */
    HOLDING_AWAITED,     /* was told and has not confirmed */
    HOLDING_CONFIRMED,
};

/* One purge of an operator. */
struct purge_job {
    uint32_t magic;
    struct errand errand;
    struct super *super;
    struct cache_purge purge;
    enum holding holding[CHILDREN_MAX];
    uint32_t publisher;      /* in super->child, or NOBODY */
    uint64_t publish_number; /* of the message that asked for it; another one when the first asked died */
    bool is_published_known;
    enum purge_published published;
};

static struct msg_purge message_of(const struct cache_purge *p, uint64_t number, bool is_publisher)
{
    struct msg_purge m = {
        .number = number, .id = p->id, .kind = p->kind, .is_soft = p->is_soft, .is_publisher = is_publisher};
    memcpy(m.text, p->text, sizeof m.text - 1);
    return m;
}

/* ---- telling workers ---- */

static bool is_worker(const struct child *c)
{
    return c->role == ROLE_WORKER && c->ipc != NULL && !c->is_killed;
}

static void owe_all(struct child *c)
{
    if (!c->is_purge_owed)
        LOG_WARN("child takes no more purges, one of everything will follow", KV_STR("child", c->name));
    c->is_purge_owed = true;
    timer_start(&c->super->purger.retry, RETRY_MS);
}

static bool tell(struct child *c, const struct msg_purge *m)
{
    if (!c->is_purge_owed && ipc_has_room(c->ipc) && ipc_send(c->ipc, MSG_PURGE, m, -1) == ERR_NONE)
        return true;
    owe_all(c);
    return false;
}

/* The purge of everything has the newest number, since it stands for all purges so far. It has no id, since it is in no
 * log: what it stands for was published by whoever made it. */
static void on_retry(void *arg)
{
    static const struct cache_purge all = {.kind = PURGE_ALL};
    struct super *s = arg;
    const struct msg_purge m = message_of(&all, s->purger.errands.last_number, false);
    for (uint32_t i = 0; i < CHILDREN_MAX; i++) {
        struct child *c = &s->child[i];
        if (!c->is_purge_owed || !is_worker(c))
            continue;
        if (ipc_has_room(c->ipc) && ipc_send(c->ipc, MSG_PURGE, &m, -1) == ERR_NONE)
            c->is_purge_owed = false;
        else
            timer_start(&s->purger.retry, RETRY_MS);
    }
}

void purger_take(struct super *s, const struct child *from, const struct msg_purge *m)
{
    CHECK_OBJ(s, SUPER_MAGIC);
    struct cache_purge p = {.id = m->id, .kind = m->kind, .is_soft = m->is_soft};
    memcpy(p.text, m->text, sizeof p.text - 1);
    const char *why = cache_purge_check(&p);
    if (why != NULL) {
        LOG_WARN("purge of a child makes no sense", KV_STR("child", from->name), KV_STR("cause", why));
        return;
    }
    const struct msg_purge out = message_of(&p, 0, false);
    for (uint32_t i = 0; i < CHILDREN_MAX; i++)
        if (&s->child[i] != from && is_worker(&s->child[i]))
            (void)tell(&s->child[i], &out);
}

/* ---- an operator's purge ---- */

static struct control_request *job_free(struct purge_job *j)
{
    CHECK_OBJ(j, PURGE_JOB_MAGIC);
    struct control_request *r = errand_end(&j->errand);
    OBJ_FREE(&j, PURGE_JOB_MAGIC);
    return r;
}

static const char *published_text(enum purge_published p)
{
    static const char *const texts[] = {
        [PURGE_NOT_PUBLISHED] = "no Redis is configured to tell other gateways",
        [PURGE_PUBLISHED] = "other gateways are being told",
        [PURGE_PUBLISHED_LATER] = "other gateways will be told when Redis is back",
    };
    return (size_t)p < sizeof texts / sizeof *texts ? texts[p] : "what other gateways are being told is not known";
}

/* Who has not confirmed, as lines to `out`; the number of them. A worker that is still starting has nothing in memory,
 * and finds the purge in its messages before its first client. */
static uint32_t list_silent(const struct purge_job *j, struct strbuf *out)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < CHILDREN_MAX; i++) {
        const struct child *c = &j->super->child[i];
        if (j->holding[i] != HOLDING_AWAITED || c->state == ROSTER_STARTING)
            continue;
        count++;
        strbuf_printf(out, "%s has not confirmed in time\n", c->name);
    }
    return count;
}

static uint32_t count_of(const struct purge_job *j, enum holding what)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < CHILDREN_MAX; i++)
        count += j->holding[i] == what;
    return count;
}

/* Nobody is awaited any more, or the time is over. */
static void job_end(struct purge_job *j)
{
    struct control_request *r = j->errand.request;
    const char *kind = cache_purge_kind_text((enum cache_purge_kind)j->purge.kind);
    const uint32_t count = count_of(j, HOLDING_CONFIRMED);
    const char *error = NULL;
    if (list_silent(j, &r->body) > 0)
        error = "the purge does not hold everywhere yet";
    else if (!j->is_published_known)
        error = "no worker is ready to tell other gateways";
    if (error == NULL)
        strbuf_printf(&r->body, "%s%s%s purged in %u worker%s; %s\n", kind, j->purge.text[0] != '\0' ? " " : "",
                      j->purge.text, (unsigned)count, count == 1 ? "" : "s", published_text(j->published));
    LOG_AT(error == NULL ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, error == NULL ? "purged" : error, KV_STR("kind", kind),
           KV_STR("text", j->purge.text), KV_BOOL("soft", j->purge.is_soft != 0), KV_UINT("workers", count));
    char *what = mem_printf("%s%s%s", kind, j->purge.text[0] != '\0' ? " " : "", j->purge.text);
    struct event e;
    event_init(&e, EVENT_PURGE, EVENT_ONCE, what, "", error == NULL ? "purged" : "not everywhere",
               error == NULL ? published_text(j->published) : error);
    events_add(j->super->events, &e);
    mem_free(what);
    r = job_free(j);
    control_answer(&r, error);
}

static void on_late(void *arg)
{
    job_end(arg);
}

static void job_check(struct purge_job *j)
{
    if (count_of(j, HOLDING_AWAITED) == 0)
        job_end(j);
}

static void job_tell(struct purge_job *j, uint32_t i, bool is_publisher)
{
    struct child *c = &j->super->child[i];
    const struct msg_purge m = message_of(&j->purge, is_publisher ? j->publish_number : j->errand.number, is_publisher);
    j->holding[i] = HOLDING_AWAITED;
    if (tell(c, &m) && is_publisher)
        j->publisher = i;
}

/* The first worker that takes the message; one that is ready rather than one that is about to leave. */
static void job_find_publisher(struct purge_job *j, uint64_t number)
{
    static const enum roster_state states[] = {ROSTER_READY, ROSTER_DRAINING};
    j->publisher = NOBODY;
    j->publish_number = number;
    for (size_t k = 0; k < sizeof states / sizeof *states; k++)
        for (uint32_t i = 0; i < CHILDREN_MAX && j->publisher == NOBODY; i++)
            if (is_worker(&j->super->child[i]) && j->super->child[i].state == states[k])
                job_tell(j, i, true);
}

/* What the line says; a few static words when it says nothing that can be done. */
static const char *parse(const char *rest, struct cache_purge *out)
{
    static const char soft[] = "--soft";
    const size_t kind_len = strcspn(rest, " ");
    const char *text = rest + kind_len + strspn(rest + kind_len, " ");
    const size_t word_len = strcspn(text, " ");
    *out = (struct cache_purge){.kind = PURGE_KIND_COUNT};
    for (uint32_t k = 0; k < PURGE_KIND_COUNT; k++) {
        const char *name = cache_purge_kind_text((enum cache_purge_kind)k);
        if (strlen(name) == kind_len && memcmp(name, rest, kind_len) == 0)
            out->kind = k;
    }
    if (out->kind == PURGE_KIND_COUNT)
        return "expected tag, url, prefix or all to be purged";
    if (word_len == sizeof soft - 1 && memcmp(text, soft, word_len) == 0) {
        out->is_soft = 1;
        text += word_len + strspn(text + word_len, " ");
    }
    if (strlen(text) >= sizeof out->text)
        return "the text is too long";
    strcpy(out->text, text);
    return cache_purge_check(out);
}

void purger_start(struct super *s, struct control_request *r, const char *rest)
{
    CHECK_OBJ(s, SUPER_MAGIC);
    struct cache_purge p;
    const char *why = parse(rest, &p);
    if (why != NULL) {
        control_answer(&r, why);
        return;
    }
    ssize_t got = getrandom(&p.id, sizeof p.id, 0);
    ASSERT(got == (ssize_t)sizeof p.id);
    struct purge_job *j;
    OBJ_NEW(j, PURGE_JOB_MAGIC);
    j->super = s;
    j->purge = p;
    errand_begin(&j->errand, &s->purger.errands, s->loop, r, PURGER_DEADLINE_MS, on_late, j);
    job_find_publisher(j, j->errand.number);
    for (uint32_t i = 0; i < CHILDREN_MAX; i++)
        if (is_worker(&s->child[i]) && j->holding[i] == HOLDING_NOTHING)
            job_tell(j, i, false);
    job_check(j);
}

/* ---- what became of it ---- */

void purger_acked(struct super *s, struct child *c, const struct msg_purge_ack *ack)
{
    CHECK_OBJ(s, SUPER_MAGIC);
    const uint32_t at = (uint32_t)(c - s->child);
    if (ack->number > s->purger.errands.last_number) {
        LOG_WARN("child confirms what it was not asked", KV_STR("child", c->name), KV_UINT("purge", ack->number));
        return;
    }
    LIST_EACH (it, &s->purger.errands.list) {
        struct purge_job *j = LIST_ENTRY(it, struct purge_job, errand.link);
        const bool is_answer = j->publisher == at ? ack->number == j->publish_number : ack->number >= j->errand.number;
        if (j->holding[at] != HOLDING_AWAITED || !is_answer)
            continue;
        j->holding[at] = HOLDING_CONFIRMED;
        if (j->publisher == at) {
            j->is_published_known = true;
            j->published = (enum purge_published)ack->published;
        }
        job_check(j);
    }
}

void purger_forget(struct super *s, struct child *c)
{
    CHECK_OBJ(s, SUPER_MAGIC);
    const uint32_t at = (uint32_t)(c - s->child);
    c->is_purge_owed = false;
    LIST_EACH (it, &s->purger.errands.list) {
        struct purge_job *j = LIST_ENTRY(it, struct purge_job, errand.link);
        j->holding[at] = HOLDING_NOTHING;
        if (j->publisher == at && !j->is_published_known)
            job_find_publisher(j, ++s->purger.errands.last_number);
        job_check(j);
    }
}

void purger_init(struct super *s)
{
    errands_init(&s->purger.errands);
    timer_init(&s->purger.retry, s->loop, on_retry, s);
}

void purger_fini(struct super *s)
{
    timer_cancel(&s->purger.retry);
    LIST_EACH (it, &s->purger.errands.list)
        (void)job_free(LIST_ENTRY(it, struct purge_job, errand.link));
}
