/* The mark of a zone moves with everything a secondary would have to fetch, and with nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "health/zone_mark.h"

#define HEAD "targets:\n  us: { check: { type: tcp, url: 'tcp://127.0.0.1:1' } }\ndns:\n  listen: [ '127.0.0.1:1' ]\n"
#define ZONE "  zone: rt.example.com\n"
#define NS   "  nameservers: [ ns1.example.net, ns2.example.net ]\n"
#define FIXED                                                                                                          \
    "    - { name: www, a: [ 192.0.2.1, 192.0.2.2 ], txt: [ one, two ] }\n"                                            \
    "    - { name: mail, mx: [ '10 mx.example.net' ] }\n"
#define STEERED(tail) "    - { name: '@', answers: [ { target: us, a: [ 192.0.2.9 ] } ]" tail " }\n"
#define BASE          HEAD ZONE NS "  records:\n" FIXED STEERED("")

static uint64_t mark_of(const char *text)
{
    struct conf_errors errors = {0};
    struct conf *c = conf_load_text("test", text, strlen(text), false, &errors);
    if (c == NULL)
        fail_msg("%s", errors.text);
    conf_errors_fini(&errors);
    const uint64_t mark = zone_mark(&c->dns);
    conf_unref(&c);
    return mark;
}

static void test_what_a_secondary_would_fetch_moves_it(void **state)
{
    (void)state;
    static const char *const others[] = {
        HEAD "  zone: rt.example.org\n" NS "  records:\n" FIXED STEERED(""),
        HEAD ZONE "  nameservers: [ ns1.example.net ]\n  records:\n" FIXED STEERED(""),
        HEAD ZONE "  nameservers: [ ns2.example.net, ns1.example.net ]\n  records:\n" FIXED STEERED(""),
        HEAD ZONE NS "  ttl: 61s\n  records:\n" FIXED STEERED(""),
        HEAD ZONE NS "  negative_ttl: 31s\n  records:\n" FIXED STEERED(""),
        HEAD ZONE NS "  refresh: 2h\n  records:\n" FIXED STEERED(""),
        HEAD ZONE NS "  contact: dns@example.com\n  records:\n" FIXED STEERED(""),
        HEAD ZONE NS "  records:\n" FIXED,
        HEAD ZONE NS "  records:\n" FIXED STEERED("") "    - { name: new, a: [ 192.0.2.1 ] }\n",
        HEAD ZONE NS "  records:\n    - { name: www, a: [ 192.0.2.1 ], txt: [ one, two ] }\n"
                     "    - { name: mail, mx: [ '10 mx.example.net' ] }\n" STEERED(""),
        HEAD ZONE NS "  records:\n    - { name: www, a: [ 192.0.2.1, 192.0.2.2 ], txt: [ onetwo ] }\n"
                     "    - { name: mail, mx: [ '10 mx.example.net' ] }\n" STEERED(""),
        HEAD ZONE NS "  records:\n    - { name: www, a: [ 192.0.2.1, 192.0.2.2 ], txt: [ one, two ], ttl: 5s }\n"
                     "    - { name: mail, mx: [ '10 mx.example.net' ] }\n" STEERED(""),
    };
    const uint64_t base = mark_of(BASE);
    assert_true(base != 0);
    assert_true(mark_of(BASE) == base);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (mark_of(others[i]) == base)
            fail_msg("not seen: %zu", i);
}

static uint64_t mark_with(const char *value)
{
    char text[2048];
    snprintf(text, sizeof text, BASE "    - { name: new, %s }\n", value);
    return mark_of(text);
}

static void test_records_of_every_type_move_it(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"a: [ 192.0.2.7 ]", "a: [ 192.0.2.8 ]"},
        {"aaaa: [ '2001:db8::7' ]", "aaaa: [ '2001:db8::8' ]"},
        {"cname: www.rt.example.com", "cname: mail.rt.example.com"},
        {"alias: www.rt.example.com", "alias: mail.rt.example.com"},
        {"ns: [ ns1.example.net ]", "ns: [ ns2.example.net ]"},
        {"mx: [ '1 m.example.net' ]", "mx: [ '2 m.example.net' ]"},
        {"txt: [ seven ]", "txt: [ eight ]"},
        {"srv: [ '0 5 443 m.example.net' ]", "srv: [ '0 5 444 m.example.net' ]"},
        {"caa: [ '0 issue \"a.example\"' ]", "caa: [ '0 issue \"b.example\"' ]"},
        {"https: [ '1 . alpn=h2' ]", "https: [ '1 . alpn=h3' ]"},
        {"svcb: [ '1 . alpn=dot' ]", "svcb: [ '1 . alpn=doq' ]"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if (mark_with(pairs[i][0]) == mark_with(pairs[i][1]))
            fail_msg("not seen: %s", pairs[i][1]);
}

static void test_how_a_name_is_steered_does_not(void **state)
{
    (void)state;
    assert_true(mark_of(HEAD ZONE NS "  nsid: fra\n  records:\n" FIXED STEERED(", ttl_max: 30s, steer: all-healthy")) ==
                mark_of(BASE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_secondary_would_fetch_moves_it),
        cmocka_unit_test(test_records_of_every_type_move_it),
        cmocka_unit_test(test_how_a_name_is_steered_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
