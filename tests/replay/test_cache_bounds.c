/* What bounds the cache's own requests: how many, how much, when there is nobody to ask, and how fast it warms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/replay/caching.h"

#define LISTEN "listen: [ { address: '127.0.0.1:1' } ]\n"
#define POOL   "pools: { web: { servers: [ { name: a, url: 'http://127.0.0.1:@a' } ] } }\n"
#define ROUTE  "routes: [ { name: r, path: /, pool: web, cache: "
#define MINUTE "Cache-Control: max-age=60\r\n"

/* What clients begin and leave is bounded: the rest is as if there were no cache. */
static void not_more_is_fetched_than_the_cache_may_hold(void **state)
{
    static const char small[] =
        "cache: { memory: 64KiB, max_entry: 16KiB }\n" LISTEN POOL ROUTE "{ policy: cache-first } } ]\n";
    struct rig r;
    int client[6], server[6];
    char path[16];
    (void)state;
    rig_open(&r, small);
    for (int i = 0; i < 6; i++) {
        (void)snprintf(path, sizeof path, "/%d", i);
        client[i] = ask(&r, "GET", path, "");
        server[i] = next_fetch(&r, NULL, 0);
        say(&r, server[i], "HTTP/1.1 200 OK\r\n" MINUTE "Content-Length: 15000\r\n\r\nbeginning");
    }
    assert_int_equal(r.worker->env.collected_bytes, 4 * 15000);
    expect_nothing(&r, client[3]);
    expect_at(&r, client[4], "beginning"); /* as it comes, and not kept */
    close_all(&r, client, 6);
    close_all(&r, server, 6);
    expect_calm(&r);
    rig_close(&r);
}

static void with_too_many_fetches_requests_go_as_without_a_cache(void **state)
{
    static const char plain[] = LISTEN POOL ROUTE "{ policy: cache-first } } ]\n";
    struct rig r;
    (void)state;
    rig_open(&r, plain);
    r.worker->env.fetch_count += FETCHES_MAX;
    const int client = ask(&r, "GET", "/a", "");
    answer(&r, next_fetch(&r, NULL, 0), "200 OK", MINUTE, "own");
    expect_answer(&r, client, 200, "own");
    assert_int_equal(counted(&r, STAT_ROUTE_CACHE_FETCHES), 0);
    r.worker->env.fetch_count -= FETCHES_MAX;
    close(client);
    expect_calm(&r);
    rig_close(&r);
}

static void a_pool_that_only_drains_is_read_only(void **state)
{
    static const char draining[] =
        LISTEN "pools: { web: { servers: [ { name: a, url: 'http://127.0.0.1:@a', drain: true } ] } }\n" ROUTE
               "{ policy: cache-first, fresh: 1s, stale_if_down: 1h } } ]\n";
    static const char open[] = LISTEN POOL ROUTE "{ policy: cache-first, fresh: 1s, stale_if_down: 1h } } ]\n";
    struct rig r;
    (void)state;
    rig_open(&r, open);
    store(&r, "/a", "", "kept");
    rig_reload(&r, draining);
    rig_advance(&r, 5000);
    int client = ask(&r, "GET", "/a", "");
    expect_at(&r, client, "read-only");
    close(client);
    client = ask(&r, "DELETE", "/a", "");
    expect_at(&r, client, "Retry-After: 5\r\n");
    close(client);
    expect_calm(&r);
    rig_close(&r);
}

/* ---- warming ---- */

static void warming_lets_the_process_rest(void **state)
{
    static const char fast[] = LISTEN "cache: { warm_per_second: 10000 }\n" POOL ROUTE
                                      "{ policy: cache-first, fresh: 1m, warm_as: 'http://x',\n"
                                      "                                                 warm: [ /a, /b ] } } ]\n";
    struct rig r;
    (void)state;
    rig_open(&r, fast);
    rig_advance(&r, 20);
    for (int i = 0; i < 2; i++)
        answer(&r, next_fetch(&r, NULL, 0), "200 OK", "", "warm");
    sim_limit_passes(r.loop, 5000);
    rig_advance(&r, 10000);
    expect_no_fetch(&r);
    expect_calm(&r);
    rig_close(&r);
}

static void warming_keeps_its_pace(void **state)
{
    static const char slow[] =
        LISTEN "cache: { warm_per_second: 2 }\n" POOL ROUTE "{ policy: cache-first, fresh: 1m, warm_as: 'http://x',\n"
               "                                                 warm: [ /a, /b, /c ] } } ]\n";
    struct rig r;
    char said[4096];
    (void)state;
    rig_open(&r, slow);
    rig_advance(&r, 1);
    for (int i = 0; i < 3; i++) {
        const char path[] = {'/', (char)('a' + i), '\0'};
        const int server = next_fetch(&r, said, sizeof said);
        assert_int_equal(strncmp(said + 4, path, 2), 0);
        answer(&r, server, "200 OK", "", "warm");
        rig_advance(&r, 490);
        expect_no_fetch(&r);
        rig_advance(&r, 10);
    }
    expect_no_fetch(&r);
    expect_calm(&r);
    rig_close(&r);
}

static void what_is_not_for_storing_is_not_warmed_all_the_time(void **state)
{
    static const char warm[] =
        LISTEN POOL ROUTE "{ policy: cache-first, fresh: 1m, warm_as: 'http://x',\n"
                          "                                                 warm: [ /a ] } } ]\n";
    struct rig r;
    (void)state;
    rig_open(&r, warm);
    rig_advance(&r, 200);
    answer(&r, next_fetch(&r, NULL, 0), "200 OK", "Cache-Control: private\r\n", "no");
    rig_advance(&r, 9000);
    expect_no_fetch(&r);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(not_more_is_fetched_than_the_cache_may_hold),
        cmocka_unit_test(with_too_many_fetches_requests_go_as_without_a_cache),
        cmocka_unit_test(a_pool_that_only_drains_is_read_only),
        cmocka_unit_test(warming_lets_the_process_rest),
        cmocka_unit_test(warming_keeps_its_pace),
        cmocka_unit_test(what_is_not_for_storing_is_not_warmed_all_the_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
