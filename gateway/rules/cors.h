/* Pages of other origins (Fetch standard section 3.2, "CORS protocol"). Only browsers care, so a rule that is broken
 * shows as a missing field and the browser refuses; the gateway itself refuses what asks before it acts: preflights. */
#ifndef GATEWAY_RULES_CORS_H
#define GATEWAY_RULES_CORS_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/conf.h"
#include "gateway/http/head.h"
#include "gateway/rules/rules.h"

/* Whether an Origin field is one of the list: the same text, "*", or a name below a "*.". "null" is nobody but "*"'s.
 */
bool cors_origin_matches(const char *const *origins, size_t count, struct http_view origin);
/* OPTIONS with Origin and Access-Control-Request-Method. */
bool cors_is_preflight(const struct http_head *request);
/* The answer to a preflight: 204 or 403, with its fields. */
void cors_answer_preflight(const struct conf_cors *c, const struct http_head *request, struct rules_verdict *v);
/* The fields of any other answer of the route. */
void cors_decorate(const struct conf_cors *c, const struct http_head *request, struct rules_verdict *v);

#endif
