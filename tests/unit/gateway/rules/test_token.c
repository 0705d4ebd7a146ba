/* Tokens of requests: found, verified, judged. Everything is signed here, so that what is refused is refused for the
 * reason named and would have passed otherwise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/rules/token.h"
#include "tests/unit/gateway/rules/sign.h"
#include "tests/unit/gateway/rules/world.h"

#define HS_ROUTE "jwt: { secret: \"" SECRET "\" %s }"
#define HEADER   "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"

static void init_hs(struct world *w, const char *more)
{
    char route[1024];
    snprintf(route, sizeof route, HS_ROUTE, more);
    world_init(w, "", route);
}

static void ask_with(struct world *w, const char *token)
{
    char *request = mem_printf("GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\n\r\n", token);
    world_ask(w, request);
    mem_free(request);
}

/* `reason` NULL: the token is taken. */
static void expect(struct world *w, const char *token, const char *reason)
{
    ask_with(w, token);
    if (reason == NULL) {
        if (w->verdict.status != 0 || w->verdict.claims == NULL)
            fail_msg("%s was refused: %s", token, w->verdict.reason);
        return;
    }
    assert_int_equal(w->verdict.status, 401);
    assert_string_equal(w->verdict.reason, reason);
    assert_null(w->verdict.claims);
    char *field = mem_printf("WWW-Authenticate: Bearer error=\"invalid_token\", error_description=\"%s\"\n", reason);
    world_expect_fields(w, field);
    mem_free(field);
}

static void expect_signed(struct world *w, char *token, const char *reason)
{
    expect(w, token, reason);
    mem_free(token);
}

/* ---- the signature ---- */

static void each_algorithm_with_its_key(void **state)
{
    (void)state;
    EVP_PKEY *keys[] = {sign_rsa_key(2048), sign_ec_key("P-256")};
    static const char *const headers[] = {"{\"alg\":\"RS256\",\"kid\":\"k\"}", "{\"alg\":\"ES256\",\"typ\":\"JWT\"}"};
    for (int i = 0; i < 2; i++) {
        struct world w;
        char *pem = sign_public_pem(keys[i]);
        char *flat = mem_alloc(strlen(pem) * 2);
        for (size_t at = 0, n = 0; pem[at] != '\0'; at++) { /* YAML's way to write a line feed */
            if (pem[at] == '\n')
                flat[n++] = '\\';
            flat[n++] = pem[at] == '\n' ? 'n' : pem[at];
        }
        char *route = mem_printf("jwt: { public_key: \"%s\" }", flat);
        world_init(&w, "", route);
        expect_signed(&w, sign_with(keys[i], headers[i], "{\"sub\":\"u\"}"), NULL);
        assert_true(http_view_is(token_claims_subject(w.verdict.claims), "u"));
        expect_signed(&w, sign_with(keys[1 - i], headers[1 - i], "{}"), "token signed with an unknown key");
        world_fini(&w);
        mem_free(route);
        mem_free(flat);
        mem_free(pem);
    }
    EVP_PKEY_free(keys[0]);
    EVP_PKEY_free(keys[1]);
}

/* The public key, which everybody knows, as the secret of an HMAC. */
static void a_public_key_is_no_secret(void **state)
{
    (void)state;
    struct token_policy p = {0};
    struct conf_jwt j = {.algorithms = 1u << JWT_HS256 | 1u << JWT_RS256 | 1u << JWT_ES256,
                         .header = "authorization",
                         .query = "",
                         .cookie = "",
                         .secret = "",
                         .jwks_pool = "",
                         .jwks_path = ""};
    EVP_PKEY *rsa = sign_rsa_key(2048);
    char *pem = sign_public_pem(rsa), error[TOKEN_KEYS_ERROR_TEXT];
    uint64_t ids = 0;
    struct list all;
    list_init(&all);
    j.public_key.text = pem;
    p.conf = &j; /* with HS256 allowed, which a configuration could not say */
    p.source = token_source_get(&all, &j, &ids, error);
    struct token_cache *cache = token_cache_create();
    char *token = sign_hs256_with(HEADER, "{}", pem, strlen(pem));
    char *request = mem_printf("GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\n\r\n", token);
    struct http_head h;
    struct token_claims *claims = NULL;
    head_of_request(&h, request);
    assert_int_equal(token_check(&p, cache, &h, 0, WALL_MS, &claims), TOKEN_UNKNOWN_KEY);
    assert_null(claims);
    token_cache_destroy(&cache);
    token_source_unref(&p.source);
    mem_free(token);
    mem_free(request);
    mem_free(pem);
    EVP_PKEY_free(rsa);
}

