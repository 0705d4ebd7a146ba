/* Building zones: what is taken, and what is refused with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "health/dns/zone.h"

static const struct zone_soa soa = {.mname = "ns1.zone.test",
                                    .rname = "first.last@zone.test",
                                    .serial = 7,
                                    .refresh_s = 3600,
                                    .retry_s = 600,
                                    .expire_s = 604800,
                                    .minimum_s = 300,
                                    .ttl_s = 900};

#define RECORDS_MAX 6u
struct given {
    const char *owner;
    uint16_t type; /* 0: steered, to the addresses or names in `text`, divided by blanks */
    uint32_t ttl_s;
    const char *text;
};

static int add_steered(struct zone_draft *d, const struct given *g)
{
    char words[256];
    const char *items[8];
    struct zone_candidate_text candidates[8] = {{0}};
    size_t count = 0;

    snprintf(words, sizeof words, "%s", g->text);
    for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " "), count++) {
        items[count] = word;
        const bool is_v6 = strchr(word, ':') != NULL, is_v4 = !is_v6 && word[strspn(word, "0123456789.")] == '\0';
        if (is_v4)
            candidates[count] = (struct zone_candidate_text){.a = &items[count], .a_count = 1};
        else if (is_v6)
            candidates[count] = (struct zone_candidate_text){.aaaa = &items[count], .aaaa_count = 1};
        else
            candidates[count] = (struct zone_candidate_text){.cname = word};
    }
    return zone_add_steered(d, g->owner, candidates, count);
}

/* The zone of these records beside an NS at the apex, or NULL and the first complaint. */
static struct zone *build(const struct given *given, size_t count, char why[ZONE_WHY_BYTES])
{
    struct zone_draft *d = zone_begin("zone.test.", &soa);
    struct zone *z;
    bool is_taken = true;

    assert_true(zone_add(d, "@", DNS_TYPE_NS, 60, "ns1.zone.test"));
    why[0] = '\0';
    for (size_t i = 0; i < count && is_taken && given[i].owner != NULL; i++) {
        is_taken = given[i].type == 0 ? add_steered(d, &given[i]) >= 0
                                      : zone_add(d, given[i].owner, given[i].type, given[i].ttl_s, given[i].text);
        if (!is_taken)
            memcpy(why, zone_draft_why(d), ZONE_WHY_BYTES);
    }
    char kept[ZONE_WHY_BYTES];
    memcpy(kept, why, sizeof kept);
    z = zone_finish(&d, why);
    assert_null(d);
    if (!is_taken) {
        assert_non_null(z); /* what was refused is not in it, the rest is */
        zone_destroy(&z);
        memcpy(why, kept, sizeof kept);
    }
    return z;
}

