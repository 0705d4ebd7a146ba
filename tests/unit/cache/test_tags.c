/* Which tags an answer has, and when it has too many to be stored. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cache/tags.h"
#include "tests/unit/gateway/http/head.h"

/* The tags with "|" between them; "-" when the answer is not to be stored. */
static const char *tags_of(char out[16384], const char *const *route, size_t route_count, const char *answer)
{
    struct http_head h;
    struct cache_tags tags;
    size_t at = 0;
    const struct conf_cache_route r = {.tags = (const char **)(uintptr_t)route, .tag_count = route_count};

    head_of_response(&h, answer);
    if (!cache_tags_collect(&tags, &r, &h))
        return "-";
    out[0] = '\0';
    for (uint32_t i = 0; i < tags.count; i++)
        at += (size_t)snprintf(out + at, 16384 - at, "%s%.*s", i > 0 ? "|" : "", (int)tags.tags[i].len,
                               tags.tags[i].data);
    return out;
}

#define ANSWER(fields) "HTTP/1.1 200 OK\r\n" fields "\r\n"

static void tags_come_from_the_route_and_the_answer(void **state)
{
    static const char *const none[] = {NULL}, *const cars[] = {"table:cars", "api"};
    static const struct {
        const char *const *route;
        size_t route_count;
        const char *answer, *tags;
    } rows[] = {
        {none, 0, ANSWER(""), ""},
        {cars, 2, ANSWER(""), "table:cars|api"},
        {none, 0, ANSWER("Surrogate-Key: a b\r\n"), "a|b"},
        {none, 0, ANSWER("surrogate-key:   a  \t b  \r\n"), "a|b"},
        {none, 0, ANSWER("Surrogate-Key: a,b\r\n"), "a,b"},
        {none, 0, ANSWER("Surrogate-Key:\r\n"), ""},
        {none, 0, ANSWER("Cache-Tag: a, b ,,c\r\n"), "a|b|c"},
        {none, 0, ANSWER("Cache-Tag: two words,one\r\n"), "two words|one"},
        {none, 0, ANSWER("Cache-Tag: a\tb\r\n"), "-"},
        {none, 0, ANSWER("Surrogate-Key: a\r\nX: y\r\nSurrogate-Key: b a\r\n"), "a|b"},
        {cars, 2, ANSWER("Cache-Tag: c, api\r\nSurrogate-Key: table:cars table:Cars c\r\n"),
         "table:cars|api|table:Cars|c"},
    };
    char text[16384];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_string_equal(tags_of(text, rows[i].route, rows[i].route_count, rows[i].answer), rows[i].tags);
}

/* `count` tags of `len` bytes, each one different. */
static const char *answer_of(char out[16384], unsigned count, int len)
{
    size_t at = (size_t)snprintf(out, 16384, "HTTP/1.1 200 OK\r\nSurrogate-Key:");
    for (unsigned i = 0; i < count; i++)
        at += (size_t)snprintf(out + at, 16384 - at, " %0*u", len, i);
    snprintf(out + at, 16384 - at, "\r\n\r\n");
    return out;
}

static void too_many_or_too_long_is_not_stored(void **state)
{
    static const char *const one[] = {"route"};
    char answer[16384], text[16384];

    (void)state;
    assert_string_not_equal(tags_of(text, NULL, 0, answer_of(answer, CACHE_TAGS_MAX, CACHE_TAG_BYTES_MAX)), "-");
    assert_string_equal(tags_of(text, NULL, 0, answer_of(answer, CACHE_TAGS_MAX + 1, 8)), "-");
    assert_string_equal(tags_of(text, NULL, 0, answer_of(answer, 1, CACHE_TAG_BYTES_MAX + 1)), "-");
    assert_string_equal(tags_of(text, one, 1, answer_of(answer, CACHE_TAGS_MAX, 8)), "-");
    assert_string_not_equal(tags_of(text, one, 1, answer_of(answer, CACHE_TAGS_MAX - 1, 8)), "-");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags_come_from_the_route_and_the_answer),
        cmocka_unit_test(too_many_or_too_long_is_not_stored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
