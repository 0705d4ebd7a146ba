/* The lines themselves are the keys of a map. */
#include "gateway/rules/revoked.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"

#define REVOKED_MAGIC 0x2e70ced9u
#define PREFIX_BYTES  4u    /* "jti:" and "sub:" */
#define ID_MAX_BYTES  8192u /* no token is longer */
#define NUMBER_BYTES  24u   /* of an int64_t */

struct revoked {
    uint32_t magic;
    struct map *lines;
};

struct revoked *revoked_create(const char *text)
{
    struct revoked *r;
    OBJ_NEW(r, REVOKED_MAGIC);
    r->lines = map_create();
    while (*text != '\0') {
        const size_t len = strcspn(text, "\r\n");
        size_t used = len;
        while (used > 0 && (text[used - 1] == ' ' || text[used - 1] == '\t'))
            used--;
        if (used > PREFIX_BYTES && text[0] != '#')
            (void)map_put(r->lines, text, used, r);
        text += len;
        text += strspn(text, "\r\n");
    }
    return r;
}

void revoked_destroy(struct revoked **rp)
{
    struct revoked *r = *rp;
    CHECK_OBJ(r, REVOKED_MAGIC);
    map_destroy(&r->lines);
    OBJ_FREE(rp, REVOKED_MAGIC);
}

static bool has_line(const struct revoked *r, const char *prefix, struct http_view id)
{
    char line[PREFIX_BYTES + ID_MAX_BYTES];
    if (id.data == NULL || id.len > ID_MAX_BYTES)
        return false;
    memcpy(line, prefix, PREFIX_BYTES);
    memcpy(line + PREFIX_BYTES, id.data, id.len);
    return map_get(r->lines, line, PREFIX_BYTES + id.len) != NULL;
}

/* A number is neither an id nor a subject (RFC 7519 section 4.1), but there are issuers who do not know. */
static bool has_number(const struct revoked *r, const char *prefix, const struct token_claims *claims, const char *name)
{
    char text[NUMBER_BYTES];
    int64_t number = 0;
    if (!token_claims_integer(claims, name, &number))
        return false;
    (void)snprintf(text, sizeof text, "%" PRId64, number);
    return has_line(r, prefix, http_view_of(text));
}

bool revoked_has(const struct revoked *r, const struct token_claims *claims)
{
    CHECK_OBJ(r, REVOKED_MAGIC);
    return has_line(r, "jti:", token_claims_id(claims)) || has_line(r, "sub:", token_claims_subject(claims)) ||
           has_number(r, "jti:", claims, "jti") || has_number(r, "sub:", claims, "sub");
}
