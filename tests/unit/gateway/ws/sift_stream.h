/* Streams of frames for the sifter, and the bounds it is tested with. */
#ifndef TESTS_UNIT_GATEWAY_WS_SIFT_STREAM_H
#define TESTS_UNIT_GATEWAY_WS_SIFT_STREAM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/ws/close.h"
#include "gateway/ws/mask.h"
#include "gateway/ws/sift.h"

#define LOOK        8u
#define TAKE        40u
#define MAX_MESSAGE 20000u
#define STREAM_MAX  32768u

struct bytes {
    size_t len;
    uint8_t data[STREAM_MAX];
};

static inline void add(struct bytes *b, const void *data, size_t len)
{
    assert_true(b->len + len <= sizeof b->data);
    if (len > 0)
        memcpy(b->data + b->len, data, len);
    b->len += len;
}

/* Each frame has a mask of its own. */
static inline void add_frame(struct bytes *b, enum ws_sender sender, uint8_t first, const void *payload, size_t len)
{
    uint8_t header[WS_HEADER_BYTES];
    const uint8_t key[4] = {0x37, 0xfa, (uint8_t)b->len, 0x3d};
    const bool is_masked = sender == WS_SENDER_CLIENT;
    add(b, header, ws_fragment_build(header, first, len, is_masked ? key : NULL));
    add(b, payload, len);
    if (is_masked && len > 0)
        ws_mask(b->data + b->len - len, len, key, 0);
}

#endif
