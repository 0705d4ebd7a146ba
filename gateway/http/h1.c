/* HTTP/1.1 heads. Two passes, so that a head arriving byte by byte costs no more than one that comes whole:
 *
 * - the scan walks every byte once, in whatever pieces, looking for the empty line and refusing at once what no head
 *   may contain (control characters, bare CR or LF) and what grows over the limits;
 * - the parse runs once, over a head known to be whole, whose lines all end in CRLF.
 *
 * Both work the same however the bytes were cut, so a verdict never depends on packet borders. */
#include "gateway/http/h1.h"

#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "base/assert.h"
#include "gateway/http/text.h"

/* Room in the first line for the method and the version, when its length is judged before it is whole. */
#define LINE_EXTRA_BYTES 64u

/* ---- the scan ------------------------------------------------------------------------------------------------ */

static enum h1_result refuse(struct http_head *h, uint16_t status, const char *reason)
{
    h->error_status = status;
    h->error_reason = reason;
    return H1_BAD;
}

/* A line feed behind a carriage return: the end of the head, or of one line. */
static enum h1_result scan_line_end(struct http_head *h, struct h1_scan *s, bool is_request)
{
    s->has_cr = false;
    if (s->line_bytes == 0) {
        if (s->line_count > 0)
            return H1_DONE;
        if (!is_request || s->seen_bytes > 2)
            return refuse(h, 400, "empty line instead of a head");
        return H1_MORE; /* the one empty line a request may begin with */
    }
    s->line_bytes = 0;
    s->line_count++;
    return H1_MORE;
}

static enum h1_result scan_byte(struct http_head *h, struct h1_scan *s, uint8_t c, bool is_request)
{
    s->seen_bytes++;
    if (s->has_cr)
        return c == '\n' ? scan_line_end(h, s, is_request) : refuse(h, 400, "carriage return alone");
    if (c == '\r') {
        s->has_cr = true;
        return H1_MORE;
    }
    if (c == '\n')
        return refuse(h, 400, "line feed without carriage return");
    if ((c < 0x20 && c != '\t') || c == 0x7f)
        return refuse(h, 400, "control character");
    s->line_bytes++;
    return H1_MORE;
}

/* How many bytes of a step go before the first that is below 0x20 or is 0x7f. */
#if defined(__SSE2__)

#define STEP_BYTES 16u

static size_t plain_of_step(const uint8_t *data)
{
    const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)data);
    const __m128i hit = _mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes),
                                     _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f)));
    const unsigned marks = (unsigned)_mm_movemask_epi8(hit);
    return marks == 0 ? STEP_BYTES : (size_t)__builtin_ctz(marks);
}

#else

#define STEP_BYTES 8u

/* A borrow only ever comes from a byte that is marked, so that the lowest mark is right, whatever is said about the
 * bytes above it. */
static size_t plain_of_step(const uint8_t *data)
{
    const uint64_t ones = UINT64_MAX / 0xff, high = ones * 0x80;
    uint64_t w;
    memcpy(&w, data, sizeof w);
    if (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)
        w = __builtin_bswap64(w);
    const uint64_t deleted = w ^ ones * 0x7f;
    const uint64_t marks = (((w - ones * 0x20) & ~w) | ((deleted - ones) & ~deleted)) & high;
    return marks == 0 ? STEP_BYTES : (size_t)__builtin_ctzll(marks) / 8;
}

#endif

/* How many bytes go before the first of that kind. */
static size_t plain_bytes(const uint8_t *data, size_t room)
{
    size_t n = 0;
    while (room - n >= STEP_BYTES) {
        const size_t more = plain_of_step(data + n);
        n += more;
        if (more < STEP_BYTES)
            return n;
    }
    while (n < room && data[n] >= 0x20 && data[n] != 0x7f)
        n++;
    return n;
}

/* Walks over bytes that stand for nothing but themselves, as far as no limit is near. */
static void scan_plain(struct h1_scan *s, const uint8_t *data, size_t len, const struct h1_limits *l)
{
    size_t room = len - s->seen_bytes;
    const size_t left = l->head_bytes - s->seen_bytes;
    const size_t line_left = l->target_bytes + LINE_EXTRA_BYTES - s->line_bytes;
    if (room >= left)
        room = left - 1;
    if (s->line_count == 0 && room > line_left)
        room = line_left;
    const size_t n = plain_bytes(data + s->seen_bytes, room);
    s->seen_bytes += n;
    s->line_bytes += n;
}

/* Whether a whole CRLF comes next, which no limit cuts in two: its CR changes nothing that is looked at. */
static bool is_line_end(const struct h1_scan *s, const uint8_t *data, size_t len, const struct h1_limits *l)
{
    const uint8_t *at = data + s->seen_bytes;
    return len - s->seen_bytes >= 2 && at[0] == '\r' && at[1] == '\n' && !s->has_cr &&
           s->seen_bytes + 1 < l->head_bytes;
}

