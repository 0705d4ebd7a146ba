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
    struct errand errand;
    struct msg_override message;
};

static struct control_request *job_free(struct override_job *j)
{
    struct control_request *r;

    CHECK_OBJ(j, OVERRIDE_JOB_MAGIC);
    r = errand_end(&j->errand);
    OBJ_FREE(&j, OVERRIDE_JOB_MAGIC);
    return r;
}

static void job_end(struct override_job *j, const char *error)
{
    struct control_request *r;

    if (error != NULL)
        LOG_WARN("operator's word not confirmed", KV_STR("server", j->message.server),
                 KV_STR("word", override_text((enum override_kind)j->message.kind)), KV_STR("cause", error));
    r = job_free(j);
    control_answer(&r, error);
}

static void on_late(void *arg)
{
    job_end(arg, "the checker has not confirmed in time; see whether status shows it");
}

static void start(struct super *s, struct control_request *r, const char *server, size_t len, enum override_kind kind)
{
    struct override_job *j;
    struct child *checker = errands_child(s, ROLE_CHECKER);
    struct msg_override m = {.number = s->overrider.errands.last_number + 1, .kind = kind};

    if (len == 0 || len >= sizeof m.server || memchr(server, '/', len) == NULL) {
        control_answer(&r, "expected the server as POOL/SERVER or targets/NAME");
        return;
    }
    memcpy(m.server, server, len);
    if (checker == NULL || ipc_send(checker->ipc, MSG_OVERRIDE, &m, -1) != ERR_NONE) {
        control_answer(&r, "the checker does not take it now, try again");
        return;
    }
    OBJ_NEW(j, OVERRIDE_JOB_MAGIC);
    j->message = m;
    errand_begin(&j->errand, &s->overrider.errands, s->loop, r, OVERRIDER_DEADLINE_MS, on_late, j);
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
    control_answer(&r, "expected POOL/SERVER or targets/NAME, and one of up, down, auto");
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
    struct errand *e = errand_find(&s->overrider.errands, ack->number);
    struct override_job *j;
    char text[IPC_TEXT_BYTES];

    if (e == NULL)
        return;
    j = LIST_ENTRY(e, struct override_job, errand);
    snprintf(text, sizeof text, "%.*s", (int)sizeof ack->text - 1, ack->text);
    if (ack->ok)
        strbuf_printf(&e->request->body, "%s: %s%s%s\n", j->message.server,
                      override_text((enum override_kind)j->message.kind), text[0] != '\0' ? "; " : "", text);
    job_end(j, ack->ok ? NULL : text);
}

void overrider_forget(struct super *s, const struct child *c)
{
    CHECK_OBJ(s, SUPER_MAGIC);
    if (c->role != ROLE_CHECKER)
        return;
    LIST_EACH (it, &s->overrider.errands.list)
        job_end(LIST_ENTRY(it, struct override_job, errand.link),
                "the checker ended before it confirmed; see whether status shows it");
}

void overrider_init(struct super *s)
{
    errands_init(&s->overrider.errands);
}

void overrider_fini(struct super *s)
{
    LIST_EACH (it, &s->overrider.errands.list)
        (void)job_free(LIST_ENTRY(it, struct override_job, errand.link));
}
