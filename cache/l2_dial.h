/* One attempt to connect to a Redis node: name, TCP or unix socket, TLS where there is a context for it. When a name
 * has several addresses and one refuses or cannot be reached, the next is tried within the same attempt. The deadline
 * is the caller's, who cancels. */
#ifndef CACHE_L2_DIAL_H
#define CACHE_L2_DIAL_H

#include "base/resolve.h"
#include "cache/l2_link.h"
#include "gateway/net/conn.h"

struct l2_dial;

/* Exactly one call, never before l2_dial_start() returns; the dial is gone when it returns. On success `conn` is the
 * callee's, which sets its owner before it returns; on failure it is NULL and `detail` may say more. */
typedef void l2_dial_fn(void *arg, enum err e, const char *detail, struct conn *conn);

/* `tls` (NULL: plain) and `server_name` are borrowed until the end of the dial. */
struct l2_dial *l2_dial_start(struct net *n, struct resolver *r, const struct l2_address *to, struct tls_ctx *tls,
                              const char *server_name, int64_t timeout_ms, l2_dial_fn *fn, void *arg);
void l2_dial_cancel(struct l2_dial **dp); /* no callback after this */

#endif
