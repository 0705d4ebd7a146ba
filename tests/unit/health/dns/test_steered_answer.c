/* Names whose content is chosen from outside: candidates 0 and 1 are addresses, 2 is static.example.net, resolved from
 * outside to 203.0.113.99, 3 has two addresses, 4 is www.zone.test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/health/dns/fixture.h"

#define NOTHING " | ns zone.test. 5 SOA ns1.zone.test. hostmaster.zone.test. 2026 3600 600 604800 300"

static int setup(void **state)
{
    struct fixture *f = mem_alloc(sizeof *f);
    fixture_init(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_fini(*state);
    mem_free(*state);
    return 0;
}

static void answers_follow_the_choice(void **state)
{
    static const struct {
        uint32_t chosen;
        const char *name, *type, *answer;
    } asked[] = {
        {1u << 0, "live", "A", "NOERROR aa | an live.zone.test. 5 A 192.0.2.10"},
        {1u << 0, "live", "AAAA", "NOERROR aa | an live.zone.test. 5 AAAA 2001:db8::10"},
        {1u << 1, "live", "A", "NOERROR aa | an live.zone.test. 5 A 198.51.100.10"},
        {3, "live", "A", "NOERROR aa | an live.zone.test. 5 A 192.0.2.10; live.zone.test. 5 A 198.51.100.10"},
        {1u << 3, "live", "A", "NOERROR aa | an live.zone.test. 5 A 203.0.113.10; live.zone.test. 5 A 203.0.113.11"},
        /* No such data now, perhaps with the next choice: not believed for longer than the choice. */
        {1u << 1, "live", "AAAA", "NOERROR aa" NOTHING},
        {1u << 1, "live", "TXT", "NOERROR aa" NOTHING},
        {1u << 1, "live", "CNAME", "NOERROR aa" NOTHING},
        /* A name alone is a CNAME, for every type; inside the zone it is followed. */
        {1u << 2, "live", "A", "NOERROR aa | an live.zone.test. 5 CNAME static.example.net."},
        {1u << 2, "live", "MX", "NOERROR aa | an live.zone.test. 5 CNAME static.example.net."},
        {1u << 2, "live", "CNAME", "NOERROR aa | an live.zone.test. 5 CNAME static.example.net."},
        {1u << 4, "live", "AAAA",
         "NOERROR aa | an live.zone.test. 5 CNAME www.zone.test.; www.zone.test. 300 AAAA 2001:db8::80"},
        /* Where a CNAME may not stand: beside others, at the apex, beside other records. */
        {5, "live", "A", "NOERROR aa | an live.zone.test. 5 A 192.0.2.10; live.zone.test. 5 A 203.0.113.99"},
        {1u << 2, "@", "A", "NOERROR aa | an zone.test. 5 A 203.0.113.99"},
        {1u << 2, "@", "AAAA", "NOERROR aa" NOTHING},
        {1u << 2, "both", "A", "NOERROR aa | an both.zone.test. 5 A 203.0.113.99"},
        {1u << 2, "both", "TXT", "NOERROR aa | an both.zone.test. 600 TXT \"a text beside what is steered\""},
        {1u << 2, "@", "CAA", "NOERROR aa | an zone.test. 3600 CAA 0 issue \"letsencrypt.org\""},
        /* A name nobody has resolved yet: "I cannot say" is not "there is none". */
        {1u << 4, "@", "A", "SERVFAIL"},
        {1u << 4, "@", "AAAA", "SERVFAIL"},
        {1u << 4 | 1, "@", "A", "NOERROR aa | an zone.test. 5 A 192.0.2.10"},
        {1u << 0, "live", "ANY", "NOERROR aa | an live.zone.test. 3600 HINFO \"RFC8482\" \"\""},
        {1u << 2, "live", "ANY", "NOERROR aa | an live.zone.test. 5 CNAME static.example.net."},
        {1u << 2, "both", "ANY", "NOERROR aa | an both.zone.test. 3600 HINFO \"RFC8482\" \"\""},
    };
    struct fixture *f = *state;
    char name[64];
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        for (size_t k = 0; k < FIXTURE_SETS; k++)
            f->sets[k].chosen = asked[i].chosen;
        snprintf(name, sizeof name, "%s%szone.test", *asked[i].name != '@' ? asked[i].name : "",
                 *asked[i].name != '@' ? "." : "");
        const char *answer = fixture_ask(f, name, asked[i].type);
        if (strcmp(answer, asked[i].answer) != 0)
            fail_msg("%s %s with %x\n  is answered %s\n  and not     %s", name, asked[i].type, asked[i].chosen, answer,
                     asked[i].answer);
    }
}

static void a_name_lives_no_longer_than_its_addresses(void **state)
{
    struct fixture *f = *state;
    f->sets[FIXTURE_APEX] = (struct steering_set){.chosen = 1u << 2, .ttl_s = 60, .aliases = f->aliases};
    assert_string_equal(fixture_ask(f, "zone.test", "A"), "NOERROR aa | an zone.test. 20 A 203.0.113.99");
    /* Nor does what they are without. */
    assert_non_null(strstr(fixture_ask(f, "zone.test", "AAAA"), "NOERROR aa | ns zone.test. 20 SOA "));
    f->aliases[2].ttl_s = 3600;
    assert_string_equal(fixture_ask(f, "zone.test", "A"), "NOERROR aa | an zone.test. 60 A 203.0.113.99");
    /* The same address from two sides is one record. */
    memcpy(f->aliases[2].a[0], (const uint8_t[]){192, 0, 2, 10}, 4);
    f->sets[FIXTURE_APEX].chosen = 5;
    assert_string_equal(fixture_ask(f, "zone.test", "A"), "NOERROR aa | an zone.test. 60 A 192.0.2.10");
}

