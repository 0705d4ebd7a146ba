/* The system calls are most of the cost of an answer, and waking is a good part of theirs. So answers leave through a
 * socket nobody waits for (base/sock.h), which measured here saves a tenth, and calls are shared: one recvmmsg(2) and
 * one sendmmsg(2) for up to BATCH packets. Who sends many is likely to have sent more meanwhile, so
 * that after all but a small batch the next one is tried at once; up to a bound, so that TCP and the supervisor are
 * heard under a flood.
 *
 * A socket that is bound to all addresses gets with each packet the address it was sent to (IP_PKTINFO), and hands
 * it back with the answer, because a resolver believes only the address it asked (RFC 2181 section 4.1). The control
 * message is used for both directions; only the interface is taken out, so that routing chooses it anew. */
#include "health/nameserver/udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sock.h"

#define UDP_MAGIC        0x0d9a51e7u
#define UDP_SOCKET_MAGIC 0x0d950c4bu

#define BATCH       16u /* what a pass over it touches stays in the first-level cache; 64 are 2 to 5 % slower */
#define BATCH_SMALL 8u  /* after so few the next ones are waited for */
#define BATCHES_MAX 16u /* of one socket before others have their turn */
/* A query is a header, a question and an OPT; what is longer is none of ours. Both are odd numbers of cache lines: with
 * even ones the beginnings of all buffers would fall into the same few sets of the cache. */
#define QUERY_BYTES   1088u
#define ANSWER_BYTES  1344u
#define CONTROL_BYTES (CMSG_SPACE(sizeof(struct in6_pktinfo)))
_Static_assert(ANSWER_BYTES >= DNS_UDP_ANSWER_BYTES, "every answer fits");
_Static_assert(QUERY_BYTES / 64 % 2 == 1 && ANSWER_BYTES / 64 % 2 == 1, "spread over the cache");

struct udp_socket {
    uint32_t magic;
    struct list link;
    struct udp *udp;
    int fd;        /* -1: its sending socket came first */
    int sender_fd; /* -1: there is none, `fd` sends */
    bool has_pktinfo;
    struct io io;
    char *address;
};

struct packet { /* one place of the batch */
    struct iovec in, out;
    union {
        struct sockaddr sa;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } from;
    union {
        struct cmsghdr align;
        uint8_t bytes[CONTROL_BYTES];
    } control;
};

struct udp {
    uint32_t magic;
    struct loop *loop;
    struct responder *responder;
    struct stats_block *block;
    udp_batch_fn *on_batch;
    void *arg;
    struct list sockets;
    struct log_limit errors;
    bool has_pktinfo; /* what the places are ready for */
    struct mmsghdr in[BATCH], out[BATCH];
    struct packet packet[BATCH];
    uint8_t queries[BATCH][QUERY_BYTES];
    uint8_t answers[BATCH][ANSWER_BYTES];
};

/* ---- one batch ---- */

/* What the kernel changes in a place that was used. */
static void make_ready(struct udp *u, unsigned i, bool has_pktinfo)
{
    struct msghdr *h = &u->in[i].msg_hdr;
    h->msg_namelen = sizeof u->packet[i].from;
    h->msg_control = has_pktinfo ? u->packet[i].control.bytes : NULL;
    h->msg_controllen = has_pktinfo ? CONTROL_BYTES : 0;
    h->msg_flags = 0;
}

static void make_all_ready(struct udp *u, bool has_pktinfo)
{
    u->has_pktinfo = has_pktinfo;
    for (unsigned i = 0; i < BATCH; i++)
        make_ready(u, i, has_pktinfo);
}

static void forget_interface(struct msghdr *h)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo *info = (void *)CMSG_DATA(c);
            info->ipi_ifindex = 0;
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo *info = (void *)CMSG_DATA(c);
            if (!IN6_IS_ADDR_LINKLOCAL(&info->ipi6_addr))
                info->ipi6_ifindex = 0;
        }
    }
}

