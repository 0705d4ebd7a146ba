/* From the section `dns` of a configuration to a zone: what is in it, which set is which record, and what a complaint
 * says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conf/conf.h"
#include "health/dns/answer.h"
#include "health/dns/zone_conf.h"
#include "health/steering.h"
#include "tests/unit/health/dns/packet.h"

static struct conf *conf_with(const char *dns)
{
    struct conf_errors errors = {.count = 0};
    char text[4096];
    int len = snprintf(text, sizeof text,
                       "targets: { us: { check: { type: tcp, url: \"tcp://192.0.2.1:1\" } } }\n"
                       "dns: { zone: rt.test, listen: [ \"127.0.0.1:0\" ], nameservers: [ ns1.rt.test ], %s }\n",
                       dns);
    struct conf *c = conf_load_text("t.yaml", text, (size_t)len, false, &errors);
    if (c == NULL)
        fail_msg("%s", errors.text);
    conf_errors_fini(&errors);
    return c;
}

/* The answer of the zone to one question; its sets are answered with all they have. */
static const char *ask(const struct zone_conf *z, const char *name, const char *type)
{
    static const struct steering_set all[4] = {{.ttl_s = 5}, {.ttl_s = 5}, {.ttl_s = 5}, {.ttl_s = 5}};
    const struct dns_service service = {.zone = z->zone};
    const struct steering steering = {.serial = 77, .set_count = 4, .sets = all};
    const struct dns_query_info info = {.address_len = 4};
    static char text[PACKET_TEXT_BYTES];
    struct dns_outcome outcome;
    struct packet query;
    struct query q;
    uint8_t answer[4096];
    const char *wrong;

    packet_query(&query, name, dns_type_of(type));
    query_read(&q, query.data, query.len);
    size_t len = dns_answer(&service, &steering, &info, &q, answer, sizeof answer, &outcome);
    packet_tell(answer, len, text, &wrong);
    assert_null(wrong);
    return text;
}

static void every_key_becomes_its_records(void **state)
{
    static const struct {
        const char *name, *type, *answer;
    } rows[] = {
        {"rt.test", "SOA", "NOERROR aa | an rt.test. 60 SOA ns1.rt.test. hostmaster.rt.test. 77 3600 300 1209600 30"},
        {"rt.test", "NS", "NOERROR aa | an rt.test. 60 NS ns1.rt.test. | ar ns1.rt.test. 60 A 192.0.2.53"},
        {"www.rt.test", "A", "NOERROR aa | an www.rt.test. 300 A 192.0.2.1; www.rt.test. 300 A 192.0.2.2"},
        {"www.rt.test", "AAAA", "NOERROR aa | an www.rt.test. 300 AAAA 2001:db8::1"},
        {"www.rt.test", "MX", "NOERROR aa | an www.rt.test. 300 MX 10 mail.example.net."},
        {"c.rt.test", "CNAME", "NOERROR aa | an c.rt.test. 60 CNAME www.rt.test."},
        {"x.w.rt.test", "A", "NOERROR aa | an x.w.rt.test. 60 A 192.0.2.9"},
        {"host.sub.rt.test", "A", "NOERROR | ns sub.rt.test. 60 NS ns.example.net."},
    };
    (void)state;
    struct conf *c = conf_with("records: [ { name: ns1, a: [ 192.0.2.53 ] },"
                               " { name: www, ttl: 5m, a: [ 192.0.2.1, 192.0.2.2 ], aaaa: [ \"2001:db8::1\" ],"
                               "   mx: [ \"10 mail.example.net\" ], txt: [ \"a text\" ],"
                               "   caa: [ '0 issue \"ca.example\"' ], https: [ \"1 . alpn=h2\" ] },"
                               " { name: _s._tcp, srv: [ \"0 5 443 www.rt.test\" ], svcb: [ \"0 www.rt.test\" ] },"
                               " { name: c, cname: www.rt.test }, { name: '*.w', a: [ 192.0.2.9 ] },"
                               " { name: sub, ns: [ ns.example.net ] } ]");
    char why[ZONE_CONF_WHY_BYTES];
    struct zone_conf z;
    if (!zone_conf_init(&z, &c->dns, 1, why))
        fail_msg("%s", why);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(ask(&z, rows[i].name, rows[i].type), rows[i].answer);
    static const struct {
        const char *name, *type;
    } there[] = {{"www.rt.test", "TXT"},
                 {"www.rt.test", "CAA"},
                 {"www.rt.test", "HTTPS"},
                 {"_s._tcp.rt.test", "SRV"},
                 {"_s._tcp.rt.test", "SVCB"}};
    for (size_t i = 0; i < sizeof there / sizeof *there; i++)
        assert_memory_equal(ask(&z, there[i].name, there[i].type), "NOERROR aa | an ", 16);
    assert_int_equal(z.set_count, 0);
    zone_conf_fini(&z);
    conf_unref(&c);
}

