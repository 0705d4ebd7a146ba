/* L1. Each entry has a node, which stands in one of two queues and in the index.
 *
 * Newcomers enter the small queue, a tenth of all bytes. Who reaches its end is moved to the main queue if it was asked
 * for again meanwhile, else put out and remembered as a ghost; a ghost that comes back goes to the main queue at once.
 * Who reaches the end of the main queue gets another turn for each use since the last one. A use is a small number
 * in the node: nothing is linked anew, and no lookup costs more than its probe.
 *
 * The index is open addressing over hash and node; the key itself is the entry's own. A removal closes the gap as
 * base/map.c does. */
#include "cache/memory.h"

#include <string.h>
#include <sys/random.h>

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "cache/ghost.h"

#define MEMORY_MAGIC 0x3e0a9c17u
#define NODE_MAGIC   0x30de5b2cu

#define INDEX_MIN_SLOTS 64u
#define SMALL_PERCENT   10u
#define USES_MAX        3u
#define USES_TO_STAY    1u /* in the small queue */
/* An entry of more than that part of all would put out too many others. */
#define SHARE_MAX 4u
/* Who makes room gives at most so many entries another turn, then puts out whoever comes next: a worker does not stand
 * still for a main queue in which everything was used. */
#define TURNS_MAX 256u
/* The ghost table: a slot for each so many bytes of the bound, at least and at most so many. */
#define GHOST_BYTES_PER_SLOT 1024u
#define GHOST_SLOTS_MIN      1024u
#define GHOST_SLOTS_MAX      (1u << 20)
/* Empty slots of the index that a sweep looks at for each entry it may look at. */
#define SWEEP_SLOTS 8u

struct node {
    uint32_t magic;
    uint8_t uses; /* since it came to its queue, or to that queue's end */
    bool is_main;
    bool is_soft_purged;
    struct list queued;
    uint64_t hash;
    struct cache_entry *entry; /* a reference */
    size_t bytes;              /* it counts for */
    uint64_t checked_count;    /* of the purges, when it was last compared with them */
};

struct slot {
    uint64_t hash;
    struct node *node; /* NULL: free */
};

struct queue {
    struct list nodes; /* the oldest first */
    size_t bytes;
};

struct cache_memory {
    uint32_t magic;
    uint8_t secret[16];
    struct cache_purges *purges;
    size_t max_bytes;
    struct slot *slots;
    size_t mask; /* number of slots - 1 */
    size_t count;
    size_t sweep_at;
    struct queue small, main;
    struct ghost *ghost;
    uint64_t evicted_count, purged_count;
};

/* What the node and its place in the index, half full on average, take beside the entry. */
#define NODE_COST_BYTES (sizeof(struct node) + 16u + 2u * sizeof(struct slot))

/* ---- the index ---- */

/* The slot of the key, or the free one where it belongs. */
static struct slot *find(const struct cache_memory *m, uint64_t hash, const void *key, size_t key_len)
{
    size_t i = hash & m->mask;

    for (; m->slots[i].node != NULL; i = (i + 1) & m->mask) {
        if (m->slots[i].hash != hash)
            continue;
        const struct http_view known = m->slots[i].node->entry->key;
        if (known.len == key_len && (key_len == 0 || memcmp(known.data, key, key_len) == 0))
            break;
    }
    return &m->slots[i];
}

static struct node *find_node(const struct cache_memory *m, const void *key, size_t key_len)
{
    return find(m, siphash24(m->secret, key, key_len), key, key_len)->node;
}

static void grow_index(struct cache_memory *m)
{
    struct slot *old = m->slots;
    const size_t old_count = m->mask + 1;

    m->mask = old_count * 2 - 1;
    m->slots = mem_alloc_array(old_count * 2, sizeof *m->slots);
    for (size_t i = 0; i < old_count; i++) {
        size_t at = old[i].hash & m->mask;
        if (old[i].node == NULL)
            continue;
        while (m->slots[at].node != NULL)
            at = (at + 1) & m->mask;
        m->slots[at] = old[i];
    }
    mem_free(old);
}

