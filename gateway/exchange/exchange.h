/* An exchange: one request from its head to its end, as a walk through a table of steps (exchange.c). It ends in
 * exactly one of two ways: the client was answered, or its connection became one side of a tunnel. One access-log line
 * either way (a tunnel's is written when it closes). */
#ifndef GATEWAY_EXCHANGE_EXCHANGE_H
#define GATEWAY_EXCHANGE_EXCHANGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slots.h"
#include "conf/conf.h"
#include "gateway/http/h1.h"
#include "gateway/net/conn.h"
#include "gateway/realtime/tunnel.h"
#include "gateway/upstream/pool.h"

/* What all exchanges of a process share; set at birth, but for `conf`. */
struct exchange_env {
    struct net *net;
    struct pool_set *pools;
    struct tunnel_set *tunnels;
    const struct slots *slots;
    const struct conf *conf; /* the newest; an exchange keeps a reference to the one it began with */
    uint64_t id_seed;        /* random: makes the request ids of this process its own */
    uint64_t id_count;
    /* Writes the text for the public health path, returns the status. */
    int (*health)(void *arg, struct strbuf *out);
    void *health_arg;
    struct log_limit failure_log; /* failed attempts are the peers' doing */
};

/* Back to the owner of the client's connection. */
struct exchange_ops {
    /* The answer is written. Unless `keep_alive`, no other request may follow on the connection. */
    void (*on_answered)(void *arg, bool keep_alive);
    /* The connection is about to belong to a tunnel. *early: bytes behind the request's head that were read already;
     * borrowed until this pass ends. The owner forgets the connection. */
    void (*on_taken)(void *arg, struct slice *early);
};

struct exchange;

/* Begins with a request whose head (head_bytes long, at `head_data`) has parsed well; it is copied. The connection
 * stays the owner's and is not to be read until on_answered. Callbacks may come before this returns: *ep is set first,
 * and NULL once the exchange is over. */
void exchange_start(struct exchange_env *env, struct conn *client, const uint8_t *head_data, size_t head_bytes,
                    const struct h1_limits *limits, const struct exchange_ops *ops, void *arg, struct exchange **ep);
/* The client's connection has drained (conn_ops.on_drain). */
void exchange_client_drained(struct exchange *x);
/* Whether a server's answer is on its way to the client: it may have finished sending and still want to read that. */
bool exchange_is_answering(const struct exchange *x);
/* The client has gone: gives up whatever is under way; no callback after this. */
void exchange_cancel(struct exchange **ep);

#endif
