/* Control frames of the gateway's own, and the codes a WebSocket is closed with (RFC 6455 section 7.4 and its
 * registry). */
#ifndef GATEWAY_WS_CLOSE_H
#define GATEWAY_WS_CLOSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/ws/frame.h"

enum ws_close_code {
    WS_CLOSE_NORMAL = 1000,
    WS_CLOSE_GOING_AWAY = 1001,
    WS_CLOSE_PROTOCOL_ERROR = 1002,
    WS_CLOSE_UNSUPPORTED = 1003,
    WS_CLOSE_NO_STATUS = 1005, /* never on the wire */
    WS_CLOSE_ABNORMAL = 1006,  /* never on the wire */
    WS_CLOSE_BAD_DATA = 1007,
    WS_CLOSE_POLICY = 1008,
    WS_CLOSE_TOO_BIG = 1009,
    WS_CLOSE_EXTENSION = 1010,
    WS_CLOSE_INTERNAL = 1011,
    WS_CLOSE_SERVICE_RESTART = 1012,
    WS_CLOSE_TRY_LATER = 1013,
    WS_CLOSE_BAD_GATEWAY = 1014,
    WS_CLOSE_TLS = 1015, /* never on the wire */
};

/* Whether a close frame may carry the code: 1000-1003, 1007-1014, 3000-4999. */
bool ws_close_code_is_valid_on_wire(uint16_t code);
/* Short name of a code, e.g. "going away"; "application" for 4xxx, "library" for 3xxx, "unknown". */
const char *ws_close_code_text(uint16_t code);

#define WS_CONTROL_FRAME_BYTES (2u + 4u + WS_CONTROL_BYTES)

/* Each writes one whole frame and returns its length. `mask_key` (4 bytes) makes it a client's frame, NULL a server's.
 * A close with WS_CLOSE_NO_STATUS has no payload; other codes must be valid on the wire; a reason (may be NULL) that is
 * too long is cut between characters. */
size_t ws_close_build(uint8_t out[WS_CONTROL_FRAME_BYTES], uint16_t code, const char *reason, const uint8_t *mask_key);
size_t ws_ping_build(uint8_t out[WS_CONTROL_FRAME_BYTES], const void *payload, size_t len, const uint8_t *mask_key);
size_t ws_pong_build(uint8_t out[WS_CONTROL_FRAME_BYTES], const void *payload, size_t len, const uint8_t *mask_key);

#endif
