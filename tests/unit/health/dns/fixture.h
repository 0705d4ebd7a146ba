/* The zone the answers are tested on, and one call to ask it. */
#ifndef TESTS_UNIT_HEALTH_DNS_FIXTURE_H
#define TESTS_UNIT_HEALTH_DNS_FIXTURE_H

#include "base/assert.h"
#include "health/dns/answer.h"
#include "tests/unit/health/dns/packet.h"

/* clang-format off */
static const struct fixture_record {
    const char *owner, *type;
    uint32_t ttl_s;
    const char *text;
} fixture_records[] = {
    {"@",         "NS",    3600, "ns1.zone.test"},
    {"@",         "NS",    3600, "ns2.zone.test"},
    {"@",         "MX",    3600, "10 mail.zone.test"},
    {"@",         "TXT",   3600, "v=spf1 -all"},
    {"@",         "CAA",   3600, "0 issue \"letsencrypt.org\""},
    {"ns1",       "A",     3600, "192.0.2.53"},
    {"ns2",       "A",     3600, "198.51.100.53"},
    {"ns2",       "AAAA",  3600, "2001:db8::53"},
    {"mail",      "A",      600, "192.0.2.25"},
    {"www",       "A",      300, "192.0.2.80"},
    {"www",       "A",      300, "192.0.2.81"},
    {"www",       "AAAA",   300, "2001:db8::80"},
    {"alias",     "CNAME",  120, "www.zone.test"},
    {"chain",     "CNAME",  120, "alias.zone.test"},
    {"far",       "CNAME",  120, "cdn.example.net"},
    {"dangling",  "CNAME",  120, "nowhere.zone.test"},
    {"to-live",   "CNAME",  120, "live.zone.test"},
    {"_sip._udp", "SRV",    600, "10 5 5060 mail.zone.test"},
    {"svc",       "HTTPS",  600, "1 . alpn=h2,http/1.1 port=8443 ipv4hint=192.0.2.7"},
    {"svc",       "A",      600, "192.0.2.7"},
    {"_dns.svc",  "SVCB",   600, "0 svc.zone.test"},
    {"*.wild",    "A",       60, "192.0.2.99"},
    {"*.wild",    "TXT",     60, "from the wildcard"},
    {"*.wild",    "HTTPS",   60, "1 . alpn=h2"},
    {"host.wild", "A",       60, "192.0.2.98"},
    {"a.b.wild",  "A",       60, "192.0.2.97"},
    {"*.lead",    "CNAME",   60, "www.zone.test"},
    {"in.*.void", "A",       60, "192.0.2.96"},
    {"sub",       "NS",    3600, "ns.sub.zone.test"},
    {"sub",       "NS",    3600, "ns.example.net"},
    {"ns.sub",    "A",     3600, "192.0.2.54"},
    {"both",      "TXT",    600, "a text beside what is steered"},
};
/* clang-format on */

static const char *const fixture_a[] = {"192.0.2.10", "198.51.100.10", "203.0.113.10", "203.0.113.11"};
static const char *const fixture_aaaa[] = {"2001:db8::10"};

static const struct zone_candidate_text fixture_candidates[] = {
    {.a = &fixture_a[0], .a_count = 1, .aaaa = fixture_aaaa, .aaaa_count = 1},
    {.a = &fixture_a[1], .a_count = 1},
    {.cname = "static.example.net"},
    {.a = &fixture_a[2], .a_count = 2},
    {.cname = "www.zone.test"},
};
#define FIXTURE_CANDIDATES 5u
/* The same candidates at three names: @ (flattened), live (a CNAME may stand), both (a TXT stands beside). */
enum { FIXTURE_APEX, FIXTURE_LIVE, FIXTURE_BOTH, FIXTURE_SETS };

