/* One read, all whole frames in it turned round where they lie, one write.
 *
 * An answer is shorter than its question (no mask key): the first stays where its payload is, the others close up to
 * it. What is left of the last frame waits for the rest in a buffer of its own, which a connection keeps once it needed
 * one. A long frame is read straight to its place there, turned round and sent from it: what serves must not be what a
 * benchmark measures. */
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

#define EVENTS_PER_PASS  512
#define READ_BYTES       65536u
#define PLAIN_BYTES      1024u /* the body of the answer to a request that is no handshake */
#define REPLY_BYTES      (PLAIN_BYTES + 256u)
#define FRAME_MAX_BYTES  (1u << 20)
#define HEAD_MAX_BYTES   READ_BYTES
#define SCRATCH_BYTES    (HEAD_MAX_BYTES + READ_BYTES)
#define ANSWER_MAX_BYTES (4 * (FRAME_MAX_BYTES + READ_BYTES)) /* Phoenix: an answer is longer than its question */

#define PEER_MAGIC 0x9ee2b5c3u

struct peer {
    uint32_t magic;
    int fd;
    bool is_open; /* upgraded */
    bool is_phoenix;
    bool is_ending; /* closes once `out` is empty */
    uint8_t *in;    /* beginning of a head or frame; its room is kept for the next one */
    size_t in_len, in_cap;
    size_t in_due;      /* how long that frame will be; 0: not known yet */
    const uint8_t *out; /* not taken by the socket yet, in `in` or `copy`; nothing is read meanwhile */
    size_t out_len;
    uint8_t *copy;
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
    mem_free(p->copy);
    OBJ_FREE(&p, PEER_MAGIC);
}

static void watch(struct server *v, struct peer *p, uint32_t what)
{
    struct epoll_event ev = {.events = what, .data.ptr = p};
    (void)epoll_ctl(v->epoll_fd, EPOLL_CTL_MOD, p->fd, &ev);
}

/* Sends what the socket takes; the rest, unless it stays where it is, is copied. False when the connection is done for.
 */
static bool answer(struct server *v, struct peer *p, const uint8_t *data, size_t len, bool stays)
{
    const ssize_t n = len == 0 ? 0 : send(p->fd, data, len, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN)
        return false;
    const size_t sent = n < 0 ? 0 : (size_t)n;
    if (sent == len)
        return !p->is_ending;
    p->out = data + sent;
    p->out_len = len - sent;
    if (!stays) {
        p->copy = mem_alloc_begun(p->out_len, 0);
        p->out = memcpy(p->copy, p->out, p->out_len);
    }
    watch(v, p, EPOLLOUT);
    return true;
}

static bool on_writable(struct server *v, struct peer *p)
{
    const ssize_t n = send(p->fd, p->out, p->out_len, MSG_NOSIGNAL);
    if (n < 0)
        return errno == EAGAIN;
    p->out += n;
    p->out_len -= (size_t)n;
    if (p->out_len > 0)
        return true;
    mem_free(p->copy);
    p->out = p->copy = NULL;
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
    size_t due; /* both; 0: the header is not there yet */
    uint8_t first;
};

/* 1: a whole frame lies at `data`; 0: not yet; -1: not what a client may send. */
static int look(struct frame *f, const uint8_t *data, size_t len)
{
    f->due = 0;
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
    f->due = f->header_len + f->payload_len;
    return len >= f->due;
}

struct turned {
    size_t taken; /* bytes of whole frames */
    uint8_t *answer;
    size_t answer_len;
    size_t due; /* how long the frame behind them will be; 0: there is none, or nobody knows yet */
};

/* Turns the frames at `data` round in place: the first answer ends where its question did, the others follow it. False
 * when the peer breaks the protocol. */
