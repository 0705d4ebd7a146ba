/* Looking into a zone.
 *
 * The hashes of all suffixes of a name come out of one pass from the right, so that the search for the closest
 * encloser of a name that does not exist costs a probe per label and no more hashing, and never begins above the
 * longest name there is. */
#include "health/dns/zone.h"

#include "base/mem.h"
#include "health/dns/zone_priv.h"

const struct zone_rrset *zone_node_rrset(const struct zone_node *n, uint16_t type)
{
    const struct zone_rrset *set = zone_node_first(n);

    for (size_t i = 0; i < n->rrset_count; i++, set = zone_node_next(set)) {
        if (set->type == type)
            return set;
    }
    return NULL;
}

bool zone_node_has_data(const struct zone_node *n)
{
    return n->rrset_count > 0 || n->steered != NULL;
}

void zone_fetch(const struct zone *z, const struct dns_name *name)
{
    CHECK_OBJ(z, ZONE_MAGIC);
    if (name->label_count > z->labels_max || !dns_name_is_in(name, &z->apex))
        return;
    const uint32_t hash = zone_hash_name(z, name);
    const struct zone_slot *s = &z->slot[zone_hash_slot(hash) & z->mask];
    if (s->place == 0 || s->hash != hash)
        return;
    const uint8_t *line = (const void *)zone_node_at(z, s->place);
    __builtin_prefetch(line);
    __builtin_prefetch(line + ZONE_LINE_BYTES);
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
        n = zone_find(z, name->wire + name->label_at[first], name->len - (size_t)name->label_at[first], hashes[first]);
    if (n->cut != NULL)
        return (struct zone_lookup){.found = ZONE_FOUND_CUT, .node = n->cut};
    if (n->name_len == name->len)
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

const struct zone_node *const *zone_targets(const struct zone *z, const struct zone_rrset *set)
{
    CHECK_OBJ(z, ZONE_MAGIC);
    return set->targets > 0 ? &z->target[set->targets - 1] : NULL;
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
    mem_free(z->memory);
    mem_free(z->slot);
    OBJ_FREE(zp, ZONE_MAGIC);
}
