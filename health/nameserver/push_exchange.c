/* Look up, connect, then send and receive in turn. A name may have several addresses, some of them dead: each gets its
 * share of the time that is left, so that the last one is tried before the deadline. */
#include "health/nameserver/push_exchange.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/sock.h"
#include "health/dns/wire.h"

#define PUSH_EXCHANGE_MAGIC 0x6b20d9f3u
#define LENGTH_BYTES        2u

enum stage { STAGE_RESOLVE = 0, STAGE_CONNECT, STAGE_SEND, STAGE_RECEIVE };

struct push_exchange {
    uint32_t magic;
    struct loop *loop;
    const struct push_exchange_ops *ops;
    void *arg;
    enum stage stage;
    struct resolve_job *job; /* NULL: none */
    struct timer deadline;
    struct timer share; /* of this address */
    int64_t ends_ms;
    struct addr addrs[RESOLVE_ADDRS_MAX];
    size_t addr_count, addr_next;
    int fd; /* -1: none */
    struct io io;
    struct later end;
    bool is_over;
    enum err result;
    size_t message_len, at; /* of the one that is sent or received, with its length before it */
    uint8_t data[LENGTH_BYTES + DNS_MESSAGE_BYTES];
};

static const char *doing(enum stage s)
{
    static const char *const texts[] = {[STAGE_RESOLVE] = "looking for its address",
                                        [STAGE_CONNECT] = "connecting",
                                        [STAGE_SEND] = "sending",
                                        [STAGE_RECEIVE] = "waiting for its answer"};
    return texts[s];
}

static void disconnect(struct push_exchange *x)
{
    if (x->fd < 0)
        return;
    io_fini(&x->io);
    close(x->fd);
    x->fd = -1;
}

static void finish(struct push_exchange *x, enum err e)
{
    if (x->is_over)
        return;
    x->is_over = true;
    x->result = e;
    disconnect(x);
    timer_cancel(&x->deadline);
    timer_cancel(&x->share);
    later_post(&x->end);
}

static void on_end(void *arg)
{
    struct push_exchange *x = arg;
    CHECK_OBJ(x, PUSH_EXCHANGE_MAGIC);
    x->ops->done(x->arg, x->result, doing(x->stage));
}

static void on_deadline(void *arg)
{
    finish(arg, ERR_TIMEOUT);
}

/* ---- bytes ---- */

static void say_next(struct push_exchange *x)
{
    const size_t len = x->ops->make(x->arg, x->data + LENGTH_BYTES, DNS_MESSAGE_BYTES);

    if (len == 0) {
        finish(x, ERR_NONE);
        return;
    }
    ASSERT(len <= DNS_MESSAGE_BYTES);
    wire_put_u16(x->data, (uint16_t)len);
    x->message_len = LENGTH_BYTES + len;
    x->at = 0;
    x->stage = STAGE_SEND;
    io_want(&x->io, IO_WRITE);
}

static void send_some(struct push_exchange *x)
{
    const ssize_t n = send(x->fd, x->data + x->at, x->message_len - x->at, MSG_NOSIGNAL);

    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR)
            finish(x, err_from_errno(errno));
        return;
    }
    x->at += (size_t)n;
    if (x->at < x->message_len)
        return;
    x->stage = STAGE_RECEIVE;
    x->message_len = LENGTH_BYTES;
    x->at = 0;
    io_want(&x->io, IO_READ);
}

/* First the length, then as much. */
static void receive_some(struct push_exchange *x)
{
    const ssize_t n = recv(x->fd, x->data + x->at, x->message_len - x->at, MSG_DONTWAIT);

    if (n <= 0) {
        if (n == 0)
            finish(x, ERR_EOF);
        else if (errno != EAGAIN && errno != EINTR)
            finish(x, err_from_errno(errno));
        return;
    }
    x->at += (size_t)n;
    if (x->at < x->message_len)
        return;
    if (x->message_len == LENGTH_BYTES) {
        x->message_len += wire_get_u16(x->data);
        if (x->message_len > LENGTH_BYTES)
            return;
    }
    if (x->ops->take(x->arg, x->data + LENGTH_BYTES, x->message_len - LENGTH_BYTES))
        say_next(x);
    else
        finish(x, ERR_NONE);
}

