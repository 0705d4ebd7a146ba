/* Keys: what makes two requests one, and what never does; and what of a request the origin is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/cache/request.h"

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

static const struct cache_who nobody;

/* ---- the key as it is written ---- */

static void a_key_is_its_parts_with_their_lengths(void **state)
{
    static const char *const headers[] = {"accept", "prefer"};
    static const char expected[] = "r0004cars"
                                   "m0002Gs"
                                   "h000fapp.example.com"
                                   "p0006/a%2Fb"
                                   "q0007x=1&y=2"
                                   "n0006acceptv0003*/*v0000"
                                   "n0006prefer";
    struct request q;
    struct strbuf key;
    struct conf_route r = route_plain();
    (void)state;
    r.cache.headers = (const char **)headers;
    r.cache.header_count = COUNT(headers);
    strbuf_init(&key, CACHE_KEY_BYTES_MAX);
    assert_true(cache_key_build(&key, &r, request_get(&q, "/a%2Fb?x=1&y=2", "Accept: */*\r\nACCEPT:\r\n"), true,
                                &nobody, NULL));
    assert_string_equal(key.data, expected);
    strbuf_fini(&key);
}

/* ---- same or not ---- */

/* A request as a row of a table says it. */
struct ask {
    const char *method, *target, *fields; /* NULL: GET, "/", "" */
    const char *host;                     /* NULL: that of the tests */
    const char *token;
    const char *claim; /* with a token that was verified */
    const char *body;  /* a letter its hash is made of; NULL: none */
    bool is_tls, is_trusted;
};

static bool build(struct strbuf *key, const struct conf_route *r, const struct ask *a)
{
    struct request q;
    uint8_t hash[32];
    (void)request_make(&q, a->method != NULL ? a->method : "GET", "/", a->fields != NULL ? a->fields : "");
    q.head.target = http_view_of(a->target != NULL ? a->target : "/");
    assert_null(http_head_set_target(&q.head));
    if (a->host != NULL)
        q.head.authority = http_view_of(a->host);
    const struct http_view claims[] = {http_view_of(a->claim)};
    const struct cache_who who = {
        .token = http_view_of(a->token), .claims = a->claim != NULL ? claims : NULL, .is_trusted = a->is_trusted};
    if (a->body != NULL)
        memset(hash, a->body[0], sizeof hash);
    strbuf_init(key, CACHE_KEY_BYTES_MAX);
    return cache_key_build(key, r, &q.head, a->is_tls, &who, a->body != NULL ? hash : NULL);
}

static void check_same(const char *what, const struct conf_route *r, const struct ask *a, const struct ask *b,
                       bool same)
{
    struct strbuf one, other;
    assert_true(build(&one, r, a));
    assert_true(build(&other, r, b));
    if ((strcmp(one.data, other.data) == 0) != same)
        fail_msg("%s: %s\n%s", what, one.data, other.data);
    strbuf_fini(&one);
    strbuf_fini(&other);
}

static void check_refused(const char *what, const struct conf_route *r, const struct ask *a)
{
    struct strbuf key;
    if (build(&key, r, a))
        fail_msg("%s: %s", what, key.data);
    strbuf_fini(&key);
}

