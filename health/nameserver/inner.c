/* See the header. An alias of an alias is as new as the last look; the looks are frequent enough for that. */
#include "health/nameserver/inner.h"

#include <string.h>

#define CHASE_MAX 8u

bool inner_find(const struct zone *zone, const struct dns_name *name, const struct zone_node **node)
{
    struct dns_name at = *name;

    for (unsigned chased = 0; chased < CHASE_MAX; chased++) {
        const struct zone_lookup l = zone_lookup(zone, &at);
        if (l.found == ZONE_FOUND_OUTSIDE || l.found == ZONE_FOUND_CUT)
            return false;
        *node = l.node;
        const struct zone_rrset *cname = l.node != NULL ? zone_node_rrset(l.node, DNS_TYPE_CNAME) : NULL;
        if (cname == NULL)
            return true;
        dns_name_from_wire(&at, cname->wire + ZONE_OWNER_BYTES + DNS_RR_FIXED_BYTES);
    }
    return false;
}

static void add(uint8_t *to, uint8_t *count, const uint8_t *from, size_t from_count, size_t size)
{
    for (size_t i = 0; i < from_count && *count < ZONE_ADDRESSES_MAX; i++, (*count)++)
        memcpy(to + *count * size, from + i * size, size);
}

static void add_fixed(const struct zone_node *node, uint16_t type, struct steering_alias *out)
{
    const struct zone_rrset *set = zone_node_rrset(node, type);
    const size_t size = type == DNS_TYPE_A ? 4 : 16;

    if (set == NULL)
        return;
    for (size_t i = 0; i < set->count; i++) {
        const uint8_t *data =
            set->wire + i * (ZONE_OWNER_BYTES + DNS_RR_FIXED_BYTES + size) + ZONE_OWNER_BYTES + DNS_RR_FIXED_BYTES;
        if (type == DNS_TYPE_A)
            add(out->a[0], &out->a_count, data, 1, size);
        else
            add(out->aaaa[0], &out->aaaa_count, data, 1, size);
    }
    if (set->ttl_s < out->ttl_s)
        out->ttl_s = set->ttl_s;
}

static void add_candidate(const struct zone_candidate *c, const struct steering_alias *alias,
                          struct steering_alias *out)
{
    if (c->cname == NULL) {
        add(out->a[0], &out->a_count, c->a[0], c->a_count, 4);
        add(out->aaaa[0], &out->aaaa_count, c->aaaa[0], c->aaaa_count, 16);
    } else if (alias == NULL || !alias->is_known) {
        out->is_known = false;
    } else {
        add(out->a[0], &out->a_count, alias->a[0], alias->a_count, 4);
        add(out->aaaa[0], &out->aaaa_count, alias->aaaa[0], alias->aaaa_count, 16);
        if (alias->ttl_s < out->ttl_s)
            out->ttl_s = alias->ttl_s;
    }
}

static void add_chosen(const struct zone_steered *steered, const struct steering_set *set, struct steering_alias *out)
{
    const uint32_t all = (uint32_t)((UINT64_C(1) << steered->candidate_count) - 1);
    const uint32_t chosen = (set->chosen & all) != 0 ? set->chosen & all : all;

    for (size_t i = 0; i < steered->candidate_count; i++)
        if ((chosen >> i & 1u) != 0)
            add_candidate(&steered->candidate[i], set->aliases != NULL ? &set->aliases[i] : NULL, out);
    if (set->ttl_s < out->ttl_s)
        out->ttl_s = set->ttl_s;
}

void inner_addresses(const struct zone_node *node, const struct steering *steering, struct steering_alias *out)
{
    struct steering_alias fresh = {.is_known = true, .ttl_s = UINT32_MAX};

    if (node != NULL) { /* else there is no such name, for sure */
        add_fixed(node, DNS_TYPE_A, &fresh);
        add_fixed(node, DNS_TYPE_AAAA, &fresh);
        if (node->steered != NULL)
            add_chosen(node->steered, &steering->sets[node->steered->number], &fresh);
    }
    *out = fresh; /* at the end: who leads to himself is asked for what is known of him */
}
