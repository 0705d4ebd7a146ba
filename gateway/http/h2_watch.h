/* Looks at the headers of the frames a peer sends, before anything acts upon them, and says stop to floods: frames that
 * cost the receiver more than the sender (CVE-2019-9511 to 9518, CVE-2023-44487, CVE-2024-28182 and their kin).
 *
 * Every kind of frame that moves no request forward has a purse of tokens: so many at once, so many more per second.
 * What an honest peer does is far from emptying one. */
#ifndef GATEWAY_HTTP_H2_WATCH_H
#define GATEWAY_HTTP_H2_WATCH_H

#include <stddef.h>
#include <stdint.h>

#define H2_FRAME_HEADER_BYTES 9u

enum h2_purse {
    H2_PURSE_RESET = 0, /* streams the peer resets, or has us reset by breaking the rules on them */
    H2_PURSE_SETTINGS,
    H2_PURSE_PING,
    H2_PURSE_EMPTY, /* DATA, HEADERS and CONTINUATION without content that end nothing */
    H2_PURSE_PRIORITY,
    H2_PURSE_WINDOW, /* window updates beyond what the bytes sent explain */
    H2_PURSE_ODD,    /* frames of unknown types, repeated goodbyes */
    H2_PURSE_COUNT,
};

struct h2_watch {
    int64_t filled_ms;
    int64_t tokens[H2_PURSE_COUNT]; /* in thousandths */
    uint64_t left_bytes;            /* until the next frame's header */
    uint8_t header[H2_FRAME_HEADER_BYTES];
    uint8_t header_len;
    uint8_t block_frame_count; /* of the header block being received; 0: none is */
    const char *violation;     /* a few static words, once a purse is empty */
};

/* `skip_bytes`: what comes before the first frame. */
void h2_watch_init(struct h2_watch *w, size_t skip_bytes, int64_t now_ms);
/* How many of the bytes may be acted upon: all of them, or those before the frame that is too much; then `violation` is
 * set and stays so. */
size_t h2_watch_feed(struct h2_watch *w, const uint8_t *data, size_t len, int64_t now_ms);
/* Takes a token for something that is not a frame's header; sets `violation` when there is none. */
void h2_watch_charge(struct h2_watch *w, enum h2_purse p);
/* Puts tokens back, for what makes honest peers send such frames; never more than the purse holds. */
void h2_watch_credit(struct h2_watch *w, enum h2_purse p, uint32_t count);

#endif
