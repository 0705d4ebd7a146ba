/* Edits of a route to the fields of a request or an answer: remove, set, add, in this order.
 *
 * Values may hold {client_ip}, {host}, {scheme}, {request_id}, {route} and {trace_id}; other braces stand for
 * themselves. What frames a message or belongs to the connection was refused when the configuration was read. */
#ifndef GATEWAY_HTTP_EDIT_H
#define GATEWAY_HTTP_EDIT_H

#include "conf/conf.h"
#include "gateway/http/head.h"
#include "gateway/http/texts.h"

/* What the names in braces stand for; data NULL: nothing. */
struct edit_values {
    struct http_view client_ip;
    struct http_view host;
    struct http_view scheme;
    struct http_view request_id;
    struct http_view route;
    struct http_view trace_id;
};

/* `set` replaces all fields of that name by one, where the first of them stood, or adds it; `add` adds without looking.
 * `h` may look into `e` and `t` afterwards. False when there is no room in `h` or `t`. */
bool edit_apply(struct http_head *h, struct http_texts *t, const struct conf_edits *e, const struct edit_values *v);

#endif
