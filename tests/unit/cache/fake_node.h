/* A Redis that says what a test makes it say, on the loop of the test. */
#ifndef TESTS_UNIT_CACHE_FAKE_NODE_H
#define TESTS_UNIT_CACHE_FAKE_NODE_H

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/loop.h"
#include "base/sock.h"
#include "cache/l2_wire.h"

#define FAKE_CLIENTS 8

struct fake_node;

struct fake_client {
    struct fake_node *node;
    int fd;
    struct io io;
    struct l2_parser *parser;
};

struct fake_node {
    struct loop *loop;
    int listen_fd;
    struct io listen_io;
    uint16_t port;
    struct fake_client client[FAKE_CLIENTS];
    size_t client_count;
    /* What to say to a command, as it goes over the wire; borrowed until the next call. NULL: nothing. */
    const char *(*answer)(void *arg, struct fake_node *n, const struct l2_reply *command);
    void *arg;
    uint32_t command_count; /* PINGs apart */
};

static inline bool fake_is(const struct l2_reply *command, const char *word)
{
    return command->kind == L2_ARRAY && command->len > 0 && l2_reply_is_text(command->elements[0], word);
}

static inline void fake_on_bytes(void *arg, unsigned events)
{
    struct fake_client *c = arg;
    struct l2_reply *command;
    char bytes[4096];
    (void)events;
    ssize_t got = read(c->fd, bytes, sizeof bytes);
    if (got <= 0) {
        io_want(&c->io, 0);
        return;
    }
    assert_int_equal(l2_parser_feed(c->parser, bytes, (size_t)got), ERR_NONE);
    while (l2_parser_next(c->parser, &command) == ERR_NONE) {
        const char *said = "+PONG\r\n";
        if (!fake_is(command, "PING")) {
            c->node->command_count++;
            said = c->node->answer(c->node->arg, c->node, command);
        }
        if (said)
            assert_int_equal(write(c->fd, said, strlen(said)), strlen(said));
        l2_reply_destroy(&command);
    }
}

static inline void fake_on_client(void *arg, unsigned events)
{
    struct fake_node *n = arg;
    struct addr peer;
    (void)events;
    assert_true(n->client_count < FAKE_CLIENTS);
    struct fake_client *c = &n->client[n->client_count];
    if (sock_accept(n->listen_fd, &c->fd, &peer) != ERR_NONE)
        return;
    n->client_count++;
    c->node = n;
    c->parser = l2_parser_create(1u << 20);
    io_init(&c->io, n->loop, c->fd, fake_on_bytes, c);
    io_want(&c->io, IO_READ);
}

static inline void fake_start(struct fake_node *n, struct loop *l)
{
    struct addr a;
    memset(n, 0, sizeof *n);
    n->loop = l;
    assert_true(addr_from_ip(&a, "127.0.0.1", 0));
    assert_int_equal(sock_listen(&a, false, FAKE_CLIENTS, &n->listen_fd), ERR_NONE);
    assert_int_equal(sock_local_addr(n->listen_fd, &a), ERR_NONE);
    n->port = addr_port(&a);
    io_init(&n->listen_io, l, n->listen_fd, fake_on_client, n);
    io_want(&n->listen_io, IO_READ);
}

static inline void fake_stop(struct fake_node *n)
{
    for (size_t i = 0; i < n->client_count; i++) {
        io_fini(&n->client[i].io);
        l2_parser_destroy(&n->client[i].parser);
        (void)close(n->client[i].fd);
    }
    io_fini(&n->listen_io);
    (void)close(n->listen_fd);
}

#endif
