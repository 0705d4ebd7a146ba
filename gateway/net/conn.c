/* Connections: their life, and reading into the shared scratch buffer.
 *
 * The fast path of a relay is one recv and one send per readiness event: no allocation, no copy, no epoll_ctl. A read
 * that does not fill the scratch buffer is taken as "the socket is empty" instead of asking again for EAGAIN. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "gateway/net/conn_priv.h"

#define NET_MAGIC 0x2e7a90c4u

/* Full reads in one callback before the others get a turn. */
#define CONN_READ_ROUNDS 4
/* Nobody looks further ahead. */
#define PEEK_BYTES 16384u
/* How long a connection to a server goes without keep-alive probes. Its owner has nearer deadlines until the server has
 * answered, and the kernel would not probe before a minute of silence. */
#define SETTLE_MS 10000
/* Many that began together must not hold up all others together: so many a turn. */
#define SETTLE_BATCH    64
#define SETTLE_BATCH_MS 1

_Static_assert(offsetof(struct conn, net) <= CONN_NEAR_BYTES, "what a write needs");

static void on_io(void *arg, unsigned events);

/* ---- what a process shares ---- */

static void reap(void *arg)
{
    struct net *n = arg;
    LIST_EACH (it, &n->dead) {
        struct conn *c = LIST_ENTRY(it, struct conn, link);
        list_unlink(it);
        OBJ_FREE(&c, CONN_MAGIC);
    }
}

/* Turns of connections that have lasted: each has its probes switched on after one to two SETTLE_MS. Most of those that
 * carry a short session are gone by then, and never cost these calls. */
static void settle(void *arg)
{
    struct net *n = arg;
    for (int i = 0; i < SETTLE_BATCH && !list_is_empty(&n->settling); i++) {
        struct conn *c = LIST_ENTRY(n->settling.next, struct conn, link);
        list_unlink(&c->link);
        sock_probe_idle(c->fd);
    }
    if (!list_is_empty(&n->settling)) {
        timer_start(&n->settle, SETTLE_BATCH_MS);
        return;
    }
    list_splice(&n->settling, &n->young);
    if (!list_is_empty(&n->settling))
        timer_start(&n->settle, SETTLE_MS);
}

static void begin_settling(struct conn *c)
{
    struct net *n = c->net;
    list_append(&n->young, &c->link);
    if (!timer_is_active(&n->settle))
        timer_start(&n->settle, SETTLE_MS);
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
    list_init(&n->young);
    list_init(&n->settling);
    timer_init(&n->settle, l, settle, n);
    return n;
}

void net_destroy(struct net **np)
{
    CHECK_OBJ(*np, NET_MAGIC);
    ASSERT((*np)->open_count == 0);
    reap(*np);
    later_cancel(&(*np)->reap);
    timer_cancel(&(*np)->settle);
    OBJ_FREE(np, NET_MAGIC);
}

/* ---- interest ---- */

void conn_update_interest(struct conn *c)
{
    unsigned want = 0;
    if (c->carried != NULL) {
        carried_update_interest(c);
        return;
    }
    if (c->state == CONN_CONNECTING) {
        want = IO_READ | IO_WRITE; /* see connected() */
    } else if (c->state == CONN_HANDSHAKING) {
        want = c->tls_read_blocked ? IO_WRITE : IO_READ;
    } else {
        if (!c->is_paused && !c->is_eof)
            want |= (c->tls_read_blocked ? IO_WRITE : IO_READ) | (c->is_read_due ? IO_WRITE : 0);
        if (c->out.first != NULL)
            want |= c->tls_write_blocked ? IO_READ : IO_WRITE;
    }
    io_want(&c->io, want);
}

/* ---- closing ---- */

static void close_socket(struct conn *c, bool reset)
{
    io_fini(&c->io);
    if (c->tls != NULL)
        tls_destroy(&c->tls);
    if (reset)
        sock_reset_on_close(c->fd);
    (void)close(c->fd);
    c->fd = -1;
}

static void bury(struct conn *c, bool reset)
{
    struct net *n = c->net;
    c->is_dead = true;
    conn_out_clear(c);
    if (c->carried != NULL)
        carried_closed(c, reset);
    else
        close_socket(c, reset);
    if (c->is_client)
        seat_leave(n, &c->seat);
    if (c->is_on_route)
        seat_leave_on_route(n, &c->route_seat);
    n->open_count--;
    list_unlink(&c->link);
    list_append(&n->dead, &c->link);
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

void conn_fail(struct conn *c, enum err e)
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
            conn_update_interest(c);
        }
        return e;
    }
    ssize_t n =
        recv(c->fd, c->net->scratch, c->is_peeking ? PEEK_BYTES : NET_SCRATCH_BYTES, c->is_peeking ? MSG_PEEK : 0);
    if (n > 0) {
        *got = (size_t)n;
        return ERR_NONE;
    }
    return n == 0 ? ERR_EOF : err_from_errno(errno);
}

