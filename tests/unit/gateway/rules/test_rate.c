/* Buckets under a clock that the test moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/rules/rate.h"
#include "tests/unit/gateway/rules/world.h"

#define GET "GET / HTTP/1.1\r\nHost: h\r\n\r\n"

/* With a secret that is the same in every run, so that what shares a word by chance does so always or never. */
static struct stats *make_stats(void)
{
    struct stats *s = mem_alloc(sizeof *s);
    stats_init(s);
    for (size_t i = 0; i < sizeof s->client_key; i++)
        ((unsigned char *)&s->client_key)[i] = (unsigned char)(i * 7 + 1);
    return s;
}

/* How many of `count` requests in a row are let through. */
static unsigned take(struct stats *s, const struct conf_rate *r, uint64_t key, int64_t now_ms, unsigned count,
                     uint32_t *retry_after_s)
{
    unsigned passed = 0;
    for (unsigned i = 0; i < count; i++)
        passed += rate_take(s, r, key, now_ms, retry_after_s);
    return passed;
}

static void a_full_bucket_holds_the_burst(void **state)
{
    (void)state;
    static const struct {
        uint32_t requests;
        int64_t every_ms;
        uint32_t burst;
        int64_t later_ms; /* after the burst is used up */
        unsigned more;    /* so many pass then */
        uint32_t retry_after_s;
    } rows[] = {
        {10, 1000, 10, 0, 0, 1},       {10, 1000, 10, 99, 0, 1},      {10, 1000, 10, 100, 1, 1},
        {10, 1000, 10, 1000, 10, 1},   {10, 1000, 10, 100000, 10, 1}, /* it holds no more than it holds */
        {10, 1000, 3, 0, 0, 1},        {10, 1000, 3, 250, 2, 1},      {10, 1000, 30, 0, 0, 1},
        {1, 60000, 1, 0, 0, 60},       {1, 60000, 1, 59999, 0, 1},    {1, 60000, 1, 60000, 1, 60},
        {2, 60000, 2, 0, 0, 30},       {6, 60000, 1, 1, 0, 10},       {1000, 1000, 5, 3, 3, 1},
        {1, 86400000, 1, 0, 0, 86400}, {10, 1, 10, 1, 10, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct stats *s = make_stats();
        const struct conf_rate r = {.requests = rows[i].requests, .every_ms = rows[i].every_ms, .burst = rows[i].burst};
        uint32_t retry_after_s = 0;
        assert_int_equal(take(s, &r, 77, 5000, rows[i].burst + 5, &retry_after_s), rows[i].burst);
        const unsigned more = take(s, &r, 77, 5000 + rows[i].later_ms, rows[i].burst + 5, &retry_after_s);
        if (more != rows[i].more || retry_after_s != rows[i].retry_after_s)
            fail_msg("row %zu: %u more, retry after %u s", i, more, retry_after_s);
        mem_free(s);
    }
}

static void who_waits_as_told_is_let_in(void **state)
{
    (void)state;
    struct stats *s = make_stats();
    const struct conf_rate r = {.requests = 7, .every_ms = 60000, .burst = 7};
    int64_t now_ms = 123456;
    for (int i = 0; i < 500; i++) {
        uint32_t retry_after_s = 0;
        if (rate_take(s, &r, 1, now_ms, &retry_after_s))
            continue;
        assert_in_range(retry_after_s, 1, 9);
        now_ms += (int64_t)retry_after_s * 1000;
        assert_true(rate_take(s, &r, 1, now_ms, &retry_after_s));
    }
    mem_free(s);
}

static void refusals_cost_nothing(void **state)
{
    (void)state;
    struct stats *s = make_stats();
    const struct conf_rate r = {.requests = 1, .every_ms = 1000, .burst = 1};
    uint32_t retry_after_s = 0;
    assert_int_equal(take(s, &r, 1, 0, 1, &retry_after_s), 1);
    assert_int_equal(take(s, &r, 1, 500, 1000, &retry_after_s), 0);
    assert_int_equal(take(s, &r, 1, 1000, 1, &retry_after_s), 1);
    mem_free(s);
}

/* The long run: no more than the rate, and nearly the rate. */
static void the_rate_holds_over_time(void **state)
{
    (void)state;
    struct stats *s = make_stats();
    const struct conf_rate r = {.requests = 100, .every_ms = 1000, .burst = 50};
    uint32_t retry_after_s = 0;
    unsigned passed = 0;
    for (int64_t now_ms = 0; now_ms < 60000; now_ms++)
        passed += take(s, &r, 9, now_ms, 3, &retry_after_s);
    assert_in_range(passed, 6000, 6000 + 50);
    mem_free(s);
}

static void clients_do_not_pay_for_each_other(void **state)
{
    (void)state;
    struct stats *s = make_stats();
    const struct conf_rate r = {.requests = 1, .every_ms = 1000, .burst = 1};
    uint32_t retry_after_s = 0;
    unsigned passed = 0;
    for (unsigned i = 0; i < 20000; i++) {
        struct addr a;
        char text[32];
        snprintf(text, sizeof text, "10.%u.%u.%u:1", i >> 16, i >> 8 & 255, i & 255);
        assert_true(addr_parse(&a, text));
        passed += rate_take(s, &r, rate_key_of_address(s, 3, &a), 0, &retry_after_s);
    }
    assert_int_equal(passed, 20000);
    mem_free(s);
}

/* Far more clients than there are words: those who asked most keep theirs. */
static void a_flood_does_not_push_out_who_is_held_back(void **state)
{
    (void)state;
    struct stats *s = make_stats();
    const struct conf_rate r = {.requests = 10, .every_ms = 10000, .burst = 10};
    uint32_t retry_after_s = 0;
    const uint64_t greedy = rate_key_of_text(s, 0, "greedy", 6);
    assert_int_equal(take(s, &r, greedy, 0, 20, &retry_after_s), 10);
    for (unsigned i = 0; i < 10 * STATS_BUCKETS; i++) {
        char name[16];
        const int len = snprintf(name, sizeof name, "flood %u", i);
        (void)rate_take(s, &r, rate_key_of_text(s, 0, name, (size_t)len), 0, &retry_after_s);
    }
    assert_int_equal(take(s, &r, greedy, 0, 20, &retry_after_s), 0);
    mem_free(s);
}

static void whose_bucket_it_is(void **state)
{
    static const struct {
        const char *a, *b;
        bool is_same;
    } rows[] = {
        {"192.0.2.7:1", "192.0.2.7:2", true},
        {"192.0.2.7:1", "192.0.2.8:1", false},
        {"192.0.2.7:1", "[::ffff:192.0.2.7]:1", true},
        {"[2001:db8:0:1::1]:1", "[2001:db8:0:1:ffff::2]:1", true}, /* one subscriber */
        {"[2001:db8:0:1::1]:1", "[2001:db8:0:2::1]:1", false},
        {"unix:/a", "unix:/b", true},
    };
    (void)state;
    struct stats *s = make_stats();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct addr a, b;
        assert_true(addr_parse(&a, rows[i].a) && addr_parse(&b, rows[i].b));
        assert_int_equal(rate_key_of_address(s, 1, &a) == rate_key_of_address(s, 1, &b), rows[i].is_same);
        assert_true(rate_key_of_address(s, 1, &a) != rate_key_of_address(s, 2, &a)); /* another route */
    }
    assert_true(rate_key_of_text(s, 1, "a", 1) != rate_key_of_text(s, 1, "b", 1));
    assert_true(rate_key_of_text(s, 1, "a", 1) != rate_key_of_text(s, 2, "a", 1));
    mem_free(s);
}

