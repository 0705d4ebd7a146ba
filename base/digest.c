/* The one file that asks OpenSSL for digests. */
#include "base/digest.h"

#include <openssl/evp.h>

#include "base/assert.h"

void digest_sha1(const void *data, size_t len, uint8_t out[DIGEST_SHA1_BYTES])
{
    unsigned int out_len = 0;
    const int ok = EVP_Digest(data, len, out, &out_len, EVP_sha1(), NULL);
    ASSERT(ok == 1 && out_len == DIGEST_SHA1_BYTES);
}