static void what_is_one_and_what_is_not(void **state)
{
    static const struct {
        const char *what;
        bool is_same;
        struct ask a, b;
    } rows[] = {
        {"HEAD is answered from GET", true, {.method = "HEAD"}, {.method = "GET"}},
        {"case of hosts", true, {.host = "App.Example.COM"}, {.host = "app.example.com"}},
        {"a dot at the end of a host", true, {.host = "app.example.com."}, {.host = "app.example.com"}},
        {"http's own port", true, {.host = "app.example.com:80"}, {.host = "app.example.com"}},
        {"https' own port", true, {.host = "a.:443", .is_tls = true}, {.host = "a", .is_tls = true}},
        {"a port without digits", true, {.host = "a:"}, {.host = "a"}},
        {"an address with its port", true, {.host = "[2001:DB8::1]:80"}, {.host = "[2001:db8::1]"}},
        {"another port", false, {.host = "a:8080"}, {.host = "a"}},
        {"the other scheme's port", false, {.host = "a:443"}, {.host = "a"}},
        {"port in a host's place", false, {.host = "[::1]:8080"}, {.host = "[::1]"}},
        {"schemes", false, {.is_tls = true}, {.is_tls = false}},
        {"an empty query is none", true, {.target = "/x?"}, {.target = "/x"}},
        {"a mark in the query", false, {.target = "/x??"}, {.target = "/x?"}},
        {"order without sorting", false, {.target = "/?a=1&b=2"}, {.target = "/?b=2&a=1"}},
        {"paths are as written: dots", false, {.target = "/a/%2e%2e/b"}, {.target = "/a/../b"}},
        {"paths are as written: slashes", false, {.target = "/a%2fb"}, {.target = "/a/b"}},
        {"paths are as written: case of escapes", false, {.target = "/%2f"}, {.target = "/%2F"}},
        {"paths are as written: double slashes", false, {.target = "//a"}, {.target = "/a"}},
        {"a path is no query", false, {.target = "/a%3fb=1"}, {.target = "/a?b=1"}},
        {"unkeyed fields",
         true,
         {.fields = "X-Forwarded-Host: evil\r\nCookie: a\r\n"},
         {.fields = "Accept-Language: fr\r\n"}},
        {"what a trusted proxy says of the scheme",
         false,
         {.fields = "X-Forwarded-Proto: https\r\n", .is_trusted = true},
         {.fields = "X-Forwarded-Proto: http\r\n", .is_trusted = true}},
        {"what a trusted proxy says of the host",
         false,
         {.fields = "X-Forwarded-Host: evil\r\n", .is_trusted = true},
         {.fields = "", .is_trusted = true}},
        {"what others say of it",
         true,
         {.fields = "X-Forwarded-Host: evil\r\nX-Forwarded-Proto: https\r\n"},
         {.fields = ""}},
        {"bodies", false, {.method = "POST", .body = "a"}, {.method = "POST", .body = "b"}},
        {"a POST is no GET", false, {.method = "POST", .body = "a"}, {.method = "GET"}},
        {"what a body is",
         false,
         {.method = "POST", .body = "a", .fields = "Content-Type: text/xml\r\n"},
         {.method = "POST", .body = "a", .fields = "Content-Type: application/json\r\n"}},
        {"how a body is coded",
         false,
         {.method = "POST", .body = "a", .fields = "Content-Encoding: gzip\r\n"},
         {.method = "POST", .body = "a"}},
        {"what a GET says of no body", true, {.fields = "Content-Type: text/xml\r\n"}, {.fields = ""}},
    };
    const struct conf_route r = route_plain();
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        check_same(rows[i].what, &r, &rows[i].a, &rows[i].b, rows[i].is_same);
}

static void key_headers(void **state)
{
    static const char *const headers[] = {"x-a", "x-b"};
    static const struct {
        const char *what;
        bool is_same;
        const char *a, *b;
    } rows[] = {
        {"values", false, "X-A: 1\r\n", "X-A: 2\r\n"},
        {"names have no case", true, "X-A: 1\r\n", "x-a: 1\r\n"},
        {"absent is not empty", false, "X-A:\r\n", ""},
        {"order of names", true, "X-A: 1\r\nX-B: 2\r\n", "X-B: 2\r\nX-A: 1\r\n"},
        {"order of fields of one name", false, "X-A: 1\r\nX-A: 2\r\n", "X-A: 2\r\nX-A: 1\r\n"},
        {"two fields are not one with a comma", false, "X-A: 1\r\nX-A: 2\r\n", "X-A: 1, 2\r\n"},
        {"a value under the other name", false, "X-A: 1\r\n", "X-B: 1\r\n"},
        {"a value that looks like the next part", false, "X-A: 1n0003x-bv00012\r\n", "X-A: 1\r\nX-B: 2\r\n"},
        {"a border that moves", false, "X-A: 12\r\nX-B: 3\r\n", "X-A: 1\r\nX-B: 23\r\n"},
        {"others", true, "X-C: 1\r\n", ""},
    };
    struct conf_route r = route_plain();
    (void)state;
    r.cache.headers = (const char **)headers;
    r.cache.header_count = COUNT(headers);
    for (size_t i = 0; i < COUNT(rows); i++)
        check_same(rows[i].what, &r, &(struct ask){.fields = rows[i].a}, &(struct ask){.fields = rows[i].b},
                   rows[i].is_same);
}

