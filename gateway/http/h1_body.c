/* Body framing. A chunked body is a small machine with one step per place in the grammar of RFC 9112 section 7.1;
 * the two steps that skip text (extensions, trailer lines) count what they skip against a bound. */
#include "gateway/http/h1_body.h"

#include "base/assert.h"

/* Hexadecimal digits of a chunk size that cannot overflow 63 bits. */
#define SIZE_DIGITS 15u

enum chunk_step {
    STEP_SIZE = 0,  /* hexadecimal digits */
    STEP_SPACE,     /* behind them: some senders pad the size */
    STEP_EXTENSION, /* up to the end of the size line */
    STEP_SIZE_LF,
    STEP_DATA,
    STEP_DATA_CR, /* the line end behind the data */
    STEP_DATA_LF,
    STEP_TRAILER_BEGIN, /* first byte of a trailer line, or of the last, empty one */
    STEP_TRAILER,
    STEP_TRAILER_LF,
    STEP_LAST_LF,
    STEP_DONE,
};

static enum h1_result refuse(struct h1_body *b, const char *reason)
{
    b->error_reason = reason;
    return H1_BAD;
}

void h1_body_init_request(struct h1_body *b, const struct http_head *h)
{
    *b = (struct h1_body){.kind = H1_BODY_NONE};
    if (h->is_chunked) {
        b->kind = H1_BODY_CHUNKED;
    } else if (h->content_length > 0) {
        b->kind = H1_BODY_LENGTH;
        b->left_bytes = (uint64_t)h->content_length;
    }
}

/* RFC 9112 section 6.3. */
void h1_body_init_response(struct h1_body *b, const struct http_head *h, bool is_answer_to_head)
{
    const bool never = is_answer_to_head || h->status < 200 || h->status == 204 || h->status == 304;

    *b = (struct h1_body){.kind = H1_BODY_NONE};
    if (never)
        return;
    h1_body_init_request(b, h);
    if (b->kind == H1_BODY_NONE && h->content_length < 0)
        b->kind = H1_BODY_UNTIL_CLOSE;
}

