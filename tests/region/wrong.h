/* Wrong and odd WebSocket frames that a region can be told to send, one row each: what RFC 6455 forbids a server, and a
 * few things it merely makes unusual. */
#ifndef REGION_WRONG_H
#define REGION_WRONG_H

#include <stddef.h>
#include <stdint.h>

enum wrong_then {
    WRONG_THEN_STAY = 0,
    WRONG_THEN_CUT,   /* the TCP connection ends without a close frame */
    WRONG_THEN_RESET, /* the same with RST */
};

struct wrong_frame {
    const char *name;
    const uint8_t *bytes;
    size_t len;
    enum wrong_then then;
};

/* Rows 1 to wrong_frame_count - 1; row 0 is none. */
extern const struct wrong_frame wrong_frames[];
extern const size_t wrong_frame_count;

#endif
