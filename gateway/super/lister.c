/* One message to each worker and one answer back, joined as they come; see the header. */
#include "gateway/super/lister.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/shm.h"
#include "gateway/report/json.h"
#include "gateway/super/super.h"

#define LIST_JOB_MAGIC 0x1157e0b5u
#define LIMIT_MAX      100000u
#define ENDING_BYTES   (64u << 10) /* kept free for what comes behind the sessions */

struct list_job {
    uint32_t magic;
    struct errand errand;
    struct super *super;
    struct strbuf items;
    bool is_awaited[CHILDREN_MAX];
    bool is_cut; /* there was no room for more */
    uint32_t limit;
    uint32_t shown_count;
    uint64_t fitting_count;
};

static struct control_request *job_free(struct list_job *j)
{
    CHECK_OBJ(j, LIST_JOB_MAGIC);
    struct control_request *r = errand_end(&j->errand);
    strbuf_fini(&j->items);
    OBJ_FREE(&j, LIST_JOB_MAGIC);
    return r;
}

static void job_end(struct list_job *j)
{
    struct json out;
    json_init(&out, &j->errand.request->body);
    json_object_begin(&out, NULL);
    json_uint(&out, "fitting", j->fitting_count);
    json_array_begin(&out, "sessions");
    json_raw(&out, NULL, j->items.data, j->items.len);
    json_array_end(&out);
    json_array_begin(&out, "missing");
    for (uint32_t i = 0; i < CHILDREN_MAX; i++)
        if (j->is_awaited[i])
            json_str(&out, NULL, j->super->child[i].name);
    json_array_end(&out);
    json_bool(&out, "cut", j->is_cut);
    json_object_end(&out);
    strbuf_puts(&j->errand.request->body, "\n");
    struct control_request *r = job_free(j);
    control_answer(&r, NULL);
}

static void on_late(void *arg)
{
    job_end(arg);
}

static void job_check(struct list_job *j)
{
    for (uint32_t i = 0; i < CHILDREN_MAX; i++)
        if (j->is_awaited[i])
            return;
    job_end(j);
}

static bool is_to_be_asked(const struct child *c)
{
    return c->role == ROLE_WORKER && c->ipc != NULL && !c->is_killed &&
           (c->state == ROSTER_READY || c->state == ROSTER_DRAINING);
}

static bool parse(const char *rest, struct msg_sessions *m)
{
    char *end = NULL;
    if (rest[0] < '0' || rest[0] > '9')
        return false;
    const unsigned long limit = strtoul(rest, &end, 10);
    const char *filter = end + strspn(end, " ");
    if ((*end != ' ' && *end != '\0') || limit == 0 || limit > LIMIT_MAX || strlen(filter) >= sizeof m->filter)
        return false;
    *m = (struct msg_sessions){.limit = (uint32_t)limit};
    strcpy(m->filter, filter);
    return true;
}

void lister_start(struct super *s, struct control_request *r, const char *rest)
{
    CHECK_OBJ(s, SUPER_MAGIC);
    struct msg_sessions m;
    if (!parse(rest, &m)) {
        control_answer(&r, "expected how many sessions to show at most, and which");
        return;
    }
    struct list_job *j;
    OBJ_NEW(j, LIST_JOB_MAGIC);
    j->super = s;
    j->limit = m.limit;
    strbuf_init(&j->items, CONTROL_BODY_BYTES - ENDING_BYTES);
    errand_begin(&j->errand, &s->lister.errands, s->loop, r, LISTER_DEADLINE_MS, on_late, j);
    m.number = j->errand.number;
    for (uint32_t i = 0; i < CHILDREN_MAX; i++) {
        struct child *c = &s->child[i];
        if (!is_to_be_asked(c))
            continue;
        j->is_awaited[i] = true;
        if (!ipc_has_room(c->ipc) || ipc_send(c->ipc, MSG_SESSIONS, &m, -1) != ERR_NONE)
            LOG_WARN("child takes no messages, its sessions are not shown", KV_STR("child", c->name));
    }
    job_check(j);
}

/* Line by line, as far as they are wanted and fit. */
static void take_items(struct list_job *j, int fd)
{
    char *items = NULL;
    size_t len = 0;
    if (fd < 0 || shm_read_sealed(fd, SESSIONS_BYTES_MAX, &items, &len) != ERR_NONE)
        return;
    const char *end = items + len;
    for (const char *at = items, *lf; at < end && j->shown_count < j->limit; at = lf + 1) {
        lf = memchr(at, '\n', (size_t)(end - at));
        if (lf == NULL || j->items.len + (size_t)(lf - at) + 1 > j->items.max_bytes) {
            j->is_cut = true;
            break;
        }
        if (j->shown_count++ > 0)
            strbuf_puts(&j->items, ",");
        strbuf_add(&j->items, at, (size_t)(lf - at));
    }
    mem_free(items);
}

void lister_answered(struct super *s, const struct child *c, const struct msg_sessions_answer *m, int fd)
{
    CHECK_OBJ(s, SUPER_MAGIC);
    struct errand *e = errand_find(&s->lister.errands, m->number);
    if (e == NULL)
        return;
    struct list_job *j = LIST_ENTRY(e, struct list_job, errand);
    bool *is_awaited = &j->is_awaited[c - s->child];
    if (!*is_awaited)
        return;
    *is_awaited = false;
    j->fitting_count += m->fitting_count;
    j->is_cut |= m->is_cut != 0;
    take_items(j, fd);
    job_check(j);
}

void lister_forget(struct super *s, const struct child *c)
{
    CHECK_OBJ(s, SUPER_MAGIC);
    LIST_EACH (it, &s->lister.errands.list) {
        struct list_job *j = LIST_ENTRY(it, struct list_job, errand.link);
        j->is_awaited[c - s->child] = false;
        job_check(j);
    }
}

void lister_init(struct super *s)
{
    errands_init(&s->lister.errands);
}

void lister_fini(struct super *s)
{
    LIST_EACH (it, &s->lister.errands.list)
        (void)job_free(LIST_ENTRY(it, struct list_job, errand.link));
}
