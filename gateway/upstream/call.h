/* One request to one server, whatever it travels on: an HTTP/1.1 connection that was kept alive, a new one, or a stream
 * of an HTTP/2 connection that many requests share.
 *
 * A call has one attempt. Only a kept connection that turns out to be closed before it said anything is replaced, once
 * and silently, by a fresh one. Callbacks never come before call_start() returns. The body of the request is pushed in
 * (call_write) once on_ready has come and as long as call_is_full() does not say to wait; the body of the answer is
 * pushed out, no faster than the user wants (call_pause). Deadlines: connect_timeout and first_byte_timeout or
 * upgrade_timeout of the pool, then between_bytes_timeout, all under the user's own. */
#ifndef GATEWAY_UPSTREAM_CALL_H
#define GATEWAY_UPSTREAM_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/http/head.h"
#include "gateway/net/conn.h"
#include "gateway/upstream/server.h"

struct call;

/* How far it got; the name is for the log. */
enum call_phase { CALL_RESOLVE = 0, CALL_CONNECT, CALL_REQUEST, CALL_ANSWER, CALL_BODY };
const char *call_phase_text(enum call_phase p);

struct call_failure {
    enum err error; /* ERR_TIMEOUT, ERR_REFUSED, ERR_RESET, ERR_PROTOCOL, ... */
    enum call_phase phase;
    bool is_cut_short;   /* the caller's deadline came before the attempt's own */
    bool is_unprocessed; /* the server cannot have acted on the request: nothing was sent, or it said so (GOAWAY,
                            REFUSED_STREAM) */
    const char *detail;  /* "" when there is nothing to add; borrowed for the call */
};

/* A WebSocket was accepted (101, or 200 to an extended CONNECT). */
struct call_joined {
    const struct http_head *head; /* borrowed for the call, as the bytes are */
    struct conn *conn;            /* now the callee's, paused: a socket or a carried stream */
    const uint8_t *rest;          /* what came behind the head */
    size_t rest_bytes;
};

struct call_ops {
    /* A connection is there and the head of the request is sent: the body, if any, may follow. */
    void (*on_ready)(void *arg);
    /* The final answer's head (interim ones are not told). Without a body, on_end follows at once. */
    void (*on_head)(void *arg, const struct http_head *head, bool has_body);
    void (*on_data)(void *arg, const uint8_t *data, size_t len); /* content, without chunks; borrowed */
    void (*on_drain)(void *arg);                                 /* call_is_full() has ended */
    /* Each of these is the last; the call is gone when it returns. */
    void (*on_end)(void *arg);
    void (*on_joined)(void *arg, const struct call_joined *j); /* only for a WebSocket */
    void (*on_failed)(void *arg, const struct call_failure *f);
};

enum call_websocket { CALL_PLAIN = 0, CALL_WEBSOCKET };
enum call_over { CALL_OVER_AUTO = 0, CALL_OVER_H1, CALL_OVER_H2 }; /* routes[].websocket.upstream */

struct call_start {
    struct server *server; /* a reference is taken */
    /* As the server shall see it, but for what depends on the way: no Connection, Upgrade, Transfer-Encoding,
     * Content-Length; content_length says how long the body is, -1: not known. A WebSocket's head has method GET and
     * the client's Sec-WebSocket-* fields; if the client came without a Sec-WebSocket-Key (HTTP/2), the call makes one
     * where it is needed. Copied. */
    const struct http_head *head;
    bool has_body;
    enum call_websocket websocket;
    enum call_over over;
    int64_t deadline_ms; /* loop time: by then the head of the answer must be there */
    const struct call_ops *ops;
    void *arg;
};
struct call *call_start(struct net *n, const struct call_start *o);

/* The body of the request. All of it is taken; more only while it is not full. */
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
