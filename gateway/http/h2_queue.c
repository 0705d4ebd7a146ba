/* A buffer that is moved to its front when its end is reached, and grows when that is not enough. A queue that stays
 * about as long as it is (back-pressure) so moves every byte once or twice. */
#include "gateway/http/h2_queue.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

#define QUEUE_MIN_BYTES 1024u

static void make_room(struct h2_queue *q, size_t len)
{
    if (q->begin + q->len + len <= q->cap_bytes)
        return;
    if (q->len + len > q->cap_bytes / 4 * 3) {
        size_t cap = q->cap_bytes > 0 ? q->cap_bytes * 2 : QUEUE_MIN_BYTES;
        if (cap < q->len + len)
            cap = q->len + len;
        q->data = mem_realloc(q->data, cap);
        q->cap_bytes = cap;
    }
    if (q->begin + q->len + len > q->cap_bytes) {
        memmove(q->data, q->data + q->begin, q->len);
        q->begin = 0;
    }
}

void h2_queue_add(struct h2_queue *q, const void *data, size_t len)
{
    if (len == 0)
        return;
    make_room(q, len);
    memcpy(q->data + q->begin + q->len, data, len);
    q->len += len;
}

void h2_queue_take(struct h2_queue *q, uint8_t *to, size_t len)
{
    ASSERT(len <= q->len);
    if (len > 0)
        memcpy(to, q->data + q->begin, len);
    q->begin += len;
    q->len -= len;
    if (q->len == 0)
        h2_queue_fini(q);
}

void h2_queue_fini(struct h2_queue *q)
{
    mem_free(q->data);
    *q = (struct h2_queue){.data = NULL};
}
