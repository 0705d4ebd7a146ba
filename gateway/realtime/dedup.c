/* A delivered message whose copy has not come yet is a node. All nodes of one hash are of the same feed: the sign of a
 * signed multiset. Nodes are on two lists by index: the chain of their bucket, newest first, and the line of all by
 * age, from whose front they expire.
 *
 * Counting per hash would take less room, but then a message that keeps coming would keep alive a count that is one too
 * high since a copy was lost; a node each lets every message expire for itself. */
#include "gateway/realtime/dedup.h"

#include <string.h>
#include <sys/random.h>

#include "base/assert.h"
#include "base/map.h"
#include "base/mem.h"

#define DEDUP_MAGIC 0xd0bb1ee5u
#define FIRST_COUNT 16u
#define PARTS_MAX   8u
#define NONE        UINT32_MAX

struct node {
    uint64_t hash;
    int64_t at_ms;
    uint32_t below; /* the next in the bucket, or in the list of free ones */
    uint32_t older, younger;
    uint8_t feed;
};

struct dedup {
    uint32_t magic;
    uint32_t max_count;
    int64_t window_ms;
    uint8_t key[16];
    struct node *nodes;
    uint32_t *buckets; /* as many as there is room for nodes, a power of two */
    uint32_t room_count;
    uint32_t count;
    uint32_t free;
    uint32_t oldest, youngest;
    bool is_ended[2];
};

struct dedup *dedup_create(int64_t window_ms, uint32_t max_count)
{
    struct dedup *d;
    ASSERT(window_ms > 0 && max_count > 0 && max_count <= UINT32_MAX / 4);
    OBJ_NEW(d, DEDUP_MAGIC);
    d->window_ms = window_ms;
    d->max_count = max_count;
    d->free = d->oldest = d->youngest = NONE;
    const ssize_t got = getrandom(d->key, sizeof d->key, 0);
    ASSERT(got == (ssize_t)sizeof d->key);
    return d;
}

void dedup_destroy(struct dedup **dp)
{
    CHECK_OBJ(*dp, DEDUP_MAGIC);
    mem_free((*dp)->nodes);
    mem_free((*dp)->buckets);
    OBJ_FREE(dp, DEDUP_MAGIC);
}

uint64_t dedup_hash(const struct dedup *d, const struct dedup_part *parts, size_t part_count)
{
    uint64_t hashes[PARTS_MAX];
    CHECK_OBJ(d, DEDUP_MAGIC);
    ASSERT(part_count > 0 && part_count <= PARTS_MAX);
    for (size_t i = 0; i < part_count; i++)
        hashes[i] = siphash24(d->key, parts[i].data, parts[i].len);
    return siphash24(d->key, hashes, part_count * sizeof hashes[0]);
}

/* ---- nodes ---- */

static uint32_t *bucket_of(const struct dedup *d, uint64_t hash)
{
    return &d->buckets[hash & (d->room_count - 1)];
}

static void chain(struct dedup *d, uint32_t at)
{
    uint32_t *bucket = bucket_of(d, d->nodes[at].hash);
    d->nodes[at].below = *bucket;
    *bucket = at;
}

static void make_free(struct dedup *d, uint32_t at)
{
    d->nodes[at].below = d->free;
    d->free = at;
}

/* Twice the room, or some. Those that wait are chained in the order of their age, as they were. */
static void grow(struct dedup *d)
{
    const uint32_t before = d->room_count;
    d->room_count = before > 0 ? 2 * before : FIRST_COUNT;
    d->nodes = mem_realloc(d->nodes, d->room_count * sizeof d->nodes[0]);
    d->buckets = mem_realloc(d->buckets, d->room_count * sizeof d->buckets[0]);
    for (uint32_t i = 0; i < d->room_count; i++)
        d->buckets[i] = NONE;
    for (uint32_t at = d->oldest; at != NONE; at = d->nodes[at].younger)
        chain(d, at);
    for (uint32_t at = d->room_count; at > before; at--)
        make_free(d, at - 1);
}

/* Takes a node off both lists; `link` is what points to it in its bucket. */
static void forget_at(struct dedup *d, uint32_t *link)
{
    const uint32_t at = *link;
    struct node *n = &d->nodes[at];
    *link = n->below;
    if (n->older != NONE)
        d->nodes[n->older].younger = n->younger;
    else
        d->oldest = n->younger;
    if (n->younger != NONE)
        d->nodes[n->younger].older = n->older;
    else
        d->youngest = n->older;
    make_free(d, at);
    d->count--;
}

static void forget(struct dedup *d, uint32_t at)
{
    uint32_t *link = bucket_of(d, d->nodes[at].hash);
    while (*link != at)
        link = &d->nodes[*link].below;
    forget_at(d, link);
}

static void expire(struct dedup *d, int64_t now_ms)
{
    while (d->oldest != NONE && now_ms - d->nodes[d->oldest].at_ms >= d->window_ms)
        forget(d, d->oldest);
}

static void remember(struct dedup *d, enum dedup_feed feed, uint64_t hash, int64_t now_ms)
{
    if (d->count == d->max_count)
        forget(d, d->oldest);
    if (d->free == NONE)
        grow(d);
    const uint32_t at = d->free;
    d->free = d->nodes[at].below;
    d->nodes[at] =
        (struct node){.hash = hash, .at_ms = now_ms, .feed = (uint8_t)feed, .older = d->youngest, .younger = NONE};
    chain(d, at);
    if (d->youngest != NONE)
        d->nodes[d->youngest].younger = at;
    else
        d->oldest = at;
    d->youngest = at;
    d->count++;
}

/* What points to the oldest node of a hash: the last in its bucket; NULL: there is none, or it is the feed's own. */
static uint32_t *copy_of(struct dedup *d, enum dedup_feed feed, uint64_t hash)
{
    uint32_t *found = NULL;
    if (d->count == 0)
        return NULL;
    for (uint32_t *link = bucket_of(d, hash); *link != NONE; link = &d->nodes[*link].below)
        if (d->nodes[*link].hash == hash)
            found = link;
    return found != NULL && d->nodes[*found].feed != feed ? found : NULL;
}

/* ---- messages ---- */

bool dedup_take_copy(struct dedup *d, enum dedup_feed feed, uint64_t hash, int64_t now_ms)
{
    CHECK_OBJ(d, DEDUP_MAGIC);
    ASSERT(!d->is_ended[feed]);
    expire(d, now_ms);
    uint32_t *copy = copy_of(d, feed, hash);
    if (copy != NULL)
        forget_at(d, copy);
    return copy != NULL;
}

bool dedup_take(struct dedup *d, enum dedup_feed feed, uint64_t hash, int64_t now_ms)
{
    if (dedup_take_copy(d, feed, hash, now_ms))
        return false;
    if (!d->is_ended[1 - feed])
        remember(d, feed, hash, now_ms);
    return true;
}

void dedup_end(struct dedup *d, enum dedup_feed feed)
{
    CHECK_OBJ(d, DEDUP_MAGIC);
    d->is_ended[feed] = true;
    uint32_t younger = NONE;
    for (uint32_t at = d->oldest; at != NONE; at = younger) {
        younger = d->nodes[at].younger;
        if (d->nodes[at].feed != feed)
            forget(d, at);
    }
}

bool dedup_is_done(struct dedup *d, int64_t now_ms)
{
    CHECK_OBJ(d, DEDUP_MAGIC);
    expire(d, now_ms);
    return d->count == 0 && (d->is_ended[DEDUP_OLD] || d->is_ended[DEDUP_NEW]);
}
