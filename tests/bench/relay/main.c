/* relay-raw: the least a relay can do, as a yardstick for the others.
 *
 *     relay-raw LISTEN BACKEND          e.g. relay-raw 127.0.0.1:9001 127.0.0.1:9000
 *
 * One thread, one epoll, level-triggered; each connection that arrives gets one to the backend, and bytes go from one
 * to the other through one scratch buffer with one read and one write. It knows no protocol, has no limits and no
 * timeouts, and looks at nothing: whatever a gateway does beyond that is what its figures differ by. Not for any other
 * use. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/sock.h"

#define SCRATCH_BYTES   65536u
#define EVENTS_PER_PASS 256

/* One socket of a pair. */
struct side {
    int fd;
    uint32_t events; /* as epoll knows them */
    struct side *peer;
    uint8_t *rest; /* what this socket did not take yet; its peer is not read meanwhile */
    size_t rest_len, rest_sent;
    bool has_ended; /* end of stream was read from it */
};

struct relay {
    int epoll_fd, listen_fd;
    struct addr backend;
    struct side *dead[2 * EVENTS_PER_PASS]; /* freed at the end of the pass: events for them may still be in hand */
    size_t dead_count;
    uint8_t scratch[SCRATCH_BYTES];
};

static void watch(struct relay *r, struct side *s, uint32_t events)
{
    if (s->events == events)
        return;
    struct epoll_event ev = {.events = events, .data.ptr = s};
    if (epoll_ctl(r->epoll_fd, EPOLL_CTL_MOD, s->fd, &ev) == 0)
        s->events = events;
}

static void bury(struct relay *r, struct side *s)
{
    struct side *both[2] = {s, s->peer};
    for (size_t i = 0; i < 2; i++) {
        if (both[i]->fd < 0)
            continue;
        close(both[i]->fd);
        both[i]->fd = -1;
        r->dead[r->dead_count++] = both[i];
    }
}

static void clear_dead(struct relay *r)
{
    for (size_t i = 0; i < r->dead_count; i++) {
        mem_free(r->dead[i]->rest);
        mem_free(r->dead[i]);
    }
    r->dead_count = 0;
}

/* Sends what fits; the rest waits and stops the other side. False when the pair is done for. */
static bool pass_on(struct relay *r, struct side *to, const uint8_t *data, size_t len)
{
    ssize_t n = send(to->fd, data, len, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != ENOTCONN)
        return false;
    const size_t sent = n < 0 ? 0 : (size_t)n;
    if (sent == len)
        return true;
    to->rest_len = len - sent;
    to->rest_sent = 0;
    to->rest = mem_realloc(to->rest, to->rest_len);
    memcpy(to->rest, data + sent, to->rest_len);
    watch(r, to, to->events | EPOLLOUT);
    watch(r, to->peer, to->peer->events & ~(uint32_t)EPOLLIN);
    return true;
}

static bool on_readable(struct relay *r, struct side *s)
{
    if (s->peer->rest_len > 0)
        return false; /* it hung up on a peer that is still behind: nobody waits for the rest here */
    const ssize_t n = recv(s->fd, r->scratch, sizeof r->scratch, 0);
    if (n > 0)
        return pass_on(r, s->peer, r->scratch, (size_t)n);
    if (n < 0)
        return errno == EAGAIN;
    s->has_ended = true;
    watch(r, s, s->events & ~(uint32_t)EPOLLIN);
    (void)shutdown(s->peer->fd, SHUT_WR);
    return !s->peer->has_ended;
}

static bool on_writable(struct relay *r, struct side *s)
{
    if (s->rest_sent < s->rest_len) {
        const ssize_t n = send(s->fd, s->rest + s->rest_sent, s->rest_len - s->rest_sent, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN;
        s->rest_sent += (size_t)n;
        if (s->rest_sent < s->rest_len)
            return true;
    }
    s->rest_len = s->rest_sent = 0;
    watch(r, s, s->events & ~(uint32_t)EPOLLOUT);
    if (!s->peer->has_ended)
        watch(r, s->peer, s->peer->events | EPOLLIN);
    return true;
}

static struct side *side_create(struct relay *r, int fd, uint32_t events)
{
    struct side *s = mem_alloc(sizeof *s);
    s->fd = fd;
    s->events = events;
    struct epoll_event ev = {.events = events, .data.ptr = s};
    if (epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, fd, &ev) != 0) {
        perror("epoll_ctl");
        exit(EX_OSERR);
    }
    return s;
}

static void on_client(struct relay *r)
{
    for (;;) {
        int fd, backend_fd;
        struct addr from;
        if (sock_accept(r->listen_fd, &fd, &from) != ERR_NONE)
            return;
        if (sock_connect(&r->backend, &backend_fd) != ERR_NONE) {
            close(fd);
            continue;
        }
        struct side *client = side_create(r, fd, EPOLLIN);
        struct side *backend = side_create(r, backend_fd, EPOLLIN | EPOLLOUT);
        client->peer = backend;
        backend->peer = client;
    }
}

static void run(struct relay *r)
{
    struct epoll_event events[EVENTS_PER_PASS];
    for (;;) {
        const int n = epoll_wait(r->epoll_fd, events, EVENTS_PER_PASS, -1);
        for (int i = 0; i < n; i++) {
            struct side *s = events[i].data.ptr;
            if (s == NULL) {
                on_client(r);
                continue;
            }
            if (s->fd < 0)
                continue;
            bool is_alive = true;
            if ((events[i].events & EPOLLOUT) != 0)
                is_alive = on_writable(r, s);
            if (is_alive && (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
                is_alive = on_readable(r, s);
            if (!is_alive)
                bury(r, s);
        }
        clear_dead(r);
    }
}

static void raise_fd_limit(void)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
        l.rlim_cur = l.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &l);
    }
}

int main(int argc, char **argv)
{
    struct addr at;
    struct relay *r = mem_alloc(sizeof *r);
    if (argc != 3 || !addr_parse(&at, argv[1]) || !addr_parse(&r->backend, argv[2])) {
        fprintf(stderr, "usage: relay-raw LISTEN-IP:PORT BACKEND-IP:PORT\n");
        return EX_USAGE;
    }
    raise_fd_limit();
    const enum err e = sock_listen(&at, false, 4096, &r->listen_fd);
    if (e != ERR_NONE) {
        fprintf(stderr, "relay-raw: cannot listen on %s: %s\n", argv[1], err_text(e));
        return EX_OSERR;
    }
    r->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
    if (r->epoll_fd < 0 || epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, r->listen_fd, &ev) != 0) {
        perror("relay-raw: epoll");
        return EX_OSERR;
    }
    run(r);
}
