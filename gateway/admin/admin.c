/* What the supervisor's messages mean here. A configuration counts only when it arrives whole: the listener that came
 * before it is held back until then, and a configuration that cannot be read changes nothing but the answer. */
#include "gateway/admin/admin.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/ipc.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/admin/alerts.h"
#include "gateway/admin/rss.h"
#include "gateway/admin/web.h"

#define ADMIN_MAGIC        0xad310fceu
#define RESPONSE_MS        10000 /* for a client to take its response */
#define REQUEST_DEFAULT_MS 5000  /* until a configuration says otherwise */

struct admin {
    uint32_t magic;
    struct loop *loop;
    const struct birth *birth;
    struct ipc *ipc; /* NULL once the supervisor is gone */
    struct web *web;
    struct feed *feed;
    struct alerts *alerts; /* NULL: none can be sent */
    struct conf *conf;     /* NULL before the first one */
    int pending_listen_fd; /* came since the last configuration; -1: none */
    struct timer drain_end;
    uint64_t rss_bytes[ROSTER_ROWS]; /* scratch of one view */
};

/* ---- for the web server ---- */

static bool on_view(void *arg, struct report_view *v)
{
    struct admin *a = arg;
    const struct health_table *health = a->birth->verdicts.base;

    CHECK_OBJ(a, ADMIN_MAGIC);
    if (a->conf == NULL)
        return false;
    rss_read(a->birth->roster, a->rss_bytes);
    *v = (struct report_view){
        .conf = a->conf,
        .slots = a->birth->slots,
        .roster = a->birth->roster,
        .stats = a->birth->stats,
        .verdicts = &health->verdicts,
        .steering = &health->steering,
        .wall_ms = loop_wall_ms(a->loop),
        .rss_bytes = a->rss_bytes,
    };
    return true;
}

static void on_drained(void *arg)
{
    struct admin *a = arg;

    CHECK_OBJ(a, ADMIN_MAGIC);
    loop_stop(a->loop);
}

static struct feed *on_feed(void *arg)
{
    struct admin *a = arg;

    CHECK_OBJ(a, ADMIN_MAGIC);
    return a->feed;
}

static bool on_alerts(void *arg, struct strbuf *out)
{
    struct admin *a = arg;

    CHECK_OBJ(a, ADMIN_MAGIC);
    if (a->alerts == NULL || a->conf == NULL)
        return false;
    alerts_list(a->alerts, out);
    return true;
}

/* ---- for the alerts ---- */

static void on_alert_answer(void *arg, uint64_t number, bool ok, const char *text, const struct strbuf *list)
{
    struct admin *a = arg;
    struct msg_alert_answer m = {.number = number, .ok = ok};
    int fd = -1;

    CHECK_OBJ(a, ADMIN_MAGIC);
    snprintf(m.text, sizeof m.text, "%s", text);
    if (list != NULL && shm_seal_bytes("alerts", list->data, list->len, &fd) != ERR_NONE) {
        m.ok = 0;
        snprintf(m.text, sizeof m.text, "there is no room for the list");
    }
    if (a->ipc != NULL)
        (void)!ipc_send(a->ipc, MSG_ALERT_ANSWER, &m, fd); /* the operator is told that there was no answer */
    if (fd >= 0)
        close(fd);
}

static void on_alert_event(void *arg, const struct event *e)
{
    struct admin *a = arg;

    CHECK_OBJ(a, ADMIN_MAGIC);
    if (a->ipc != NULL && ipc_send(a->ipc, MSG_EVENT, e, -1) != ERR_NONE)
        LOG_WARN("event lost", KV_STR("kind", event_kind_text((enum event_kind)e->kind)));
}

static const struct alerts_ops alerts_ops = {.answer = on_alert_answer, .event = on_alert_event};
static const struct web_ops web_ops = {.view = on_view, .feed = on_feed, .alerts = on_alerts, .on_idle = on_drained};

/* ---- messages ---- */

static void drop_pending_listener(struct admin *a)
{
    if (a->pending_listen_fd >= 0)
        close(a->pending_listen_fd);
    a->pending_listen_fd = -1;
}

static void on_listener(struct admin *a, const void *payload, int fd)
{
    (void)payload;
    drop_pending_listener(a);
    a->pending_listen_fd = fd;
}

/* With a configuration, alerts catch up on what came before it. */
static void tell_alerts(struct admin *a)
{
    alerts_set(a->alerts, a->conf);
    for (uint64_t seq = feed_first_seq(a->feed); seq <= feed_last_seq(a->feed); seq++) {
        const struct event *e = feed_at(a->feed, seq);

        if (e != NULL)
            alerts_event(a->alerts, e);
    }
}

static void take_conf(struct admin *a, struct conf *c)
{
    struct web_limits limits = {.request_ms = c->limits.header_timeout_ms, .response_ms = RESPONSE_MS};

    struct conf *old = a->conf;

    a->conf = c;
    if (a->alerts != NULL)
        tell_alerts(a);
    if (old != NULL)
        conf_unref(&old);
    web_set_limits(a->web, &limits);
    web_listen(a->web, a->pending_listen_fd);
    a->pending_listen_fd = -1;
}