static void sets_know_their_records(void **state)
{
    (void)state;
    struct conf *c = conf_with("records: [ { name: ns1, a: [ 192.0.2.53 ] }, { name: '@', alias: far.example.net },"
                               " { name: live, answers: [ { target: us, a: [ 192.0.2.1 ] }, { cname: far.test } ] },"
                               " { name: other, alias: www.example.net } ]");
    char why[ZONE_CONF_WHY_BYTES];
    struct zone_conf z;
    assert_true(zone_conf_init(&z, &c->dns, 1, why));
    assert_int_equal(z.set_count, 3);
    assert_int_equal(zone_steered_count(z.zone), 3);
    assert_ptr_equal(z.sets[0].record, &c->dns.records[1]);
    assert_int_equal(z.sets[0].steering_id, 0);
    assert_ptr_equal(z.sets[1].record, &c->dns.records[2]);
    assert_true(z.sets[1].steering_id == steering_id(&c->dns.records[2]));
    assert_int_equal(z.sets[2].steering_id, 0);
    /* An alias is answered by addresses wherever it stands: without them there is no answer, and no CNAME either. */
    assert_string_equal(ask(&z, "other.rt.test", "A"), "SERVFAIL");
    assert_string_equal(ask(&z, "other.rt.test", "CNAME"),
                        "NOERROR aa | ns rt.test. 5 SOA ns1.rt.test. hostmaster.rt.test. 77 3600 300 1209600 30");
    zone_conf_fini(&z);
    conf_unref(&c);
}

static void complaints_name_record_and_key(void **state)
{
    static const struct {
        const char *dns, *key, *reason;
    } rows[] = {
        {"records: [ { name: www, mx: [ \"mail.example.net\" ] } ]", "dns.records www: mx: ", "www.rt.test. MX: "},
        {"records: [ { name: www, srv: [ \"0 0 99999 x.test\" ] } ]", "dns.records www: srv: ", "www.rt.test. SRV: "},
        {"records: [ { name: www, https: [ \"1 . alpn\" ] } ]", "dns.records www: https: ", "www.rt.test. HTTPS: "},
        {"records: [ { name: a, cname: b.rt.test }, { name: b, cname: a.rt.test } ]", "dns.records: ", "in a circle"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct conf *c = conf_with(rows[i].dns);
        char why[ZONE_CONF_WHY_BYTES] = "";
        struct zone_conf z;
        assert_false(zone_conf_init(&z, &c->dns, 1, why));
        if (strncmp(why, rows[i].key, strlen(rows[i].key)) != 0 || strstr(why, rows[i].reason) == NULL)
            fail_msg("%s", why);
        assert_null(z.zone);
        conf_unref(&c);
    }
    /* Without nameservers of its own too. */
    const struct conf_dns pushed = {.zone = "rt..test"};
    char why[ZONE_CONF_WHY_BYTES] = "";
    struct zone_conf z;
    assert_false(zone_conf_init(&z, &pushed, 1, why));
    assert_string_equal(why, "dns.zone: \"rt..test\": the name has an empty label");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_becomes_its_records),
        cmocka_unit_test(sets_know_their_records),
        cmocka_unit_test(complaints_name_record_and_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
