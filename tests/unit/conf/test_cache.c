/* What routes keep of answers: every key on its way through file, dump and seal, what nobody wrote, and every kind of
 * mistake with its words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "conf/conf.h"

#define SECRET "0123456789abcdef0123456789abcdef"
#define DAY_MS (INT64_C(24) * 3600 * 1000)
#define HEAD                                                                                                           \
    "listen: [ { address: \"127.0.0.1:1\" } ]\n"                                                                       \
    "pools: { p: { servers: [ { name: s, url: \"http://h\" } ] }, w: { servers: [ { name: s, url: \"ws://h\" } ] } "   \
    "}\n"

/* A file whose line 3 is `root` and whose line 5 has a route with `route`. */
static struct conf *load(const char *root, const char *route, struct conf_errors *errors)
{
    char *text = mem_printf(HEAD "%s\nroutes:\n  - { %s }\n", root, route);
    struct conf *c = conf_load_text("t.yaml", text, strlen(text), false, errors);
    mem_free(text);
    return c;
}

static struct conf *good(const char *root, const char *route)
{
    struct conf_errors errors = {0};
    struct conf *c = load(root, route, &errors);
    if (c == NULL)
        fail_msg("%s", errors.text);
    conf_errors_fini(&errors);
    return c;
}

/* The same after a dump and after a seal. */
static struct conf *again(const struct conf *c, bool is_sealed)
{
    struct conf_errors errors = {0};
    char *text = is_sealed ? conf_seal(c) : conf_dump(c);
    struct conf *second = conf_load_text("again", text, strlen(text), is_sealed, &errors);
    if (second == NULL)
        fail_msg("%s%s", errors.text, text);
    mem_free(text);
    return second;
}

static void assert_texts(const char *const *texts, size_t count, const char *wanted)
{
    char joined[256] = "";
    for (size_t i = 0; i < count; i++)
        snprintf(joined + strlen(joined), sizeof joined - strlen(joined), "%s%s", i > 0 ? " " : "", texts[i]);
    assert_string_equal(joined, wanted);
}

static void nothing_is_kept_unless_it_is_said(void **state)
{
    (void)state;
    struct conf *c = good("", "pool: p");
    for (int round = 0; round < 3; round++) {
        const struct conf_cache_route *k = &c->routes[0].cache;
        assert_int_equal(k->policy, CACHE_OFF);
        assert_int_equal(k->scope, CACHE_SCOPE_PUBLIC);
        assert_texts(k->headers, k->header_count, "accept accept-profile apikey prefer");
        assert_true(k->sorts_query && k->purges_on_write && !k->post && !k->heuristic);
        assert_int_equal(k->claim_count + k->keep_query_count + k->drop_query_count + k->tag_count + k->warm_count, 0);
        assert_int_equal(k->body_bytes, 64 << 10);
        assert_int_equal(k->fresh_ms, -1);
        assert_int_equal(k->stale_ms, -1);
        assert_int_equal(k->error_ms, -1);
        assert_int_equal(k->down_ms, 0);
        assert_int_equal(k->negative_ms, 1000);
        assert_int_equal(k->timeout_ms, 800);
        assert_int_equal(k->wait_ms, 5000);
        assert_int_equal(k->ignore | k->compress, 0);
        assert_int_equal(k->compress_min_bytes, 512);
        assert_int_equal(c->cache.memory_bytes, 64 << 20);
        assert_int_equal(c->cache.max_entry_bytes, 1 << 20);
        assert_int_equal(c->cache.warm_per_s, 10);
        struct conf *next = again(c, round == 0);
        conf_unref(&c);
        c = next;
    }
    conf_unref(&c);
}

