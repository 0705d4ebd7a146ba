/* Numbers of a JWK become an OpenSSL key, which is checked and written as PEM, the form libjwt takes. */
#include "gateway/rules/token_keys.h"

#include <jansson.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/mem.h"

#define KEYS_MAGIC       0x3e75a61du
#define RSA_BITS_MIN     2048 /* RFC 7518 section 3.3 */
#define RSA_BITS_MAX     8192 /* a larger one is there to cost time */
#define NUMBER_MAX_BYTES 1024u
#define EC_BYTES         32u
#define SECRET_MIN_BYTES 32u
#define GROUP_NAME_BYTES 32u

struct token_keys {
    uint32_t magic;
    uint32_t count;
    struct token_key key[TOKEN_KEYS_MAX];
};

static struct token_keys *keys_create(void)
{
    struct token_keys *k;
    OBJ_NEW(k, KEYS_MAGIC);
    return k;
}

void token_keys_destroy(struct token_keys **kp)
{
    struct token_keys *k = *kp;
    CHECK_OBJ(k, KEYS_MAGIC);
    for (uint32_t i = 0; i < k->count; i++) {
        mem_wipe((void *)(uintptr_t)k->key[i].data, k->key[i].len);
        mem_free((void *)(uintptr_t)k->key[i].data);
        mem_free((void *)(uintptr_t)k->key[i].kid);
    }
    OBJ_FREE(kp, KEYS_MAGIC);
}

static void add_key(struct token_keys *k, enum conf_jwt_algorithm algorithm, const char *kid, const void *data,
                    size_t len)
{
    k->key[k->count++] = (struct token_key){.algorithm = algorithm,
                                            .kid = kid != NULL ? mem_strdup(kid) : NULL,
                                            .data = (const uint8_t *)mem_strndup(data, len),
                                            .len = len};
}

struct token_keys *token_keys_from_secret(const char *secret)
{
    struct token_keys *k = keys_create();
    add_key(k, JWT_HS256, NULL, secret, strlen(secret));
    return k;
}

/* ---- public keys ---- */

/* Which signature the key is for; false when it is none of ours, or weak. */
static bool judge(EVP_PKEY *pkey, enum conf_jwt_algorithm *algorithm)
{
    char group[GROUP_NAME_BYTES] = "";
    size_t group_len = 0;
    if (EVP_PKEY_get_base_id(pkey) == EVP_PKEY_RSA) {
        *algorithm = JWT_RS256;
        return EVP_PKEY_get_bits(pkey) >= RSA_BITS_MIN && EVP_PKEY_get_bits(pkey) <= RSA_BITS_MAX;
    }
    *algorithm = JWT_ES256;
    return EVP_PKEY_get_base_id(pkey) == EVP_PKEY_EC &&
           EVP_PKEY_get_group_name(pkey, group, sizeof group, &group_len) == 1 &&
           strcmp(group, SN_X9_62_prime256v1) == 0;
}

/* Adds it when it is good for something. */
static bool add_pkey(struct token_keys *k, const char *kid, EVP_PKEY *pkey)
{
    enum conf_jwt_algorithm algorithm;
    char *pem = NULL;
    bool is_added = false;
    BIO *out = BIO_new(BIO_s_mem());
    ASSERT(out != NULL);
    if (judge(pkey, &algorithm) && PEM_write_bio_PUBKEY(out, pkey) == 1) {
        const long len = BIO_get_mem_data(out, &pem);
        add_key(k, algorithm, kid, pem, (size_t)len);
        is_added = true;
    }
    BIO_free(out);
    return is_added;
}

/* An encrypted file must not make a process without a terminal ask for a password. */
static int no_password(char *buf, int size, int is_writing, void *arg)
{
    (void)buf;
    (void)size;
    (void)is_writing;
    (void)arg;
    return -1;
}

struct token_keys *token_keys_from_pem(const char *pem, char *error)
{
    struct token_keys *k = keys_create();
    BIO *in = BIO_new_mem_buf(pem, -1);
    ASSERT(in != NULL);
    EVP_PKEY *pkey = PEM_read_bio_PUBKEY(in, NULL, no_password, NULL);
    if (pkey == NULL)
        (void)snprintf(error, TOKEN_KEYS_ERROR_TEXT, "is not a public key in PEM");
    else if (!add_pkey(k, NULL, pkey))
        (void)snprintf(error, TOKEN_KEYS_ERROR_TEXT, "is neither RSA of %d to %d bits nor EC P-256", RSA_BITS_MIN,
                       RSA_BITS_MAX);
    EVP_PKEY_free(pkey);
    BIO_free(in);
    ERR_clear_error();
    if (k->count == 0)
        token_keys_destroy(&k);
    return k;
}

/* ---- JSON Web Keys ---- */

static const char *text_of(const json_t *jwk, const char *name)
{
    return json_string_value(json_object_get(jwk, name));
}

/* A member in base64url; 0 when it is absent, malformed or too long. */
static size_t number_of(const json_t *jwk, const char *name, uint8_t out[BASE64_ROOM(NUMBER_MAX_BYTES * 4 / 3)])
{
    const char *text = text_of(jwk, name);
    size_t len = 0;
    if (text == NULL || strlen(text) > NUMBER_MAX_BYTES * 4 / 3 || !base64url_decode(text, strlen(text), out, &len))
        return 0;
    return len;
}

