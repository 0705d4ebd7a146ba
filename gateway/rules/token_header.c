/* The one piece of a token that is parsed on anybody's word. Algorithm names are compared exactly: "none" in any
 * spelling, and whatever else is not on the list, is TOKEN_NO_ALGORITHM and goes no further. */
#include "gateway/rules/token_header.h"

#include <jansson.h>
#include <string.h>
#include <strings.h>

#include "base/base64.h"
#include "base/mem.h"

#define HEADER_MAX_BYTES 2048u /* of the part; real ones have a hundred */

static const struct {
    const char *name;
    enum conf_jwt_algorithm algorithm;
} algorithms[] = {{"HS256", JWT_HS256}, {"RS256", JWT_RS256}, {"ES256", JWT_ES256}};

static bool is_base64url(struct http_view v)
{
    for (size_t i = 0; i < v.len; i++) {
        const char c = v.data[i];
        if (!(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_')
            return false;
    }
    return v.len > 0;
}

bool token_split(struct http_view token, struct token_parts *out)
{
    if (token.data == NULL || token.len > TOKEN_MAX_BYTES)
        return false;
    const char *end = token.data + token.len;
    const char *first = memchr(token.data, '.', token.len);
    const char *second = first != NULL ? memchr(first + 1, '.', (size_t)(end - first - 1)) : NULL;
    if (second == NULL)
        return false;
    out->header = (struct http_view){token.data, (size_t)(first - token.data)};
    out->payload = (struct http_view){first + 1, (size_t)(second - first - 1)};
    out->signature = (struct http_view){second + 1, (size_t)(end - second - 1)};
    return is_base64url(out->header) && is_base64url(out->payload) && is_base64url(out->signature);
}

static bool read_header(const json_t *json, struct token_header *out)
{
    const json_t *alg = json_object_get(json, "alg");
    const json_t *typ = json_object_get(json, "typ");
    const json_t *kid = json_object_get(json, "kid");
    if (!json_is_string(alg) || (typ != NULL && !json_is_string(typ)) || (kid != NULL && !json_is_string(kid)))
        return false;
    for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++)
        if (strcmp(json_string_value(alg), algorithms[i].name) == 0)
            out->algorithm = algorithms[i].algorithm;
    out->is_jwt = (typ == NULL || strcasecmp(json_string_value(typ), "JWT") == 0) &&
                  json_object_get(json, "crit") == NULL && json_object_get(json, "b64") == NULL;
    out->has_kid = kid != NULL;
    if (kid == NULL)
        return true;
    if (json_string_length(kid) >= sizeof out->kid)
        return false;
    memcpy(out->kid, json_string_value(kid), json_string_length(kid) + 1);
    return true;
}

bool token_header_parse(struct http_view part, struct token_header *out)
{
    uint8_t text[BASE64_ROOM(HEADER_MAX_BYTES)];
    size_t len = 0;
    *out = (struct token_header){.algorithm = TOKEN_NO_ALGORITHM};
    if (part.len > HEADER_MAX_BYTES || !base64url_decode(part.data, part.len, text, &len))
        return false;
    json_t *json = json_loadb((const char *)text, len, JSON_REJECT_DUPLICATES, NULL);
    const bool is_good = json_is_object(json) && read_header(json, out);
    json_decref(json);
    return is_good;
}
