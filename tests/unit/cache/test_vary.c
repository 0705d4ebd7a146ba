/* Vary: what an answer says it depends on, as far as it can, and what requests say in that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/cache/request.h"

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

/* `fields` of a 200 in lines; true when it may be stored. */
static bool vary_of(struct http_view *out, struct http_texts *t, const struct conf_route *r, const char *fields,
                    const char *known)
{
    char text[2048];
    struct http_head answer;
    assert_in_range(snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\n%s\r\n", fields), 1, sizeof text - 1);
    head_of_response(&answer, text);
    return cache_vary_of(out, t, r, &answer, http_view_of(known));
}

static void lists(void **state)
{
    /* Without anything listed Authorization is what passes and is not part of the key. */
    static const char *const refused = "-";
    static const struct {
        const char *fields, *known, *vary;
    } rows[] = {
        {"", NULL, NULL},
        {"Vary:\r\n", NULL, NULL},
        {"Vary: Authorization\r\n", NULL, "authorization"},
        {"vary: , AUTHORIZATION ,,authorization\r\nVary: authorization\r\n", NULL, "authorization"},
        {"", "authorization", "authorization"},
        {"Vary: Authorization\r\n", "authorization", "authorization"},
        {"Vary: *\r\n", NULL, refused},
        {"Vary: Authorization, *\r\n", NULL, refused},
        {"Vary: Authorization\r\nVary: *\r\n", NULL, refused},
        {"Vary: \"x\"\r\n", NULL, refused},
        {"Vary: a b\r\n", NULL, refused},
        /* The origin was not told so far; from now on it is. */
        {"Vary: Origin, User-Agent, Accept-Language\r\n", NULL, "accept-language,origin,user-agent"},
        {"Vary: Origin\r\n", "accept-language", "accept-language,origin"},
        {"Vary: h, g, f, e, d, c, b, a\r\n", NULL, "a,b,c,d,e,f,g,h"},
        {"Vary: a, b, c, d, e, f, g, h, i\r\n", NULL, refused},
        {"Vary: i\r\n", "a,b,c,d,e,f,g,h", refused},
        /* Requests with a cookie are not for the cache; ranges and conditions are answered here. */
        {"Vary: Cookie, Range, If-None-Match\r\n", NULL, NULL},
        /* Part of every key. */
        {"Vary: Host, X-Forwarded-Host, X-Forwarded-Proto, Content-Type\r\n", NULL, NULL},
        /* What the gateway says of each client is another each time. */
        {"Vary: X-Forwarded-For\r\n", NULL, refused},
        {"Vary: traceparent\r\n", NULL, refused},
        {"Vary: X-Request-Id\r\n", NULL, refused},
    };
    const struct conf_route r = route_plain();
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct http_view out;
        struct http_texts t;
        http_texts_init(&t, 1024);
        const bool may_store = vary_of(&out, &t, &r, rows[i].fields, rows[i].known);
        if (may_store != (rows[i].vary != refused))
            fail_msg("%s", rows[i].fields);
        if (may_store)
            assert_view(out, rows[i].vary);
        http_texts_fini(&t);
    }
}

static bool may_store(const struct conf_route *r, const char *fields, const char *expected)
{
    struct http_view out;
    struct http_texts t;
    http_texts_init(&t, 1024);
    const bool yes = vary_of(&out, &t, r, fields, NULL);
    if (yes)
        assert_view(out, expected);
    http_texts_fini(&t);
    return yes;
}

