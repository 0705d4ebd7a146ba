/* Keys made on the spot, and tokens signed with them: independent of the library under test, which only ever verifies.
 */
#ifndef TESTS_UNIT_GATEWAY_RULES_SIGN_H
#define TESTS_UNIT_GATEWAY_RULES_SIGN_H

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define SECRET "a secret of more than thirty-two bytes!"

static inline char *sign_base64url(const void *data, size_t len)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const uint8_t *p = data;
    char *out = mem_alloc(len * 4 / 3 + 4);
    size_t n = 0;
    for (size_t i = 0; i < len; i += 3) {
        const uint32_t v =
            (uint32_t)p[i] << 16 | (i + 1 < len ? (uint32_t)p[i + 1] << 8 : 0) | (i + 2 < len ? p[i + 2] : 0);
        const size_t count = len - i >= 3 ? 4 : len - i + 1;
        for (size_t j = 0; j < count; j++)
            out[n++] = letters[v >> (18 - 6 * j) & 63];
    }
    return out;
}

static inline EVP_PKEY *sign_rsa_key(int bits)
{
    EVP_PKEY *k = EVP_RSA_gen((unsigned)bits);
    assert_non_null(k);
    return k;
}

static inline EVP_PKEY *sign_ec_key(const char *curve)
{
    EVP_PKEY *k = EVP_EC_gen(curve);
    assert_non_null(k);
    return k;
}

static inline char *sign_public_pem(EVP_PKEY *key)
{
    BIO *b = BIO_new(BIO_s_mem());
    char *data = NULL;
    assert_int_equal(PEM_write_bio_PUBKEY(b, key), 1);
    const long len = BIO_get_mem_data(b, &data);
    char *pem = mem_strndup(data, (size_t)len);
    BIO_free(b);
    return pem;
}

/* {"kty": ..., <extra>}: the key as a JWK; `extra` is "" or more members, each behind a comma. */
static inline char *sign_jwk(EVP_PKEY *key, const char *extra)
{
    char *jwk = NULL;
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA) {
        BIGNUM *n = NULL, *e = NULL;
        uint8_t bytes[1024];
        assert_int_equal(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n), 1);
        assert_int_equal(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e), 1);
        char *n_text = sign_base64url(bytes, (size_t)BN_bn2bin(n, bytes));
        char *e_text = sign_base64url(bytes, (size_t)BN_bn2bin(e, bytes));
        jwk = mem_printf("{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"%s}", n_text, e_text, extra);
        mem_free(n_text);
        mem_free(e_text);
        BN_free(n);
        BN_free(e);
    } else {
        BIGNUM *x = NULL, *y = NULL;
        uint8_t bytes[32];
        assert_int_equal(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_X, &x), 1);
        assert_int_equal(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_Y, &y), 1);
        assert_int_equal(BN_bn2binpad(x, bytes, 32), 32);
        char *x_text = sign_base64url(bytes, 32);
        assert_int_equal(BN_bn2binpad(y, bytes, 32), 32);
        char *y_text = sign_base64url(bytes, 32);
        jwk = mem_printf("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\"%s}", x_text, y_text, extra);
        mem_free(x_text);
        mem_free(y_text);
        BN_free(x);
        BN_free(y);
    }
    return jwk;
}

/* "header.payload" of two JSON texts. */
static inline char *sign_input(const char *header, const char *payload)
{
    char *h = sign_base64url(header, strlen(header)), *p = sign_base64url(payload, strlen(payload));
    char *input = mem_printf("%s.%s", h, p);
    mem_free(h);
    mem_free(p);
    return input;
}

static inline char *sign_finish(char *input, const void *signature, size_t len)
{
    char *s = sign_base64url(signature, len);
    char *token = mem_printf("%s.%s", input, s);
    mem_free(s);
    mem_free(input);
    return token;
}

static inline char *sign_hs256_with(const char *header, const char *payload, const void *secret, size_t secret_len)
{
    uint8_t mac[32];
    unsigned len = 0;
    char *input = sign_input(header, payload);
    assert_non_null(HMAC(EVP_sha256(), secret, (int)secret_len, (const uint8_t *)input, strlen(input), mac, &len));
    return sign_finish(input, mac, len);
}

static inline char *sign_hs256(const char *payload)
{
    return sign_hs256_with("{\"alg\":\"HS256\",\"typ\":\"JWT\"}", payload, SECRET, strlen(SECRET));
}

/* An ECDSA signature as JWS wants it: r and s, 32 bytes each (RFC 7518 section 3.4). */
static inline void sign_ec_raw(const uint8_t *der, size_t der_len, uint8_t out[64])
{
    const uint8_t *p = der;
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long)der_len);
    assert_non_null(sig);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, 32), 32);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + 32, 32), 32);
    ECDSA_SIG_free(sig);
}

static inline char *sign_with(EVP_PKEY *key, const char *header, const char *payload)
{
    uint8_t signature[1024], raw[64];
    size_t len = sizeof signature;
    char *input = sign_input(header, payload);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
    assert_int_equal(EVP_DigestSign(ctx, signature, &len, (const uint8_t *)input, strlen(input)), 1);
    EVP_MD_CTX_free(ctx);
    if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC)
        return sign_finish(input, signature, len);
    sign_ec_raw(signature, len, raw);
    return sign_finish(input, raw, sizeof raw);
}

#endif
