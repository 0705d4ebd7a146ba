/* What is answered to what: one line per question, the way a person would read it off dig. The zone is in fixture.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/health/dns/fixture.h"

#define SOA_WITH(ttl) "zone.test. " ttl " SOA ns1.zone.test. hostmaster.zone.test. 2026 3600 600 604800 300"
#define NOTHING       " | ns " SOA_WITH("300")
#define TO_SUB                                                                                                         \
    "NOERROR | ns sub.zone.test. 3600 NS ns.sub.zone.test.; sub.zone.test. 3600 NS ns.example.net."                    \
    " | ar ns.sub.zone.test. 3600 A 192.0.2.54"

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

struct asked {
    const char *name, *type, *answer;
};

static void ask_all(struct fixture *f, const struct asked *asked, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *answer = fixture_ask(f, asked[i].name, asked[i].type);
        if (strcmp(answer, asked[i].answer) != 0)
            fail_msg("%s %s\n  is answered %s\n  and not     %s", asked[i].name, asked[i].type, answer,
                     asked[i].answer);
    }
}
#define ASK_ALL(f, asked) ask_all((f), (asked), sizeof(asked) / sizeof *(asked))

static void every_type(void **state)
{
    static const struct asked asked[] = {
        {"www.zone.test", "A", "NOERROR aa | an www.zone.test. 300 A 192.0.2.80; www.zone.test. 300 A 192.0.2.81"},
        {"www.zone.test", "AAAA", "NOERROR aa | an www.zone.test. 300 AAAA 2001:db8::80"},
        {"zone.test", "SOA", "NOERROR aa | an " SOA_WITH("900")},
        {"zone.test", "NS",
         "NOERROR aa | an zone.test. 3600 NS ns1.zone.test.; zone.test. 3600 NS ns2.zone.test."
         " | ar ns1.zone.test. 3600 A 192.0.2.53; ns2.zone.test. 3600 A 198.51.100.53;"
         " ns2.zone.test. 3600 AAAA 2001:db8::53"},
        {"zone.test", "MX",
         "NOERROR aa | an zone.test. 3600 MX 10 mail.zone.test. | ar mail.zone.test. 600 A 192.0.2.25"},
        {"zone.test", "TXT", "NOERROR aa | an zone.test. 3600 TXT \"v=spf1 -all\""},
        {"zone.test", "CAA", "NOERROR aa | an zone.test. 3600 CAA 0 issue \"letsencrypt.org\""},
        {"_sip._udp.zone.test", "SRV",
         "NOERROR aa | an _sip._udp.zone.test. 600 SRV 10 5 5060 mail.zone.test. | ar mail.zone.test. 600 A "
         "192.0.2.25"},
        /* alpn h2,http/1.1; port 8443; ipv4hint; the address of "." is the owner's. */
        {"svc.zone.test", "HTTPS",
         "NOERROR aa | an svc.zone.test. 600 HTTPS 1 . key1=02683208687474702f312e31 key3=20fb key4=c0000207"
         " | ar svc.zone.test. 600 A 192.0.2.7"},
        {"_dns.svc.zone.test", "SVCB",
         "NOERROR aa | an _dns.svc.zone.test. 600 SVCB 0 svc.zone.test. | ar svc.zone.test. 600 A 192.0.2.7"},
        /* The letters of the question are the client's (0x20), in the record that points at it too. */
        {"wWw.zOnE.TesT", "AAAA", "NOERROR aa | an wWw.zOnE.TesT. 300 AAAA 2001:db8::80"},
    };
    ASK_ALL(*state, asked);
}

static void what_is_not_there(void **state)
{
    static const struct asked asked[] = {
        {"nope.zone.test", "A", "NXDOMAIN aa" NOTHING},
        {"below.www.zone.test", "A", "NXDOMAIN aa" NOTHING},
        {"www.zone.test", "TXT", "NOERROR aa" NOTHING},
        /* Between _sip._udp and the apex: nothing is there, but it is. */
        {"_udp.zone.test", "SRV", "NOERROR aa" NOTHING},
        {"_tcp.zone.test", "SRV", "NXDOMAIN aa" NOTHING},
        /* Not ours. */
        {"test", "A", "REFUSED"},
        {"xzone.test", "A", "REFUSED"},
        {"zone.test.example.net", "A", "REFUSED"},
        {".", "NS", "REFUSED"},
    };
    ASK_ALL(*state, asked);
}

