/* What lws_engine.c, probe_lws.c and canary_line.c share, and nobody else includes: the one header with libwebsockets'
 * types. */
#ifndef HEALTH_CHECKER_LWS_PRIV_H
#define HEALTH_CHECKER_LWS_PRIV_H

#include <libwebsockets.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/tls_lend.h"
#include "health/checker/lws_engine.h"
#include "health/checker/probe.h"

struct lws_host {
    uint32_t magic;
    struct lws_engine *engine;
    struct list link; /* in the engine */
    struct lws_vhost *vhost;
    struct tls_lend *tls; /* NULL: clear text */
    struct list conns;
};
#define LWS_HOST_MAGIC 0x1a5409c7u

/* What is asked, and whom; borrowed for the call. */
struct lws_question {
    struct addr addr;
    const char *host_header, *path;
    bool is_websocket;
};

struct lws_conn;
/* What happened on a connection, as libwebsockets tells it; nonzero closes the connection. */
typedef int lws_event_fn(void *arg, struct lws_conn *c, enum lws_callback_reasons reason, void *in, size_t len);

/* One connection of libwebsockets. It lives as long as libwebsockets' own object and so may outlive its probe. */
struct lws_conn {
    uint32_t magic;
    struct list link; /* in the host */
    struct lws *wsi;
    lws_event_fn *on_event;
    void *arg;     /* NULL once the probe has its answer or was cancelled */
    bool *is_gone; /* set when the connection goes, for one who looks on; NULL: nobody does */
};
#define LWS_CONN_MAGIC 0x1a5c0ae1u

/* Begins to connect. NULL when that failed at once, with the reason in *why (constant text). */
struct lws_conn *lws_conn_open(struct lws_host *h, const struct lws_question *q, lws_event_fn *on_event, void *arg,
                               const char **why);
/* The probe is over; a websocket is still closed as the protocol wants it. Allowed in callbacks. */
void lws_conn_leave(struct lws_conn **cp);
/* Cuts the connection now. Not allowed in callbacks of libwebsockets. */
void lws_conn_kill(struct lws_conn **cp);

/* The request is being written at *at: tells the server's log who asks. Returns 0. */
int lws_say_who_asks(unsigned char **at, size_t room);
/* Whether the piece of a message that was just received is its last. */
bool lws_is_whole(struct lws *wsi);

#endif