/* Gateways that share a Redis may be in the middle of a change of configuration. */
static void routes_are_told_apart_by_what_their_keys_hold(void **state)
{
    static const char *const one[] = {"x-a"}, *const other[] = {"x-b"};
    struct conf_route r = route_plain(), s = route_plain();
    struct strbuf a, b;
    (void)state;
    r.cache.headers = (const char **)one;
    s.cache.headers = (const char **)other;
    r.cache.header_count = s.cache.header_count = 1;
    assert_true(build(&a, &r, &(struct ask){.fields = "X-A: 1\r\n"}));
    assert_true(build(&b, &s, &(struct ask){.fields = "X-B: 1\r\n"}));
    assert_string_not_equal(a.data, b.data);
    strbuf_fini(&a);
    strbuf_fini(&b);
}

static void secrets_do_not_stand_in_keys(void **state)
{
    static const char *const headers[] = {"cookie", "apikey", "authorization"};
    struct conf_route r = route_plain();
    struct strbuf key;
    (void)state;
    r.cache.headers = (const char **)headers;
    r.cache.header_count = COUNT(headers);
    assert_true(
        build(&key, &r, &(struct ask){.fields = "Cookie: s3cret\r\nApiKey: s3cret\r\nAuthorization: s3cret\r\n"}));
    assert_null(strstr(key.data, "s3cret"));
    strbuf_fini(&key);
    r.cache.header_count = 0;
    r.cache.scope = CACHE_SCOPE_TOKEN;
    assert_true(build(&key, &r, &(struct ask){.fields = "Authorization: Bearer s3cret\r\n", .token = "s3cret"}));
    assert_null(strstr(key.data, "s3cret"));
    strbuf_fini(&key);
    check_same("cookies", &r, &(struct ask){.fields = "Cookie: a\r\n"}, &(struct ask){.fields = "Cookie: b\r\n"}, true);
    r.cache.header_count = 1;
    check_same("key cookies", &r, &(struct ask){.fields = "Cookie: a\r\n"}, &(struct ask){.fields = "Cookie: b\r\n"},
               false);
}

#define BEARER(token) "Authorization: Bearer " token "\r\n"

static void scope_of_tokens(void **state)
{
    struct conf_route r = route_plain();
    const struct ask x = {.fields = BEARER("x"), .token = "x"};
    (void)state;
    r.cache.scope = CACHE_SCOPE_TOKEN;
    check_same("the same", &r, &x, &x, true);
    check_same("another", &r, &x, &(struct ask){.fields = BEARER("y"), .token = "y"}, false);
    check_same("none", &r, &x, &(struct ask){.fields = ""}, false);
    check_same("not a token at all", &r, &(struct ask){.fields = "Authorization: Basic eA==\r\n"},
               &(struct ask){.fields = ""}, false);
    check_same("from a cookie", &r, &(struct ask){.token = "x"}, &(struct ask){.token = "y"}, false);
    check_same("from a cookie, and the origin is told something else", &r,
               &(struct ask){.token = "x", .fields = BEARER("y")}, &(struct ask){.token = "x", .fields = BEARER("z")},
               false);
    check_refused("two", &r, &(struct ask){.fields = BEARER("x") BEARER("y"), .token = "x"});
}

static void scope_of_claims(void **state)
{
    static const char *const claims[] = {"role"};
    struct conf_route r = route_plain();
    (void)state;
    r.cache.scope = CACHE_SCOPE_CLAIMS;
    r.cache.claims = (const char **)claims;
    r.cache.claim_count = COUNT(claims);
    check_same("two tokens of one role", &r, &(struct ask){.fields = BEARER("x"), .token = "x", .claim = "driver"},
               &(struct ask){.fields = BEARER("y"), .token = "y", .claim = "driver"}, true);
    check_same("two roles", &r, &(struct ask){.fields = BEARER("x"), .token = "x", .claim = "driver"},
               &(struct ask){.fields = BEARER("y"), .token = "y", .claim = "owner"}, false);
    check_same("an empty claim is not the lack of a token", &r, &(struct ask){.token = "x", .claim = ""},
               &(struct ask){.fields = ""}, false);
    check_refused("a token nobody verified", &r, &(struct ask){.fields = BEARER("x")});
    check_refused("another token than was verified", &r,
                  &(struct ask){.fields = BEARER("y"), .token = "x", .claim = "driver"});
    check_refused("a longer one", &r, &(struct ask){.fields = BEARER("yx"), .token = "x", .claim = "driver"});
    check_refused("two", &r, &(struct ask){.fields = BEARER("x") BEARER("y"), .token = "x", .claim = "driver"});
}

