/* From a draft to a zone.
 *
 * Give every name and every empty one above it a number, sort the records by name and type so that an RRset is a
 * stretch of them, lay each name out with its records in lines of its own, find delegations, wildcards and the nodes
 * that names in the data lead to, and only then check, because only then can all be seen. */
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "health/dns/zone.h"
#include "health/dns/zone_priv.h"

#define RRSET_RECORDS_MAX 1024u
#define OWNER_POINTER     (0xc000u | DNS_HEADER_BYTES)

/* A name on its way from the draft into the zone. */
struct planned {
    const uint8_t *wire; /* a key of the map of numbers */
    size_t len;
    size_t first, end; /* its records */
    uint32_t place;
};

struct plan {
    struct zone_draft *d;
    struct zone *z;
    struct planned *name; /* the first is the apex */
};

/* Once there are places. */
static struct zone_node *node_at(const struct plan *p, size_t number)
{
    return zone_node_at(p->z, p->name[number].place);
}

/* ---- names ---- */
/* The number of every suffix of `owner` down from the apex; the last one, the owner's, is returned. */
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

static void number_all(struct plan *p, struct map *numbers)
{
    struct zone_draft *d = p->d;
    const void *key;
    size_t len, cursor = 0;
    void *value;

    (void)number_names(d, numbers, &d->apex);
    for (size_t i = 0; i < d->record_count; i++)
        d->record[i].node = number_names(d, numbers, &d->record[i].owner);
    for (size_t i = 0; i < d->steered_count; i++)
        d->steered[i].node = number_names(d, numbers, &d->steered[i].owner);

    p->z->node_count = (uint32_t)map_count(numbers);
    p->name = mem_alloc_array(p->z->node_count, sizeof *p->name);
    while (map_next(numbers, &cursor, &key, &len, &value))
        p->name[(uintptr_t)value - 1] = (struct planned){.wire = key, .len = len};
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

/* Behind the last record of the RRset that begins with `first`. */
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
        return draft_refuse(d, a->owner.wire, a->type, "too many records of one name and type");
    if (a->type == DNS_TYPE_CNAME && end - first > 1)
        return draft_refuse(d, a->owner.wire, a->type, "a name leads to one other name only");
    for (size_t i = first + 1; i < end; i++) {
        if (d->record[i].ttl_s != a->ttl_s)
            return draft_refuse(d, a->owner.wire, a->type, "records of one name and type need one TTL");
        for (size_t k = first; k < i; k++) {
            if (d->record[k].len == d->record[i].len &&
                memcmp(d->record[k].data, d->record[i].data, d->record[i].len) == 0)
                return draft_refuse(d, a->owner.wire, a->type, "the same record is given twice");
        }
    }
    return true;
}

static bool sort_records(struct plan *p)
{
    struct zone_draft *d = p->d;

    qsort(d->record, d->record_count, sizeof *d->record, by_node_and_type);
    for (size_t first = 0, end; first < d->record_count; first = end) {
        struct planned *owner = &p->name[d->record[first].node];

        end = rrset_end(d, first);
        if (!check_rrset(d, first, end))
            return false;
        owner->first = owner->end > 0 ? owner->first : first;
        owner->end = end;
    }
    return true;
}

/* ---- laying out ---- */
static size_t record_bytes(const struct draft_record *r)
{
    return ZONE_OWNER_BYTES + DNS_RR_FIXED_BYTES + (size_t)r->len;
}

static size_t lines_of(const struct zone_draft *d, const struct planned *name)
{
    size_t bytes = offsetof(struct zone_node, name) + name->len;

    for (size_t i = name->first; i < name->end; i++) {
        if (i == name->first || d->record[i].type != d->record[i - 1].type)
            bytes += (-bytes & (ZONE_RRSET_ALIGN - 1)) + sizeof(struct zone_rrset);
        bytes += record_bytes(&d->record[i]);
    }
    return (bytes + ZONE_LINE_BYTES - 1) / ZONE_LINE_BYTES;
}

static void find_places(struct plan *p)
{
    size_t lines = 0;

    for (size_t i = 0; i < p->z->node_count; i++) {
        p->name[i].place = (uint32_t)lines + 1;
        lines += lines_of(p->d, &p->name[i]);
    }
    p->z->memory = mem_alloc((lines + 1) * ZONE_LINE_BYTES);
    p->z->lines = p->z->memory + (-(uintptr_t)p->z->memory & (ZONE_LINE_BYTES - 1));
}

