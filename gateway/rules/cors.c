/* Two kinds of answers, both of which depend on the Origin, which caches are told (Vary) unless every origin gets the
 * same: "*" without credentials. */
#include "gateway/rules/cors.h"

#include <stdio.h>
#include <string.h>

#include "gateway/http/text.h"
#include "gateway/rules/verdict.h"

/* `host` as an origin has it, in lower case: letters, digits, "-" and ".". */
static bool is_name(struct http_view host)
{
    for (size_t i = 0; i < host.len; i++)
        if (!text_is_alnum(host.data[i]) && host.data[i] != '-' && host.data[i] != '.' && host.data[i] != '_')
            return false;
    return host.len > 0;
}

static bool matches_one(const char *pattern, struct http_view origin)
{
    const char *star = strstr(pattern, "://*.");
    if (star == NULL)
        return http_view_is(origin, pattern);
    const size_t scheme_len = (size_t)(star - pattern) + 3;
    const char *below = star + 4; /* ".example.com" and the port */
    const size_t below_len = strlen(below);
    if (origin.len <= scheme_len + below_len || memcmp(origin.data, pattern, scheme_len) != 0 ||
        memcmp(origin.data + origin.len - below_len, below, below_len) != 0)
        return false;
    return is_name((struct http_view){origin.data + scheme_len, origin.len - scheme_len - below_len});
}

static bool is_any(const char *const *origins, size_t count)
{
    return count == 1 && strcmp(origins[0], "*") == 0;
}

bool cors_origin_matches(const char *const *origins, size_t count, struct http_view origin)
{
    if (origin.data == NULL)
        return false;
    if (is_any(origins, count))
        return true;
    for (size_t i = 0; i < count; i++)
        if (matches_one(origins[i], origin))
            return true;
    return false;
}

bool cors_is_preflight(const struct http_head *request)
{
    return http_view_is(request->method, "OPTIONS") && http_find(request, "origin") != NULL &&
           http_find(request, "access-control-request-method") != NULL;
}

/* What says who may read. False: this origin may not. */
static bool add_origin(const struct conf_cors *c, const struct http_head *request, struct rules_verdict *v)
{
    const struct http_view origin = http_value(request, "origin");
    if (http_count(request, "origin") != 1 || !cors_origin_matches(c->origins, c->origin_count, origin))
        return false;
    const bool is_star = is_any(c->origins, c->origin_count);
    verdict_add(v, "Access-Control-Allow-Origin", is_star ? http_view_of("*") : origin);
    if (c->credentials)
        verdict_add(v, "Access-Control-Allow-Credentials", http_view_of("true"));
    return true;
}

/* A list of field names, and nothing in it that could be more than that. */
static bool is_name_list(struct http_view v)
{
    for (size_t i = 0; i < v.len; i++)
        if (!text_is_tchar(v.data[i]) && v.data[i] != ',' && !text_is_space(v.data[i]))
            return false;
    return v.len > 0;
}

static void add_headers(const struct conf_cors *c, const struct http_head *request, struct rules_verdict *v)
{
    const struct http_view asked = http_value(request, "access-control-request-headers");
    const bool is_star = is_any(c->headers, c->header_count);
    if (is_star && is_name_list(asked)) /* itself, because "*" means nothing when there are credentials */
        verdict_add(v, "Access-Control-Allow-Headers", asked);
    else if (!is_star && c->header_count > 0)
        verdict_add(v, "Access-Control-Allow-Headers", http_view_of(c->headers_text));
}

void cors_answer_preflight(const struct conf_cors *c, const struct http_head *request, struct rules_verdict *v)
{
    v->replaces_cors = true;
    verdict_add(v, "Vary", http_view_of("Origin, Access-Control-Request-Method, Access-Control-Request-Headers"));
    if (!add_origin(c, request, v)) {
        v->status = 403;
        v->reason = "origin not allowed";
        return;
    }
    v->status = 204;
    verdict_add(v, "Access-Control-Allow-Methods", http_view_of(c->methods_text));
    add_headers(c, request, v);
    (void)snprintf(v->number_text, sizeof v->number_text, "%lld", (long long)(c->max_age_ms / 1000));
    verdict_add(v, "Access-Control-Max-Age", http_view_of(v->number_text));
}

void cors_decorate(const struct conf_cors *c, const struct http_head *request, struct rules_verdict *v)
{
    v->replaces_cors = true;
    if (!is_any(c->origins, c->origin_count))
        verdict_add(v, "Vary", http_view_of("Origin"));
    if (add_origin(c, request, v) && c->expose_count > 0)
        verdict_add(v, "Access-Control-Expose-Headers", http_view_of(c->expose_text));
}