/* What is only looked at stays readable: the kernel is asked to wake us for more than that. When it wakes us with the
 * same bytes again, the peer has ended there. */
static enum err peek_some(struct conn *c, size_t *got)
{
    enum err e = recv_some(c, got);
    if (e != ERR_NONE)
        return e;
    if (*got == c->peek_bytes || *got == PEEK_BYTES)
        return ERR_EOF;
    c->peek_bytes = (uint16_t)*got;
    sock_set_low_water(c->fd, (int)*got + 1);
    return ERR_NONE;
}

/* Bytes that wait inside TLS raise no event: a writable socket serves as the reminder, and more bytes do. */
static void read_soon_if_pending(struct conn *c)
{
    const bool is_due = c->tls != NULL && !c->is_paused && tls_has_pending(c->tls);
    if (is_due != c->is_read_due) {
        c->is_read_due = is_due;
        conn_update_interest(c);
    }
}

static void read_ready(struct conn *c)
{
    if (c->near != NULL)
        near_fetch(c->near);
    for (int round = 0; round < CONN_READ_ROUNDS && !c->is_paused; round++) {
        size_t got = 0;
        enum err e = c->is_peeking ? peek_some(c, &got) : recv_some(c, &got);
        if (e == ERR_AGAIN) {
            conn_update_interest(c);
            break;
        }
        if (e == ERR_EOF) {
            c->is_eof = true;
            conn_update_interest(c);
            if (c->ops->on_eof != NULL)
                c->ops->on_eof(c->arg);
            else
                conn_fail(c, ERR_EOF);
            return;
        }
        if (e != ERR_NONE) {
            conn_fail(c, e);
            return;
        }
        c->ops->on_data(c->arg, c->net->scratch, got);
        if (c->is_dead)
            return;
        bool may_have_more = c->tls != NULL ? tls_has_pending(c->tls) : got == NET_SCRATCH_BYTES;
        if (!may_have_more)
            break;
    }
    read_soon_if_pending(c);
}

/* ---- establishing ---- */

static void handshake(struct conn *c)
{
    enum tls_want want = TLS_WANT_NONE;
    enum err e = tls_handshake(c->tls, &want);
    if (e == ERR_AGAIN) {
        c->tls_read_blocked = want == TLS_WANT_WRITE;
        conn_update_interest(c);
        return;
    }
    if (e != ERR_NONE) {
        conn_fail(c, e == ERR_EOF ? ERR_TLS : e);
        return;
    }
    c->state = CONN_OPEN;
    c->tls_read_blocked = false;
    conn_update_interest(c);
    if (c->ops->on_open != NULL)
        c->ops->on_open(c->arg);
    /* What came right behind the handshake was read along with it: the socket will not tell of it. */
    if (!c->is_dead && !c->is_paused && tls_has_pending(c->tls))
        read_ready(c);
}

/* A failed connect makes the socket readable as well (an error always does), and so may a server that speaks at once;
 * one that is only writable has succeeded, and need not be asked. */
static void connected(struct conn *c, unsigned events)
{
    enum err e = events == IO_WRITE ? ERR_NONE : sock_connect_result(c->fd);
    if (e == ERR_AGAIN)
        return;
    if (e != ERR_NONE) {
        conn_fail(c, e);
        return;
    }
    if (c->tls != NULL) {
        c->state = CONN_HANDSHAKING;
        handshake(c);
        return;
    }
    c->state = CONN_OPEN;
    conn_update_interest(c);
    if (c->ops->on_open != NULL)
        c->ops->on_open(c->arg);
}

