/* Ranges of bytes. Numbers are the client's and may be of any length, so they stop at the greatest there is; a first
 * byte beyond the body is refused, a last one beyond it is cut (RFC 9110 section 14.1.2). */
#include "cache/range.h"

#include "gateway/http/text.h"

/* Takes digits off `v`; what is greater than any body stays greater. False when there are none. */
static bool take_number(struct http_view *v, uint64_t *number)
{
    const size_t whole = v->len;
    uint64_t n = 0;
    for (; v->len > 0 && text_is_digit(v->data[0]); v->data++, v->len--) {
        const unsigned digit = (unsigned)(v->data[0] - '0');
        n = n > (UINT64_MAX - digit) / 10 ? UINT64_MAX : n * 10 + digit;
    }
    *number = n;
    return v->len < whole;
}

struct spec {
    bool has_first, has_last;
    uint64_t first, last; /* without a first: the last so many bytes */
};

static bool parse(struct spec *s, struct http_view v)
{
    s->has_first = take_number(&v, &s->first);
    if (v.len == 0 || v.data[0] != '-')
        return false;
    v.data++;
    v.len--;
    s->has_last = take_number(&v, &s->last);
    if (v.len > 0 || !(s->has_first || s->has_last))
        return false;
    return !(s->has_first && s->has_last) || s->first <= s->last;
}

/* The one element of the list; false when there are others. */
static bool only_element(struct http_view list, struct http_view *element)
{
    struct http_view another;
    return http_list_next(&list, element) && !http_list_next(&list, &another);
}

enum cache_range cache_range_of(struct http_view value, size_t body_bytes, size_t *from_byte, size_t *byte_count)
{
    static const char unit[] = "bytes=";
    const size_t unit_len = sizeof unit - 1;
    struct http_view element;
    struct spec s;
    if (value.len < unit_len || !http_view_is_nocase((struct http_view){value.data, unit_len}, unit))
        return CACHE_RANGE_NONE;
    value.data += unit_len;
    value.len -= unit_len;
    if (!only_element(value, &element) || !parse(&s, element))
        return CACHE_RANGE_NONE;
    if (!s.has_first) {
        const size_t count = s.last < body_bytes ? (size_t)s.last : body_bytes;
        if (count == 0) /* an empty body has no last bytes, and no Content-Range could name them */
            return s.last == 0 ? CACHE_RANGE_BEYOND : CACHE_RANGE_NONE;
        *from_byte = body_bytes - count;
        *byte_count = count;
        return CACHE_RANGE_ONE;
    }
    if (s.first >= body_bytes)
        return CACHE_RANGE_BEYOND;
    const uint64_t end = s.has_last && s.last < body_bytes - 1 ? s.last + 1 : body_bytes;
    *from_byte = (size_t)s.first;
    *byte_count = (size_t)(end - s.first);
    return CACHE_RANGE_ONE;
}