/* NULL when the parameters make no valid public key. */
static EVP_PKEY *make_pkey(const char *type, OSSL_PARAM_BLD *builder)
{
    EVP_PKEY *pkey = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    ASSERT(params != NULL && ctx != NULL);
    if (EVP_PKEY_fromdata_init(ctx) != 1 || EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
        pkey = NULL;
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    if (pkey == NULL)
        return NULL;
    ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    ASSERT(ctx != NULL);
    const bool is_valid = EVP_PKEY_public_check(ctx) == 1; /* for EC: the point lies on the curve */
    EVP_PKEY_CTX_free(ctx);
    if (!is_valid) {
        EVP_PKEY_free(pkey);
        return NULL;
    }
    return pkey;
}

static EVP_PKEY *rsa_of(const json_t *jwk)
{
    uint8_t n[BASE64_ROOM(NUMBER_MAX_BYTES * 4 / 3)], e[BASE64_ROOM(NUMBER_MAX_BYTES * 4 / 3)];
    const size_t n_len = number_of(jwk, "n", n), e_len = number_of(jwk, "e", e);
    if (n_len < RSA_BITS_MIN / 8 || e_len == 0 || e_len > 8)
        return NULL;
    BIGNUM *n_number = BN_bin2bn(n, (int)n_len, NULL), *e_number = BN_bin2bn(e, (int)e_len, NULL);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    ASSERT(n_number != NULL && e_number != NULL && builder != NULL);
    EVP_PKEY *pkey = NULL;
    if (OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n_number) == 1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e_number) == 1)
        pkey = make_pkey("RSA", builder);
    OSSL_PARAM_BLD_free(builder);
    BN_free(n_number);
    BN_free(e_number);
    return pkey;
}

static EVP_PKEY *ec_of(const json_t *jwk)
{
    uint8_t number[BASE64_ROOM(NUMBER_MAX_BYTES * 4 / 3)];
    uint8_t point[1 + 2 * EC_BYTES] = {POINT_CONVERSION_UNCOMPRESSED};
    const char *curve = text_of(jwk, "crv");
    if (curve == NULL || strcmp(curve, "P-256") != 0 || number_of(jwk, "x", number) != EC_BYTES)
        return NULL;
    memcpy(point + 1, number, EC_BYTES);
    if (number_of(jwk, "y", number) != EC_BYTES)
        return NULL;
    memcpy(point + 1 + EC_BYTES, number, EC_BYTES);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    ASSERT(builder != NULL);
    EVP_PKEY *pkey = NULL;
    if (OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, SN_X9_62_prime256v1, 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point) == 1)
        pkey = make_pkey("EC", builder);
    OSSL_PARAM_BLD_free(builder);
    return pkey;
}

static bool lists_verify(const json_t *ops)
{
    for (size_t i = 0; i < json_array_size(ops); i++) {
        const char *op = json_string_value(json_array_get(ops, i));
        if (op != NULL && strcmp(op, "verify") == 0)
            return true;
    }
    return false;
}

/* The key's own word on what it is for (RFC 7517 section 4.2 to 4.4). */
static bool is_for(const json_t *jwk, const char *algorithm)
{
    const char *use = text_of(jwk, "use"), *alg = text_of(jwk, "alg");
    const json_t *ops = json_object_get(jwk, "key_ops");
    return (use == NULL || strcmp(use, "sig") == 0) && (alg == NULL || strcmp(alg, algorithm) == 0) &&
           (ops == NULL || lists_verify(ops));
}

static void add_jwk(struct token_keys *k, const json_t *jwk)
{
    const char *type = text_of(jwk, "kty"), *kid = text_of(jwk, "kid");
    EVP_PKEY *pkey = NULL;
    if (type == NULL)
        return;
    if (strcmp(type, "oct") == 0 && is_for(jwk, "HS256")) {
        uint8_t secret[BASE64_ROOM(NUMBER_MAX_BYTES * 4 / 3)];
        const size_t len = number_of(jwk, "k", secret);
        if (len >= SECRET_MIN_BYTES)
            add_key(k, JWT_HS256, kid, secret, len);
        mem_wipe(secret, sizeof secret);
    } else if (strcmp(type, "RSA") == 0 && is_for(jwk, "RS256")) {
        pkey = rsa_of(jwk);
    } else if (strcmp(type, "EC") == 0 && is_for(jwk, "ES256")) {
        pkey = ec_of(jwk);
    }
    if (pkey != NULL)
        (void)add_pkey(k, kid, pkey);
    EVP_PKEY_free(pkey);
}

struct token_keys *token_keys_from_jwks(const char *text, size_t len, char *error)
{
    json_t *json = len <= TOKEN_KEYS_TEXT_MAX ? json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL) : NULL;
    const json_t *list = json_object_get(json, "keys");
    struct token_keys *k = keys_create();
    for (size_t i = 0; i < json_array_size(list) && k->count < TOKEN_KEYS_MAX; i++)
        add_jwk(k, json_array_get(list, i));
    if (k->count == 0) {
        (void)snprintf(error, TOKEN_KEYS_ERROR_TEXT, "%s",
                       json_is_array(list) ? "has no key for HS256, RS256 or ES256" : "is not a JSON Web Key Set");
        token_keys_destroy(&k);
    }
    json_decref(json);
    ERR_clear_error();
    return k;
}

const struct token_key *token_keys_next(const struct token_keys *k, enum conf_jwt_algorithm algorithm, const char *kid,
                                        size_t *cursor)
{
    CHECK_OBJ(k, KEYS_MAGIC);
    while (*cursor < k->count) {
        const struct token_key *key = &k->key[(*cursor)++];
        const bool is_named = kid == NULL || key->kid == NULL || strcmp(kid, key->kid) == 0;
        if (key->algorithm == algorithm && is_named)
            return key;
    }
    return NULL;
}
