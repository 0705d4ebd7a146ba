/* A small server on the test's own loop that behaves, or misbehaves, as told: what the probes are pointed at. */
#ifndef TESTS_UNIT_HEALTH_CHECKER_BACKEND_H
#define TESTS_UNIT_HEALTH_CHECKER_BACKEND_H

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/list.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/sock.h"

/* What it does once it has a whole request. */
enum backend_does {
    BACKEND_HANGS = 0,      /* accepts and never says a word */
    BACKEND_CLOSES,         /* at once */
    BACKEND_ANSWERS,        /* with `status` */
    BACKEND_PROMISES,       /* the same, but the body stays away */
    BACKEND_TALKS_NONSENSE, /* not HTTP */
    BACKEND_UPGRADES,       /* to websocket, and then: */
};
enum backend_pings {
    BACKEND_PONGS = 0,
    BACKEND_IGNORES_PINGS,
    BACKEND_PONGS_OTHERWISE, /* with another payload */
    BACKEND_CLOSES_AT_PING,  /* with code 1011 */
};

struct backend {
    struct loop *loop;
    struct addr addr;
    int fd;
    struct io io;
    struct list conns;
    SSL_CTX *tls; /* NULL: clear text */
    enum backend_does does;
    enum backend_pings pings;
    unsigned status;
    const char *more_fields; /* of answers; NULL: none */
    bool wrong_accept_key;
    /* what it saw */
    unsigned accepted_count, open_count, close_frame_count;
    char request[4096]; /* the last one */
    char sni[256];      /* the last one */
};

struct backend_conn {
    struct list link;
    struct backend *backend;
    int fd;
    struct io io;
    SSL *ssl;
    bool is_upgraded;
    char in[8192];
    size_t in_len;
};

static void backend_conn_close(struct backend_conn *c)
{
    list_unlink(&c->link);
    c->backend->open_count--;
    io_fini(&c->io);
    SSL_free(c->ssl);
    close(c->fd);
    mem_free(c);
}

static void backend_say(struct backend_conn *c, const void *data, size_t len)
{
    if (c->ssl != NULL)
        (void)SSL_write(c->ssl, data, (int)len);
    else
        (void)!send(c->fd, data, len, MSG_NOSIGNAL);
}