static void cname_chains(void **state)
{
    static const struct asked asked[] = {
        {"alias.zone.test", "A",
         "NOERROR aa | an alias.zone.test. 120 CNAME www.zone.test.; www.zone.test. 300 A 192.0.2.80;"
         " www.zone.test. 300 A 192.0.2.81"},
        {"alias.zone.test", "CNAME", "NOERROR aa | an alias.zone.test. 120 CNAME www.zone.test."},
        {"chain.zone.test", "AAAA",
         "NOERROR aa | an chain.zone.test. 120 CNAME alias.zone.test.; alias.zone.test. 120 CNAME www.zone.test.;"
         " www.zone.test. 300 AAAA 2001:db8::80"},
        {"alias.zone.test", "TXT", "NOERROR aa | an alias.zone.test. 120 CNAME www.zone.test." NOTHING},
        /* Out of the zone: the client goes on by himself. */
        {"far.zone.test", "A", "NOERROR aa | an far.zone.test. 120 CNAME cdn.example.net."},
        /* The code is that of the chain's end (RFC 6604). */
        {"dangling.zone.test", "A", "NXDOMAIN aa | an dangling.zone.test. 120 CNAME nowhere.zone.test." NOTHING},
        {"to-live.zone.test", "A",
         "NOERROR aa | an to-live.zone.test. 120 CNAME live.zone.test.; live.zone.test. 5 A 192.0.2.10"},
    };
    ASK_ALL(*state, asked);
}

/* *.wild has A and TXT; beside it stand host.wild and, with an empty name between, a.b.wild. */
static void wildcards(void **state)
{
    static const struct asked asked[] = {
        {"x.wild.zone.test", "A", "NOERROR aa | an x.wild.zone.test. 60 A 192.0.2.99"},
        {"x.y.wild.zone.test", "TXT", "NOERROR aa | an x.y.wild.zone.test. 60 TXT \"from the wildcard\""},
        {"x.wild.zone.test", "AAAA", "NOERROR aa" NOTHING},
        /* "The name itself" is the one that was asked for. */
        {"x.wild.zone.test", "HTTPS",
         "NOERROR aa | an x.wild.zone.test. 60 HTTPS 1 . key1=026832 | ar x.wild.zone.test. 60 A 192.0.2.99"},
        {"*.wild.zone.test", "A", "NOERROR aa | an *.wild.zone.test. 60 A 192.0.2.99"},
        {"wild.zone.test", "A", "NOERROR aa" NOTHING},
        /* A name that exists is not filled up by the wildcard, */
        {"host.wild.zone.test", "TXT", "NOERROR aa" NOTHING},
        {"b.wild.zone.test", "A", "NOERROR aa" NOTHING},
        /* nor is what lies below one. */
        {"x.host.wild.zone.test", "A", "NXDOMAIN aa" NOTHING},
        {"x.b.wild.zone.test", "A", "NXDOMAIN aa" NOTHING},
        /* A wildcard that is itself empty: names exist, data does not. */
        {"x.void.zone.test", "A", "NOERROR aa" NOTHING},
        {"in.x.void.zone.test", "A", "NOERROR aa" NOTHING},
        /* A CNAME for all of them. */
        {"q.lead.zone.test", "AAAA",
         "NOERROR aa | an q.lead.zone.test. 60 CNAME www.zone.test.; www.zone.test. 300 AAAA 2001:db8::80"},
    };
    ASK_ALL(*state, asked);
}

static void delegations(void **state)
{
    static const struct asked asked[] = {
        {"sub.zone.test", "A", TO_SUB},
        {"sub.zone.test", "NS", TO_SUB},
        {"deep.down.sub.zone.test", "TXT", TO_SUB},
        {"ns.sub.zone.test", "A", TO_SUB},
        {"www.sub.zone.test", "ANY", TO_SUB},
        /* Whether it is signed is said on this side. */
        {"sub.zone.test", "DS", "NOERROR aa" NOTHING},
    };
    ASK_ALL(*state, asked);
}

