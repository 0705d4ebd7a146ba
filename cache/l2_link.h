/* One connection to one Redis node: kept up, logged in, pipelined.
 *
 * Connects (TCP, unix socket, TLS: gateway/net carries the bytes, so TLS needs nothing of hiredis), logs in (AUTH,
 * SELECT, PING) and says so; when it is lost it comes back by itself, after 50 ms, then doubling up to 5 s, with
 * jitter. Commands of one pass of the loop go out in one write; replies are matched in order.
 *
 * Every call has a deadline. One that is late is answered with ERR_TIMEOUT at once, but its place in the pipeline stays
 * until the reply comes. A node that owes a reply for L2_HANG_TIMEOUTS times its timeout hangs: the connection is
 * dropped.
 *
 * The circuit: after `circuit_failures` calls in a row that were late, lost, or answered by "not now" (L2_FAULT_ILL) it
 * opens, and no call is taken for `circuit_open_ms`; then a PING finds out. */
#ifndef CACHE_L2_LINK_H
#define CACHE_L2_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/resolve.h"
#include "cache/l2_wire.h"
#include "gateway/net/conn.h"

#define L2_HANG_TIMEOUTS  8
#define L2_OWED_CALLS_MAX 4096u       /* replies a node may owe before no further call is taken */
#define L2_OWED_BYTES_MAX (64u << 20) /* unsent bytes, likewise */
#define L2_REPLIES_MAX    4u          /* of one call */
#define L2_HOST_BYTES     256u

struct l2_address {
    bool is_unix;
    uint16_t port;
    char host[L2_HOST_BYTES]; /* name, IP without brackets, or the path of the socket */
};
/* "host:port", "[v6]:port", or "v6:port" as Redis writes it in MOVED; false when it is none of these. */
bool l2_address_parse(struct l2_address *a, const char *text, size_t len);
bool l2_address_equal(const struct l2_address *a, const struct l2_address *b);

/* Texts are borrowed for the life of the link. */
struct l2_link_settings {
    const char *what; /* "redis", "redis sentinel": how log lines begin */
    struct l2_address address;
    struct tls_ctx *tls;         /* NULL: plain; a reference is taken */
    const char *tls_server_name; /* "" = the address' host */
    const char *username;        /* "" = none */
    const char *password;        /* "" = no AUTH */
    uint32_t database;           /* 0: no SELECT */
    int64_t timeout_ms;          /* of the PING that closes the circuit */
    int64_t connect_timeout_ms;  /* name, TCP, TLS and login together */
    uint32_t circuit_failures;   /* 0: never opens */
    int64_t circuit_open_ms;
    size_t reply_bytes_max;
};

struct l2_link;
struct l2_call;

struct l2_link_ops {            /* any may be NULL */
    void (*on_up)(void *arg);   /* logged in, also again: calls are taken */
    void (*on_down)(void *arg); /* lost, or the circuit opened; a circuit that closes is on_up. Unanswered calls come
                                   first */
};

/* What all links together did, for l2_counts(). */
struct l2_link_counts {
    uint64_t command_count, failure_count, timeout_count, time_us;
};

/* Begins connecting; no callback before it returns. `n`, `r`, `counts` borrowed for life. */
struct l2_link *l2_link_create(struct net *n, struct resolver *r, const struct l2_link_settings *s,
                               struct l2_link_counts *counts, const struct l2_link_ops *ops, void *arg);
/* Unanswered calls are answered with ERR_CANCELLED. May be called from any callback, also the link's own. */
void l2_link_destroy(struct l2_link **kp);

/* Connected, logged in, circuit closed: a call would be taken. */
bool l2_link_is_up(const struct l2_link *k);
bool l2_link_is_connected(const struct l2_link *k);
bool l2_link_is_circuit_open(const struct l2_link *k);
int64_t l2_link_up_since_ms(const struct l2_link *k); /* when it was logged in last, 0: never */
int64_t l2_link_lost_ms(const struct l2_link *k);     /* when it was lost last, 0: never */
const struct l2_address *l2_link_address(const struct l2_link *k);
/* Elsewhere from now on (Sentinel); dropped and connected again at once when the address differs. */
void l2_link_move(struct l2_link *k, const struct l2_address *to);
/* The connection is of no use: calls are answered with `e`, and it is connected anew after the back-off. */
void l2_link_drop(struct l2_link *k, enum err e, const char *why);

/* Exactly one call: ERR_NONE with `count` replies (borrowed for the call; an error reply is a reply), or what happened
 * and none: ERR_TIMEOUT, ERR_CANCELLED (link destroyed), or why the connection was lost. */
typedef void l2_reply_fn(void *arg, enum err e, struct l2_reply *const *replies, size_t count);

/* Sends `count` commands (1 to L2_REPLIES_MAX; copied) as one call with one deadline. Never calls back before it
 * returns. NULL when not up, or when the node owes too much already. */
struct l2_call *l2_link_send(struct l2_link *k, const struct l2_command *commands, size_t count, int64_t timeout_ms,
                             l2_reply_fn *fn, void *arg);
/* Nobody waits any more: no callback. */
void l2_link_forget(struct l2_call **cp);

#endif
