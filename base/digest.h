/* Message digests and codes that prove who wrote a message. OpenSSL stays inside base/digest.c. */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_SHA1_BYTES   20u
#define DIGEST_SHA256_BYTES 32u

/* SHA-1 of `data`; for the WebSocket handshake, which only needs it to be agreed upon, not to be strong. */
void digest_sha1(const void *data, size_t len, uint8_t out[DIGEST_SHA1_BYTES]);
/* SHA-256 (FIPS 180-4) of `data`. */
void digest_sha256(const void *data, size_t len, uint8_t out[DIGEST_SHA256_BYTES]);

enum digest_kind { DIGEST_SHA256 = 0, DIGEST_SHA384, DIGEST_SHA512, DIGEST_KIND_COUNT };
#define DIGEST_MAX_BYTES 64u
size_t digest_bytes(enum digest_kind kind);

struct digest_part {
    const void *data;
    size_t len;
};
/* HMAC (RFC 2104) over the parts as if they were one; its length. `key_len` is at least 1. */
size_t digest_hmac(enum digest_kind kind, const void *key, size_t key_len, const struct digest_part *parts,
                   size_t part_count, uint8_t out[DIGEST_MAX_BYTES]);
/* Compares secrets: how long it takes says nothing about where they differ. */
bool digest_equal(const uint8_t *a, const uint8_t *b, size_t len);

#endif