/* H1_DONE when the bytes up to seen_bytes are a whole head. */
static enum h1_result scan(struct http_head *h, struct h1_scan *s, const uint8_t *data, size_t len,
                           const struct h1_limits *l, bool is_request)
{
    ASSERT(s->seen_bytes <= len);
    while (s->seen_bytes < len) {
        if (!s->has_cr)
            scan_plain(s, data, len, l);
        if (s->seen_bytes == len)
            break;
        if (is_line_end(s, data, len, l)) {
            s->seen_bytes++;
            s->has_cr = true;
        }
        enum h1_result r = scan_byte(h, s, data[s->seen_bytes], is_request);
        if (r != H1_MORE)
            return r;
        if (s->line_count == 0 && s->line_bytes > l->target_bytes + LINE_EXTRA_BYTES)
            return refuse(h, 414, "request line too long");
        if (s->line_count > l->field_count + 1)
            return refuse(h, 431, "too many fields");
        if (s->seen_bytes >= l->head_bytes)
            return refuse(h, s->line_count == 0 ? 414 : 431, "head too large");
    }
    return H1_MORE;
}

/* ---- the parse ----------------------------------------------------------------------------------------------- */

/* Cuts the next line, which is there by the scan's word, off `rest`. */
static struct http_view next_line(struct http_view *rest)
{
    const char *cr = memchr(rest->data, '\r', rest->len);
    ASSERT(cr != NULL);
    struct http_view line = {.data = rest->data, .len = (size_t)(cr - rest->data)};
    rest->data += line.len + 2;
    rest->len -= line.len + 2;
    return line;
}

/* Cuts up to (not including) the first `border` off `v`; false when there is none. */
static bool cut(struct http_view *v, char border, struct http_view *part)
{
    const char *at = v->len > 0 ? memchr(v->data, border, v->len) : NULL;
    if (at == NULL)
        return false;
    *part = (struct http_view){.data = v->data, .len = (size_t)(at - v->data)};
    v->data += part->len + 1;
    v->len -= part->len + 1;
    return true;
}

/* "HTTP/1.<minor>"; 400 for what is no version at all, 505 for another major one. */
static uint16_t parse_version(struct http_view v, uint8_t *minor)
{
    if (v.len != 8 || memcmp(v.data, "HTTP/", 5) != 0 || !text_is_digit(v.data[5]) || v.data[6] != '.' ||
        !text_is_digit(v.data[7]))
        return 400;
    if (v.data[5] != '1')
        return 505;
    *minor = v.data[7] == '0' ? 0 : 1;
    return 0;
}

static enum h1_result parse_request_line(struct http_head *h, struct http_view line, const struct h1_limits *l)
{
    if (!cut(&line, ' ', &h->method) || !http_is_token(h->method))
        return refuse(h, 400, "bad method");
    if (!cut(&line, ' ', &h->target))
        return refuse(h, 400, "request line without version");
    const uint16_t status = parse_version(line, &h->minor_version);
    if (status != 0)
        return refuse(h, status, "unknown protocol version");
    if (h->target.len > l->target_bytes)
        return refuse(h, 414, "target too long");
    if (http_view_is(h->method, "CONNECT"))
        return refuse(h, 501, "CONNECT is not served");
    const char *reason = http_head_set_target(h);
    return reason == NULL ? H1_DONE : refuse(h, 400, reason);
}

static enum h1_result parse_status_line(struct http_head *h, struct http_view line)
{
    struct http_view version, code;
    if (!cut(&line, ' ', &version) || parse_version(version, &h->minor_version) != 0)
        return refuse(h, 502, "unknown protocol version");
    /* The space behind the code is often left out together with the phrase. */
    if (!cut(&line, ' ', &code)) {
        code = line;
        line.data += line.len;
        line.len = 0;
    }
    if (code.len != 3 || code.data[0] < '1' || code.data[0] > '5' || !text_is_digit(code.data[1]) ||
        !text_is_digit(code.data[2]))
        return refuse(h, 502, "bad status code");
    h->status = (uint16_t)((code.data[0] - '0') * 100 + (code.data[1] - '0') * 10 + (code.data[2] - '0'));
    h->reason = line;
    return H1_DONE;
}

/* The scan has counted the lines, so they fit. */
static enum h1_result parse_fields(struct http_head *h, struct http_view rest)
{
    for (;;) {
        struct http_view value = next_line(&rest);
        if (value.len == 0)
            return H1_DONE;
        if (text_is_space(value.data[0]))
            return refuse(h, 400, "folded line");
        struct http_view name;
        if (!cut(&value, ':', &name))
            return refuse(h, 400, "line without a colon");
        if (!http_is_token(name)) /* a space before the colon is no part of one */
            return refuse(h, 400, "bad field name");
        ASSERT(h->field_count < HTTP_MAX_FIELDS);
        (void)http_head_add(h, name, text_trim(value));
    }
}

