/* A Redis that says what a test makes it say, byte by byte, over the connections of L2 in the order they came. Logs in
 * whoever asks, and answers what the purge log is asked with a record that is always there. */
#ifndef TESTS_REPLAY_PEER_REDIS_H
#define TESTS_REPLAY_PEER_REDIS_H

#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/loop.h"
#include "base/sock.h"
#include "cache/l2_wire.h"

#define PEER_CLIENTS 16

struct peer;
struct peer_client {
    struct peer *peer;
    int fd; /* -1: closed */
    struct io io;
    struct l2_parser *parser;
    uint32_t read_count; /* calls of read(2) that brought commands */
};

struct peer {
    struct loop *loop;
    int listen_fd;
    struct io listen_io;
    uint16_t port;
    struct peer_client client[PEER_CLIENTS];
    size_t client_count;
    /* Says something to a command (peer_say), or nothing. NULL: peer_usual(). */
    void (*answer)(void *arg, struct peer_client *c, const struct l2_reply *command);
    void *arg;
    uint32_t command_count, ping_count;
    bool is_deaf; /* accepts, and never reads */
};

static inline bool peer_is(const struct l2_reply *command, const char *word)
{
    return command->kind == L2_ARRAY && command->len > 0 && l2_reply_is_text(command->elements[0], word);
}

static inline void peer_hang_up(struct peer_client *c)
{
    if (c->fd < 0)
        return;
    io_fini(&c->io);
    (void)close(c->fd);
    c->fd = -1;
}

static inline void peer_say_bytes(struct peer_client *c, const char *bytes, size_t len)
{
    if (c->fd >= 0 && send(c->fd, bytes, len, MSG_NOSIGNAL) < 0)
        io_want(&c->io, IO_READ); /* it has gone: the next read says so */
}
static inline void peer_say(struct peer_client *c, const char *text)
{
    peer_say_bytes(c, text, strlen(text));
}

/* A healthy node without entries. */
static inline void peer_usual(struct peer_client *c, const struct l2_reply *command)
{
    if (peer_is(command, "PING"))
        peer_say(c, "+PONG\r\n");
    else if (peer_is(command, "XRANGE"))
        peer_say(c, "*1\r\n*2\r\n$3\r\n5-1\r\n*2\r\n$4\r\nkind\r\n$5\r\nbegin\r\n");
    else if (peer_is(command, "XREAD") && l2_reply_is_text(command->elements[command->len - 1], "0-0"))
        peer_say(c, "*1\r\n*2\r\n$1\r\nk\r\n*1\r\n*2\r\n$3\r\n5-1\r\n*2\r\n$4\r\nkind\r\n$5\r\nbegin\r\n");
    else if (peer_is(command, "XREAD") && !l2_reply_is_text(command->elements[3], "BLOCK"))
        peer_say(c, "*-1\r\n");
    else if (peer_is(command, "XREAD"))
        return; /* blocks */
    else if (peer_is(command, "GETRANGE"))
        peer_say(c, "$0\r\n\r\n");
    else if (peer_is(command, "PTTL"))
        peer_say(c, ":-2\r\n");
    else
        peer_say(c, "+OK\r\n");
}

static inline void peer_on_bytes(void *arg, unsigned events)
{
    struct peer_client *c = arg;
    struct peer *p = c->peer;
    struct l2_reply *command;
    static char bytes[65536];
    (void)events;
    const ssize_t got = read(c->fd, bytes, sizeof bytes);
    if (got <= 0) {
        peer_hang_up(c);
        return;
    }
    c->read_count++;
    assert_int_equal(l2_parser_feed(c->parser, bytes, (size_t)got), ERR_NONE);
    while (l2_parser_next(c->parser, &command) == ERR_NONE) {
        p->ping_count += peer_is(command, "PING");
        p->command_count++;
        if (p->answer != NULL)
            p->answer(p->arg, c, command);
        else
            peer_usual(c, command);
        l2_reply_destroy(&command);
    }
}

static inline void peer_on_client(void *arg, unsigned events)
{
    struct peer *p = arg;
    struct addr from;
    (void)events;
    assert_true(p->client_count < PEER_CLIENTS);
    struct peer_client *c = &p->client[p->client_count];
    if (sock_accept(p->listen_fd, &c->fd, &from) != ERR_NONE)
        return;
    p->client_count++;
    c->peer = p;
    c->parser = l2_parser_create(16u << 20);
    io_init(&c->io, p->loop, c->fd, peer_on_bytes, c);
    io_want(&c->io, p->is_deaf ? 0 : IO_READ);
}

static inline void peer_start(struct peer *p, struct loop *l)
{
    struct addr a;
    memset(p, 0, sizeof *p);
    p->loop = l;
    assert_true(addr_from_ip(&a, "127.0.0.1", 0));
    assert_int_equal(sock_listen(&a, false, PEER_CLIENTS, &p->listen_fd), ERR_NONE);
    assert_int_equal(sock_local_addr(p->listen_fd, &a), ERR_NONE);
    p->port = addr_port(&a);
    io_init(&p->listen_io, l, p->listen_fd, peer_on_client, p);
    io_want(&p->listen_io, IO_READ);
}

static inline void peer_stop(struct peer *p)
{
    for (size_t i = 0; i < p->client_count; i++) {
        peer_hang_up(&p->client[i]);
        l2_parser_destroy(&p->client[i].parser);
    }
    io_fini(&p->listen_io);
    (void)close(p->listen_fd);
}

#endif
