/* One listening socket: accepts in batches, rests while descriptors have run out. */
#ifndef GATEWAY_NET_LISTENER_H
#define GATEWAY_NET_LISTENER_H

#include "base/loop.h"
#include "base/sock.h"
#include "gateway/net/conn.h"

struct listener;

/* A client socket has come in; `fd` now belongs to the callee. */
typedef void listener_accept_fn(void *arg, int fd, const struct addr *peer);

/* Takes `fd`, a listening socket bound to `address` (copied; the name under which it is known). Accepts at once. */
struct listener *listener_create(struct net *n, int fd, const char *address, listener_accept_fn *fn, void *arg);
/* Accepts those who wait in the queue, who would be reset otherwise, and closes the socket. */
void listener_destroy(struct listener **lp);
const char *listener_address(const struct listener *l);

#endif
