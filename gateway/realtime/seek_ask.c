/* Asking. What an answer means for the server is what it means to the exchange (gateway/exchange/attempt.c); what it
 * means for the seek:
 *
 *   accepted, and as the first server was    found; who was asked beside it is forgotten
 *   401, 403, 404                            nobody else is asked: it is about the request
 *   429, 503                                 the next one, but not much is to be hoped for
 *   anything else, or none                   the next one
 *
 * When the first takes long, a second one is asked beside it; whoever answers first, well or ill, does not end what the
 * other is still doing, unless it accepts. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "gateway/realtime/seek_priv.h"

/* All text that is made for one head: what the exchange has for it. */
#define TEXTS_BYTES (64u * 1024u)

static const struct call_ops call_ops;

static int64_t now_of(const struct seek *k)
{
    return loop_now_ms(k->all->net->loop);
}

static uint32_t ask_count(const struct seek *k)
{
    uint32_t count = 0;
    for (int i = 0; i < SEEK_ASKS; i++)
        count += k->asks[i].attempt.server != NULL;
    return count;
}

/* ---- hedging ---- */

static void arm_hedge(struct seek *k)
{
    if (k->route->session.hedge_ms > 0 && ask_count(k) == 1)
        timer_start(&k->hedge, k->route->session.hedge_ms);
}

static void on_hedge(void *arg)
{
    struct seek *k = arg;
    CHECK_OBJ(k, SEEK_MAGIC);
    int64_t wait_ms = INT64_MAX;
    if (k->failure == SEEK_REFUSED || k->pick.attempt_count > k->pool->pool_conf->max_retries)
        return;
    /* There is another one to be had: it is being asked. */
    const bool was_choosy = k->pick.is_choosy;
    k->pick.is_choosy = true;
    const bool is_found = seek_pick(k, &wait_ms);
    k->pick.is_choosy = was_choosy;
    if (is_found)
        seek_ask(k);
    else
        arm_hedge(k); /* there may be one later */
}

/* ---- one answer ---- */

struct verdict_of_ask {
    enum outcome outcome; /* for the server */
    enum seek_failure failure;
    uint16_t status; /* 0: no answer */
    const char *phase;
    const char *cause;
    const char *detail;
};

/* The worst that was heard decides; of several as bad, the last. */
static void note(struct seek *k, const struct verdict_of_ask *v)
{
    if (v->failure < k->failure)
        return;
    k->failure = v->failure;
    k->status = v->status;
    (void)snprintf(k->why, sizeof k->why, "%s", v->cause);
}

/* The call is gone, or cancelled. The seek may be gone when this returns. */
static void ask_failed(struct seek_ask *a, const struct verdict_of_ask *v)
{
    struct seek *k = a->seek;
    const int64_t now_ms = now_of(k);
    LOG_LIMITED(&k->all->failure_log, now_ms, LOG_LEVEL_WARN, "server did not take a session",
                KV_STR("server", a->attempt.server->server_conf->slot_name), KV_STR("phase", v->phase),
                KV_STR("cause", v->cause), KV_STR("detail", v->detail), KV_UINT("attempt", k->pick.attempt_count));
    attempt_end(&a->attempt, v->outcome, now_ms);
    note(k, v);
    if (ask_count(k) > 0) {
        arm_hedge(k);
        return;
    }
    timer_cancel(&k->hedge);
    if (k->failure == SEEK_REFUSED)
        seek_failed(k);
    else
        seek_go_on(k);
}

void seek_ask_failed(struct seek_ask *a, const char *why, enum outcome outcome)
{
    const struct verdict_of_ask v = {
        .outcome = outcome, .phase = call_phase_text(CALL_ANSWER), .cause = why, .detail = ""};
    ask_failed(a, &v);
}

static void on_failed(void *arg, const struct call_failure *f)
{
    struct seek_ask *a = arg;
    struct seek *k = a->seek;
    CHECK_OBJ(k, SEEK_MAGIC);
    a->call = NULL;
    /* Our own lack of descriptors, or of the time that others used up. */
    const bool is_ours = (f->error == ERR_LIMIT && f->phase < CALL_REQUEST) || (f->is_cut_short && !a->is_first);
    const struct verdict_of_ask v = {.outcome = is_ours ? OUTCOME_CANCELLED : OUTCOME_FAILED,
                                     .phase = call_phase_text(f->phase),
                                     .cause = err_text(f->error),
                                     .detail = f->detail};
    ask_failed(a, &v);
}

static enum seek_failure failure_of(uint16_t status)
{
    switch (status) {
    case 401:
    case 403:
    case 404:
        return SEEK_REFUSED;
    case 429:
    case 503:
        return SEEK_BUSY;
    default:
        return SEEK_NO_SERVER;
    }
}

