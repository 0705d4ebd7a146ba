/* From single calls to a zone: what is wrong with one record is told at once, what is wrong with several together when
 * the zone is built (zone_build.c). */
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "health/dns/zone.h"
#include "health/dns/zone_priv.h"

#define DRAFT_MAGIC 0x20ded7afu
#define RECORDS_MAX 1000000u

/* ---- saying what is wrong ---- */
bool draft_refuse(struct zone_draft *d, const uint8_t *owner, uint16_t type, const char *format, ...)
{
    char name[DNS_NAME_TEXT_BYTES];
    const char *type_text = type != 0 ? dns_type_text(type) : NULL;
    va_list args;

    int len = snprintf(d->why, sizeof d->why, "%.200s %s: ", dns_name_text(owner, name),
                       type_text != NULL ? type_text
                       : type != 0       ? "record"
                                         : "steered");
    ASSERT(len > 0 && (size_t)len < sizeof d->why);
    va_start(args, format);
    vsnprintf(d->why + len, sizeof d->why - (size_t)len, format, args);
    va_end(args);
    return false;
}

static bool refuse_text(struct zone_draft *d, const char *owner, const char *reason)
{
    snprintf(d->why, sizeof d->why, "\"%.200s\": the name %s", owner, reason);
    return false;
}

const char *zone_draft_why(const struct zone_draft *d)
{
    CHECK_OBJ(d, DRAFT_MAGIC);
    return d->why;
}

/* ---- single records ---- */
static void add_record(struct zone_draft *d, const struct dns_name *owner, uint16_t type, uint32_t ttl_s,
                       const struct rdata *data)
{
    if (d->record_count == d->record_room) {
        d->record_room = d->record_room > 0 ? d->record_room * 2 : 16;
        d->record = mem_realloc(d->record, d->record_room * sizeof *d->record);
    }
    struct draft_record *r = &d->record[d->record_count];
    *r = (struct draft_record){.owner = *owner,
                               .sequence = (uint32_t)d->record_count,
                               .ttl_s = ttl_s,
                               .type = type,
                               .len = (uint16_t)data->len};
    r->data = mem_alloc(data->len > 0 ? data->len : 1);
    memcpy(r->data, data->data, data->len);
    d->record_count++;
}

struct zone_draft *zone_begin(const char *apex, const struct zone_soa *soa)
{
    struct zone_draft *d;
    struct rdata data;
    char why[RDATA_WHY_BYTES];

    OBJ_NEW(d, DRAFT_MAGIC);
    const char *wrong = dns_name_of(&d->apex, apex);
    if (wrong != NULL) {
        d->is_broken = true;
        (void)refuse_text(d, apex, wrong);
        return d;
    }
    const struct rdata_soa text = {.mname = soa->mname,
                                   .rname = soa->rname,
                                   .serial = soa->serial,
                                   .refresh_s = soa->refresh_s,
                                   .retry_s = soa->retry_s,
                                   .expire_s = soa->expire_s,
                                   .minimum_s = soa->minimum_s};
    if (!rdata_soa(&data, &text, why) || soa->ttl_s > ZONE_TTL_MAX_S) {
        d->is_broken = true;
        (void)draft_refuse(d, d->apex.wire, DNS_TYPE_SOA, "%s",
                           soa->ttl_s > ZONE_TTL_MAX_S ? "the TTL is too long" : why);
        return d;
    }
    d->negative_ttl_s = soa->minimum_s < soa->ttl_s ? soa->minimum_s : soa->ttl_s;
    add_record(d, &d->apex, DNS_TYPE_SOA, soa->ttl_s, &data);
    return d;
}

/* The owner as a whole name inside the zone. */
static bool parse_owner(struct zone_draft *d, const char *text, struct dns_name *owner)
{
    struct dns_name alone;

    if (d->is_broken)
        return false;
    const char *wrong = dns_name_under(owner, text, &d->apex);
    if (wrong != NULL)
        return refuse_text(d, text, wrong);
    if (!dns_name_is_in(owner, &d->apex))
        return refuse_text(d, text, "is outside the zone");
    const size_t len = strlen(text);
    if (text[len - 1] != '.' && d->apex.len > 1 && dns_name_of(&alone, text) == NULL &&
        dns_name_is_in(&alone, &d->apex))
        return refuse_text(d, text, "has the zone's name twice: leave it out, or end it with a dot");
    return true;
}

bool zone_add(struct zone_draft *d, const char *owner, uint16_t type, uint32_t ttl_s, const char *text)
{
    struct dns_name name;
    struct rdata data;
    char why[RDATA_WHY_BYTES];

    CHECK_OBJ(d, DRAFT_MAGIC);
    if (!parse_owner(d, owner, &name))
        return false;
    if (ttl_s > ZONE_TTL_MAX_S)
        return draft_refuse(d, name.wire, type, "the TTL is too long");
    if (!rdata_parse(&data, type, text, why))
        return draft_refuse(d, name.wire, type, "%s", why);
    if (type == DNS_TYPE_CNAME && name.len == d->apex.len)
        return draft_refuse(d, name.wire, type, "cannot stand at the apex; a steered name can");
    if (type == DNS_TYPE_NS && zone_is_wildcard(name.wire))
        return draft_refuse(d, name.wire, type, "a wildcard cannot be delegated");
    if (d->record_count >= RECORDS_MAX)
        return draft_refuse(d, name.wire, type, "the zone has too many records");
    add_record(d, &name, type, ttl_s, &data);
    return true;
}

