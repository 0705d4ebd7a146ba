/* See the header. What is wrong with a record is told with the record and the key it stands under; what is wrong with
 * several together (a CNAME beside an address, a circle) is told by the zone when all are in. */
#include "health/dns/zone_conf.h"

#include <stdio.h>

#include "base/mem.h"
#include "health/steering.h"

struct values { /* of one type in one record */
    const char *const *text;
    size_t count;
};

/* clang-format off */
#define LISTED(key) offsetof(struct conf_dns_record, key), offsetof(struct conf_dns_record, key##_count)
static const struct {
    const char *key;
    uint16_t type;
    size_t at, count_at;
} kinds[] = {
    {"a",     DNS_TYPE_A,     LISTED(a)},
    {"aaaa",  DNS_TYPE_AAAA,  LISTED(aaaa)},
    {"ns",    DNS_TYPE_NS,    LISTED(ns)},
    {"mx",    DNS_TYPE_MX,    LISTED(mx)},
    {"txt",   DNS_TYPE_TXT,   LISTED(txt)},
    {"srv",   DNS_TYPE_SRV,   LISTED(srv)},
    {"caa",   DNS_TYPE_CAA,   LISTED(caa)},
    {"https", DNS_TYPE_HTTPS, LISTED(https)},
    {"svcb",  DNS_TYPE_SVCB,  LISTED(svcb)},
};
#undef LISTED
/* clang-format on */

static uint32_t seconds(int64_t ms)
{
    const int64_t s = ms / 1000;
    return s < 0 ? 0 : s > (int64_t)ZONE_TTL_MAX_S ? ZONE_TTL_MAX_S : (uint32_t)s;
}

static bool is_given(const char *text)
{
    return text != NULL && text[0] != '\0';
}

static struct values values_of(const struct conf_dns_record *r, size_t kind)
{
    struct values v;
    const char *bytes = (const char *)r;
    memcpy(&v.text, bytes + kinds[kind].at, sizeof v.text);
    memcpy(&v.count, bytes + kinds[kind].count_at, sizeof v.count);
    return v;
}

static bool refuse(char why[ZONE_CONF_WHY_BYTES], const struct conf_dns_record *r, const char *key, const char *reason)
{
    snprintf(why, ZONE_CONF_WHY_BYTES, "dns.records %.60s: %s: %.*s", r->name, key, (int)ZONE_WHY_BYTES, reason);
    return false;
}

/* ---- fixed records ---- */
static bool add_fixed(struct zone_draft *d, const struct conf_dns *dns, const struct conf_dns_record *r, char *why)
{
    const uint32_t ttl_s = seconds(r->ttl_ms > 0 ? r->ttl_ms : dns->ttl_ms);

    for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
        const struct values v = values_of(r, kind);
        for (size_t i = 0; i < v.count; i++)
            if (!zone_add(d, r->name, kinds[kind].type, ttl_s, v.text[i]))
                return refuse(why, r, kinds[kind].key, zone_draft_why(d));
    }
    if (is_given(r->cname) && !zone_add(d, r->name, DNS_TYPE_CNAME, ttl_s, r->cname))
        return refuse(why, r, "cname", zone_draft_why(d));
    return true;
}

/* ---- steered records ---- */
static void add_set(struct zone_conf *z, const struct conf_dns_record *r, uint64_t steering_id)
{
    z->sets = mem_realloc(z->sets, (z->set_count + 1) * sizeof *z->sets);
    z->sets[z->set_count++] = (struct zone_conf_set){.record = r, .steering_id = steering_id};
}

