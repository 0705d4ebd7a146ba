/* permessage-deflate (RFC 7692): the payloads of messages, compressed and inflated by zlib.
 *
 * Pure and without an opinion about frames: bytes in, bytes out, in any cut, stopping whenever the output is full, so
 * that a small message that becomes a large one never has to be in memory as a whole.
 *
 * zlib's states are large (compressing 256 KiB, inflating 40), so connections do not own one: a message takes one from
 * the process's stock when it begins and gives it back when it ends. Most messages lie in the buffer whole, and one
 * state serves them all. Only a connection that keeps its context from message to message keeps its states. */
#ifndef GATEWAY_WS_DEFLATE_H
#define GATEWAY_WS_DEFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What was agreed with a client, and how the gateway uses it. */
struct ws_deflate_params {
    uint8_t server_window_bits;      /* 9-15, the window the gateway compresses with */
    uint8_t client_window_bits;      /* 8-15, the largest the client may use */
    bool server_no_context_takeover; /* each message stands alone: server to client */
    bool client_no_context_takeover; /* the same, client to server */
    uint8_t level;                   /* 1-9, zlib's */
    uint32_t min_bytes;              /* shorter messages are sent as they are */
};

#define WS_WINDOW_BITS_MIN 8u
#define WS_WINDOW_BITS_MAX 15u

struct ws_stock; /* states at rest, one per process */
struct ws_inflater;
struct ws_deflater;

struct ws_stock *ws_stock_create(void);
void ws_stock_destroy(struct ws_stock **sp); /* every state must have been given back */

/* How far a call came. */
enum ws_coded {
    WS_CODED_MORE = 0, /* all input is taken, the message goes on */
    WS_CODED_FULL,     /* the output is full: call again with room, and with what is left of the input, if anything */
    WS_CODED_DONE,     /* the message is complete */
    WS_CODED_BAD,      /* inflating: not a deflated message; the state can only be given back */
};

/* A state for one message, or for many that build on each other, whose sender's window is that large. Never NULL. */
struct ws_inflater *ws_inflater_acquire(struct ws_stock *s, uint8_t window_bits);
void ws_inflater_release(struct ws_stock *s, struct ws_inflater **zp);
/* Inflates from *in (moved, with *len) to `out`; *made says how much. With `is_last` the input is the message's end. */
enum ws_coded ws_inflate(struct ws_inflater *z, const uint8_t **in, size_t *len, bool is_last, uint8_t *out,
                         size_t room_bytes, size_t *made);

/* For how long a state for compressing is lent. */
enum ws_span {
    WS_SPAN_CALL = 0,   /* the message lies there whole: never refused */
    WS_SPAN_MESSAGE,    /* it comes in pieces, and who knows when: only so many at a time */
    WS_SPAN_CONNECTION, /* for all messages of a connection that keeps its context: never refused */
};
#define WS_SPAN_MESSAGES_MAX 16u /* 4 MiB in the worst case */
#define WS_DEFLATE_ROOM      16u /* the least room for output that makes progress certain */

/* The same for compressing. NULL when it is refused: send the message as it is. */
struct ws_deflater *ws_deflater_acquire(struct ws_stock *s, uint8_t window_bits, uint8_t level, enum ws_span span);
void ws_deflater_release(struct ws_stock *s, struct ws_deflater **zp);
enum ws_coded ws_deflate(struct ws_deflater *z, const uint8_t **in, size_t *len, bool is_last, uint8_t *out,
                         size_t room_bytes, size_t *made);

#endif
