/* What is lent need not be copied to be kept: an answer out of the cache waits where it is stored. The copied part is a
 * buffer that is moved to its front when its end is reached, and grows when that is not enough: a queue that stays
 * about as long as it is (back-pressure) so moves every byte once or twice. */
#include "gateway/http/h2_queue.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

#define QUEUE_MIN_BYTES 1024u

static size_t copied_bytes(const struct h2_queue *q)
{
    return q->len - q->lent.len;
}

/* ---- in ---- */

static bool lend(struct h2_queue *q, struct slice s)
{
    if (s.owner == NULL || copied_bytes(q) > 0)
        return false;
    if (q->lent.len == 0) {
        q->lent = slice_ref(s);
        return true;
    }
    if (q->lent.owner != s.owner || q->lent.data + q->lent.len != s.data)
        return false;
    q->lent.len += s.len;
    return true;
}

static void make_room(struct h2_queue *q, size_t len)
{
    const size_t kept = copied_bytes(q);
    if (q->begin + kept + len <= q->cap_bytes)
        return;
    if (kept + len > q->cap_bytes / 4 * 3) {
        size_t cap = q->cap_bytes > 0 ? q->cap_bytes * 2 : QUEUE_MIN_BYTES;
        if (cap < kept + len)
            cap = kept + len;
        q->copied = mem_realloc(q->copied, cap);
        q->cap_bytes = cap;
    }
    if (q->begin + kept + len > q->cap_bytes) {
        memmove(q->copied, q->copied + q->begin, kept);
        q->begin = 0;
    }
}

void h2_queue_add(struct h2_queue *q, struct slice s)
{
    if (s.len == 0)
        return;
    if (!lend(q, s)) {
        make_room(q, s.len);
        memcpy(q->copied + q->begin + copied_bytes(q), s.data, s.len);
    }
    q->len += s.len;
}

/* ---- out ---- */

static size_t take_lent(struct h2_queue *q, uint8_t *to, size_t most)
{
    const size_t len = q->lent.len < most ? q->lent.len : most;
    if (len == 0)
        return 0;
    memcpy(to, q->lent.data, len);
    q->lent.data += len;
    q->lent.len -= len;
    if (q->lent.len == 0)
        slice_release(&q->lent);
    return len;
}

void h2_queue_take(struct h2_queue *q, uint8_t *to, size_t len)
{
    ASSERT(len <= q->len);
    const size_t lent = take_lent(q, to, len);
    q->len -= len;
    if (len == lent)
        return;
    memcpy(to + lent, q->copied + q->begin, len - lent);
    q->begin += len - lent;
    if (q->len == 0)
        h2_queue_fini(q);
}

void h2_queue_fini(struct h2_queue *q)
{
    slice_release(&q->lent);
    mem_free(q->copied);
    *q = (struct h2_queue){.len = 0};
}
