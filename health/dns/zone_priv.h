/* The inside of a zone, for the two files that make it and look into it. */
#ifndef HEALTH_DNS_ZONE_PRIV_H
#define HEALTH_DNS_ZONE_PRIV_H

#include "health/dns/zone.h"

#define ZONE_MAGIC      0x20de1a5eu
#define ZONE_HASH_BEGIN 2166136261u

/* A node leads to its records and those to their bytes; a slot knows where all of them are, so that they can be fetched
 * together instead of one after the other. */
struct zone_slot {
    uint32_t hash;
    uint32_t node;  /* number + 1; 0: free */
    uint32_t rrset; /* the node's first; 0 without records, which does no harm */
    uint32_t wire;  /* where its bytes begin */
};

struct zone {
    uint32_t magic;
    uint32_t mask; /* slots - 1 */
    uint32_t node_count;
    uint32_t steered_count;
    uint32_t negative_ttl_s;
    uint32_t labels_max; /* of the longest name */
    const struct zone_rrset *soa;
    struct dns_name apex;
    struct zone_slot *slot; /* open addressing, at most half full */
    struct zone_node *node; /* the first is the apex */
    struct zone_rrset *rrset;
    uint8_t *wire;
    const struct zone_node **target;
    struct zone_steered **steered; /* by number */
};

/* The hash of one more label to the left of what `hash` covers. The apex is covered by ZONE_HASH_BEGIN: all names
 * share it. Nobody but the operator puts names into the table, so it needs no key. */
static inline uint32_t zone_hash_label(uint32_t hash, const uint8_t *label)
{
    for (size_t i = 0; i <= label[0]; i++)
        hash = (hash ^ label[i]) * 16777619u;
    return hash;
}

/* Of a name at or below the apex. */
static inline uint32_t zone_hash_name(const struct zone *z, const struct dns_name *name)
{
    uint32_t hash = ZONE_HASH_BEGIN;
    for (size_t i = (size_t)name->label_count - z->apex.label_count; i-- > 0;)
        hash = zone_hash_label(hash, name->wire + name->label_at[i]);
    return hash;
}

/* Low bits of a product depend on low bits only: fold the others in. */
static inline uint32_t zone_hash_slot(uint32_t hash)
{
    hash ^= hash >> 15;
    hash *= 0x2c1b3c6du;
    return hash ^ hash >> 13;
}

#endif