static void assert_is_first(const struct conf_cache_route *k)
{
    assert_int_equal(k->policy, CACHE_NETWORK_FIRST);
    assert_int_equal(k->scope, CACHE_SCOPE_CLAIMS);
    assert_texts(k->claims, k->claim_count, "role app.tenant");
    assert_texts(k->headers, k->header_count, "accept-language cookie");
    assert_false(k->sorts_query);
    assert_texts(k->keep_query, k->keep_query_count, "select order");
    assert_true(k->post && k->heuristic && !k->purges_on_write);
    assert_int_equal(k->body_bytes, 1024);
    assert_int_equal(k->fresh_ms, 0);
    assert_int_equal(k->stale_ms, 600000);
    assert_int_equal(k->error_ms, 365 * DAY_MS);
    assert_int_equal(k->down_ms, DAY_MS);
    assert_int_equal(k->negative_ms, 0);
    assert_int_equal(k->ignore, 0xff);
    assert_int_equal(k->timeout_ms, 300);
    assert_int_equal(k->wait_ms, 2000);
    assert_texts(k->tags, k->tag_count, "table:car_inventory a\"b");
    assert_int_equal(k->compress, 1u << CACHE_COMPRESS_GZIP | 1u << CACHE_COMPRESS_BR | 1u << CACHE_COMPRESS_ZSTD);
    assert_int_equal(k->compress_min_bytes, 0);
}

static void every_key_of_a_route_goes_through_dump_and_seal(void **state)
{
    (void)state;
    struct conf *c = good(
        "cache: { memory: 8MiB, max_entry: 2MiB, warm_per_second: 0 }",
        "pool: p, jwt: { secret: " SECRET " }, cache: { policy: network-first, scope: claims, claims: [ role, "
        "app.tenant ], headers: [ Accept-Language, COOKIE ], query: { sort: false, keep: [ select, order ] }, "
        "post: true, post_body: 1KiB, fresh: 0, stale: 10m, stale_if_error: 365d, stale_if_down: 1d, negative: 0, "
        "heuristic: true, ignore: [ no-store, private, no-cache, must-revalidate, set-cookie, authorization, cookie, "
        "request ], timeout: 300ms, wait: 2s, tags: [ \"table:car_inventory\", \"a\\\"b\" ], purge_on_write: false, "
        "compress: [ zstd, gzip, br ], compress_min: 0 }");
    for (int round = 0; round < 2; round++) {
        assert_is_first(&c->routes[0].cache);
        struct conf *sealed = again(c, true);
        assert_is_first(&sealed->routes[0].cache);
        assert_int_equal(sealed->cache.memory_bytes, 8 << 20);
        assert_int_equal(sealed->cache.max_entry_bytes, 2 << 20);
        assert_int_equal(sealed->cache.warm_per_s, 0);
        conf_unref(&c);
        c = sealed;
    }
    conf_unref(&c);

    c = good("",
             "pool: p, path: /rest, cache: { policy: cache-first, fresh: 10m, stale: origin, stale_if_error: origin, "
             "query: { drop: [ \"utm_*\", t ] }, headers: [], "
             "warm: [ /rest, \"/rest?select=*\", /rest/a ], warm_as: \"https://app.example.com:8443\" }");
    for (int round = 0; round < 3; round++) {
        const struct conf_cache_route *k = &c->routes[0].cache;
        assert_int_equal(k->policy, CACHE_FIRST);
        assert_int_equal(k->fresh_ms, 600000);
        assert_int_equal(k->stale_ms, -1);
        assert_int_equal(k->error_ms, -1);
        assert_int_equal(k->header_count, 0); /* none is not the same as not said */
        assert_texts(k->drop_query, k->drop_query_count, "utm_* t");
        assert_texts(k->warm, k->warm_count, "/rest /rest?select=* /rest/a");
        assert_string_equal(k->warm_as, "https://app.example.com:8443");
        struct conf *next = again(c, round == 0);
        conf_unref(&c);
        c = next;
    }
    conf_unref(&c);
}

