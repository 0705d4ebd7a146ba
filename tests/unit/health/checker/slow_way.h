/* A way to a Redis that is fast there and slow back: what is asked is done at once, and every answer comes late. One
 * process, one connection after the other, gone with the test. */
#ifndef TESTS_UNIT_HEALTH_CHECKER_SLOW_WAY_H
#define TESTS_UNIT_HEALTH_CHECKER_SLOW_WAY_H

#include <time.h>

#include "tests/unit/cache/redis_nodes.h"

#define SLOW_WAY_PIECES 256

struct slow_way {
    pid_t pid;
    uint16_t port;
};

struct slow_piece {
    int64_t due_ms;
    size_t len;
    char bytes[4096];
};

static inline int64_t slow_now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Until one of the two is gone. */
static inline void slow_way_pass(int here, int there, int64_t delay_ms, struct slow_piece *pieces)
{
    struct pollfd p[2] = {{.fd = here, .events = POLLIN}, {.fd = there, .events = POLLIN}};
    size_t first = 0, last = 0;

    for (;;) {
        const int64_t left_ms = first < last ? pieces[first % SLOW_WAY_PIECES].due_ms - slow_now_ms() : -1;
        (void)poll(p, 2, first < last ? (left_ms > 0 ? (int)left_ms : 0) : -1);
        for (; first < last && pieces[first % SLOW_WAY_PIECES].due_ms <= slow_now_ms(); first++)
            if (write(here, pieces[first % SLOW_WAY_PIECES].bytes, pieces[first % SLOW_WAY_PIECES].len) < 0)
                return;
        if (p[0].revents != 0) {
            char bytes[4096];
            const ssize_t got = read(here, bytes, sizeof bytes);
            if (got <= 0 || write(there, bytes, (size_t)got) != got)
                return;
        }
        if (p[1].revents != 0) {
            struct slow_piece *piece = &pieces[last % SLOW_WAY_PIECES];
            const ssize_t got = read(there, piece->bytes, sizeof piece->bytes);
            if (got <= 0 || last - first == SLOW_WAY_PIECES)
                return;
            piece->len = (size_t)got;
            piece->due_ms = slow_now_ms() + delay_ms;
            last++;
        }
    }
}

static inline void slow_way_open(struct slow_way *w, uint16_t to_port, int64_t delay_ms)
{
    struct addr a, to;
    int fd = -1;
    assert_true(addr_from_ip(&a, "127.0.0.1", 0) && addr_from_ip(&to, "127.0.0.1", to_port));
    assert_int_equal(sock_listen(&a, false, 8, &fd), ERR_NONE);
    assert_int_equal(sock_local_addr(fd, &a), ERR_NONE);
    w->port = addr_port(&a);
    w->pid = fork();
    assert_true(w->pid >= 0);
    if (w->pid > 0) {
        (void)close(fd);
        return;
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)signal(SIGPIPE, SIG_IGN);
    struct slow_piece *pieces = calloc(SLOW_WAY_PIECES, sizeof *pieces);
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        (void)poll(&p, 1, -1);
        const int here = accept(fd, NULL, NULL), there = socket(AF_INET, SOCK_STREAM, 0);
        if (here >= 0 && connect(there, &to.sa, to.len) == 0)
            slow_way_pass(here, there, delay_ms, pieces);
        (void)close(here);
        (void)close(there);
    }
}

static inline void slow_way_close(struct slow_way *w)
{
    (void)kill(w->pid, SIGKILL);
    (void)waitpid(w->pid, NULL, 0);
}

#endif
