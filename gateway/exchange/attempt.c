/* Attempts: one server after the other, until one answers. The hard part is when a second attempt is right:
 *
 *   nothing was sent, or the server says it did nothing     always, as long as the body can be sent again
 *   it may have been executed                               only what is repeatable, and only within the retry budget
 *   the answer has begun                                    never */
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/tls.h"
#include "gateway/exchange/exchange_priv.h"

static const struct call_ops call_ops;

/* ---- PICK ---- */

static enum step no_server(struct exchange *x, const char *reason)
{
    if (x->pick.attempt_count == 0)
        stat_add(&x->env->net->block->route[x->route_slot][STAT_ROUTE_NO_SERVER], 1);
    return deliver_own(x, x->pick.attempt_count == 0 ? 503 : x->last_status, reason);
}

enum step step_pick(struct exchange *x)
{
    int64_t now_ms = exchange_now_ms(x);
    const struct conf_pool *pc = x->pool->pool_conf;
    if (pc == NULL)
        return no_server(x, "pool removed");
    if (x->pick.attempt_count > pc->max_retries)
        return no_server(x, "retries used up");
    if (now_ms >= x->deadline_ms)
        return no_server(x, "failover timeout");
    if (pool_pick(x->pool, &x->pick, now_ms, loop_wall_ms(x->env->net->loop)) == NULL)
        return no_server(x, pick_none_text(x->pick.none));
    return STEP_CALL;
}

/* ---- CALL ---- */

/* What any server is told; `subject` (OUTGOING_SUBJECT_BYTES) keeps what the client's certificate says. */
void exchange_outgoing(const struct exchange *x, char *subject, struct outgoing *out)
{
    const struct tls *tls = x->wire != NULL ? conn_tls(x->wire) : NULL;
    *subject = '\0';
    if (tls != NULL)
        (void)tls_client_subject(tls, subject, OUTGOING_SUBJECT_BYTES);
    *out = (struct outgoing){.head = &x->head,
                             .peer_ip = x->peer_ip,
                             .client_ip = x->client_ip,
                             .is_trusted = x->is_trusted,
                             .is_tls = x->is_tls,
                             .is_websocket = x->is_websocket,
                             .has_cache_tags = x->fetch == NULL,
                             .request_id = exchange_id(x),
                             .subject = http_view_of(*subject != '\0' ? subject : NULL),
                             .trace = &x->trace,
                             .verdict = &x->verdict};
}

enum step step_call(struct exchange *x)
{
    struct http_head head;
    struct http_texts texts;
    struct outgoing out;
    char subject[OUTGOING_SUBJECT_BYTES];
    exchange_outgoing(x, subject, &out);
    http_texts_init(&texts, EXCHANGE_TEXTS_BYTES);
    if (!outgoing_head(&out, x->conf, x->route, &x->pick.server->server_conf->url, &head, &texts)) {
        http_texts_fini(&texts);
        return deliver_own(x, 431, "no room for the gateway's own fields");
    }
    struct call_start o = {.server = x->pick.server,
                           .head = &head,
                           .has_body = x->has_body,
                           .websocket = x->is_websocket ? CALL_WEBSOCKET : CALL_PLAIN,
                           .over = x->route->ws_upstream,
                           .is_repeatable = x->is_repeatable,
                           .deadline_ms = x->is_websocket ? x->deadline_ms : 0,
                           .begun_ms = x->start_ms,
                           .ops = &call_ops,
                           .arg = x};
    x->call_ms = exchange_now_ms(x);
    x->is_call_ready = false;
    x->call = call_start(x->env->net, &o);
    http_texts_fini(&texts);
    return STEP_WAIT;
}

/* A connection is there: first what another server was given already, then what is yet to come. */
static void on_ready(void *arg)
{
    struct exchange *x = arg;
    CHECK_OBJ(x, EXCHANGE_MAGIC);
    struct exchange **self = x->self;
    struct call *c = x->call;
    x->is_call_ready = true;
    if (x->replay.kept.len > 0)
        call_write(c, (const uint8_t *)x->replay.kept.data, x->replay.kept.len);
    if (!exchange_is_calling(self, x, c))
        return;
    if (x->is_body_over)
        call_end_body(c);
    else if (!call_is_full(c))
        x->ops->want_body(x->arg, true);
}

static void on_drain(void *arg)
{
    struct exchange *x = arg;
    CHECK_OBJ(x, EXCHANGE_MAGIC);
    if (!x->is_body_over)
        x->ops->want_body(x->arg, true);
}

/* ---- failures ---- */

static bool may_try_again(struct exchange *x, bool is_unprocessed)
{
    if (x->replay.is_lost)
        return false;
    if (is_unprocessed || x->is_websocket)
        return true;
    return x->is_repeatable && pool_may_retry(x->pool, exchange_now_ms(x));
}

struct fault {
    uint16_t status; /* what the client hears if no other server does better */
    const char *phase;
    const char *cause;
    const char *detail;
    bool is_unprocessed;
    bool is_ours;        /* says nothing about the server */
    bool is_retry_given; /* may_try_again() was asked, and paid */
};