static void any_is_small(void **state)
{
    static const struct asked asked[] = {
        {"www.zone.test", "ANY", "NOERROR aa | an www.zone.test. 3600 HINFO \"RFC8482\" \"\""},
        {"zone.test", "ANY", "NOERROR aa | an zone.test. 3600 HINFO \"RFC8482\" \"\""},
        {"x.wild.zone.test", "ANY", "NOERROR aa | an x.wild.zone.test. 3600 HINFO \"RFC8482\" \"\""},
        {"alias.zone.test", "ANY", "NOERROR aa | an alias.zone.test. 120 CNAME www.zone.test."},
        {"_udp.zone.test", "ANY", "NOERROR aa" NOTHING},
        {"nope.zone.test", "ANY", "NXDOMAIN aa" NOTHING},
    };
    ASK_ALL(*state, asked);
}

static void what_is_not_for_clients(void **state)
{
    static const struct asked asked[] = {
        {"zone.test", "AXFR", "REFUSED"}, {"zone.test", "IXFR", "REFUSED"}, {"zone.test", "MAILA", "NOTIMP"},
        {"zone.test", "TKEY", "NOTIMP"},  {"zone.test", "OPT", "FORMERR"},
    };
    struct fixture *f = *state;
    ASK_ALL(f, asked);
    f->info.is_tcp = true;
    ASK_ALL(f, asked);
    f->info.is_tcp = false;
    packet_query(&f->query, "version.bind", DNS_TYPE_TXT);
    f->query.data[f->query.len - 1] = DNS_CLASS_CH;
    assert_string_equal(fixture_send(f), "REFUSED");
    packet_query(&f->query, "www.zone.test", DNS_TYPE_A);
    f->query.data[f->query.len - 1] = DNS_CLASS_ANY;
    assert_string_equal(fixture_send(f), "REFUSED");
}

/* What is counted and limited by. */
static void outcomes(void **state)
{
    static const struct {
        const char *name, *type;
        enum dns_kind kind;
        enum dns_rcode rcode;
    } asked[] = {
        {"www.zone.test", "A", DNS_KIND_ANSWER, DNS_RCODE_NOERROR},
        {"far.zone.test", "A", DNS_KIND_ANSWER, DNS_RCODE_NOERROR},
        {"www.zone.test", "TXT", DNS_KIND_NODATA, DNS_RCODE_NOERROR},
        {"nope.zone.test", "A", DNS_KIND_NXDOMAIN, DNS_RCODE_NXDOMAIN},
        {"a.sub.zone.test", "A", DNS_KIND_REFERRAL, DNS_RCODE_NOERROR},
        {"example.net", "A", DNS_KIND_ERROR, DNS_RCODE_REFUSED},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        (void)fixture_ask(f, asked[i].name, asked[i].type);
        assert_int_equal(f->outcome.kind, asked[i].kind);
        assert_int_equal(f->outcome.rcode, asked[i].rcode);
        assert_int_equal(f->outcome.qtype, dns_type_of(asked[i].type));
    }
}

/* The last name that fits a message, and the longest chain there is, end too. */
static void long_names(void **state)
{
    struct fixture *f = *state;
    char name[300];
    size_t len = 0;

    /* 122 labels of one letter and ".zone.test": 255 bytes on the wire. */
    for (size_t i = 0; i < 122; i++)
        len += (size_t)snprintf(name + len, sizeof name - len, "q.");
    snprintf(name + len, sizeof name - len, "zone.test");
    assert_string_equal(fixture_ask(f, name, "A"), "NXDOMAIN aa" NOTHING);
    assert_int_equal(f->query.len, 12 + 255 + 4);
    packet_query(&f->query, name, DNS_TYPE_A);
    packet_header(&f->query, 0, 1, 0);
    packet_name(&f->query, "qq");
    f->query.len--; /* one letter too many */
    packet_name(&f->query, name + 2);
    packet_u16(&f->query, DNS_TYPE_A);
    packet_u16(&f->query, DNS_CLASS_IN);
    assert_string_equal(fixture_send(f), "FORMERR");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_type, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_there, setup, teardown),
        cmocka_unit_test_setup_teardown(cname_chains, setup, teardown),
        cmocka_unit_test_setup_teardown(wildcards, setup, teardown),
        cmocka_unit_test_setup_teardown(delegations, setup, teardown),
        cmocka_unit_test_setup_teardown(any_is_small, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_for_clients, setup, teardown),
        cmocka_unit_test_setup_teardown(outcomes, setup, teardown),
        cmocka_unit_test_setup_teardown(long_names, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
