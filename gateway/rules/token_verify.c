/* libjwt 1.10 does three things in jwt_decode(): takes the token apart, checks the signature with the one key it is
 * given, parses the claims. Only the second is used. What it is lax about is settled before: which algorithms count
 * (it would take "none" for a token without signature), that the algorithm fits the kind of key (a public key must not
 * pass for the secret of HS256), strict base64url, duplicate members. Its comparison of HS256 digests runs in constant
 * time since Debian's 1.10.2-1+deb12u1 (CVE-2024-25189).
 *
 * It takes no token with a typ other than JWT; token_header_parse() says so first. */
#include "gateway/rules/token_verify.h"

#include <jwt.h>
#include <openssl/err.h>
#include <string.h>

#include "base/assert.h"
#include "gateway/rules/token_header.h"

static const jwt_alg_t algorithms[] = {
    [JWT_HS256] = JWT_ALG_HS256, [JWT_RS256] = JWT_ALG_RS256, [JWT_ES256] = JWT_ALG_ES256};

bool token_verify(struct http_view token, const struct token_key *key)
{
    char text[TOKEN_MAX_BYTES + 1];
    jwt_t *jwt = NULL;
    ASSERT(token.len < sizeof text && key->len > 0);
    memcpy(text, token.data, token.len);
    text[token.len] = '\0';
    const bool is_decoded = jwt_decode(&jwt, text, key->data, (int)key->len) == 0 && jwt != NULL;
    const bool is_good = is_decoded && jwt_get_alg(jwt) == algorithms[key->algorithm];
    if (is_decoded)
        jwt_free(jwt);
    ERR_clear_error(); /* a failed check leaves its reasons behind, and TLS must not take them for its own */
    return is_good;
}
