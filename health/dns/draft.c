/* From single calls to a zone: what is wrong with one record is told at once, what is wrong with several together at
 * the end.
 *
 * The end is: give every name and every empty one above it a node, sort the records by node and type so that an RRset
 * is a stretch of them, lay the data out in one piece, find delegations, wildcards and the nodes that names in the data
 * lead to, and only then check, because only then can all be seen. */
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "health/dns/zone.h"
#include "health/dns/zone_priv.h"

#define DRAFT_MAGIC       0x20ded7afu
#define RECORDS_MAX       1000000u
#define RRSET_RECORDS_MAX 1024u
#define OWNER_POINTER     (0xc000u | DNS_HEADER_BYTES)

struct draft_record {
    struct dns_name owner;
    uint32_t node;
    uint32_t sequence;
    uint32_t ttl_s;
    uint16_t type;
    uint16_t len;
    uint8_t *data;
};

struct draft_steered {
    struct dns_name owner;
    uint32_t node;
    struct zone_steered *set;
};

struct zone_draft {
    uint32_t magic;
    bool is_broken; /* the apex or the SOA is wrong: `why` says so for good */
    size_t record_count, record_room;
    struct draft_record *record;
    size_t steered_count;
    struct draft_steered *steered;
    struct dns_name apex;
    uint32_t negative_ttl_s;
    char why[ZONE_WHY_BYTES];
};

