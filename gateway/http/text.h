/* Characters of HTTP's grammar (RFC 9110 section 5.6), ASCII whatever the locale. */
#ifndef GATEWAY_HTTP_TEXT_H
#define GATEWAY_HTTP_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/http/view.h"

static inline char text_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static inline bool text_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool text_is_alnum(char c)
{
    return text_is_digit(c) || (text_lower(c) >= 'a' && text_lower(c) <= 'z');
}

extern const bool text_tchars[256];

static inline bool text_is_tchar(char c)
{
    return text_tchars[(uint8_t)c];
}

static inline bool text_is_space(char c)
{
    return c == ' ' || c == '\t';
}

static inline struct http_view text_trim(struct http_view v)
{
    while (v.len > 0 && text_is_space(v.data[0])) {
        v.data++;
        v.len--;
    }
    while (v.len > 0 && text_is_space(v.data[v.len - 1]))
        v.len--;
    return v;
}

#endif
