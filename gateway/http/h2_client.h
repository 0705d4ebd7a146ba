/* The client's side of one HTTP/2 connection, to a server of a pool: many requests at a time, WebSockets among them
 * (RFC 8441) when the server announces that it takes them.
 *
 * Pure, as h2_server.h; and as strict, for servers may be hostile, too: what is wrong in an answer resets its stream,
 * floods end the session, pushes are not allowed. */
#ifndef GATEWAY_HTTP_H2_CLIENT_H
#define GATEWAY_HTTP_H2_CLIENT_H

#include "gateway/http/h2_stream.h"

struct h2_client_limits {
    uint32_t stream_count;            /* at most, whatever the server allows */
    size_t header_bytes;              /* of an answer's head: names, values and 32 bytes per field */
    uint32_t field_count;             /* at most HTTP_MAX_FIELDS */
    uint32_t stream_window_bytes;     /* unconsumed content of one answer */
    uint32_t connection_window_bytes; /* and of all; at least 65535. All streams' windows together, or those whom
                                         nobody reads hold up the others, who may be of another client */
    size_t queue_bytes;               /* of a request: h2_stream_is_full beyond it */
};
#define H2_CLIENT_LIMITS_DEFAULT                                                                                       \
    {                                                                                                                  \
        .stream_count = 128, .header_bytes = 65536, .field_count = HTTP_MAX_FIELDS, .stream_window_bytes = 256 * 1024, \
        .connection_window_bytes = 128 * 256 * 1024, .queue_bytes = 64 * 1024                                          \
    }

/* Callbacks to the owner; see h2_stream_ops for what they may do. */
struct h2_client_ops {
    /* The final answer's head; borrowed until it returns. `has_body`: on_data and on_end follow. The 2xx answer to an
     * extended CONNECT has a body: the tunnel. */
    void (*on_response)(void *arg, struct h2_stream *st, const struct http_head *head, bool has_body);
    /* An interim answer (1xx, never 101). May be NULL. */
    void (*on_informational)(void *arg, struct h2_stream *st, const struct http_head *head);
    /* The server's settings have come or changed: h2_client_serves_connect() and h2_client_can_request() may tell
     * something else now. */
    void (*on_settings)(void *arg);
    /* The server takes no new requests; those it will not answer are closed as unprocessed after this. The session is
     * over when its streams are. */
    void (*on_goaway)(void *arg, uint32_t code);
    void (*on_pong)(void *arg); /* the answer to h2_client_ping. May be NULL */
    /* As in h2_server_ops. */
    void (*on_output)(void *arg);
    struct h2_stream_ops stream;
};

struct h2_client;

/* `l` is copied, `ops` must stay. The first thing to do is to fetch its output. */
struct h2_client *h2_client_create(const struct h2_client_limits *l, const struct h2_client_ops *ops, void *arg,
                                   int64_t now_ms);

/* These are as their namesakes in h2_server.h. */
void h2_client_feed(struct h2_client *c, const uint8_t *data, size_t len, int64_t now_ms);
size_t h2_client_output(struct h2_client *c, uint8_t *buf, size_t cap_bytes);
bool h2_client_is_over(const struct h2_client *c);
const char *h2_client_failure(const struct h2_client *c);
uint32_t h2_client_stream_count(const struct h2_client *c);
/* on_close is called for each stream left (H2_CANCEL; unprocessed when the request never left). */
void h2_client_destroy(struct h2_client **cp);

/* Whether a request can be made now: neither side says goodbye, and fewer streams are open than both allow. */
bool h2_client_can_request(const struct h2_client *c);
bool h2_client_has_settings(const struct h2_client *c);    /* the server has spoken; before that nothing is known */
bool h2_client_serves_connect(const struct h2_client *c);  /* announced SETTINGS_ENABLE_CONNECT_PROTOCOL (RFC 8441) */
uint32_t h2_client_max_streams(const struct h2_client *c); /* the lesser of the server's limit and the own one */

/* Makes a request: method, authority, path and query of `head`, its `protocol` for an extended CONNECT, else its
 * content_length if there is a body, and its fields, except host and what belongs to an HTTP/1.1 connection; names
 * become lower case. `scheme` is "http" or "https". Without `has_body` the request is complete. `owner` is the
 * stream's. NULL when h2_client_can_request() says no, or for an extended CONNECT that the server has not announced. */
struct h2_stream *h2_client_request(struct h2_client *c, const struct http_head *head, const char *scheme,
                                    bool has_body, void *owner);

/* Asks for a sign of life; on_pong. Does nothing while one is under way. */
void h2_client_ping(struct h2_client *c);
/* Says goodbye: no more requests are made. The session is over when its streams are. */
void h2_client_goaway(struct h2_client *c);

#endif