static void what_is_refused(void **state)
{
    static const struct {
        struct given given[RECORDS_MAX];
        const char *why;
    } zones[] = {
        /* One record. */
        {{{"www", DNS_TYPE_A, 60, "192.0.2.256"}}, "www.zone.test. A: not an IPv4 address: 192.0.2.256"},
        {{{"www.example.net.", DNS_TYPE_A, 60, "192.0.2.1"}}, "\"www.example.net.\": the name is outside the zone"},
        {{{"www.zone.test", DNS_TYPE_A, 60, "192.0.2.1"}},
         "\"www.zone.test\": the name has the zone's name twice: leave it out, or end it with a dot"},
        {{{"a..b", DNS_TYPE_A, 60, "192.0.2.1"}}, "\"a..b\": the name has an empty label"},
        {{{"", DNS_TYPE_A, 60, "192.0.2.1"}}, "\"\": the name is empty"},
        {{{"www", DNS_TYPE_A, 2147483648u, "192.0.2.1"}}, "www.zone.test. A: the TTL is too long"},
        {{{"www", DNS_TYPE_HINFO, 60, "x y"}}, "www.zone.test. HINFO: records of this type are not served"},
        {{{"www", DNS_TYPE_SOA, 60, "x y"}}, "www.zone.test. SOA: records of this type are not served"},
        {{{"@", DNS_TYPE_CNAME, 60, "example.net"}}, "zone.test. CNAME: cannot stand at the apex; a steered name can"},
        {{{"*.x", DNS_TYPE_NS, 60, "ns.example.net"}}, "*.x.zone.test. NS: a wildcard cannot be delegated"},
        /* Records together. */
        {{{"www", DNS_TYPE_A, 60, "192.0.2.1"}, {"WWW", DNS_TYPE_CNAME, 60, "example.net"}},
         "www.zone.test. CNAME: stands beside other records"},
        {{{"www", DNS_TYPE_CNAME, 60, "example.org"}, {"www", DNS_TYPE_CNAME, 60, "example.net"}},
         "www.zone.test. CNAME: a name leads to one other name only"},
        {{{"a", DNS_TYPE_CNAME, 60, "b.zone.test"}, {"b", DNS_TYPE_CNAME, 60, "a.zone.test"}},
         "a.zone.test. CNAME: leads in a circle"},
        {{{"a", DNS_TYPE_CNAME, 60, "A.zone.test"}}, "a.zone.test. CNAME: leads in a circle"},
        {{{"www", DNS_TYPE_A, 60, "192.0.2.1"}, {"www", DNS_TYPE_A, 61, "192.0.2.2"}},
         "www.zone.test. A: records of one name and type need one TTL"},
        {{{"www", DNS_TYPE_MX, 60, "1 a.example.net"}, {"www", DNS_TYPE_MX, 60, "1 A.Example.NET."}},
         "www.zone.test. MX: the same record is given twice"},
        {{{"ns1", DNS_TYPE_CNAME, 60, "example.net"}}, "zone.test. NS: a nameserver's name is a CNAME"},
        {{{"sub", DNS_TYPE_NS, 60, "ns.example.net"}, {"x.sub", DNS_TYPE_TXT, 60, "hidden"}},
         "x.sub.zone.test. TXT: lies under a delegation, where only addresses of nameservers belong"},
        {{{"sub", DNS_TYPE_NS, 60, "ns.example.net"}, {"y.x.sub", DNS_TYPE_NS, 60, "ns.example.net"}},
         "y.x.sub.zone.test. NS: lies under a delegation, where only addresses of nameservers belong"},
        /* Steered names. */
        {{{"@", 0, 0, ""}}, "zone.test. steered: needs 1 to 32 candidates"},
        {{{"@", 0, 0, "192.0.2.999"}}, "zone.test. steered: not an IPv4 address: 192.0.2.999"},
        {{{"@", 0, 0, "::12345"}}, "zone.test. steered: not an IPv6 address: ::12345"},
        {{{"@", 0, 0, "a..b"}}, "zone.test. steered: the name \"a..b\" has an empty label"},
        {{{"live", 0, 0, "live.zone.test"}}, "live.zone.test. steered: a candidate leads to the name itself"},
        {{{"live", 0, 0, "192.0.2.1"}, {"live", 0, 0, "192.0.2.2"}}, "live.zone.test. steered: is steered twice"},
        {{{"live", 0, 0, "192.0.2.1"}, {"live", DNS_TYPE_AAAA, 60, "::1"}},
         "live.zone.test. steered: has fixed addresses too"},
        {{{"live", 0, 0, "192.0.2.1"}, {"live", DNS_TYPE_CNAME, 60, "example.net"}},
         "live.zone.test. CNAME: stands beside other records"},
        {{{"sub", DNS_TYPE_NS, 60, "ns.example.net"}, {"x.sub", 0, 0, "192.0.2.1"}},
         "x.sub.zone.test. steered: lies under a delegation"},
    };
    char why[ZONE_WHY_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof zones / sizeof *zones; i++) {
        assert_null(build(zones[i].given, RECORDS_MAX, why));
        assert_string_equal(why, zones[i].why);
    }
}

static void a_zone_that_cannot_be(void **state)
{
    static const struct {
        const char *apex, *mname, *rname, *why;
    } zones[] = {
        {"zone..test", "ns.zone.test", "a.b", "\"zone..test\": the name has an empty label"},
        {"", "ns.zone.test", "a.b", "\"\": the name is empty"},
        {"zone.test", "", "a.b", "zone.test. SOA: the first nameserver \"\" is empty"},
        {"zone.test", "ns.zone.test", "x@", "zone.test. SOA: the mailbox \"x@\" is half of an address"},
        {"zone.test", "ns.zone.test", "x@y@z..", "zone.test. SOA: the mailbox \"x@y@z..\" has an empty label"},
    };
    char why[ZONE_WHY_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof zones / sizeof *zones; i++) {
        struct zone_soa other = soa;
        other.mname = zones[i].mname;
        other.rname = zones[i].rname;
        struct zone_draft *d = zone_begin(zones[i].apex, &other);
        assert_false(zone_add(d, "@", DNS_TYPE_NS, 60, "ns1.zone.test"));
        assert_string_equal(zone_draft_why(d), zones[i].why);
        assert_null(zone_finish(&d, why));
        assert_string_equal(why, zones[i].why);
    }
    struct zone_draft *d = zone_begin("zone.test", &soa);
    assert_null(zone_finish(&d, why));
    assert_string_equal(why, "zone.test. NS: the zone has no nameserver");
}

