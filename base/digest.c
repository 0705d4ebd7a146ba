/* The one file that asks OpenSSL for digests and for HMAC. */
#include "base/digest.h"

/* For SHA-1 as it was before OpenSSL 3: see digest_sha1(). */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/evp.h>
#include <openssl/sha.h>

#include "base/assert.h"

static void digest(const EVP_MD *kind, const void *data, size_t len, uint8_t *out, size_t out_bytes)
{
    unsigned int out_len = 0;
    const int ok = EVP_Digest(data, len, out, &out_len, kind, NULL);
    ASSERT(ok == 1 && out_len == out_bytes);
}

/* Every WebSocket's handshake wants two of sixty bytes. EVP looks the algorithm up by its name each time, with two
 * locks, a context and its memory, which is twice the work of the digest. */
void digest_sha1(const void *data, size_t len, uint8_t out[DIGEST_SHA1_BYTES])
{
    SHA_CTX c;
    const bool ok = SHA1_Init(&c) == 1 && SHA1_Update(&c, data, len) == 1 && SHA1_Final(out, &c) == 1;
    ASSERT(ok);
}

void digest_sha256(const void *data, size_t len, uint8_t out[DIGEST_SHA256_BYTES])
{
    digest(EVP_sha256(), data, len, out, DIGEST_SHA256_BYTES);
}

size_t digest_bytes(enum digest_kind kind)
{
    static const uint8_t bytes[DIGEST_KIND_COUNT] = {
        [DIGEST_SHA256] = DIGEST_SHA256_BYTES, [DIGEST_SHA384] = 48, [DIGEST_SHA512] = DIGEST_MAX_BYTES};
    ASSERT((unsigned)kind < DIGEST_KIND_COUNT);
    return bytes[kind];
}

static const EVP_MD *md_of(enum digest_kind kind)
{
    switch (kind) {
    case DIGEST_SHA256:
        return EVP_sha256();
    case DIGEST_SHA384:
        return EVP_sha384();
    case DIGEST_SHA512:
        return EVP_sha512();
    case DIGEST_KIND_COUNT:
        break;
    }
    return NULL;
}

size_t digest_hmac(enum digest_kind kind, const void *key, size_t key_len, const struct digest_part *parts,
                   size_t part_count, uint8_t out[DIGEST_MAX_BYTES])
{
    size_t len = DIGEST_MAX_BYTES;

    ASSERT(key_len > 0);
    EVP_PKEY *k = EVP_PKEY_new_raw_private_key(EVP_PKEY_HMAC, NULL, key, key_len);
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    bool ok = k != NULL && c != NULL && EVP_DigestSignInit(c, NULL, md_of(kind), NULL, k) == 1;
    for (size_t i = 0; i < part_count && ok; i++)
        ok = EVP_DigestSignUpdate(c, parts[i].data, parts[i].len) == 1;
    ok = ok && EVP_DigestSignFinal(c, out, &len) == 1;
    EVP_MD_CTX_free(c);
    EVP_PKEY_free(k);
    ASSERT(ok && len == digest_bytes(kind));
    return len;
}

bool digest_equal(const uint8_t *a, const uint8_t *b, size_t len)
{
    volatile uint8_t difference = 0;

    for (size_t i = 0; i < len; i++)
        difference = (uint8_t)(difference | (a[i] ^ b[i]));
    return difference == 0;
}
