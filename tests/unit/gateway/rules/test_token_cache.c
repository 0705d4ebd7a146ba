/* Tokens remembered: found again by their keys, and bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/rules/token_cache.h"
#include "gateway/rules/token_header.h"

static void put(struct token_cache *c, uint64_t keys_id, const char *token)
{
    struct token_claims *claims = token_claims_parse("{}", 2);
    token_cache_put(c, keys_id, http_view_of(token), JWT_ES256, claims);
    token_claims_unref(&claims);
}

static bool has(struct token_cache *c, uint64_t keys_id, const char *token)
{
    enum conf_jwt_algorithm algorithm = TOKEN_NO_ALGORITHM;
    const bool is_there = token_cache_get(c, keys_id, http_view_of(token), &algorithm) != NULL;
    assert_int_equal(algorithm, is_there ? JWT_ES256 : TOKEN_NO_ALGORITHM);
    return is_there;
}

static void a_token_counts_for_its_keys_alone(void **state)
{
    (void)state;
    struct token_cache *c = token_cache_create();
    put(c, 1, "a.b.c");
    assert_true(has(c, 1, "a.b.c"));
    assert_false(has(c, 2, "a.b.c"));
    assert_false(has(c, 1, "a.b.d"));
    assert_false(has(c, 1, "a.b"));
    token_cache_destroy(&c);
}

static void the_one_used_longest_ago_makes_room(void **state)
{
    (void)state;
    struct token_cache *c = token_cache_create();
    char token[32];
    for (unsigned i = 0; i < TOKEN_CACHE_COUNT; i++) {
        snprintf(token, sizeof token, "t%u", i);
        put(c, 1, token);
    }
    assert_true(has(c, 1, "t0")); /* used just now */
    put(c, 1, "one more");
    assert_true(has(c, 1, "t0"));
    assert_false(has(c, 1, "t1"));
    assert_true(has(c, 1, "t2"));
    token_cache_destroy(&c);
}

static void long_tokens_are_fewer(void **state)
{
    (void)state;
    struct token_cache *c = token_cache_create();
    static char token[TOKEN_MAX_BYTES + 1];
    memset(token, 'x', TOKEN_MAX_BYTES);
    unsigned kept = 0;
    for (unsigned i = 0; i < 1000; i++) {
        memcpy(token, (char[4]){(char)('a' + i % 26), (char)('a' + i / 26 % 26), (char)('a' + i / 676), '.'}, 4);
        put(c, 1, token);
    }
    for (unsigned i = 0; i < 1000; i++) {
        memcpy(token, (char[4]){(char)('a' + i % 26), (char)('a' + i / 26 % 26), (char)('a' + i / 676), '.'}, 4);
        kept += has(c, 1, token);
    }
    assert_in_range(kept, 500, TOKEN_CACHE_BYTES / TOKEN_MAX_BYTES);
    token_cache_destroy(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_token_counts_for_its_keys_alone),
                                       cmocka_unit_test(the_one_used_longest_ago_makes_room),
                                       cmocka_unit_test(long_tokens_are_fewer)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