/* Port 0 cannot be answered; echo, daytime, chargen and time say something to whatever comes, for ever. */
static bool is_client_port(uint16_t port)
{
    static const uint16_t others[] = {0, 7, 13, 19, 37};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (port == others[i])
            return false;
    return true;
}

/* Whether the packet is to be answered at all: whole, and from where a client may be. */
static bool is_answerable(const struct mmsghdr *m, const struct packet *p)
{
    if ((m->msg_hdr.msg_flags & MSG_TRUNC) != 0)
        return false;
    if (p->from.sa.sa_family == AF_INET)
        return is_client_port(ntohs(p->from.v4.sin_port));
    return p->from.sa.sa_family == AF_INET6 && is_client_port(ntohs(p->from.v6.sin6_port));
}

/* Answers packet `i`, which says `q`, into place `at` of what goes out; false when nothing does. */
static bool answer(struct udp *u, unsigned i, const struct query *q, unsigned at)
{
    struct mmsghdr *m = &u->in[i];
    struct packet *p = &u->packet[i];

    if (!is_answerable(m, p)) {
        stat_add(&u->block->process[STAT_DNS_UDP_QUERIES], 1);
        stat_add(&u->block->process[STAT_DNS_IGNORED], 1);
        return false;
    }
    const size_t len = responder_answer(u->responder, &p->from.sa, false, q, u->answers[i], DNS_UDP_ANSWER_BYTES);
    if (len == 0)
        return false;
    p->out = (struct iovec){.iov_base = u->answers[i], .iov_len = len};
    struct msghdr *h = &u->out[at].msg_hdr;
    h->msg_name = &p->from;
    h->msg_namelen = m->msg_hdr.msg_namelen;
    h->msg_iov = &p->out;
    h->msg_iovlen = 1;
    h->msg_control = m->msg_hdr.msg_controllen > 0 ? p->control.bytes : NULL;
    h->msg_controllen = m->msg_hdr.msg_controllen;
    if (h->msg_controllen > 0)
        forget_interface(h);
    return true;
}

/* One that cannot be sent (no route, a filter) does not keep the others; a full socket does. */
static void send_answers(struct udp *u, const struct udp_socket *s, unsigned count)
{
    const int fd = s->sender_fd >= 0 ? s->sender_fd : s->fd;
    unsigned done = 0, dropped = 0;

    while (done < count) {
        const int sent = sendmmsg(fd, &u->out[done], count - done, MSG_DONTWAIT);
        if (sent > 0) {
            done += (unsigned)sent;
            continue;
        }
        if (errno == EINTR)
            continue;
        const bool is_full = errno == EAGAIN || errno == ENOBUFS;
        if (!is_full)
            LOG_LIMITED(&u->errors, loop_now_ms(u->loop), LOG_LEVEL_WARN, "answer not sent",
                        KV_STR("listener", s->address), KV_STR("cause", strerror(errno)));
        dropped += is_full ? count - done : 1;
        done += is_full ? count - done : 1;
    }
    if (dropped > 0)
        stat_add(&u->block->process[STAT_DNS_SEND_DROPPED], dropped);
}

/* How many packets there were. */
static unsigned serve_batch(struct udp *u, const struct udp_socket *s)
{
    struct query q[2];
    unsigned answers = 0;
    const int got = recvmmsg(s->fd, u->in, BATCH, MSG_DONTWAIT, NULL);

    if (got <= 0)
        return 0; /* nothing there; or the error of an answer sent before, which is its client's affair */
    /* Each is read before the one ahead of it is answered, which gives the zone's memory time to come. */
    responder_read(u->responder, &q[0], u->queries[0], u->in[0].msg_len);
    for (unsigned i = 0; i < (unsigned)got; i++) {
        if (i + 1 < (unsigned)got)
            responder_read(u->responder, &q[(i + 1) % 2], u->queries[i + 1], u->in[i + 1].msg_len);
        if (answer(u, i, &q[i % 2], answers))
            answers++;
    }
    send_answers(u, s, answers);
    for (unsigned i = 0; i < (unsigned)got; i++)
        make_ready(u, i, s->has_pktinfo);
    return (unsigned)got;
}

