/* One probe: a single question to a server, put as a client would put it, and its single answer.
 *
 * Kinds stand in a table (probe.c). A probe knows no time: whoever starts it also watches the clock and cancels it,
 * and asks first what it was waiting for. The answer comes at the end of a pass, never from inside a start or a
 * library's callback, so that its receiver may do what it likes. */
#ifndef HEALTH_CHECKER_PROBE_H
#define HEALTH_CHECKER_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "base/sock.h"
#include "conf/conf.h"
#include "health/verdict.h"

struct commands;
struct lws_host;
struct tls_ctx;

/* The other end of a canary. */
struct probe_peer {
    struct lws_host *host; /* NULL: there is none, or it cannot be asked now; outlives the probe */
    struct addr addr;
    const char *host_header, *path;
};

/* All a probe needs to know; borrowed for the call of probe_start, texts and check included. */
struct probe_plan {
    const struct conf_check *check; /* its type is not CHECK_NONE */
    struct addr addr;
    const char *server;    /* "pool/server" */
    struct lws_host *host; /* http, websocket: the target's place in libwebsockets; outlives the probe */
    const char *host_header;
    bool is_h2;           /* http: over HTTP/2 */
    struct tls_ctx *tls;  /* tls, and HTTP/2 over it; NULL: clear text */
    const char *tls_name; /* the name to insist on: the one configured, or the url's host */
    struct commands *commands;
    struct probe_peer peer; /* websocket, phoenix with a canary */
};

struct probe_result {
    enum err err;                     /* ERR_NONE: healthy */
    uint32_t latency_us;              /* from start to answer */
    int64_t certificate_ends_wall_ms; /* of the one the server showed; 0: not known */
    bool is_certificate_ending;       /* sooner than it should */
    bool is_void;                     /* a failure of ours, which says nothing about the server */
    bool is_http11;                   /* failed because the server chose HTTP/1.1 when HTTP/2 was offered */
    bool is_peer_lost;                /* a canary's: only the server itself was judged */
    char cause[VERDICT_CAUSE_BYTES];  /* "" when healthy, or what could not be found out */
};

/* `result` is borrowed for the call; the probe is gone when it returns. */
typedef void probe_done_fn(void *arg, const struct probe_result *result);

struct probe;
/* Never fails: what cannot even be started answers with its failure. */
struct probe *probe_start(struct loop *l, const struct probe_plan *plan, probe_done_fn *done, void *arg);
void probe_cancel(struct probe **pp); /* no answer after this */
/* Its time is up. True when it knows enough for an answer, which is on the way. */
bool probe_expire(struct probe *p);
bool probe_is_finished(const struct probe *p);        /* its answer is on the way */
const char *probe_waiting_for(const struct probe *p); /* "connection", "tls handshake", "response", "pong" */

/* ---- for the kinds ---- */

/* First member of each kind's own struct. */
struct probe {
    uint32_t magic;
    const struct probe_ops *ops;
    struct loop *loop;
    const char *waiting_for; /* constant text */
    int64_t started_us;
    bool is_finished;
    struct probe_result result;
    struct later answer;
    probe_done_fn *done;
    void *arg;
};
#define PROBE_MAGIC 0x9b0be17au

struct probe_ops {
    size_t size_bytes;                                             /* of the kind's own struct */
    void (*start)(struct probe *p, const struct probe_plan *plan); /* on zeroed memory behind the base */
    void (*stop)(struct probe *p);                                 /* lets go of everything it holds */
    void (*expire)(struct probe *p);                               /* the last chance to finish; NULL: none needed */
};
extern const struct probe_ops probe_tcp_ops;
extern const struct probe_ops probe_tls_ops;
extern const struct probe_ops probe_lws_ops;
extern const struct probe_ops probe_h2_ops;
extern const struct probe_ops probe_redis_ops;
extern const struct probe_ops probe_dns_ops;
extern const struct probe_ops probe_command_ops;

/* The answer is found. The first call counts; the kind's stop is called before the answer is given. `detail` (may be
 * NULL) is put behind the error's text. */
void probe_finish(struct probe *p, enum err e, const char *detail);

uint32_t probe_elapsed_us(const struct probe *p); /* since its start */

/* How long a certificate has to hold. */
struct probe_expiry {
    int64_t degraded_ms, down_ms;
};
struct probe_expiry probe_expiry_of(const struct conf_check *c);
/* Notes when the server's certificate ends (wall clock; 0: not known). False after finishing the probe, because that is
 * too soon. */
bool probe_certificate(struct probe *p, const struct probe_expiry *e, int64_t ends_wall_ms);

#endif
