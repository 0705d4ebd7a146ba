/* A server's answer on its way to the client: the body passes as it is framed, no faster than the client reads. */
#ifndef GATEWAY_EXCHANGE_PASS_H
#define GATEWAY_EXCHANGE_PASS_H

#include <stdbool.h>

#include "gateway/http/h1_body.h"
#include "gateway/net/conn.h"

struct pass;

/* The body ended (complete), or broke off, or took longer than PASS_LIMIT_MS. The server's connection is closed. */
typedef void pass_fn(void *arg, bool is_complete);
#define PASS_LIMIT_MS 30000

/* Takes `server`; `client` is borrowed, and the head was written to it already. `rest`: body bytes read with the head.
 * The callback may come before this returns: *pp is set first, and not touched after it. */
void pass_start(struct net *n, struct conn *client, struct conn *server, const struct h1_body *body,
                const uint8_t *rest, size_t rest_bytes, pass_fn *fn, void *arg, struct pass **pp);
/* Called by the owner of the client's connection when it has drained. */
void pass_client_drained(struct pass *p);
void pass_cancel(struct pass **pp); /* no callback after this */

#endif
