/* A server on the test's own loop that takes updates over TCP and behaves, or misbehaves, as told. Its signatures are
 * made by code of its own, for the one key push.example.com, HMAC-SHA256. Include after cmocka.h. */
#ifndef TESTS_UNIT_HEALTH_NAMESERVER_UPDATE_SERVER_H
#define TESTS_UNIT_HEALTH_NAMESERVER_UPDATE_SERVER_H

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/loop.h"
#include "base/sock.h"
#include "tests/unit/health/dns/update_text.h"

#define UPDATE_SERVER_SECRET "c2VjcmV0" /* "secret" */
#define UPDATE_SERVER_CONNS  8u

enum update_does {
    UPDATE_DOES_SIGN = 0,  /* answers `rcode`, signed as it should be */
    UPDATE_DOES_NOT_SIGN,  /* answers `rcode` */
    UPDATE_DOES_FORGE,     /* signed with another secret */
    UPDATE_DOES_OBJECT,    /* NOTAUTH, with `error` in an empty signature */
    UPDATE_TALKS_NONSENSE, /* no DNS message */
    UPDATE_CLOSES,         /* having read the update */
    UPDATE_HANGS,
    UPDATE_IN_PIECES, /* as it should be, byte by byte */
};

struct update_server;
struct update_conn {
    struct update_server *server;
    int fd; /* -1: free */
    struct io io;
    size_t len;
    uint8_t in[2 + 65535];
    size_t piece_count, piece_at;
    uint8_t pieces[2 + 512]; /* of an answer, one a pass */
};

struct update_server {
    struct loop *loop;
    struct addr addr;
    int fd;
    struct io io;
    enum update_does does;
    unsigned rcode, error;
    /* what it saw */
    unsigned accepted_count, update_count, open_count, open_most;
    struct update_text last;
    struct update_conn conns[UPDATE_SERVER_CONNS];
};

static inline void update_conn_close(struct update_conn *c)
{
    io_fini(&c->io);
    close(c->fd);
    c->fd = -1;
    c->server->open_count--;
}

static inline size_t update_put(uint8_t *to, size_t at, const void *data, size_t len)
{
    memcpy(to + at, data, len);
    return at + len;
}

/* The TSIG record behind `len` bytes of an answer; the request's code is `code`. */
static inline size_t update_sign(const struct update_server *s, uint8_t *answer, size_t len, const uint8_t *code,
                                 const char *secret)
{
    static const uint8_t key[] = "\4push\7example\3com", algorithm[] = "\13hmac-sha256";
    const uint64_t now_s = (uint64_t)loop_wall_ms(s->loop) / 1000;
    const uint8_t stamp[] = {(uint8_t)(now_s >> 40), (uint8_t)(now_s >> 32), (uint8_t)(now_s >> 24),
                             (uint8_t)(now_s >> 16), (uint8_t)(now_s >> 8),  (uint8_t)now_s};
    const uint8_t error = s->does == UPDATE_DOES_OBJECT ? (uint8_t)s->error : 0;
    const uint8_t tail[] = {1, 44, 0, error, 0, 0}; /* fudge, error, no other data */
    const struct digest_part parts[] = {{"\0\40", 2},
                                        {code, 32},
                                        {answer, len},
                                        {key, sizeof key},
                                        {"\0\377\0\0\0\0", 6},
                                        {algorithm, sizeof algorithm},
                                        {stamp, 6},
                                        {tail, 6}};
    uint8_t mac[DIGEST_MAX_BYTES];
    const size_t mac_len = error != 0 ? 0 : 32;

    assert_int_equal(digest_hmac(DIGEST_SHA256, secret, strlen(secret), parts, 8, mac), 32);
    len = update_put(answer, len, key, sizeof key);
    len = update_put(answer, len, "\0\372\0\377\0\0\0\0\0", 9);
    answer[len++] = (uint8_t)(sizeof algorithm + 6 + 10 + mac_len);
    len = update_put(answer, len, algorithm, sizeof algorithm);
    len = update_put(answer, len, stamp, 6);
    len = update_put(answer, len, tail, 2);
    answer[len++] = 0;
    answer[len++] = (uint8_t)mac_len;
    len = update_put(answer, len, mac, mac_len);
    len = update_put(answer, len, answer, 2); /* the id */
    len = update_put(answer, len, tail + 2, 4);
    answer[11] = 1;
    return len;
}

