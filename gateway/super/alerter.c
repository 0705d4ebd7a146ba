/* One message to the admin process for each command and one answer back; see the header. */
#include "gateway/super/alerter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/shm.h"
#include "gateway/super/super.h"

#define ALERT_JOB_MAGIC 0xa1e270b5u

static const char by[] = "by ";

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

/* "12" or "#12"; 0 when there is nothing before "by" or at all. Returns what comes after it; NULL: it is something
 * else. */
static const char *parse_number(const char *text, uint64_t *number)
{
    char *end = NULL;

    *number = 0;
    if (text[0] == '\0' || strncmp(text, by, sizeof by - 1) == 0)
        return text;
    if (text[0] == '#')
        text++;
    if (text[0] < '0' || text[0] > '9')
        return NULL;
    *number = strtoull(text, &end, 10);
    return *number > 0 && (*end == '\0' || *end == ' ') ? end + strspn(end, " ") : NULL;
}

void alerter_ack(struct super *s, struct control_request *r, const char *rest)
{
    struct msg_alert m = {.kind = ALERT_COMMAND_ACK};

    CHECK_OBJ(s, SUPER_MAGIC);
    rest = parse_number(rest, &m.id);
    if (rest != NULL && strncmp(rest, by, sizeof by - 1) == 0 && strlen(rest + sizeof by - 1) < sizeof m.name) {
        snprintf(m.name, sizeof m.name, "%s", rest + sizeof by - 1);
        rest = "";
    }
    if (rest == NULL || rest[0] != '\0') {
        control_answer(&r, "expected nothing, or the number of an alert, and by whom");
        return;
    }
    start(s, r, &m);
}

void alerter_alerts(struct super *s, struct control_request *r, const char *rest)
{
    static const char test[] = "test ";
    struct msg_alert m = {.kind = ALERT_COMMAND_TEST};

    CHECK_OBJ(s, SUPER_MAGIC);
    if (rest[0] == '\0') {
        m.kind = ALERT_COMMAND_LIST;
        start(s, r, &m);
        return;
    }
    if (strncmp(rest, test, sizeof test - 1) != 0 || strlen(rest + sizeof test - 1) >= sizeof m.name) {
        control_answer(&r, "expected nothing, or test and the name of an alert");
        return;
    }
    snprintf(m.name, sizeof m.name, "%s", rest + sizeof test - 1);
    start(s, r, &m);
}

/* The list, as it came; false when it is none. */
static bool take_list(struct control_request *r, int fd)
{
    char *list = NULL;
    size_t len = 0;

    if (fd < 0 || shm_read_sealed(fd, ALERT_LIST_BYTES_MAX, &list, &len) != ERR_NONE)
        return false;
    strbuf_add(&r->body, list, len);
    mem_free(list);
    return true;
}

void alerter_answered(struct super *s, const struct msg_alert_answer *m, int fd)
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
    if (m->ok && j->message.kind == ALERT_COMMAND_LIST) {
        job_end(j, take_list(e->request, fd) ? NULL : "the list did not arrive");
        return;
    }
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
