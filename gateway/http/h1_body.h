/* Where the body of an HTTP/1.1 message ends, and what its content is (RFC 9112 sections 6 and 7).
 *
 * Incremental and without memory: bytes go in as they come, runs of content come out as pointers into them. Chunk
 * extensions and trailers are read over, and bounded. To pass a body on as it is framed, ignore the content and
 * send the bytes that were used. */
#ifndef GATEWAY_HTTP_H1_BODY_H
#define GATEWAY_HTTP_H1_BODY_H

#include "gateway/http/h1.h"

enum h1_body_kind {
    H1_BODY_NONE = 0,
    H1_BODY_LENGTH,
    H1_BODY_CHUNKED,
    H1_BODY_UNTIL_CLOSE, /* responses only */
};

#define H1_BODY_EXTENSION_BYTES 4096u /* of all chunk extensions together */
#define H1_BODY_TRAILER_BYTES   8192u

struct h1_body {
    enum h1_body_kind kind;
    uint8_t step;             /* inside a chunked body */
    uint8_t digit_count;      /* of the chunk size being read */
    uint32_t extra_bytes;     /* extensions and trailers so far */
    uint64_t left_bytes;      /* of the content, or of this chunk */
    const char *error_reason; /* after H1_BAD, static */
};

void h1_body_init_request(struct h1_body *b, const struct http_head *h);
/* `is_answer_to_head`: the request was HEAD, so there is no body whatever the fields say. */
void h1_body_init_response(struct h1_body *b, const struct http_head *h, bool is_answer_to_head);

/* Looks at up to `len` bytes. *used: how many belong to the body; *content: the first run of content among them (may
 * be empty). H1_MORE: go on with the bytes after *used (when *used < len) or with new ones. H1_DONE: the body
 * ends after *used. A body until close never gets there: it is done at end of stream, see h1_body_may_end. */
enum h1_result h1_body_feed(struct h1_body *b, const uint8_t *data, size_t len, size_t *used,
                            struct http_view *content);
/* Whether the end of the stream, now, is a proper end of this body. */
bool h1_body_may_end(const struct h1_body *b);

#endif
