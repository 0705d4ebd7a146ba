/* The server's side of one HTTP/2 connection (RFC 9113, RFC 8441): bytes in, requests out; answers in, bytes out.
 *
 * Pure: the owner feeds what it reads and fetches what is to be written, when its connection has room. What a client
 * must not send is refused here (RFC 9113 sections 8.1.1 and 8.2, and the strictness of h1.h), and a client that
 * floods (resets, settings, pings, empty frames, continuations, ...) is told to calm down and given up; nothing of that
 * is the owner's work. A request that reaches on_request looks the same as one that h1_parse_request accepted. */
#ifndef GATEWAY_HTTP_H2_SERVER_H
#define GATEWAY_HTTP_H2_SERVER_H

#include "gateway/http/h2_stream.h"

/* What a client sends first (RFC 9113 section 3.4); a connection without TLS that begins so speaks HTTP/2. */
#define H2_PREFACE       "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define H2_PREFACE_BYTES 24u

struct h2_server_limits {
    uint32_t stream_count;            /* SETTINGS_MAX_CONCURRENT_STREAMS */
    size_t header_bytes;              /* SETTINGS_MAX_HEADER_LIST_SIZE: names, values and 32 bytes per field; 431 */
    size_t target_bytes;              /* of :path; 414 */
    uint32_t field_count;             /* at most HTTP_MAX_FIELDS; 431 */
    uint32_t stream_window_bytes;     /* unconsumed content of one request */
    uint32_t connection_window_bytes; /* and of all; at least 65535 */
    size_t queue_bytes;               /* of an answer: h2_stream_is_full beyond it */
    bool enable_connect_protocol;     /* extended CONNECT is served, and announced */
};
#define H2_SERVER_LIMITS_DEFAULT                                                                                       \
    {                                                                                                                  \
        .stream_count = 128, .header_bytes = 16384, .target_bytes = 8192, .field_count = HTTP_MAX_FIELDS,              \
        .stream_window_bytes = 256 * 1024, .connection_window_bytes = 1024 * 1024, .queue_bytes = 64 * 1024            \
    }

/* Callbacks to the owner; see h2_stream_ops for what they may do. */
struct h2_server_ops {
    /* A request. `head` is borrowed until it returns: major_version 2, is_persistent true; cookies are one field; there
     * is no host field, `authority` has it. An extended CONNECT (only where it is enabled) has `protocol`, and its
     * target and path. `has_body`: on_data and on_end follow. A body without content_length has no length yet. */
    void (*on_request)(void *arg, struct h2_stream *st, const struct http_head *head, bool has_body);
    /* A request that is refused: to be answered with head->error_status (400, 414, 431, 501) and nothing else.
     * `head` is as far as it was understood, which may be nothing at all; error_reason says why. */
    void (*on_refused)(void *arg, struct h2_stream *st, const struct http_head *head);
    /* A request so wrong that its stream was reset (RFC 9113 section 8.1.1), with a few static words; for the log. May
     * be NULL. */
    void (*on_malformed)(void *arg, const char *reason);
    /* The client asks for nothing more. The session is over when its streams are. */
    void (*on_goaway)(void *arg, uint32_t code);
    /* There is something to write, or the session is over: h2_server_output is to be called, from here or (which packs
     * better) at the end of the pass. Not told again before h2_server_output has returned 0. */
    void (*on_output)(void *arg);
    struct h2_stream_ops stream;
};

struct h2_server;

/* `l` is copied, `ops` must stay. The first thing to do is to fetch its output. */
struct h2_server *h2_server_create(const struct h2_server_limits *l, const struct h2_server_ops *ops, void *arg,
                                   int64_t now_ms);

/* Bytes from the client, its preface first. All of them are used. Callbacks may destroy the session, and null the
 * owner's pointer: look at that afterwards. `now_ms` is what the flood limits are measured by. */
void h2_server_feed(struct h2_server *s, const uint8_t *data, size_t len, int64_t now_ms);

/* Writes what is to be sent into `buf` (cap_bytes >= H2_OUTPUT_MIN_BYTES) and returns its length; 0 when there is
 * nothing (any more). Call it until then, as long as the connection has room. on_writable and on_close come from here.
 */
size_t h2_server_output(struct h2_server *s, uint8_t *buf, size_t cap_bytes);

/* Whether the connection is to be closed, once what was fetched is written: a goodbye was sent and nothing is left to
 * do, or the client broke the protocol. */
bool h2_server_is_over(const struct h2_server *s);
/* Why the session was given up, a few static words; NULL when it was not. */
const char *h2_server_failure(const struct h2_server *s);

/* Says goodbye. First not final: no new requests please; those on their way are served. Then, after a round trip or a
 * second, final: what comes now is not looked at. The session is over when its streams are. */
void h2_server_goaway(struct h2_server *s, bool is_final);

/* Streams that on_request or on_refused has brought and that are not over. */
uint32_t h2_server_stream_count(const struct h2_server *s);

/* on_close is called for each stream left (H2_CANCEL), and nothing after that. */
void h2_server_destroy(struct h2_server **sp);

/* ---- answers ---- */

/* An interim answer: 100 or another 1xx but 101, without fields. Before h2_server_respond. */
void h2_server_inform(struct h2_stream *st, uint16_t status);
/* The head of the answer: status (200 to 999; a 101 is said as 200, as RFC 8441 has it), content_length and fields;
 * what belongs to an HTTP/1.1 connection is left out, names become lower case. Once. With `has_body` false the answer
 * is complete. */
void h2_server_respond(struct h2_stream *st, const struct http_head *head, bool has_body);

#endif
