/* What is JSON, what is not, and what may still become some: by tables, each text cut at every place, with jansson as
 * the second opinion. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/json_scan.h"
#include "base/mem.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static struct json_text text_of(const char *s)
{
    return (struct json_text){s, strlen(s)};
}

/* Of a copy as long as the text, for a sanitizer to see the first byte too far. */
static enum json_read skip_copy(const char *text, size_t len, bool is_whole, size_t *span)
{
    char *copy = mem_strndup(text, len);
    char *tight = mem_realloc(copy, len > 0 ? len : 1);
    struct json_scan s = json_scan_of(tight, len, is_whole);
    struct json_text value = {NULL, 0};
    const enum json_read r = json_skip(&s, &value);
    *span = value.len;
    if (r != JSON_OK)
        assert_ptr_equal(s.at, tight);
    mem_free(tight);
    return r;
}

static const char *const good[] = {
    "{}",
    "[]",
    "\"\"",
    "\"plain\"",
    "\"a longer string, of more than eight bytes \xc3\xa4\"",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\\uD83D\\ude00\"",
    "\"\\ud83d alone\"",
    "true",
    "false",
    "null",
    "[1,-0,0.5,1e3,1E+3,-12.25e-7,123456789012345678901234567890]",
    "[ [ ] , { } , [ { \"a\" : [ ] } ] ]",
    "{\"a\":{\"b\":{\"c\":[1,{\"d\":\"}]\"}]}}}",
    "{\"\\u0061\" :\t1 ,\r\n\"b\":null}",
    "[\"3\",\"3\",\"realtime:room\",\"phx_join\",{\"config\":{\"broadcast\":{\"ack\":true},\"private\":false}}]",
};

static void good_texts_are_read_whole_and_more_is_wanted_before(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        const size_t len = strlen(good[i]);
        size_t span;
        assert_true(json_is_value(text_of(good[i])));
        assert_int_equal(skip_copy(good[i], len, true, &span), JSON_OK);
        assert_int_equal(span, len);
        for (size_t cut = 0; cut < len; cut++) {
            assert_int_equal(skip_copy(good[i], cut, false, &span), JSON_MORE);
            assert_int_equal(skip_copy(good[i], cut, true, &span), JSON_BAD);
        }
    }
}

static const char *const bad[] = {
    "",
    "   ",
    "{",
    "[1,]",
    "[,1]",
    "[1 2]",
    "{\"a\":1,}",
    "{,}",
    "{\"a\"}",
    "{a:1}",
    "{1:2}",
    "{\"a\" 1}",
    "[1}",
    "{\"a\":1]",
    "'a'",
    "tru",
    "True",
    "nul",
    "nulll",
    "01",
    "-",
    "+1",
    ".5",
    "1.",
    "1e",
    "1e+",
    "1.e3",
    "0x1",
    "--1",
    "NaN",
    "\"a",
    "\"\\x\"",
    "\"\\u12\"",
    "\"\\u12g4\"",
    "\"a\nb\"",
    "\"a\tb and more of it\"",
    "[1] 2",
    "{} {}",
    "[\"a\",\"b\"",
    "]",
    "\"\x01\"",
};

static void bad_texts_are_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        if (json_is_value(text_of(bad[i])))
            fail_msg("taken for JSON: %s", bad[i]);
}

static void the_second_opinion_is_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good) + COUNT(bad); i++) {
        const char *text = i < COUNT(good) ? good[i] : bad[i - COUNT(good)];
        json_t *tree = json_loads(text, JSON_DECODE_ANY, NULL);
        /* Halves of surrogate pairs, and numbers no machine holds, are JSON by its grammar; jansson refuses them. */
        const bool is_beyond = strstr(text, "alone") != NULL || strstr(text, "1234567890123456789012") != NULL;
        if ((tree != NULL) != json_is_value(text_of(text)) && !is_beyond)
            fail_msg("opinions differ: %s", text);
        json_decref(tree);
    }
}

static void what_is_bad_early_is_not_waited_for(void **state)
{
    static const char *const beginnings[] = {"x", "[1 2", "{\"a\",", "{\"a\":tx", "\"a\n", "\"\\q", "[01", "-a", "nux"};
    size_t span;
    (void)state;
    for (size_t i = 0; i < COUNT(beginnings); i++)
        assert_int_equal(skip_copy(beginnings[i], strlen(beginnings[i]), false, &span), JSON_BAD);
}