static enum zone_found find(const struct zone *z, const char *text, char node[DNS_NAME_TEXT_BYTES])
{
    struct dns_name name;
    assert_null(dns_name_of(&name, text));
    const struct zone_lookup l = zone_lookup(z, &name);
    node[0] = '\0';
    if (l.node != NULL)
        (void)dns_name_text(l.node->name, node);
    return l.found;
}

/* RFC 4592 section 2.2.1's cases in names of ours. */
static void what_a_name_leads_to(void **state)
{
    static const struct given given[] = {{"*", DNS_TYPE_TXT, 60, "x"},
                                         {"sub.*", DNS_TYPE_TXT, 60, "x"},
                                         {"host1", DNS_TYPE_A, 60, "192.0.2.1"},
                                         {"_ssh._tcp.host2", DNS_TYPE_SRV, 60, "0 0 22 host1.zone.test"},
                                         {"subdel", DNS_TYPE_NS, 60, "ns.example.net"},
                                         {"live", 0, 0, "192.0.2.1"}};
    static const struct {
        const char *name;
        enum zone_found found;
        const char *node;
    } asked[] = {
        {"zone.test", ZONE_FOUND_NODE, "zone.test."},
        {"host1.zone.test", ZONE_FOUND_NODE, "host1.zone.test."},
        {"HOST1.Zone.TEST", ZONE_FOUND_NODE, "host1.zone.test."},
        {"live.zone.test", ZONE_FOUND_NODE, "live.zone.test."},
        {"host3.zone.test", ZONE_FOUND_WILDCARD, "*.zone.test."},
        {"foo.bar.zone.test", ZONE_FOUND_WILDCARD, "*.zone.test."},
        {"host2.zone.test", ZONE_FOUND_NODE, "host2.zone.test."}, /* empty, and there */
        {"_telnet._tcp.host1.zone.test", ZONE_FOUND_NOTHING, ""},
        {"_tcp.host2.zone.test", ZONE_FOUND_NODE, "_tcp.host2.zone.test."},
        {"_udp.host2.zone.test", ZONE_FOUND_NOTHING, ""},
        {"host.subdel.zone.test", ZONE_FOUND_CUT, "subdel.zone.test."},
        {"ghost.*.zone.test", ZONE_FOUND_NOTHING, ""},
        {"sub.*.zone.test", ZONE_FOUND_NODE, "sub.*.zone.test."},
        {"*.zone.test", ZONE_FOUND_NODE, "*.zone.test."},
        {"a.b.c.d.e.f.g.h.zone.test", ZONE_FOUND_WILDCARD, "*.zone.test."},
        {"test", ZONE_FOUND_OUTSIDE, ""},
        {".", ZONE_FOUND_OUTSIDE, ""},
        {"azone.test", ZONE_FOUND_OUTSIDE, ""},
    };
    char why[ZONE_WHY_BYTES], node[DNS_NAME_TEXT_BYTES];
    struct zone *z = build(given, sizeof given / sizeof *given, why);
    (void)state;
    assert_string_equal(why, "");
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        if (find(z, asked[i].name, node) != asked[i].found || strcmp(node, asked[i].node) != 0)
            fail_msg("%s leads to \"%s\"", asked[i].name, node);
    }
    /* The apex, *, sub.*, host1, host2, _tcp and _ssh above it, subdel, live. */
    assert_int_equal(zone_name_count(z), 9);
    assert_int_equal(zone_steered_count(z), 1);
    zone_destroy(&z);
    assert_null(z);
}

/* Thousands of names are all found, and their neighbours are not. */
static void many_names(void **state)
{
    struct zone_draft *d = zone_begin("zone.test", &soa);
    char owner[32], text[48], why[ZONE_WHY_BYTES], node[DNS_NAME_TEXT_BYTES];
    (void)state;
    assert_true(zone_add(d, "@", DNS_TYPE_NS, 60, "ns1.zone.test"));
    for (unsigned i = 0; i < 5000; i++) {
        snprintf(owner, sizeof owner, "h%u.g%u", i, i % 7);
        snprintf(text, sizeof text, "10.0.%u.%u", i / 250, i % 250);
        assert_true(zone_add(d, owner, DNS_TYPE_A, 60, text));
    }
    struct zone *z = zone_finish(&d, why);
    assert_non_null(z);
    assert_int_equal(zone_name_count(z), 1 + 7 + 5000);
    for (unsigned i = 0; i < 5000; i++) {
        snprintf(text, sizeof text, "h%u.g%u.zone.test", i, i % 7);
        assert_int_equal(find(z, text, node), ZONE_FOUND_NODE);
        snprintf(text, sizeof text, "h%u.g%u.zone.test", i, (i + 1) % 7);
        assert_int_equal(find(z, text, node), ZONE_FOUND_NOTHING);
    }
    zone_destroy(&z);
}