static enum step attempt_failed(struct exchange *x, const struct fault *f)
{
    int64_t now_ms = exchange_now_ms(x);
    x->last_status = f->status;
    LOG_LIMITED(&x->env->failure_log, now_ms, LOG_LEVEL_WARN, "attempt failed", KV_STR("id", x->id),
                KV_STR("server", x->pick.server->server_conf->slot_name), KV_STR("phase", f->phase),
                KV_STR("cause", f->cause), KV_STR("detail", f->detail), KV_UINT("attempt", x->pick.attempt_count));
    pick_end(&x->pick, f->is_ours ? OUTCOME_CANCELLED : OUTCOME_FAILED, now_ms);
    if (x->has_body && !x->is_body_over)
        x->ops->want_body(x->arg, false);
    if (!f->is_unprocessed)
        lookup_may_have_written(x);
    if (!f->is_retry_given && !may_try_again(x, f->is_unprocessed))
        return deliver_own(x, f->status, f->cause);
    return STEP_PICK;
}

static void on_failed(void *arg, const struct call_failure *f)
{
    struct exchange *x = arg;
    CHECK_OBJ(x, EXCHANGE_MAGIC);
    x->call = NULL;
    if (x->status != 0) {
        deliver_broken(x, err_text(f->error));
        return;
    }
    struct fault fault = {.status = f->error == ERR_TIMEOUT ? 504 : 502,
                          .phase = call_phase_text(f->phase),
                          .cause = err_text(f->error),
                          .detail = f->detail,
                          .is_unprocessed = f->is_unprocessed};
    /* Our own lack of descriptors, or of the time that others used up. */
    fault.is_ours =
        (f->error == ERR_LIMIT && f->phase < CALL_REQUEST) || (f->is_cut_short && x->pick.attempt_count > 1);
    exchange_run(x, attempt_failed(x, &fault));
}

/* ---- the answer ---- */

/* A server that is overloaded or broken says so by one of these; the next may do better. A 500 may be the work of this
 * one request, unless it was about a WebSocket. */
static bool is_fault(const struct exchange *x, uint16_t status)
{
    return status == 502 || status == 503 || status == 504 || (status == 500 && x->is_websocket);
}

/* Whether a server's fault is kept from the client because another server may do better. */
static bool is_worth_retrying(struct exchange *x, uint16_t status)
{
    int64_t now_ms = exchange_now_ms(x);
    const struct conf_pool *pc = x->pool->pool_conf;
    return is_fault(x, status) && pc != NULL && x->pick.attempt_count <= pc->max_retries && now_ms < x->deadline_ms &&
           pool_has_another(x->pool, &x->pick, now_ms) && may_try_again(x, false);
}

static void on_head(void *arg, const struct http_head *head, bool has_body)
{
    struct exchange *x = arg;
    CHECK_OBJ(x, EXCHANGE_MAGIC);
    if (is_worth_retrying(x, head->status)) {
        char cause[32];
        (void)snprintf(cause, sizeof cause, "status %u", head->status);
        struct fault f = {.status = head->status == 500 ? 502 : head->status,
                          .phase = call_phase_text(CALL_ANSWER),
                          .cause = cause,
                          .detail = "",
                          .is_retry_given = true};
        call_cancel(&x->call);
        exchange_run(x, attempt_failed(x, &f));
        return;
    }
    if (!deliver_head(x, head, has_body)) {
        struct fault f = {.status = 502,
                          .phase = call_phase_text(CALL_ANSWER),
                          .cause = "answer's head cannot be passed on",
                          .detail = ""};
        call_cancel(&x->call);
        exchange_run(x, attempt_failed(x, &f));
        return;
    }
    enum outcome o = is_fault(x, head->status) ? OUTCOME_FAILED : x->is_websocket ? OUTCOME_REFUSED : OUTCOME_OK;
    x->server = x->pick.server;
    server_request_began(x->server); /* and a reference of its own */
    pick_end(&x->pick, o, exchange_now_ms(x));
    /* A server that refuses does not want the rest of the body; nobody waits for it any more. */
    if (!x->is_body_over && call_is_full(x->call))
        x->ops->want_body(x->arg, false);
}

static void on_data(void *arg, const uint8_t *data, size_t len)
{
    struct exchange *x = arg;
    CHECK_OBJ(x, EXCHANGE_MAGIC);
    deliver_body(x, data, len);
}

static void on_end(void *arg)
{
    struct exchange *x = arg;
    CHECK_OBJ(x, EXCHANGE_MAGIC);
    x->call = NULL;
    deliver_end(x);
}

static void on_joined(void *arg, const struct call_joined *j)
{
    struct exchange *x = arg;
    CHECK_OBJ(x, EXCHANGE_MAGIC);
    x->call = NULL;
    deliver_joined(x, j);
}

static const struct call_ops call_ops = {
    .on_ready = on_ready,
    .on_head = on_head,
    .on_data = on_data,
    .on_drain = on_drain,
    .on_end = on_end,
    .on_joined = on_joined,
    .on_failed = on_failed,
};
