/* Is it UTF-8 (RFC 3629)? Answered as the bytes come, whatever their cuts, at the first byte that proves it is not. */
#ifndef GATEWAY_WS_UTF8_H
#define GATEWAY_WS_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct utf8 {          /* zero is the beginning of a text */
    uint8_t left;      /* bytes still missing from the current character */
    uint8_t low, high; /* bounds of the next one of them */
};

/* False as soon as no continuation could make the text valid. */
bool utf8_feed(struct utf8 *u, const uint8_t *data, size_t len);
/* Whether the text may end here: not inside a character. */
static inline bool utf8_may_end(const struct utf8 *u)
{
    return u->left == 0;
}

#endif
