/* Connections: reading into the shared scratch buffer, writing at once, queueing what does not fit.
 *
 * The fast path of a relay is one recv and one send per readiness event: no allocation, no copy, no epoll_ctl. A read
 * that does not fill the scratch buffer is taken as "the socket is empty" instead of asking again for EAGAIN. */
#include "gateway/net/conn.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "gateway/net/seats.h"

#define NET_MAGIC  0x2e7a90c4u
#define CONN_MAGIC 0xc0441ec7u

/* Unsent bytes are kept in blocks of at least this size, so that many small frames share one. */
#define CONN_BLOCK_BYTES (16u * 1024u)
/* Full reads in one callback before the others get a turn. */
#define CONN_READ_ROUNDS 4

enum conn_state { CONN_CONNECTING = 1, CONN_HANDSHAKING, CONN_OPEN };

struct chunk { /* one block of the output queue */
    struct chunk *next;
    struct block *block;
    uint32_t begin;
    uint32_t end;
};

struct conn {
    uint32_t magic;
    int fd;
    struct io io;
    struct net *net;
    const struct conn_ops *ops;
    void *arg;
    struct tls *tls;
    struct chunk *out_first; /* unsent bytes, oldest first */
    struct chunk *out_last;
    size_t out_bytes;
    uint32_t high_bytes;
    uint8_t state;
    bool is_paused : 1;
    bool is_over : 1; /* above high; on_drain is owed */
    bool is_eof : 1;
    bool is_shut : 1;          /* write side: FIN sent or to be sent */
    bool is_dead : 1;          /* closed, waits to be freed */
    bool tls_read_blocked : 1; /* reading waits for writability, or the other way round */
    bool tls_write_blocked : 1;
    bool is_client : 1;   /* holds a seat */
    bool is_on_route : 1; /* holds a seat there as well */
    uint16_t peer_port;
    uint8_t peer_ip[16]; /* IPv4 as ::ffff:a.b.c.d; all zero for a local socket */
    struct seat seat;
    struct seat route_seat;
    struct list dead_link;
};

static void on_io(void *arg, unsigned events);

/* ---- what a process shares ---- */

static void reap(void *arg)
{
    struct net *n = arg;
    LIST_EACH (it, &n->dead) {
        struct conn *c = LIST_ENTRY(it, struct conn, dead_link);
        list_unlink(it);
        OBJ_FREE(&c, CONN_MAGIC);
    }
}

struct net *net_create(struct loop *l, const struct birth *b)
{
    struct net *n;
    OBJ_NEW(n, NET_MAGIC);
    n->loop = l;
    n->roster = b->roster;
    n->stats = b->stats;
    n->block = b->block;
    list_init(&n->dead);
    later_init(&n->reap, l, reap, n);
    return n;
}

void net_destroy(struct net **np)
{
    CHECK_OBJ(*np, NET_MAGIC);
    ASSERT((*np)->open_count == 0);
    reap(*np);
    later_cancel(&(*np)->reap);
    OBJ_FREE(np, NET_MAGIC);
}

/* ---- output queue ---- */

static void buffered_add(struct conn *c, int64_t delta)
{
    c->out_bytes = (size_t)((int64_t)c->out_bytes + delta);
    stat_add(&c->net->block->process[STAT_BUFFERED_BYTES], delta);
}

static void queue_append(struct conn *c, const uint8_t *data, size_t len)
{
    buffered_add(c, (int64_t)len);
    while (len > 0) {
        struct chunk *last = c->out_last;
        if (last == NULL || last->end == last->block->cap_bytes) {
            struct chunk *fresh = mem_alloc(sizeof *fresh);
            fresh->block = block_create(CONN_BLOCK_BYTES);
            if (last != NULL)
                last->next = fresh;
            else
                c->out_first = fresh;
            c->out_last = last = fresh;
        }
        size_t room = last->block->cap_bytes - last->end;
        size_t take = len < room ? len : room;
        memcpy(last->block->data + last->end, data, take);
        last->end += (uint32_t)take;
        data += take;
        len -= take;
    }
}

static void queue_drop_front(struct conn *c, size_t len)
{
    buffered_add(c, -(int64_t)len);
    while (len > 0) {
        struct chunk *first = c->out_first;
        size_t have = first->end - first->begin;
        if (len < have) {
            first->begin += (uint32_t)len;
            return;
        }
        len -= have;
        c->out_first = first->next;
        if (c->out_first == NULL)
            c->out_last = NULL;
        block_unref(&first->block);
        mem_free(first);
    }
}

