/* Heads from literals, for the tests of what is built upon them. */
#ifndef TESTS_UNIT_GATEWAY_HTTP_HEAD_H
#define TESTS_UNIT_GATEWAY_HTTP_HEAD_H

#include <string.h>

#include "gateway/http/h1.h"

/* `text` must be a good head and stay where it is. */
static inline void head_of_request(struct http_head *h, const char *text)
{
    static const struct h1_limits limits = H1_LIMITS_DEFAULT;
    struct h1_scan scan = {0};
    if (h1_parse_request(h, &scan, (const uint8_t *)text, strlen(text), &limits) != H1_DONE)
        fail_msg("not a good request: %s", text);
}

static inline void head_of_response(struct http_head *h, const char *text)
{
    static const struct h1_limits limits = H1_LIMITS_DEFAULT;
    struct h1_scan scan = {0};
    if (h1_parse_response(h, &scan, (const uint8_t *)text, strlen(text), &limits) != H1_DONE)
        fail_msg("not a good response: %s", text);
}

#endif
