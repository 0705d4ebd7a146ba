/* Stored entries as cache/codec.h lays them out, for tests that alter them and make the checksum right again. */
#ifndef TESTS_UNIT_CACHE_STORED_H
#define TESTS_UNIT_CACHE_STORED_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/map.h"

#define STORED_VERSION       4u
#define STORED_CHECKSUM      8u
#define STORED_CHECKED       16u /* from here to the end */
#define STORED_FLAGS         16u
#define STORED_STATUS        20u
#define STORED_FIELD_COUNT   24u
#define STORED_TAG_COUNT     28u
#define STORED_KEY_BYTES     32u
#define STORED_STORED_BYTES  48u /* of the body, as it is stored */
#define STORED_BODY_BYTES    52u
#define STORED_WALL_MS       60u
#define STORED_AGE_MS        68u
#define STORED_FRESH_MS      76u
#define STORED_KEEP_MS       108u
#define STORED_POSITION      116u
#define STORED_FIELD_LENGTHS 132u

#define STORED_FLAG_ZSTD 1u

static inline void stored_seal(void *data, size_t len)
{
    static const uint8_t key[16] = "cached by a gate";
    if (len < STORED_CHECKED)
        return;
    const uint64_t sum = htole64(siphash24(key, (const char *)data + STORED_CHECKED, len - STORED_CHECKED));
    memcpy((char *)data + STORED_CHECKSUM, &sum, sizeof sum);
}

static inline uint32_t stored_u32(const void *data, size_t at)
{
    uint32_t n;
    memcpy(&n, (const char *)data + at, sizeof n);
    return le32toh(n);
}

static inline void stored_put_u32(void *data, size_t at, uint32_t n)
{
    n = htole32(n);
    memcpy((char *)data + at, &n, sizeof n);
}

static inline void stored_put_u64(void *data, size_t at, uint64_t n)
{
    n = htole64(n);
    memcpy((char *)data + at, &n, sizeof n);
}

#endif
