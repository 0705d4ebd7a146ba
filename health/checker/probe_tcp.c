/* The tcp probe: a connection that comes about is the whole answer. It says only that a kernel listens there; a
 * program that hangs is found by the other kinds.
 *
 * The tls probe: the same with a handshake as the traffic would do it, with verification of name and chain, and a look
 * at how long the certificate still holds. Nothing is said afterwards. */
#include "base/mem.h"
#include "health/checker/contact.h"
#include "health/checker/probe.h"

struct probe_tcp {
    struct probe base;
    struct contact contact;
};

static struct probe_tcp *tcp_of(struct probe *p)
{
    CHECK_OBJ(p, PROBE_MAGIC);
    ASSERT(p->ops == &probe_tcp_ops || p->ops == &probe_tls_ops);
    return (struct probe_tcp *)(void *)p;
}

static void on_open(struct probe *p)
{
    probe_finish(p, ERR_NONE, NULL);
}

static const struct contact_ops contact_ops = {.on_open = on_open};

static void start_tcp(struct probe *p, const struct probe_plan *plan)
{
    contact_open(&tcp_of(p)->contact, p, plan, NULL, TLS_OFFER_NOTHING, &contact_ops);
}

static void start_tls(struct probe *p, const struct probe_plan *plan)
{
    contact_open(&tcp_of(p)->contact, p, plan, plan->tls, TLS_OFFER_NOTHING, &contact_ops);
}

static void stop(struct probe *p)
{
    contact_close(&tcp_of(p)->contact);
}

const struct probe_ops probe_tcp_ops = {.size_bytes = sizeof(struct probe_tcp), .start = start_tcp, .stop = stop};
const struct probe_ops probe_tls_ops = {.size_bytes = sizeof(struct probe_tcp), .start = start_tls, .stop = stop};