static void headers_that_do_not_pass(void **state)
{
    static const struct {
        const char *header, *reason;
    } rows[] = {
        {"{\"alg\":\"HS256\"}", NULL},
        {"{\"alg\":\"HS256\",\"typ\":\"jwt\",\"kid\":\"any\",\"x\":[1]}", NULL},
        {"{\"alg\":\"none\"}", "algorithm not allowed"},
        {"{\"alg\":\"None\"}", "algorithm not allowed"},
        {"{\"alg\":\"\"}", "algorithm not allowed"},
        {"{\"alg\":\"hs256\"}", "algorithm not allowed"},
        {"{\"alg\":\"HS384\"}", "algorithm not allowed"},
        {"{\"alg\":\"RS256\"}", "algorithm not allowed"},
        {"{\"alg\":\"HS256\",\"typ\":\"at+jwt\"}", "token of an unknown type"},
        {"{\"alg\":\"HS256\",\"crit\":[\"exp\"]}", "token of an unknown type"},
        {"{\"alg\":\"HS256\",\"b64\":false}", "token of an unknown type"},
        {"{\"alg\":\"HS256\",\"alg\":\"none\"}", "token malformed"},
        {"{\"alg\":[\"HS256\"]}", "token malformed"},
        {"{\"alg\":\"HS256\",\"kid\":7}", "token malformed"},
        {"{\"alg\":\"HS256\",\"typ\":null}", "token malformed"},
        {"{\"typ\":\"JWT\"}", "token malformed"},
        {"{}", "token malformed"},
        {"[]", "token malformed"},
        {"{\"alg\":\"HS256\"} ", NULL}, /* JSON allows it */
        {"{\"alg\":\"HS256\"}x", "token malformed"},
    };
    (void)state;
    struct world w;
    init_hs(&w, "");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        expect_signed(&w, sign_hs256_with(rows[i].header, "{\"sub\":\"u\"}", SECRET, strlen(SECRET)), rows[i].reason);
    world_fini(&w);
}

static void forms_that_do_not_pass(void **state)
{
    (void)state;
    struct world w;
    init_hs(&w, "");
    char *good = sign_hs256("{\"sub\":\"u\"}");
    expect(&w, good, NULL);
    const size_t len = strlen(good);
    static const struct {
        const char *format, *reason; /* %s: the good one */
    } rows[] = {
        {"%s.", "token malformed"},   {".%s", "token malformed"},   {"%s=", "token malformed"},
        {"%s.%s", "token malformed"}, {"..", "token malformed"},    {"a.b.c", "token malformed"},
        {"x", "token malformed"},     {"%s,%s", "token malformed"}, {"%s A", "token malformed"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char token[1024];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(token, sizeof token, rows[i].format, good, good);
#pragma GCC diagnostic pop
        expect(&w, token, rows[i].reason);
    }
    /* without signature, with half of it, with one character of anything changed */
    char *cut = mem_strndup(good, len - 20);
    expect(&w, cut, "signature does not verify");
    mem_free(cut);
    *strrchr(good, '.') = '\0';
    expect(&w, good, "token malformed");
    good[strlen(good)] = '.';
    for (size_t at = 0; at < len; at++) {
        const char was = good[at];
        good[at] = was == 'A' ? 'B' : 'A';
        ask_with(&w, good);
        assert_int_equal(w.verdict.status, 401);
        good[at] = was;
    }
    expect(&w, good, NULL);
    mem_free(good);
    world_fini(&w);
}

static void long_tokens(void **state)
{
    (void)state;
    struct world w;
    char payload[7000];
    init_hs(&w, "");
    snprintf(payload, sizeof payload, "{\"x\":\"%*s\"}", 5900, "");
    expect_signed(&w, sign_hs256(payload), NULL);
    snprintf(payload, sizeof payload, "{\"x\":\"%*s\"}", 6200, "");
    expect_signed(&w, sign_hs256(payload), "token malformed");
    world_fini(&w);
}

/* ---- the claims ---- */

static void times_with_leeway(void **state)
{
    static const struct {
        const char *claims; /* %lld: seconds relative to now */
        long long seconds;
        const char *reason;
    } rows[] = {
        {"{\"exp\":%lld}", 1, NULL},
        {"{\"exp\":%lld}", 0, NULL}, /* 30 s of leeway */
        {"{\"exp\":%lld}", -29, NULL},
        {"{\"exp\":%lld}", -30, "token expired"},
        {"{\"exp\":%lld.5}", -30, NULL},
        {"{\"nbf\":%lld}", 0, NULL},
        {"{\"nbf\":%lld}", 30, NULL},
        {"{\"nbf\":%lld}", 31, "token not valid yet"},
        {"{\"iat\":%lld}", 30, NULL},
        {"{\"iat\":%lld}", 31, "token not valid yet"},
        {"{\"iat\":%lld}", -1000000, NULL},
        {"{\"exp\":\"%lld\"}", 1000, "token malformed"},
        {"{\"exp\":0,\"x\":%lld}", 0, "token malformed"},
    };
    (void)state;
    struct world w;
    init_hs(&w, "");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char claims[128];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(claims, sizeof claims, rows[i].claims, (long long)WALL_S + rows[i].seconds);
#pragma GCC diagnostic pop
        expect_signed(&w, sign_hs256(claims), rows[i].reason);
    }
    world_fini(&w);
}

