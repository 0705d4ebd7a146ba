/* One HTTP/2 stream (RFC 9113), of a client (h2_server.h) or towards a server (h2_client.h): one request, its answer
 * and the bytes of both.
 *
 * Bytes to send are pushed into the stream's queue, from where they leave as the peer's windows and the connection
 * allow. Bytes received are handed on at once; the peer gets its window back only for what the owner
 * consumed, so that it sends no faster than somebody reads.
 *
 * Law of life: a stream's pointer is valid from the event or call that brings it until on_close returns, or until the
 * owner resets it; after that nothing comes from it. */
#ifndef GATEWAY_HTTP_H2_STREAM_H
#define GATEWAY_HTTP_H2_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/http/head.h"

/* RFC 9113 section 7. */
enum h2_code {
    H2_NO_ERROR = 0,
    H2_PROTOCOL_ERROR,
    H2_INTERNAL_ERROR,
    H2_FLOW_CONTROL_ERROR,
    H2_SETTINGS_TIMEOUT,
    H2_STREAM_CLOSED,
    H2_FRAME_SIZE_ERROR,
    H2_REFUSED_STREAM,
    H2_CANCEL,
    H2_COMPRESSION_ERROR,
    H2_CONNECT_ERROR,
    H2_ENHANCE_YOUR_CALM,
    H2_INADEQUATE_SECURITY,
    H2_HTTP_1_1_REQUIRED,
};

/* The least room for h2_server_output and h2_client_output to write into; more is better, up to 64 KiB. */
#define H2_OUTPUT_MIN_BYTES 4096u

struct h2_stream;

/* What happens on streams of either side; `arg` is the session's owner. None may be NULL. All may call anything of
 * this header and of the session's, except feed and output; they may destroy the session. */
struct h2_stream_ops {
    /* Content; borrowed until it returns. Every byte is to be given back by h2_stream_consume, now or later. */
    void (*on_data)(void *arg, struct h2_stream *st, const uint8_t *data, size_t len);
    /* The peer has sent all of its message (not told when on_request or on_response said that there is no body).
     * Trailers were checked and dropped. */
    void (*on_end)(void *arg, struct h2_stream *st);
    /* The queue was full and has fallen to half. */
    void (*on_writable)(void *arg, struct h2_stream *st);
    /* It is over: the answer is complete (H2_NO_ERROR), the peer reset it, or the session did because of what the peer
     * sent. `is_unprocessed` (towards servers only): the server has promised that it did not act on the request, or the
     * request never left, so that it may be sent elsewhere whatever its method. The pointer is dead after this. */
    void (*on_close)(void *arg, struct h2_stream *st, uint32_t code, bool is_unprocessed);
};

/* What belongs to the stream at its owner's; NULL until set. */
void h2_stream_set_owner(struct h2_stream *st, void *owner);
void *h2_stream_owner(const struct h2_stream *st);
uint32_t h2_stream_id(const struct h2_stream *st);

/* Queues bytes of the body. The head must have been sent, with a body to follow, and h2_stream_end not been called. All
 * of it is taken; the owner keeps the queue bounded by heeding h2_stream_is_full. */
void h2_stream_send(struct h2_stream *st, const void *data, size_t len);
/* The same; instead of a copy it may keep a reference. `s` is borrowed. */
void h2_stream_send_slice(struct h2_stream *st, struct slice s);
/* The body is complete. The stream closes (on_close) once the peer's message has ended as well. A server's answer that
 * is complete before the request is ends both: the rest of the request is not wanted. Only the directions of an
 * extended CONNECT end one by one. */
void h2_stream_end(struct h2_stream *st);
size_t h2_stream_queued(const struct h2_stream *st);
bool h2_stream_is_full(const struct h2_stream *st); /* on_writable will come */

/* Gives back the window for bytes that on_data brought. What was not given back when a stream closes is given back to
 * the connection by itself. */
void h2_stream_consume(struct h2_stream *st, size_t len);

/* Ends it at once with that code and nulls the pointer; what is queued is lost. No on_close comes. */
void h2_stream_reset(struct h2_stream **stp, enum h2_code code);

/* Content that has left, and that has come: whether a stream moves at all. */
uint64_t h2_stream_sent_bytes(const struct h2_stream *st);
uint64_t h2_stream_received_bytes(const struct h2_stream *st);

/* "CANCEL" and the like, static; "unknown" for a code without a name. */
const char *h2_code_text(uint32_t code);

#endif
