/* Which keys are taken, from which forms, and which of them a token may be checked with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "gateway/rules/token_keys.h"
#include "tests/unit/gateway/rules/sign.h"

static struct token_keys *from_jwks(const char *text, char *error)
{
    return token_keys_from_jwks(text, strlen(text), error);
}

static size_t count(const struct token_keys *k, enum conf_jwt_algorithm a, const char *kid)
{
    size_t cursor = 0, n = 0;
    while (token_keys_next(k, a, kid, &cursor) != NULL)
        n++;
    return n;
}

/* A set of one key. */
static struct token_keys *from_jwk(const char *jwk)
{
    char error[TOKEN_KEYS_ERROR_TEXT] = "";
    char *text = mem_printf("{\"keys\":[%s]}", jwk);
    struct token_keys *k = from_jwks(text, error);
    assert_true(k != NULL || strcmp(error, "has no key for HS256, RS256 or ES256") == 0);
    mem_free(text);
    return k;
}

static void expect_jwk(EVP_PKEY *key, const char *extra, enum conf_jwt_algorithm algorithm, bool is_taken)
{
    char *jwk = sign_jwk(key, extra);
    struct token_keys *k = from_jwk(jwk);
    if ((k != NULL) != is_taken)
        fail_msg("%s", jwk);
    if (k != NULL) {
        size_t cursor = 0;
        char *pem = sign_public_pem(key);
        const struct token_key *found = token_keys_next(k, algorithm, NULL, &cursor);
        assert_non_null(found);
        assert_int_equal(found->len, strlen(pem));
        assert_memory_equal(found->data, pem, found->len); /* the same key OpenSSL itself would write */
        mem_free(pem);
        token_keys_destroy(&k);
    }
    mem_free(jwk);
}

static void jwks_become_keys(void **state)
{
    static const struct {
        const char *extra;
        bool rsa, ec;
    } rows[] = {
        {"", true, true},
        {",\"kid\":\"k\"", true, true},
        {",\"use\":\"sig\"", true, true},
        {",\"use\":\"enc\"", false, false},
        {",\"alg\":\"RS256\"", true, false},
        {",\"alg\":\"ES256\"", false, true},
        {",\"alg\":\"PS256\"", false, false},
        {",\"key_ops\":[\"verify\"]", true, true},
        {",\"key_ops\":[\"encrypt\"]", false, false},
        {",\"key_ops\":[]", false, false},
    };
    (void)state;
    EVP_PKEY *rsa = sign_rsa_key(2048), *ec = sign_ec_key("P-256");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        expect_jwk(rsa, rows[i].extra, JWT_RS256, rows[i].rsa);
        expect_jwk(ec, rows[i].extra, JWT_ES256, rows[i].ec);
    }
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(ec);
}

static void weak_and_broken_jwks_are_passed_over(void **state)
{
    static const char *const rows[] = {
        "{}",
        "null",
        "[]",
        "{\"kty\":\"RSA\"}",
        "{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}",
        "{\"kty\":\"RSA\",\"n\":7,\"e\":\"AQAB\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAA\",\"y\":\"AAAA\"}",
        /* not on the curve */
        ("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\","
         "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\"}"),
        "{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"AAAA\",\"y\":\"AAAA\"}",
        "{\"kty\":\"oct\",\"k\":\"c2hvcnQ\"}",
        "{\"kty\":\"oct\",\"k\":\"not base64url!\"}",
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_null(from_jwk(rows[i]));
    EVP_PKEY *small = sign_rsa_key(1024);
    expect_jwk(small, "", JWT_RS256, false);
    EVP_PKEY_free(small);
}

static void what_is_no_key_set(void **state)
{
    static const char *const rows[] = {"", "{}", "[]", "{\"keys\":{}}", "{\"keys\":null}", "{\"keys\":[]", "x"};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char error[TOKEN_KEYS_ERROR_TEXT] = "";
        assert_null(from_jwks(rows[i], error));
        assert_string_equal(error, "is not a JSON Web Key Set");
    }
}

