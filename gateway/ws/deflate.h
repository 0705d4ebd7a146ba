/* permessage-deflate (RFC 7692): the payloads of messages, compressed and inflated by zlib.
 *
 * Pure and without an opinion about frames: bytes in, bytes out, in any cut, stopping whenever the output is full, so
 * that a small message that becomes a large one never has to be in memory as a whole.
 *
 * zlib's states are large (compressing 256 KiB, inflating up to 40), so connections do not own one: a message takes
 * one from the process's stock when it begins and gives it back when it ends. Most messages lie in the buffer whole,
 * and one state serves them all. Only a connection that keeps its context from message to message keeps its states. */
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

#endif
