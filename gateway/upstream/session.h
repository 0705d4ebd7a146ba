/* One HTTP/2 connection to a server, shared by many requests: the wire (net/conn.h) and the protocol (http/h2_client.h)
 * put together.
 *
 * Who wants a request carried is a rider. It boards a session at any time, also one that is still being connected, and
 * is told when its request can be made. A session that finds out that it is none (ALPN chose HTTP/1.1) tells its riders
 * so, and leaves its connection to the idle ones. While riders are on it, a session that hears nothing asks for a sign
 * of life, and is given up when there is none. Without riders it is closed after keepalive.time. */
#ifndef GATEWAY_UPSTREAM_SESSION_H
#define GATEWAY_UPSTREAM_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/http/h2_stream.h"
#include "gateway/net/conn.h"
#include "gateway/upstream/server.h"

#define SESSION_COUNT_MAX 256u /* to one server: some allow few streams on each */
#define SESSION_QUIET_MS  5000 /* without a byte: then a ping is sent ... */
#define SESSION_PONG_MS   5000 /* ... and waited for */

struct session;

/* Why a rider is off again. */
struct rider_failure {
    enum err error;
    bool is_stream;      /* it alone was reset, with ... */
    uint32_t code;       /* ... this (enum h2_code) */
    bool is_unprocessed; /* the server cannot have acted on the request */
    bool is_resolved;    /* what dial_result said, as long as there was no connection */
    bool is_connected;
    bool is_not_h2; /* the server may not speak HTTP/2 at all: it was broken before it said anything */
    const char *detail;
};

enum rider_decline {
    RIDER_DECLINE_H1_ONLY = 0,   /* ALPN chose HTTP/1.1 */
    RIDER_DECLINE_NO_WEBSOCKETS, /* it does not announce extended CONNECT */
};

/* Callbacks; after on_declined and on_failed the rider is off. It may leave in each of them. */
struct rider_ops {
    void (*on_board)(void *arg); /* there is room: rider_request() is to be called, or rider_leave() */
    void (*on_declined)(void *arg, enum rider_decline why);
    void (*on_response)(void *arg, const struct http_head *head, bool has_body);
    void (*on_data)(void *arg, const uint8_t *data, size_t len);
    void (*on_end)(void *arg); /* the answer is complete */
    void (*on_writable)(void *arg);
    void (*on_closed)(void *arg); /* both sides have ended: rider->stream is dead */
    void (*on_failed)(void *arg, const struct rider_failure *f);
};

struct rider {
    struct list link; /* waits, or has a stream */
    struct session *session;
    struct server *server;    /* referenced while it is on a session */
    struct h2_stream *stream; /* NULL: not yet, or not any more */
    bool needs_connect;       /* the session must announce extended CONNECT */
    bool has_ended;           /* the answer is complete */
    bool has_sent;            /* the request is */
    bool may_linger;          /* when it leaves, what it has sent still goes out */
    bool has_company;         /* the session was there before */
    const struct rider_ops *ops;
    void *arg;
};

/* Boards the session to `s` that has room, or begins a new one. With TLS the server is asked (ALPN); without, HTTP/2 is
 * simply spoken. False when all sessions there may be are full. No callback comes before this returns. */
bool rider_board(struct rider *r, struct net *n, struct server *s, bool needs_connect, const struct rider_ops *ops,
                 void *arg);
/* Makes its request; from on_board only. False when it cannot be written. */
bool rider_request(struct rider *r, const struct http_head *head, bool has_body);
/* Bytes of the request, and its end. Without a stream they go nowhere. */
void rider_send(struct rider *r, const void *data, size_t len);
void rider_end(struct rider *r);
/* `from` has a stream; `to` takes its place. */
void rider_move(struct rider *to, struct rider *from, const struct rider_ops *ops, void *arg);
/* Off, wherever it is; what is under way is reset, what is complete ends by itself. */
void rider_leave(struct rider *r);
/* The connection below. */
struct conn *rider_wire(const struct rider *r);

/* ---- for links.c ---- */
struct session *session_of_link(struct list *link);
/* Takes no more riders, and ends when the last one is off. */
void session_leave(struct session *k);

#endif