static void index_add(struct cache_memory *m, struct node *n)
{
    if ((m->count + 1) * 4 > (m->mask + 1) * 3)
        grow_index(m);
    *find(m, n->hash, n->entry->key.data, n->entry->key.len) = (struct slot){n->hash, n};
    m->count++;
}

static void index_remove(struct cache_memory *m, const struct node *n)
{
    size_t gap = n->hash & m->mask;

    while (m->slots[gap].node != n)
        gap = (gap + 1) & m->mask;
    for (size_t i = (gap + 1) & m->mask; m->slots[i].node != NULL; i = (i + 1) & m->mask) {
        if (((i - m->slots[i].hash) & m->mask) >= ((i - gap) & m->mask)) {
            m->slots[gap] = m->slots[i];
            gap = i;
        }
    }
    m->slots[gap] = (struct slot){0};
    m->count--;
}

/* ---- nodes and queues ---- */

static struct queue *queue_of(struct cache_memory *m, const struct node *n)
{
    return n->is_main ? &m->main : &m->small;
}

static void enter(struct cache_memory *m, struct node *n, bool is_main)
{
    n->is_main = is_main;
    queue_of(m, n)->bytes += n->bytes;
    list_append(&queue_of(m, n)->nodes, &n->queued);
}

static void leave(struct cache_memory *m, struct node *n)
{
    queue_of(m, n)->bytes -= n->bytes;
    list_unlink(&n->queued);
}

static void drop(struct cache_memory *m, struct node *n)
{
    leave(m, n);
    index_remove(m, n);
    cache_entry_unref(&n->entry);
    OBJ_FREE(&n, NODE_MAGIC);
}

static size_t bytes_of(const struct cache_entry *e)
{
    size_t bytes = NODE_COST_BYTES + e->size_bytes;
    for (unsigned c = 0; c < CODING_COUNT; c++)
        bytes += e->coded[c].owner != NULL ? sizeof(struct block) + e->coded[c].owner->cap_bytes : 0;
    return bytes;
}

/* Whether it was purged hard or has outlived itself; what is purged softly is noted. */
static bool is_over(struct cache_memory *m, struct node *n, int64_t now_ms)
{
    const uint64_t count = cache_purges_count(m->purges);

    if (n->checked_count != count) {
        const enum cache_purged purged = cache_purges_judge(m->purges, n->entry);
        if (purged == CACHE_PURGED_HARD) {
            m->purged_count++;
            return true;
        }
        n->is_soft_purged = n->is_soft_purged || purged == CACHE_PURGED_SOFT;
        n->checked_count = count;
    }
    return cache_entry_age_ms(n->entry, now_ms) >= cache_life_whole_ms(&n->entry->life);
}

/* ---- making room ---- */

static size_t used_bytes(const struct cache_memory *m)
{
    return m->small.bytes + m->main.bytes;
}

static void put_out(struct cache_memory *m, struct node *n)
{
    if (!n->is_main)
        ghost_add(m->ghost, n->hash, n->bytes);
    m->evicted_count++;
    drop(m, n);
}

/* Deals with whoever is at the end of a queue: it is dropped, put out, moved, or given another turn. */
static void step(struct cache_memory *m, uint32_t *turns, int64_t now_ms)
{
    const bool is_small_full = m->small.bytes > m->max_bytes / 100 * SMALL_PERCENT;
    const bool is_small = list_is_empty(&m->main.nodes) || (is_small_full && !list_is_empty(&m->small.nodes));
    const struct queue *q = is_small ? &m->small : &m->main;
    struct node *n = LIST_ENTRY(q->nodes.next, struct node, queued);

    if (is_over(m, n, now_ms)) {
        drop(m, n);
    } else if (n->uses < (is_small ? USES_TO_STAY : 1) || ++*turns > TURNS_MAX) {
        put_out(m, n);
    } else {
        leave(m, n);
        n->uses = is_small ? 0 : n->uses - 1;
        enter(m, n, true);
    }
}

static void make_room(struct cache_memory *m, size_t bytes, int64_t now_ms)
{
    uint32_t turns = 0;

    while (m->count > 0 && used_bytes(m) + bytes > m->max_bytes)
        step(m, &turns, now_ms);
}

/* ---- life ---- */

