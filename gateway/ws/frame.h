/* The frame walker: looks at one direction of a WebSocket (RFC 6455 section 5) as its bytes pass, and says whether they
 * may be sent on.
 *
 * It reads headers and jumps over payloads; nothing is copied or changed, so the sender's own masked bytes go on.
 * State survives any cut in the stream and is small, because two of them live as long as a connection. The price
 * of a call is per frame, not per byte, unless text is checked to be UTF-8. */
#ifndef GATEWAY_WS_FRAME_H
#define GATEWAY_WS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/ws/utf8.h"

enum ws_opcode {
    WS_OPCODE_CONTINUATION = 0x0,
    WS_OPCODE_TEXT = 0x1,
    WS_OPCODE_BINARY = 0x2,
    WS_OPCODE_CLOSE = 0x8,
    WS_OPCODE_PING = 0x9,
    WS_OPCODE_PONG = 0xa,
};

#define WS_HEADER_BYTES       14u  /* the longest frame header */
#define WS_CONTROL_BYTES      125u /* the longest payload of a control frame */
#define WS_CLOSE_REASON_BYTES 123u

enum ws_sender { WS_SENDER_CLIENT = 0 /* must mask */, WS_SENDER_SERVER /* must not */ };

struct ws_walk {               /* initialised by ws_walk_init; members are the walker's own */
    uint64_t frame_left_bytes; /* payload of the current frame still to come */
    uint64_t message_bytes;    /* of the unfinished message, frames so far */
    uint64_t max_message_bytes;
    uint8_t header[WS_HEADER_BYTES]; /* of the current frame; stays during its payload, for the mask key */
    uint8_t header_have;             /* 0: between two frames */
    uint8_t phase;                   /* payload bytes passed, modulo 256: place in the mask key and in a close frame */
    uint8_t message_opcode;          /* of the unfinished message; 0: none */
    bool is_server : 1;              /* the sender is */
    bool checks_utf8 : 1;
    bool may_compress : 1;
    bool is_compressed : 1; /* the unfinished message is */
    bool is_over : 1;       /* a close frame has passed, or the stream was bad */
    struct utf8 text;       /* of the unfinished text message; of the reason once a close frame has begun */
    uint16_t close_code;
};

enum ws_verdict {
    WS_VERDICT_PASS = 0, /* all `len` bytes may be sent on */
    WS_VERDICT_CLOSED,   /* `pass_bytes` may be sent on and end with a whole close frame; ignore what follows */
    WS_VERDICT_BAD,      /* a violation: `pass_bytes` may be sent on, then close with `code`; ignore what follows */
};

/* What one call has seen. */
struct ws_seen {
    size_t pass_bytes;      /* how many of the bytes may be sent on; WS_VERDICT_BAD: up to the offending frame */
    ptrdiff_t boundary;     /* offset behind the last frame that ended here, or at which one that is unfinished begins:
                               the last place for a frame of the gateway's own; -1: none in these bytes */
    uint32_t message_count; /* messages that ended here */
    uint32_t ping_count;
    uint32_t pong_count;
    bool is_torn;       /* WS_VERDICT_BAD: the offending frame began in an earlier call, so part of it is out
                           and the receiver can only be cut off */
    uint16_t code;      /* CLOSED: the frame's code, 1005 when it has none; BAD: the code to close with */
    uint8_t reason_len; /* CLOSED */
    /* CLOSED: the reason, unmasked, without NUL; of a close frame in pieces only what came in the last of them. */
    char reason[WS_CLOSE_REASON_BYTES];
    const char *error; /* BAD: a few static words for the log and the close reason */
};

/* `max_message_bytes` bounds a message over all its frames (0: no bound); more is answered with 1009. */
void ws_walk_init(struct ws_walk *w, enum ws_sender sender, uint64_t max_message_bytes, bool checks_utf8);

/* Looks at the next `len` bytes and fills *seen. After CLOSED or BAD every further call gives CLOSED with
 * pass_bytes 0 and code 0. */
enum ws_verdict ws_walk_feed(struct ws_walk *w, const uint8_t *data, size_t len, struct ws_seen *seen);

/* Whether the stream stands between two frames (maybe inside a fragmented message), where a control frame may go. */
static inline bool ws_walk_is_at_boundary(const struct ws_walk *w)
{
    return w->header_have == 0;
}
/* Payload still to come before the current frame ends; 0 at a boundary and while a header is incomplete. */
static inline uint64_t ws_walk_frame_left(const struct ws_walk *w)
{
    return w->frame_left_bytes;
}
/* Whether a message is unfinished: a frame of it, or the frames after. */
bool ws_walk_is_in_message(const struct ws_walk *w);

/* ---- for those who change payloads on the way: the same rules, a frame at a time ---- */

/* From now on RSV1 may mark a message as compressed (RFC 7692 section 6). The bound on messages then allows for what
 * does not compress, and text is not checked: both are for who inflates it. */
void ws_walk_allow_compressed(struct ws_walk *w);
static inline bool ws_walk_is_compressed(const struct ws_walk *w)
{
    return w->is_compressed;
}

enum ws_take {
    WS_TAKE_MORE = 0, /* the header, or the payload, goes on */
    WS_TAKE_WHOLE,    /* that was the last byte of it */
    WS_TAKE_CLOSED,   /* that was the last byte of a close frame; seen->code and reason are set */
    WS_TAKE_BAD,      /* a violation; seen->code and error are set */
};
void ws_seen_clear(struct ws_seen *seen);
/* Takes a header from *p on, and moves it. Once it is WHOLE it stays in w->header until the payload has been taken. */
enum ws_take ws_walk_take_header(struct ws_walk *w, const uint8_t **p, const uint8_t *end, struct ws_seen *seen);
/* Takes `len` bytes of payload, at most ws_walk_frame_left(); of a frame without any, once, 0. Counts in *seen. */
enum ws_take ws_walk_take_payload(struct ws_walk *w, const uint8_t *payload, size_t len, struct ws_seen *seen);
/* Of the frame whose payload is taken. */
static inline const uint8_t *ws_walk_mask_key(const struct ws_walk *w)
{
    return w->header + w->header_have - 4;
}
/* How many of its bytes have been taken, modulo 256: the place in the mask key. */
static inline size_t ws_walk_mask_phase(const struct ws_walk *w)
{
    return w->phase;
}
static inline enum ws_opcode ws_walk_opcode(const struct ws_walk *w)
{
    return (enum ws_opcode)(w->header[0] & 0x0f);
}
static inline bool ws_walk_is_final(const struct ws_walk *w)
{
    return (w->header[0] & 0x80) != 0;
}

/* Whether the next bytes are a whole message in one frame, from its header at `p` to an end before `end`, that may be
 * passed over: the walker is as it was then. */
bool ws_walk_sees_message(const struct ws_walk *w, const uint8_t *p, const uint8_t *end, size_t *header,
                          size_t *payload);

#define WS_FIN  0x80u
#define WS_RSV1 0x40u
/* Writes the header of a frame whose first byte is `first`; otherwise as ws_header_build(). */
size_t ws_fragment_build(uint8_t out[WS_HEADER_BYTES], uint8_t first, uint64_t payload_bytes, const uint8_t *mask_key);

/* Writes the header of an unfragmented frame; `mask_key` NULL: not masked. Returns its length. */
size_t ws_header_build(uint8_t out[WS_HEADER_BYTES], enum ws_opcode opcode, uint64_t payload_bytes,
                       const uint8_t *mask_key);

#endif
