/* Key sets of a pool, under a clock that the test moves: when they are asked for, and what becomes of what comes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/gateway/rules/sign.h"
#include "tests/unit/gateway/rules/world.h"

#define ROUTE "jwt: { jwks: { pool: p, path: /keys, refresh: 5m } }"

static bool is_due(struct world *w)
{
    struct rules_fetch f = {0};
    if (!rules_fetch_next(w->rules, w->now_ms, &f))
        return false;
    assert_string_equal(f.pool, "p");
    assert_string_equal(f.path, "/keys");
    return true;
}

static void bring(struct world *w, const char *text, int64_t max_age_ms)
{
    rules_fetch_done(w->rules, "p", "/keys", text, text != NULL ? strlen(text) : 0, max_age_ms, w->now_ms);
}

static char *key_set(EVP_PKEY *key, const char *kid)
{
    char extra[64];
    snprintf(extra, sizeof extra, ",\"kid\":\"%s\"", kid);
    char *jwk = sign_jwk(key, extra);
    char *text = mem_printf("{\"keys\":[%s]}", jwk);
    mem_free(jwk);
    return text;
}

static uint16_t ask_signed(struct world *w, EVP_PKEY *key, const char *kid)
{
    char header[64];
    snprintf(header, sizeof header, "{\"alg\":\"ES256\",\"kid\":\"%s\"}", kid);
    char *token = sign_with(key, header, "{\"sub\":\"u\"}");
    char *request = mem_printf("GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\n\r\n", token);
    const uint16_t status = world_ask(w, request);
    mem_free(request);
    mem_free(token);
    return status;
}

static void nobody_is_judged_without_keys(void **state)
{
    (void)state;
    struct world w;
    EVP_PKEY *key = sign_ec_key("P-256");
    char *text = key_set(key, "a");
    world_init(&w, "", ROUTE);
    assert_int_equal(ask_signed(&w, key, "a"), 503); /* neither in nor out */
    assert_int_equal(w.verdict.retry_after_s, 1);
    assert_string_equal(w.verdict.reason, "keys not available yet");
    assert_true(is_due(&w));  /* at once */
    assert_false(is_due(&w)); /* one at a time */
    bring(&w, text, -1);
    assert_int_equal(ask_signed(&w, key, "a"), 0);
    assert_false(is_due(&w));
    world_fini(&w);
    mem_free(text);
    EVP_PKEY_free(key);
}

static void sets_are_refreshed(void **state)
{
    static const struct {
        int64_t max_age_ms, due_after_ms;
    } rows[] = {{-1, 300000}, {600000, 300000}, {60000, 60000}, {0, 10000}};
    (void)state;
    EVP_PKEY *key = sign_ec_key("P-256");
    char *text = key_set(key, "a");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct world w;
        world_init(&w, "", ROUTE);
        assert_true(is_due(&w));
        bring(&w, text, rows[i].max_age_ms);
        w.now_ms += rows[i].due_after_ms - 1;
        assert_false(is_due(&w));
        w.now_ms += 1;
        assert_true(is_due(&w));
        world_fini(&w);
    }
    mem_free(text);
    EVP_PKEY_free(key);
}