static void queue_clear(struct conn *c)
{
    if (c->out_bytes > 0)
        queue_drop_front(c, c->out_bytes);
}

/* ---- interest ---- */

/* What the socket must be watched for follows from the state alone; called after every change of it. */
static void update_interest(struct conn *c)
{
    unsigned want = 0;
    if (c->state == CONN_CONNECTING) {
        want = IO_WRITE;
    } else if (c->state == CONN_HANDSHAKING) {
        want = c->tls_read_blocked ? IO_WRITE : IO_READ;
    } else {
        if (!c->is_paused && !c->is_eof)
            want |= c->tls_read_blocked ? IO_WRITE : IO_READ;
        if (c->out_first != NULL)
            want |= c->tls_write_blocked ? IO_READ : IO_WRITE;
    }
    io_want(&c->io, want);
}

/* ---- closing ---- */

static void bury(struct conn *c, bool reset)
{
    struct net *n = c->net;
    c->is_dead = true;
    io_fini(&c->io);
    if (c->tls != NULL)
        tls_destroy(&c->tls);
    if (reset)
        sock_reset_on_close(c->fd);
    (void)close(c->fd);
    c->fd = -1;
    queue_clear(c);
    if (c->is_client)
        seat_leave(n, &c->seat);
    conn_leave_route(c);
    n->open_count--;
    list_append(&n->dead, &c->dead_link);
    later_post(&n->reap);
}

void conn_close(struct conn **cp, bool reset)
{
    struct conn *c = *cp;
    CHECK_OBJ(c, CONN_MAGIC);
    ASSERT(!c->is_dead);
    if (c->tls != NULL && !reset && c->state == CONN_OPEN && !c->is_shut)
        tls_shutdown(c->tls);
    bury(c, reset);
    *cp = NULL;
}

static void fail(struct conn *c, enum err e)
{
    /* Dead for everybody from here on, but TLS can still say why: see conn_failure_text(). */
    c->is_dead = true;
    c->ops->on_close(c->arg, e);
    bury(c, false);
}

/* ---- bytes ---- */

static enum err recv_some(struct conn *c, size_t *got)
{
    if (c->tls != NULL) {
        enum tls_want want = TLS_WANT_NONE;
        enum err e = tls_read(c->tls, c->net->scratch, NET_SCRATCH_BYTES, got, &want);
        bool blocked = e == ERR_AGAIN && want == TLS_WANT_WRITE;
        if (blocked != c->tls_read_blocked) {
            c->tls_read_blocked = blocked;
            update_interest(c);
        }
        return e;
    }
    ssize_t n = recv(c->fd, c->net->scratch, NET_SCRATCH_BYTES, 0);
    if (n > 0) {
        *got = (size_t)n;
        return ERR_NONE;
    }
    return n == 0 ? ERR_EOF : err_from_errno(errno);
}

static enum err send_some(struct conn *c, const void *data, size_t len, size_t *put)
{
    if (c->tls != NULL) {
        enum tls_want want = TLS_WANT_NONE;
        enum err e = tls_write(c->tls, data, len, put, &want);
        c->tls_write_blocked = e == ERR_AGAIN && want == TLS_WANT_READ;
        return e;
    }
    ssize_t n = send(c->fd, data, len, MSG_NOSIGNAL);
    if (n >= 0) {
        *put = (size_t)n;
        return ERR_NONE;
    }
    return err_from_errno(errno);
}

/* Decrypted bytes that wait inside TLS raise no event: a writable socket serves as the reminder. */
static void read_soon_if_pending(struct conn *c)
{
    if (c->tls != NULL && !c->is_paused && tls_has_pending(c->tls)) {
        c->tls_read_blocked = true;
        update_interest(c);
    }
}

static void read_ready(struct conn *c)
{
    for (int round = 0; round < CONN_READ_ROUNDS && !c->is_paused; round++) {
        size_t got = 0;
        enum err e = recv_some(c, &got);
        if (e == ERR_AGAIN) {
            update_interest(c);
            return;
        }
        if (e == ERR_EOF) {
            c->is_eof = true;
            update_interest(c);
            if (c->ops->on_eof != NULL)
                c->ops->on_eof(c->arg);
            else
                fail(c, ERR_EOF);
            return;
        }
        if (e != ERR_NONE) {
            fail(c, e);
            return;
        }
        c->ops->on_data(c->arg, c->net->scratch, got);
        if (c->is_dead)
            return;
        bool may_have_more = c->tls != NULL ? tls_has_pending(c->tls) : got == NET_SCRATCH_BYTES;
        if (!may_have_more)
            return;
    }
    read_soon_if_pending(c);
}

