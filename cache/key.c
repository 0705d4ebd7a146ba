/* Keys, and what of a request they let through to the origin. A key is built for every request of a cached route, so
 * nothing is allocated beyond the caller's buffer, and what is in its normal form already is copied as it is.
 *
 * A part is a letter, four hexadecimal digits of its length, and its bytes: whoever reads from the beginning knows
 * where each ends, so two requests that differ in any part have different keys, whatever the parts hold. */
#include "cache/key.h"

#include <string.h>

#include "base/digest.h"
#include "cache/key_priv.h"
#include "gateway/http/text.h"

#define PART_HEAD_BYTES 5u
_Static_assert(CACHE_KEY_BYTES_MAX <= 0xffff, "four digits tell a length");
/* What most keys take. */
#define USUAL_BYTES 512u

/* Values that must not be found in memory dumps and in Redis. */
static const char *const secrets[] = {"authorization", "cookie",  "proxy-authorization",
                                      "apikey",        "api-key", "x-api-key"};

/* The gateway goes on with what trusted proxies say here, and writes it anew for all others. */
static const char *const continued[] = {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "traceparent",
                                        "tracestate"};
/* Of these what decides about answers, not only about logs. */
static const char *const continued_in_key[] = {"x-forwarded-proto", "x-forwarded-host"};

/* They say what the hashed body is. */
static const char *const of_body[] = {"content-type", "content-encoding"};

static const char hex_digits[] = "0123456789abcdef";

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

/* ---- parts ---- */

/* A part with room for `len` bytes, to be written by the caller at once; NULL (and the key failed) when too long. */
static char *part_room(struct strbuf *out, enum key_part kind, size_t len)
{
    if (len > CACHE_KEY_BYTES_MAX) {
        out->failed = true;
        return NULL;
    }
    char *to = strbuf_extend(out, PART_HEAD_BYTES + len);
    if (to == NULL)
        return NULL;
    to[0] = (char)kind;
    to[1] = hex_digits[len >> 12 & 0xf];
    to[2] = hex_digits[len >> 8 & 0xf];
    to[3] = hex_digits[len >> 4 & 0xf];
    to[4] = hex_digits[len & 0xf];
    return to + PART_HEAD_BYTES;
}

void key_part_add(struct strbuf *out, enum key_part kind, struct http_view text)
{
    char *to = part_room(out, kind, text.len);
    if (to != NULL && text.len > 0)
        memcpy(to, text.data, text.len);
}

static void add_digest(struct strbuf *out, enum key_part kind, const uint8_t digest[DIGEST_SHA256_BYTES])
{
    char *to = part_room(out, kind, (size_t)2 * DIGEST_SHA256_BYTES);
    if (to != NULL)
        (void)hex_text(digest, DIGEST_SHA256_BYTES, to);
}

void key_part_add_sha256(struct strbuf *out, enum key_part kind, struct http_view text)
{
    uint8_t digest[DIGEST_SHA256_BYTES];
    digest_sha256(text.data, text.len, digest);
    add_digest(out, kind, digest);
}

bool key_field_is_secret(struct http_view name)
{
    return http_view_is_any(name, secrets, COUNT(secrets));
}

/* Each field of its own: to an origin that takes the first or the last of them, "a" and "b" are not "a, b". */
static void add_fields(struct strbuf *out, const struct http_head *request, const char *name)
{
    const struct http_view n = http_view_of(name);
    key_part_add(out, KEY_PART_FIELD, n);
    for (uint32_t i = 0; i < request->field_count; i++) {
        const struct http_field *f = &request->fields[i];
        if (!http_view_equal_nocase(f->name, n))
            continue;
        if (key_field_is_secret(f->name))
            key_part_add_sha256(out, KEY_PART_DIGEST, f->value);
        else
            key_part_add(out, KEY_PART_VALUE, f->value);
    }
}

/* ---- method, host, query ---- */

/* The letter of a method that may be answered from the cache, 0 for the others. */
static char method_letter(const struct http_head *request, const uint8_t *body_hash)
{
    if (body_hash != NULL)
        return http_view_is(request->method, "POST") ? 'P' : '\0';
    const bool is_read = http_view_is(request->method, "GET") || http_view_is(request->method, "HEAD");
    return is_read && request->content_length <= 0 && !request->is_chunked ? 'G' : '\0';
}

struct host {
    struct http_view name;
    struct http_view port; /* with its colon; empty when it is the scheme's own */
};

static struct host host_of(struct http_view authority, bool is_tls)
{
    struct host h = {.name = authority};
    const bool is_literal = authority.len > 0 && authority.data[0] == '[';
    const char *at = authority.len > 0 ? memchr(authority.data, is_literal ? ']' : ':', authority.len) : NULL;
    if (at != NULL) {
        h.name.len = (size_t)(at - authority.data) + (is_literal ? 1 : 0);
        h.port = (struct http_view){.data = authority.data + h.name.len, .len = authority.len - h.name.len};
    }
    if (h.port.len == 1 || http_view_is(h.port, is_tls ? ":443" : ":80"))
        h.port.len = 0;
    if (h.name.len > 1 && h.name.data[h.name.len - 1] == '.')
        h.name.len--;
    return h;
}

static void write_host(char *to, const struct host *h)
{
    for (size_t i = 0; i < h->name.len; i++)
        to[i] = text_lower(h->name.data[i]);
    if (h->port.len > 0)
        memcpy(to + h->name.len, h->port.data, h->port.len);
}

