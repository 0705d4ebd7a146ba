/* What all kinds of probes share: life, the clock for the latency, and the answer at the end of the pass. */
#include "health/checker/probe.h"

#include <stdio.h>

#include "base/mem.h"

static const struct probe_ops *const kinds[] = {
    [CHECK_TCP] = &probe_tcp_ops,         [CHECK_TLS] = &probe_tls_ops,     [CHECK_HTTP] = &probe_lws_ops,
    [CHECK_WEBSOCKET] = &probe_lws_ops,   [CHECK_REDIS] = &probe_redis_ops, [CHECK_DNS] = &probe_dns_ops,
    [CHECK_COMMAND] = &probe_command_ops,
};

static const struct probe_ops *kind_of(const struct probe_plan *plan)
{
    return plan->check->type == CHECK_HTTP && plan->is_h2 ? &probe_h2_ops : kinds[plan->check->type];
}

static void destroy(struct probe **pp)
{
    struct probe *p = *pp;

    later_cancel(&p->answer);
    p->ops->stop(p);
    OBJ_FREE(pp, PROBE_MAGIC);
}

static void on_answer(void *arg)
{
    struct probe *p = arg;

    CHECK_OBJ(p, PROBE_MAGIC);
    probe_done_fn *done = p->done;
    void *done_arg = p->arg;
    struct probe_result result = p->result;
    destroy(&p);
    done(done_arg, &result);
}

struct probe *probe_start(struct loop *l, const struct probe_plan *plan, probe_done_fn *done, void *arg)
{
    ASSERT((size_t)plan->check->type < sizeof kinds / sizeof kinds[0] && kinds[plan->check->type] != NULL);
    const struct probe_ops *ops = kind_of(plan);
    struct probe *p = mem_alloc(ops->size_bytes);

    p->magic = PROBE_MAGIC;
    p->ops = ops;
    p->loop = l;
    p->done = done;
    p->arg = arg;
    p->waiting_for = "connection";
    p->started_us = loop_fresh_us(l);
    later_init(&p->answer, l, on_answer, p);
    ops->start(p, plan);
    return p;
}

void probe_cancel(struct probe **pp)
{
    CHECK_OBJ(*pp, PROBE_MAGIC);
    destroy(pp);
}

bool probe_expire(struct probe *p)
{
    CHECK_OBJ(p, PROBE_MAGIC);
    if (!p->is_finished && p->ops->expire != NULL)
        p->ops->expire(p);
    return p->is_finished;
}

bool probe_is_finished(const struct probe *p)
{
    CHECK_OBJ(p, PROBE_MAGIC);
    return p->is_finished;
}

const char *probe_waiting_for(const struct probe *p)
{
    CHECK_OBJ(p, PROBE_MAGIC);
    return p->waiting_for;
}

uint32_t probe_elapsed_us(const struct probe *p)
{
    CHECK_OBJ(p, PROBE_MAGIC);
    int64_t us = loop_fresh_us(p->loop) - p->started_us;
    return us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

void probe_finish(struct probe *p, enum err e, const char *detail)
{
    CHECK_OBJ(p, PROBE_MAGIC);
    if (p->is_finished)
        return;
    p->is_finished = true;
    p->result.err = e;
    p->result.latency_us = probe_elapsed_us(p);
    if (e != ERR_NONE)
        snprintf(p->result.cause, sizeof p->result.cause, detail != NULL ? "%s: %s" : "%s", err_text(e), detail);
    later_post(&p->answer);
}

struct probe_expiry probe_expiry_of(const struct conf_check *c)
{
    return (struct probe_expiry){.degraded_ms = c->expiry_degraded_ms, .down_ms = c->expiry_down_ms};
}

bool probe_certificate(struct probe *p, const struct probe_expiry *e, int64_t ends_wall_ms)
{
    char detail[64];

    CHECK_OBJ(p, PROBE_MAGIC);
    if (p->is_finished || ends_wall_ms == 0)
        return true;
    int64_t left_ms = ends_wall_ms - loop_wall_ms(p->loop);
    p->result.certificate_ends_wall_ms = ends_wall_ms;
    p->result.is_certificate_ending = left_ms < e->degraded_ms;
    if (e->down_ms == 0 || left_ms >= e->down_ms)
        return true;
    snprintf(detail, sizeof detail, "certificate ends in %lld hours", (long long)(left_ms / 3600000));
    probe_finish(p, ERR_TLS_VERIFY, detail);
    return false;
}
