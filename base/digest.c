/* The one file that asks OpenSSL for digests. */
#include "base/digest.h"

#include <openssl/evp.h>

#include "base/assert.h"

static void digest(const EVP_MD *kind, const void *data, size_t len, uint8_t *out, size_t out_bytes)
{
    unsigned int out_len = 0;
    const int ok = EVP_Digest(data, len, out, &out_len, kind, NULL);
    ASSERT(ok == 1 && out_len == out_bytes);
}

void digest_sha1(const void *data, size_t len, uint8_t out[DIGEST_SHA1_BYTES])
{
    digest(EVP_sha1(), data, len, out, DIGEST_SHA1_BYTES);
}

void digest_sha256(const void *data, size_t len, uint8_t out[DIGEST_SHA256_BYTES])
{
    digest(EVP_sha256(), data, len, out, DIGEST_SHA256_BYTES);
}
