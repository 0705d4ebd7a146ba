/* The token of a request (RFC 6750, RFC 7519): found, its signature checked, its claims judged. */
#ifndef GATEWAY_RULES_TOKEN_H
#define GATEWAY_RULES_TOKEN_H

#include <stdint.h>

#include "gateway/http/head.h"
#include "gateway/rules/revoked.h"
#include "gateway/rules/token_cache.h"
#include "gateway/rules/token_source.h"

/* clang-format off */
/* What is wrong with a token: the words go to the client as well, so they say what it may know. */
#define TOKEN_FAULTS(X)                                            \
    X(TOKEN_MISSING,     "token missing")                          \
    X(TOKEN_NO_KEYS,     "keys not available yet")                 \
    X(TOKEN_AMBIGUOUS,   "more than one token")                    \
    X(TOKEN_MALFORMED,   "token malformed")                        \
    X(TOKEN_TYPE,        "token of an unknown type")               \
    X(TOKEN_ALGORITHM,   "algorithm not allowed")                  \
    X(TOKEN_UNKNOWN_KEY, "token signed with an unknown key")       \
    X(TOKEN_SIGNATURE,   "signature does not verify")              \
    X(TOKEN_EXPIRED,     "token expired")                          \
    X(TOKEN_TOO_EARLY,   "token not valid yet")                    \
    X(TOKEN_CLAIM,       "required claim missing or different")    \
    X(TOKEN_REVOKED,     "token revoked")

enum token_fault {
    TOKEN_GOOD = 0,
#define X(name, text) name,
    TOKEN_FAULTS(X)
#undef X
    TOKEN_FAULT_COUNT
};
/* clang-format on */

const char *token_fault_text(enum token_fault f);
/* The WWW-Authenticate field that goes with it (RFC 6750 section 3). */
const char *token_fault_challenge(enum token_fault f);

/* What a route wants of tokens. */
struct token_policy {
    const struct conf_jwt *conf;
    struct token_source *source;
    struct revoked *revoked; /* NULL: no list */
};

/* With TOKEN_GOOD *claims is a reference, or NULL for a request without token where the route lets it pass. `now_ms` is
 * monotonic, `wall_ms` Unix time. */
enum token_fault token_check(const struct token_policy *p, struct token_cache *cache, const struct http_head *request,
                             int64_t now_ms, int64_t wall_ms, struct token_claims **claims);

#endif
