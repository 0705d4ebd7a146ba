/* One message to the checker for each command and one answer back; see the header. */
#include "gateway/super/overrider.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "gateway/super/super.h"

#define OVERRIDE_JOB_MAGIC 0x0fe21de8u

struct override_job {
    uint32_t magic;
    struct list link;
    struct super *super;
    struct control_request *request;
    struct timer deadline;
    struct msg_override message;
};

static void job_free(struct override_job *j)
{
    CHECK_OBJ(j, OVERRIDE_JOB_MAGIC);
    timer_cancel(&j->deadline);
    list_unlink(&j->link);
    OBJ_FREE(&j, OVERRIDE_JOB_MAGIC);
}

static void job_end(struct override_job *j, const char *error)
{
    struct control_request *r = j->request;

    if (error != NULL)
        LOG_WARN("operator's word not confirmed", KV_STR("server", j->message.server),
                 KV_STR("word", override_text((enum override_kind)j->message.kind)), KV_STR("cause", error));
    job_free(j);
    control_answer(&r, error);
}

static void on_deadline(void *arg)
{
    job_end(arg, "the checker has not confirmed in time; see whether status shows it");
}

static struct child *find_checker(struct super *s)
{
    for (uint32_t i = 0; i < CHILDREN_MAX; i++) {
        struct child *c = &s->child[i];
        if (c->role == ROLE_CHECKER && c->ipc != NULL && !c->is_killed && c->state == ROSTER_READY)
            return c;
    }
    return NULL;
}

static void start(struct super *s, struct control_request *r, const char *server, size_t len, enum override_kind kind)
{
    struct override_job *j;
    struct child *checker = find_checker(s);
    struct msg_override m = {.number = s->overrider.last_number + 1, .kind = kind};

    if (len == 0 || len >= sizeof m.server || memchr(server, '/', len) == NULL) {
        control_answer(&r, "expected the server as POOL/SERVER");
        return;
    }
    memcpy(m.server, server, len);
    if (checker == NULL || ipc_send(checker->ipc, MSG_OVERRIDE, &m, -1) != ERR_NONE) {
        control_answer(&r, "the checker does not take it now, try again");
        return;
    }
    s->overrider.last_number = m.number;
    OBJ_NEW(j, OVERRIDE_JOB_MAGIC);
    j->super = s;
    j->request = r;
    j->message = m;
    timer_init(&j->deadline, s->loop, on_deadline, j);
    timer_start(&j->deadline, OVERRIDER_DEADLINE_MS);
    list_init(&j->link);
    list_append(&s->overrider.jobs, &j->link);
}

/* The word is the last one: what stands before it is the name. */
void overrider_force(struct super *s, struct control_request *r, const char *rest)
{
    CHECK_OBJ(s, SUPER_MAGIC);
    static const enum override_kind kinds[] = {OVERRIDE_UP, OVERRIDE_DOWN, OVERRIDE_AUTO};
    const char *blank = strrchr(rest, ' ');
    size_t len = blank != NULL ? (size_t)(blank - rest) : 0;

    while (len > 0 && rest[len - 1] == ' ')
        len--;
    for (size_t i = 0; blank != NULL && i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(blank + 1, override_text(kinds[i])) == 0) {
            start(s, r, rest, len, kinds[i]);
            return;
        }
    control_answer(&r, "expected POOL/SERVER and one of up, down, auto");
}

void overrider_drain(struct super *s, struct control_request *r, const char *rest)
{
    CHECK_OBJ(s, SUPER_MAGIC);
    start(s, r, rest, strlen(rest), OVERRIDE_DRAIN);
}

void overrider_undrain(struct super *s, struct control_request *r, const char *rest)
{
    CHECK_OBJ(s, SUPER_MAGIC);
    start(s, r, rest, strlen(rest), OVERRIDE_UNDRAIN);
}

void overrider_acked(struct super *s, const struct msg_override_ack *ack)
{
    CHECK_OBJ(s, SUPER_MAGIC);
    char text[IPC_TEXT_BYTES];

    snprintf(text, sizeof text, "%.*s", (int)sizeof ack->text - 1, ack->text);
    LIST_EACH (it, &s->overrider.jobs) {
        struct override_job *j = LIST_ENTRY(it, struct override_job, link);

        if (j->message.number != ack->number)
            continue;
        if (ack->ok)
            strbuf_printf(&j->request->body, "%s: %s%s%s\n", j->message.server,
                          override_text((enum override_kind)j->message.kind), text[0] != '\0' ? "; " : "", text);
        job_end(j, ack->ok ? NULL : text);
        return;
    }
}

void overrider_forget(struct super *s, const struct child *c)
{
    CHECK_OBJ(s, SUPER_MAGIC);
    if (c->role != ROLE_CHECKER)
        return;
    LIST_EACH (it, &s->overrider.jobs)
        job_end(LIST_ENTRY(it, struct override_job, link),
                "the checker ended before it confirmed; see whether status shows it");
}

void overrider_init(struct super *s)
{
    list_init(&s->overrider.jobs);
}

void overrider_fini(struct super *s)
{
    LIST_EACH (it, &s->overrider.jobs)
        job_free(LIST_ENTRY(it, struct override_job, link));
}