static void backend_upgrade(struct backend_conn *c)
{
    char text[256], answer[512], key[32] = "";
    uint8_t digest[DIGEST_SHA1_BYTES];
    const char *at = strcasestr(c->in, "Sec-WebSocket-Key: ");
    if (at != NULL)
        memcpy(key, at + 19, 24);
    snprintf(text, sizeof text, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    digest_sha1(text, strlen(text), digest);
    digest[0] ^= c->backend->wrong_accept_key ? 1 : 0;
    EVP_EncodeBlock((unsigned char *)text, digest, sizeof digest);
    snprintf(answer, sizeof answer,
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Accept: %s\r\n\r\n\x81\x02hi",
             text); /* and a first message on its heels */
    backend_say(c, answer, strlen(answer));
    c->is_upgraded = true;
}

static void backend_answer(struct backend_conn *c)
{
    char text[256];
    switch (c->backend->does) {
    case BACKEND_ANSWERS:
    case BACKEND_PROMISES:
        snprintf(text, sizeof text,
                 "HTTP/1.1 %u Whatever\r\nContent-Length: 3\r\nLocation: http://192.0.2.1/\r\n%s\r\n%s",
                 c->backend->status, c->backend->more_fields != NULL ? c->backend->more_fields : "",
                 c->backend->does == BACKEND_ANSWERS ? "yes" : "");
        backend_say(c, text, strlen(text));
        break;
    case BACKEND_TALKS_NONSENSE:
        backend_say(c, "220 mail.example.com ESMTP\r\n\r\n", 30);
        break;
    case BACKEND_UPGRADES:
        backend_upgrade(c);
        break;
    case BACKEND_HANGS:
    case BACKEND_CLOSES:
        break;
    }
}

/* Answers one masked client frame of less than 126 bytes; returns its length, 0 when it is not complete. */
static size_t backend_frame(struct backend_conn *c)
{
    uint8_t *f = (uint8_t *)c->in, answer[130];
    if (c->in_len < 2 || c->in_len < 6u + (f[1] & 0x7fu))
        return 0;
    size_t len = f[1] & 0x7fu;
    for (size_t i = 0; i < len; i++)
        answer[i + 2] = f[6 + i] ^ f[2 + i % 4];
    answer[1] = (uint8_t)len;
    unsigned opcode = f[0] & 0xfu;
    if (opcode == 8) {
        c->backend->close_frame_count++;
        answer[0] = 0x88;
        backend_say(c, answer, len + 2);
    } else if (opcode == 9 && c->backend->pings == BACKEND_PONGS) {
        answer[0] = 0x8a;
        backend_say(c, answer, len + 2);
    } else if (opcode == 9 && c->backend->pings == BACKEND_PONGS_OTHERWISE) {
        backend_say(c, "\x8a\x05other", 7);
    } else if (opcode == 9 && c->backend->pings == BACKEND_CLOSES_AT_PING) {
        backend_say(c, "\x88\x02\x03\xf3", 4);
    }
    return 6 + len;
}

static void backend_digest(struct backend_conn *c)
{
    size_t used;
    if (!c->is_upgraded && strstr(c->in, "\r\n\r\n") != NULL) {
        snprintf(c->backend->request, sizeof c->backend->request, "%.4095s", c->in);
        c->in_len = 0;
        backend_answer(c);
    }
    while (c->is_upgraded && (used = backend_frame(c)) > 0) {
        memmove(c->in, c->in + used, c->in_len - used);
        c->in_len -= used;
    }
}

/* Bytes read, 0 when the connection ended, -1 when there is nothing now. */
static int backend_read(struct backend_conn *c, char *to, size_t room)
{
    if (c->ssl == NULL) {
        ssize_t n = recv(c->fd, to, room, 0);
        return n >= 0 ? (int)n : errno == EAGAIN ? -1 : 0;
    }
    int n = SSL_read(c->ssl, to, (int)room);
    const char *sni = SSL_get_servername(c->ssl, TLSEXT_NAMETYPE_host_name);
    snprintf(c->backend->sni, sizeof c->backend->sni, "%s", sni != NULL ? sni : "");
    return n > 0 ? n : SSL_get_error(c->ssl, n) == SSL_ERROR_WANT_READ ? -1 : 0;
}

static void backend_on_conn(void *arg, unsigned events)
{
    struct backend_conn *c = arg;
    int n;
    (void)events;
    while ((n = backend_read(c, c->in + c->in_len, sizeof c->in - 1 - c->in_len)) > 0) {
        c->in_len += (size_t)n;
        c->in[c->in_len] = '\0';
        backend_digest(c);
    }
    if (n == 0)
        backend_conn_close(c);
}

static void backend_on_accept(void *arg, unsigned events)
{
    struct backend *b = arg;
    struct addr peer;
    int fd;
    (void)events;
    while (sock_accept(b->fd, &fd, &peer) == ERR_NONE) {
        b->accepted_count++;
        if (b->does == BACKEND_CLOSES) {
            close(fd);
            continue;
        }
        struct backend_conn *c = mem_alloc(sizeof *c);
        c->backend = b;
        c->fd = fd;
        b->open_count++;
        list_append(&b->conns, &c->link);
        io_init(&c->io, b->loop, fd, backend_on_conn, c);
        if (b->tls != NULL) {
            c->ssl = SSL_new(b->tls);
            SSL_set_fd(c->ssl, fd);
            SSL_set_accept_state(c->ssl);
        }
        if (b->does != BACKEND_HANGS)
            io_want(&c->io, IO_READ);
    }
}

/* Listens on a free port of 127.0.0.1. */
static void backend_open(struct backend *b, struct loop *l)
{
    *b = (struct backend){.loop = l, .status = 200};
    list_init(&b->conns);
    (void)addr_from_ip(&b->addr, "127.0.0.1", 0);
    if (sock_listen(&b->addr, false, 64, &b->fd) != ERR_NONE || sock_local_addr(b->fd, &b->addr) != ERR_NONE)
        ASSERT(false && "no port to listen on");
    io_init(&b->io, l, b->fd, backend_on_accept, b);
    io_want(&b->io, IO_READ);
}

/* Dies as a killed process does: nobody listens, open connections end. */
static void backend_close(struct backend *b)
{
    LIST_EACH (it, &b->conns)
        backend_conn_close(LIST_ENTRY(it, struct backend_conn, link));
    io_fini(&b->io);
    close(b->fd);
}

#endif
