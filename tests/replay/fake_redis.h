/* Redis nodes that say what a test makes them say, on the loop of the test; and a lookup that goes to them. */
#ifndef TESTS_REPLAY_FAKE_REDIS_H
#define TESTS_REPLAY_FAKE_REDIS_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cache/l2_job.h"
#include "tests/replay/sim.h"
#include "tests/unit/base/port.h"
#include "tests/unit/cache/l2_world.h"

#define FAKE_CLIENTS    16
#define FAKE_SAID_BYTES 256

struct fake_redis;

struct fake_client {
    struct fake_redis *node;
    int fd; /* 0: none */
    struct io io;
    struct l2_parser *parser;
};

struct fake_redis {
    struct loop *loop;
    int listen_fd;
    struct io listen_io;
    uint16_t port;
    struct fake_client client[FAKE_CLIENTS];
    /* What to say to a command: written to `said` as it goes over the wire, or left empty for silence. PINGs are
     * answered. */
    void (*answer)(void *arg, struct fake_redis *n, const struct l2_reply *command, char said[FAKE_SAID_BYTES]);
    void *arg;
    uint32_t command_count; /* PINGs apart */
};

static inline bool fake_is(const struct l2_reply *command, const char *word)
{
    return command->kind == L2_ARRAY && command->len > 0 && l2_reply_is_text(command->elements[0], word);
}

static inline void fake_hang_up(struct fake_client *c)
{
    if (c->fd == 0)
        return;
    io_fini(&c->io);
    l2_parser_destroy(&c->parser);
    (void)close(c->fd);
    c->fd = 0;
}

static inline void fake_on_bytes(void *arg, unsigned events)
{
    struct fake_client *c = arg;
    struct l2_reply *command;
    char bytes[4096];
    (void)events;
    const ssize_t got = read(c->fd, bytes, sizeof bytes);
    if (got <= 0) {
        fake_hang_up(c);
        return;
    }
    assert_int_equal(l2_parser_feed(c->parser, bytes, (size_t)got), ERR_NONE);
    while (l2_parser_next(c->parser, &command) == ERR_NONE) {
        char said[FAKE_SAID_BYTES] = "+PONG\r\n";
        if (!fake_is(command, "PING")) {
            c->node->command_count++;
            said[0] = '\0';
            c->node->answer(c->node->arg, c->node, command, said);
        }
        assert_int_equal(write(c->fd, said, strlen(said)), strlen(said));
        l2_reply_destroy(&command);
    }
}

static inline void fake_on_client(void *arg, unsigned events)
{
    struct fake_redis *n = arg;
    struct fake_client *c = n->client;
    struct addr peer;
    (void)events;
    while (c < n->client + FAKE_CLIENTS && c->fd != 0)
        c++;
    assert_true(c < n->client + FAKE_CLIENTS);
    if (sock_accept(n->listen_fd, &c->fd, &peer) != ERR_NONE)
        return;
    c->node = n;
    c->parser = l2_parser_create(1u << 20);
    io_init(&c->io, n->loop, c->fd, fake_on_bytes, c);
    io_want(&c->io, IO_READ);
}

static inline void fake_start(struct fake_redis *n, struct loop *l)
{
    n->loop = l;
    (void)port_hold(&n->port); /* as long as this process lives: nobody else shall answer there when it is stopped */
    n->listen_fd = port_listen(n->port, FAKE_CLIENTS);
    io_init(&n->listen_io, l, n->listen_fd, fake_on_client, n);
    io_want(&n->listen_io, IO_READ);
}

/* Nobody listens there any more, and clients are hung up on. Harmless the second time. */
static inline void fake_stop(struct fake_redis *n)
{
    if (n->listen_fd == 0)
        return;
    for (size_t i = 0; i < FAKE_CLIENTS; i++)
        fake_hang_up(&n->client[i]);
    io_fini(&n->listen_io);
    (void)close(n->listen_fd);
    n->listen_fd = 0;
}

static inline size_t fake_client_count(const struct fake_redis *n)
{
    size_t count = 0;
    for (size_t i = 0; i < FAKE_CLIENTS; i++)
        count += n->client[i].fd != 0;
    return count;
}

static inline void fake_on_done(struct l2_job *j, enum err e, struct l2_reply *const *replies)
{
    struct world *w = j->arg;
    w->answer_count++;
    w->last = e != ERR_NONE ? e : l2_fault_err(l2_reply_fault(replies[0]));
    (void)snprintf(w->text, sizeof w->text, "%s", e == ERR_NONE ? replies[0]->text : "");
}

/* Asks for "key", below the gate of l2_is_ready(): these nodes have no purge log. False: there is nobody to ask. */
static inline bool fake_ask(struct world *w)
{
    struct l2_args get = {0};
    struct l2_job *j = l2_job_create(w->l2, L2_NAME_ENTRY, "key", 3);
    l2_args_text(&get, "GET");
    l2_args_bytes(&get, j->key.text, j->key.len);
    l2_job_add(j, &get);
    j->on_done = fake_on_done;
    j->arg = w;
    return l2_job_send(j);
}

/* How that ends; ERR_AGAIN: there is nobody to ask. */
static inline enum err fake_look_up(struct world *w)
{
    const uint32_t before = w->answer_count;
    if (!fake_ask(w))
        return ERR_AGAIN;
    assert_int_equal(w->answer_count, before); /* never before it returns */
    WORLD_AWAIT(w, w->answer_count != before);
    assert_int_equal(w->answer_count, before + 1);
    return w->last;
}

#endif
