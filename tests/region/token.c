#include "tests/region/token.h"

#include <jansson.h>
#include <string.h>

#include "base/base64.h"
#include "base/mem.h"

bool token_read(const char *text, int64_t *expires_s)
{
    const char *payload = strchr(text, '.');
    const char *end = payload == NULL ? NULL : strchr(payload + 1, '.');
    json_t *claims = NULL;
    uint8_t *bytes;
    size_t len;
    bool is_token;

    *expires_s = 0;
    if (end == NULL)
        return false;
    payload++;
    bytes = mem_alloc(BASE64_ROOM((size_t)(end - payload)));
    if (base64url_decode(payload, (size_t)(end - payload), bytes, &len))
        claims = json_loadb((const char *)bytes, len, 0, NULL);
    is_token = json_is_object(claims);
    if (is_token)
        *expires_s = (int64_t)json_number_value(json_object_get(claims, "exp"));
    json_decref(claims);
    mem_free(bytes);
    return is_token;
}
