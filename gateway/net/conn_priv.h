/* What conn.c (life and reading), conn_out.c (writing) and carried.c (connections on connections) share; nobody else
 * includes this, but for their test. */
#ifndef GATEWAY_NET_CONN_PRIV_H
#define GATEWAY_NET_CONN_PRIV_H

#include "gateway/net/conn.h"
#include "gateway/net/seats.h"

#define CONN_MAGIC 0xc0441ec7u

enum conn_state { CONN_CONNECTING = 1, CONN_HANDSHAKING, CONN_OPEN };

struct chunk { /* one block of a queue */
    struct chunk *next;
    struct block *block;
    uint32_t begin;
    uint32_t end;
};

struct chunk_queue { /* bytes, oldest first; all empty: no memory */
    struct chunk *first;
    struct chunk *last;
    size_t bytes;
};

struct carried;

struct conn { /* what every write needs comes first, then what every read does */
    uint32_t magic;
    int fd; /* -1: carried */
    uint32_t high_bytes;
    uint8_t state;
    bool is_paused : 1;
    bool is_over : 1; /* above high; on_drain is owed */
    bool is_eof : 1;
    bool is_shut : 1;          /* write side: FIN sent or to be sent */
    bool is_dead : 1;          /* closed, waits to be freed */
    bool is_read_due : 1;      /* TLS holds something that the socket does not tell of */
    bool tls_read_blocked : 1; /* reading waits for writability, or the other way round */
    bool tls_write_blocked : 1;
    bool is_client : 1;   /* holds a seat */
    bool is_on_route : 1; /* holds a seat there as well */
    bool is_peeking : 1;
    struct tls *tls;
    struct carried *carried; /* what is below, when that is no socket */
    struct chunk_queue out;  /* unsent */
    struct net *net;
    const struct conn_ops *ops;
    void *arg;
    const struct near *near; /* the owner's; NULL: none */
    struct io io;

    uint16_t peek_bytes; /* seen so far */
    uint16_t peer_port;
    uint8_t peer_ip[16]; /* IPv4 as ::ffff:a.b.c.d; all zero for a local socket */
    struct seat seat;
    struct seat route_seat;
    struct list link; /* in net->young or settling, in net->dead, or in none */
};

/* ---- conn.c ---- */
/* Counts as open until it is closed; reads and writes nothing yet. `fd` -1 for a carried one. */
struct conn *conn_create(struct net *n, int fd, const struct addr *peer, const struct conn_ops *ops, void *arg,
                         enum conn_state state);
/* What the connection below must be watched for follows from the state alone; called after every change of it. */
void conn_update_interest(struct conn *c);
/* Broken: tells the owner, and closes. */
void conn_fail(struct conn *c, enum err e);

/* ---- conn_out.c ---- */
void chunk_queue_append(struct chunk_queue *q, const uint8_t *data, size_t len);
void chunk_queue_drop(struct chunk_queue *q, size_t len); /* at most what is in it */
/* Drops what was sent, and what nobody will send any more. */
void conn_out_sent(struct conn *c, size_t len);
void conn_out_clear(struct conn *c);
/* Sends what the connection below takes. */
void conn_write_ready(struct conn *c);
/* Tells the owner what has become of the queue: on_drain, the end of the write side, on_flushed. */
void conn_out_notify(struct conn *c);

/* ---- carried.c ---- */
void carried_update_interest(struct conn *c);
void carried_output(struct conn *c);             /* there is something to pull */
void carried_closed(struct conn *c, bool reset); /* the owner closed it */
const struct tls *carried_tls(const struct conn *c);

#endif
