/* What the header of a signed token says (RFC 7515 section 4), read before anything about the token is known to be
 * true: it decides which key is tried, and nothing else. */
#ifndef GATEWAY_RULES_TOKEN_HEADER_H
#define GATEWAY_RULES_TOKEN_HEADER_H

#include <stdbool.h>

#include "conf/conf.h"
#include "gateway/http/head.h"

#define TOKEN_MAX_BYTES    8192u
#define TOKEN_KID_BYTES    256u
#define TOKEN_NO_ALGORITHM ((enum conf_jwt_algorithm)3)

struct token_parts {
    struct http_view header, payload, signature; /* base64url, views into the token; none is empty */
};
/* Three parts of base64url with dots between them, at most TOKEN_MAX_BYTES in all. */
bool token_split(struct http_view token, struct token_parts *out);

struct token_header {
    enum conf_jwt_algorithm algorithm; /* TOKEN_NO_ALGORITHM: another one, or none */
    bool is_jwt;                       /* typ is absent or JWT, and nothing in it must be understood ("crit") */
    bool has_kid;
    char kid[TOKEN_KID_BYTES]; /* NUL-terminated */
};
/* From the first part. False when it is not a JSON object that means one thing only. */
bool token_header_parse(struct http_view part, struct token_header *out);

#endif
