/* An answer that the front gives by itself, before there is an exchange: a refusal of what is no proper request, or the
 * way to https. For either version of HTTP. */
#ifndef GATEWAY_FRONT_REPLY_H
#define GATEWAY_FRONT_REPLY_H

#include "base/buf.h"
#include "gateway/front/client.h"
#include "gateway/http/texts.h"

struct reply {
    struct http_head head;
    struct http_texts texts;
    struct strbuf body;
};

/* Builds it, counts it and writes its line of the access log (`conn` NULL: the exchange it ends has written one).
 * `request`: what was understood of it, NULL for nothing; borrowed as long as the reply. reply_fini() when it is sent.
 */
void reply_refuse(struct reply *r, struct client_home *h, const struct conn *conn, const struct http_head *request,
                  uint16_t status, const char *reason);
/* The same: 308 (301 to GET and HEAD, which old clients know) to the same target at https; 400 when the request does
 * not say which host it means. */
void reply_redirect(struct reply *r, struct client_home *h, const struct conn *conn, const struct http_head *request,
                    uint16_t port);
/* Whether a listener that redirects does so with this request: not when it asks for the gateway's own health. */
bool reply_redirects(const struct client_home *h, const struct http_head *request);
void reply_fini(struct reply *r);

#endif
