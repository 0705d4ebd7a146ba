/* What is known about fields by their names: which of them may pass a proxy, and who may say them.
 *
 * Servers that build environment variables of names cannot tell "_" from "-". What a field must not do for safety, one
 * whose name only resembles it must not do either. */
#ifndef GATEWAY_HTTP_NAMES_H
#define GATEWAY_HTTP_NAMES_H

#include "gateway/http/view.h"

enum http_trait {
    /* Ends with the connection (RFC 9110 section 7.6.1), frames a message or names its target; is asked of the next hop
     * alone (Expect, Proxy-*); tells of trailers, which are dropped; or never meant anything good ("Proxy":
     * CVE-2016-5385). */
    HTTP_ENDS_HERE = 1,
    HTTP_CLAIM = 2,      /* about the client, which only a proxy may make */
    HTTP_KEPT = 4,       /* end-to-end whatever Connection says */
    HTTP_REWRITTEN = 8,  /* for the server */
    HTTP_HANDSHAKE = 16, /* of a WebSocket, and for the server */
};

/* The traits of a name, 0 for most. One that only resembles a known name has HTTP_ENDS_HERE and HTTP_CLAIM of it. */
unsigned http_traits(struct http_view name);

/* Whether both are the same to a server that cannot tell "_" from "-". */
bool http_names_resemble(struct http_view a, struct http_view b);

#endif
