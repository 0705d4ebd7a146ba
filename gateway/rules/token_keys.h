/* Keys that signatures are checked with: a secret, a public key in PEM, or a JSON Web Key Set (RFC 7517). A set is
 * const once made. The only file that knows OpenSSL here is token_keys.c. */
#ifndef GATEWAY_RULES_TOKEN_KEYS_H
#define GATEWAY_RULES_TOKEN_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"

#define TOKEN_KEYS_MAX        32u
#define TOKEN_KEYS_TEXT_MAX   ((size_t)256 << 10) /* of a key set */
#define TOKEN_KEYS_ERROR_TEXT 120u

struct token_key {
    enum conf_jwt_algorithm algorithm; /* the one this key is for: a key never serves two kinds of signature */
    const char *kid;                   /* NULL: none */
    const uint8_t *data;               /* HS256: the secret; else SubjectPublicKeyInfo in PEM */
    size_t len;
};

struct token_keys;

/* NULL with what is wrong in `error` (TOKEN_KEYS_ERROR_TEXT). Of a key set the keys that cannot be used here (other
 * types, curves and uses, RSA below 2048 bits) are passed over; a set without any usable key is an error. */
struct token_keys *token_keys_from_secret(const char *secret);
struct token_keys *token_keys_from_pem(const char *pem, char *error);
struct token_keys *token_keys_from_jwks(const char *json, size_t len, char *error);
void token_keys_destroy(struct token_keys **kp);

/* The next key that a token of this algorithm and kid (NULL: it names none) may be signed with; start with *cursor = 0.
 * A key without kid may be any. NULL at the end. */
const struct token_key *token_keys_next(const struct token_keys *k, enum conf_jwt_algorithm algorithm, const char *kid,
                                        size_t *cursor);

#endif
