/* What client_h2.c (the connection) and h2_request.c (a stream of it) share; nobody else includes this. */
#ifndef GATEWAY_FRONT_CLIENT_H2_PRIV_H
#define GATEWAY_FRONT_CLIENT_H2_PRIV_H

#include "gateway/front/client.h"
#include "gateway/front/stall.h"
#include "gateway/http/h2_server.h"

#define CLIENT_H2_MAGIC 0xc11e4702u

/* How long a client may take to end its side of a stream on which all was said. */
#define ENDING_MS 1000

struct client_h2 {
    uint32_t magic;
    bool had_request : 1;
    bool is_leaving : 1;    /* goodbye was said, though new requests may be on their way */
    bool is_last : 1;       /* goodbye was said for good */
    bool is_closing : 1;    /* nothing more is written; the session is gone */
    bool has_work : 1;      /* some request waits for the end of the pass */
    uint16_t redirect_port; /* of the door */
    struct client client;
    struct conn *conn;
    struct h2_server *session;
    struct list requests;   /* struct h2_request: over ones stay until the end of the pass */
    uint32_t request_count; /* under way, tunnels included */
    uint32_t tunnel_count;
    uint32_t ending_count; /* for which only the client's end is awaited */
    struct timer timer;
    int64_t due_ms;  /* of the timer */
    int64_t idle_ms; /* since when there is no request */
    int64_t leaving_ms;
    struct later work; /* output, and what must not be done inside the callbacks of others */
    struct stall stall;
};

/* ---- client_h2.c ---- */
/* A request has come, is over, or has become a tunnel: other deadlines may hold. */
void client_h2_changed(struct client_h2 *c);

/* ---- h2_request.c ---- */
struct h2_request;

/* Serves the request that came on `st`. */
void h2_request_begin(struct client_h2 *c, struct h2_stream *st, const struct http_head *head, bool has_body);
/* Answers a request that the session refuses. */
void h2_request_refuse(struct client_h2 *c, struct h2_stream *st, const struct http_head *head);

/* What happens on the stream. */
void h2_request_data(struct h2_request *r, const uint8_t *data, size_t len);
void h2_request_end(struct h2_request *r);
void h2_request_writable(struct h2_request *r);
void h2_request_closed(struct h2_request *r, uint32_t code);

/* For all requests of a connection. */
void h2_requests_work(struct client_h2 *c);    /* the end of a pass */
void h2_requests_drained(struct client_h2 *c); /* the connection has room again */
void h2_requests_look(struct client_h2 *c);    /* at their deadlines */
void h2_requests_break(struct client_h2 *c);   /* the connection is about to go */

#endif
