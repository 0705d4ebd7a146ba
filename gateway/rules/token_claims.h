/* The claims of a token whose signature was found good (RFC 7519 section 4): one JSON object, ref-counted, const. */
#ifndef GATEWAY_RULES_TOKEN_CLAIMS_H
#define GATEWAY_RULES_TOKEN_CLAIMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/http/head.h"

struct token_claims;

/* From the payload of a token. NULL when it is not one JSON object, names a member twice, nests too deep, or holds a
 * time (exp, nbf, iat) that is no sane number. */
struct token_claims *token_claims_parse(const void *json, size_t len);
struct token_claims *token_claims_ref(struct token_claims *c);
void token_claims_unref(struct token_claims **cp);

/* Unix time in milliseconds; 0 when the token does not say. */
int64_t token_claims_expires_ms(const struct token_claims *c);    /* exp */
int64_t token_claims_not_before_ms(const struct token_claims *c); /* nbf */
int64_t token_claims_issued_ms(const struct token_claims *c);     /* iat */
/* Text claims; data NULL when absent. Valid as long as the claims. */
struct http_view token_claims_subject(const struct token_claims *c); /* sub */
struct http_view token_claims_id(const struct token_claims *c);      /* jti */
/* A claim that is an integer; false when it is none. Not a path. */
bool token_claims_integer(const struct token_claims *c, const char *name, int64_t *value);

/* The claim at a dotted path ("app_metadata.role"; a member whose name has the dots in it comes first) as text: a
 * string as it is, numbers and true and false as in JSON, a list of these joined with commas. data NULL when absent, or
 * an object. Valid as long as the claims. */
struct http_view token_claims_text(struct token_claims *c, const char *path);
/* Whether the claim is there and equals `value` as text, or is a list with an element that does. */
bool token_claims_has(const struct token_claims *c, const char *path, const char *value);
bool token_claims_has_any(const struct token_claims *c, const char *path); /* is there at all, not null */

#endif
