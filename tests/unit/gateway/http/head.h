/* Heads from literals, for the tests of what is built upon them. */
#ifndef TESTS_UNIT_GATEWAY_HTTP_HEAD_H
#define TESTS_UNIT_GATEWAY_HTTP_HEAD_H

#include <string.h>

#include "base/buf.h"
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

/* A head as text that can be compared: a line for the request ("GET host /target") or the status, one for the length of
 * the body if it is known, one for each field. */
static inline void text_of_head(struct strbuf *out, const struct http_head *h)
{
    strbuf_init(out, 65536);
    if (h->status == 0)
        strbuf_printf(out, "%.*s %.*s %.*s\n", (int)h->method.len, h->method.data, (int)h->authority.len,
                      h->authority.data != NULL ? h->authority.data : "", (int)h->target.len, h->target.data);
    else
        strbuf_printf(out, "%u\n", (unsigned)h->status);
    if (h->content_length >= 0)
        strbuf_printf(out, "(%lld bytes)\n", (long long)h->content_length);
    for (uint32_t i = 0; i < h->field_count; i++)
        strbuf_printf(out, "%.*s: %.*s\n", (int)h->fields[i].name.len, h->fields[i].name.data,
                      (int)h->fields[i].value.len, h->fields[i].value.len > 0 ? h->fields[i].value.data : "");
}

#endif
