/* Response rate limiting: who shares a bucket, how it fills, what becomes of what is over it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "health/dns/limit.h"

static const uint8_t key[LIMIT_KEY_BYTES] = {1, 2, 3};

static struct limit *make(uint32_t per_second, uint32_t burst_s, uint32_t slip, uint32_t prefixes)
{
    struct limit_policy p = {.burst_s = burst_s, .slip = slip, .prefixes = prefixes};
    p.per_second[DNS_KIND_ANSWER] = per_second;
    p.per_second[DNS_KIND_NXDOMAIN] = per_second;
    return limit_create(&p, key);
}

static enum limit_verdict judge(struct limit *l, const char *address, enum dns_kind kind, int64_t now_ms)
{
    uint8_t raw[16];
    const bool is_v6 = strchr(address, ':') != NULL;
    assert_int_equal(inet_pton(is_v6 ? AF_INET6 : AF_INET, address, raw), 1);
    return limit_judge(l, raw, is_v6 ? 16 : 4, kind, now_ms);
}

/* How many of `count` answers sent at once pass. */
static unsigned passing(struct limit *l, const char *address, enum dns_kind kind, int64_t now_ms, unsigned count)
{
    unsigned passed = 0;
    for (; count > 0; count--)
        passed += judge(l, address, kind, now_ms) == LIMIT_PASS;
    return passed;
}

static void who_shares_a_bucket(void **state)
{
    static const struct {
        const char *first, *second;
        bool is_shared;
    } rows[] = {
        {"192.0.2.1", "192.0.2.254", true},
        {"192.0.2.1", "192.0.3.1", false},
        {"2001:db8:0:100::1", "2001:db8:0:1ff:ffff::1", true}, /* one /56 */
        {"2001:db8:0:100::1", "2001:db8:0:200::1", false},
        {"192.0.2.0", "c000:200::", false}, /* the same bytes in the other family */
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct limit *l = make(5, 1, 0, 1024);
        assert_int_equal(passing(l, rows[i].first, DNS_KIND_ANSWER, 1000, 100), 5);
        assert_int_equal(passing(l, rows[i].second, DNS_KIND_ANSWER, 1000, 100), rows[i].is_shared ? 0 : 5);
        /* Every kind has its own; those without a rate have no limit. */
        assert_int_equal(passing(l, rows[i].first, DNS_KIND_NXDOMAIN, 1000, 100), 5);
        assert_int_equal(passing(l, rows[i].first, DNS_KIND_ERROR, 1000, 100), 100);
        limit_destroy(&l);
        assert_null(l);
    }
}

static void buckets_fill(void **state)
{
    struct limit *l = make(10, 2, 0, 1024);
    (void)state;
    assert_int_equal(passing(l, "192.0.2.1", DNS_KIND_ANSWER, 0, 100), 20); /* two seconds' worth at first */
    assert_int_equal(passing(l, "192.0.2.1", DNS_KIND_ANSWER, 99, 100), 0);
    assert_int_equal(passing(l, "192.0.2.1", DNS_KIND_ANSWER, 100, 100), 1);
    assert_int_equal(passing(l, "192.0.2.1", DNS_KIND_ANSWER, 1100, 100), 10);
    assert_int_equal(passing(l, "192.0.2.1", DNS_KIND_ANSWER, 1000000, 100), 20); /* and not more after a night */
    assert_int_equal(passing(l, "192.0.3.1", DNS_KIND_ANSWER, 0, 1), 1);
    assert_int_equal(passing(l, "192.0.3.1", DNS_KIND_ANSWER, 1900, 100), 20); /* nor after a moment */
    assert_int_equal(passing(l, "192.0.2.1", DNS_KIND_ANSWER, 0, 100), 0);     /* a clock that goes back */
    limit_destroy(&l);
    /* Nothing is lost to rounding: 10 a second asked for every 7 ms for 70 s are 700 and the first 10. */
    l = make(10, 1, 0, 1024);
    unsigned passed = 0;
    for (int64_t now_ms = 0; now_ms < 70000; now_ms += 7)
        passed += judge(l, "192.0.2.1", DNS_KIND_ANSWER, now_ms) == LIMIT_PASS;
    assert_in_range(passed, 708, 710);
    limit_destroy(&l);
}

static void some_slip_through(void **state)
{
    static const struct {
        uint32_t slip;
        unsigned slipped;
    } rows[] = {{0, 0}, {1, 60}, {2, 30}, {3, 20}, {61, 0}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct limit *l = make(1, 1, rows[i].slip, 16);
        unsigned slipped = 0;
        assert_int_equal(judge(l, "192.0.2.1", DNS_KIND_ANSWER, 0), LIMIT_PASS);
        for (unsigned k = 0; k < 60; k++)
            slipped += judge(l, "192.0.2.1", DNS_KIND_ANSWER, 0) == LIMIT_SLIP;
        assert_int_equal(slipped, rows[i].slipped);
        limit_destroy(&l);
    }
}

/* A flood from everywhere does not grow the table, and does not push out who is flooded at the same time: in a row of
 * four the one that was quiet for longest goes. */
static void the_table_does_not_grow(void **state)
{
    struct limit *l = make(5, 1, 0, 64);
    uint8_t address[4] = {10, 0, 0, 1};
    unsigned passed = 0;
    (void)state;
    for (uint32_t i = 0; i < 100000; i++) {
        address[0] = (uint8_t)(i >> 16);
        address[1] = (uint8_t)(i >> 8);
        address[2] = (uint8_t)i;
        (void)limit_judge(l, address, 4, DNS_KIND_ANSWER, i);
        passed += judge(l, "192.0.2.1", DNS_KIND_ANSWER, i) == LIMIT_PASS;
    }
    assert_in_range(passed, 500, 510); /* 100 s at 5, and the first 5 */
    limit_destroy(&l);
}

/* How many prefixes fit is what was asked for: of half as many, hardly one loses its place to another. */
static void the_whole_table_is_used(void **state)
{
    enum { ROOM = 4096 };
    struct limit *l = make(1, 1000, 0, ROOM);
    uint8_t address[4] = {10, 0, 0, 1};
    unsigned kept = 0;
    (void)state;
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < ROOM / 2; i++) {
            address[1] = (uint8_t)(i >> 8);
            address[2] = (uint8_t)i;
            if (round == 1)
                kept += limit_judge(l, address, 4, DNS_KIND_ANSWER, 0) != LIMIT_PASS;
            else
                for (unsigned k = 0; k < 1000; k++)
                    (void)limit_judge(l, address, 4, DNS_KIND_ANSWER, 0);
        }
    assert_in_range(kept, ROOM / 2 * 9 / 10, ROOM / 2);
    limit_destroy(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_shares_a_bucket),     cmocka_unit_test(buckets_fill),
        cmocka_unit_test(some_slip_through),       cmocka_unit_test(the_table_does_not_grow),
        cmocka_unit_test(the_whole_table_is_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
