/* Heads on their way through the gateway: the client's request as the server shall see it, the server's answer as the
 * client shall see it (RFC 9110 section 7.6).
 *
 * End-to-end fields pass in order and in their original case, Sec-WebSocket-Key included, so that the server's Accept
 * can go back untouched. Hop-by-hop fields, those that Connection names, and Sec-WebSocket-Extensions (declined: the
 * relay looks at frames without reserved bits) end here. What proxies say about the client (X-Forwarded-*, Forwarded)
 * is continued when the peer is trusted, and begun anew when it is not. */
#ifndef GATEWAY_HTTP_FORWARD_H
#define GATEWAY_HTTP_FORWARD_H

#include "base/buf.h"
#include "gateway/http/h1.h"

enum forward_host {
    FORWARD_HOST_CLIENT = 0, /* Host as the client sent it */
    FORWARD_HOST_UPSTREAM,   /* Host of the server's url */
};

#define FORWARD_ID_BYTES 64u /* the longest X-Request-Id taken over from a trusted peer */

struct forward {
    const char *client_ip; /* of the peer: numeric without brackets, or "unix" */
    bool is_trusted;       /* the peer is a trusted proxy */
    bool is_tls;           /* the client's connection */
    const char *prefix;    /* "" or "/prefix": goes before the path */
    enum forward_host host_policy;
    const char *upstream_host;   /* host[:port] as it stands in a Host field; used by FORWARD_HOST_UPSTREAM and when
                                    the request names no host */
    struct http_view request_id; /* see forward_request_id */
};

/* The id of this request: a trusted peer's own X-Request-Id when it is sane (1 to FORWARD_ID_BYTES letters, digits,
 * "-_.:"), else `fresh`. A view into one of the two. */
struct http_view forward_request_id(const struct http_head *request, bool is_trusted, const char *fresh);

/* Adds the head for the server to `out`. An upgrade stays one; any other request goes with Connection: keep-alive left
 * to HTTP/1.1's default, its framing fields kept. Look at out->failed afterwards. */
void forward_request(struct strbuf *out, const struct http_head *request, const struct forward *f);

/* Adds the server's head for the client to `out`. A 101 keeps its upgrade. Framing fields stay as they are: the body
 * follows byte for byte, so `keep_alive` must be false for a body that ends with the connection. False adds Connection:
 * close to final answers. `request_id` (data NULL: none) is added unless the server sent one. Look at out->failed
 * afterwards. */
void forward_response(struct strbuf *out, const struct http_head *response, bool keep_alive,
                      struct http_view request_id);

#endif