struct fixture {
    struct zone *zone;
    struct dns_service service;
    struct steering steering;
    struct steering_set sets[FIXTURE_SETS];
    struct steering_alias aliases[FIXTURE_CANDIDATES];
    struct dns_query_info info;
    struct dns_outcome outcome;
    struct packet query;
    size_t len;
    uint8_t answer[65535];
    char text[PACKET_TEXT_BYTES];
};

static inline struct zone *fixture_zone(void)
{
    static const struct zone_soa soa = {.mname = "ns1.zone.test",
                                        .rname = "hostmaster@zone.test",
                                        .serial = 7,
                                        .refresh_s = 3600,
                                        .retry_s = 600,
                                        .expire_s = 604800,
                                        .minimum_s = 300,
                                        .ttl_s = 900};
    static const char *const steered[FIXTURE_SETS] = {"@", "live", "both"};
    struct zone_draft *d = zone_begin("zone.test", &soa);
    char why[ZONE_WHY_BYTES];

    for (size_t i = 0; i < sizeof fixture_records / sizeof *fixture_records; i++) {
        const struct fixture_record *r = &fixture_records[i];
        bool is_added = zone_add(d, r->owner, dns_type_of(r->type), r->ttl_s, r->text);
        ASSERT(is_added);
    }
    for (int i = 0; i < FIXTURE_SETS; i++) {
        int number = zone_add_steered(d, steered[i], fixture_candidates, FIXTURE_CANDIDATES);
        ASSERT(number == i);
    }
    struct zone *z = zone_finish(&d, why);
    ASSERT(z != NULL);
    return z;
}

static inline void fixture_init(struct fixture *f)
{
    memset(f, 0, offsetof(struct fixture, answer));
    f->zone = fixture_zone();
    f->service.zone = f->zone;
    f->aliases[2] = (struct steering_alias){.is_known = true, .a_count = 1, .ttl_s = 20, .a = {{203, 0, 113, 99}}};
    for (size_t i = 0; i < FIXTURE_SETS; i++)
        f->sets[i] = (struct steering_set){.chosen = 1, .ttl_s = 5, .aliases = f->aliases};
    f->steering = (struct steering){.serial = 2026, .set_count = FIXTURE_SETS, .sets = f->sets};
    f->info = (struct dns_query_info){.address = {198, 51, 100, 100}, .address_len = 4, .now_s = 1559731985};
}

static inline void fixture_fini(struct fixture *f)
{
    zone_destroy(&f->zone);
}

/* dns_answer() to these bytes. */
static inline size_t fixture_answer(struct fixture *f, const uint8_t *data, size_t len, uint8_t *out, size_t cap_bytes,
                                    struct dns_outcome *outcome)
{
    struct query q;
    query_read(&q, data, len);
    dns_foresee(&f->service, &q);
    return dns_answer(&f->service, &f->steering, &f->info, &q, out, cap_bytes, outcome);
}

/* Sends f->query; the answer as text, "(none)", or "BROKEN: " and why. The answer repeats the id and, when it has a
 * question, that of the query to the letter. */
static inline const char *fixture_send(struct fixture *f)
{
    const char *wrong;

    f->len = fixture_answer(f, f->query.data, f->query.len, f->answer, sizeof f->answer, &f->outcome);
    if (f->len == 0)
        return "(none)";
    packet_tell(f->answer, f->len, f->text, &wrong);
    if (wrong == NULL && memcmp(f->answer, f->query.data, 2) != 0)
        wrong = "the id of another query";
    if (wrong == NULL && f->answer[5] == 1 &&
        memcmp(f->answer + 12, f->query.data + 12, (size_t)f->outcome.head_len - 12) != 0)
        wrong = "the question of another query";
    if (wrong != NULL)
        snprintf(f->text, sizeof f->text, "BROKEN: %s", wrong);
    return f->text;
}

/* Asks for a name and a type without EDNS. */
static inline const char *fixture_ask(struct fixture *f, const char *name, const char *type)
{
    packet_query(&f->query, name, dns_type_of(type));
    return fixture_send(f);
}

#endif