static void a_number_ends_where_something_else_begins(void **state)
{
    size_t span;
    (void)state;
    assert_int_equal(skip_copy("12", 2, false, &span), JSON_MORE);
    assert_int_equal(skip_copy("12", 2, true, &span), JSON_OK);
    assert_int_equal(skip_copy(" 12,", 4, false, &span), JSON_OK);
    assert_int_equal(span, 2);
}

static void depth_has_an_end(void **state)
{
    char text[2 * JSON_DEPTH_MAX + 3];
    (void)state;
    memset(text, '[', JSON_DEPTH_MAX);
    memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    assert_true(json_is_value((struct json_text){text, 2 * (size_t)JSON_DEPTH_MAX}));
    memset(text, '[', JSON_DEPTH_MAX + 1);
    memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    assert_false(json_is_value((struct json_text){text, 2 * (size_t)JSON_DEPTH_MAX + 2}));

    /* What kind each level is is remembered over the borders of words. */
    for (size_t i = 0; i < 200; i++) {
        text[i] = '[';
        text[200 + i] = ']';
    }
    assert_true(json_is_value((struct json_text){text, 400}));
    text[200 + 135] = '}';
    assert_false(json_is_value((struct json_text){text, 400}));
}

/* Every byte that ends a run of plain ones, at every place of a word. */
static void strings_end_where_they_end(void **state)
{
    char text[40];
    (void)state;
    for (size_t at = 1; at < sizeof text - 1; at++)
        for (int c = 0; c < 256; c++) {
            memset(text, 'x', sizeof text);
            text[0] = text[sizeof text - 1] = '"';
            text[at] = (char)c;
            struct json_scan s = json_scan_of(text, sizeof text, true);
            struct json_string string;
            const enum json_read r = json_read_string(&s, &string);
            if (c == '"') {
                assert_int_equal(r, JSON_OK);
                assert_int_equal(string.len, at - 1);
            } else if (c < 0x20 || c == '\\') {
                assert_int_equal(r, JSON_BAD);
            } else {
                assert_int_equal(r, JSON_OK);
                assert_int_equal(string.len, sizeof text - 2);
                assert_false(string.has_escapes);
            }
        }
}

static const struct {
    const char *json, *means;
} meanings[] = {
    {"\"\"", ""},
    {"\"abc\"", "abc"},
    {"\"a\\u0062c\"", "abc"},
    {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
    {"\"\\u00e4\\u20AC\\ud83d\\ude00!\"", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80!"},
    {"\"\\ud83d\"", "\xef\xbf\xbd"},
    {"\"\\ude00x\"", "\xef\xbf\xbdx"},
    {"\"\\ud83d\\n\"", "\xef\xbf\xbd\n"},
    {"\"\\ud83d\\u0041\"", "\xef\xbf\xbd"
                           "A"},
    {"\"realtime\\u003aroom\"", "realtime:room"},
};

static void strings_mean_what_they_mean(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(meanings); i++) {
        struct json_string string;
        char out[64];
        const size_t len = strlen(meanings[i].means);
        assert_true(json_to_string(text_of(meanings[i].json), &string));
        assert_int_equal(json_decode(string, out, sizeof out), len);
        assert_memory_equal(out, meanings[i].means, len);
        assert_int_equal(json_decode(string, out, len), len);
        if (len > 0)
            assert_int_equal(json_decode(string, out, len - 1), SIZE_MAX);
        assert_true(json_string_is(string, meanings[i].means, len));
        assert_true(json_text_is(text_of(meanings[i].json), meanings[i].means));
        assert_false(json_text_is(text_of(meanings[i].json), "another"));
        if (len > 0)
            assert_false(json_string_is(string, meanings[i].means, len - 1));
    }
    assert_false(json_text_is(text_of("12"), "12"));
    assert_false(json_text_is((struct json_text){NULL, 0}, ""));
}

static void arrays_and_objects_are_walked(void **state)
{
    const char *text = " [ 1 , {\"a\":2,\"\\u0062\":[3]} ] ,";
    struct json_scan s = json_scan_of(text, strlen(text), true);
    struct json_walk outer, inner;
    struct json_text value;
    struct json_string name;

    (void)state;
    assert_int_equal(json_enter(&outer, &s), JSON_OK);
    assert_int_equal(json_next(&outer), JSON_OK);
    assert_int_equal(json_skip(&s, &value), JSON_OK);
    assert_memory_equal(value.data, "1", value.len);
    assert_int_equal(json_next(&outer), JSON_OK);
    assert_int_equal(json_enter(&inner, &s), JSON_OK);
    assert_int_equal(json_next_member(&inner, &name), JSON_OK);
    assert_true(json_string_is(name, "a", 1));
    assert_int_equal(json_skip(&s, &value), JSON_OK);
    assert_int_equal(json_next_member(&inner, &name), JSON_OK);
    assert_true(json_string_is(name, "b", 1));
    assert_int_equal(json_skip(&s, &value), JSON_OK);
    assert_int_equal(value.len, 3);
    assert_int_equal(json_next_member(&inner, &name), JSON_END);
    assert_int_equal(json_next(&outer), JSON_END);
    assert_int_equal(text + strlen(text) - s.at, 2);
}

static void walking_is_as_strict_as_skipping(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good) + COUNT(bad); i++) {
        const char *text = i < COUNT(good) ? good[i] : bad[i - COUNT(good)];
        struct json_scan s = json_scan_of(text, strlen(text), true);
        struct json_walk w;
        struct json_text value;
        struct json_string name;
        char rest;
        enum json_read r = json_enter(&w, &s);
        if (r != JSON_OK)
            continue;
        while (r == JSON_OK && (r = w.is_object ? json_next_member(&w, &name) : json_next(&w)) == JSON_OK)
            r = json_skip(&s, &value);
        assert_true((r == JSON_END && json_peek(&s, &rest) != JSON_OK) == (i < COUNT(good)));
    }
}

