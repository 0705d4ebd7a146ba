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

/* Text somewhere else; not NUL-terminated. `data` NULL: not there at all, which is not the same as empty. */
struct h1_view {
    const char *data;
    size_t len;
};

struct h1_field {
    struct h1_view name;  /* as written; compare without case */
    struct h1_view value; /* without the white space around it */
};

#define H1_MAX_FIELDS  100u
#define H1_MAX_OPTIONS 32u /* names in Connection; each may cost a pass over the fields */

struct h1_limits {
    size_t head_bytes;    /* of the whole head with its empty line */
    size_t target_bytes;  /* of the request target */
    uint32_t field_count; /* at most H1_MAX_FIELDS */
};
#define H1_LIMITS_DEFAULT                                                                                              \
    {                                                                                                                  \
        .head_bytes = 16384, .target_bytes = 8192, .field_count = H1_MAX_FIELDS                                        \
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

struct h1_head {
    /* Request line. `target` is what was written; the others are its parts, made the same for all of its forms. */
    struct h1_view method;
    struct h1_view target;
    struct h1_view path;      /* begins with "/", still percent-encoded; "*" for OPTIONS * */
    struct h1_view query;     /* without "?"; data NULL when there is none */
    struct h1_view authority; /* host[:port]: of an absolute target, else of Host; data NULL in HTTP/1.0 without Host */

    /* Status line. */
    uint16_t status;
    struct h1_view reason;

    uint8_t minor_version; /* HTTP/1.<this>: 0 or 1 (a greater one is told as 1) */
    uint32_t field_count;
    size_t head_bytes; /* with the empty line: the body begins here */

    /* What the fields say about framing and the connection. */
    int64_t content_length; /* -1: none */
    bool is_chunked;
    bool is_persistent;    /* the sender means to keep the connection after this message */
    bool wants_upgrade;    /* Connection names upgrade and there is an Upgrade field */
    bool expects_continue; /* Expect: 100-continue */

    /* After H1_BAD. A response's error_status is always 502. */
    uint16_t error_status;    /* 400, 414, 431, 501, 505 */
    const char *error_reason; /* a few words for the log, static */

    struct h1_field fields[H1_MAX_FIELDS]; /* last, so that what is asked for often lies together */
};

/* Parses the head at the beginning of `data`. `data` must hold all of the head received so far (it may have moved
 * between calls); bytes behind the head are not looked at. O(n) over all calls. One empty line before a request
 * is skipped (RFC 9112 section 2.2) and counts into head_bytes. */
enum h1_result h1_parse_request(struct h1_head *h, struct h1_scan *s, const uint8_t *data, size_t len,
                                const struct h1_limits *l);
/* The same for a status line, interim (1xx) ones included. */
enum h1_result h1_parse_response(struct h1_head *h, struct h1_scan *s, const uint8_t *data, size_t len,
                                 const struct h1_limits *l);

/* The first field of that name (lower case), or NULL. */
const struct h1_field *h1_find(const struct h1_head *h, const char *name);
/* Its value; data NULL when there is no such field. */
struct h1_view h1_value(const struct h1_head *h, const char *name);
uint32_t h1_count(const struct h1_head *h, const char *name);
/* Whether a comma-separated list, over all fields of that name, has the token (lower case; compared without case). */
bool h1_has_token(const struct h1_head *h, const char *name, const char *token);

/* Takes the next element off a comma-separated list, white space and empty elements removed. False at its end. */
bool h1_list_next(struct h1_view *list, struct h1_view *element);

bool h1_view_is(struct h1_view v, const char *text);           /* same bytes */
bool h1_view_is_nocase(struct h1_view v, const char *lowered); /* `lowered` in lower case */
bool h1_view_equal_nocase(struct h1_view a, struct h1_view b);
bool h1_is_token(struct h1_view v); /* RFC 9110 section 5.6.2: one or more tchar */

#endif