static void an_entry_that_nobody_bounded_fits_a_small_memory(void **state)
{
    (void)state;
    struct conf *c = good("cache: { memory: 1MiB }", "pool: p");
    assert_int_equal(c->cache.max_entry_bytes, 256 << 10);
    conf_unref(&c);
    c = good("cache: { memory: 0, max_entry: 8MiB }", "pool: p"); /* Redis may have it still */
    assert_int_equal(c->cache.max_entry_bytes, 8 << 20);
    conf_unref(&c);
}

/* Keys may wait for the policy. */
static void a_route_that_keeps_nothing_may_say_anything(void **state)
{
    (void)state;
    struct conf *c = good("", "pool: w, cache: { claims: [ sub ], timeout: 1s, headers: [ range ], warm: [ /x ], "
                              "query: { keep: [ a ], drop: [ b ] }, scope: claims }");
    conf_unref(&c);
}

#define SWR "policy: stale-while-revalidate, "
#define TEXT_128                                                                                                       \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
    "aaaaaaaaaaaaaaaa"
#define TAGS_TEXT ", expected 1 to 128 bytes of visible ASCII without commas\n"
#define OWN_TEXT  " is the gateway's own business, expected another header\n"
#define KEPT_TEXT " is answered from what is kept, expected another header\n"

