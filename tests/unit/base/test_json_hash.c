/* Texts that mean the same have one hash, and others have others: two tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json_hash.h"

static const uint8_t key[16] = {1, 2, 3};

static uint64_t hash_of(const char *text)
{
    return json_hash(key, (struct json_text){text, strlen(text)});
}

static const struct {
    const char *a, *b;
} same[] = {
    {"{\"a\":1,\"b\":[true,null]}", " { \"b\" : [ true , null ] , \"a\" : 1 } "},
    {"{\"p\":{\"x\":{},\"y\":[]},\"q\":\"\"}", "{\"q\":\"\",\"p\":{\"y\":[],\"x\":{}}}"},
    {"\"\\u00e4\\/\\n\\ud83d\\ude00\"", "\"\xc3\xa4/\\u000a\xf0\x9f\x98\x80\""},
    {"{\"\\u0061\":1}", "{\"a\":1}"},
    {"[1e2,0.50,-1.5E+1]", "[100.0,0.5,-15.0]"},
    {"7", " 7\n"},
};

static const char *const others[] = {
    "1",
    "1.0",
    "2",
    "-1",
    "\"1\"",
    "\"\"",
    "null",
    "true",
    "false",
    "{}",
    "[]",
    "[[]]",
    "[{}]",
    "[1]",
    "[1,2]",
    "[2,1]",
    "[1,1]",
    "[[1],2]",
    "[[1,2]]",
    "{\"a\":1}",
    "{\"a\":2}",
    "{\"b\":1}",
    "{\"a\":\"1\"}",
    "{\"a\":[1]}",
    "{\"a\":{}}",
    "{\"a\":1,\"b\":2}",
    "{\"a\":2,\"b\":1}",
    "{\"a\":1,\"a\":1}",
    "[\"a\",1]",
    "9007199254740993",
    "9007199254740992",
    "0.1",
    "0.2",
    "{\"a\":{\"b\":1},\"c\":2}",
    "{\"a\":{\"b\":1,\"c\":2}}",
    /* no JSON */
    "",
    " ",
    "{",
    "{\"a\":1",
    "{\"a\":1}x",
    "1 2",
    "tru",
    "[1,]",
    "{\"a\"}",
    "\"",
    "nothing",
};

static void what_means_the_same_has_one_hash(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        if (hash_of(same[i].a) != hash_of(same[i].b))
            print_error("not the same: %s and %s\n", same[i].a, same[i].b);
        assert_true(hash_of(same[i].a) == hash_of(same[i].b));
    }
}

static void what_does_not_has_others(void **state)
{
    const size_t count = sizeof others / sizeof others[0];
    (void)state;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (hash_of(others[i]) == hash_of(others[j]))
                print_error("the same: %s and %s\n", others[i], others[j]);
            assert_true(hash_of(others[i]) != hash_of(others[j]));
        }
    }
}

static void the_key_counts(void **state)
{
    static const uint8_t another[16] = {3, 2, 1};
    (void)state;
    assert_true(json_hash(key, (struct json_text){"{}", 2}) != json_hash(another, (struct json_text){"{}", 2}));
}

/* `depth` arrays, and in the innermost one these. */
static uint64_t hash_of_nested(size_t depth, const char *inner)
{
    char text[4096];
    const size_t len = strlen(inner);
    assert_true(2 * depth + len < sizeof text);
    memset(text, '[', depth);
    memcpy(text + depth, inner, len);
    memset(text + depth + len, ']', depth);
    return json_hash(key, (struct json_text){text, 2 * depth + len});
}

static void what_is_deep_is_taken_as_it_is_written(void **state)
{
    static const char a[] = "{\"a\":1,\"b\":2}", b[] = "{\"b\":2,\"a\":1}";
    (void)state;
    assert_true(hash_of_nested(JSON_HASH_DEPTH_MAX - 1, a) == hash_of_nested(JSON_HASH_DEPTH_MAX - 1, b));
    assert_true(hash_of_nested(JSON_HASH_DEPTH_MAX, a) == hash_of_nested(JSON_HASH_DEPTH_MAX, a));
    assert_true(hash_of_nested(JSON_HASH_DEPTH_MAX, a) != hash_of_nested(JSON_HASH_DEPTH_MAX, b));
    assert_true(hash_of_nested(1500, "1") != hash_of_nested(1500, "2")); /* no JSON for us any more */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_means_the_same_has_one_hash),
        cmocka_unit_test(what_does_not_has_others),
        cmocka_unit_test(the_key_counts),
        cmocka_unit_test(what_is_deep_is_taken_as_it_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