/* ---- the way there ---- */

static void on_io(void *arg, unsigned events);

/* The next address that does not fail at once. */
static void connect_next(struct push_exchange *x)
{
    enum err e = ERR_RESOLVE;

    disconnect(x);
    while (x->addr_next < x->addr_count) {
        const int64_t left_ms = x->ends_ms - loop_now_ms(x->loop);
        const int64_t share_ms = left_ms / (int64_t)(x->addr_count - x->addr_next);
        e = sock_connect(&x->addrs[x->addr_next++], &x->fd);
        if (e == ERR_NONE) {
            io_init(&x->io, x->loop, x->fd, on_io, x);
            io_want(&x->io, IO_WRITE);
            if (x->addr_next < x->addr_count)
                timer_start(&x->share, share_ms > 0 ? share_ms : 0);
            return;
        }
        x->fd = -1;
    }
    finish(x, e);
}

static void on_share(void *arg)
{
    connect_next(arg);
}

static void on_connected(struct push_exchange *x)
{
    const enum err e = sock_connect_result(x->fd);

    timer_cancel(&x->share);
    if (e == ERR_NONE)
        say_next(x);
    else if (x->addr_next < x->addr_count)
        connect_next(x);
    else
        finish(x, e);
}

static void on_io(void *arg, unsigned events)
{
    struct push_exchange *x = arg;

    (void)events; /* one at a time is wanted */
    CHECK_OBJ(x, PUSH_EXCHANGE_MAGIC);
    if (x->stage == STAGE_CONNECT)
        on_connected(x);
    else if (x->stage == STAGE_SEND)
        send_some(x);
    else
        receive_some(x);
}

static void on_resolved(void *arg, enum err e, const struct addr *addrs, size_t count, uint32_t ttl_s)
{
    struct push_exchange *x = arg;

    (void)ttl_s;
    CHECK_OBJ(x, PUSH_EXCHANGE_MAGIC);
    x->job = NULL;
    if (x->is_over)
        return;
    if (e != ERR_NONE) {
        finish(x, e);
        return;
    }
    for (size_t i = 0; i < count && i < RESOLVE_ADDRS_MAX; i++)
        x->addrs[x->addr_count++] = addrs[i];
    x->stage = STAGE_CONNECT;
    connect_next(x);
}

/* ---- life ---- */

struct push_exchange *push_exchange_start(const struct push_exchange_plan *p, const struct push_exchange_ops *ops,
                                          void *arg)
{
    struct push_exchange *x;

    OBJ_NEW_UP_TO(x, PUSH_EXCHANGE_MAGIC, data);
    x->loop = p->loop;
    x->ops = ops;
    x->arg = arg;
    x->fd = -1;
    x->ends_ms = loop_now_ms(p->loop) + p->timeout_ms;
    timer_init(&x->deadline, p->loop, on_deadline, x);
    timer_init(&x->share, p->loop, on_share, x);
    later_init(&x->end, p->loop, on_end, x);
    timer_start(&x->deadline, p->timeout_ms);
    x->job = resolve_start(p->resolver, p->host, p->port, p->timeout_ms, on_resolved, x);
    return x;
}

void push_exchange_destroy(struct push_exchange **xp)
{
    struct push_exchange *x = *xp;

    CHECK_OBJ(x, PUSH_EXCHANGE_MAGIC);
    if (x->job != NULL)
        resolve_cancel(&x->job);
    disconnect(x);
    timer_cancel(&x->deadline);
    timer_cancel(&x->share);
    later_cancel(&x->end);
    OBJ_FREE(xp, PUSH_EXCHANGE_MAGIC);
}