static void on_readable(void *arg, unsigned events)
{
    struct udp_socket *s = arg;
    struct udp *u = s->udp;

    (void)events;
    CHECK_OBJ(s, UDP_SOCKET_MAGIC);
    u->on_batch(u->arg);
    if (u->has_pktinfo != s->has_pktinfo)
        make_all_ready(u, s->has_pktinfo);
    for (unsigned batches = 0; batches < BATCHES_MAX; batches++) {
        if (serve_batch(u, s) < BATCH_SMALL)
            break;
        u->on_batch(u->arg);
    }
}

/* ---- sockets ---- */

static struct udp_socket *socket_of(struct udp *u, const char *address)
{
    LIST_EACH (it, &u->sockets) {
        struct udp_socket *s = LIST_ENTRY(it, struct udp_socket, link);
        if (strcmp(s->address, address) == 0)
            return s;
    }
    struct udp_socket *s;
    OBJ_NEW(s, UDP_SOCKET_MAGIC);
    s->udp = u;
    s->fd = s->sender_fd = -1;
    s->address = mem_strdup(address);
    list_init(&s->link);
    list_append(&u->sockets, &s->link);
    return s;
}

void udp_add(struct udp *u, int fd, const char *address)
{
    struct addr bound;

    CHECK_OBJ(u, UDP_MAGIC);
    struct udp_socket *s = socket_of(u, address);
    ASSERT(s->fd < 0);
    s->fd = fd;
    s->has_pktinfo = sock_local_addr(fd, &bound) == ERR_NONE && addr_is_any(&bound);
    io_init(&s->io, u->loop, fd, on_readable, s);
    io_want(&s->io, IO_READ);
}

void udp_add_sender(struct udp *u, int fd, const char *address)
{
    CHECK_OBJ(u, UDP_MAGIC);
    struct udp_socket *s = socket_of(u, address);
    ASSERT(s->sender_fd < 0);
    s->sender_fd = fd;
}

static void close_socket(struct udp_socket *s)
{
    if (s->fd >= 0) {
        io_fini(&s->io);
        close(s->fd);
    }
    if (s->sender_fd >= 0)
        close(s->sender_fd);
    list_unlink(&s->link);
    mem_free(s->address);
    OBJ_FREE(&s, UDP_SOCKET_MAGIC);
}

void udp_remove(struct udp *u, const char *address)
{
    CHECK_OBJ(u, UDP_MAGIC);
    LIST_EACH (it, &u->sockets) {
        struct udp_socket *s = LIST_ENTRY(it, struct udp_socket, link);
        if (strcmp(s->address, address) != 0)
            continue;
        if (s->fd >= 0)
            on_readable(s, IO_READ);
        close_socket(s);
    }
}

/* ---- life ---- */

struct udp *udp_create(struct loop *l, struct responder *responder, struct stats_block *block, udp_batch_fn *on_batch,
                       void *arg)
{
    struct udp *u;
    OBJ_NEW(u, UDP_MAGIC);
    u->loop = l;
    u->responder = responder;
    u->block = block;
    u->on_batch = on_batch;
    u->arg = arg;
    list_init(&u->sockets);
    for (unsigned i = 0; i < BATCH; i++) {
        struct msghdr *h = &u->in[i].msg_hdr;
        u->packet[i].in = (struct iovec){.iov_base = u->queries[i], .iov_len = QUERY_BYTES};
        h->msg_name = &u->packet[i].from;
        h->msg_iov = &u->packet[i].in;
        h->msg_iovlen = 1;
    }
    make_all_ready(u, false);
    return u;
}

void udp_destroy(struct udp **up)
{
    CHECK_OBJ(*up, UDP_MAGIC);
    LIST_EACH (it, &(*up)->sockets)
        close_socket(LIST_ENTRY(it, struct udp_socket, link));
    OBJ_FREE(up, UDP_MAGIC);
}
