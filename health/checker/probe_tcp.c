/* The tcp probe: a connection that comes about is the whole answer. It says only that a kernel listens there; a
 * program that hangs is found by the other kinds. */
#include <unistd.h>

#include "base/mem.h"
#include "health/checker/probe.h"

struct probe_tcp {
    struct probe base;
    struct addr addr;
    int fd; /* -1: none */
    struct io io;
};

static struct probe_tcp *tcp_of(struct probe *p)
{
    CHECK_OBJ(p, PROBE_MAGIC);
    ASSERT(p->ops == &probe_tcp_ops);
    return (struct probe_tcp *)(void *)p;
}

/* A connect to a free local port out of the ephemeral range may be given that very port and meet itself. */
static bool is_self_connected(const struct probe_tcp *t)
{
    struct addr local;
    return sock_local_addr(t->fd, &local) == ERR_NONE && addr_equal(&local, &t->addr);
}

static void on_io(void *arg, unsigned events)
{
    struct probe_tcp *t = arg;

    (void)events;
    io_want(&t->io, 0);
    enum err e = sock_connect_result(t->fd);
    probe_finish(&t->base, e == ERR_NONE && is_self_connected(t) ? ERR_REFUSED : e, NULL);
}

static void start(struct probe *p, const struct probe_plan *plan)
{
    struct probe_tcp *t = tcp_of(p);

    t->addr = plan->addr;
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
    struct probe_tcp *t = tcp_of(p);

    if (t->fd < 0)
        return;
    io_fini(&t->io);
    close(t->fd);
    t->fd = -1;
}

const struct probe_ops probe_tcp_ops = {.size_bytes = sizeof(struct probe_tcp), .start = start, .stop = stop};