static void what_is_not_for_the_cache(void **state)
{
    const struct conf_route r = route_plain();
    char target[CACHE_KEY_BYTES_MAX + 64] = "/?";
    (void)state;
    memset(target + 2, 'a', sizeof target - 3);
    check_refused("a huge query", &r, &(struct ask){.target = target});
    memset(target + 1, 'a', sizeof target - 2);
    check_refused("a huge path", &r, &(struct ask){.target = target});
    check_refused("a fat GET", &r, &(struct ask){.fields = "Content-Length: 1\r\n"});
    check_refused("a chunked GET", &r, &(struct ask){.fields = "Transfer-Encoding: chunked\r\n"});
    check_refused("a POST whose body nobody hashed", &r, &(struct ask){.method = "POST"});
    check_refused("a write", &r, &(struct ask){.method = "PUT"});
    check_refused("a write with a hash", &r, &(struct ask){.method = "PUT", .body = "a"});
    check_refused("methods have a case", &r, &(struct ask){.method = "get"});
}

/* ---- hosts ---- */

static void hosts_as_the_origin_is_told(void **state)
{
    static const struct {
        const char *in, *out;
        bool is_tls;
    } rows[] = {
        {"a.example", "a.example", false},
        {"A.Example:80", "a.example", false},
        {"a.example.:8080", "a.example:8080", true},
        {"a.example:443", "a.example", true},
        {"a.example:080", "a.example:080", false},
        {"[::A]:80", "[::a]", false},
        {"[::a]", "[::a]", false},
        {".", ".", false},
        {"", "", false},
        {NULL, NULL, false},
    };
    struct http_texts t;
    (void)state;
    http_texts_init(&t, 256);
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_view(cache_key_host(&t, http_view_of(rows[i].in), rows[i].is_tls), rows[i].out);
    http_texts_fini(&t);
    http_texts_init(&t, 3);
    assert_view(cache_key_host(&t, http_view_of("A.Example"), false), NULL);
    assert_true(t.failed);
    http_texts_fini(&t);
}

/* ---- queries ---- */

struct query_rules {
    bool sorts;
    const char *keep[3], *drop[3];
};

static size_t count_of(const char *const *list)
{
    size_t count = 0;
    while (count < 3 && list[count] != NULL)
        count++;
    return count;
}

static struct conf_route route_of(const struct query_rules *q)
{
    struct conf_route r = route_plain();
    r.cache.sorts_query = q->sorts;
    r.cache.keep_query = (const char **)q->keep;
    r.cache.keep_query_count = count_of(q->keep);
    r.cache.drop_query = (const char **)q->drop;
    r.cache.drop_query_count = count_of(q->drop);
    return r;
}

