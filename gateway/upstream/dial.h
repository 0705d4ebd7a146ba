/* Making one connection to a server: connect, and TLS where its url says so.
 *
 * When a server has several addresses and one refuses or cannot be reached, the next is tried within the same attempt.
 * Who dials has a deadline of its own, which is never later than connect_timeout, and cancels then. */
#ifndef GATEWAY_UPSTREAM_DIAL_H
#define GATEWAY_UPSTREAM_DIAL_H

#include <stdint.h>

#include "gateway/net/conn.h"
#include "gateway/upstream/server.h"

struct dial;

struct dial_result {
    enum err error;     /* ERR_NONE: connected */
    bool is_resolved;   /* false: the server has no address */
    const char *detail; /* of the failure, "" when there is nothing to add; borrowed for the call */
    struct conn *conn;  /* of a success: now the callee's, which sets its owner before it returns */
    bool is_h2;         /* chosen by ALPN */
};
/* Exactly one call per dial that is not cancelled, never before dial_start() returns; the dial is gone when it returns.
 */
typedef void dial_fn(void *arg, const struct dial_result *r);

/* `offer` counts with TLS alone. Keeps a reference to `s`. */
struct dial *dial_start(struct net *n, struct server *s, enum tls_offer offer, dial_fn *fn, void *arg);
void dial_cancel(struct dial **dp); /* no callback after this */

#endif
