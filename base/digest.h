/* Message digests. OpenSSL stays inside base/digest.c. */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#define DIGEST_SHA1_BYTES   20u
#define DIGEST_SHA256_BYTES 32u

/* SHA-1 of `data`; for the WebSocket handshake, which only needs it to be agreed upon, not to be strong. */
void digest_sha1(const void *data, size_t len, uint8_t out[DIGEST_SHA1_BYTES]);
/* SHA-256 (FIPS 180-4) of `data`. */
void digest_sha256(const void *data, size_t len, uint8_t out[DIGEST_SHA256_BYTES]);

#endif
