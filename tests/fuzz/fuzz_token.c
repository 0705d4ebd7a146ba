/* Tokens and key sets from anybody. The first byte chooses what the rest is: a token for a route, a key set, claims, or
 * base64url. Laws: nobody who does not know the secret gets in; what a key set yields are keys of the three kinds with
 * something in them; what decodes is the only text of its value; reading claims never changes what they say. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/mem.h"
#include "gateway/rules/token.h"
#include "gateway/rules/token_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define WALL_MS INT64_C(1800000000000)

/* Two keys, one of a kind that tokens can be confused about: an EC key whose PEM could pass for a secret. */
static const char key_set[] =
    "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"s\",\"k\":\"bm9ib2R5IHdpbGwgZXZlciBndWVzcyB0aGlzIHNlY3JldCwgd2lsbCB0aGV5\"},"
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"e\",\"x\":\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\","
    "\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\"}]}";

static void feed_token(const char *text, size_t len)
{
    struct conf_pair required[] = {{"iss", "me"}, {"a.b", "*"}};
    struct conf_file file = {.path = "", .text = key_set};
    const struct conf_jwt j = {.secret = "",
                               .jwks_pool = "",
                               .jwks_path = "",
                               .jwks_file = file,
                               .header = "authorization",
                               .query = "t",
                               .cookie = "c",
                               .algorithms = 1u << JWT_HS256 | 1u << JWT_RS256 | 1u << JWT_ES256,
                               .required = required,
                               .required_count = 2};
    char error[TOKEN_KEYS_ERROR_TEXT];
    uint64_t id_count = 0;
    struct list all;
    struct http_head h;
    list_init(&all);
    http_head_clear(&h);
    char *bearer = mem_printf("Bearer %.*s", (int)len, text);
    (void)http_head_add(&h, http_view_of("Authorization"), http_view_of(bearer));
    (void)http_head_add(&h, http_view_of("Cookie"), (struct http_view){text, len});
    h.query = (struct http_view){text, len};
    struct token_policy p = {.conf = &j, .source = token_source_get(&all, &j, &id_count, error)};
    struct token_cache *cache = token_cache_create();
    struct token_claims *claims = NULL;
    ASSERT(p.source != NULL);
    for (int round = 0; round < 2; round++) {
        const enum token_fault fault = token_check(&p, cache, &h, 0, WALL_MS, &claims);
        ASSERT(fault != TOKEN_GOOD && claims == NULL);
        ASSERT(strlen(token_fault_challenge(fault)) > 0);
        h.fields[0].value.len = 0; /* then as a parameter or a cookie */
    }
    token_cache_destroy(&cache);
    token_source_unref(&p.source);
    mem_free(bearer);
}

static void feed_key_set(const char *text, size_t len)
{
    char error[TOKEN_KEYS_ERROR_TEXT] = "";
    struct token_keys *k = token_keys_from_jwks(text, len, error);
    if (k == NULL) {
        ASSERT(error[0] != '\0');
        return;
    }
    size_t count = 0;
    for (enum conf_jwt_algorithm a = JWT_HS256; a <= JWT_ES256; a++) {
        size_t cursor = 0;
        const struct token_key *key;
        while ((key = token_keys_next(k, a, NULL, &cursor)) != NULL) {
            ASSERT(key->algorithm == a && key->len >= 32);
            count++;
        }
    }
    ASSERT(count > 0 && count <= TOKEN_KEYS_MAX);
    token_keys_destroy(&k);
}

static void feed_claims(const char *text, size_t len)
{
    static const char *const paths[] = {"sub", "a", "a.b", "a.b.c", "roles", "", "."};
    struct token_claims *c = token_claims_parse(text, len);
    if (c == NULL)
        return;
    ASSERT(token_claims_expires_ms(c) >= 0 && token_claims_not_before_ms(c) >= 0 && token_claims_issued_ms(c) >= 0);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        const struct http_view first = token_claims_text(c, paths[i]);
        const struct http_view again = token_claims_text(c, paths[i]);
        ASSERT(first.data == again.data && first.len == again.len);
        ASSERT(first.data == NULL || token_claims_has_any(c, paths[i]));
        ASSERT(first.len == 0 || memchr(first.data, '\0', first.len) == NULL);
    }
    ASSERT(token_claims_subject(c).data == NULL || token_claims_text(c, "sub").data == token_claims_subject(c).data);
    token_claims_unref(&c);
}

static void feed_base64url(const char *text, size_t len)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint8_t *out = mem_alloc(BASE64_ROOM(len));
    size_t out_len = 0;
    struct token_header header;
    struct token_parts parts;
    if (base64url_decode(text, len, out, &out_len)) {
        size_t n = 0;
        ASSERT(out_len == len * 3 / 4);
        for (size_t i = 0; i < out_len; i += 3) {
            const uint32_t v = (uint32_t)out[i] << 16 | (i + 1 < out_len ? (uint32_t)out[i + 1] << 8 : 0) |
                               (i + 2 < out_len ? out[i + 2] : 0);
            const size_t count = out_len - i >= 3 ? 4 : out_len - i + 1;
            for (size_t j = 0; j < count; j++, n++)
                ASSERT(text[n] == letters[v >> (18 - 6 * j) & 63]);
        }
        ASSERT(n == len);
    }
    if (token_header_parse((struct http_view){text, len}, &header))
        ASSERT(header.algorithm <= TOKEN_NO_ALGORITHM && memchr(header.kid, '\0', sizeof header.kid) != NULL);
    (void)token_split((struct http_view){text, len}, &parts);
    mem_free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static void (*const feeds[])(const char *, size_t) = {feed_token, feed_key_set, feed_claims, feed_base64url};
    if (len == 0)
        return 0;
    feeds[data[0] % 4]((const char *)data + 1, len - 1);
    return 0;
}
