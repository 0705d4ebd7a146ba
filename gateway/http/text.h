/* Characters of HTTP's grammar (RFC 9110 section 5.6), ASCII whatever the locale. */
#ifndef GATEWAY_HTTP_TEXT_H
#define GATEWAY_HTTP_TEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "gateway/http/head.h"

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

/* A bit for each digit, each letter and each of !#$%&'*+-.^_`|~ : names are looked at byte by byte, and twice. */
static inline bool text_is_tchar(char c)
{
    static const uint64_t bits[4] = {0x03ff6cfa00000000, 0x57ffffffc7fffffe, 0, 0};
    const uint8_t u = (uint8_t)c;
    return (bits[u >> 6] >> (u & 63u) & 1u) != 0;
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

/* Whether it stays within its line of HTTP/1. */
static inline bool text_is_inline(struct http_view v)
{
    for (size_t i = 0; i < v.len; i++) {
        if (v.data[i] == '\r' || v.data[i] == '\n' || v.data[i] == '\0')
            return false;
    }
    return true;
}

#endif