static void a_good_key_among_odd_ones(void **state)
{
    (void)state;
    char error[TOKEN_KEYS_ERROR_TEXT] = "";
    EVP_PKEY *rsa = sign_rsa_key(2048), *ec = sign_ec_key("P-256");
    char *a = sign_jwk(rsa, ",\"kid\":\"a\""), *b = sign_jwk(ec, ",\"kid\":\"b\""), *c = sign_jwk(ec, "");
    char *text = mem_printf("{\"keys\":[{\"kty\":\"future\"},17,%s,%s,%s,{\"kty\":\"oct\",\"kid\":\"a\",\"k\":"
                            "\"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE\"}]}",
                            a, b, c);
    struct token_keys *k = from_jwks(text, error);
    assert_non_null(k);
    assert_int_equal(count(k, JWT_RS256, NULL), 1);
    assert_int_equal(count(k, JWT_RS256, "a"), 1);
    assert_int_equal(count(k, JWT_RS256, "b"), 0); /* the name of another kind of key */
    assert_int_equal(count(k, JWT_ES256, NULL), 2);
    assert_int_equal(count(k, JWT_ES256, "b"), 2); /* and the one without a name */
    assert_int_equal(count(k, JWT_ES256, "z"), 1);
    assert_int_equal(count(k, JWT_HS256, "a"), 1);
    token_keys_destroy(&k);
    mem_free(a);
    mem_free(b);
    mem_free(c);
    mem_free(text);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(ec);
}

static void a_set_is_bounded(void **state)
{
    (void)state;
    char error[TOKEN_KEYS_ERROR_TEXT] = "";
    struct strbuf b;
    strbuf_init(&b, 1u << 20);
    strbuf_puts(&b, "{\"keys\":[");
    for (int i = 0; i < 100; i++)
        strbuf_printf(&b, "%s{\"kty\":\"oct\",\"k\":\"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE\"}",
                      i > 0 ? "," : "");
    strbuf_puts(&b, "]}");
    struct token_keys *k = token_keys_from_jwks(b.data, b.len, error);
    assert_int_equal(count(k, JWT_HS256, NULL), TOKEN_KEYS_MAX);
    token_keys_destroy(&k);
    while (b.len <= TOKEN_KEYS_TEXT_MAX)
        strbuf_puts(&b, "                                                                                  ");
    assert_null(token_keys_from_jwks(b.data, b.len, error));
    strbuf_fini(&b);
}

static void keys_in_pem(void **state)
{
    (void)state;
    static const struct {
        const char *curve;
        int rsa_bits;
        const char *error;
        enum conf_jwt_algorithm algorithm;
    } rows[] = {
        {NULL, 2048, "", JWT_RS256},
        {"P-256", 0, "", JWT_ES256},
        {NULL, 1024, "is neither RSA of 2048 to 8192 bits nor EC P-256", JWT_RS256},
        {"P-384", 0, "is neither RSA of 2048 to 8192 bits nor EC P-256", JWT_ES256},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char error[TOKEN_KEYS_ERROR_TEXT] = "";
        EVP_PKEY *key = rows[i].curve != NULL ? sign_ec_key(rows[i].curve) : sign_rsa_key(rows[i].rsa_bits);
        char *pem = sign_public_pem(key);
        struct token_keys *k = token_keys_from_pem(pem, error);
        assert_string_equal(error, rows[i].error);
        assert_int_equal(k != NULL, rows[i].error[0] == '\0');
        if (k != NULL) {
            assert_int_equal(count(k, rows[i].algorithm, "any name"), 1);
            assert_int_equal(count(k, JWT_HS256, NULL), 0);
            token_keys_destroy(&k);
        }
        mem_free(pem);
        EVP_PKEY_free(key);
    }
    char error[TOKEN_KEYS_ERROR_TEXT] = "";
    assert_null(token_keys_from_pem("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", error));
    assert_string_equal(error, "is not a public key in PEM");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jwks_become_keys),   cmocka_unit_test(weak_and_broken_jwks_are_passed_over),
        cmocka_unit_test(what_is_no_key_set), cmocka_unit_test(a_good_key_among_odd_ones),
        cmocka_unit_test(a_set_is_bounded),   cmocka_unit_test(keys_in_pem),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
