/* L1: the entries of one worker, bounded by bytes. Eviction is S3-FIFO (Yang and others, SOSP 2023): a small queue for
 * newcomers, of which those asked for again move to the main queue, and a ghost queue of hashes that remembers who was
 * put out lately. What is asked for once - a scan - passes through the small queue and moves nobody.
 *
 * A lookup moves nothing and allocates nothing. No clock of its own; expired entries are found when they are asked for
 * or when room is needed. */
#ifndef CACHE_MEMORY_H
#define CACHE_MEMORY_H

#include "cache/entry.h"
#include "cache/purges.h"

struct cache_memory;

struct cache_memory_counts {
    uint64_t entry_count, bytes;          /* now */
    uint64_t evicted_count, purged_count; /* so far */
};

/* `purges` (borrowed for life) says what is no longer to be served. */
struct cache_memory *cache_memory_create(size_t max_bytes, struct cache_purges *purges);
void cache_memory_destroy(struct cache_memory **mp);
/* Shrinks at once if need be. */
void cache_memory_limit(struct cache_memory *m, size_t max_bytes);

struct cache_found {
    struct cache_entry *entry; /* borrowed until the next call; NULL: none */
    bool is_soft_purged;       /* to be taken for stale */
};
/* Looks up; counts as a use. What was purged hard, or is older than its whole life, is dropped and not found. */
struct cache_found cache_memory_get(struct cache_memory *m, const void *key, size_t key_len, int64_t now_ms);
/* The same without counting as a use, and without a look at purges and ages. */
struct cache_found cache_memory_peek(const struct cache_memory *m, const void *key, size_t key_len);
/* Stores, in place of what was there under the entry's key; takes a reference of its own. What was purged hard since
 * its fetch began changes nothing. An entry that is larger than a quarter of all is not kept, nor what it would
 * replace. One of another process is given this one's local position, once what is known to be purged has been held
 * against it. */
void cache_memory_put(struct cache_memory *m, struct cache_entry *e, int64_t now_ms);
void cache_memory_remove(struct cache_memory *m, const void *key, size_t key_len);
/* An entry has grown by a coding that was made of it (`bytes`: cache_compress_get() tells); to be said at once. It may
 * be evicted by this. Nothing when the entry is not, or no longer, kept here. */
void cache_memory_grown(struct cache_memory *m, const struct cache_entry *e, size_t bytes);
/* Uses since it was asked last, at most 3: whether it is hot. From now on they are counted anew. 0: it is not there. */
uint32_t cache_memory_take_uses(struct cache_memory *m, const void *key, size_t key_len);
/* Drops all that is purged or dead, looking at up to `count` entries from where it last stopped: for idle moments. */
void cache_memory_sweep(struct cache_memory *m, uint32_t count, int64_t now_ms);
void cache_memory_counts(const struct cache_memory *m, struct cache_memory_counts *out);
/* For tests: walks everything; whether queues, index and sums agree, and nothing is beyond the bound. */
bool cache_memory_is_sound(const struct cache_memory *m);

#endif
