/* Masking, eight bytes a turn: the key is turned to the phase, doubled to a word, and xored over the bytes. The
 * compiler makes vectors of the loop. */
#include "gateway/ws/mask.h"

#include <string.h>

static uint64_t mask_word(const uint8_t key[4], size_t phase)
{
    uint8_t turned[8];
    for (size_t i = 0; i < sizeof turned; i++)
        turned[i] = key[(phase + i) & 3];
    uint64_t word;
    memcpy(&word, turned, sizeof word);
    return word;
}

static inline void mask_bytes(uint8_t *out, const uint8_t *in, size_t len, const uint8_t key[4], size_t phase)
{
    uint64_t mask = mask_word(key, phase);
    size_t i = 0;
    for (; i + sizeof mask <= len; i += sizeof mask) {
        uint64_t word;
        memcpy(&word, in + i, sizeof word);
        word ^= mask;
        memcpy(out + i, &word, sizeof word);
    }
    for (; i < len; i++)
        out[i] = (uint8_t)(in[i] ^ key[(phase + i) & 3]);
}

void ws_mask(uint8_t *data, size_t len, const uint8_t key[4], size_t phase)
{
    mask_bytes(data, data, len, key, phase);
}

void ws_mask_copy(uint8_t *restrict out, const uint8_t *restrict in, size_t len, const uint8_t key[4], size_t phase)
{
    mask_bytes(out, in, len, key, phase);
}
