/* Tokens taken back before their time: a route's list of token ids (jti) and subjects (sub). */
#ifndef GATEWAY_RULES_REVOKED_H
#define GATEWAY_RULES_REVOKED_H

#include <stdbool.h>

#include "gateway/rules/token_claims.h"

struct revoked;

/* From lines "jti:ID" and "sub:SUBJECT", "#" before remarks; others are passed over (the configuration's checks have
 * complained). */
struct revoked *revoked_create(const char *text);
void revoked_destroy(struct revoked **rp);
bool revoked_has(const struct revoked *r, const struct token_claims *claims);

#endif