struct http_view cache_key_host(struct http_texts *t, struct http_view authority, bool is_tls)
{
    const struct host h = host_of(authority, is_tls);
    const size_t len = h.name.len + h.port.len;
    bool is_normal = len == authority.len;
    for (size_t i = 0; is_normal && i < h.name.len; i++)
        is_normal = text_lower(authority.data[i]) == authority.data[i];
    if (is_normal)
        return authority;
    char *room = http_texts_room(t, len);
    if (room != NULL)
        write_host(room, &h);
    return (struct http_view){.data = room, .len = room != NULL ? len : 0};
}

static void add_host(struct strbuf *out, struct http_view authority, bool is_tls)
{
    if (authority.data == NULL)
        return;
    const struct host h = host_of(authority, is_tls);
    char *to = part_room(out, KEY_PART_HOST, h.name.len + h.port.len);
    if (to != NULL)
        write_host(to, &h);
}

static bool add_query(struct strbuf *out, const struct conf_route *r, struct http_view query)
{
    struct key_query q;
    if (!key_query_make(&q, r, query))
        return false;
    char *to = q.as_is.data != NULL ? part_room(out, KEY_PART_QUERY, q.len) : NULL;
    if (to != NULL)
        key_query_write(&q, to);
    return true;
}

/* ---- who is asking ---- */

bool key_field_is_listed(const struct conf_route *r, struct http_view name)
{
    return http_view_is_any(name, r->cache.headers, r->cache.header_count);
}

static bool is_bearer(struct http_view said, struct http_view token)
{
    static const char scheme[] = "bearer ";
    const size_t len = sizeof scheme - 1;
    return token.len > 0 && said.len == len + token.len &&
           http_view_is_nocase((struct http_view){said.data, len}, scheme) &&
           memcmp(said.data + len, token.data, token.len) == 0;
}

static void add_claims(struct strbuf *out, const struct conf_cache_route *c, const struct http_view *values)
{
    for (size_t i = 0; i < c->claim_count; i++) {
        key_part_add(out, KEY_PART_CLAIM, http_view_of(c->claims[i]));
        if (values[i].data != NULL)
            key_part_add(out, KEY_PART_VALUE, values[i]);
    }
}

/* Scope, and with it the Authorization the origin will see: whatever it says must be in the key. */
static bool add_scope(struct strbuf *out, const struct conf_route *r, const struct http_head *request,
                      const struct cache_who *who)
{
    const struct conf_cache_route *c = &r->cache;
    if (c->scope == CACHE_SCOPE_PUBLIC)
        return true;
    const struct http_view said = http_value(request, "authorization");
    const bool is_token = is_bearer(said, who->token);
    if (said.data != NULL && http_count(request, "authorization") > 1)
        return false;
    if (c->scope == CACHE_SCOPE_TOKEN) {
        if (said.data != NULL)
            key_part_add_sha256(out, KEY_PART_AUTHORIZATION, said);
        if (who->token.data != NULL && !is_token)
            key_part_add_sha256(out, KEY_PART_TOKEN, who->token);
        return true;
    }
    if (who->claims != NULL)
        add_claims(out, c, who->claims);
    return said.data == NULL || (who->claims != NULL && is_token) ||
           key_field_is_listed(r, http_view_of("authorization"));
}

/* ---- the whole ---- */

bool cache_key_build(struct strbuf *out, const struct conf_route *r, const struct http_head *request, bool is_tls,
                     const struct cache_who *who, const uint8_t *body_hash)
{
    const char method[] = {method_letter(request, body_hash), is_tls ? 's' : 'h'};
    if (method[0] == '\0')
        return false;
    strbuf_reserve(out, USUAL_BYTES);
    key_part_add(out, KEY_PART_ROUTE, http_view_of(r->name));
    key_part_add(out, KEY_PART_METHOD, (struct http_view){method, sizeof method});
    add_host(out, request->authority, is_tls);
    key_part_add(out, KEY_PART_PATH, request->path);
    if (!add_query(out, r, request->query))
        return false;
    for (size_t i = 0; i < r->cache.header_count; i++)
        add_fields(out, request, r->cache.headers[i]);
    for (size_t i = 0; who->is_trusted && i < COUNT(continued_in_key); i++)
        add_fields(out, request, continued_in_key[i]);
    if (!add_scope(out, r, request, who))
        return false;
    if (body_hash != NULL) {
        add_digest(out, KEY_PART_BODY, body_hash);
        for (size_t i = 0; i < COUNT(of_body); i++)
            add_fields(out, request, of_body[i]);
    }
    return !out->failed && out->len <= CACHE_KEY_BYTES_MAX;
}

bool cache_key_passes(const struct conf_route *r, struct http_view name, bool is_post)
{
    if (http_view_is_nocase(name, "authorization") && r->cache.scope != CACHE_SCOPE_PUBLIC)
        return true;
    if (key_field_is_listed(r, name) || http_view_is_any(name, continued, COUNT(continued)))
        return true;
    if (http_view_is_nocase(name, "authorization"))
        return (r->cache.ignore & 1u << CACHE_IGNORE_AUTHORIZATION) == 0;
    return is_post && http_view_is_any(name, of_body, COUNT(of_body));
}
