/* UTF-8, streaming. ASCII is skipped a word at a time; every other character is a lead byte that says how many bytes
 * follow and which bounds the first of them has (RFC 3629 section 4). Those narrower bounds are what shuts out
 * overlong forms, surrogates and what lies above U+10FFFF. */
#include "gateway/ws/utf8.h"

#include <string.h>

#define HIGH_BITS UINT64_C(0x8080808080808080)

static size_t skip_ascii(const uint8_t *data, size_t len)
{
    size_t i = 0;
    for (uint64_t word; i + sizeof word <= len; i += sizeof word) {
        memcpy(&word, data + i, sizeof word);
        if (word & HIGH_BITS)
            break;
    }
    while (i < len && data[i] < 0x80)
        i++;
    return i;
}

/* RFC 3629 section 4, one row per kind of lead byte. */
static bool begin_character(struct utf8 *u, uint8_t lead)
{
    static const struct {
        uint8_t from, to, left, low, high;
    } leads[] = {
        {0xc2, 0xdf, 1, 0x80, 0xbf}, {0xe0, 0xe0, 2, 0xa0, 0xbf}, {0xe1, 0xec, 2, 0x80, 0xbf},
        {0xed, 0xed, 2, 0x80, 0x9f}, {0xee, 0xef, 2, 0x80, 0xbf}, {0xf0, 0xf0, 3, 0x90, 0xbf},
        {0xf1, 0xf3, 3, 0x80, 0xbf}, {0xf4, 0xf4, 3, 0x80, 0x8f},
    };
    for (size_t i = 0; i < sizeof leads / sizeof leads[0]; i++) {
        if (lead >= leads[i].from && lead <= leads[i].to) {
            *u = (struct utf8){.left = leads[i].left, .low = leads[i].low, .high = leads[i].high};
            return true;
        }
    }
    return false;
}

bool utf8_feed(struct utf8 *u, const uint8_t *data, size_t len)
{
    size_t i = 0;
    while (i < len) {
        if (u->left == 0) {
            i += skip_ascii(data + i, len - i);
            if (i == len)
                break;
            if (!begin_character(u, data[i++]))
                return false;
            continue;
        }
        if (data[i] < u->low || data[i] > u->high)
            return false;
        *u = (struct utf8){.left = (uint8_t)(u->left - 1), .low = 0x80, .high = 0xbf};
        i++;
    }
    return true;
}
