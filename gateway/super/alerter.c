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
    struct errand errand;
    struct msg_alert message;
};

static struct control_request *job_free(struct alert_job *j)
{
    struct control_request *r;

    CHECK_OBJ(j, ALERT_JOB_MAGIC);
    r = errand_end(&j->errand);
    OBJ_FREE(&j, ALERT_JOB_MAGIC);
    return r;
}

static void job_end(struct alert_job *j, const char *error)
{
    struct control_request *r = job_free(j);

    control_answer(&r, error);
}

static void on_late(void *arg)
{
    job_end(arg, "no answer in time");
}

static void start(struct super *s, struct control_request *r, struct msg_alert *m)
{
    struct child *admin = errands_child(s, ROLE_ADMIN);
    struct alert_job *j;

    m->number = s->alerter.errands.last_number + 1;
    if (admin == NULL || ipc_send(admin->ipc, MSG_ALERT, m, -1) != ERR_NONE) {
        control_answer(&r, "the admin process, which sends alerts, does not run");
        return;
    }
    OBJ_NEW(j, ALERT_JOB_MAGIC);
    j->message = *m;
    errand_begin(&j->errand, &s->alerter.errands, s->loop, r, ALERTER_DEADLINE_MS, on_late, j);
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
    struct errand *e;
    struct alert_job *j;

    CHECK_OBJ(s, SUPER_MAGIC);
    e = errand_find(&s->alerter.errands, m->number);
    if (e == NULL)
        return;
    j = LIST_ENTRY(e, struct alert_job, errand);
    snprintf(text, sizeof text, "%.*s", (int)sizeof m->text - 1, m->text);
    if (m->ok && j->message.kind == ALERT_COMMAND_TEST)
        strbuf_printf(&e->request->body, "%s: delivered\n", j->message.name);
    else if (m->ok)
        strbuf_printf(&e->request->body, "%s\n", text);
    job_end(j, m->ok ? NULL : text);
}

void alerter_forget(struct super *s, const struct child *c)
{
    CHECK_OBJ(s, SUPER_MAGIC);
    if (c->role != ROLE_ADMIN)
        return;
    LIST_EACH (it, &s->alerter.errands.list)
        job_end(LIST_ENTRY(it, struct alert_job, errand.link), "the admin process ended before it answered");
}

void alerter_init(struct super *s)
{
    errands_init(&s->alerter.errands);
}

void alerter_fini(struct super *s)
{
    LIST_EACH (it, &s->alerter.errands.list)
        (void)job_free(LIST_ENTRY(it, struct alert_job, errand.link));
}