static void finish_shutdown(struct conn *c)
{
    if (c->tls != NULL)
        tls_shutdown(c->tls);
    (void)shutdown(c->fd, SHUT_WR);
}

static void write_ready(struct conn *c)
{
    while (c->out_first != NULL) {
        struct chunk *first = c->out_first;
        size_t put = 0;
        enum err e = send_some(c, first->block->data + first->begin, first->end - first->begin, &put);
        if (e == ERR_AGAIN)
            break;
        if (e != ERR_NONE) {
            fail(c, e);
            return;
        }
        queue_drop_front(c, put);
    }
    update_interest(c);
    if (c->is_over && c->out_bytes <= c->high_bytes / 2) {
        c->is_over = false;
        if (c->ops->on_drain != NULL)
            c->ops->on_drain(c->arg);
    }
    if (c->is_dead || c->out_first != NULL)
        return;
    if (c->is_shut)
        finish_shutdown(c);
    if (c->ops->on_flushed != NULL)
        c->ops->on_flushed(c->arg);
}

/* ---- establishing ---- */

static void handshake(struct conn *c)
{
    enum tls_want want = TLS_WANT_NONE;
    enum err e = tls_handshake(c->tls, &want);
    if (e == ERR_AGAIN) {
        c->tls_read_blocked = want == TLS_WANT_WRITE;
        update_interest(c);
        return;
    }
    if (e != ERR_NONE) {
        fail(c, e == ERR_EOF ? ERR_TLS : e);
        return;
    }
    c->state = CONN_OPEN;
    c->tls_read_blocked = false;
    update_interest(c);
    if (c->ops->on_open != NULL)
        c->ops->on_open(c->arg);
}

static void connected(struct conn *c)
{
    enum err e = sock_connect_result(c->fd);
    if (e == ERR_AGAIN)
        return;
    if (e != ERR_NONE) {
        fail(c, e);
        return;
    }
    if (c->tls != NULL) {
        c->state = CONN_HANDSHAKING;
        handshake(c);
        return;
    }
    c->state = CONN_OPEN;
    update_interest(c);
    if (c->ops->on_open != NULL)
        c->ops->on_open(c->arg);
}

static void on_io(void *arg, unsigned events)
{
    struct conn *c = arg;
    if (c->state == CONN_CONNECTING) {
        connected(c);
    } else if (c->state == CONN_HANDSHAKING) {
        handshake(c);
    } else {
        unsigned write_event = c->tls_write_blocked ? IO_READ : IO_WRITE;
        unsigned read_event = c->tls_read_blocked ? IO_WRITE : IO_READ;
        /* Reading first: what the peer said before it reset the connection is still there, and a failing write would
         * end it all. */
        if ((events & read_event) != 0 && !c->is_paused && !c->is_eof)
            read_ready(c);
        if (!c->is_dead && (events & write_event) != 0 && c->out_first != NULL)
            write_ready(c);
    }
}

/* A whole struct addr would be two thirds of the connection. */
static void remember_peer(struct conn *c, const struct addr *a)
{
    if (a->sa.sa_family == AF_INET) {
        c->peer_ip[10] = c->peer_ip[11] = 0xff;
        memcpy(c->peer_ip + 12, &a->v4.sin_addr, 4);
        c->peer_port = a->v4.sin_port;
    } else if (a->sa.sa_family == AF_INET6) {
        memcpy(c->peer_ip, &a->v6.sin6_addr, 16);
        c->peer_port = a->v6.sin6_port;
    }
}

void conn_peer(const struct conn *c, struct addr *out)
{
    static const uint8_t none[16];
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    CHECK_OBJ(c, CONN_MAGIC);
    memset(out, 0, sizeof *out);
    if (memcmp(c->peer_ip, none, 16) == 0) {
        out->len = sizeof out->un;
        out->un.sun_family = AF_UNIX;
    } else if (memcmp(c->peer_ip, mapped, sizeof mapped) == 0) {
        out->len = sizeof out->v4;
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = c->peer_port;
        memcpy(&out->v4.sin_addr, c->peer_ip + 12, 4);
    } else {
        out->len = sizeof out->v6;
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = c->peer_port;
        memcpy(&out->v6.sin6_addr, c->peer_ip, 16);
    }
}

