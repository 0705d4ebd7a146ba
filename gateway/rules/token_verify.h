/* The signature of a token (RFC 7515, JWS compact form), checked by libjwt, which is known to token_verify.c alone. */
#ifndef GATEWAY_RULES_TOKEN_VERIFY_H
#define GATEWAY_RULES_TOKEN_VERIFY_H

#include <stdbool.h>

#include "gateway/http/head.h"
#include "gateway/rules/token_keys.h"

/* Whether the token, which token_split() and token_header_parse() have found sound and of the key's algorithm, is
 * signed with the key. */
bool token_verify(struct http_view token, const struct token_key *key);

#endif
