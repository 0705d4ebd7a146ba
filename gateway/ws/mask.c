/* Masking, a vector of bytes a turn: the key is turned to the phase and repeated over the vector. The compiler makes of
 * the vector what the machine has. */
#include "gateway/ws/mask.h"

#include <string.h>

#define LANES 4

typedef uint32_t lanes __attribute__((vector_size(4 * LANES)));

/* The key as it lies at a place that many bytes behind its beginning. */
static uint32_t turned(const uint8_t key[4], size_t phase)
{
    uint32_t word;
    uint8_t twice[8];
    memcpy(twice, key, 4);
    memcpy(twice + 4, key, 4);
    memcpy(&word, twice + (phase & 3), sizeof word);
    return word;
}

static inline void mask_bytes(uint8_t *out, const uint8_t *in, size_t len, const uint8_t key[4], size_t phase)
{
    const uint32_t word = turned(key, phase);
    const lanes mask = {word, word, word, word};
    lanes some;
    size_t i = 0;
    for (; i + sizeof mask <= len; i += sizeof mask) {
        memcpy(&some, in + i, sizeof some);
        some ^= mask;
        memcpy(out + i, &some, sizeof some);
    }
    for (uint32_t few; i + sizeof few <= len; i += sizeof few) {
        memcpy(&few, in + i, sizeof few);
        few ^= word;
        memcpy(out + i, &few, sizeof few);
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