static uint8_t *lay_out_record(uint8_t *to, const struct draft_record *r)
{
    wire_put_u16(to, OWNER_POINTER);
    to += ZONE_OWNER_BYTES;
    wire_put_u16(to, r->type);
    wire_put_u16(to + 2, DNS_CLASS_IN);
    wire_put_u32(to + 4, r->ttl_s);
    wire_put_u16(to + 8, r->len);
    memcpy(to + DNS_RR_FIXED_BYTES, r->data, r->len);
    return to + DNS_RR_FIXED_BYTES + r->len;
}

static void lay_out(struct plan *p, const struct planned *name)
{
    const struct zone_draft *d = p->d;
    struct zone_node *n = zone_node_at(p->z, name->place);

    n->name_len = (uint8_t)name->len;
    memcpy(n->name, name->wire, name->len);
    uint8_t *to = n->name + name->len;
    for (size_t first = name->first, end; first < name->end; first = end) {
        const struct draft_record *r = &d->record[first];
        struct zone_rrset *set = zone_rrset_after(to);

        end = rrset_end(d, first);
        *set = (struct zone_rrset){.type = r->type, .count = (uint16_t)(end - first), .ttl_s = r->ttl_s};
        to = set->wire;
        for (size_t i = first; i < end; i++)
            to = lay_out_record(to, &d->record[i]);
        set->len = (uint32_t)(to - set->wire);
        set->targets = rdata_target(r->type, r->data) != NULL ? (uint32_t)first + 1 : 0;
        n->rrset_count++;
        if (r->type == DNS_TYPE_SOA)
            p->z->soa = set;
    }
    ASSERT((size_t)(to - (uint8_t *)n) <= lines_of(d, name) * ZONE_LINE_BYTES);
}

static void put_slot(struct zone *z, const struct planned *planned)
{
    struct dns_name name;

    dns_name_from_wire(&name, planned->wire);
    const uint32_t hash = zone_hash_name(z, &name);
    uint32_t at = zone_hash_slot(hash) & z->mask;
    while (z->slot[at].place != 0)
        at = (at + 1) & z->mask;
    z->slot[at] = (struct zone_slot){.hash = hash, .place = planned->place};
    if (name.label_count > z->labels_max)
        z->labels_max = name.label_count;
}

static void lay_out_all(struct plan *p)
{
    struct zone *z = p->z;

    find_places(p);
    for (z->mask = 7; z->mask + 1 < z->node_count * 2; z->mask = z->mask * 2 + 1)
        continue;
    z->slot = mem_alloc_array((size_t)z->mask + 1, sizeof *z->slot);
    for (size_t i = 0; i < z->node_count; i++) {
        lay_out(p, &p->name[i]);
        put_slot(z, &p->name[i]);
    }
}

/* ---- what leads where ---- */
/* The node of exactly this name, or NULL. */
static struct zone_node *node_of(const struct zone *z, const uint8_t *wire)
{
    struct dns_name name;

    dns_name_from_wire(&name, wire);
    return dns_name_is_in(&name, &z->apex) ? zone_find(z, name.wire, name.len, zone_hash_name(z, &name)) : NULL;
}

static bool is_apex(const struct zone *z, const struct zone_node *n)
{
    return n->name_len == z->apex.len;
}

/* The node above; not of the apex. */
static struct zone_node *parent_of(const struct zone *z, const struct zone_node *n)
{
    return node_of(z, n->name + n->name[0] + 1);
}

static void link_targets(struct plan *p)
{
    const struct zone_draft *d = p->d;

    p->z->target = mem_alloc_array(d->record_count, sizeof(struct zone_node *));
    for (size_t i = 0; i < d->record_count; i++) {
        const struct draft_record *r = &d->record[i];
        const uint8_t *target = rdata_target(r->type, r->data);
        const bool is_svcb = r->type == DNS_TYPE_SVCB || r->type == DNS_TYPE_HTTPS;
        /* "." means the owner itself (RFC 9460 section 2.5.2). */
        if (target != NULL)
            p->z->target[i] = is_svcb && target[0] == 0 ? node_at(p, r->node) : node_of(p->z, target);
    }
}

static void link_nodes(struct plan *p)
{
    const struct zone *z = p->z;

    for (size_t i = 0; i < z->node_count; i++) {
        struct zone_node *n = node_at(p, i);
        for (struct zone_node *up = n; !is_apex(z, up); up = parent_of(z, up)) {
            if (zone_node_rrset(up, DNS_TYPE_NS) != NULL)
                n->cut = up; /* the highest one: what is below a delegation delegates nothing */
        }
        if (zone_is_wildcard(n->name) && !is_apex(z, n))
            parent_of(z, n)->wildcard = n;
    }
}