static void required_claims(void **state)
{
    static const struct {
        const char *required, *claims;
        bool passes;
    } rows[] = {
        {"iss: me", "{\"iss\":\"me\"}", true},
        {"iss: me", "{\"iss\":\"you\"}", false},
        {"iss: me", "{}", false},
        {"iss: [ me, you ]", "{\"iss\":\"you\"}", true},
        {"aud: api", "{\"aud\":\"api\"}", true},
        {"aud: api", "{\"aud\":[\"web\",\"api\"]}", true},
        {"aud: api", "{\"aud\":[\"web\"]}", false},
        {"aud: api", "{\"aud\":[]}", false},
        {"aud: [ api, web ]", "{\"aud\":[\"x\",\"web\"]}", true},
        {"iss: me, aud: api", "{\"iss\":\"me\",\"aud\":\"web\"}", false}, /* all of them */
        {"iss: me, aud: api", "{\"iss\":\"me\",\"aud\":\"api\"}", true},
        {"email_verified: true", "{\"email_verified\":true}", true},
        {"email_verified: true", "{\"email_verified\":false}", false},
        {"level: 3", "{\"level\":3}", true},
        {"app_metadata.role: admin", "{\"app_metadata\":{\"role\":\"admin\"}}", true},
        {"app_metadata.role: admin", "{\"app_metadata\":{\"role\":\"user\"}}", false},
        {"sub: \"*\"", "{\"sub\":\"anybody\"}", true},
        {"sub: \"*\"", "{}", false},
        {"exp: \"*\"", "{\"sub\":\"x\"}", false}, /* how to insist on tokens that end */
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct world w;
        char more[256];
        snprintf(more, sizeof more, ", required: { %s }", rows[i].required);
        init_hs(&w, more);
        expect_signed(&w, sign_hs256(rows[i].claims), rows[i].passes ? NULL : "required claim missing or different");
        world_fini(&w);
    }
}

static void taken_back(void **state)
{
    (void)state;
    struct world w;
    init_hs(&w, "");
    struct conf_route *r = &w.conf->routes[0];
    r->jwt.revoked.text = "# gone\r\njti:one\nsub:mallory\n\nsub:\njti:with space\nsub:blanks \t\nsub:42\njti:-7\n";
    world_take(&w, conf_ref(w.conf));
    expect_signed(&w, sign_hs256("{\"jti\":\"two\",\"sub\":\"alice\"}"), NULL);
    assert_false(rules_is_revoked(w.rules, r, w.verdict.claims));
    expect_signed(&w, sign_hs256("{\"jti\":\"one\",\"sub\":\"alice\"}"), "token revoked");
    expect_signed(&w, sign_hs256("{\"jti\":\"two\",\"sub\":\"mallory\"}"), "token revoked");
    expect_signed(&w, sign_hs256("{\"sub\":\"one\",\"jti\":\"mallory\"}"), NULL); /* each kind for itself */
    expect_signed(&w, sign_hs256("{\"jti\":\"with space\"}"), "token revoked");
    expect_signed(&w, sign_hs256("{\"sub\":\"blanks\"}"), "token revoked"); /* nobody sees what is behind it */
    /* Issuers who number their users write numbers: who is on the list is taken back all the same. */
    expect_signed(&w, sign_hs256("{\"sub\":42}"), "token revoked");
    expect_signed(&w, sign_hs256("{\"sub\":\"42\"}"), "token revoked");
    expect_signed(&w, sign_hs256("{\"jti\":-7}"), "token revoked");
    expect_signed(&w, sign_hs256("{\"sub\":43,\"jti\":true}"), NULL);
    expect_signed(&w, sign_hs256("{\"sub\":\"# gone\"}"), NULL);
    expect_signed(&w, sign_hs256("{\"sub\":\"\"}"), NULL);
    /* a token known to be good, and then taken back */
    ask_with(&w, "x");
    char *token = sign_hs256("{\"sub\":\"bob\"}");
    expect(&w, token, NULL);
    struct token_claims *claims = token_claims_ref(w.verdict.claims);
    r->jwt.revoked.text = "sub:bob";
    world_take(&w, conf_ref(w.conf));
    assert_true(rules_is_revoked(w.rules, r, claims));
    expect(&w, token, "token revoked");
    token_claims_unref(&claims);
    mem_free(token);
    world_fini(&w);
}

