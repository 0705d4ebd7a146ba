/* Asking the canaries; see the header. An answer that came since a server began to fail is enough to trust what is seen
 * of that server; the lack of one holds only for a moment, then they are asked again. */
#include "health/checker/ourselves.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/value.h"
#include "health/checker/addresses.h"
#include "health/checker/probe.h"

#define OURSELVES_MAGIC 0x0a25e1fdu

struct canary {
    struct ourselves *ourselves;
    char *host;
    uint16_t port;
    struct addresses addresses;
    struct probe *probe; /* NULL: it is not asked, or its name is looked up */
    bool is_open;        /* asked, and has not answered yet */
};

struct ourselves {
    uint32_t magic;
    struct loop *loop;
    struct resolver *resolver;
    struct verdict_table *verdicts;
    const struct conf_canaries *conf; /* NULL until the first one */
    size_t count;
    struct canary *canaries[CONF_CANARIES_MAX];
    bool is_asking;
    struct timer deadline;
    int64_t reached_ms; /* when one answered last; -1: never */
    int64_t failed_ms;  /* when all failed last; -1: never */
    bool is_cut_off;
};

static const struct conf_check tcp = {.type = CHECK_TCP};

/* ---- the outcome ---- */

static void stop_asking(struct ourselves *o)
{
    timer_cancel(&o->deadline);
    o->is_asking = false;
    for (size_t i = 0; i < o->count; i++) {
        struct canary *c = o->canaries[i];

        c->is_open = false;
        addresses_unwant(&c->addresses);
        if (c->probe != NULL)
            probe_cancel(&c->probe);
    }
}

static void set_cut_off(struct ourselves *o, bool is_cut_off)
{
    if (o->is_cut_off == is_cut_off)
        return;
    o->is_cut_off = is_cut_off;
    atomic_store_explicit(&o->verdicts->cut_off_wall_ms, is_cut_off ? loop_wall_ms(o->loop) : 0, memory_order_relaxed);
    if (is_cut_off)
        LOG_ERR("neither servers nor canaries answer, this gateway is cut off: the last verdicts stay",
                KV_UINT("canaries", o->count));
    else
        LOG_WARN("this gateway is not cut off any more");
}

static void on_reached(struct ourselves *o)
{
    stop_asking(o);
    o->reached_ms = loop_now_ms(o->loop);
    set_cut_off(o, false);
}

static void on_failed(struct ourselves *o)
{
    stop_asking(o);
    o->failed_ms = loop_now_ms(o->loop);
    set_cut_off(o, true);
}

/* ---- asking ---- */

static void close_one(struct canary *c)
{
    bool is_any_open = false;

    c->is_open = false;
    for (size_t i = 0; i < c->ourselves->count; i++)
        is_any_open = is_any_open || c->ourselves->canaries[i]->is_open;
    if (!is_any_open)
        on_failed(c->ourselves);
}

static void on_probe_done(void *arg, const struct probe_result *r)
{
    struct canary *c = arg;

    c->probe = NULL;
    if (r->err == ERR_NONE) {
        on_reached(c->ourselves);
        return;
    }
    addresses_next(&c->addresses);
    close_one(c);
}

static void probe(struct canary *c)
{
    struct probe_plan plan = {.check = &tcp, .addr = *addresses_get(&c->addresses), .server = c->host};

    c->probe = probe_start(c->ourselves->loop, &plan, on_probe_done, c);
}

static void on_addresses(void *arg, enum err e)
{
    struct canary *c = arg;

    if (e == ERR_NONE)
        probe(c);
    else
        close_one(c);
}

static void on_deadline(void *arg)
{
    struct ourselves *o = arg;

    CHECK_OBJ(o, OURSELVES_MAGIC);
    for (size_t i = 0; i < o->count; i++)
        if (o->canaries[i]->probe != NULL && probe_is_finished(o->canaries[i]->probe)) {
            timer_start(&o->deadline, 1); /* its answer comes at the end of this pass, and may be a good one */
            return;
        }
    on_failed(o);
}

static void ask(struct ourselves *o)
{
    o->is_asking = true;
    timer_start(&o->deadline, o->conf->timeout_ms);
    for (size_t i = 0; i < o->count; i++)
        o->canaries[i]->is_open = true;
    for (size_t i = 0; i < o->count; i++) {
        struct canary *c = o->canaries[i];

        if (addresses_want(&c->addresses, c->host, c->port))
            probe(c);
    }
}

bool ourselves_are_sure(struct ourselves *o, size_t unseen_count, size_t count, int64_t since_ms)
{
    CHECK_OBJ(o, OURSELVES_MAGIC);
    if (o->count == 0 || unseen_count * 100 < count * o->conf->share_percent || o->reached_ms >= since_ms)
        return true;
    bool is_paused = o->failed_ms >= 0 && loop_now_ms(o->loop) - o->failed_ms < OURSELVES_PAUSE_MS;
    if (!o->is_asking && !is_paused)
        ask(o);
    return false;
}

void ourselves_saw_somebody(struct ourselves *o)
{
    CHECK_OBJ(o, OURSELVES_MAGIC);
    set_cut_off(o, false);
}

/* ---- life ---- */

static void drop_canaries(struct ourselves *o)
{
    stop_asking(o);
    for (size_t i = 0; i < o->count; i++) {
        addresses_fini(&o->canaries[i]->addresses);
        mem_free(o->canaries[i]->host);
        mem_free(o->canaries[i]);
    }
    o->count = 0;
}

static void add_canary(struct ourselves *o, const char *text)
{
    struct canary *c = mem_alloc(sizeof *c);
    const char *host = NULL;
    size_t host_len = 0;
    const char *why = value_host_port(text, strlen(text), &host, &host_len, &c->port);

    ASSERT(why == NULL); /* judged when the configuration was read */
    c->ourselves = o;
    c->host = mem_printf("%.*s", (int)host_len, host);
    addresses_init(&c->addresses, o->loop, o->resolver, on_addresses, c);
    o->canaries[o->count++] = c;
}

void ourselves_set(struct ourselves *o, const struct conf_canaries *c)
{
    CHECK_OBJ(o, OURSELVES_MAGIC);
    drop_canaries(o);
    o->conf = c;
    for (size_t i = 0; i < c->address_count; i++)
        add_canary(o, c->addresses[i]);
    if (o->count == 0)
        set_cut_off(o, false);
}

struct ourselves *ourselves_create(struct loop *l, struct resolver *r, struct verdict_table *verdicts)
{
    struct ourselves *o;

    OBJ_NEW(o, OURSELVES_MAGIC);
    o->loop = l;
    o->resolver = r;
    o->verdicts = verdicts;
    o->reached_ms = o->failed_ms = -1;
    timer_init(&o->deadline, l, on_deadline, o);
    atomic_store_explicit(&verdicts->cut_off_wall_ms, 0, memory_order_relaxed); /* a predecessor's word */
    return o;
}

void ourselves_destroy(struct ourselves **op)
{
    CHECK_OBJ(*op, OURSELVES_MAGIC);
    drop_canaries(*op);
    OBJ_FREE(op, OURSELVES_MAGIC);
}