static void a_reload_to_smaller_buckets_forgives(void **state)
{
    (void)state;
    struct stats *s = make_stats();
    const struct conf_rate day = {.requests = 1, .every_ms = 86400000, .burst = 1};
    const struct conf_rate second = {.requests = 10, .every_ms = 1000, .burst = 10};
    uint32_t retry_after_s = 0;
    assert_int_equal(take(s, &day, 5, 0, 2, &retry_after_s), 1);
    assert_int_equal(take(s, &second, 5, 10, 20, &retry_after_s), 10);
    mem_free(s);
}

static void workers_share_the_bucket(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, "", "rate: { requests: 4 }");
    struct rules *other = rules_create(w.stats); /* another worker: nothing in common but the shared memory */
    char error[RULES_ERROR_BYTES];
    assert_true(rules_take_conf(other, w.conf, error));
    struct rules *mine = w.rules;
    for (int i = 0; i < 4; i++) {
        w.rules = i % 2 == 0 ? mine : other;
        assert_int_equal(world_ask(&w, GET), 0);
    }
    w.rules = other;
    assert_int_equal(world_ask(&w, GET), 429);
    w.rules = mine;
    assert_int_equal(world_ask(&w, GET), 429);
    assert_int_equal(w.verdict.retry_after_s, 1);
    assert_string_equal(w.verdict.reason, "too many requests");
    rules_destroy(&other);
    world_fini(&w);
}

static void by_header_and_who_has_none(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, "", "rate: { per: header, name: X-Key, requests: 1, every: 1m }");
    assert_int_equal(world_ask(&w, "GET / HTTP/1.1\r\nHost: h\r\nX-Key: a\r\n\r\n"), 0);
    assert_int_equal(world_ask(&w, "GET / HTTP/1.1\r\nHost: h\r\nx-key: a\r\n\r\n"), 429);
    assert_int_equal(w.verdict.retry_after_s, 60);
    assert_int_equal(world_ask(&w, "GET / HTTP/1.1\r\nHost: h\r\nX-Key: b\r\n\r\n"), 0);
    assert_int_equal(world_ask(&w, GET), 0); /* by its address */
    assert_int_equal(world_ask(&w, GET), 429);
    assert_int_equal(world_ask_from(&w, "192.0.2.8:1", GET), 0);
    world_fini(&w);
}

static void preflights_do_not_count(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, "", "rate: { requests: 1, every: 1m }, cors: { origins: [ \"*\" ] }");
    for (int i = 0; i < 5; i++)
        assert_int_equal(world_ask(&w, "OPTIONS / HTTP/1.1\r\nHost: h\r\nOrigin: https://a\r\n"
                                       "Access-Control-Request-Method: PUT\r\n\r\n"),
                         204);
    assert_int_equal(world_ask(&w, GET), 0);
    assert_int_equal(world_ask(&w, GET), 429);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_bucket_holds_the_burst),
        cmocka_unit_test(who_waits_as_told_is_let_in),
        cmocka_unit_test(refusals_cost_nothing),
        cmocka_unit_test(the_rate_holds_over_time),
        cmocka_unit_test(clients_do_not_pay_for_each_other),
        cmocka_unit_test(a_flood_does_not_push_out_who_is_held_back),
        cmocka_unit_test(whose_bucket_it_is),
        cmocka_unit_test(a_reload_to_smaller_buckets_forgives),
        cmocka_unit_test(workers_share_the_bucket),
        cmocka_unit_test(by_header_and_who_has_none),
        cmocka_unit_test(preflights_do_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
