/* A connection carried by another: one stream of an HTTP/2 session that behaves as a struct conn of its own, so that a
 * tunnel runs over it without knowing.
 *
 * The carrier pushes what arrived on the stream and pulls what is to be sent; flow control is the carrier's: it gives
 * the peer room again only for what on_taken has reported. What arrives while the owner has paused is held, and that is
 * never more than the window the peer was given. */
#ifndef GATEWAY_NET_CARRIED_H
#define GATEWAY_NET_CARRIED_H

#include "gateway/net/conn.h"

/* Called on the carrier. None of these may close the connection. */
struct carrier_ops {
    void (*on_output)(void *carrier);             /* there is something to pull: bytes, or their end */
    void (*on_taken)(void *carrier, size_t len);  /* the owner has consumed that many bytes */
    void (*on_closed)(void *carrier, bool reset); /* the owner closed it: the pointer is dead */
};

/* `wire` is the connection below: address and TLS are its own. It must outlive the carried one. */
struct conn *carried_create(struct conn *wire, const struct carrier_ops *carrier_ops, void *carrier,
                            const struct conn_ops *ops, void *arg);

/* What arrived; the owner's callbacks come from here, so the connection may be gone when these return. */
void carried_push(struct conn *c, const uint8_t *data, size_t len);
void carried_push_eof(struct conn *c);          /* the peer ended the stream */
void carried_break(struct conn *c, enum err e); /* reset, or the wire is lost: on_close */

/* Moves up to `cap` bytes of the output to `buf`; *is_end: the write side was shut and these are the last. Returns how
 * many; 0 without *is_end: none for now, on_output follows. */
size_t carried_pull(struct conn *c, void *buf, size_t cap, bool *is_end);

#endif