/* The route is `pool: p, cache: { ... }`, and its keys begin at column 25 of line 5. */
static const struct {
    const char *cache, *wanted;
} mistakes[] = {
    {"policy: swr", "5:33: routes[0].cache.policy: \"swr\" is not known, expected off, stale-while-revalidate, "
                    "network-first or cache-first\n"},
    {"scope: all", "5:32: routes[0].cache.scope: \"all\" is not known, expected public, token or claims\n"},
    {"polcy: off", "5:25: routes[0].cache.polcy: unknown key, expected policy?\n"},
    {"fresh: soon", "5:32: routes[0].cache.fresh: \"soon\" is not a number, expected origin, or a duration with its "
                    "unit (ms, s, m, h, d) from 0 to 365d\n"},
    {"stale: 5", "5:32: routes[0].cache.stale: \"5\" has no unit, expected origin, or a duration with its unit (ms, s, "
                 "m, h, d) from 0 to 365d\n"},
    {"stale_if_down: origin", "5:40: routes[0].cache.stale_if_down: \"origin\" is not a number, expected a duration "
                              "with its unit (ms, s, m, h, d) from 0 to 365d\n"},
    {"post_body: 2MiB", "5:36: routes[0].cache.post_body: \"2MiB\" is too large, expected a size with its unit (B, "
                        "KiB, MiB, GiB, KB, MB, GB) from 1B to 1MiB\n"},
    {"ignore: [ all ]", "5:35: routes[0].cache.ignore: \"all\" is not known, expected a list of no-store, private, "
                        "no-cache, must-revalidate, set-cookie, authorization, cookie or request\n"},
    {"compress: [ gzip, lz4 ]",
     "5:43: routes[0].cache.compress: \"lz4\" is not known, expected a list of gzip, br or zstd\n"},
    {SWR "timeout: 1s", "5:66: routes[0].cache.timeout: has no use with this policy, expected policy: network-first\n"},
    /* scope */
    {SWR "scope: claims, claims: [ sub ]",
     "5:64: routes[0].cache.scope: goes by claims, expected jwt on the route as well\n"},
    {SWR "claims: [ sub ]", "5:65: routes[0].cache.claims: has no use with this scope, expected scope: claims\n"},
    {SWR "claims: sub",
     "5:65: routes[0].cache.claims: \"sub\" is a single value, expected a list of claims, at most 16 "
     "items\n"},
    {"claims: [ \"\" ]",
     "5:35: routes[0].cache.claims: \"\" is empty, expected the name of a claim, at most 127 bytes, "
     "dots lead into objects\n"},
    /* headers of the key */
    {SWR "headers: [ Authorization ]",
     "5:66: routes[0].cache.headers: \"authorization\" is not for this list, expected "
     "scope: token or scope: claims\n"},
    {SWR "headers: [ accept, Range ]", "5:66: routes[0].cache.headers: \"range\"" KEPT_TEXT},
    {SWR "headers: [ If-Range ]", "5:66: routes[0].cache.headers: \"if-range\"" KEPT_TEXT},
    {SWR "headers: [ if-none-match ]", "5:66: routes[0].cache.headers: \"if-none-match\"" KEPT_TEXT},
    {SWR "headers: [ Connection ]", "5:66: routes[0].cache.headers: \"connection\"" OWN_TEXT},
    {SWR "headers: [ Content-Length ]", "5:66: routes[0].cache.headers: \"content-length\"" OWN_TEXT},
    {SWR "headers: [ Sec-WebSocket-Key ]", "5:66: routes[0].cache.headers: \"sec-websocket-key\"" OWN_TEXT},
    {SWR "headers: [ TE ]", "5:66: routes[0].cache.headers: \"te\"" OWN_TEXT},
    {SWR "headers: [ host ]",
     "5:66: routes[0].cache.headers: \"host\" is part of the key anyway, expected another header\n"},
    {SWR "headers: [ \"*\" ]", "5:66: routes[0].cache.headers: \"*\" is no header, expected its name\n"},
    {"headers: [ a b ]", "5:36: routes[0].cache.headers: \"a b\" has a character that header names may not have, "
                         "expected letters, digits and hyphens\n"},
    /* the query */
    {SWR "query: { keep: [ a ], drop: [ b ] }",
     "5:85: routes[0].cache.query.drop: has no use beside query.keep, expected one of them\n"},
    {SWR "query: { keep: [ \"a*\" ] }", "5:72: routes[0].cache.query.keep: \"a*\" has a *, expected whole names\n"},
    {SWR "query: { drop: [ \"a*b\" ] }", "5:72: routes[0].cache.query.drop: \"a*b\" has a * elsewhere than behind a "
                                         "name, expected a name, or its beginning and *\n"},
    {SWR "query: { drop: [ \"*\" ] }", "5:72: routes[0].cache.query.drop: \"*\" has a * elsewhere than behind a name, "
                                       "expected a name, or its beginning and *\n"},
    {"query: { drop: [ \"a&b\" ] }", "5:42: routes[0].cache.query.drop: \"a&b\" has a character that must be written "
                                     "as %XX, expected the name of a query parameter\n"},
    {"query: off", "5:32: routes[0].cache.query: is not a section, expected one with sort, keep, drop\n"},
    /* tags */
    {"tags: [ \"a,b\" ]", "5:33: routes[0].cache.tags: \"a,b\" has a character that tags may not have" TAGS_TEXT},
    {"tags: [ a b ]", "5:33: routes[0].cache.tags: \"a b\" has a character that tags may not have" TAGS_TEXT},
    {"tags: [ \"\xc3\xa4\" ]",
     "5:33: routes[0].cache.tags: \"\xc3\xa4\" has a character that tags may not have" TAGS_TEXT},
    {"tags: [ \"\" ]", "5:33: routes[0].cache.tags: \"\" is empty" TAGS_TEXT},
    {"tags: [ " TEXT_128 "a ]", NULL}, /* and 128 are fine: see below */
    {"tags: [ a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q ]",
     "5:31: routes[0].cache.tags: has 17 items, expected a list of tags, at most 16 items\n"},
    /* warm */
    {SWR "warm: [ x ]", "5:65: routes[0].cache.warm: \"x\" does not begin with /, expected a path that begins with /, "
                        "with a query if need be\n"},
    {SWR "scope: token, warm: [ /a ], warm_as: \"http://h\"",
     "5:77: routes[0].cache.warm: cannot be fetched for nobody in particular, expected scope: public\n"},
};