static struct conn *conn_create(struct net *n, int fd, const struct addr *peer, const struct conn_ops *ops, void *arg,
                                enum conn_state state)
{
    struct conn *c;
    CHECK_OBJ(n, NET_MAGIC);
    OBJ_NEW(c, CONN_MAGIC);
    c->fd = fd;
    c->net = n;
    c->ops = ops;
    c->arg = arg;
    c->high_bytes = CONN_HIGH_BYTES_DEFAULT;
    c->state = (uint8_t)state;
    remember_peer(c, peer);
    list_init(&c->dead_link);
    io_init(&c->io, n->loop, fd, on_io, c);
    n->open_count++;
    return c;
}

struct conn *conn_accept(struct net *n, int fd, const struct addr *peer, const struct conn_ops *ops, void *arg)
{
    struct conn *c = conn_create(n, fd, peer, ops, arg, CONN_OPEN);
    c->is_client = true;
    seat_take(n, &c->seat, peer);
    update_interest(c);
    return c;
}

uint32_t conn_join_route(struct conn *c, int route_slot)
{
    struct addr peer;
    CHECK_OBJ(c, CONN_MAGIC);
    ASSERT(c->is_client && !c->is_on_route);
    conn_peer(c, &peer);
    seat_take_on_route(c->net, &c->route_seat, &peer, route_slot);
    c->is_on_route = true;
    return seat_count_on_route(c->net, &c->route_seat);
}

void conn_leave_route(struct conn *c)
{
    CHECK_OBJ(c, CONN_MAGIC);
    if (c->is_on_route)
        seat_leave_on_route(c->net, &c->route_seat);
    c->is_on_route = false;
}

struct conn *conn_connect(struct net *n, const struct addr *to, struct tls_ctx *tls, const char *server_name,
                          const struct conn_ops *ops, void *arg, enum err *e)
{
    int fd = -1;
    *e = sock_connect(to, &fd);
    if (*e != ERR_NONE)
        return NULL;
    struct conn *c = conn_create(n, fd, to, ops, arg, CONN_CONNECTING);
    if (tls != NULL)
        c->tls = tls_create_client(tls, fd, server_name);
    update_interest(c);
    return c;
}

/* ---- the owner's side ---- */

void conn_set_owner(struct conn *c, const struct conn_ops *ops, void *arg)
{
    CHECK_OBJ(c, CONN_MAGIC);
    c->ops = ops;
    c->arg = arg;
}

void conn_set_high(struct conn *c, size_t high_bytes)
{
    CHECK_OBJ(c, CONN_MAGIC);
    ASSERT(high_bytes <= UINT32_MAX);
    c->high_bytes = (uint32_t)high_bytes;
}

void conn_write(struct conn *c, const void *data, size_t len)
{
    CHECK_OBJ(c, CONN_MAGIC);
    ASSERT(!c->is_dead);
    if (c->is_shut || len == 0)
        return;
    const uint8_t *p = data;
    size_t put = 0;
    /* Once for a plain socket, where a short write means a full one; TLS takes a record at a time. A broken socket is
     * not reported here, under the caller's feet: the bytes queue up, and the loop finds the same error at once. */
    for (bool again = c->out_first == NULL; again && len > 0; again = c->tls != NULL) {
        if (send_some(c, p, len, &put) != ERR_NONE)
            break;
        p += put;
        len -= put;
    }
    if (len == 0)
        return;
    queue_append(c, p, len);
    if (c->out_bytes > c->high_bytes)
        c->is_over = true;
    update_interest(c);
}

size_t conn_buffered(const struct conn *c)
{
    CHECK_OBJ(c, CONN_MAGIC);
    return c->out_bytes;
}

bool conn_is_full(const struct conn *c)
{
    CHECK_OBJ(c, CONN_MAGIC);
    return c->is_over;
}

void conn_pause(struct conn *c)
{
    CHECK_OBJ(c, CONN_MAGIC);
    c->is_paused = true;
    update_interest(c);
}

void conn_resume(struct conn *c)
{
    CHECK_OBJ(c, CONN_MAGIC);
    if (!c->is_paused)
        return;
    c->is_paused = false;
    update_interest(c);
    read_soon_if_pending(c);
}

void conn_shutdown_write(struct conn *c)
{
    CHECK_OBJ(c, CONN_MAGIC);
    if (c->is_shut)
        return;
    c->is_shut = true;
    if (c->out_first == NULL)
        finish_shutdown(c);
}

bool conn_eof_seen(const struct conn *c)
{
    CHECK_OBJ(c, CONN_MAGIC);
    return c->is_eof;
}

const char *conn_failure_text(const struct conn *c)
{
    CHECK_OBJ(c, CONN_MAGIC);
    return c->tls != NULL ? tls_failure_text(c->tls) : "";
}
