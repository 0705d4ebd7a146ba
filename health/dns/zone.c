/* Looking into a zone.
 *
 * The hashes of all suffixes of a name come out of one pass from the right, so that the search for the closest
 * encloser of a name that does not exist costs a probe per label and no more hashing, and never begins above the
 * longest name there is. */
#include "health/dns/zone.h"

#include <string.h>

#include "base/mem.h"
#include "health/dns/zone_priv.h"

const struct zone_rrset *zone_node_rrset(const struct zone_node *n, uint16_t type)
{
    for (size_t i = 0; i < n->rrset_count; i++) {
        if (n->rrsets[i].type == type)
            return &n->rrsets[i];
    }
    return NULL;
}

bool zone_node_has_data(const struct zone_node *n)
{
    return n->rrset_count > 0 || n->steered != NULL;
}

/* The node whose name is `name` from its label `first` on. */
static const struct zone_node *find_node(const struct zone *z, const struct dns_name *name, size_t first, uint32_t hash)
{
    const uint8_t *wire = name->wire + name->label_at[first];
    const size_t len = name->len - (size_t)name->label_at[first];

    for (uint32_t i = zone_hash_slot(hash) & z->mask; z->slot[i].node != 0; i = (i + 1) & z->mask) {
        const struct zone_node *n = &z->node[z->slot[i].node - 1];
        if (z->slot[i].hash == hash && n->name.len == len && memcmp(n->name.wire, wire, len) == 0)
            return n;
    }
    return NULL;
}

uint32_t zone_foresee(const struct zone *z, const struct dns_name *name)
{
    CHECK_OBJ(z, ZONE_MAGIC);
    if (name->label_count > z->labels_max || !dns_name_is_in(name, &z->apex))
        return ZONE_HASH_BEGIN;
    const uint32_t hash = zone_hash_name(z, name);
    __builtin_prefetch(&z->slot[zone_hash_slot(hash) & z->mask]);
    return hash;
}

/* Here and not in line: gcc takes a function that does nothing but this for one that does nothing. */
void zone_fetch(const struct zone *z, uint32_t foreseen)
{
    const struct zone_slot *s = &z->slot[zone_hash_slot(foreseen) & z->mask];
    if (s->node == 0 || s->hash != foreseen)
        return;
    const struct zone_node *n = &z->node[s->node - 1];
    __builtin_prefetch(n);
    __builtin_prefetch((const uint8_t *)n + 64);
    __builtin_prefetch(&z->rrset[s->rrset]);
    __builtin_prefetch(z->wire + s->wire);
}

struct zone_lookup zone_lookup(const struct zone *z, const struct dns_name *name)
{
    uint32_t hashes[DNS_LABELS_MAX + 1];
    const struct zone_node *n = NULL;
    size_t first = 0;

    CHECK_OBJ(z, ZONE_MAGIC);
    if (!dns_name_is_in(name, &z->apex))
        return (struct zone_lookup){.found = ZONE_FOUND_OUTSIDE};
    const size_t apex_at = (size_t)name->label_count - z->apex.label_count;
    hashes[apex_at] = ZONE_HASH_BEGIN;
    for (size_t i = apex_at; i-- > 0;)
        hashes[i] = zone_hash_label(hashes[i + 1], name->wire + name->label_at[i]);
    if (name->label_count > z->labels_max)
        first = name->label_count - z->labels_max;
    /* The apex is there, if nothing else is. */
    for (; n == NULL; first++)
        n = find_node(z, name, first, hashes[first]);
    if (n->cut != NULL)
        return (struct zone_lookup){.found = ZONE_FOUND_CUT, .node = n->cut};
    if (n->name.label_count == name->label_count)
        return (struct zone_lookup){.found = ZONE_FOUND_NODE, .node = n};
    if (n->wildcard != NULL)
        return (struct zone_lookup){.found = ZONE_FOUND_WILDCARD, .node = n->wildcard};
    return (struct zone_lookup){.found = ZONE_FOUND_NOTHING};
}

const struct dns_name *zone_apex(const struct zone *z)
{
    CHECK_OBJ(z, ZONE_MAGIC);
    return &z->apex;
}

const struct zone_rrset *zone_soa(const struct zone *z)
{
    CHECK_OBJ(z, ZONE_MAGIC);
    return z->soa;
}

uint32_t zone_negative_ttl_s(const struct zone *z)
{
    CHECK_OBJ(z, ZONE_MAGIC);
    return z->negative_ttl_s;
}

size_t zone_steered_count(const struct zone *z)
{
    CHECK_OBJ(z, ZONE_MAGIC);
    return z->steered_count;
}

size_t zone_name_count(const struct zone *z)
{
    CHECK_OBJ(z, ZONE_MAGIC);
    return z->node_count;
}

void zone_destroy(struct zone **zp)
{
    struct zone *z = *zp;

    CHECK_OBJ(z, ZONE_MAGIC);
    for (size_t i = 0; i < z->steered_count; i++) {
        for (size_t c = 0; c < z->steered[i]->candidate_count; c++)
            mem_free((void *)(uintptr_t)z->steered[i]->candidate[c].cname);
        mem_free(z->steered[i]);
    }
    mem_free(z->steered);
    mem_free(z->target);
    mem_free(z->wire);
    mem_free(z->rrset);
    mem_free(z->node);
    mem_free(z->slot);
    OBJ_FREE(zp, ZONE_MAGIC);
}
