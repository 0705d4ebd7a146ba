/* Framing an answer. A length that was told binds: what is beyond it is not sent, and what falls short of it spoils the
 * answer, because the next one would be read as its rest. */
#include "gateway/front/h1_answer.h"

#include <string.h>

#include "base/assert.h"

/* An upstream's head is bounded where it is read, ours are small; this is for both and edits on top. */
#define HEAD_BYTES_MAX (1u << 20)

bool h1_answer_begin(struct h1_answer *a, const struct http_head *h, const struct h1_write *w, bool has_body)
{
    ASSERT(!a->is_begun);
    strbuf_init(&a->head, HEAD_BYTES_MAX);
    if (!h1_write_response(&a->head, h, w)) {
        strbuf_fini(&a->head);
        return false;
    }
    a->framing = (uint8_t)w->framing;
    a->left_bytes = has_body && w->framing == H1_FRAMING_LENGTH ? w->content_length : 0;
    a->is_begun = true;
    return true;
}

/* The head, if it waits, and up to three pieces of a body. */
static size_t put(struct h1_answer *a, struct conn *c, struct slice *pieces, size_t count)
{
    size_t sent = 0;
    pieces[0] = slice_borrow(a->head.data, a->head.len);
    for (size_t i = 0; i < count; i++)
        sent += pieces[i].len;
    if (sent > 0)
        conn_write_pieces(c, pieces, count);
    strbuf_fini(&a->head);
    return sent;
}

size_t h1_answer_body(struct h1_answer *a, struct conn *c, const uint8_t *data, size_t len)
{
    char size_line[H1_CHUNK_HEAD_BYTES];
    ASSERT(a->is_begun);
    if (a->framing == H1_FRAMING_LENGTH) {
        if (len > a->left_bytes) {
            a->is_spoilt = true;
            len = (size_t)a->left_bytes;
        }
        a->left_bytes -= len;
    }
    if (len == 0 || a->framing == H1_FRAMING_NONE)
        return 0;
    if (a->framing != H1_FRAMING_CHUNKED)
        return put(a, c, (struct slice[]){{0}, slice_borrow(data, len)}, 2);
    struct slice pieces[] = {{0},
                             slice_borrow(size_line, h1_write_chunk_head(size_line, len)),
                             slice_borrow(data, len),
                             slice_borrow(H1_CHUNK_END, strlen(H1_CHUNK_END))};
    return put(a, c, pieces, 4);
}

size_t h1_answer_end(struct h1_answer *a, struct conn *c)
{
    ASSERT(a->is_begun);
    if (a->left_bytes > 0)
        a->is_spoilt = true;
    const bool is_chunked = a->framing == H1_FRAMING_CHUNKED;
    struct slice pieces[] = {{0}, slice_borrow(H1_LAST_CHUNK, strlen(H1_LAST_CHUNK))};
    return put(a, c, pieces, is_chunked ? 2 : 1);
}

size_t h1_answer_flush(struct h1_answer *a, struct conn *c)
{
    return a->head.len > 0 ? put(a, c, (struct slice[1]){{0}}, 1) : 0;
}

void h1_answer_clear(struct h1_answer *a)
{
    strbuf_fini(&a->head);
    *a = (struct h1_answer){0};
}
