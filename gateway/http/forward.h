/* Heads on their way through the gateway: the client's request as the server shall see it, the server's answer as the
 * client shall see it (RFC 9110 section 7.6).
 *
 * From heads heads are made, for either version of HTTP: framing and connection fields (Connection, Upgrade,
 * Transfer-Encoding, Content-Length, Host) never stand in them; content_length, authority and the caller's knowledge of
 * a WebSocket say the same, and whoever writes the head puts it into words. End-to-end fields pass in order and in
 * their original case. Hop-by-hop fields, those that Connection names, Expect (the gateway answers it) and
 * Sec-WebSocket-Extensions (agreed on each side by itself) end here. What proxies say about the client
 * (X-Forwarded-*, Forwarded) is continued when the peer is trusted, and begun anew when it is not. */
#ifndef GATEWAY_HTTP_FORWARD_H
#define GATEWAY_HTTP_FORWARD_H

#include "conf/conf.h"
#include "gateway/http/head.h"
#include "gateway/http/texts.h"
#include "gateway/http/trace.h"

#define FORWARD_ID_BYTES 64u /* the longest X-Request-Id taken over from a trusted peer */

/* Text is borrowed as long as the head that is made. "" and NULL are the same where nothing else is said. */
struct forward {
    const char *client_ip; /* of the peer: numeric without brackets, or "unix" */
    bool is_trusted;       /* the peer is a trusted proxy */
    bool is_tls;           /* the client's connection */
    bool is_websocket;     /* Sec-WebSocket-Key, -Version and -Protocol pass, an extended CONNECT becomes a GET */

    /* The path: `strip_prefix` (decoded; it must match on a segment border, else nothing is stripped) comes off, then
     * the route's and the server's own prefix go before it. The result begins with "/"; the query stays. */
    const char *strip_prefix;
    const char *add_prefix;
    const char *server_prefix;

    enum conf_host_header host_policy;
    const char *upstream_host; /* host[:port] as it stands in a Host field; used by HOST_HEADER_UPSTREAM and when the
                                  request names no host */
    const char *literal_host;

    struct http_view request_id; /* see forward_request_id */
    const struct trace *trace;   /* NULL: traceparent and tracestate pass */
    const char *via;             /* the gateway's name in Via; none: no Via of its own */

    /* What the gateway itself says about the client (claims of a token, the subject of a certificate). Fields of these
     * names are taken from nobody else; one whose value has no data is dropped and not written. */
    const struct http_field *own;
    size_t own_count;
};

/* The id of this request: a trusted peer's own X-Request-Id when it is sane (1 to FORWARD_ID_BYTES letters, digits,
 * "-_.:"), else `fresh`. A view into one of the two. */
struct http_view forward_request_id(const struct http_head *request, bool is_trusted, const char *fresh);

/* Makes the head for the server: `to` looks into `from`, `t` and what `f` borrows. content_length is taken over (no
 * body: the caller sets -1 or 0 as it likes). False when there is no room in `to` or `t`: 431. */
bool forward_request(struct http_head *to, struct http_texts *t, const struct http_head *from, const struct forward *f);

struct forward_answer {
    bool is_joined;              /* a WebSocket was accepted: status 101, whatever it came over */
    struct http_view request_id; /* data NULL: none; added unless the server sent one */
    const char *server;          /* NULL: the server's own Server passes; "": none; else this one */
    const char *via;             /* as above; usually none */
    int64_t wall_ms;             /* now, for Date if the server sent none; 0: never add it */
};

/* Makes the head for the client. A 101 has Sec-WebSocket-Protocol; Sec-WebSocket-Accept and -Extensions are for
 * the exchange to add. content_length is taken over. False when there is no room: 502. */
bool forward_response(struct http_head *to, struct http_texts *t, const struct http_head *from,
                      const struct forward_answer *f);

#endif