static bool add_steered(struct zone_conf *z, struct zone_draft *d, const struct conf_dns_record *r, char *why)
{
    struct zone_candidate_text candidates[ZONE_CANDIDATES_MAX];

    if (r->answer_count == 0)
        return true;
    if (r->answer_count > ZONE_CANDIDATES_MAX)
        return refuse(why, r, "answers", "too many");
    for (size_t i = 0; i < r->answer_count; i++) {
        const struct conf_dns_answer *a = &r->answers[i];
        candidates[i] = (struct zone_candidate_text){.a = a->a,
                                                     .a_count = a->a_count,
                                                     .aaaa = a->aaaa,
                                                     .aaaa_count = a->aaaa_count,
                                                     .cname = is_given(a->cname) ? a->cname : NULL};
    }
    if (zone_add_steered(d, r->name, candidates, r->answer_count) < 0)
        return refuse(why, r, "answers", zone_draft_why(d));
    add_set(z, r, steering_id(r));
    return true;
}

static bool add_alias(struct zone_conf *z, struct zone_draft *d, const struct conf_dns_record *r, char *why)
{
    if (!is_given(r->alias))
        return true;
    if (zone_add_alias(d, r->name, r->alias) < 0)
        return refuse(why, r, "alias", zone_draft_why(d));
    add_set(z, r, 0);
    return true;
}

/* ---- the zone ---- */

/* A zone that is only pushed to other servers needs no nameservers here, but is checked all the same: what stands in
 * for them is never answered. */
static bool add_nameservers(struct zone_draft *d, const struct conf_dns *dns, char *why)
{
    const bool is_answered = dns->listen_count > 0;

    if (dns->nameserver_count == 0 && !is_answered) {
        if (zone_add(d, "@", DNS_TYPE_NS, 0, "invalid"))
            return true;
        snprintf(why, ZONE_CONF_WHY_BYTES, "dns.zone: %s", zone_draft_why(d));
        return false;
    }
    for (size_t i = 0; i < dns->nameserver_count; i++) {
        if (!zone_add(d, "@", DNS_TYPE_NS, seconds(dns->ttl_ms), dns->nameservers[i])) {
            snprintf(why, ZONE_CONF_WHY_BYTES, "dns.nameservers: %s", zone_draft_why(d));
            return false;
        }
    }
    return true;
}

static struct zone_draft *begin(const struct conf_dns *dns, uint32_t serial)
{
    char *contact = is_given(dns->contact) ? mem_strdup(dns->contact) : mem_printf("hostmaster@%s", dns->zone);
    const struct zone_soa soa = {.mname = dns->nameserver_count > 0 ? dns->nameservers[0] : "invalid",
                                 .rname = contact,
                                 .serial = serial,
                                 .refresh_s = seconds(dns->refresh_ms),
                                 .retry_s = seconds(dns->retry_ms),
                                 .expire_s = seconds(dns->expire_ms),
                                 .minimum_s = seconds(dns->negative_ttl_ms),
                                 .ttl_s = seconds(dns->ttl_ms)};
    struct zone_draft *d = zone_begin(dns->zone, &soa);
    mem_free(contact);
    return d;
}

bool zone_conf_init(struct zone_conf *z, const struct conf_dns *dns, uint32_t serial, char why[ZONE_CONF_WHY_BYTES])
{
    char zone_why[ZONE_WHY_BYTES];
    struct zone_draft *d = begin(dns, serial);

    *z = (struct zone_conf){.zone = NULL};
    bool ok = add_nameservers(d, dns, why);
    for (size_t i = 0; ok && i < dns->record_count; i++) {
        const struct conf_dns_record *r = &dns->records[i];
        ok = add_fixed(d, dns, r, why) && add_steered(z, d, r, why) && add_alias(z, d, r, why);
    }
    z->zone = zone_finish(&d, zone_why);
    if (ok && z->zone == NULL)
        snprintf(why, ZONE_CONF_WHY_BYTES, "dns.records: %s", zone_why);
    ok = ok && z->zone != NULL;
    if (!ok)
        zone_conf_fini(z);
    return ok;
}

void zone_conf_fini(struct zone_conf *z)
{
    if (z->zone != NULL)
        zone_destroy(&z->zone);
    mem_free(z->sets);
    *z = (struct zone_conf){.zone = NULL};
}
