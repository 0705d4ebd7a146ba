/* One request to one server, whatever it travels on: an HTTP/1.1 connection that was kept alive, a new one, or a stream
 * of an HTTP/2 connection that many requests share.
 *
 * A call has one attempt. Only a kept connection that turns out to be closed before it said anything is replaced, once
 * and silently, by a fresh one, and only where that cannot make the server do something twice. Callbacks never come
 * before call_start() returns, but may come from within call_write(), call_end_body() and call_resume(). The body of
 * the request is pushed in (call_write) once on_ready has come and as long as call_is_full() does not say to wait; the
 * body of the answer is pushed out, no faster than the user wants (call_pause).
 *
 * Deadlines, all of the pool: connect_timeout; from the request sent to the head of the answer first_byte_timeout, for
 * a WebSocket upgrade_timeout; between_bytes_timeout while a server neither takes bytes of a body that wait nor sends
 * any that are wanted; request_timeout over all of it (not for WebSockets). The user's own deadline comes on top. */
#ifndef GATEWAY_UPSTREAM_CALL_H
#define GATEWAY_UPSTREAM_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/http/head.h"
#include "gateway/net/conn.h"
#include "gateway/upstream/server.h"

struct call;

/* How far it got; the name is for the log. */
enum call_phase { CALL_RESOLVE = 0, CALL_CONNECT, CALL_REQUEST, CALL_ANSWER, CALL_BODY, CALL_PHASE_COUNT };
const char *call_phase_text(enum call_phase p);

struct call_failure {
    enum err error; /* ERR_TIMEOUT, ERR_REFUSED, ERR_RESET, ERR_PROTOCOL, ... */
    enum call_phase phase;
    bool is_cut_short;   /* the caller's deadline or request_timeout came before the attempt's own */
    bool is_unprocessed; /* the server cannot have acted on the request: nothing was sent, or it said so (GOAWAY,
                            REFUSED_STREAM) */
    const char *detail;  /* "" when there is nothing to add; borrowed for the call */
};

/* A WebSocket was accepted, and the acceptance was checked. */
struct call_joined {
    /* The same for both ways (101, or 200 to an extended CONNECT): status 101, the server's fields without Upgrade and
     * Sec-WebSocket-Accept. Whoever answers an HTTP/1.1 client adds the Accept that belongs to its key: `accept`, or
     * upgrade_add_accept(). Borrowed for the call, as the bytes are. */
    const struct http_head *head;
    struct http_view accept; /* the server's, to the key that was in the request; empty: none was, or over HTTP/2 */
    struct conn *conn;       /* now the callee's, paused: a socket or a carried stream */
    const uint8_t *rest;
    size_t rest_bytes; /* what came behind the head */
};

struct call_ops {
    /* A connection is there and the head of the request is sent: the body may follow. Only with has_body. */
    void (*on_ready)(void *arg);
    /* The final answer's head (interim ones are not told); its fields are as the server sent them, with those of the
     * connection. Without a body, on_end follows at once. For a WebSocket: the server declined it. */
    void (*on_head)(void *arg, const struct http_head *head, bool has_body);
    /* Content, without chunks; borrowed. After call_pause() no more than what was read already still comes: at most
     * CALL_AHEAD_BYTES. */
    void (*on_data)(void *arg, const uint8_t *data, size_t len);
    void (*on_drain)(void *arg); /* call_is_full() has ended */
    /* Each of these is the last; the call is gone when it returns. on_end may come before the request's body is
     * complete: the server does not want the rest. */
    void (*on_end)(void *arg);
    void (*on_joined)(void *arg, const struct call_joined *j); /* only for a WebSocket */
    void (*on_failed)(void *arg, const struct call_failure *f);
};
#define CALL_AHEAD_BYTES (256u * 1024u)

enum call_websocket { CALL_PLAIN = 0, CALL_WEBSOCKET };

struct call_start {
    struct server *server; /* a reference is taken */
    /* As the server shall see it, but for what depends on the way: no Connection, Upgrade, Transfer-Encoding,
     * Content-Length; content_length says how long the body is, -1: not known. A WebSocket's head has method GET and
     * the client's Sec-WebSocket-* fields; if the client came without a Sec-WebSocket-Key (HTTP/2), the call makes one
     * where it is needed, and leaves it out where it is not. Copied. */
    const struct http_head *head;
    bool has_body;
    /* Sending it twice does no harm: an idempotent method, or the user knows better. Another one goes over a kept
     * connection only while that is hardly cold. */
    bool is_repeatable;
    enum call_websocket websocket;
    enum conf_over over; /* routes[].websocket.upstream; not looked at otherwise */
    /* Loop times. By the first the head of the answer must be there; 0: only the attempt's own deadlines count. From
     * the second on request_timeout is counted, over all attempts; 0: from now. */
    int64_t deadline_ms;
    int64_t begun_ms;
    const struct call_ops *ops;
    void *arg;
};
struct call *call_start(struct net *n, const struct call_start *o);

/* The body of the request, between on_ready and call_end_body(). All of it is taken; more only while it is not full.
 * The call may be gone when these return. Once the server has refused the request (an answer of 300 or more, or one
 * that ends the connection) the rest is taken and dropped, and call_is_full() stays true. */
void call_write(struct call *c, const uint8_t *data, size_t len);
void call_end_body(struct call *c);
bool call_is_full(const struct call *c);
/* The body of the answer. */
void call_pause(struct call *c);
void call_resume(struct call *c);
/* No callback after this. A connection in the middle of an answer cannot be kept. */
void call_cancel(struct call **cp);

/* Closes the idle connections to a server, and lets the busy ones end after what is under way on them: for a server
 * that was removed, drained or found down. Also the server's on_free. */
void call_forget_server(struct server *s);

#endif
