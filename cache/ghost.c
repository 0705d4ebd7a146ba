/* Ghosts: buckets of eight, one line of the processor's cache each. Time is counted in bytes that were put out, so that
 * what is remembered covers the same span whatever the sizes are; it wraps after a tebibyte, and what is wrongly taken
 * for young then was asked for often enough to stay anyway. */
#include "cache/ghost.h"

#include "base/mem.h"

#define GHOST_MAGIC  0x6057a11du
#define BUCKET_SLOTS 8u
#define UNIT_BYTES   256u /* of time */

struct ghost_slot {
    uint32_t print; /* 0: free */
    uint32_t time;
};

struct ghost {
    uint32_t magic;
    uint32_t rest_bytes; /* less than a unit */
    uint32_t time;
    size_t bucket_mask;
    struct ghost_slot *slots;
};

struct ghost *ghost_create(size_t slots)
{
    struct ghost *g;
    size_t buckets = 1;

    while (buckets * BUCKET_SLOTS < slots)
        buckets *= 2;
    OBJ_NEW(g, GHOST_MAGIC);
    g->bucket_mask = buckets - 1;
    g->slots = mem_alloc_array(buckets * BUCKET_SLOTS, sizeof *g->slots);
    return g;
}

void ghost_destroy(struct ghost **gp)
{
    CHECK_OBJ(*gp, GHOST_MAGIC);
    mem_free((*gp)->slots);
    OBJ_FREE(gp, GHOST_MAGIC);
}

static struct ghost_slot *bucket_of(const struct ghost *g, uint64_t hash)
{
    return &g->slots[(hash & g->bucket_mask) * BUCKET_SLOTS];
}

static uint32_t print_of(uint64_t hash)
{
    const uint32_t print = (uint32_t)(hash >> 32);
    return print != 0 ? print : 1;
}

void ghost_add(struct ghost *g, uint64_t hash, size_t bytes)
{
    CHECK_OBJ(g, GHOST_MAGIC);
    struct ghost_slot *bucket = bucket_of(g, hash), *to = bucket;
    const size_t units = (g->rest_bytes + bytes) / UNIT_BYTES;

    for (struct ghost_slot *s = bucket; s < bucket + BUCKET_SLOTS; s++) {
        const bool is_older = s->print == 0 || g->time - s->time > g->time - to->time;
        if (to->print != 0 && is_older)
            to = s;
    }
    *to = (struct ghost_slot){.print = print_of(hash), .time = g->time};
    g->time += (uint32_t)units;
    g->rest_bytes = (uint32_t)((g->rest_bytes + bytes) % UNIT_BYTES);
}

bool ghost_take(struct ghost *g, uint64_t hash, size_t window_bytes)
{
    CHECK_OBJ(g, GHOST_MAGIC);
    struct ghost_slot *bucket = bucket_of(g, hash);

    for (struct ghost_slot *s = bucket; s < bucket + BUCKET_SLOTS; s++) {
        if (s->print != print_of(hash))
            continue;
        s->print = 0;
        return g->time - s->time <= window_bytes / UNIT_BYTES;
    }
    return false;
}