static void routes_decide_what_is_in_the_key(void **state)
{
    static const char *const headers[] = {"accept", "accept-encoding"};
    struct conf_pair edits[] = {{.name = "X-Real-IP", .value = "for {client_ip}"},
                                {.name = "X-Key", .value = "{host}"}};
    struct conf_pair claims[] = {{.name = "sub", .value = "x-user"}};
    struct conf_route r = route_plain();
    (void)state;
    assert_true(may_store(&r, "Vary: X-Real-IP, X-Key, X-User\r\n", "x-key,x-real-ip,x-user"));
    assert_true(may_store(&r, "Vary: Accept-Encoding\r\n", "accept-encoding"));
    r.cache.compress = 1u << CODING_GZIP;
    assert_true(may_store(&r, "Vary: Accept-Encoding\r\n", NULL));
    r.request_edits = (struct conf_edits){.set = edits, .set_count = COUNT(edits)};
    r.cache.headers = (const char **)headers;
    r.cache.header_count = COUNT(headers);
    assert_true(may_store(&r, "Vary: Accept, Accept-Encoding, X-Key\r\n", "x-key"));
    assert_false(may_store(&r, "Vary: X-Real-IP\r\n", NULL));
    r.jwt.forward = claims;
    r.jwt.forward_count = COUNT(claims);
    assert_false(may_store(&r, "Vary: X-User\r\n", NULL));
    r.cache.scope = CACHE_SCOPE_CLAIMS;
    assert_false(may_store(&r, "Vary: X-User\r\n", NULL));
    assert_true(may_store(&r, "Vary: Authorization\r\n", "authorization"));
    r.cache.scope = CACHE_SCOPE_TOKEN;
    assert_true(may_store(&r, "Vary: Authorization\r\n", NULL));
    assert_true(may_store(&r, "Vary: Cookie\r\n", "cookie"));
    r.cache.scope = CACHE_SCOPE_PUBLIC;
    assert_true(may_store(&r, "Vary: Cookie\r\n", NULL));
    r.cache.ignore = 1u << CACHE_IGNORE_AUTHORIZATION;
    assert_true(may_store(&r, "Vary: Authorization\r\n", NULL));
}

static void without_room_nothing_is_stored(void **state)
{
    const struct conf_route r = route_plain();
    struct http_view out;
    struct http_texts t;
    (void)state;
    http_texts_init(&t, 4);
    assert_false(vary_of(&out, &t, &r, "Vary: Authorization\r\n", NULL));
    http_texts_fini(&t);
}

/* ---- in the key ---- */

static void build(struct strbuf *key, const char *vary, const char *fields)
{
    struct request q;
    strbuf_init(key, CACHE_KEY_BYTES_MAX);
    assert_true(cache_key_add_vary(key, http_view_of(vary), request_get(&q, "/", fields)));
}

static void what_a_request_says_in_them(void **state)
{
    static const struct {
        const char *vary, *fields, *key;
    } rows[] = {
        {"accept", "", "y0006accept"},
        {"accept", "Accept:\r\n", "y0006acceptv0000"},
        {"accept", "ACCEPT: a/b;q=1 , c/d\r\naccept: e/f\r\n", "y0006acceptv000fa/b;q=1,c/d,e/f"},
        {"accept,dpr", "DPR: 2\r\n", "y0006accepty0003dprv00012"},
        {"accept-encoding", "", "y000faccept-encoding"},
        {"accept-encoding", "Accept-Encoding: deflate, zstd;q=0, br, gzip;q=0.5, evil\r\n",
         "y000faccept-encodingv0010identity,gzip,br"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct strbuf key;
        build(&key, rows[i].vary, rows[i].fields);
        assert_string_equal(key.data, rows[i].key);
        strbuf_fini(&key);
    }
}

static void secrets_by_their_digest(void **state)
{
    struct strbuf a, b;
    (void)state;
    build(&a, "authorization", "Authorization: Bearer s3cret, s3cret\r\n");
    build(&b, "authorization", "Authorization: Bearer s3cret,s3cret\r\n");
    assert_null(strstr(a.data, "s3cret"));
    assert_string_not_equal(a.data, b.data);
    strbuf_fini(&a);
    strbuf_fini(&b);
}

static void a_key_that_grows_too_long_is_none(void **state)
{
    char fields[7000] = "Accept: ";
    struct request q;
    struct strbuf key;
    (void)state;
    memset(fields + 8, 'a', sizeof fields - 11);
    memcpy(fields + sizeof fields - 3, "\r\n", 3);
    strbuf_init(&key, CACHE_KEY_BYTES_MAX);
    assert_true(cache_key_add_vary(&key, http_view_of("accept"), request_get(&q, "/", fields)));
    assert_false(cache_key_add_vary(&key, http_view_of("accept"), request_get(&q, "/", fields)));
    strbuf_fini(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists),
        cmocka_unit_test(routes_decide_what_is_in_the_key),
        cmocka_unit_test(without_room_nothing_is_stored),
        cmocka_unit_test(what_a_request_says_in_them),
        cmocka_unit_test(secrets_by_their_digest),
        cmocka_unit_test(a_key_that_grows_too_long_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