static void on_conf(struct admin *a, const void *payload, int fd)
{
    const struct msg_conf *m = payload;
    struct conf_errors errors;
    struct conf *c = conf_load_sealed(fd, &errors);

    if (fd >= 0)
        close(fd);
    if (c != NULL) {
        take_conf(a, c);
        LOG_INFO("configuration taken", KV_UINT("generation", m->generation));
    } else {
        drop_pending_listener(a);
        LOG_WARN("configuration refused", KV_UINT("generation", m->generation), KV_STR("cause", errors.text));
    }
    ipc_answer_conf(a->ipc, m->generation, errors.text);
    conf_errors_fini(&errors);
}

static void on_drain_end(void *arg)
{
    struct admin *a = arg;

    CHECK_OBJ(a, ADMIN_MAGIC);
    loop_stop(a->loop);
}

static void on_drain(struct admin *a, const void *payload, int fd)
{
    const struct msg_drain *m = payload;

    (void)fd;
    timer_start(&a->drain_end, m->time_ms > 0 ? m->time_ms : 0);
    web_drain(a->web);
}

static void on_stop(struct admin *a, const void *payload, int fd)
{
    (void)payload;
    (void)fd;
    loop_stop(a->loop);
}

static void on_reopen_log(struct admin *a, const void *payload, int fd)
{
    (void)a;
    (void)payload;
    if (fd >= 0)
        log_use_fd(fd);
    else
        log_reopen();
}

static void on_event(struct admin *a, const void *payload, int fd)
{
    struct event e = *(const struct event *)payload;

    (void)fd;
    if (!event_sanitize(&e) || !feed_add(a->feed, &e))
        return;
    web_feed_grew(a->web);
    if (a->alerts != NULL && a->conf != NULL)
        alerts_event(a->alerts, &e);
}

static void on_alert(struct admin *a, const void *payload, int fd)
{
    const struct msg_alert *m = payload;

    (void)fd;
    if (a->alerts != NULL)
        alerts_command(a->alerts, m);
    else
        on_alert_answer(a, m->number, false, "alerts cannot be sent: libcurl did not start", NULL);
}

/* What this process listens to; `takes_fd` says who closes a descriptor that came along. */
static const struct {
    void (*handle)(struct admin *a, const void *payload, int fd);
    bool takes_fd;
} handlers[MSG_COUNT] = {
    [MSG_LISTENER] = {on_listener, true},     [MSG_CONF] = {on_conf, true},
    [MSG_DRAIN] = {on_drain, false},          [MSG_STOP] = {on_stop, false},
    [MSG_REOPEN_LOG] = {on_reopen_log, true}, [MSG_EVENT] = {on_event, false},
    [MSG_ALERT] = {on_alert, false},
};

static void on_message(void *arg, enum ipc_type type, const void *payload, int fd)
{
    struct admin *a = arg;

    CHECK_OBJ(a, ADMIN_MAGIC);
    if (handlers[type].handle == NULL)
        LOG_WARN("message not understood", KV_STR("message", ipc_type_text(type)));
    else
        handlers[type].handle(a, payload, fd);
    if (fd >= 0 && !handlers[type].takes_fd)
        close(fd);
}

static void on_supervisor_gone(void *arg)
{
    struct admin *a = arg;

    CHECK_OBJ(a, ADMIN_MAGIC);
    LOG_WARN("supervisor is gone, stopping");
    ipc_destroy(&a->ipc);
    loop_stop(a->loop);
}

/* ---- life ---- */

struct admin *admin_create(struct loop *l, const struct birth *birth)
{
    static const struct web_limits first_limits = {.request_ms = REQUEST_DEFAULT_MS, .response_ms = RESPONSE_MS};
    const struct roster *roster = birth->roster;
    /* What happened before is no news; with a state directory, before this run of the gateway. */
    const int64_t since = birth->note.state_dir[0] != '\0'
                              ? atomic_load(&roster->started_wall_ms)
                              : atomic_load(&roster->row[birth->note.roster_row].started_wall_ms);
    struct admin *a;

    OBJ_NEW(a, ADMIN_MAGIC);
    a->loop = l;
    a->birth = birth;
    a->pending_listen_fd = -1;
    timer_init(&a->drain_end, l, on_drain_end, a);
    a->feed = feed_create();
    a->web = web_create(l, &web_ops, a, &first_limits);
    if (a->web == NULL) {
        feed_destroy(&a->feed);
        OBJ_FREE(&a, ADMIN_MAGIC);
        return NULL;
    }
    a->alerts = alerts_create(l, birth->note.state_dir, since, birth->block->process, &alerts_ops, a);
    if (a->alerts == NULL)
        LOG_ERR("alerts cannot be sent", KV_STR("cause", "libcurl"));
    a->ipc = ipc_create(l, birth->control_fd, on_message, on_supervisor_gone, a);
    return a;
}

void admin_destroy(struct admin **ap)
{
    struct admin *a = *ap;

    CHECK_OBJ(a, ADMIN_MAGIC);
    timer_cancel(&a->drain_end);
    drop_pending_listener(a);
    web_destroy(&a->web);
    if (a->alerts != NULL)
        alerts_destroy(&a->alerts);
    feed_destroy(&a->feed);
    if (a->ipc != NULL)
        ipc_destroy(&a->ipc);
    if (a->conf != NULL)
        conf_unref(&a->conf);
    OBJ_FREE(ap, ADMIN_MAGIC);
}
