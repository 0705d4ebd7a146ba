/* How a field is said in HTTP/2: by what name, whether at all, and whether it may stand in the table that compresses
 * heads. Private to gateway/http/h2_*.c. */
#ifndef GATEWAY_HTTP_H2_FIELD_H
#define GATEWAY_HTTP_H2_FIELD_H

#include "gateway/http/head.h"

enum h2_manner {
    H2_SAID = 0,
    H2_SAID_APART, /* never in the table: a secret, or never the same twice */
    H2_UNSAID,     /* what HTTP/1.1 says about a connection, about framing, or to make it a WebSocket */
};

/* A name that is often seen, in lower case. */
struct h2_name {
    struct http_view text;
    enum h2_manner manner;
};

/* NULL: not one of those; it may be anything, and is said. */
const struct h2_name *h2_name_find(struct http_view name);

/* Whether HTTP/2 can carry it (RFC 9113 section 8.2.1, and RFC 9110 section 5.5). */
bool h2_value_is_sound(struct http_view value);

#endif
