/* The wall clock of the gateway jumps: what is stored gets neither older nor younger by it, and what comes meanwhile is
 * never kept for longer than its origin said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/http/date.h"
#include "tests/replay/caching.h"

#define HEAD                                                                                                           \
    "listen: [ { address: '127.0.0.1:1' } ]\n"                                                                         \
    "pools: { web: { circuit: { failures: 0 }, max_retries: 0, servers: [ { name: a, url: 'http://127.0.0.1:@a' } ] "  \
    "} }\n"                                                                                                            \
    "routes: [ { name: r, path: /, pool: web, cache: "
#define MINUTE  "Cache-Control: max-age=60\r\n"
#define YEAR_MS (INT64_C(365) * 24 * 3600 * 1000)

static const char of_origin[] = HEAD "{ policy: cache-first, negative: 10s } } ]\n";
static const char of_route[] = HEAD "{ policy: cache-first, fresh: 1m } } ]\n";
static const char swr[] = HEAD "{ policy: stale-while-revalidate, fresh: 1m, stale: 1h } } ]\n";

static void jump(struct rig *r, int64_t by_ms)
{
    sim_set_wall(r->loop, loop_wall_ms(r->loop) + by_ms);
}

/* What is stored is served as that old, and nobody else is asked. */
static void expect_hit(struct rig *r, const char *path, const char *age)
{
    const int client = ask(r, "GET", path, "");
    expect_at(r, client, age);
    expect_no_fetch(r);
    close(client);
}

/* `fields` with the Date that the right time `right_ms` is. */
static void store_dated(struct rig *r, const char *path, int64_t right_ms, const char *fields)
{
    char date[DATE_BYTES], text[256];
    (void)snprintf(text, sizeof text, "Date: %s\r\n%s", date_text(right_ms, date), fields);
    store(r, path, text, "body");
}

/* What is stored, if anything, is not good enough. */
static void expect_fetch(struct rig *r, const char *path)
{
    const int client = ask(r, "GET", path, "");
    answer(r, next_fetch(r, NULL, 0), "200 OK", "Cache-Control: no-store\r\n", "anew");
    expect_answer(r, client, 200, "anew");
    close(client);
}

static void what_is_stored_ages_by_the_time_that_passes(void **state)
{
    static const char *const rules[] = {of_origin, of_route, swr};
    static const int64_t jumps_ms[] = {YEAR_MS, -2 * YEAR_MS, 3600 * 1000, -61 * 1000};
    struct rig r;
    char age[32];
    (void)state;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        rig_open(&r, rules[i]);
        store(&r, "/a", MINUTE, "body");
        for (int k = 0; k < 4; k++) {
            jump(&r, jumps_ms[k]);
            rig_advance(&r, 10000);
            (void)snprintf(age, sizeof age, "\r\nAge: %d\r\n", 10 * (k + 1));
            expect_hit(&r, "/a", age);
        }
        jump(&r, -YEAR_MS);
        rig_advance(&r, 21000); /* 61 s after it came, whatever the clock on the wall says */
        const int client = ask(&r, "GET", "/a", "");
        answer(&r, next_fetch(&r, NULL, 0), "200 OK", MINUTE, "anew");
        expect_status(&r, client, 200);
        close(client);
        expect_calm(&r);
        rig_close(&r);
    }
}

/* Ahead of the origin's: by Date the answer is a year old. Who gave the lifetime decides whether that counts. */
static void a_clock_that_is_ahead_keeps_nothing_for_too_long(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, of_route);
    const int64_t right_ms = loop_wall_ms(r.loop);
    jump(&r, YEAR_MS);
    store_dated(&r, "/a", right_ms, MINUTE);
    expect_hit(&r, "/a", "\r\nAge: 0\r\n");
    rig_advance(&r, 60000);
    expect_fetch(&r, "/a");
    rig_reload(&r, of_origin);
    store_dated(&r, "/b", right_ms + 60000, MINUTE);
    expect_fetch(&r, "/b");
    expect_calm(&r);
    rig_close(&r);
}

/* Behind: an Expires is as far away as it was for the origin, not a year further. */
static void a_clock_that_is_behind_keeps_nothing_for_too_long(void **state)
{
    struct rig r;
    char date[DATE_BYTES], expires[64];
    (void)state;
    rig_open(&r, of_origin);
    const int64_t right_ms = loop_wall_ms(r.loop);
    jump(&r, -YEAR_MS);
    (void)snprintf(expires, sizeof expires, "Expires: %s\r\n", date_text(right_ms + 60000, date));
    store_dated(&r, "/a", right_ms, expires);
    store_dated(&r, "/b", right_ms, MINUTE);
    rig_advance(&r, 59000);
    expect_hit(&r, "/a", "\r\nAge: 59\r\n");
    expect_hit(&r, "/b", "\r\nAge: 59\r\n");
    rig_advance(&r, 1000);
    expect_fetch(&r, "/a");
    expect_fetch(&r, "/b");
    expect_calm(&r);
    rig_close(&r);
}

static void a_failure_is_remembered_for_as_long_as_it_was_said(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r, of_origin);
    int client = ask(&r, "GET", "/a", "");
    answer(&r, next_fetch(&r, NULL, 0), "503 Sorry", "", "sorry");
    expect_answer(&r, client, 503, "sorry");
    close(client);
    jump(&r, YEAR_MS);
    client = ask(&r, "GET", "/a", "");
    expect_answer(&r, client, 503, "sorry");
    expect_no_fetch(&r);
    close(client);
    jump(&r, -2 * YEAR_MS);
    rig_advance(&r, 10000);
    expect_fetch(&r, "/a");
    expect_calm(&r);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_stored_ages_by_the_time_that_passes),
        cmocka_unit_test(a_clock_that_is_ahead_keeps_nothing_for_too_long),
        cmocka_unit_test(a_clock_that_is_behind_keeps_nothing_for_too_long),
        cmocka_unit_test(a_failure_is_remembered_for_as_long_as_it_was_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
