/* Bytes on their way out of a stream, oldest first: of somebody else's block, which is kept by reference, and then
 * copied ones in one piece of memory. Neither while it is empty. Whoever fills it keeps it bounded. */
#ifndef GATEWAY_HTTP_H2_QUEUE_H
#define GATEWAY_HTTP_H2_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct h2_queue {
    size_t len; /* of all */
    struct slice lent;
    uint8_t *copied;
    size_t begin; /* of what is left of the copied */
    size_t cap_bytes;
};

/* `s` is borrowed. It is copied, unless it has an owner and comes first, or goes on where what came first ends. */
void h2_queue_add(struct h2_queue *q, struct slice s);
/* Moves `len` bytes (at most q->len) to `to`. */
void h2_queue_take(struct h2_queue *q, uint8_t *to, size_t len);
void h2_queue_fini(struct h2_queue *q);

#endif