static void every_mistake_has_its_message(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        struct conf_errors errors = {0};
        char *route = mem_printf("pool: p, cache: { %s }", mistakes[i].cache);
        struct conf *c = load("", route, &errors);
        mem_free(route);
        if (c != NULL)
            fail_msg("%s was taken", mistakes[i].cache);
        if (mistakes[i].wanted != NULL && strcmp(errors.text + strlen("t.yaml:"), mistakes[i].wanted) != 0)
            fail_msg("%s\nwanted: t.yaml:%sgot:    %s", mistakes[i].cache, mistakes[i].wanted, errors.text);
        conf_errors_fini(&errors);
    }
    struct conf *c = good("", "pool: p, cache: { tags: [ " TEXT_128 " ] }");
    conf_unref(&c);
}

/* Those that other keys have a part in. */
static const struct {
    const char *root, *route, *wanted;
} combined[] = {
    {"", "pool: w, cache: { policy: cache-first }",
     "t.yaml:5:33: routes[0].cache.policy: has no use with a pool of ws:// servers, expected one of http:// or "
     "https:// "
     "servers\n"},
    {"", "pool: p, jwt: { secret: " SECRET " }, cache: { policy: cache-first, scope: claims }",
     "t.yaml:5:104: routes[0].cache.claims: is missing, expected the claims that answers depend on\n"},
    {"", "pool: p, path: /a, cache: { policy: cache-first, warm: [ /ab ], warm_as: \"http://h\" }",
     "t.yaml:5:62: routes[0].cache.warm: \"/ab\" is not below the route's path (/a), expected it to be\n"},
    {"", "pool: p, cache: { policy: cache-first, warm: [ / ] }",
     "t.yaml:5:23: routes[0].cache.warm_as: \"\" is not where clients ask, expected scheme, host and port, such as "
     "https://app.example.com\n"},
    {"", "pool: p, cache: { policy: cache-first, warm_as: \"ftp://a.example\" }",
     "t.yaml:5:55: routes[0].cache.warm_as: \"ftp://a.example\" is not where clients ask, expected scheme, host and "
     "port, such as https://app.example.com\n"},
    {"", "pool: p, cache: { policy: cache-first, warm: [ /b/c ], warm_as: \"http://h\" } }\n  - { pool: p, path: /b",
     "t.yaml:5:52: routes[0].cache.warm: \"/b/c\" belongs to the route on line 6, expected it there\n"},
    {"cache: { memory: 1MiB, max_entry: 512KiB }", "pool: p",
     "t.yaml:3:35: cache.max_entry: is more than a quarter of cache.memory, expected at most that\n"},
    {"cache: { memory: 1KiB }", "pool: p",
     "t.yaml:3:18: cache.memory: is too little to keep anything in, expected 0 or at least 64KiB\n"},
    {"cache: { max_entry: 65MiB }", "pool: p",
     "t.yaml:3:21: cache.max_entry: \"65MiB\" is too large, expected a size with its unit (B, KiB, MiB, GiB, KB, MB, "
     "GB) "
     "from 1KiB to 64MiB\n"},
    {"cache: { warm_per_second: -1 }", "pool: p",
     "t.yaml:3:27: cache.warm_per_second: \"-1\" is negative, expected a whole number from 0 to 10000\n"},
};

static void mistakes_between_keys_have_theirs(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof combined / sizeof combined[0]; i++) {
        struct conf_errors errors = {0};
        struct conf *c = load(combined[i].root, combined[i].route, &errors);
        if (c != NULL)
            fail_msg("%s | %s was taken", combined[i].root, combined[i].route);
        if (strcmp(errors.text, combined[i].wanted) != 0)
            fail_msg("%s | %s\nwanted: %sgot:    %s", combined[i].root, combined[i].route, combined[i].wanted,
                     errors.text);
        conf_errors_fini(&errors);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_kept_unless_it_is_said),
        cmocka_unit_test(every_key_of_a_route_goes_through_dump_and_seal),
        cmocka_unit_test(an_entry_that_nobody_bounded_fits_a_small_memory),
        cmocka_unit_test(a_route_that_keeps_nothing_may_say_anything),
        cmocka_unit_test(every_mistake_has_its_message),
        cmocka_unit_test(mistakes_between_keys_have_theirs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