static void queries(void **state)
{
    static const struct query_rules none = {.sorts = false}, sorted = {.sorts = true}, kept = {.keep = {"id", "a b"}},
                                    dropped = {.drop = {"utm_*", "fbclid"}},
                                    all = {.sorts = true, .keep = {"id", "x", "utm_id"}, .drop = {"utm_*"}},
                                    nothing = {.drop = {"*"}};
    static const struct {
        const struct query_rules *rules;
        const char *in, *out;
    } rows[] = {
        {&none, NULL, NULL},
        {&none, "", NULL},
        {&none, "b=1&a=2&&", "b=1&a=2&&"},
        {&sorted, "a=1&b=2", "a=1&b=2"},
        {&sorted, "b=2&a=1", "a=1&b=2"},
        {&sorted, "c&b&a", "a&b&c"},
        {&sorted, "a=2&a=1", "a=2&a=1"},
        {&sorted, "b=1&a=2&b=0&a=1", "a=2&a=1&b=1&b=0"},
        {&sorted, "%61=2&a=1", "%61=2&a=1"},
        {&sorted, "b=1&a=1&%61=2", "a=1&%61=2&b=1"},
        {&sorted, "a+b=1&a%20b=2&a", "a&a+b=1&a%20b=2"},
        {&sorted, "a[]=2&a[]=1", "a[]=2&a[]=1"},
        {&sorted, "ab=1&a=1", "a=1&ab=1"},
        {&sorted, "&&a=1&&", "a=1"},
        {&sorted, "&", NULL},
        {&sorted, "=2&=1&a", "=2&=1&a"},
        {&sorted, "%=1&%zz=2", "%=1&%zz=2"},
        {&sorted, "a=1?b=2", "a=1?b=2"},
        {&kept, "id=1&x=2", "id=1"},
        {&kept, "x=1&i%64=2&id", "i%64=2&id"},
        {&kept, "a+b=1&a%20b=2&ab=3", "a+b=1&a%20b=2"},
        {&kept, "ID=1", NULL},
        {&kept, "id%00=1", NULL},
        {&kept, "id=1", "id=1"},
        {&dropped, "utm_source=x&a=1&utm_=y&fbclid=z&utm=2&xutm_a=3", "a=1&utm=2&xutm_a=3"},
        {&dropped, "u%74m_source=x&a=1", "a=1"},
        {&dropped, "utm_source=x", NULL},
        {&dropped, "utm_source=x;callback=evil&a=1", "a=1"}, /* gone for the origin as well */
        {&dropped, "a=1;utm_source=x", "a=1;utm_source=x"},  /* part of the key */
        {&dropped, "fbclid2=1", "fbclid2=1"},
        {&all, "x=2&utm_id=3&id=1&y=4", "id=1&x=2"},
        {&nothing, "a=1&b", NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct conf_route r = route_of(rows[i].rules);
        struct http_view out, again;
        struct http_texts t;
        http_texts_init(&t, CACHE_KEY_BYTES_MAX);
        assert_true(cache_key_query(&out, &t, &r, http_view_of(rows[i].in)));
        assert_view(out, rows[i].out);
        assert_true(cache_key_query(&again, &t, &r, out));
        assert_ptr_equal(again.data, out.data); /* nothing is left to do */
        http_texts_fini(&t);
    }
}

/* The key holds the very query that the origin is asked with. */
static void the_key_has_the_query_the_origin_gets(void **state)
{
    const struct query_rules rules = {.sorts = true, .drop = {"utm_*"}};
    const struct conf_route r = route_of(&rules);
    struct strbuf key;
    (void)state;
    assert_true(build(&key, &r, &(struct ask){.target = "/?b=2&utm_x=1&a=1"}));
    assert_non_null(strstr(key.data, "q0007a=1&b=2"));
    strbuf_fini(&key);
    check_same("order", &r, &(struct ask){.target = "/?a=1&b=2"}, &(struct ask){.target = "/?b=2&a=1"}, true);
    check_same("nothing left", &r, &(struct ask){.target = "/?utm_a=1"}, &(struct ask){.target = "/"}, true);
}

static void many_parameters(void **state)
{
    const struct query_rules sorted = {.sorts = true}, none = {.sorts = false};
    struct conf_route r = route_of(&sorted);
    char query[CACHE_KEY_BYTES_MAX + 2] = "";
    struct http_view out;
    struct http_texts t;
    (void)state;
    http_texts_init(&t, CACHE_KEY_BYTES_MAX);
    for (unsigned i = 0; i < CACHE_QUERY_PARAMETERS_MAX; i++)
        (void)snprintf(query + 4 * (size_t)i, 5, "%03u&", CACHE_QUERY_PARAMETERS_MAX - i);
    assert_true(cache_key_query(&out, &t, &r, http_view_of(query)));
    assert_memory_equal(out.data, "001&002&003&", 12);
    strcat(query, "000");
    assert_false(cache_key_query(&out, &t, &r, http_view_of(query)));
    for (size_t i = 0; i < sizeof query - 2; i++)
        query[i] = i % 2 == 0 ? 'a' : '&';
    query[sizeof query - 2] = '\0';
    assert_false(cache_key_query(&out, &t, &r, http_view_of(query)));
    r = route_of(&none);
    assert_true(cache_key_query(&out, &t, &r, http_view_of(query)));
    query[sizeof query - 2] = 'a';
    assert_false(cache_key_query(&out, &t, &r, http_view_of(query)));
    http_texts_fini(&t);
}

static void without_room_there_is_no_query(void **state)
{
    const struct query_rules sorted = {.sorts = true};
    const struct conf_route r = route_of(&sorted);
    struct http_view out;
    struct http_texts t;
    (void)state;
    http_texts_init(&t, 2);
    assert_false(cache_key_query(&out, &t, &r, http_view_of("b&a")));
    http_texts_fini(&t);
}

/* ---- what passes ---- */

static void what_the_origin_is_told(void **state)
{
    static const char *const headers[] = {"accept", "accept-encoding"};
    static const struct {
        const char *name;
        bool is_told, is_told_for_post;
    } rows[] = {
        {"Accept", true, true},
        {"accept", true, true},
        {"Accept-Encoding", true, true},
        {"Accept-Language", false, false},
        {"User-Agent", false, false},
        {"Origin", false, false},
        {"Referer", false, false},
        {"Cookie", false, false},
        {"X-Forwarded-Host", true, true}, /* of trusted proxies, and then in the key; else written anew */
        {"X-Forwarded-Proto", true, true},
        {"X-Forwarded-Scheme", false, false},
        {"X-Forwarded-Port", false, false},
        {"X-Forwarded-Prefix", false, false},
        {"X_Forwarded_Host", false, false},
        {"X-Host", false, false},
        {"X-Original-URL", false, false},
        {"X-Rewrite-URL", false, false},
        {"X-HTTP-Method-Override", false, false},
        {"X-HTTP-Method", false, false},
        {"X-Method-Override", false, false},
        {"Forwarded", false, false},
        {"Via", false, false},
        {"Range", false, false},
        {"If-Range", false, false},
        {"If-None-Match", false, false},
        {"If-Match", false, false},
        {"If-Modified-Since", false, false},
        {"Cache-Control", false, false},
        {"Pragma", false, false},
        {"Transfer-Encoding", false, false},
        {"Content-Type", false, true},
        {"Content-Encoding", false, true},
        {"Content-Language", false, false},
        {"traceparent", true, true},
        {"Accep", false, false},
        {"Accept2", false, false},
        {"", false, false},
    };
    struct conf_route r = route_plain();
    (void)state;
    r.cache.headers = (const char **)headers;
    r.cache.header_count = COUNT(headers);
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (cache_key_passes(&r, http_view_of(rows[i].name), false) != rows[i].is_told ||
            cache_key_passes(&r, http_view_of(rows[i].name), true) != rows[i].is_told_for_post)
            fail_msg("%s", rows[i].name);
    }
}