/* ---- saying what is wrong ---- */
static bool refuse(struct zone_draft *d, const struct dns_name *owner, uint16_t type, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static bool refuse(struct zone_draft *d, const struct dns_name *owner, uint16_t type, const char *format, ...)
{
    char name[DNS_NAME_TEXT_BYTES];
    const char *type_text = type != 0 ? dns_type_text(type) : NULL;
    va_list args;

    int len = snprintf(d->why, sizeof d->why, "%.200s %s: ", dns_name_text(owner->wire, name),
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
        (void)refuse(d, &d->apex, DNS_TYPE_SOA, "%s", soa->ttl_s > ZONE_TTL_MAX_S ? "the TTL is too long" : why);
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

static bool is_wildcard(const struct dns_name *name)
{
    return name->wire[0] == 1 && name->wire[1] == '*';
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
        return refuse(d, &name, type, "the TTL is too long");
    if (!rdata_parse(&data, type, text, why))
        return refuse(d, &name, type, "%s", why);
    if (type == DNS_TYPE_CNAME && name.len == d->apex.len)
        return refuse(d, &name, type, "cannot stand at the apex; a steered name can");
    if (type == DNS_TYPE_NS && is_wildcard(&name))
        return refuse(d, &name, type, "a wildcard cannot be delegated");
    if (d->record_count >= RECORDS_MAX)
        return refuse(d, &name, type, "the zone has too many records");
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
        return refuse(d, owner, 0, "a candidate has addresses or a name, one of them");
    if (text->a_count > ZONE_ADDRESSES_MAX || text->aaaa_count > ZONE_ADDRESSES_MAX)
        return refuse(d, owner, 0, "a candidate has more than %u addresses of a family", ZONE_ADDRESSES_MAX);
    for (; out->a_count < text->a_count; out->a_count++) {
        if (inet_pton(AF_INET, text->a[out->a_count], out->a[out->a_count]) != 1)
            return refuse(d, owner, 0, "not an IPv4 address: %.60s", text->a[out->a_count]);
    }
    for (; out->aaaa_count < text->aaaa_count; out->aaaa_count++) {
        if (inet_pton(AF_INET6, text->aaaa[out->aaaa_count], out->aaaa[out->aaaa_count]) != 1)
            return refuse(d, owner, 0, "not an IPv6 address: %.60s", text->aaaa[out->aaaa_count]);
    }
    if (text->cname == NULL)
        return true;
    const char *wrong = dns_name_of(&name, text->cname);
    if (wrong != NULL)
        return refuse(d, owner, 0, "the name \"%.200s\" %s", text->cname, wrong);
    if (name.len == owner->len && memcmp(name.wire, owner->wire, name.len) == 0)
        return refuse(d, owner, 0, "a candidate leads to the name itself");
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
        (void)refuse(d, &name, 0, "needs 1 to %u candidates", ZONE_CANDIDATES_MAX);
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

/* ---- nodes ---- */
/* The number of the node of every suffix of `owner` down from the apex; the last one, the owner's, is returned. */
static uint32_t number_names(struct zone_draft *d, struct map *numbers, const struct dns_name *owner)
{
    uint32_t number = 0;

    for (size_t i = (size_t)owner->label_count - d->apex.label_count + 1; i-- > 0;) {
        const uint8_t *suffix = owner->wire + owner->label_at[i];
        const size_t len = owner->len - (size_t)owner->label_at[i];
        const void *known = map_get(numbers, suffix, len);

        number = known != NULL ? (uint32_t)((uintptr_t)known - 1) : (uint32_t)map_count(numbers);
        if (known == NULL)
            (void)map_put(numbers, suffix, len, (void *)((uintptr_t)number + 1));
    }
    return number;
}

static void make_nodes(struct zone_draft *d, struct zone *z)
{
    struct map *numbers = map_create();
    const void *key;
    size_t key_len, cursor = 0;
    void *value;

    (void)number_names(d, numbers, &d->apex);
    for (size_t i = 0; i < d->record_count; i++)
        d->record[i].node = number_names(d, numbers, &d->record[i].owner);
    for (size_t i = 0; i < d->steered_count; i++)
        d->steered[i].node = number_names(d, numbers, &d->steered[i].owner);

    z->node_count = (uint32_t)map_count(numbers);
    z->node = mem_alloc_array(z->node_count, sizeof *z->node);
    for (z->mask = 7; z->mask + 1 < z->node_count * 2; z->mask = z->mask * 2 + 1)
        continue;
    z->slot = mem_alloc_array((size_t)z->mask + 1, sizeof *z->slot);
    while (map_next(numbers, &cursor, &key, &key_len, &value)) {
        const uint32_t number = (uint32_t)((uintptr_t)value - 1);
        struct zone_node *n = &z->node[number];

        dns_name_from_wire(&n->name, key);
        n->hash = zone_hash_name(z, &n->name);
        uint32_t at = zone_hash_slot(n->hash) & z->mask;
        while (z->slot[at].node != 0)
            at = (at + 1) & z->mask;
        z->slot[at] = (struct zone_slot){.hash = n->hash, .node = number + 1};
        if (n->name.label_count > z->labels_max)
            z->labels_max = n->name.label_count;
    }
    map_destroy(&numbers);
}

/* The node of exactly this name, or NULL. */
static struct zone_node *node_of(const struct zone *z, const struct dns_name *name)
{
    if (!dns_name_is_in(name, &z->apex))
        return NULL;
    const uint32_t hash = zone_hash_name(z, name);
    for (uint32_t i = zone_hash_slot(hash) & z->mask; z->slot[i].node != 0; i = (i + 1) & z->mask) {
        struct zone_node *n = &z->node[z->slot[i].node - 1];
        if (n->hash == hash && n->name.len == name->len && memcmp(n->name.wire, name->wire, name->len) == 0)
            return n;
    }
    return NULL;
}

/* The node above; NULL for the apex. */
static struct zone_node *parent_of(const struct zone *z, const struct zone_node *n)
{
    struct dns_name up;
    if (n->name.len == z->apex.len)
        return NULL;
    dns_name_from_wire(&up, n->name.wire + n->name.label_at[1]);
    return node_of(z, &up);
}

/* ---- RRsets ---- */
static int by_node_and_type(const void *left, const void *right)
{
    const struct draft_record *a = left, *b = right;
    if (a->node != b->node)
        return a->node < b->node ? -1 : 1;
    if (a->type != b->type)
        return a->type < b->type ? -1 : 1;
    return a->sequence < b->sequence ? -1 : 1;
}

/* How many records from `first` on are of one RRset. */
static size_t rrset_end(const struct zone_draft *d, size_t first)
{
    size_t end = first + 1;
    while (end < d->record_count && d->record[end].node == d->record[first].node &&
           d->record[end].type == d->record[first].type)
        end++;
    return end;
}

static bool check_rrset(struct zone_draft *d, size_t first, size_t end)
{
    const struct draft_record *a = &d->record[first];

    if (end - first > RRSET_RECORDS_MAX)
        return refuse(d, &a->owner, a->type, "too many records of one name and type");
    if (a->type == DNS_TYPE_CNAME && end - first > 1)
        return refuse(d, &a->owner, a->type, "a name leads to one other name only");
    for (size_t i = first + 1; i < end; i++) {
        if (d->record[i].ttl_s != a->ttl_s)
            return refuse(d, &a->owner, a->type, "records of one name and type need one TTL");
        for (size_t k = first; k < i; k++) {
            if (d->record[k].len == d->record[i].len &&
                memcmp(d->record[k].data, d->record[i].data, d->record[i].len) == 0)
                return refuse(d, &a->owner, a->type, "the same record is given twice");
        }
    }
    return true;
}

static uint8_t *lay_out_record(uint8_t *p, const struct draft_record *r)
{
    wire_put_u16(p, OWNER_POINTER);
    wire_put_u16(p + 2, r->type);
    wire_put_u16(p + 4, DNS_CLASS_IN);
    wire_put_u32(p + 6, r->ttl_s);
    wire_put_u16(p + 10, r->len);
    memcpy(p + 12, r->data, r->len);
    return p + 12 + r->len;
}

static bool make_rrsets(struct zone_draft *d, struct zone *z)
{
    size_t bytes = 0;
    struct zone_rrset *set;

    qsort(d->record, d->record_count, sizeof *d->record, by_node_and_type);
    for (size_t i = 0; i < d->record_count; i++)
        bytes += 2u + DNS_RR_FIXED_BYTES + d->record[i].len;
    z->wire = mem_alloc(bytes);
    z->rrset = set = mem_alloc_array(d->record_count, sizeof *z->rrset);
    z->target = mem_alloc_array(d->record_count, sizeof(struct zone_node *));
    uint8_t *p = z->wire;
    for (size_t first = 0, end; first < d->record_count; first = end, set++) {
        const struct draft_record *r = &d->record[first];
        struct zone_node *n = &z->node[r->node];

        end = rrset_end(d, first);
        if (!check_rrset(d, first, end))
            return false;
        *set = (struct zone_rrset){.type = r->type, .count = (uint16_t)(end - first), .ttl_s = r->ttl_s, .wire = p};
        for (size_t i = first; i < end; i++)
            p = lay_out_record(p, &d->record[i]);
        set->len = (uint32_t)(p - set->wire);
        if (n->rrset_count == 0)
            n->rrsets = set;
        n->rrset_count++;
        if (r->type == DNS_TYPE_SOA)
            z->soa = set;
    }
    return true;
}

static void point_slots(struct zone *z)
{
    for (uint32_t i = 0; i <= z->mask; i++) {
        const struct zone_node *n = z->slot[i].node != 0 ? &z->node[z->slot[i].node - 1] : NULL;
        if (n == NULL || n->rrset_count == 0)
            continue;
        z->slot[i].rrset = (uint32_t)(n->rrsets - z->rrset);
        z->slot[i].wire = (uint32_t)(n->rrsets->wire - z->wire);
    }
}

/* ---- what leads where ---- */
static void link_targets(struct zone_draft *d, struct zone *z)
{
    struct dns_name name;
    struct zone_rrset *set = z->rrset;

    for (size_t first = 0, end; first < d->record_count; first = end, set++) {
        end = rrset_end(d, first);
        if (rdata_target(d->record[first].type, d->record[first].data) == NULL)
            continue;
        for (size_t i = first; i < end; i++) {
            const uint8_t *target = rdata_target(d->record[i].type, d->record[i].data);
            const bool is_svcb = d->record[i].type == DNS_TYPE_SVCB || d->record[i].type == DNS_TYPE_HTTPS;
            dns_name_from_wire(&name, target);
            /* "." means the owner itself (RFC 9460 section 2.5.2). */
            z->target[i] = is_svcb && name.len == 1 ? &z->node[d->record[i].node] : node_of(z, &name);
        }
        set->targets = &z->target[first];
    }
}

static void link_nodes(struct zone *z)
{
    for (size_t i = 0; i < z->node_count; i++) {
        struct zone_node *n = &z->node[i];
        for (struct zone_node *up = n; up != NULL && up->name.len > z->apex.len; up = parent_of(z, up)) {
            if (zone_node_rrset(up, DNS_TYPE_NS) != NULL)
                n->cut = up; /* the highest one: what is below a delegation delegates nothing */
        }
        if (is_wildcard(&n->name) && n->name.len > z->apex.len)
            parent_of(z, n)->wildcard = n;
    }
}

static bool link_steered(struct zone_draft *d, struct zone *z)
{
    z->steered = mem_alloc_array(d->steered_count > 0 ? d->steered_count : 1, sizeof(struct zone_steered *));
    for (size_t i = 0; i < d->steered_count; i++) {
        struct zone_node *n = &z->node[d->steered[i].node];
        struct zone_steered *set = d->steered[i].set;

        if (n->steered != NULL)
            return refuse(d, &n->name, 0, "is steered twice");
        if (zone_node_rrset(n, DNS_TYPE_A) != NULL || zone_node_rrset(n, DNS_TYPE_AAAA) != NULL)
            return refuse(d, &n->name, 0, "has fixed addresses too");
        set->must_flatten = set->must_flatten || n->name.len == z->apex.len || n->rrset_count > 0;
        n->steered = set;
    }
    return true;
}

/* ---- the zone as a whole ---- */
static bool check_cname(struct zone_draft *d, const struct zone *z, const struct zone_node *n)
{
    const struct zone_rrset *cname = zone_node_rrset(n, DNS_TYPE_CNAME);
    const struct zone_node *at = n;
    struct dns_name to;

    if (cname == NULL)
        return true;
    if (n->rrset_count > 1 || n->steered != NULL)
        return refuse(d, &n->name, DNS_TYPE_CNAME, "stands beside other records");
    for (uint32_t steps = 0; cname != NULL; steps++) {
        if (steps > z->node_count)
            return refuse(d, &n->name, DNS_TYPE_CNAME, "leads in a circle");
        dns_name_from_wire(&to, cname->wire + 2 + DNS_RR_FIXED_BYTES);
        at = node_of(z, &to);
        cname = at != NULL ? zone_node_rrset(at, DNS_TYPE_CNAME) : NULL;
    }
    return true;
}

static bool check_cut(struct zone_draft *d, const struct zone_node *n)
{
    if (n->cut == NULL)
        return true;
    if (n->steered != NULL)
        return refuse(d, &n->name, 0, "lies under a delegation");
    for (size_t i = 0; i < n->rrset_count; i++) {
        const uint16_t type = n->rrsets[i].type;
        const bool is_glue = type == DNS_TYPE_A || type == DNS_TYPE_AAAA;
        if (!is_glue && !(type == DNS_TYPE_NS && n->cut == n))
            return refuse(d, &n->name, type, "lies under a delegation, where only addresses of nameservers belong");
    }
    return true;
}

static bool check_nameservers(struct zone_draft *d, const struct zone_node *n)
{
    const struct zone_rrset *ns = zone_node_rrset(n, DNS_TYPE_NS);
    for (size_t i = 0; ns != NULL && i < ns->count; i++) {
        if (ns->targets[i] != NULL && zone_node_rrset(ns->targets[i], DNS_TYPE_CNAME) != NULL)
            return refuse(d, &n->name, DNS_TYPE_NS, "a nameserver's name is a CNAME");
    }
    return true;
}

static bool check_zone(struct zone_draft *d, const struct zone *z)
{
    if (zone_node_rrset(&z->node[0], DNS_TYPE_NS) == NULL)
        return refuse(d, &z->apex, DNS_TYPE_NS, "the zone has no nameserver");
    for (size_t i = 0; i < z->node_count; i++) {
        const struct zone_node *n = &z->node[i];
        if (!check_cname(d, z, n) || !check_cut(d, n) || !check_nameservers(d, n))
            return false;
    }
    return true;
}

static bool build(struct zone_draft *d, struct zone *z)
{
    z->apex = d->apex;
    z->negative_ttl_s = d->negative_ttl_s;
    make_nodes(d, z);
    if (!make_rrsets(d, z))
        return false;
    point_slots(z);
    link_targets(d, z);
    link_nodes(z);
    return link_steered(d, z) && check_zone(d, z);
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
        if (!build(d, z))
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
