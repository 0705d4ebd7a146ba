/* One read, all whole frames in it turned round where they lie, one write.
 *
 * An answer is shorter than its question (no mask key), so it is written over it from the front; what is left of the
 * last frame waits for the next read in a buffer of its own, which an idle connection does not have. */
#include "gateway/bench/serve.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "gateway/bench/net.h"
#include "gateway/bench/phoenix.h"
#include "gateway/http/h1.h"
#include "gateway/http/upgrade.h"
#include "gateway/ws/frame.h"
#include "gateway/ws/mask.h"

#define EVENTS_PER_PASS   512
#define READ_BYTES        65536u
#define PLAIN_BYTES       1024u /* the body of the answer to a request that is no handshake */
#define REPLY_BYTES       (PLAIN_BYTES + 256u)
#define FRAME_MAX_BYTES   (1u << 20)
#define SCRATCH_MAX_BYTES (FRAME_MAX_BYTES + WS_HEADER_BYTES + READ_BYTES)
#define ANSWER_MAX_BYTES  (4 * SCRATCH_MAX_BYTES) /* Phoenix: an answer is longer than its question */

#define PEER_MAGIC 0x9ee2b5c3u

struct peer {
    uint32_t magic;
    int fd;
    bool is_open; /* upgraded */
    bool is_phoenix;
    bool is_ending; /* closes once `out` is empty */
    uint8_t *in;    /* beginning of a head or frame */
    size_t in_len;
    uint8_t *out; /* not taken by the socket yet; nothing is read meanwhile */
    size_t out_len, out_sent;
};

struct server {
    int epoll_fd, listen_fd;
    uint8_t *scratch;
    struct strbuf answers; /* Phoenix: of one read */
};

static void peer_destroy(struct peer *p)
{
    close(p->fd);
    mem_free(p->in);
    mem_free(p->out);
    OBJ_FREE(&p, PEER_MAGIC);
}

static void watch(struct server *v, struct peer *p, uint32_t what)
{
    struct epoll_event ev = {.events = what, .data.ptr = p};
    (void)epoll_ctl(v->epoll_fd, EPOLL_CTL_MOD, p->fd, &ev);
}

/* False when the connection is done for. */
static bool answer(struct server *v, struct peer *p, const void *data, size_t len)
{
    const ssize_t n = len == 0 ? 0 : send(p->fd, data, len, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN)
        return false;
    const size_t sent = n < 0 ? 0 : (size_t)n;
    if (sent == len)
        return !p->is_ending;
    p->out = mem_alloc(len - sent);
    p->out_len = len - sent;
    p->out_sent = 0;
    memcpy(p->out, (const uint8_t *)data + sent, p->out_len);
    watch(v, p, EPOLLOUT);
    return true;
}

static bool on_writable(struct server *v, struct peer *p)
{
    const ssize_t n = send(p->fd, p->out + p->out_sent, p->out_len - p->out_sent, MSG_NOSIGNAL);
    if (n < 0)
        return errno == EAGAIN;
    p->out_sent += (size_t)n;
    if (p->out_sent < p->out_len)
        return true;
    mem_free(p->out);
    p->out = NULL;
    p->out_len = p->out_sent = 0;
    watch(v, p, EPOLLIN);
    return !p->is_ending;
}

/* ---- the handshake ---- */

