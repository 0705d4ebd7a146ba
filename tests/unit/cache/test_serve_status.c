/* Cache-Status, as structured fields (RFC 8941) have it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cache/serve.h"
#include "tests/unit/cache/request.h"

#define COUNT(table) (sizeof(table) / sizeof(table)[0])
#define TEXTS_BYTES  4096u

static void cache_status(void **state)
{
    static const struct {
        const char *node;
        struct cache_told told;
        const char *text;
    } rows[] = {
        {"fra-1", {.is_hit = true, .has_ttl = true, .ttl_s = 30, .detail = "l1"}, "fra-1; hit; ttl=30; detail=l1"},
        {"fra-1", {.is_hit = true, .has_ttl = true, .ttl_s = -412}, "fra-1; hit; ttl=-412"},
        {"fra-1", {.has_ttl = true, .ttl_s = 0}, "fra-1; ttl=0"},
        {"a",
         {.fwd = CACHE_FWD_URI_MISS, .is_stored = true, .is_collapsed = true},
         "a; fwd=uri-miss; stored; collapsed"},
        {"a",
         {.fwd = CACHE_FWD_STALE, .fwd_status = 304, .has_ttl = true, .ttl_s = INT64_MAX},
         "a; fwd=stale; fwd-status=304; ttl=999999999999999"},
        {"a", {.fwd = CACHE_FWD_BYPASS, .has_ttl = true, .ttl_s = INT64_MIN}, "a; fwd=bypass; ttl=-999999999999999"},
        /* A hit was not forwarded, whatever else was set. */
        {"a", {.is_hit = true, .fwd = CACHE_FWD_MISS, .fwd_status = 200, .is_stored = true}, "a; hit"},
        {"edge.example:8080/x", {.is_hit = true}, "edge.example:8080/x; hit"},
        {"1st", {.is_hit = true}, "\"1st\"; hit"},
        {"my \"edge\\\"\xc3\xa9", {.is_hit = true}, "\"my \\\"edge\\\\\\\"\?\?\"; hit"},
        {"", {.is_hit = true}, "\"\"; hit"},
        {"a", {.is_hit = true, .detail = "two words"}, "a; hit; detail=\"two words\""},
    };
    struct http_texts t;
    (void)state;
    http_texts_init(&t, TEXTS_BYTES);
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_view(cache_status_text(&t, rows[i].node, &rows[i].told), rows[i].text);
    http_texts_fini(&t);
}

static void without_room_there_is_none(void **state)
{
    const struct cache_told told = {.is_hit = true};
    struct http_texts t;
    (void)state;
    http_texts_init(&t, 3);
    assert_view(cache_status_text(&t, "fra-1", &told), NULL);
    assert_view(cache_status_text(&t, "1", &told), NULL);
    http_texts_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cache_status),
        cmocka_unit_test(without_room_there_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