bool h1_body_may_end(const struct h1_body *b)
{
    return b->kind == H1_BODY_NONE || b->kind == H1_BODY_UNTIL_CLOSE;
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What may follow the digits. Another number is none of it: the next reader might take that one. */
static enum h1_result end_size(struct h1_body *b, uint8_t c)
{
    if (c == '\r')
        b->step = STEP_SIZE_LF;
    else if (c == ';')
        b->step = STEP_EXTENSION;
    else if (c == ' ' || c == '\t')
        b->step = STEP_SPACE;
    else
        return refuse(b, "bad chunk size");
    if (b->step == STEP_SPACE && b->extra_bytes++ == H1_BODY_EXTENSION_BYTES)
        return refuse(b, "chunk extensions or trailers too large");
    return H1_MORE;
}

static enum h1_result take_size(struct h1_body *b, uint8_t c)
{
    const int value = hex_value(c);
    if (value >= 0) {
        if (b->digit_count == SIZE_DIGITS)
            return refuse(b, "chunk too large");
        b->digit_count++;
        b->left_bytes = b->left_bytes << 4 | (uint64_t)value;
        return H1_MORE;
    }
    if (b->digit_count == 0)
        return refuse(b, "chunk without a size");
    return end_size(b, c);
}

/* One more byte of text nobody reads; control characters are not text. */
static enum h1_result skip_text(struct h1_body *b, uint8_t c, uint32_t max_bytes)
{
    if ((c < 0x20 && c != '\t') || c == 0x7f)
        return refuse(b, "control character in a chunked body");
    if (b->extra_bytes == max_bytes)
        return refuse(b, "chunk extensions or trailers too large");
    b->extra_bytes++;
    return H1_MORE;
}

static enum h1_result expect(struct h1_body *b, uint8_t c, uint8_t expected, enum chunk_step next)
{
    if (c != expected)
        return refuse(b, "bad line end in a chunked body");
    b->step = (uint8_t)next;
    return H1_MORE;
}

/* Extensions or a trailer line, until its end. */
static enum h1_result take_line(struct h1_body *b, uint8_t c, uint32_t max_bytes, enum chunk_step line_end)
{
    if (c != '\r')
        return skip_text(b, c, max_bytes);
    b->step = (uint8_t)line_end;
    return H1_MORE;
}

static enum h1_result begin_chunk(struct h1_body *b, uint8_t c)
{
    const bool is_last = b->left_bytes == 0;
    b->digit_count = 0;
    if (is_last)
        b->extra_bytes = 0; /* from here on trailers are counted */
    return expect(b, c, '\n', is_last ? STEP_TRAILER_BEGIN : STEP_DATA);
}

static enum h1_result take_trailer_begin(struct h1_body *b, uint8_t c)
{
    b->step = c == '\r' ? STEP_LAST_LF : STEP_TRAILER;
    return c == '\r' ? H1_MORE : skip_text(b, c, H1_BODY_TRAILER_BYTES);
}

/* Every step but the data. */
static enum h1_result take_byte(struct h1_body *b, uint8_t c)
{
    enum h1_result r;
    switch ((enum chunk_step)b->step) {
    case STEP_SIZE:
        return take_size(b, c);
    case STEP_SPACE:
        return end_size(b, c);
    case STEP_EXTENSION:
        return take_line(b, c, H1_BODY_EXTENSION_BYTES, STEP_SIZE_LF);
    case STEP_SIZE_LF:
        return begin_chunk(b, c);
    case STEP_DATA_CR:
        return expect(b, c, '\r', STEP_DATA_LF);
    case STEP_DATA_LF:
        return expect(b, c, '\n', STEP_SIZE);
    case STEP_TRAILER_BEGIN:
        return take_trailer_begin(b, c);
    case STEP_TRAILER:
        return take_line(b, c, H1_BODY_TRAILER_BYTES, STEP_TRAILER_LF);
    case STEP_TRAILER_LF:
        return expect(b, c, '\n', STEP_TRAILER_BEGIN);
    case STEP_LAST_LF:
        r = expect(b, c, '\n', STEP_DONE);
        return r == H1_MORE ? H1_DONE : r;
    case STEP_DATA:
    case STEP_DONE:
        break;
    }
    ASSERT(b->step != STEP_DATA && b->step != STEP_DONE);
    return H1_BAD;
}

/* Takes the next run of content; left_bytes counts what is still to come. */
static void take_run(struct h1_body *b, const uint8_t *data, size_t len, size_t *used, struct http_view *content)
{
    const size_t run = len < b->left_bytes ? len : (size_t)b->left_bytes;
    *content = (struct http_view){.data = (const char *)data, .len = run};
    b->left_bytes -= run;
    *used += run;
}

static enum h1_result feed_chunked(struct h1_body *b, const uint8_t *data, size_t len, size_t *used,
                                   struct http_view *content)
{
    while (*used < len) {
        if (b->step == STEP_DATA) {
            take_run(b, data + *used, len - *used, used, content);
            if (b->left_bytes == 0)
                b->step = STEP_DATA_CR;
            return H1_MORE;
        }
        enum h1_result r = take_byte(b, data[(*used)++]);
        if (r == H1_DONE)
            b->kind = H1_BODY_NONE;
        if (r != H1_MORE)
            return r;
    }
    return H1_MORE;
}

enum h1_result h1_body_feed(struct h1_body *b, const uint8_t *data, size_t len, size_t *used, struct http_view *content)
{
    *used = 0;
    *content = (struct http_view){.data = (const char *)data, .len = 0};
    switch (b->kind) {
    case H1_BODY_NONE:
        return H1_DONE;
    case H1_BODY_LENGTH:
        take_run(b, data, len, used, content);
        if (b->left_bytes == 0)
            b->kind = H1_BODY_NONE;
        return b->left_bytes == 0 ? H1_DONE : H1_MORE;
    case H1_BODY_CHUNKED:
        return feed_chunked(b, data, len, used, content);
    case H1_BODY_UNTIL_CLOSE:
        *content = (struct http_view){.data = (const char *)data, .len = len};
        *used = len;
        return H1_MORE;
    }
    return H1_DONE;
}
