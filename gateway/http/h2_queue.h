/* Bytes on their way out of a stream, oldest first, in one piece of memory; none while it is empty. Whoever fills it
 * keeps it bounded. */
#ifndef GATEWAY_HTTP_H2_QUEUE_H
#define GATEWAY_HTTP_H2_QUEUE_H

#include <stddef.h>
#include <stdint.h>

struct h2_queue {
    uint8_t *data;
    size_t begin;
    size_t len;
    size_t cap_bytes;
};

void h2_queue_add(struct h2_queue *q, const void *data, size_t len);
/* Moves `len` bytes (at most q->len) to `to`. */
void h2_queue_take(struct h2_queue *q, uint8_t *to, size_t len);
void h2_queue_fini(struct h2_queue *q);

#endif
