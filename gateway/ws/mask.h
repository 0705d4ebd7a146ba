/* Masking of client frames (RFC 6455 section 5.3), a word at a time. Masking twice gives the original. */
#ifndef GATEWAY_WS_MASK_H
#define GATEWAY_WS_MASK_H

#include <stddef.h>
#include <stdint.h>

/* `phase`: the place of the first byte in the payload; only its last two bits count. */
void ws_mask(uint8_t *data, size_t len, const uint8_t key[4], size_t phase);
/* The same from `in` to `out`, which do not overlap. */
void ws_mask_copy(uint8_t *out, const uint8_t *in, size_t len, const uint8_t key[4], size_t phase);

#endif