static bool turn_round(struct peer *p, uint8_t *data, size_t len, struct turned *t)
{
    struct frame f = {0};
    int found = 0;
    while (!p->is_ending && (found = look(&f, data + t->taken, len - t->taken)) > 0) {
        uint8_t *payload = data + t->taken + f.header_len, header[WS_HEADER_BYTES];
        t->taken += f.header_len + f.payload_len;
        const uint8_t opcode = f.first & 0x0f;
        if (opcode == WS_OPCODE_PONG)
            continue;
        ws_mask(payload, f.payload_len, payload - 4, 0);
        const size_t header_len = ws_header_build(
            header, opcode == WS_OPCODE_PING ? WS_OPCODE_PONG : (enum ws_opcode)opcode, f.payload_len, NULL);
        if ((f.first & 0x80) == 0)
            header[0] &= 0x7f; /* an unfinished message stays one */
        if (t->answer_len == 0)
            t->answer = payload - header_len;
        uint8_t *at = t->answer + t->answer_len;
        if (at + header_len != payload)
            memmove(at + header_len, payload, f.payload_len);
        memcpy(at, header, header_len);
        t->answer_len += header_len + f.payload_len;
        p->is_ending = opcode == WS_OPCODE_CLOSE;
    }
    t->due = found == 0 ? f.due : 0;
    return found >= 0;
}

/* The same for who speaks Phoenix: the answers are in v->answers. */
static bool converse(struct server *v, struct peer *p, uint8_t *data, size_t len, struct turned *t)
{
    struct frame f = {0};
    int found = 0;
    strbuf_clear(&v->answers);
    while (!p->is_ending && (found = look(&f, data + t->taken, len - t->taken)) > 0) {
        uint8_t *payload = data + t->taken + f.header_len, header[WS_HEADER_BYTES];
        t->taken += f.header_len + f.payload_len;
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
    t->answer = (uint8_t *)v->answers.data;
    t->answer_len = v->answers.len;
    t->due = found == 0 ? f.due : 0;
    return found >= 0 && !v->answers.failed;
}

/* `data` is the rest of a read, or with `due` the beginning of a frame of that length, which is read to its place. */
static void keep(struct peer *p, const uint8_t *data, size_t len, size_t due)
{
    const size_t room = due > len ? due : len;
    if (p->in_cap < room) {
        mem_free(p->in);
        p->in = mem_alloc_begun(room, 0);
        p->in_cap = room;
    }
    if (len > 0)
        memcpy(p->in, data, len);
    p->in_len = len;
    p->in_due = due;
}

/* Frames at `data`, which is `in` when it is one that was read to its place. */
static bool on_frames(struct server *v, struct peer *p, uint8_t *data, size_t len)
{
    struct turned t = {0};
    if (!(p->is_phoenix ? converse(v, p, data, len, &t) : turn_round(p, data, len, &t)))
        return false;
    keep(p, data + t.taken, len - t.taken, t.due);
    return answer(v, p, t.answer, t.answer_len, data == p->in && !p->is_phoenix);
}

static bool on_more_of_a_frame(struct server *v, struct peer *p)
{
    const ssize_t n = recv(p->fd, p->in + p->in_len, p->in_due - p->in_len, 0);
    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    p->in_len += (size_t)n;
    return p->in_len < p->in_due || on_frames(v, p, p->in, p->in_len);
}

static bool on_readable(struct server *v, struct peer *p)
{
    if (p->in_due > 0)
        return on_more_of_a_frame(v, p);
    if (p->in_len > HEAD_MAX_BYTES)
        return false;
    if (p->in_len > 0)
        memcpy(v->scratch, p->in, p->in_len);
    const ssize_t n = recv(p->fd, v->scratch + p->in_len, READ_BYTES, 0);
    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    const size_t len = p->in_len + (size_t)n;
    if (p->is_open)
        return on_frames(v, p, v->scratch, len);
    char reply[REPLY_BYTES];
    const ssize_t taken = take_request(p, v->scratch, len, reply, sizeof reply);
    if (taken < 0)
        return false;
    keep(p, v->scratch + taken, len - (size_t)taken, 0);
    return taken == 0 || answer(v, p, (const uint8_t *)reply, strlen(reply), false);
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
    struct server v = {.scratch = mem_alloc(SCRATCH_BYTES)};
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