/* ---- steered names ---- */
static void steered_free(struct zone_steered *set)
{
    for (size_t i = 0; i < set->candidate_count; i++)
        mem_free((void *)(uintptr_t)set->candidate[i].cname);
    mem_free(set);
}

static bool parse_candidate(struct zone_draft *d, const struct dns_name *owner, const struct zone_candidate_text *text,
                            struct zone_candidate *out)
{
    struct dns_name name;

    if ((text->cname != NULL) == (text->a_count + text->aaaa_count > 0))
        return draft_refuse(d, owner->wire, 0, "a candidate has addresses or a name, one of them");
    if (text->a_count > ZONE_ADDRESSES_MAX || text->aaaa_count > ZONE_ADDRESSES_MAX)
        return draft_refuse(d, owner->wire, 0, "a candidate has more than %u addresses of a family",
                            ZONE_ADDRESSES_MAX);
    for (; out->a_count < text->a_count; out->a_count++) {
        if (inet_pton(AF_INET, text->a[out->a_count], out->a[out->a_count]) != 1)
            return draft_refuse(d, owner->wire, 0, "not an IPv4 address: %.60s", text->a[out->a_count]);
    }
    for (; out->aaaa_count < text->aaaa_count; out->aaaa_count++) {
        if (inet_pton(AF_INET6, text->aaaa[out->aaaa_count], out->aaaa[out->aaaa_count]) != 1)
            return draft_refuse(d, owner->wire, 0, "not an IPv6 address: %.60s", text->aaaa[out->aaaa_count]);
    }
    if (text->cname == NULL)
        return true;
    const char *wrong = dns_name_of(&name, text->cname);
    if (wrong != NULL)
        return draft_refuse(d, owner->wire, 0, "the name \"%.200s\" %s", text->cname, wrong);
    if (name.len == owner->len && memcmp(name.wire, owner->wire, name.len) == 0)
        return draft_refuse(d, owner->wire, 0, "a candidate leads to the name itself");
    struct dns_name *kept = mem_alloc(sizeof *kept);
    *kept = name;
    out->cname = kept;
    return true;
}

int zone_add_steered(struct zone_draft *d, const char *owner, const struct zone_candidate_text *candidates,
                     size_t count)
{
    struct dns_name name;

    CHECK_OBJ(d, DRAFT_MAGIC);
    if (!parse_owner(d, owner, &name))
        return -1;
    if (count == 0 || count > ZONE_CANDIDATES_MAX) {
        (void)draft_refuse(d, name.wire, 0, "needs 1 to %u candidates", ZONE_CANDIDATES_MAX);
        return -1;
    }
    struct zone_steered *set = mem_alloc(sizeof *set + count * sizeof *set->candidate);
    set->number = (uint32_t)d->steered_count;
    for (; set->candidate_count < count; set->candidate_count++) {
        if (!parse_candidate(d, &name, &candidates[set->candidate_count], &set->candidate[set->candidate_count])) {
            steered_free(set);
            return -1;
        }
    }
    d->steered = mem_realloc(d->steered, (d->steered_count + 1) * sizeof *d->steered);
    d->steered[d->steered_count] = (struct draft_steered){.owner = name, .set = set};
    return (int)d->steered_count++;
}

int zone_add_alias(struct zone_draft *d, const char *owner, const char *to)
{
    const struct zone_candidate_text candidate = {.cname = to};
    const int number = zone_add_steered(d, owner, &candidate, 1);

    if (number >= 0)
        d->steered[number].set->must_flatten = true;
    return number;
}

/* What the zone did not take. */
static void draft_destroy(struct zone_draft **dp)
{
    struct zone_draft *d = *dp;

    for (size_t i = 0; i < d->record_count; i++)
        mem_free(d->record[i].data);
    for (size_t i = 0; i < d->steered_count; i++) {
        if (d->steered[i].set != NULL)
            steered_free(d->steered[i].set);
    }
    mem_free(d->record);
    mem_free(d->steered);
    OBJ_FREE(dp, DRAFT_MAGIC);
}

struct zone *zone_finish(struct zone_draft **dp, char why[ZONE_WHY_BYTES])
{
    struct zone_draft *d = *dp;
    struct zone *z = NULL;

    CHECK_OBJ(d, DRAFT_MAGIC);
    if (!d->is_broken) {
        OBJ_NEW(z, ZONE_MAGIC);
        if (!zone_build(z, d))
            zone_destroy(&z);
    }
    if (z == NULL)
        memcpy(why, d->why, ZONE_WHY_BYTES);
    for (size_t i = 0; z != NULL && i < d->steered_count; i++) {
        z->steered[z->steered_count++] = d->steered[i].set;
        d->steered[i].set = NULL;
    }
    draft_destroy(dp);
    return z;
}
