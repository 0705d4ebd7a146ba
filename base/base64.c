/* Four characters, three bytes; two or three characters at the end, one or two bytes. */
#include "base/base64.h"

#include <string.h>

/* -1: not in the alphabet, whose last two characters are `last`. */
static int sextet(char c, const char last[2])
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == last[0] ? 62 : c == last[1] ? 63 : -1;
}

static bool decode(const char *text, size_t len, const char last[2], uint8_t *out, size_t *out_len)
{
    uint32_t bits = 0;
    unsigned bit_count = 0;
    *out_len = 0;
    if (len % 4 == 1)
        return false;
    for (size_t i = 0; i < len; i++) {
        const int value = sextet(text[i], last);
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            out[(*out_len)++] = (uint8_t)(bits >> bit_count);
            bits &= (1u << bit_count) - 1;
        }
    }
    return bits == 0;
}

bool base64url_decode(const char *text, size_t len, uint8_t *out, size_t *out_len)
{
    return decode(text, len, "-_", out, out_len);
}

bool base64_decode(const char *text, size_t len, uint8_t *out, size_t *out_len)
{
    *out_len = 0;
    if (len % 4 != 0)
        return false;
    for (int i = 0; i < 2 && len > 0 && text[len - 1] == '='; i++)
        len--;
    return decode(text, len, "+/", out, out_len);
}