static inline size_t update_answer_to(const struct update_server *s, const uint8_t *update, size_t len,
                                      uint8_t answer[512])
{
    const unsigned rcode = s->does == UPDATE_DOES_OBJECT ? 9 : s->rcode;
    const uint8_t *code = update + len - 6 - 32;

    memset(answer, 0, 12);
    (void)update_put(answer, 0, update, 2);
    answer[2] = 0xa8;
    answer[3] = (uint8_t)rcode;
    if (s->does == UPDATE_DOES_NOT_SIGN)
        return 12;
    return update_sign(s, answer, 12, code, s->does == UPDATE_DOES_FORGE ? "another" : "secret");
}

static inline void update_reply(struct update_conn *c, const uint8_t *update, size_t len)
{
    struct update_server *s = c->server;
    uint8_t answer[2 + 512];
    size_t answer_len = s->does == UPDATE_TALKS_NONSENSE ? 5 : update_answer_to(s, update, len, answer + 2);

    if (s->does == UPDATE_TALKS_NONSENSE)
        (void)update_put(answer, 2, "hello", 5);
    answer[0] = 0;
    answer[1] = (uint8_t)answer_len;
    answer_len += 2;
    if (s->does != UPDATE_IN_PIECES) {
        assert_int_equal(send(c->fd, answer, answer_len, MSG_NOSIGNAL), answer_len);
        return;
    }
    memcpy(c->pieces, answer, answer_len);
    c->piece_count = answer_len;
    c->piece_at = 0;
    io_want(&c->io, IO_READ | IO_WRITE);
}

static inline void update_send_piece(struct update_conn *c)
{
    assert_int_equal(send(c->fd, c->pieces + c->piece_at, 1, MSG_NOSIGNAL), 1);
    if (++c->piece_at == c->piece_count)
        io_want(&c->io, IO_READ);
}

static inline void update_on_conn(void *arg, unsigned events)
{
    struct update_conn *c = arg;
    struct update_server *s = c->server;

    if ((events & IO_WRITE) != 0)
        update_send_piece(c);
    if ((events & IO_READ) == 0)
        return;
    const ssize_t n = recv(c->fd, c->in + c->len, sizeof c->in - c->len, MSG_DONTWAIT);
    if (n <= 0) {
        update_conn_close(c);
        return;
    }
    c->len += (size_t)n;
    const size_t len = c->len < 2 ? 0 : (size_t)c->in[0] << 8 | c->in[1];
    if (c->len < 2 || c->len < 2 + len)
        return;
    assert_int_equal(c->len, 2 + len);
    c->len = 0;
    s->update_count++;
    (void)update_tell(&s->last, c->in + 2, len);
    if (s->does == UPDATE_CLOSES)
        update_conn_close(c);
    else if (s->does != UPDATE_HANGS)
        update_reply(c, c->in + 2, len);
}

static inline void update_on_accept(void *arg, unsigned events)
{
    struct update_server *s = arg;
    struct update_conn *c = s->conns;
    struct addr peer;
    int fd = -1;

    (void)events;
    if (sock_accept(s->fd, &fd, &peer) != ERR_NONE)
        return;
    while (c->fd >= 0)
        c++;
    assert_true(c < s->conns + UPDATE_SERVER_CONNS);
    c->server = s;
    c->fd = fd;
    c->len = 0;
    s->accepted_count++;
    s->open_count++;
    s->open_most = s->open_count > s->open_most ? s->open_count : s->open_most;
    io_init(&c->io, s->loop, fd, update_on_conn, c);
    io_want(&c->io, IO_READ);
}

/* Port 0: any. */
static inline void update_server_start(struct update_server *s, struct loop *l, uint16_t port)
{
    struct addr any;

    memset(s, 0, sizeof *s);
    s->loop = l;
    for (size_t i = 0; i < UPDATE_SERVER_CONNS; i++)
        s->conns[i].fd = -1;
    assert_true(addr_from_ip(&any, "127.0.0.1", port));
    assert_int_equal(sock_listen(&any, false, 16, &s->fd), ERR_NONE);
    assert_int_equal(sock_local_addr(s->fd, &s->addr), ERR_NONE);
    io_init(&s->io, l, s->fd, update_on_accept, s);
    io_want(&s->io, IO_READ);
}

static inline void update_server_stop(struct update_server *s)
{
    for (size_t i = 0; i < UPDATE_SERVER_CONNS; i++)
        if (s->conns[i].fd >= 0)
            update_conn_close(&s->conns[i]);
    io_fini(&s->io);
    close(s->fd);
}

#endif
