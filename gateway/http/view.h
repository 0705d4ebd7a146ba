/* Text that somebody else holds, and how it is compared: with the same bytes, or with the same but for the case of
 * letters (ASCII whatever the locale), as names of fields and most of their words are. */
#ifndef GATEWAY_HTTP_VIEW_H
#define GATEWAY_HTTP_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Not NUL-terminated. `data` NULL: not there at all, which is not the same as empty. */
struct http_view {
    const char *data;
    size_t len;
};

/* Of a C string; NULL gives no text. Both of these are here so that the length of a literal costs nothing. */
static inline struct http_view http_view_of(const char *text)
{
    return (struct http_view){text, text != NULL ? strlen(text) : 0};
}
/* Same bytes. */
static inline bool http_view_is(struct http_view v, const char *text)
{
    const size_t len = strlen(text);
    return v.data != NULL && v.len == len && memcmp(v.data, text, len) == 0;
}
/* Whether `len` > 0 bytes at `a` and `b` are the same but for the case of letters. */
bool http_same_nocase(const char *a, const char *b, size_t len);
/* Neither has to be in lower case. A head is asked for some fifty names: length and end tell nearly all of them apart.
 */
static inline bool http_view_equal_nocase(struct http_view a, struct http_view b)
{
    return a.len == b.len && (a.len == 0 || (((a.data[a.len - 1] ^ b.data[b.len - 1]) & ~0x20) == 0 &&
                                             http_same_nocase(a.data, b.data, a.len)));
}
static inline bool http_view_is_nocase(struct http_view v, const char *text)
{
    return v.data != NULL && http_view_equal_nocase(v, http_view_of(text));
}
/* Whether it is one of `count` names, whose lengths are worth finding only where the beginning fits. */
static inline bool http_view_is_any(struct http_view v, const char *const *names, size_t count)
{
    for (size_t i = 0; v.len > 0 && i < count; i++) {
        if (((v.data[0] ^ names[i][0]) & ~0x20) == 0 && http_view_is_nocase(v, names[i]))
            return true;
    }
    return false;
}
bool http_is_token(struct http_view v); /* RFC 9110 section 5.6.2: one or more tchar */
/* Whether it stays within its line of HTTP/1: no CR, LF or NUL. */
bool http_view_is_inline(struct http_view v);

#endif
