/* The order is that of trust: the form, then which key and algorithm (the route's choice, not the token's), then the
 * signature, and only then what the token says. */
#include "gateway/rules/token.h"

#include <string.h>

#include "base/assert.h"
#include "base/base64.h"
#include "gateway/http/text.h"
#include "gateway/rules/token_header.h"
#include "gateway/rules/token_verify.h"

#define KEYS_TRIED_MAX 4u /* of a token without kid; each costs a signature check */

#define CHALLENGE(text) "Bearer error=\"invalid_token\", error_description=\"" text "\""

static const char *const fault_texts[TOKEN_FAULT_COUNT] = {
#define X(name, text) [name] = text,
    TOKEN_FAULTS(X)
#undef X
};
static const char *const challenges[TOKEN_FAULT_COUNT] = {
#define X(name, text) [name] = CHALLENGE(text),
    TOKEN_FAULTS(X)
#undef X
};

const char *token_fault_text(enum token_fault f)
{
    ASSERT(f > TOKEN_GOOD && f < TOKEN_FAULT_COUNT);
    return fault_texts[f];
}

const char *token_fault_challenge(enum token_fault f)
{
    ASSERT(f > TOKEN_GOOD && f < TOKEN_FAULT_COUNT);
    return f == TOKEN_MISSING ? "Bearer" : challenges[f]; /* who did not try learns no error (section 3.1) */
}

/* ---- where it stands ---- */

static struct http_view after_scheme(struct http_view value)
{
    static const char scheme[] = "bearer ";
    const size_t len = sizeof scheme - 1;
    if (value.len < len || !http_view_is_nocase((struct http_view){value.data, len}, scheme))
        return (struct http_view){0};
    return text_trim((struct http_view){value.data + len, value.len - len});
}

/* `name=value` in text with `separator` between such. Counts how many there are; the value is that of the first. */
static unsigned find_pair(struct http_view text, char separator, const char *name, struct http_view *value)
{
    const size_t name_len = strlen(name);
    unsigned count = 0;
    while (text.len > 0) {
        const char *end = memchr(text.data, separator, text.len);
        const size_t len = end != NULL ? (size_t)(end - text.data) : text.len;
        const struct http_view pair = text_trim((struct http_view){text.data, len});
        if (pair.len > name_len && pair.data[name_len] == '=' && memcmp(pair.data, name, name_len) == 0 && count++ == 0)
            *value = (struct http_view){pair.data + name_len + 1, pair.len - name_len - 1};
        text.data += len + (end != NULL);
        text.len -= len + (end != NULL);
    }
    return count;
}

static unsigned find_cookie(const struct http_head *request, const char *name, struct http_view *value)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < request->field_count; i++)
        if (http_view_is_nocase(request->fields[i].name, "cookie"))
            count += find_pair(request->fields[i].value, ';', name, value);
    return count;
}

/* Two tokens in one place may be read differently by whoever comes next, so neither counts. */
static enum token_fault find_token(const struct conf_jwt *j, const struct http_head *request, struct http_view *token)
{
    unsigned count = j->header[0] != '\0' ? http_count(request, j->header) : 0;
    *token = (struct http_view){0};
    if (count > 1)
        return TOKEN_AMBIGUOUS;
    if (count == 1) {
        const struct http_view value = http_value(request, j->header);
        *token = after_scheme(value);
        if (token->data == NULL && strcmp(j->header, "authorization") != 0)
            *token = value;
    }
    if (token->len == 0 && j->query[0] != '\0')
        count = find_pair(request->query, '&', j->query, token);
    if (token->len == 0 && j->cookie[0] != '\0')
        count = find_cookie(request, j->cookie, token);
    if (count > 1)
        return TOKEN_AMBIGUOUS;
    return token->len > 0 ? TOKEN_GOOD : TOKEN_MISSING;
}

/* ---- signature ---- */

static struct token_claims *read_claims(struct http_view payload)
{
    uint8_t text[BASE64_ROOM(TOKEN_MAX_BYTES)];
    size_t len = 0;
    if (payload.len > TOKEN_MAX_BYTES || !base64url_decode(payload.data, payload.len, text, &len))
        return NULL;
    return token_claims_parse(text, len);
}