/* A name of any length, with none to many records of three types, has its own and nobody else's. */
static void each_has_its_records(void **state)
{
    static const uint16_t types[] = {DNS_TYPE_A, DNS_TYPE_AAAA, DNS_TYPE_TXT};
    struct zone_draft *d = zone_begin("zone.test", &soa);
    char owner[64], text[320], why[ZONE_WHY_BYTES];
    (void)state;
    assert_true(zone_add(d, "@", DNS_TYPE_NS, 60, "ns1.zone.test"));
    for (int len = 2; len <= 63; len++) {
        snprintf(owner, sizeof owner, "%0*d", len, len);
        for (int i = 0; i < len % 5; i++) {
            snprintf(text, sizeof text, "10.0.%d.%d", len, i);
            assert_true(zone_add(d, owner, DNS_TYPE_A, 60, text));
            snprintf(text, sizeof text, "2001:db8::%d:%d", len, i);
            assert_true(zone_add(d, owner, DNS_TYPE_AAAA, 60, text));
        }
        snprintf(text, sizeof text, "%0*d", len * 4, len);
        if (len % 2 == 0)
            assert_true(zone_add(d, owner, DNS_TYPE_TXT, 60, text));
    }
    struct zone *z = zone_finish(&d, why);
    assert_non_null(z);
    for (int len = 2; len <= 63; len++) {
        const size_t counts[] = {(size_t)(len % 5), (size_t)(len % 5), len % 2 == 0};
        const size_t sizes[] = {4, 16, (size_t)len * 4 + 1};
        struct dns_name name;
        snprintf(text, sizeof text, "%0*d.zone.test", len, len);
        assert_null(dns_name_of(&name, text));
        const struct zone_lookup l = zone_lookup(z, &name);
        assert_int_equal(l.found, counts[0] + counts[2] > 0 ? ZONE_FOUND_NODE : ZONE_FOUND_NOTHING);
        for (size_t i = 0; l.node != NULL && i < sizeof types / sizeof *types; i++) {
            const struct zone_rrset *set = zone_node_rrset(l.node, types[i]);
            assert_int_equal(set != NULL, counts[i] > 0);
            if (set == NULL)
                continue;
            assert_int_equal(set->count, counts[i]);
            assert_int_equal(set->len, counts[i] * (12 + sizes[i]));
            const uint8_t *last = set->wire + set->len - sizes[i];
            if (types[i] == DNS_TYPE_A)
                assert_memory_equal(last, ((uint8_t[]){10, 0, (uint8_t)len, (uint8_t)(counts[i] - 1)}), 4);
            if (types[i] == DNS_TYPE_TXT)
                assert_int_equal(last[0], len * 4);
        }
    }
    zone_destroy(&z);
}

/* The negative TTL is the lesser of two (RFC 2308 section 5). */
static void how_long_nothing_lasts(void **state)
{
    static const struct {
        uint32_t ttl_s, minimum_s, negative_s;
    } soas[] = {{900, 300, 300}, {60, 300, 60}, {0, 300, 0}};
    char why[ZONE_WHY_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof soas / sizeof *soas; i++) {
        struct zone_soa other = soa;
        other.ttl_s = soas[i].ttl_s;
        other.minimum_s = soas[i].minimum_s;
        struct zone_draft *d = zone_begin("zone.test", &other);
        assert_true(zone_add(d, "@", DNS_TYPE_NS, 60, "ns1.zone.test"));
        struct zone *z = zone_finish(&d, why);
        assert_int_equal(zone_negative_ttl_s(z), soas[i].negative_s);
        assert_int_equal(zone_soa(z)->ttl_s, soas[i].ttl_s);
        zone_destroy(&z);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_refused),      cmocka_unit_test(a_zone_that_cannot_be),
        cmocka_unit_test(what_a_name_leads_to), cmocka_unit_test(many_names),
        cmocka_unit_test(each_has_its_records), cmocka_unit_test(how_long_nothing_lasts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
