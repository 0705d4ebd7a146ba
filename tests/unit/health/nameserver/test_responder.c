/* What surrounds an answer: the limit, who is excepted from it, and what is counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tests/unit/health/nameserver/world.h"

static void answers_are_counted_by_kind(void **state)
{
    static const struct {
        const char *name, *type;
        enum stat_process counted;
    } rows[] = {
        {"www.rt.test", "A", STAT_DNS_ANSWERS},    {"www.rt.test", "MX", STAT_DNS_NODATA},
        {"no.rt.test", "A", STAT_DNS_NXDOMAIN},    {"sub.rt.test", "A", STAT_DNS_REFERRALS},
        {"example.net", "A", STAT_DNS_REFUSED},    {"rt.test", "AXFR", STAT_DNS_REFUSED},
        {"www.rt.test", "MAILA", STAT_DNS_ERRORS}, {"rt.test", "AAAA", STAT_DNS_NODATA},
    };
    struct world w;
    (void)state;
    world_init(&w, WORLD_PLAIN "records: [ { name: www, a: [ 192.0.2.1 ] }, { name: sub, ns: [ ns.example.net ] } ]");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const uint64_t before = world_count(&w, rows[i].counted);
        (void)world_ask(&w, rows[i].name, rows[i].type);
        assert_int_equal(world_count(&w, rows[i].counted), before + 1);
    }
    assert_int_equal(world_count(&w, STAT_DNS_UDP_QUERIES), sizeof rows / sizeof *rows);
    assert_int_equal(world_count(&w, STAT_DNS_MALFORMED), 0);
    w.query.len--; /* a question cut off */
    assert_string_equal(world_send(&w, "192.0.2.7", true), "FORMERR");
    assert_int_equal(world_count(&w, STAT_DNS_MALFORMED), 1);
    assert_int_equal(world_count(&w, STAT_DNS_TCP_QUERIES), 1);
    w.query.len = 11;
    assert_string_equal(world_send(&w, "192.0.2.7", false), "(none)");
    assert_int_equal(world_count(&w, STAT_DNS_IGNORED), 1);
    world_fini(&w);
}

#define LIMITED                                                                                                        \
    "cookie_secret: 000102030405060708090a0b0c0d0e0f, rate: { answers: 2, burst: 1s, slip: 2 }, " WORLD_RECORDS

static void what_is_over_the_limit_slips_or_is_dropped(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, LIMITED);
    static const char whole[] = "NOERROR aa | an www.rt.test. 60 A 192.0.2.1";
    assert_string_equal(world_ask(&w, "www.rt.test", "A"), whole);
    assert_string_equal(world_ask(&w, "www.rt.test", "A"), whole);
    assert_string_equal(world_ask(&w, "www.rt.test", "A"), "(none)");
    assert_string_equal(world_ask(&w, "www.rt.test", "A"), "NOERROR aa tc");
    assert_int_equal(world_count(&w, STAT_DNS_RATE_DROPPED), 1);
    assert_int_equal(world_count(&w, STAT_DNS_RATE_SLIPPED), 1);
    /* Others are not concerned, other kinds have a limit of their own, and time heals. */
    assert_string_equal(world_send(&w, "192.0.2.77", false), whole);
    assert_memory_equal(world_ask(&w, "no.rt.test", "A"), "NXDOMAIN", 8);
    responder_set_time(w.responder, 1001, 1559731986000);
    assert_string_equal(world_ask(&w, "www.rt.test", "A"), whole);
    world_fini(&w);
}

static void tcp_and_good_cookies_are_not_limited(void **state)
{
    static const uint8_t client_cookie[] = {0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8};
    uint8_t whole_cookie[28] = {0, 10, 0, 24};
    struct world w;
    (void)state;
    world_init(&w, LIMITED);
    packet_query(&w.query, "www.rt.test", DNS_TYPE_A);
    for (int i = 0; i < 50; i++)
        assert_memory_equal(world_send(&w, "198.51.100.100", true), "NOERROR aa | an", 15);

    packet_opt(&w.query, 1232, 0, false, client_cookie, sizeof client_cookie);
    const char *cookie = strstr(world_send(&w, "198.51.100.100", false), "cookie=");
    assert_non_null(cookie);
    for (size_t i = 0; i < 24; i++) {
        unsigned byte;
        assert_int_equal(sscanf(cookie + strlen("cookie=") + 2 * i, "%2x", &byte), 1);
        whole_cookie[4 + i] = (uint8_t)byte;
    }
    packet_query(&w.query, "www.rt.test", DNS_TYPE_A);
    packet_opt(&w.query, 1232, 0, false, whole_cookie, sizeof whole_cookie);
    for (int i = 0; i < 50; i++)
        assert_memory_equal(world_send(&w, "198.51.100.100", false), "NOERROR aa | an", 15);
    assert_int_equal(world_count(&w, STAT_DNS_RATE_DROPPED), 0);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_counted_by_kind),
        cmocka_unit_test(what_is_over_the_limit_slips_or_is_dropped),
        cmocka_unit_test(tcp_and_good_cookies_are_not_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
