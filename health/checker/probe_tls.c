/* The tls probe: connect, shake hands as the traffic would, with verification of name and chain, and look at how long
 * the certificate still holds. Nothing is said afterwards. */
#include <unistd.h>

#include "base/mem.h"
#include "base/tls.h"
#include "health/checker/probe.h"

struct probe_tls {
    struct probe base;
    struct tls_ctx *ctx; /* referenced */
    char *name;
    struct probe_expiry expiry;
    struct tls *tls; /* NULL: not connected yet */
    int fd;          /* -1: none */
    struct io io;
};

static struct probe_tls *tls_of(struct probe *p)
{
    CHECK_OBJ(p, PROBE_MAGIC);
    ASSERT(p->ops == &probe_tls_ops);
    return (struct probe_tls *)(void *)p;
}

static void shake_hands(struct probe_tls *t)
{
    enum tls_want want = TLS_WANT_NONE;
    enum err e = tls_handshake(t->tls, &want);

    if (e == ERR_AGAIN) {
        io_want(&t->io, want == TLS_WANT_WRITE ? IO_WRITE : IO_READ);
    } else if (e != ERR_NONE) {
        probe_finish(&t->base, e, tls_failure_text(t->tls));
    } else if (probe_certificate(&t->base, &t->expiry, tls_peer_ends_ms(t->tls))) {
        tls_shutdown(t->tls);
        probe_finish(&t->base, ERR_NONE, NULL);
    }
}

static void on_io(void *arg, unsigned events)
{
    struct probe_tls *t = arg;

    (void)events;
    if (t->tls == NULL) {
        enum err e = sock_connect_result(t->fd);
        if (e == ERR_NONE) {
            t->tls = tls_create_client(t->ctx, t->fd, t->name);
            t->base.waiting_for = "tls handshake";
        } else {
            probe_finish(&t->base, e, NULL);
        }
    }
    if (!t->base.is_finished)
        shake_hands(t);
    if (t->base.is_finished)
        io_want(&t->io, 0);
}

static void start(struct probe *p, const struct probe_plan *plan)
{
    struct probe_tls *t = tls_of(p);

    t->ctx = tls_ctx_ref(plan->tls);
    t->name = mem_strdup(plan->tls_name);
    t->expiry = probe_expiry_of(plan->check);
    t->fd = -1;
    enum err e = sock_connect(&plan->addr, &t->fd);
    if (e != ERR_NONE) {
        t->fd = -1;
        probe_finish(p, e, NULL);
        return;
    }
    io_init(&t->io, p->loop, t->fd, on_io, t);
    io_want(&t->io, IO_WRITE);
}

static void stop(struct probe *p)
{
    struct probe_tls *t = tls_of(p);

    if (t->tls != NULL)
        tls_destroy(&t->tls);
    if (t->fd >= 0) {
        io_fini(&t->io);
        close(t->fd);
        t->fd = -1;
    }
    mem_free(t->name);
    if (t->ctx != NULL)
        tls_ctx_unref(&t->ctx);
}

const struct probe_ops probe_tls_ops = {.size_bytes = sizeof(struct probe_tls), .start = start, .stop = stop};