/* ---- where it stands ---- */

static void where_tokens_are_found(void **state)
{
    static const struct {
        const char *more, *request; /* %s: a good token */
        uint16_t status;
        const char *reason;
    } rows[] = {
        {"", "GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\n\r\n", 0, NULL},
        {"", "GET / HTTP/1.1\r\nHost: h\r\nauthorization: bEARER   %s\r\n\r\n", 0, NULL},
        {"", "GET / HTTP/1.1\r\nHost: h\r\nAuthorization: %s\r\n\r\n", 401, "token missing"},
        {"", "GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Basic %s\r\n\r\n", 401, "token missing"},
        {"", "GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer\r\nX: %s\r\n\r\n", 401, "token missing"},
        {"", "GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\nAuthorization: Bearer x\r\n\r\n", 401,
         "more than one token"},
        {"", "GET /?token=%s HTTP/1.1\r\nHost: h\r\n\r\n", 401, "token missing"},
        {", query: token", "GET /?token=%s HTTP/1.1\r\nHost: h\r\n\r\n", 0, NULL},
        {", query: token", "GET /?a=b&token=%s&c HTTP/1.1\r\nHost: h\r\n\r\n", 0, NULL},
        {", query: token", "GET /?xtoken=%s HTTP/1.1\r\nHost: h\r\n\r\n", 401, "token missing"},
        {", query: token", "GET /?token=&x=%s HTTP/1.1\r\nHost: h\r\n\r\n", 401, "token missing"},
        {", query: token", "GET /?token=%s&token=x HTTP/1.1\r\nHost: h\r\n\r\n", 401, "more than one token"},
        {", query: token", "GET /?token=x HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\n\r\n", 0, NULL},
        {", cookie: sid", "GET / HTTP/1.1\r\nHost: h\r\nCookie: a=b; sid=%s\r\n\r\n", 0, NULL},
        {", cookie: sid", "GET / HTTP/1.1\r\nHost: h\r\nCookie: a=b\r\nCookie: sid=%s;c=d\r\n\r\n", 0, NULL},
        {", cookie: sid", "GET / HTTP/1.1\r\nHost: h\r\nCookie: sid=%s; sid=x\r\n\r\n", 401, "more than one token"},
        {", header: X-Token", "GET / HTTP/1.1\r\nHost: h\r\nx-token: %s\r\n\r\n", 0, NULL},
        {", header: X-Token", "GET / HTTP/1.1\r\nHost: h\r\nx-token: Bearer %s\r\n\r\n", 0, NULL},
        {", header: X-Token", "GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\n\r\n", 401, "token missing"},
        {", header: \"\", query: t", "GET /?t=%s HTTP/1.1\r\nHost: h\r\n\r\n", 0, NULL},
        {", optional: true", "GET / HTTP/1.1\r\nHost: h\r\nX: %s\r\n\r\n", 0, NULL},
        {", optional: true", "GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer x%s\r\n\r\n", 401, NULL},
    };
    (void)state;
    char *token = sign_hs256("{\"sub\":\"u\"}");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct world w;
        char request[1024];
        init_hs(&w, rows[i].more);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(request, sizeof request, rows[i].request, token);
#pragma GCC diagnostic pop
        if (world_ask(&w, request) != rows[i].status)
            fail_msg("%s: %s", request, w.verdict.reason);
        if (rows[i].reason != NULL)
            assert_string_equal(w.verdict.reason, rows[i].reason);
        world_fini(&w);
    }
    mem_free(token);
}

