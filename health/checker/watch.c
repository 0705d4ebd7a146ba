/* An idle connection that is waited on; see the header. The hard part is to know when to leave a server alone: the ends
 * that came soon are counted, one that came late or a failure that confirms them begins anew. */
#include "health/checker/watch.h"

#include <errno.h>
#include <unistd.h>

#include "base/assert.h"

#define PIECE_BYTES 1024u

static void rest(struct watch *w)
{
    w->soon_count = 0;
    w->rest_until_ms = loop_now_ms(w->loop) + WATCH_REST_MS;
}

static void end(struct watch *w)
{
    bool is_soon = !w->is_connected || loop_now_ms(w->loop) - w->connected_ms < w->soon_ms;

    watch_drop(w);
    w->soon_count = is_soon ? w->soon_count + 1 : 0;
    if (w->soon_count >= WATCH_SOON_ENDS_MAX)
        rest(w);
    w->fn(w->arg);
}

static void connected(struct watch *w)
{
    if (sock_connect_result(w->fd) != ERR_NONE || sock_is_self_connected(w->fd, &w->addr)) {
        end(w);
        return;
    }
    w->is_connected = true;
    w->connected_ms = loop_now_ms(w->loop);
    io_want(&w->io, IO_READ);
}

static void hear(struct watch *w)
{
    char ignored[PIECE_BYTES];
    ssize_t n = recv(w->fd, ignored, sizeof ignored, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        end(w);
        return;
    }
    w->heard_bytes += (size_t)n;
    if (w->heard_bytes > WATCH_HEARD_BYTES_MAX) {
        watch_drop(w);
        rest(w);
    }
}

static void on_io(void *arg, unsigned events)
{
    struct watch *w = arg;

    (void)events;
    if (w->is_connected)
        hear(w);
    else
        connected(w);
}

void watch_init(struct watch *w, struct loop *l, watch_ended_fn *fn, void *arg)
{
    *w = (struct watch){.loop = l, .fn = fn, .arg = arg, .fd = -1, .rest_until_ms = INT64_MIN};
}

void watch_fini(struct watch *w)
{
    watch_drop(w);
}

void watch_keep(struct watch *w, const struct addr *addr, int64_t interval_ms)
{
    w->soon_ms = WATCH_SOON_INTERVALS * interval_ms;
    if (watch_is_open(w) && addr_equal(&w->addr, addr))
        return;
    watch_drop(w); /* another one answers now */
    if (loop_now_ms(w->loop) < w->rest_until_ms)
        return;
    w->addr = *addr;
    if (sock_connect(addr, &w->fd) != ERR_NONE) {
        w->fd = -1;
        return;
    }
    io_init(&w->io, w->loop, w->fd, on_io, w);
    io_want(&w->io, IO_WRITE);
}

void watch_drop(struct watch *w)
{
    if (!watch_is_open(w))
        return;
    io_fini(&w->io);
    close(w->fd);
    w->fd = -1;
    w->is_connected = false;
    w->heard_bytes = 0;
}

void watch_confirm(struct watch *w)
{
    watch_drop(w);
    w->soon_count = 0;
}

bool watch_is_open(const struct watch *w)
{
    return w->fd >= 0;
}
