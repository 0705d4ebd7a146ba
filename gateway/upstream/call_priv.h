/* What call.c (life, ways, deadlines) and its two engines, call_h1.c and call_h2.c, share; nobody else includes this.
 */
#ifndef GATEWAY_UPSTREAM_CALL_PRIV_H
#define GATEWAY_UPSTREAM_CALL_PRIV_H

#include "base/buf.h"
#include "base/mem.h"
#include "gateway/http/h1_body.h"
#include "gateway/http/upgrade.h"
#include "gateway/upstream/call.h"
#include "gateway/upstream/dial.h"
#include "gateway/upstream/links.h"
#include "gateway/upstream/session.h"

#define CALL_MAGIC 0xca11ed07u

/* How a call travels. An engine has the call from its start() until call_*() below ends it or sends it elsewhere. */
struct call_engine {
    void (*start)(struct call *c);
    void (*write)(struct call *c, const uint8_t *data, size_t len);
    void (*end_body)(struct call *c);
    bool (*is_full)(const struct call *c);
    void (*pause)(struct call *c);
    void (*resume)(struct call *c);
    void (*release)(struct call *c); /* lets go of everything; nothing comes after it */
};
extern const struct call_engine call_h1;
extern const struct call_engine call_h2;

struct call_on_h1 {
    struct dial *dial;
    struct link link;    /* its conn is NULL while there is none */
    bool is_kept;        /* the connection was there before this call */
    bool has_heard;      /* a byte came */
    bool is_chunked;     /* the request's body */
    uint64_t left_bytes; /* of it, when it is not */
    struct strbuf in;    /* the beginning of a head that came in pieces */
    struct h1_scan scan;
    uint32_t interim_count;
    bool is_persistent; /* the server's word */
    struct h1_body body;
};

struct call_on_h2 {
    struct rider rider;
    size_t unconsumed_bytes; /* came while the user had paused */
};

struct call {
    uint32_t magic;
    enum call_phase phase;
    struct net *net;
    struct server *server;
    const struct call_ops *ops;
    void *arg;
    struct later reap; /* frees it when nobody can be on the stack any more */
    struct later news; /* on_ready or an early failure, which must not come from within call_start() */
    enum err early_error;
    const char *early_detail;

    /* the request */
    struct slice head_text;
    struct http_view key;             /* of a WebSocket: the client's, or ... */
    char made_key[UPGRADE_KEY_BYTES]; /* ... our own */
    bool has_body;
    bool is_repeatable;
    bool is_websocket;
    enum conf_over over; /* what the configuration wants for this request */

    /* how it stands */
    bool is_over; /* the user has heard the last of it */
    bool is_ready_told;
    bool is_body_ended; /* call_end_body() came, or there is no body */
    bool is_body_unwanted;
    bool is_body_begun; /* a byte of it was taken */
    struct strbuf body; /* what came of it while a connection that broke was being replaced */
    bool is_paused;
    bool is_replaced;   /* the one silent second try was made */
    bool is_drain_owed; /* call_is_full() was true when somebody looked */
    const struct call_engine *engine;
    struct call_on_h1 h1;
    struct call_on_h2 h2;

    /* deadlines, loop time */
    struct timer timer;
    int64_t timer_due_ms;
    int64_t deadline_ms; /* the user's, of the head; INT64_MAX: none */
    int64_t whole_ms;    /* request_timeout's end; INT64_MAX: none */
    int64_t since_ms;    /* the phase began */
    int64_t moved_ms;    /* a byte of a body moved */

    struct http_head head; /* the request's; last, for its fields are not zeroed */
};

/* Lets the timer run to the next deadline; after everything that may bring one nearer. */
void call_watch(struct call *c);
void call_set_phase(struct call *c, enum call_phase p);
static inline void call_moved(struct call *c)
{
    c->moved_ms = loop_now_ms(c->net->loop);
}
/* The head of the request has left. */
void call_sent_head(struct call *c);
/* There may be room again. */
void call_has_room(struct call *c);
/* Passes the answer's head on; false when the call is over after it. */
bool call_answer(struct call *c, const struct http_head *h, bool has_body, bool is_persistent);

/* Each ends the call for its user and lets go of everything. */
void call_finish(struct call *c);
void call_fail(struct call *c, enum err e, const char *detail, bool is_unprocessed);
/* The same at the end of the pass, before anything was sent: also from within call_start(). `detail` is static. */
void call_fail_later(struct call *c, enum err e, const char *detail);
void call_join(struct call *c, const struct http_head *h, struct conn *conn, const uint8_t *rest, size_t rest_bytes);

/* The way is closed, nothing of the body has left: begins again over HTTP/1.1, for the user as if nothing had been. */
void call_fall_back(struct call *c);
/* Begins again on a fresh connection, after a kept one broke before a byte of the answer came; false when that must not
 * be. `is_unprocessed`: the server has not acted on the request for certain. */
bool call_replace(struct call *c, bool is_unprocessed);

#endif
