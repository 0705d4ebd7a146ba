/* A WebSocket's request, kept as long as its session: it can be made again for another server when the exchange that
 * had it is long gone (gateway/realtime/seek.h). One block of memory, about as large as the client's head was.
 *
 * What belongs to the request stays as it was: the client's fields, its addresses, request id, trace, certificate. What
 * belongs to the configuration (prefixes, edits, names of fields made of claims) is that of the moment. */
#ifndef GATEWAY_EXCHANGE_AGAIN_H
#define GATEWAY_EXCHANGE_AGAIN_H

#include "gateway/exchange/outgoing.h"
#include "gateway/realtime/seek.h"

struct again;

/* Copies what `o` shows; takes a reference to the claims of its verdict. `subprotocol` is what the first server chose
 * (data NULL: nothing): another one must choose the same. */
struct again *again_create(const struct outgoing *o, struct http_view subprotocol);

/* With a struct again as `origin`. */
extern const struct origin_ops again_ops;

#endif