/* It declined. */
static void on_head(void *arg, const struct http_head *head, bool has_body)
{
    struct seek_ask *a = arg;
    char cause[32];
    (void)has_body;
    CHECK_OBJ(a->seek, SEEK_MAGIC);
    const bool is_fault = head->status == 500 || head->status == 502 || head->status == 503 || head->status == 504;
    (void)snprintf(cause, sizeof cause, "status %u", head->status);
    const struct verdict_of_ask v = {.outcome = is_fault ? OUTCOME_FAILED : OUTCOME_REFUSED,
                                     .failure = failure_of(head->status),
                                     .status = head->status,
                                     .phase = call_phase_text(CALL_ANSWER),
                                     .cause = cause,
                                     .detail = ""};
    call_cancel(&a->call);
    ask_failed(a, &v);
}

void seek_ask_found(struct seek_ask *a, struct seek_found *f)
{
    struct seek *k = a->seek;
    struct loop *l = k->all->net->loop;
    /* It counts as an attempt until the owner has counted it as what it is. */
    struct attempt won = a->attempt;
    a->attempt.server = NULL;
    const struct seek_ops *ops = k->ops;
    void *owner = k->arg;
    f->server = server_ref(won.server);
    seek_free(k);
    ops->on_found(owner, f);
    attempt_end(&won, OUTCOME_OK, loop_now_ms(l));
}

static void on_joined(void *arg, const struct call_joined *j)
{
    struct seek_ask *a = arg;
    struct seek *k = a->seek;
    CHECK_OBJ(k, SEEK_MAGIC);
    a->call = NULL;
    if (!k->origin_ops->accepts(k->origin, j->head)) {
        struct conn *conn = j->conn;
        const struct verdict_of_ask v = {.outcome = OUTCOME_REFUSED,
                                         .status = j->head->status,
                                         .phase = call_phase_text(CALL_ANSWER),
                                         .cause = "another subprotocol",
                                         .detail = ""};
        conn_close(&conn, true);
        ask_failed(a, &v);
        return;
    }
    if (seek_calm_begin(a, j)) {
        arm_hedge(k);
        return;
    }
    struct seek_found f = {.conn = j->conn,
                           .subprotocol = http_value(j->head, "sec-websocket-protocol"),
                           .rest = j->rest,
                           .rest_bytes = j->rest_bytes};
    seek_ask_found(a, &f);
}

/* Content of an answer that was declined is not waited for: on_head() is the last. */
static const struct call_ops call_ops = {.on_head = on_head, .on_joined = on_joined, .on_failed = on_failed};

/* ---- asking ---- */

static struct call *start_call(struct seek_ask *a)
{
    struct seek *k = a->seek;
    struct http_head head;
    struct http_texts texts;
    struct call *c = NULL;
    http_texts_init(&texts, TEXTS_BYTES);
    if (k->origin_ops->make_head(k->origin, k->conf, k->route, a->attempt.server, &head, &texts)) {
        const struct call_start o = {.server = a->attempt.server,
                                     .head = &head,
                                     .websocket = CALL_WEBSOCKET,
                                     .over = k->route->ws_upstream,
                                     .is_repeatable = true,
                                     .deadline_ms = k->deadline_ms,
                                     .ops = &call_ops,
                                     .arg = a};
        c = call_start(k->all->net, &o);
    }
    http_texts_fini(&texts);
    return c;
}

void seek_ask(struct seek *k)
{
    struct seek_ask *a = k->asks[0].attempt.server == NULL ? &k->asks[0] : &k->asks[1];
    ASSERT(a->attempt.server == NULL);
    a->attempt = pick_detach(&k->pick);
    a->is_first = k->pick.attempt_count == 1;
    a->asked_ms = now_of(k);
    a->call = start_call(a);
    if (a->call == NULL) {
        const struct verdict_of_ask v = {.outcome = OUTCOME_CANCELLED,
                                         .phase = call_phase_text(CALL_RESOLVE),
                                         .cause = "no room for the gateway's own fields",
                                         .detail = ""};
        ask_failed(a, &v);
        return;
    }
    arm_hedge(k);
    if (k->ops->on_asking != NULL)
        k->ops->on_asking(k->arg, a->attempt.server);
}

void seek_ask_init(struct seek *k)
{
    for (int i = 0; i < SEEK_ASKS; i++) {
        k->asks[i].seek = k;
        seek_calm_init(&k->asks[i]);
    }
    timer_init(&k->hedge, k->all->net->loop, on_hedge, k);
}

void seek_ask_cancel_all(struct seek *k)
{
    timer_cancel(&k->hedge);
    for (int i = 0; i < SEEK_ASKS; i++) {
        struct seek_ask *a = &k->asks[i];
        if (a->call != NULL)
            call_cancel(&a->call);
        seek_calm_cancel(a);
        if (a->attempt.server != NULL)
            attempt_end(&a->attempt, OUTCOME_CANCELLED, now_of(k));
    }
}

void seek_ask_give_up(struct seek *k, const struct server *s, const char *why)
{
    CHECK_OBJ(k, SEEK_MAGIC);
    for (int i = 0; i < SEEK_ASKS; i++) {
        struct seek_ask *a = &k->asks[i];
        if (a->attempt.server != s)
            continue;
        if (a->call != NULL)
            call_cancel(&a->call);
        seek_calm_cancel(a);
        seek_ask_failed(a, why, OUTCOME_CANCELLED);
        return; /* a server is not asked twice at a time */
    }
}
