/* Putting a verdict together; what users of the library see of it is in rules.h. */
#ifndef GATEWAY_RULES_VERDICT_H
#define GATEWAY_RULES_VERDICT_H

#include "gateway/rules/rules.h"

/* Adds a field to the answer. `name` is static; `value` outlives the verdict. */
void verdict_add(struct rules_verdict *v, const char *name, struct http_view value);
/* The request gets no further. `reason` is static. */
void verdict_refuse(struct rules_verdict *v, uint16_t status, const char *reason);

#endif
