/* What lws_engine.c and probe_lws.c share, and nobody else includes: the one header with libwebsockets' types. */
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

/* One connection of libwebsockets. It lives as long as libwebsockets' own object and so may outlive its probe. */
struct lws_conn {
    uint32_t magic;
    struct list link; /* in the host */
    struct lws *wsi;
    struct probe *probe; /* NULL once it has its answer or was cancelled */
    bool *is_gone;       /* set when the connection goes, for one who looks on; NULL: nobody does */
};
#define LWS_CONN_MAGIC 0x1a5c0ae1u

/* Begins to connect. NULL when that failed at once, with the reason in *why (constant text). */
struct lws_conn *lws_conn_open(struct lws_host *h, const struct probe_plan *plan, struct probe *p, const char **why);
/* The probe is over; a websocket is still closed as the protocol wants it. Allowed in callbacks. */
void lws_conn_leave(struct lws_conn **cp);
/* Cuts the connection now. Not allowed in callbacks of libwebsockets. */
void lws_conn_kill(struct lws_conn **cp);

/* What happened on the connection of a probe, as libwebsockets tells it; nonzero closes the connection. */
int probe_lws_event(struct probe *p, struct lws_conn *c, enum lws_callback_reasons reason, void *in, size_t len);

#endif
