/* Playing traces: L1 gets true entries, with bodies that nobody writes to. */
#include "tests/bench/ratio/play.h"

#include <stdio.h>

#include "cache/memory.h"
#include "tests/bench/ratio/lru.h"

#define KEY_BYTES 32u

static struct cache_entry *entry_of(const char *key, size_t body_bytes)
{
    struct slice body = {.owner = block_create(body_bytes)};

    body.data = body.owner->data;
    body.len = body_bytes;
    struct cache_entry *e = cache_entry_create(&(struct cache_draft){
        .status = 200,
        .key = http_view_of(key),
        .life = {.fresh_ms = 1},
        .position = {.local = 1},
        .body = body,
    });
    slice_release(&body);
    return e;
}

/* What L1 counts for an entry beside its own bytes. */
static size_t beside_bytes(struct cache_purges *purges)
{
    struct cache_memory *m = cache_memory_create(1u << 20, purges);
    struct cache_entry *e = entry_of("any", 1);
    struct cache_memory_counts counts;

    cache_memory_put(m, e, 0);
    cache_memory_counts(m, &counts);
    const size_t beside = (size_t)counts.bytes - e->size_bytes;
    cache_entry_unref(&e);
    cache_memory_destroy(&m);
    return beside;
}

void play(const struct trace *t, size_t max_bytes, struct played *out)
{
    struct cache_purges *purges = cache_purges_create();
    struct cache_memory *m = cache_memory_create(max_bytes, purges);
    struct lru *l = lru_create(max_bytes);
    struct telling *telling = telling_create(t);
    const size_t beside = beside_bytes(purges);

    *out = (struct played){.request_count = t->request_count};
    for (uint32_t n = 0; n < t->request_count; n++) {
        const uint64_t id = telling_next(telling);
        char key[KEY_BYTES];
        const int len = snprintf(key, sizeof key, "%016llx", (unsigned long long)id);
        struct cache_entry *e = cache_memory_get(m, key, (size_t)len, 0).entry;
        if (e != NULL) {
            out->hit_count++;
            out->lru_hit_count += lru_ask(l, id, e->size_bytes + beside) ? 1 : 0;
            continue;
        }
        e = entry_of(key, trace_body_bytes(id));
        out->lru_hit_count += lru_ask(l, id, e->size_bytes + beside) ? 1 : 0;
        cache_memory_put(m, e, 0);
        cache_entry_unref(&e);
    }
    telling_destroy(&telling);
    lru_destroy(&l);
    cache_memory_destroy(&m);
    cache_purges_destroy(&purges);
}