static struct ghost *make_ghost(size_t max_bytes)
{
    size_t slots = max_bytes / GHOST_BYTES_PER_SLOT;
    slots = slots < GHOST_SLOTS_MIN ? GHOST_SLOTS_MIN : slots;
    return ghost_create(slots > GHOST_SLOTS_MAX ? GHOST_SLOTS_MAX : slots);
}

struct cache_memory *cache_memory_create(size_t max_bytes, struct cache_purges *purges)
{
    struct cache_memory *m;

    OBJ_NEW(m, MEMORY_MAGIC);
    const ssize_t got = getrandom(m->secret, sizeof m->secret, 0);
    ASSERT(got == (ssize_t)sizeof m->secret);
    m->purges = purges;
    m->max_bytes = max_bytes;
    m->mask = INDEX_MIN_SLOTS - 1;
    m->slots = mem_alloc_array(INDEX_MIN_SLOTS, sizeof *m->slots);
    list_init(&m->small.nodes);
    list_init(&m->main.nodes);
    m->ghost = make_ghost(max_bytes);
    return m;
}

void cache_memory_destroy(struct cache_memory **mp)
{
    struct cache_memory *m = *mp;

    CHECK_OBJ(m, MEMORY_MAGIC);
    LIST_EACH (l, &m->small.nodes)
        drop(m, LIST_ENTRY(l, struct node, queued));
    LIST_EACH (l, &m->main.nodes)
        drop(m, LIST_ENTRY(l, struct node, queued));
    ghost_destroy(&m->ghost);
    mem_free(m->slots);
    mem_wipe(m->secret, sizeof m->secret);
    OBJ_FREE(mp, MEMORY_MAGIC);
}

void cache_memory_limit(struct cache_memory *m, size_t max_bytes)
{
    CHECK_OBJ(m, MEMORY_MAGIC);
    if (max_bytes == m->max_bytes)
        return;
    m->max_bytes = max_bytes;
    ghost_destroy(&m->ghost);
    m->ghost = make_ghost(max_bytes);
    make_room(m, 0, INT64_MIN);
}

/* ---- use ---- */

struct cache_found cache_memory_get(struct cache_memory *m, const void *key, size_t key_len, int64_t now_ms)
{
    CHECK_OBJ(m, MEMORY_MAGIC);
    struct node *n = find_node(m, key, key_len);
    if (n == NULL)
        return (struct cache_found){.entry = NULL};
    if (is_over(m, n, now_ms)) {
        drop(m, n);
        return (struct cache_found){.entry = NULL};
    }
    if (n->uses < USES_MAX)
        n->uses++;
    return (struct cache_found){.entry = n->entry, .is_soft_purged = n->is_soft_purged};
}

struct cache_found cache_memory_peek(const struct cache_memory *m, const void *key, size_t key_len)
{
    CHECK_OBJ(m, MEMORY_MAGIC);
    const struct node *n = find_node(m, key, key_len);
    if (n == NULL)
        return (struct cache_found){.entry = NULL};
    return (struct cache_found){.entry = n->entry, .is_soft_purged = n->is_soft_purged};
}

uint32_t cache_memory_take_uses(struct cache_memory *m, const void *key, size_t key_len)
{
    CHECK_OBJ(m, MEMORY_MAGIC);
    struct node *n = find_node(m, key, key_len);
    const uint32_t uses = n != NULL ? n->uses : 0;
    if (n != NULL)
        n->uses = 0;
    return uses;
}

/* The queue and the uses stay: it is the same thing that is asked for. */
static void replace(struct cache_memory *m, struct node *n, struct cache_entry *e, size_t bytes)
{
    struct cache_entry *before = n->entry;

    n->entry = cache_entry_ref(e);
    cache_entry_unref(&before);
    queue_of(m, n)->bytes += bytes - n->bytes;
    n->bytes = bytes;
}

static struct node *add(struct cache_memory *m, struct cache_entry *e, size_t bytes, int64_t now_ms)
{
    struct node *n;

    OBJ_NEW(n, NODE_MAGIC);
    n->hash = siphash24(m->secret, e->key.data, e->key.len);
    n->entry = cache_entry_ref(e);
    n->bytes = bytes;
    list_init(&n->queued);
    make_room(m, bytes, now_ms);
    enter(m, n, ghost_take(m->ghost, n->hash, m->max_bytes));
    index_add(m, n);
    return n;
}

