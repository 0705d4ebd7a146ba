/* Accepting. A batch is bounded so that a flood of new clients cannot starve those already served; when descriptors
 * run out the listener stops watching for a moment, because the socket stays readable and would spin the loop. */
#include "gateway/net/listener.h"

#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

#define LISTENER_MAGIC 0x115fe4e2u

#define ACCEPT_BATCH    64
#define ACCEPT_PAUSE_MS 100

struct listener {
    uint32_t magic;
    int fd;
    struct io io;
    struct timer pause;
    struct net *net;
    listener_accept_fn *fn;
    void *arg;
    struct log_limit log_limit;
    char *address;
};

static void on_readable(void *arg, unsigned events)
{
    struct listener *l = arg;
    (void)events;
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        int fd = -1;
        struct addr peer;
        enum err e = sock_accept(l->fd, &fd, &peer);
        if (e == ERR_NONE) {
            l->fn(l->arg, fd, &peer);
            continue;
        }
        if (e == ERR_LIMIT) {
            stat_add(&l->net->block->process[STAT_ACCEPT_PAUSES], 1);
            LOG_LIMITED(&l->log_limit, loop_now_ms(l->net->loop), LOG_LEVEL_WARN, "accepting paused",
                        KV_STR("listener", l->address), KV_STR("cause", "descriptors"),
                        KV_INT("pause_ms", ACCEPT_PAUSE_MS));
            io_want(&l->io, 0);
            timer_start(&l->pause, ACCEPT_PAUSE_MS);
            return;
        }
        if (e == ERR_AGAIN)
            return;
        /* Anything else concerns the one client that vanished while it waited (accept(2)): go on with the next. */
    }
}

static void on_pause_over(void *arg)
{
    struct listener *l = arg;
    io_want(&l->io, IO_READ);
}

struct listener *listener_create(struct net *n, int fd, const char *address, listener_accept_fn *fn, void *arg)
{
    struct listener *l;
    OBJ_NEW(l, LISTENER_MAGIC);
    l->fd = fd;
    l->net = n;
    l->fn = fn;
    l->arg = arg;
    l->address = mem_strdup(address);
    io_init(&l->io, n->loop, fd, on_readable, l);
    timer_init(&l->pause, n->loop, on_pause_over, l);
    io_want(&l->io, IO_READ);
    return l;
}

void listener_destroy(struct listener **lp)
{
    struct listener *l = *lp;
    CHECK_OBJ(l, LISTENER_MAGIC);
    on_readable(l, IO_READ);
    timer_cancel(&l->pause);
    io_fini(&l->io);
    (void)close(l->fd);
    mem_free(l->address);
    OBJ_FREE(lp, LISTENER_MAGIC);
}

const char *listener_address(const struct listener *l)
{
    CHECK_OBJ(l, LISTENER_MAGIC);
    return l->address;
}