static enum h1_result read_content_length(struct http_head *h)
{
    const char *reason = http_head_set_length(h);
    return reason == NULL ? H1_DONE : refuse(h, 400, reason);
}

/* Only "chunked", once: no other coding is undone here, and what is not understood cannot be framed. */
static enum h1_result read_transfer_encoding(struct http_head *h)
{
    uint32_t coding_count = 0;
    if (http_find(h, "transfer-encoding") == NULL)
        return H1_DONE;
    if (h->minor_version == 0)
        return refuse(h, 400, "transfer encoding in HTTP/1.0");
    if (http_find(h, "content-length") != NULL)
        return refuse(h, 400, "both content length and transfer encoding");
    for (uint32_t i = 0; i < h->field_count; i++) {
        if (!http_view_is_nocase(h->fields[i].name, "transfer-encoding"))
            continue;
        struct http_view list = h->fields[i].value, coding;
        for (; http_list_next(&list, &coding); coding_count++) {
            if (!http_view_is_nocase(coding, "chunked"))
                return refuse(h, 501, "unknown transfer encoding");
        }
    }
    if (coding_count != 1)
        return refuse(h, 400, "bad transfer encoding");
    h->is_chunked = true;
    return H1_DONE;
}

static enum h1_result read_connection(struct http_head *h)
{
    bool has_close = false, has_keep_alive = false, has_upgrade = false;
    uint32_t option_count = 0;
    for (uint32_t i = 0; i < h->field_count; i++) {
        if (!http_view_is_nocase(h->fields[i].name, "connection"))
            continue;
        struct http_view list = h->fields[i].value, option;
        for (; http_list_next(&list, &option); option_count++) {
            has_close = has_close || http_view_is_nocase(option, "close");
            has_keep_alive = has_keep_alive || http_view_is_nocase(option, "keep-alive");
            has_upgrade = has_upgrade || http_view_is_nocase(option, "upgrade");
        }
    }
    if (option_count > HTTP_MAX_OPTIONS)
        return refuse(h, 400, "too many connection options");
    if (h->minor_version == 0) { /* which has neither Upgrade nor Expect */
        h->is_persistent = !has_close && has_keep_alive;
        return H1_DONE;
    }
    h->is_persistent = !has_close;
    h->wants_upgrade = has_upgrade && http_find(h, "upgrade") != NULL;
    h->expects_continue = http_view_is_nocase(http_value(h, "expect"), "100-continue");
    return H1_DONE;
}

static enum h1_result read_host(struct http_head *h)
{
    const uint32_t count = http_count(h, "host");
    if (count > 1)
        return refuse(h, 400, "several hosts");
    if (count == 0)
        return h->minor_version == 0 ? H1_DONE : refuse(h, 400, "no host");
    const struct http_view host = http_value(h, "host");
    if (!http_is_authority(host))
        return refuse(h, 400, "bad host");
    if (h->authority.data == NULL)
        h->authority = host;
    return H1_DONE;
}

static enum h1_result read_framing(struct http_head *h)
{
    enum h1_result r = read_transfer_encoding(h);
    if (r == H1_DONE)
        r = read_content_length(h);
    if (r == H1_DONE)
        r = read_connection(h);
    return r;
}

enum h1_result h1_parse_request(struct http_head *h, struct h1_scan *s, const uint8_t *data, size_t len,
                                const struct h1_limits *l)
{
    ASSERT(l->field_count <= HTTP_MAX_FIELDS);
    http_head_clear(h);
    h->major_version = 1;
    enum h1_result r = scan(h, s, data, len, l, true);
    if (r != H1_DONE)
        return r;

    struct http_view rest = {.data = (const char *)data, .len = s->seen_bytes};
    if (rest.data[0] == '\r')
        next_line(&rest);
    h->head_bytes = s->seen_bytes;
    h->text = rest;
    r = parse_request_line(h, next_line(&rest), l);
    if (r == H1_DONE)
        r = parse_fields(h, rest);
    if (r == H1_DONE)
        r = read_host(h);
    if (r == H1_DONE)
        r = read_framing(h);
    return r;
}

enum h1_result h1_parse_response(struct http_head *h, struct h1_scan *s, const uint8_t *data, size_t len,
                                 const struct h1_limits *l)
{
    ASSERT(l->field_count <= HTTP_MAX_FIELDS);
    http_head_clear(h);
    h->major_version = 1;
    enum h1_result r = scan(h, s, data, len, l, false);
    if (r == H1_DONE) {
        struct http_view rest = {.data = (const char *)data, .len = s->seen_bytes};
        h->head_bytes = s->seen_bytes;
        h->text = rest;
        r = parse_status_line(h, next_line(&rest));
        if (r == H1_DONE)
            r = parse_fields(h, rest);
        if (r == H1_DONE)
            r = read_framing(h);
    }
    if (r == H1_BAD)
        h->error_status = 502; /* whatever is wrong with it, the server's answer cannot be used */
    return r;
}
