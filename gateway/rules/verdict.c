/* What came out for one request. */
#include "gateway/rules/verdict.h"

#include <string.h>

#include "base/assert.h"
#include "gateway/http/names.h"

void verdict_add(struct rules_verdict *v, const char *name, struct http_view value)
{
    ASSERT(v->add_count < RULES_MAX_FIELDS);
    v->add[v->add_count++] = (struct http_field){.name = http_view_of(name), .value = value};
}

void verdict_refuse(struct rules_verdict *v, uint16_t status, const char *reason)
{
    v->status = status;
    v->reason = reason;
}

void rules_verdict_fini(struct rules_verdict *v)
{
    if (v->claims != NULL)
        token_claims_unref(&v->claims);
}

static bool begins_with(struct http_view v, const char *lower)
{
    const size_t len = strlen(lower);
    return v.len >= len && http_view_is_nocase((struct http_view){v.data, len}, lower);
}

bool rules_drops_answer_field(const struct rules_verdict *v, struct http_view name)
{
    return v->replaces_cors && begins_with(name, "access-control-");
}

/* Behind many servers X_User_Id and X-User-Id are the same variable, so who may not send one may not send the other. */
bool rules_drops_request_field(const struct rules_verdict *v, struct http_view name)
{
    for (uint32_t i = 0; i < v->forward_count; i++)
        if (http_names_resemble(v->forward[i].name, name))
            return true;
    return false;
}
