/* The two halves of the admin server: pages in web.c, followed events in web_live.c. */
#ifndef GATEWAY_ADMIN_WEB_PRIV_H
#define GATEWAY_ADMIN_WEB_PRIV_H

#include "base/list.h"
#include "base/log.h"
#include "gateway/admin/web.h"

#define WEB_MAGIC      0x3eb5ad31u
#define WEB_CONN_MAGIC 0x3eb5c097u
#define HEAD_BYTES_MAX 1024u  /* of a response: all of it is ours */
#define PIECE_BYTES    16384u /* of a body, handed over each time the socket can take more */

#define LIVE_PATH     "/events"
#define ALERTS_PATH   "/alerts"
#define LIVE_PROTOCOL "tidegate.events"

struct lws;
struct lws_context;
struct lws_vhost;

enum web_live { LIVE_NONE = 0, LIVE_SSE, LIVE_WEBSOCKET };

struct web {
    uint32_t magic;
    struct loop *loop;
    const struct web_ops *ops;
    void *arg;
    struct web_limits limits;
    struct lws_context *context;
    struct lws_vhost *vhost;
    int listen_fd; /* -1: none */
    struct io listen_io;
    struct timer accept_retry;
    struct list conns;
    size_t conn_count;
    size_t busy_count; /* connections whose response is not complete */
    size_t live_count; /* connections that follow events */
    bool is_draining;
    struct log_limit refusal_log;
};

struct web_conn {
    uint32_t magic;
    struct web *web;
    struct list link; /* web->conns */
    int fd;           /* the library's; for reset and addresses */
    struct timer deadline;
    bool *was_destroyed; /* set while the library adopts the socket, to learn whether it gave up */
    bool is_loopback;    /* the address it came in on */
    /* the response in progress */
    bool is_busy;
    bool must_close; /* once the response is complete */
    struct strbuf body;
    size_t sent_bytes;
    /* of one that follows events: then none of the above but the deadline is of use, see web_live.c */
    enum web_live live;
    struct lws *wsi;
    uint64_t seen_seq;
    bool is_write_due; /* the library is to say when the socket takes more; until the deadline */
    bool is_beat_due;
};

/* Resets the connection; the library notices and closes it. */
void web_conn_cut(struct web_conn *c, const char *why);

/* ---- web_live.c ---- */

/* Whether the request for LIVE_PATH is one to follow, not for the list. */
bool live_is_asked(struct lws *wsi);
/* The number of the last event the client has seen, by header or query; false when it does not say. */
bool live_seen(struct lws *wsi, uint64_t *seq);
/* Begins to follow over the response to this request. Nonzero: the connection is to be closed. */
int live_begin_sse(struct web_conn *c, struct lws *wsi);
/* Whether the upgrade is one of our own pages' or of no page at all, and there is room. */
bool live_accepts(const struct web_conn *c, struct lws *wsi);
void live_begin_websocket(struct web_conn *c, struct lws *wsi);
/* The socket takes more. Nonzero: the connection is to be closed. */
int live_write(struct web_conn *c, struct lws *wsi);
/* Time is up: for a sign of life, or for the client to take what there is. */
void live_on_deadline(struct web_conn *c);
void live_end(struct web_conn *c);

#endif
