/* What a worker has of its process, as far as connections need it, and a client in it; include after cmocka.h. */
#ifndef TESTS_UNIT_GATEWAY_NET_PROCESS_H
#define TESTS_UNIT_GATEWAY_NET_PROCESS_H

#include <sys/socket.h>

#include "base/mem.h"
#include "gateway/net/conn.h"

struct process {
    struct loop *loop;
    struct birth birth;
    struct roster roster;
    struct net *net;
};

static inline void process_begin(struct process *p)
{
    p->loop = loop_create();
    p->birth.stats = mem_alloc(sizeof *p->birth.stats);
    stats_init(p->birth.stats);
    p->birth.block = &p->birth.stats->block[0];
    p->birth.roster = &p->roster;
    p->roster.row[0].role = ROLE_WORKER;
    p->net = net_create(p->loop, &p->birth);
}

static inline void process_end(struct process *p)
{
    net_destroy(&p->net);
    loop_destroy(&p->loop);
    mem_free(p->birth.stats);
}

/* A client from 192.0.2.1:1234; *peer is its end of the socket. */
static inline struct conn *process_accept(struct process *p, int *peer, const struct conn_ops *ops, void *arg)
{
    int pair[2];
    struct addr from;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    assert_true(addr_parse(&from, "192.0.2.1:1234"));
    *peer = pair[1];
    return conn_accept(p->net, pair[0], &from, ops, arg);
}

#endif
