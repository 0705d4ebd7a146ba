/* The inside of a zone and of its draft, for the files that collect it, build it and look into it. */
#ifndef HEALTH_DNS_ZONE_PRIV_H
#define HEALTH_DNS_ZONE_PRIV_H

#include <string.h>

#include "health/dns/zone.h"

#define ZONE_MAGIC      0x20de1a5eu
#define ZONE_HASH_BEGIN 2166136261u
#define ZONE_LINE_BYTES 64u

/* Slots are small, so that all of them stay near the processor and only the node itself is far. */
struct zone_slot {
    uint32_t hash;
    uint32_t place; /* of the node: lines before it, + 1; 0: free */
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
    uint8_t *memory;
    uint8_t *lines; /* the nodes, in `memory`; the first is the apex */
    const struct zone_node **target;
    struct zone_steered **steered; /* by number */
};

static inline struct zone_node *zone_node_at(const struct zone *z, uint32_t place)
{
    return (void *)(z->lines + (size_t)(place - 1) * ZONE_LINE_BYTES);
}

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

/* The node whose name is the `len` bytes at `wire`; NULL: there is none. */
static inline struct zone_node *zone_find(const struct zone *z, const uint8_t *wire, size_t len, uint32_t hash)
{
    for (uint32_t i = zone_hash_slot(hash) & z->mask; z->slot[i].place != 0; i = (i + 1) & z->mask) {
        if (z->slot[i].hash != hash)
            continue;
        struct zone_node *n = zone_node_at(z, z->slot[i].place);
        if (n->name_len == len && memcmp(n->name, wire, len) == 0)
            return n;
    }
    return NULL;
}

static inline bool zone_is_wildcard(const uint8_t *name)
{
    return name[0] == 1 && name[1] == '*';
}

/* ---- what a zone is built from ---- */
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

/* Notes what is wrong with a record of `owner`, with `type` 0 with its steered set; false. */
bool draft_refuse(struct zone_draft *d, const uint8_t *owner, uint16_t type, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* True: built, and the caller hands the steered sets over, which the nodes know already. False: refused, `z` is to be
 * destroyed. */
bool zone_build(struct zone *z, struct zone_draft *d);

#endif