static void who_did_not_try_is_told_how(void **state)
{
    (void)state;
    struct world w;
    init_hs(&w, "");
    world_ask(&w, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    world_expect_fields(&w, "WWW-Authenticate: Bearer\n");
    world_fini(&w);
}

/* ---- what becomes of it ---- */

static void how_long_it_allows(void **state)
{
    static const struct {
        const char *more;
        long long exp_s; /* from now; 0: no exp */
        long long expires_ms;
    } rows[] = {
        {"", 0, 0},
        {"", 60, 60000},
        {", grace: 10s", 60, 70000},
        {"", -10, 20000}, /* in by the leeway, out with it */
        {", grace: 10s", -10, 30000},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct world w;
        char claims[64] = "{}";
        init_hs(&w, rows[i].more);
        if (rows[i].exp_s != 0)
            snprintf(claims, sizeof claims, "{\"exp\":%lld}", (long long)WALL_S + rows[i].exp_s);
        expect_signed(&w, sign_hs256(claims), NULL);
        assert_int_equal(w.verdict.expires_wall_ms, rows[i].exp_s == 0 ? 0 : WALL_MS + rows[i].expires_ms);
        world_fini(&w);
    }
}

static void claims_become_fields(void **state)
{
    (void)state;
    struct world w;
    init_hs(&w,
            ", optional: true, forward: { sub: X-User, roles: X-Roles, a.b: [ X-AB, X-AB2 ], evil: [ X-Evil, x_b ] }");
    expect_signed(
        &w, sign_hs256("{\"sub\":\"u-1\",\"roles\":[\"a\",\"b\"],\"a\":{\"b\":5},\"evil\":\"x\\r\\nX-Admin: 1\"}"),
        NULL);
    char *text = world_fields(w.verdict.forward, w.verdict.forward_count);
    assert_string_equal(text, "x-user: u-1\nx-roles: a,b\nx-ab: 5\nx-ab2: 5\nx-evil -\nx_b -\n");
    mem_free(text);
    assert_true(rules_drops_request_field(&w.verdict, http_view_of("X-User")));
    assert_true(rules_drops_request_field(&w.verdict, http_view_of("X_User"))); /* the same to many servers */
    assert_true(rules_drops_request_field(&w.verdict, http_view_of("X-B")));
    assert_false(rules_drops_request_field(&w.verdict, http_view_of("X-Username")));
    /* without token there is nothing to put in, and what the client sent is dropped all the same */
    assert_int_equal(world_ask(&w, "GET / HTTP/1.1\r\nHost: h\r\nX-User: root\r\n\r\n"), 0);
    text = world_fields(w.verdict.forward, w.verdict.forward_count);
    assert_string_equal(text, "x-user -\nx-roles -\nx-ab -\nx-ab2 -\nx-evil -\nx_b -\n");
    mem_free(text);
    assert_true(rules_drops_request_field(&w.verdict, http_view_of("x-user")));
    world_fini(&w);
}

static void a_rate_by_claim(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, "", "jwt: { secret: \"" SECRET "\" }, rate: { per: claim, name: sub, requests: 1, every: 1m }");
    char *alice = sign_hs256("{\"sub\":\"alice\"}"), *bob = sign_hs256("{\"sub\":\"bob\"}");
    expect(&w, alice, NULL);
    ask_with(&w, alice);
    assert_int_equal(w.verdict.status, 429);
    expect(&w, bob, NULL);
    expect(&w, "x", "token malformed"); /* who is nobody takes nothing */
    mem_free(alice);
    mem_free(bob);
    world_fini(&w);
}

/* What is remembered is the signature, nothing that may change. */
static void a_token_known_to_be_good_is_judged_anew(void **state)
{
    (void)state;
    struct world w;
    char claims[64];
    init_hs(&w, "");
    snprintf(claims, sizeof claims, "{\"exp\":%lld}", (long long)WALL_S + 60);
    char *token = sign_hs256(claims);
    expect(&w, token, NULL);
    w.wall_ms += 89999;
    expect(&w, token, NULL);
    w.wall_ms += 1;
    expect(&w, token, "token expired");
    w.wall_ms = WALL_MS;
    expect(&w, token, NULL);
    world_take(&w, world_conf("", "jwt: { secret: \"another secret of thirty-two bytes, at least\" }"));
    expect(&w, token, "signature does not verify");
    mem_free(token);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_algorithm_with_its_key),
        cmocka_unit_test(a_public_key_is_no_secret),
        cmocka_unit_test(headers_that_do_not_pass),
        cmocka_unit_test(forms_that_do_not_pass),
        cmocka_unit_test(long_tokens),
        cmocka_unit_test(times_with_leeway),
        cmocka_unit_test(required_claims),
        cmocka_unit_test(taken_back),
        cmocka_unit_test(where_tokens_are_found),
        cmocka_unit_test(who_did_not_try_is_told_how),
        cmocka_unit_test(how_long_it_allows),
        cmocka_unit_test(claims_become_fields),
        cmocka_unit_test(a_rate_by_claim),
        cmocka_unit_test(a_token_known_to_be_good_is_judged_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
