/* One message to the admin process for each command and one answer back; see the header. */
#include "gateway/super/alerter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "gateway/super/super.h"

#define ALERT_JOB_MAGIC 0xa1e270b5u

struct alert_job {
    uint32_t magic;
    struct list link;
    struct control_request *request;
    struct timer deadline;
    struct msg_alert message;
};

static void job_free(struct alert_job *j)
{
    CHECK_OBJ(j, ALERT_JOB_MAGIC);
    timer_cancel(&j->deadline);
    list_unlink(&j->link);
    OBJ_FREE(&j, ALERT_JOB_MAGIC);
}

static void job_end(struct alert_job *j, const char *error)
{
    struct control_request *r = j->request;

    job_free(j);
    control_answer(&r, error);
}

static void on_deadline(void *arg)
{
    job_end(arg, "no answer in time");
}

static struct child *find_admin(struct super *s)
{
    for (uint32_t i = 0; i < CHILDREN_MAX; i++) {
        struct child *c = &s->child[i];
        if (c->role == ROLE_ADMIN && c->ipc != NULL && !c->is_killed && c->state == ROSTER_READY)
            return c;
    }
    return NULL;
}

static void start(struct super *s, struct control_request *r, struct msg_alert *m)
{
    struct child *admin = find_admin(s);
    struct alert_job *j;

    m->number = s->alerter.last_number + 1;
    if (admin == NULL || ipc_send(admin->ipc, MSG_ALERT, m, -1) != ERR_NONE) {
        control_answer(&r, "the admin process, which sends alerts, does not run");
        return;
    }
    s->alerter.last_number = m->number;
    OBJ_NEW(j, ALERT_JOB_MAGIC);
    j->request = r;
    j->message = *m;
    timer_init(&j->deadline, s->loop, on_deadline, j);
    timer_start(&j->deadline, ALERTER_DEADLINE_MS);
    list_init(&j->link);
    list_append(&s->alerter.jobs, &j->link);
}

void alerter_ack(struct super *s, struct control_request *r, const char *rest)
{
    struct msg_alert m = {.kind = ALERT_COMMAND_ACK};
    char *end = NULL;

    CHECK_OBJ(s, SUPER_MAGIC);
    if (rest[0] == '#')
        rest++;
    m.id = strtoull(rest, &end, 10);
    if (*end != '\0' || rest[0] == '-' || rest[0] == '+' || (rest[0] != '\0' && m.id == 0)) {
        control_answer(&r, "expected nothing, or the number of an alert");
        return;
    }
    start(s, r, &m);
}

void alerter_alerts(struct super *s, struct control_request *r, const char *rest)
{
    static const char test[] = "test ";
    struct msg_alert m = {.kind = ALERT_COMMAND_TEST};

    CHECK_OBJ(s, SUPER_MAGIC);
    if (strncmp(rest, test, sizeof test - 1) != 0 || strlen(rest + sizeof test - 1) >= sizeof m.name) {
        control_answer(&r, "expected test and the name of an alert");
        return;
    }
    snprintf(m.name, sizeof m.name, "%s", rest + sizeof test - 1);
    start(s, r, &m);
}

void alerter_answered(struct super *s, const struct msg_alert_answer *m)
{
    char text[IPC_TEXT_BYTES];

    CHECK_OBJ(s, SUPER_MAGIC);
    snprintf(text, sizeof text, "%.*s", (int)sizeof m->text - 1, m->text);
    LIST_EACH (it, &s->alerter.jobs) {
        struct alert_job *j = LIST_ENTRY(it, struct alert_job, link);

        if (j->message.number != m->number)
            continue;
        if (m->ok && j->message.kind == ALERT_COMMAND_TEST)
            strbuf_printf(&j->request->body, "%s: delivered\n", j->message.name);
        else if (m->ok)
            strbuf_printf(&j->request->body, "%s\n", text);
        job_end(j, m->ok ? NULL : text);
        return;
    }
}

void alerter_forget(struct super *s, const struct child *c)
{
    CHECK_OBJ(s, SUPER_MAGIC);
    if (c->role != ROLE_ADMIN)
        return;
    LIST_EACH (it, &s->alerter.jobs)
        job_end(LIST_ENTRY(it, struct alert_job, link), "the admin process ended before it answered");
}

void alerter_init(struct super *s)
{
    list_init(&s->alerter.jobs);
}

void alerter_fini(struct super *s)
{
    LIST_EACH (it, &s->alerter.jobs)
        job_free(LIST_ENTRY(it, struct alert_job, link));
}
