/* Tokens whose signature was found good, so that a page that polls with one token costs one signature check and not one
 * for each request. Only the signature is remembered: times, claims and revocation are judged anew each time. Bounded;
 * the token used longest ago makes room. */
#ifndef GATEWAY_RULES_TOKEN_CACHE_H
#define GATEWAY_RULES_TOKEN_CACHE_H

#include <stdint.h>

#include "conf/conf.h"
#include "gateway/http/head.h"
#include "gateway/rules/token_claims.h"

#define TOKEN_CACHE_COUNT 4096u
#define TOKEN_CACHE_BYTES ((size_t)4 << 20) /* of tokens; their claims take a small multiple */

struct token_cache;

struct token_cache *token_cache_create(void);
void token_cache_destroy(struct token_cache **cp);

/* The claims (borrowed) of a token checked with the keys `keys_id`, and its algorithm; NULL when it is not known. */
struct token_claims *token_cache_get(struct token_cache *c, uint64_t keys_id, struct http_view token,
                                     enum conf_jwt_algorithm *algorithm);
/* Remembers one that get() did not find. A reference to the claims is taken. */
void token_cache_put(struct token_cache *c, uint64_t keys_id, struct http_view token, enum conf_jwt_algorithm algorithm,
                     struct token_claims *claims);

#endif
