/* An exchange: one request from its head to its end, as a walk through a table of steps (exchange.c). It ends in
 * exactly one of two ways: the client was answered, or its connection became one side of a tunnel. One access-log line
 * either way (a tunnel's is written when it closes). Whether the client speaks HTTP/1.1 or HTTP/2 is not known here. */
#ifndef GATEWAY_EXCHANGE_EXCHANGE_H
#define GATEWAY_EXCHANGE_EXCHANGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slots.h"
#include "cache/cache.h"
#include "conf/conf.h"
#include "gateway/http/access_log.h"
#include "gateway/http/head.h"
#include "gateway/net/conn.h"
#include "gateway/realtime/tunnel.h"
#include "gateway/rules/rules.h"
#include "gateway/upstream/pool.h"

/* Exchanges whose memory is kept, some 7 KB each. */
#define EXCHANGE_SPARES 32u

/* What all exchanges of a process share; set at birth, but for `conf`. */
struct exchange_env {
    struct net *net;
    struct pool_set *pools;
    struct tunnel_set *tunnels;
    const struct slots *slots;
    struct rules *rules;
    struct cache *cache;
    struct list fetches; /* the cache's own requests: gateway/exchange/fetch.h */
    uint32_t fetch_count;
    size_t collected_bytes;                  /* of bodies, by all of these */
    struct strbuf key;                       /* scratch: the key of the request that is being looked up */
    struct exchange *spare[EXCHANGE_SPARES]; /* the memory of some that have ended, for the next */
    uint32_t spare_count;
    struct access_log *access;
    const struct conf *conf; /* the newest; an exchange keeps a reference to the one it began with */
    uint64_t id_seed;        /* random: makes the request ids of this process its own */
    uint64_t id_count;
    uint8_t random[1000]; /* for traces, drawn from the system in one go; used from the end */
    size_t random_left;
    /* Writes the text for the public health path, returns the status. */
    int (*health)(void *arg, struct strbuf *out);
    void *health_arg;
    struct log_limit failure_log; /* failed attempts are the peers' doing */
};

/* The client's side of an exchange, implemented by the front: a request on an HTTP/1.1 connection, or a stream of
 * HTTP/2. Every exchange ends with exactly one of finish, break_off and take, unless it was cancelled; after it the
 * exchange is gone. */
struct requester_ops {
    /* The head of the answer, without framing fields; content_length says how long the body is, -1: not known. Without
     * a body (HEAD, 204, 304, nothing to say) finish follows at once; content_length is then still what the head is to
     * say, -1: nothing. */
    void (*send_head)(void *arg, const struct http_head *answer, bool has_body);
    /* `piece` is borrowed; who keeps it takes a reference, if it has an owner, or copies it. */
    void (*send_body)(void *arg, struct slice piece);
    bool (*is_full)(void *arg);   /* then wait for exchange_client_drained() */
    void (*finish)(void *arg);    /* all was said */
    void (*break_off)(void *arg); /* the answer, begun or not, cannot be completed: the client must notice */
    /* Let the body of the request come (exchange_body), after 100 (Continue) if that is waited for; or make it wait. */
    void (*want_body)(void *arg, bool is_wanted);
    /* The WebSocket is accepted with this head (status 101 and its fields, Sec-WebSocket-Accept among them over
     * HTTP/1.1; over HTTP/2 sent as 200): hands over the connection, paused. *early: bytes behind the request
     * that were read already; borrowed until this pass ends. */
    struct conn *(*take)(void *arg, const struct http_head *answer, struct slice *early);
};

struct exchange_start {
    const struct requester_ops *ops;
    void *arg;
    struct conn *wire; /* the connection: who the client is, and its TLS; borrowed while the exchange lasts */
    const struct http_head *head; /* parsed well; copied. An extended CONNECT to websocket comes as it is */
    bool has_body;
    int64_t begun_ms; /* loop time at which the first byte of the head came */
};

struct exchange;

/* Readies what exchanges themselves keep in the environment, and gives it back when all are over. */
void exchange_env_init(struct exchange_env *env);
void exchange_env_fini(struct exchange_env *env);

/* Callbacks may come before this returns: *ep is set first, and NULL once the exchange is over. */
void exchange_start(struct exchange_env *env, const struct exchange_start *o, struct exchange **ep);
/* The body of the request; only while it is wanted. */
void exchange_body(struct exchange *x, const uint8_t *data, size_t len);
void exchange_body_end(struct exchange *x);
/* The client has room again. */
void exchange_client_drained(struct exchange *x);
/* Whether an answer is on its way: the client may have finished sending and still want to read that. */
bool exchange_is_answering(const struct exchange *x);
/* The client has gone, or broke the rules (`status` for the log, 499: gone): gives up whatever is under way; no
 * callback after this. */
void exchange_cancel(struct exchange **ep, uint16_t status);

#endif