static void no_choice_is_all_of_them(void **state)
{
    struct fixture *f = *state;
    f->sets[FIXTURE_LIVE].chosen = 0;
    assert_string_equal(fixture_ask(f, "live.zone.test", "A"),
                        "NOERROR aa | an live.zone.test. 5 A 192.0.2.10; live.zone.test. 5 A 198.51.100.10;"
                        " live.zone.test. 5 A 203.0.113.99; live.zone.test. 5 A 203.0.113.10;"
                        " live.zone.test. 5 A 203.0.113.11");
}

static void the_order_turns(void **state)
{
    struct fixture *f = *state;
    f->sets[FIXTURE_LIVE].chosen = 3;
    f->info.random = 1;
    assert_string_equal(fixture_ask(f, "live.zone.test", "A"),
                        "NOERROR aa | an live.zone.test. 5 A 198.51.100.10; live.zone.test. 5 A 192.0.2.10");
}

/* Of the first two, one in four and three in four; 0 and 2^32 - 1 are the ends of the circle. */
static void by_weight_one_is_answered(void **state)
{
    static const uint16_t weights[FIXTURE_CANDIDATES] = {1, 3, 9, 9, 9};
    static const struct {
        uint32_t random;
        const char *address;
    } asked[] = {
        {0, "192.0.2.10"}, {0x3fffffff, "192.0.2.10"}, {0x40000000, "198.51.100.10"}, {0xffffffff, "198.51.100.10"}};
    struct fixture *f = *state;
    char answer[100];
    f->sets[FIXTURE_LIVE].chosen = 3;
    f->sets[FIXTURE_LIVE].weights = weights;
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        f->info.random = asked[i].random;
        snprintf(answer, sizeof answer, "NOERROR aa | an live.zone.test. 5 A %s", asked[i].address);
        assert_string_equal(fixture_ask(f, "live.zone.test", "A"), answer);
    }
}

static void the_serial_is_the_one_handed_in(void **state)
{
    struct fixture *f = *state;
    f->steering.serial = 4294967295u;
    assert_non_null(strstr(fixture_ask(f, "zone.test", "SOA"), " 4294967295 3600 "));
    assert_non_null(strstr(fixture_ask(f, "nope.zone.test", "A"), " 4294967295 3600 "));
}

/* Circles that only a choice or a wildcard closes: told once, and no further. */
static void circles_end(void **state)
{
    static const struct zone_soa soa = {.mname = "ns.zone.test", .rname = "h.zone.test"};
    static const struct zone_candidate_text back = {.cname = "back.zone.test"};
    struct fixture *f = *state;
    char owner[16], text[32], why[ZONE_WHY_BYTES];
    struct zone_draft *d = zone_begin("zone.test", &soa);

    assert_true(zone_add(d, "@", DNS_TYPE_NS, 60, "ns.zone.test"));
    assert_true(zone_add(d, "back", DNS_TYPE_CNAME, 60, "ring.zone.test"));
    assert_true(zone_add(d, "*.loop", DNS_TYPE_CNAME, 60, "a.loop.zone.test"));
    assert_int_equal(zone_add_steered(d, "ring", &back, 1), 0);
    for (unsigned i = 0; i < 12; i++) {
        snprintf(owner, sizeof owner, "c%u", i);
        snprintf(text, sizeof text, "c%u.zone.test", i + 1);
        assert_true(zone_add(d, owner, DNS_TYPE_CNAME, 60, text));
    }
    zone_destroy(&f->zone);
    f->service.zone = f->zone = zone_finish(&d, why);
    assert_string_equal(
        fixture_ask(f, "ring.zone.test", "A"),
        "NOERROR aa | an ring.zone.test. 5 CNAME back.zone.test.; back.zone.test. 60 CNAME ring.zone.test.");
    assert_string_equal(fixture_ask(f, "x.loop.zone.test", "A"),
                        "NOERROR aa | an x.loop.zone.test. 60 CNAME a.loop.zone.test.;"
                        " a.loop.zone.test. 60 CNAME a.loop.zone.test.");
    /* A chain without end stops too: the client asks on from there. */
    assert_null(strstr(fixture_ask(f, "c0.zone.test", "A"), "c8.zone.test. 60 CNAME"));
    assert_non_null(strstr(f->text, "c7.zone.test. 60 CNAME c8.zone.test."));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(answers_follow_the_choice, setup, teardown),
        cmocka_unit_test_setup_teardown(a_name_lives_no_longer_than_its_addresses, setup, teardown),
        cmocka_unit_test_setup_teardown(no_choice_is_all_of_them, setup, teardown),
        cmocka_unit_test_setup_teardown(the_order_turns, setup, teardown),
        cmocka_unit_test_setup_teardown(by_weight_one_is_answered, setup, teardown),
        cmocka_unit_test_setup_teardown(the_serial_is_the_one_handed_in, setup, teardown),
        cmocka_unit_test_setup_teardown(circles_end, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