static void authorization(void **state)
{
    static const char *const listed[] = {"authorization"};
    const struct http_view name = http_view_of("Authorization");
    struct conf_route r = route_plain();
    (void)state;
    assert_true(cache_key_passes(&r, name, false));
    r.cache.ignore = 1u << CACHE_IGNORE_AUTHORIZATION;
    assert_false(cache_key_passes(&r, name, false));
    r.cache.scope = CACHE_SCOPE_CLAIMS;
    assert_true(cache_key_passes(&r, name, false));
    r.cache.scope = CACHE_SCOPE_TOKEN;
    assert_true(cache_key_passes(&r, name, false));
    r.cache.scope = CACHE_SCOPE_PUBLIC;
    r.cache.headers = (const char **)listed;
    r.cache.header_count = 1;
    assert_true(cache_key_passes(&r, name, false));
    check_same("listed", &r, &(struct ask){.fields = BEARER("x")}, &(struct ask){.fields = BEARER("y")}, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_its_parts_with_their_lengths),
        cmocka_unit_test(what_is_one_and_what_is_not),
        cmocka_unit_test(key_headers),
        cmocka_unit_test(routes_are_told_apart_by_what_their_keys_hold),
        cmocka_unit_test(secrets_do_not_stand_in_keys),
        cmocka_unit_test(scope_of_tokens),
        cmocka_unit_test(scope_of_claims),
        cmocka_unit_test(what_is_not_for_the_cache),
        cmocka_unit_test(hosts_as_the_origin_is_told),
        cmocka_unit_test(queries),
        cmocka_unit_test(the_key_has_the_query_the_origin_gets),
        cmocka_unit_test(many_parameters),
        cmocka_unit_test(without_room_there_is_no_query),
        cmocka_unit_test(what_the_origin_is_told),
        cmocka_unit_test(authorization),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
