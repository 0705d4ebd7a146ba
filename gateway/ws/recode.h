/* One direction of a WebSocket that is compressed on one side of the gateway only: frames in, other frames out.
 *
 * From the client, compressed messages are inflated and go on as masked frames; from the server, messages worth it are
 * compressed. A message stays a message, but its frames are cut anew: each is written whole, so the other side is never
 * left inside one. What is not (to be) compressed, and control frames, pass as they are, also in pieces.
 *
 * Pure: bytes in, bytes out, and it stops when the output is full. Nothing is kept but zlib's state, and that only
 * while a message is under way. */
#ifndef GATEWAY_WS_RECODE_H
#define GATEWAY_WS_RECODE_H

#include "gateway/ws/deflate.h"
#include "gateway/ws/frame.h"

struct ws_recode {        /* initialised by ws_recode_init; members are its own */
    struct ws_walk *walk; /* of the same direction */
    struct ws_stock *stock;
    const struct ws_deflate_params *params;
    struct ws_inflater *inflater; /* from the client; NULL between messages unless the context is kept */
    struct ws_deflater *deflater; /* from the server; the same */
    uint64_t message_bytes;       /* inflated so far, of the unfinished message */
    uint64_t max_message_bytes;
    uint32_t key; /* the next frame's mask is made from it */
    uint8_t state;
    uint8_t opcode;     /* of the next frame to be written: the message's, then continuation */
    bool is_last : 1;   /* the frame that is being coded ends the message */
    bool has_more : 1;  /* zlib has output that did not fit */
    bool is_coding : 1; /* the unfinished message is */
    bool is_over : 1;   /* closed or bad: nothing more is looked at */
    bool is_text : 1;   /* it is to be UTF-8 */
    bool checks_utf8 : 1;
    struct utf8 text;
};

/* What a call works with: the input, which moves on, and the output, which is appended to. */
struct ws_turn {
    const uint8_t *in;
    size_t in_bytes;
    uint8_t *out;
    size_t out_bytes;
    size_t room_bytes;      /* of `out` altogether; at least WS_RECODE_ROOM */
    bool stops_at_boundary; /* as soon as nothing is half out */
    size_t passing_at;      /* the recoder's own: where in the output a frame that passes begins */
    uint64_t plain_bytes;   /* payload of coded messages, added up: as it is when not compressed */
    uint64_t packed_bytes;  /* the same, compressed */
};
#define WS_RECODE_ROOM 1024u

enum ws_turned {
    WS_TURNED_ALL = 0, /* all input is taken, and what came of it is in the output */
    WS_TURNED_FULL,    /* send the output and call again, with whatever input is left */
    WS_TURNED_STOPPED, /* at a boundary; input may be left */
    WS_TURNED_CLOSED,  /* the output ends with a close frame; ignore what follows */
    WS_TURNED_BAD,     /* send the output, then close with seen->code; ignore what follows */
};

/* `walk` is initialised already, and from now on fed by the recoder only. It says who sends. All are borrowed for the
 * recoder's life. */
void ws_recode_init(struct ws_recode *r, struct ws_walk *walk, struct ws_stock *stock,
                    const struct ws_deflate_params *params, uint64_t max_message_bytes, bool checks_utf8);
/* Gives zlib's states back. */
void ws_recode_fini(struct ws_recode *r);

/* Counts messages in *seen (cleared by the caller with ws_seen_clear(), once per input) and fills what CLOSED and BAD
 * say there: codes as ws_walk_feed(); a message too large when inflated is 1009, one that cannot be inflated 1007. */
enum ws_turned ws_recode_run(struct ws_recode *r, struct ws_turn *t, struct ws_seen *seen);

/* Whether the output so far ends with a whole frame, so that one of the gateway's own may follow. */
bool ws_recode_is_at_boundary(const struct ws_recode *r);

#endif