static const struct {
    const char *json, *path, *value; /* NULL: not there */
} findings[] = {
    {"{\"a\":{\"b\":{\"c\": 12 }}}", "a.b.c", "12"},
    {"{\"a\":{\"b\":{\"c\": 12 }}}", "a.b", "{\"c\": 12 }"},
    {"{\"a\":{\"b\":1}}", "a.c", NULL},
    {"{\"a\":{\"b\":1}}", "a.b.c", NULL},
    {"{\"a\":[1]}", "a.0", NULL},
    {"[1]", "a", NULL},
    {"{\"a\":1,\"a\":2}", "a", "2"},
    {"{\"\\u0061\":\"x\"}", "a", "\"x\""},
    {"{\"a\":1", "a", NULL},
    {"{\"b\":{\"a\":1},\"c\":\"\\\"a\\\":2\"}", "a", NULL},
    {"12", "", "12"},
};

static void members_are_found_by_their_path(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(findings); i++) {
        const struct json_text found = json_find(text_of(findings[i].json), findings[i].path);
        if (findings[i].value == NULL) {
            assert_null(found.data);
            continue;
        }
        assert_int_equal(found.len, strlen(findings[i].value));
        assert_memory_equal(found.data, findings[i].value, found.len);
    }
}

/* Each byte at each place among plain ones, and with each length. */
static void what_ends_plain_text_is_found(void **state)
{
    char text[80];
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++)
        for (size_t at = 0; at < 70; at++) {
            const bool is_special = byte < 0x20 || byte == '"' || byte == '\\';
            memset(text, at % 2 == 0 ? 'a' : 0xff, sizeof text); /* neighbours must not matter */
            text[at] = (char)byte;
            const uint64_t all = json_special_bits(text, sizeof text);
            assert_true(all == (is_special && at < 64 ? (uint64_t)1 << at : 0));
            assert_ptr_equal(json_skip_plain(text, text + sizeof text), is_special ? text + at : text + sizeof text);
        }
    memset(text, 'a', sizeof text);
    for (size_t len = 0; len < 64; len++) {
        assert_true(json_special_bits(text, len) == UINT64_MAX << len);
        assert_ptr_equal(json_skip_plain(text, text + len), text + len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_texts_are_read_whole_and_more_is_wanted_before),
        cmocka_unit_test(bad_texts_are_told),
        cmocka_unit_test(the_second_opinion_is_the_same),
        cmocka_unit_test(what_is_bad_early_is_not_waited_for),
        cmocka_unit_test(a_number_ends_where_something_else_begins),
        cmocka_unit_test(depth_has_an_end),
        cmocka_unit_test(strings_end_where_they_end),
        cmocka_unit_test(what_ends_plain_text_is_found),
        cmocka_unit_test(strings_mean_what_they_mean),
        cmocka_unit_test(arrays_and_objects_are_walked),
        cmocka_unit_test(walking_is_as_strict_as_skipping),
        cmocka_unit_test(members_are_found_by_their_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