static enum token_fault check_signature(const struct token_policy *p, struct http_view token,
                                        const struct token_header *header, int64_t now_ms)
{
    const char *kid = header->has_kid ? header->kid : NULL;
    size_t cursor = 0;
    enum token_fault fault = TOKEN_UNKNOWN_KEY;
    for (unsigned i = 0; i < KEYS_TRIED_MAX; i++) {
        const struct token_key *key = token_keys_next(p->source->keys, header->algorithm, kid, &cursor);
        if (key == NULL)
            break;
        if (token_verify(token, key))
            return TOKEN_GOOD;
        fault = TOKEN_SIGNATURE;
    }
    if (fault == TOKEN_UNKNOWN_KEY)
        token_source_want_early(p->source, now_ms);
    return fault;
}

static bool is_allowed(const struct conf_jwt *j, enum conf_jwt_algorithm algorithm)
{
    return algorithm != TOKEN_NO_ALGORITHM && (j->algorithms & 1u << algorithm) != 0;
}

/* The claims of a token nobody has seen yet; a reference. */
static enum token_fault verify(const struct token_policy *p, struct http_view token, int64_t now_ms,
                               enum conf_jwt_algorithm *algorithm, struct token_claims **claims)
{
    struct token_parts parts;
    struct token_header header;
    if (!token_split(token, &parts) || !token_header_parse(parts.header, &header))
        return TOKEN_MALFORMED;
    if (!header.is_jwt)
        return TOKEN_TYPE;
    if (!is_allowed(p->conf, header.algorithm))
        return TOKEN_ALGORITHM;
    const enum token_fault fault = check_signature(p, token, &header, now_ms);
    if (fault != TOKEN_GOOD)
        return fault;
    *algorithm = header.algorithm;
    *claims = read_claims(parts.payload);
    return *claims != NULL ? TOKEN_GOOD : TOKEN_MALFORMED;
}

/* ---- claims ---- */

static bool has_required(const struct conf_jwt *j, const struct token_claims *claims)
{
    for (size_t i = 0; i < j->required_count;) {
        const char *name = j->required[i].name;
        bool is_one = false;
        for (; i < j->required_count && strcmp(j->required[i].name, name) == 0; i++) {
            const char *value = j->required[i].value;
            is_one = is_one || (strcmp(value, "*") == 0 ? token_claims_has_any(claims, name)
                                                        : token_claims_has(claims, name, value));
        }
        if (!is_one)
            return false;
    }
    return true;
}

static enum token_fault judge(const struct token_policy *p, const struct token_claims *claims, int64_t wall_ms)
{
    const int64_t leeway_ms = p->conf->leeway_ms;
    const int64_t expires_ms = token_claims_expires_ms(claims);
    if (expires_ms != 0 && wall_ms >= expires_ms + leeway_ms)
        return TOKEN_EXPIRED;
    if (token_claims_not_before_ms(claims) > wall_ms + leeway_ms ||
        token_claims_issued_ms(claims) > wall_ms + leeway_ms)
        return TOKEN_TOO_EARLY;
    if (!has_required(p->conf, claims))
        return TOKEN_CLAIM;
    return p->revoked != NULL && revoked_has(p->revoked, claims) ? TOKEN_REVOKED : TOKEN_GOOD;
}

enum token_fault token_check(const struct token_policy *p, struct token_cache *cache, const struct http_head *request,
                             int64_t now_ms, int64_t wall_ms, struct token_claims **claims)
{
    struct http_view token;
    struct token_claims *found = NULL;
    enum conf_jwt_algorithm algorithm = TOKEN_NO_ALGORITHM;
    enum token_fault fault = find_token(p->conf, request, &token);
    *claims = NULL;
    if (fault == TOKEN_MISSING && p->conf->optional)
        return TOKEN_GOOD;
    if (fault != TOKEN_GOOD)
        return fault;
    if (p->source->keys == NULL)
        return TOKEN_NO_KEYS;
    if (token.len > TOKEN_MAX_BYTES)
        return TOKEN_MALFORMED;
    struct token_claims *known = token_cache_get(cache, p->source->keys_id, token, &algorithm);
    if (known != NULL) {
        found = token_claims_ref(known);
        fault = is_allowed(p->conf, algorithm) ? TOKEN_GOOD : TOKEN_ALGORITHM;
    } else {
        fault = verify(p, token, now_ms, &algorithm, &found);
        if (fault == TOKEN_GOOD)
            token_cache_put(cache, p->source->keys_id, token, algorithm, found);
    }
    if (fault == TOKEN_GOOD)
        fault = judge(p, found, wall_ms);
    if (fault == TOKEN_GOOD)
        *claims = found;
    else if (found != NULL)
        token_claims_unref(&found);
    return fault;
}
