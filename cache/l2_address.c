/* Where a Redis node is, as texts say it. Redis writes IPv6 addresses without brackets: the last colon counts. */
#include <stdlib.h>
#include <string.h>

#include "cache/l2_link.h"

#define PORT_DIGITS_MAX 5u

static bool port_parse(const char *text, size_t len, uint16_t *port)
{
    unsigned n = 0;
    if (len == 0 || len > PORT_DIGITS_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        n = n * 10 + (unsigned)(text[i] - '0');
    }
    *port = (uint16_t)n;
    return n > 0 && n <= UINT16_MAX;
}

bool l2_address_parse(struct l2_address *a, const char *text, size_t len)
{
    const char *colon = memrchr(text, ':', len);
    *a = (struct l2_address){0};
    if (colon == NULL || !port_parse(colon + 1, (size_t)(text + len - colon - 1), &a->port))
        return false;
    size_t host_len = (size_t)(colon - text);
    if (host_len > 2 && text[0] == '[' && text[host_len - 1] == ']') {
        text++;
        host_len -= 2;
    }
    if (host_len == 0 || host_len >= sizeof a->host || memchr(text, '\0', host_len) != NULL)
        return false;
    memcpy(a->host, text, host_len);
    return true;
}

bool l2_address_equal(const struct l2_address *a, const struct l2_address *b)
{
    return a->is_unix == b->is_unix && a->port == b->port && strcmp(a->host, b->host) == 0;
}