void cache_memory_put(struct cache_memory *m, struct cache_entry *e, int64_t now_ms)
{
    CHECK_OBJ(m, MEMORY_MAGIC);
    CHECK_OBJ(e, CACHE_ENTRY_MAGIC);
    const enum cache_purged purged = cache_purges_judge(m->purges, e);
    const size_t bytes = bytes_of(e);
    struct node *n = find_node(m, e->key.data, e->key.len);

    if (purged == CACHE_PURGED_HARD)
        return;
    if (bytes > m->max_bytes / SHARE_MAX) {
        if (n != NULL)
            drop(m, n);
        return;
    }
    if (e->position.local == 0)
        e->position.local = cache_purges_position(m->purges).local;
    if (n != NULL)
        replace(m, n, e, bytes);
    else
        n = add(m, e, bytes, now_ms);
    n->is_soft_purged = purged == CACHE_PURGED_SOFT;
    n->checked_count = cache_purges_count(m->purges);
    make_room(m, 0, now_ms);
}

void cache_memory_remove(struct cache_memory *m, const void *key, size_t key_len)
{
    CHECK_OBJ(m, MEMORY_MAGIC);
    struct node *n = find_node(m, key, key_len);
    if (n != NULL)
        drop(m, n);
}

void cache_memory_grown(struct cache_memory *m, const struct cache_entry *e, size_t bytes)
{
    CHECK_OBJ(m, MEMORY_MAGIC);
    CHECK_OBJ(e, CACHE_ENTRY_MAGIC);
    struct node *n = find_node(m, e->key.data, e->key.len);
    if (n == NULL || n->entry != e)
        return;
    n->bytes += bytes;
    queue_of(m, n)->bytes += bytes;
    make_room(m, 0, INT64_MIN);
}

void cache_memory_sweep(struct cache_memory *m, uint32_t count, int64_t now_ms)
{
    CHECK_OBJ(m, MEMORY_MAGIC);
    const size_t all = m->mask + 1, wanted = (size_t)count * SWEEP_SLOTS;

    for (size_t looked_at = 0; looked_at < (wanted < all ? wanted : all) && count > 0; looked_at++) {
        m->sweep_at &= m->mask;
        struct node *n = m->slots[m->sweep_at].node;
        count -= n != NULL ? 1 : 0;
        if (n != NULL && is_over(m, n, now_ms))
            drop(m, n); /* another may have moved here */
        else
            m->sweep_at++;
    }
}

void cache_memory_counts(const struct cache_memory *m, struct cache_memory_counts *out)
{
    CHECK_OBJ(m, MEMORY_MAGIC);
    *out = (struct cache_memory_counts){
        .entry_count = m->count,
        .bytes = used_bytes(m),
        .evicted_count = m->evicted_count,
        .purged_count = m->purged_count,
    };
}

/* The nodes of a queue; -1 when its sum is wrong, or one of them is not in the index. */
static int64_t walk(const struct cache_memory *m, const struct queue *q, bool is_main)
{
    size_t bytes = 0;
    int64_t count = 0;

    LIST_EACH (l, &q->nodes) {
        const struct node *n = LIST_ENTRY(l, struct node, queued);
        if (n->is_main != is_main || n->bytes != bytes_of(n->entry) ||
            find(m, n->hash, n->entry->key.data, n->entry->key.len)->node != n)
            return -1;
        bytes += n->bytes;
        count++;
    }
    return bytes == q->bytes ? count : -1;
}

bool cache_memory_is_sound(const struct cache_memory *m)
{
    CHECK_OBJ(m, MEMORY_MAGIC);
    const int64_t small = walk(m, &m->small, false), main = walk(m, &m->main, true);
    size_t indexed = 0;

    for (size_t i = 0; i <= m->mask; i++)
        indexed += m->slots[i].node != NULL ? 1 : 0;
    return small >= 0 && main >= 0 && (size_t)(small + main) == m->count && indexed == m->count &&
           used_bytes(m) <= m->max_bytes;
}