static void failures_keep_the_keys_and_back_off(void **state)
{
    static const int64_t waits_ms[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
    (void)state;
    struct world w;
    EVP_PKEY *key = sign_ec_key("P-256");
    char *text = key_set(key, "a");
    world_init(&w, "", ROUTE);
    assert_true(is_due(&w));
    bring(&w, text, -1);
    w.now_ms += 300000;
    for (size_t i = 0; i < sizeof waits_ms / sizeof waits_ms[0]; i++) {
        assert_true(is_due(&w));
        bring(&w, i % 2 == 0 ? NULL : "{\"keys\":[]}", -1);
        assert_int_equal(ask_signed(&w, key, "a"), 0);
        assert_int_equal(ask_signed(&w, key, "unknown"), 401); /* no reason to come sooner */
        w.now_ms += waits_ms[i] - 1;
        assert_false(is_due(&w));
        w.now_ms += 1;
    }
    assert_true(is_due(&w));
    bring(&w, text, -1);
    w.now_ms += 299999;
    assert_false(is_due(&w));
    world_fini(&w);
    mem_free(text);
    EVP_PKEY_free(key);
}

static void an_unknown_key_makes_it_look_again_but_not_often(void **state)
{
    (void)state;
    struct world w;
    EVP_PKEY *old = sign_ec_key("P-256"), *new = sign_ec_key("P-256");
    char *old_text = key_set(old, "old"), *new_text = key_set(new, "new");
    world_init(&w, "", ROUTE);
    assert_true(is_due(&w));
    bring(&w, old_text, -1);
    w.now_ms += 100;
    assert_int_equal(ask_signed(&w, new, "new"), 401);
    assert_false(is_due(&w));
    w.now_ms += 9899;
    assert_false(is_due(&w));
    w.now_ms += 1;
    assert_true(is_due(&w)); /* 10 s after the last one */
    bring(&w, new_text, -1);
    assert_int_equal(ask_signed(&w, new, "new"), 0);
    assert_int_equal(ask_signed(&w, old, "old"), 401); /* and what the old key vouched for is forgotten */
    for (int i = 0; i < 100; i++) {
        assert_int_equal(ask_signed(&w, old, "old"), 401);
        assert_false(is_due(&w));
    }
    w.now_ms += 60000;
    assert_int_equal(ask_signed(&w, old, "made-up"), 401);
    assert_true(is_due(&w)); /* at once, when it was long ago */
    bring(&w, new_text, -1);
    world_fini(&w);
    mem_free(old_text);
    mem_free(new_text);
    EVP_PKEY_free(old);
    EVP_PKEY_free(new);
}

static void a_reload_keeps_what_was_fetched(void **state)
{
    (void)state;
    struct world w;
    EVP_PKEY *key = sign_ec_key("P-256");
    char *text = key_set(key, "a");
    world_init(&w, "", ROUTE);
    assert_true(is_due(&w));
    bring(&w, text, -1);
    world_take(&w, world_conf("", ROUTE ", methods: [ GET ]"));
    assert_int_equal(ask_signed(&w, key, "a"), 0);
    assert_true(is_due(&w)); /* but looks again: the pool may be another issuer's now, the refresh another time */
    bring(&w, NULL, -1);
    assert_int_equal(ask_signed(&w, key, "a"), 0);
    world_take(&w, world_conf("", "jwt: { jwks: { pool: p, path: /other } }"));
    assert_int_equal(ask_signed(&w, key, "a"), 503);
    bring(&w, text, -1); /* for the place it came from nobody asks any more */
    assert_int_equal(ask_signed(&w, key, "a"), 503);
    world_fini(&w);
    mem_free(text);
    EVP_PKEY_free(key);
}

/* Routes may share keys and what is known about tokens, but not what they allow. */
static void a_known_token_of_an_algorithm_no_longer_allowed(void **state)
{
    (void)state;
    struct world w;
    EVP_PKEY *key = sign_ec_key("P-256");
    char *text = key_set(key, "a"), *token = sign_with(key, "{\"alg\":\"ES256\"}", "{}");
    char *request = mem_printf("GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\n\r\n", token);
    world_init(&w, "", ROUTE);
    assert_true(is_due(&w));
    bring(&w, text, -1);
    assert_int_equal(world_ask(&w, request), 0);
    world_take(&w, world_conf("", "jwt: { jwks: { pool: p, path: /keys }, algorithms: [ RS256 ] }"));
    assert_int_equal(world_ask(&w, request), 401);
    assert_string_equal(w.verdict.reason, "algorithm not allowed");
    world_fini(&w);
    mem_free(request);
    mem_free(token);
    mem_free(text);
    EVP_PKEY_free(key);
}

static void a_bad_key_leaves_everything_as_it_was(void **state)
{
    (void)state;
    struct world w;
    char error[RULES_ERROR_BYTES] = "";
    world_init(&w, "", "jwt: { secret: \"" SECRET "\" }");
    struct conf *bad = world_conf("", "name: r, jwt: { public_key: \"-----BEGIN PUBLIC KEY-----\\nx\\n\" }");
    assert_false(rules_take_conf(w.rules, bad, error));
    assert_string_equal(error, "route r: the key is not a public key in PEM");
    assert_false(rules_can_use(&bad->routes[0], error)); /* what the supervisor asks first */
    assert_string_equal(error, "the key is not a public key in PEM");
    assert_true(rules_can_use(&w.conf->routes[0], error));
    char *token = sign_hs256("{}");
    char *request = mem_printf("GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\n\r\n", token);
    assert_int_equal(world_ask(&w, request), 0);
    conf_unref(&bad);
    mem_free(token);
    mem_free(request);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_judged_without_keys),
        cmocka_unit_test(sets_are_refreshed),
        cmocka_unit_test(failures_keep_the_keys_and_back_off),
        cmocka_unit_test(an_unknown_key_makes_it_look_again_but_not_often),
        cmocka_unit_test(a_reload_keeps_what_was_fetched),
        cmocka_unit_test(a_known_token_of_an_algorithm_no_longer_allowed),
        cmocka_unit_test(a_bad_key_leaves_everything_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