static void answer_plain(char *reply, size_t cap)
{
    const int head_len =
        snprintf(reply, cap, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %u\r\n\r\n", PLAIN_BYTES);
    ASSERT(head_len > 0 && (size_t)head_len + PLAIN_BYTES < cap);
    memset(reply + head_len, 'x', PLAIN_BYTES);
    reply[(size_t)head_len + PLAIN_BYTES] = '\0';
}

/* Takes a head off the front of `data`: bytes taken, 0 when more is needed, or -1. Writes the answer to `reply`. */
static ssize_t take_request(struct peer *p, const uint8_t *data, size_t len, char *reply, size_t cap)
{
    static const struct h1_limits limits = H1_LIMITS_DEFAULT;
    struct http_head head;
    struct h1_scan scan = {0};
    const enum h1_result r = h1_parse_request(&head, &scan, data, len, &limits);
    if (r != H1_DONE)
        return r == H1_MORE ? 0 : -1;
    if (!upgrade_is_wanted(&head)) {
        answer_plain(reply, cap);
        p->is_ending = !head.is_persistent;
        return (ssize_t)head.head_bytes;
    }
    const char *why;
    if (upgrade_check_request(&head, &why) != 0)
        return -1;
    char accept[UPGRADE_ACCEPT_BYTES];
    upgrade_accept_key(http_value(&head, "sec-websocket-key"), accept);
    (void)snprintf(reply, cap,
                   "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Accept: %s\r\n\r\n",
                   accept);
    p->is_open = true;
    p->is_phoenix = memmem(head.target.data, head.target.len, "vsn=", 4) != NULL;
    return (ssize_t)head.head_bytes;
}

/* ---- frames ---- */

struct frame {
    size_t header_len, payload_len;
    uint8_t first;
};

/* 1: a whole frame lies at `data`; 0: not yet; -1: not what a client may send. */
static int look(struct frame *f, const uint8_t *data, size_t len)
{
    if (len < 2)
        return 0;
    if ((data[1] & 0x80) == 0)
        return -1;
    f->first = data[0];
    f->payload_len = data[1] & 0x7f;
    size_t more = f->payload_len == 126 ? 2 : f->payload_len == 127 ? 8 : 0;
    f->header_len = 2 + more + 4;
    if (len < f->header_len)
        return 0;
    if (more > 0) {
        f->payload_len = 0;
        for (size_t i = 0; i < more; i++)
            f->payload_len = f->payload_len << 8 | data[2 + i];
    }
    if (f->payload_len > FRAME_MAX_BYTES)
        return -1;
    return len >= f->header_len + f->payload_len;
}

/* Turns the frames at `data` round in place. *taken: bytes used; *made: bytes of the answer, at `data` as well. False
 * when the peer breaks the protocol. */
static bool turn_round(struct peer *p, uint8_t *data, size_t len, size_t *taken, size_t *made)
{
    struct frame f;
    int found = 0;
    while (!p->is_ending && (found = look(&f, data + *taken, len - *taken)) > 0) {
        uint8_t *at = data + *taken, header[WS_HEADER_BYTES];
        *taken += f.header_len + f.payload_len;
        const uint8_t opcode = f.first & 0x0f;
        if (opcode == WS_OPCODE_PONG)
            continue;
        ws_mask(at + f.header_len, f.payload_len, at + f.header_len - 4, 0);
        const size_t header_len = ws_header_build(
            header, opcode == WS_OPCODE_PING ? WS_OPCODE_PONG : (enum ws_opcode)opcode, f.payload_len, NULL);
        if ((f.first & 0x80) == 0)
            header[0] &= 0x7f; /* an unfinished message stays one */
        memmove(data + *made + header_len, at + f.header_len, f.payload_len);
        memcpy(data + *made, header, header_len);
        *made += header_len + f.payload_len;
        p->is_ending = opcode == WS_OPCODE_CLOSE;
    }
    return found >= 0;
}

/* The same for who speaks Phoenix: the answers are in v->answers. */
static bool converse(struct server *v, struct peer *p, uint8_t *data, size_t len, size_t *taken)
{
    struct frame f;
    int found = 0;
    strbuf_clear(&v->answers);
    while (!p->is_ending && (found = look(&f, data + *taken, len - *taken)) > 0) {
        uint8_t *payload = data + *taken + f.header_len, header[WS_HEADER_BYTES];
        *taken += f.header_len + f.payload_len;
        const uint8_t opcode = f.first & 0x0f;
        ws_mask(payload, f.payload_len, payload - 4, 0);
        if (opcode == WS_OPCODE_TEXT || opcode == WS_OPCODE_BINARY) {
            phoenix_answer(&v->answers, payload, f.payload_len, opcode == WS_OPCODE_BINARY);
        } else if (opcode != WS_OPCODE_PONG) {
            const enum ws_opcode reply = opcode == WS_OPCODE_PING ? WS_OPCODE_PONG : (enum ws_opcode)opcode;
            strbuf_add(&v->answers, header, ws_header_build(header, reply, f.payload_len, NULL));
            strbuf_add(&v->answers, payload, f.payload_len);
            p->is_ending = opcode == WS_OPCODE_CLOSE;
        }
    }
    return found >= 0 && !v->answers.failed;
}

static void keep(struct peer *p, const uint8_t *data, size_t len)
{
    mem_free(p->in);
    p->in = len == 0 ? NULL : mem_alloc(len);
    p->in_len = len;
    if (len > 0)
        memcpy(p->in, data, len);
}

static bool on_readable(struct server *v, struct peer *p)
{
    if (p->in_len > 0)
        memcpy(v->scratch, p->in, p->in_len);
    const ssize_t n = recv(p->fd, v->scratch + p->in_len, READ_BYTES, 0);
    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    const size_t len = p->in_len + (size_t)n;
    if (p->is_open) {
        size_t taken = 0, made = 0;
        if (!(p->is_phoenix ? converse(v, p, v->scratch, len, &taken) : turn_round(p, v->scratch, len, &taken, &made)))
            return false;
        if (p->in_len > 0 || taken < len)
            keep(p, v->scratch + taken, len - taken);
        return p->is_phoenix ? answer(v, p, v->answers.data, v->answers.len) : answer(v, p, v->scratch, made);
    }
    char reply[REPLY_BYTES];
    const ssize_t taken = take_request(p, v->scratch, len, reply, sizeof reply);
    if (taken < 0)
        return false;
    keep(p, v->scratch + taken, len - (size_t)taken);
    return taken == 0 || answer(v, p, reply, strlen(reply));
}

static void on_client(struct server *v)
{
    struct addr from;
    for (int fd; sock_accept(v->listen_fd, &fd, &from) == ERR_NONE;) {
        struct peer *p;
        OBJ_NEW(p, PEER_MAGIC);
        p->fd = fd;
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = p};
        if (epoll_ctl(v->epoll_fd, EPOLL_CTL_ADD, fd, &ev) != 0)
            peer_destroy(p);
    }
}

bool serve_run(const struct options *o)
{
    struct server v = {.scratch = mem_alloc(SCRATCH_MAX_BYTES)};
    strbuf_init(&v.answers, ANSWER_MAX_BYTES);
    (void)net_raise_fd_limit();
    const enum err e = sock_listen(&o->serve, false, 4096, &v.listen_fd);
    v.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL}, events[EVENTS_PER_PASS];
    if (e != ERR_NONE || v.epoll_fd < 0 || epoll_ctl(v.epoll_fd, EPOLL_CTL_ADD, v.listen_fd, &ev) != 0) {
        char address[ADDR_TEXT_BYTES];
        fprintf(stderr, "tidegate-bench: cannot listen on %s: %s\n", addr_text(&o->serve, address, sizeof address),
                err_text(e));
        return false;
    }
    for (;;) {
        const int n = epoll_wait(v.epoll_fd, events, EVENTS_PER_PASS, -1);
        for (int i = 0; i < n; i++) {
            struct peer *p = events[i].data.ptr;
            if (p == NULL)
                on_client(&v);
            else if (!((events[i].events & EPOLLOUT) != 0 ? on_writable(&v, p) : on_readable(&v, p)))
                peer_destroy(p);
        }
    }
}
