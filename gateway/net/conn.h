/* One TCP (or TLS) connection as a push interface: bytes are pushed up to the owner, writes are tried at once.
 *
 * Bytes arrive in the process's one scratch buffer and are valid until on_data returns, so an idle connection owns no
 * buffer. A write goes to the socket at once; what does not fit is copied into blocks and sent when there is room.
 * Back-pressure is two watermarks: once more than `high_bytes` wait, conn_is_full() turns true and the owner pauses
 * whoever feeds it; on_drain says when no more than half of that is left.
 *
 * Law of life: conn_close() may be called from any callback; after it no callback comes, and the memory goes at the end
 * of the pass. After on_close the connection is closed already: the owner forgets its pointer. */
#ifndef GATEWAY_NET_CONN_H
#define GATEWAY_NET_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/birth.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "base/loop.h"
#include "base/near.h"
#include "base/sock.h"
#include "base/stats.h"
#include "base/tls.h"

#define NET_SCRATCH_BYTES (64u * 1024u)

/* What all connections of a process share; one per process. */
struct net {
    uint32_t magic;
    struct loop *loop;
    const struct roster *roster; /* which blocks of `stats` are workers' */
    struct stats *stats;         /* all processes' blocks, to see how many clients there are altogether */
    struct stats_block *block;   /* the own one: clients and buffered bytes are counted here */
    struct list dead;            /* closed connections, freed at the end of the pass */
    struct later reap;
    struct list young;    /* connected out a short while ago: see settle() in conn.c */
    struct list settling; /* those that have lasted */
    struct timer settle;  /* runs while there are any */
    uint32_t open_count;
    uint8_t scratch[NET_SCRATCH_BYTES];
};
/* `b`: the tables this process was born with; borrowed. */
struct net *net_create(struct loop *l, const struct birth *b);
void net_destroy(struct net **np); /* every connection must be closed */

struct conn;
struct seat;

/* Callbacks to the owner; on_open only follows conn_connect. All but on_data and on_close may be NULL. */
struct conn_ops {
    void (*on_open)(void *arg);                                  /* connected, TLS done */
    void (*on_data)(void *arg, const uint8_t *data, size_t len); /* borrowed until it returns */
    void (*on_eof)(void *arg);                                   /* the peer sends no more; writing may go on */
    void (*on_drain)(void *arg);                                 /* fell to half of the high watermark */
    void (*on_flushed)(void *arg);                               /* nothing waits any more */
    void (*on_close)(void *arg, enum err e);                     /* broken; the pointer is dead after this */
};

#define CONN_HIGH_BYTES_DEFAULT (64u * 1024u)
#define CONN_NEAR_BYTES         64u

/* Takes an accepted socket; reads from the next pass on. It counts as a client (gateway/net/seats.h) until it is
 * closed. */
struct conn *conn_accept(struct net *n, int fd, const struct addr *peer, const struct conn_ops *ops, void *arg);
/* Who is at the other end: the address of conn_accept(), conn_connect() or conn_set_peer(). */
void conn_peer(const struct conn *c, struct addr *out);
/* Who an accepted client really is, as a trusted proxy in front of it says; its seat moves to that address. */
void conn_set_peer(struct conn *c, const struct addr *peer);
/* Takes over a seat on a route (gateway/net/seats.h): it is given back when the connection closes. */
void conn_keep_seat(struct conn *c, const struct seat *route_seat);
/* Begins a server's TLS handshake on an accepted socket of which nothing else was read; on_open (or on_close) follows.
 * The owner keeps its own deadline. */
void conn_start_tls(struct conn *c, struct tls_ctx *tls);
/* TLS of the connection, for asking what was agreed; NULL for a plain one. A carried one has its carrier's. */
const struct tls *conn_tls(const struct conn *c);
/* From now on on_data shows everything that waits in the (plain) socket without taking it, again and again as more
 * arrives, until conn_skip() takes the first `len` bytes of it and normal reading goes on with the next pass. For what
 * comes before TLS; who shows more than 16 KiB, or ends before conn_skip(), is reported as ended (on_eof). */
void conn_peek(struct conn *c);
void conn_skip(struct conn *c, size_t len);
/* Starts connecting; the result comes as on_open or on_close, never before this returns. `tls` NULL for plain TCP, else
 * `server_name` is verified and sent as SNI, and `offer` is what ALPN says. The owner keeps its own deadline. NULL with
 * *e set when no socket could be had. */
struct conn *conn_connect(struct net *n, const struct addr *to, struct tls_ctx *tls, const char *server_name,
                          enum tls_offer offer, const struct conn_ops *ops, void *arg, enum err *e);
/* Hands the connection to another owner; callbacks go there from now on, and nothing is near. */
void conn_set_owner(struct conn *c, const struct conn_ops *ops, void *arg);
/* What the owner is going to need when bytes have come: fetched while the kernel reads them. The list must live as long
 * as the owner has the connection. A connection that will be written to takes CONN_NEAR_BYTES. */
void conn_set_near(struct conn *c, const struct near *n);
void conn_set_high(struct conn *c, size_t high_bytes);

/* Sends all of it, now or later. Ignored once the write side is shut. */
void conn_write(struct conn *c, const void *data, size_t len);
/* The same for several pieces, in one system call (plain) or as few TLS records as possible. At most CONN_PIECES. */
#define CONN_PIECES 4
void conn_write_pieces(struct conn *c, const struct slice *pieces, size_t count);
size_t conn_buffered(const struct conn *c);
bool conn_is_full(const struct conn *c);
/* Stops and restarts reading; nestable by nobody: the last call counts. */
void conn_pause(struct conn *c);
void conn_resume(struct conn *c);
/* FIN (and close_notify) once everything queued is sent. */
void conn_shutdown_write(struct conn *c);
bool conn_eof_seen(const struct conn *c);
/* Closes at once and nulls the caller's pointer; queued bytes are lost. With `reset` the peer sees RST. */
void conn_close(struct conn **cp, bool reset);
/* Why TLS failed, "" for plain TCP; for the log line an owner writes inside its on_close. */
const char *conn_failure_text(const struct conn *c);

#endif