static bool link_steered(struct plan *p)
{
    struct zone_draft *d = p->d;

    p->z->steered = mem_alloc_array(d->steered_count, sizeof(struct zone_steered *));
    for (size_t i = 0; i < d->steered_count; i++) {
        struct zone_node *n = node_at(p, d->steered[i].node);
        struct zone_steered *set = d->steered[i].set;

        if (n->steered != NULL)
            return draft_refuse(d, n->name, 0, "is steered twice");
        if (zone_node_rrset(n, DNS_TYPE_A) != NULL || zone_node_rrset(n, DNS_TYPE_AAAA) != NULL)
            return draft_refuse(d, n->name, 0, "has fixed addresses too");
        set->must_flatten = set->must_flatten || is_apex(p->z, n) || n->rrset_count > 0;
        n->steered = set;
    }
    return true;
}

/* ---- the zone as a whole ---- */
static bool check_cname(const struct plan *p, const struct zone_node *n)
{
    const struct zone_rrset *cname = zone_node_rrset(n, DNS_TYPE_CNAME);

    if (cname == NULL)
        return true;
    if (n->rrset_count > 1 || n->steered != NULL)
        return draft_refuse(p->d, n->name, DNS_TYPE_CNAME, "stands beside other records");
    for (uint32_t steps = 0; cname != NULL; steps++) {
        if (steps > p->z->node_count)
            return draft_refuse(p->d, n->name, DNS_TYPE_CNAME, "leads in a circle");
        const struct zone_node *at = node_of(p->z, cname->wire + ZONE_OWNER_BYTES + DNS_RR_FIXED_BYTES);
        cname = at != NULL ? zone_node_rrset(at, DNS_TYPE_CNAME) : NULL;
    }
    return true;
}

static bool check_cut(const struct plan *p, const struct zone_node *n)
{
    const struct zone_rrset *set = zone_node_first(n);

    if (n->cut == NULL)
        return true;
    if (n->steered != NULL)
        return draft_refuse(p->d, n->name, 0, "lies under a delegation");
    for (size_t i = 0; i < n->rrset_count; i++, set = zone_node_next(set)) {
        const bool is_glue = set->type == DNS_TYPE_A || set->type == DNS_TYPE_AAAA;
        if (!is_glue && !(set->type == DNS_TYPE_NS && n->cut == n))
            return draft_refuse(p->d, n->name, set->type,
                                "lies under a delegation, where only addresses of nameservers belong");
    }
    return true;
}

static bool check_nameservers(const struct plan *p, const struct zone_node *n)
{
    const struct zone_rrset *ns = zone_node_rrset(n, DNS_TYPE_NS);
    const struct zone_node *const *targets = ns != NULL ? zone_targets(p->z, ns) : NULL;

    for (size_t i = 0; ns != NULL && i < ns->count; i++) {
        if (targets[i] != NULL && zone_node_rrset(targets[i], DNS_TYPE_CNAME) != NULL)
            return draft_refuse(p->d, n->name, DNS_TYPE_NS, "a nameserver's name is a CNAME");
    }
    return true;
}

static bool check_all(const struct plan *p)
{
    if (zone_node_rrset(node_at(p, 0), DNS_TYPE_NS) == NULL)
        return draft_refuse(p->d, p->z->apex.wire, DNS_TYPE_NS, "the zone has no nameserver");
    for (size_t i = 0; i < p->z->node_count; i++) {
        const struct zone_node *n = node_at(p, i);
        if (!check_cname(p, n) || !check_cut(p, n) || !check_nameservers(p, n))
            return false;
    }
    return true;
}

bool zone_build(struct zone *z, struct zone_draft *d)
{
    struct plan p = {.d = d, .z = z};
    struct map *numbers = map_create();

    z->apex = d->apex;
    z->negative_ttl_s = d->negative_ttl_s;
    number_all(&p, numbers);
    bool ok = sort_records(&p);
    if (ok) {
        lay_out_all(&p);
        link_targets(&p);
        link_nodes(&p);
        ok = link_steered(&p) && check_all(&p);
    }
    map_destroy(&numbers); /* the planned names are its keys */
    mem_free(p.name);
    return ok;
}