static void on_io(void *arg, unsigned events)
{
    struct conn *c = arg;
    if (c->state == CONN_CONNECTING) {
        connected(c, events);
    } else if (c->state == CONN_HANDSHAKING) {
        handshake(c);
    } else {
        unsigned write_event = c->tls_write_blocked ? IO_READ : IO_WRITE;
        unsigned read_event = (c->tls_read_blocked ? IO_WRITE : IO_READ) | (c->is_read_due ? IO_WRITE : 0);
        /* Reading first: what the peer said before it reset the connection is still there, and a failing write would
         * end it all. */
        if ((events & read_event) != 0 && c->is_paused)
            conn_update_interest(c); /* the pause lasts */
        else if ((events & read_event) != 0 && !c->is_eof)
            read_ready(c);
        if (!c->is_dead && (events & write_event) != 0 && c->out.first != NULL)
            conn_write_ready(c);
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

struct conn *conn_create(struct net *n, int fd, const struct addr *peer, const struct conn_ops *ops, void *arg,
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
    list_init(&c->link);
    if (fd >= 0)
        io_init(&c->io, n->loop, fd, on_io, c);
    n->open_count++;
    return c;
}

struct conn *conn_accept(struct net *n, int fd, const struct addr *peer, const struct conn_ops *ops, void *arg)
{
    struct conn *c = conn_create(n, fd, peer, ops, arg, CONN_OPEN);
    c->is_client = true;
    seat_take(n, &c->seat, peer);
    conn_update_interest(c);
    return c;
}

void conn_set_peer(struct conn *c, const struct addr *peer)
{
    CHECK_OBJ(c, CONN_MAGIC);
    ASSERT(c->is_client);
    seat_move(c->net, &c->seat, peer);
    memset(c->peer_ip, 0, sizeof c->peer_ip);
    remember_peer(c, peer);
}

void conn_keep_seat(struct conn *c, const struct seat *route_seat)
{
    CHECK_OBJ(c, CONN_MAGIC);
    ASSERT(!c->is_on_route);
    c->route_seat = *route_seat;
    c->is_on_route = true;
}

void conn_start_tls(struct conn *c, struct tls_ctx *tls)
{
    CHECK_OBJ(c, CONN_MAGIC);
    ASSERT(c->state == CONN_OPEN && c->tls == NULL && c->carried == NULL && c->out.first == NULL);
    c->tls = tls_create_server(tls, c->fd);
    c->state = CONN_HANDSHAKING;
    c->is_paused = false;
    conn_update_interest(c);
}

const struct tls *conn_tls(const struct conn *c)
{
    CHECK_OBJ(c, CONN_MAGIC);
    return c->carried != NULL ? carried_tls(c) : c->tls;
}

void conn_peek(struct conn *c)
{
    CHECK_OBJ(c, CONN_MAGIC);
    ASSERT(c->tls == NULL && c->carried == NULL);
    c->is_peeking = true;
    c->peek_bytes = 0;
}

void conn_skip(struct conn *c, size_t len)
{
    CHECK_OBJ(c, CONN_MAGIC);
    ASSERT(c->is_peeking && len <= c->peek_bytes);
    uint8_t gone[512];
    while (len > 0) {
        ssize_t n = recv(c->fd, gone, len < sizeof gone ? len : sizeof gone, 0);
        ASSERT(n > 0); /* it was there a moment ago */
        len -= (size_t)n;
    }
    c->is_peeking = false;
    sock_set_low_water(c->fd, 1);
}

struct conn *conn_connect(struct net *n, const struct addr *to, struct tls_ctx *tls, const char *server_name,
                          enum tls_offer offer, const struct conn_ops *ops, void *arg, enum err *e)
{
    int fd = -1;
    *e = sock_connect_briefly(to, &fd);
    if (*e != ERR_NONE)
        return NULL;
    struct conn *c = conn_create(n, fd, to, ops, arg, CONN_CONNECTING);
    if (tls != NULL)
        c->tls = tls_create_client_offer(tls, fd, server_name, offer);
    if (to->sa.sa_family != AF_UNIX)
        begin_settling(c);
    conn_update_interest(c);
    return c;
}

/* ---- the owner's side ---- */

void conn_set_owner(struct conn *c, const struct conn_ops *ops, void *arg)
{
    CHECK_OBJ(c, CONN_MAGIC);
    c->ops = ops;
    c->arg = arg;
    c->near = NULL;
}

void conn_set_near(struct conn *c, const struct near *n)
{
    CHECK_OBJ(c, CONN_MAGIC);
    c->near = n;
}

/* Most pauses are over before the socket has anything: it stays watched until then, when on_io() ends that. */
void conn_pause(struct conn *c)
{
    CHECK_OBJ(c, CONN_MAGIC);
    c->is_paused = true;
}

void conn_resume(struct conn *c)
{
    CHECK_OBJ(c, CONN_MAGIC);
    if (!c->is_paused)
        return;
    c->is_paused = false;
    conn_update_interest(c);
    read_soon_if_pending(c);
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
