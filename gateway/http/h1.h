/* Heads of HTTP/1.1 messages (RFC 9112, RFC 9110): bytes in, views into the same bytes out.
 *
 * Strict on purpose: whatever two programs could read in two ways (bare LF, folded lines, a space before the colon,
 * both Content-Length and Transfer-Encoding, ...) is refused here, so that nobody behind this gateway is asked to
 * guess. Nothing is copied or allocated: a parsed head is valid as long as the bytes it was parsed from, at the
 * same address. A head that arrives in pieces is scanned once, byte by byte, and parsed once, when it is whole. */
#ifndef GATEWAY_HTTP_H1_H
#define GATEWAY_HTTP_H1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/http/head.h"

struct h1_limits {
    size_t head_bytes;    /* of the whole head with its empty line */
    size_t target_bytes;  /* of the request target */
    uint32_t field_count; /* at most HTTP_MAX_FIELDS */
};
#define H1_LIMITS_DEFAULT                                                                                              \
    {                                                                                                                  \
        .head_bytes = 16384, .target_bytes = 8192, .field_count = HTTP_MAX_FIELDS                                      \
    }

/* How far the bytes of one head were looked at; zero it before the first byte of every head. */
struct h1_scan {
    size_t seen_bytes;
    size_t line_bytes;   /* of the current line, without its end */
    uint32_t line_count; /* lines finished */
    bool has_cr;         /* the last byte was CR */
};

enum h1_result {
    H1_MORE = 0, /* call again with the same bytes and more behind them */
    H1_DONE,
    H1_BAD, /* error_status and error_reason say why; the scan must not be used again */
};

/* Parses the head at the beginning of `data`. `data` must hold all of the head received so far (it may have moved
 * between calls); bytes behind the head are not looked at. O(n) over all calls. One empty line before a request
 * is skipped (RFC 9112 section 2.2) and counts into head_bytes. */
enum h1_result h1_parse_request(struct http_head *h, struct h1_scan *s, const uint8_t *data, size_t len,
                                const struct h1_limits *l);
/* The same for a status line, interim (1xx) ones included. */
enum h1_result h1_parse_response(struct http_head *h, struct h1_scan *s, const uint8_t *data, size_t len,
                                 const struct h1_limits *l);

#endif
