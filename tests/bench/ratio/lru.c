/* Plain LRU: one list, the one asked for last at its end. */
#include "tests/bench/ratio/lru.h"

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"

#define LRU_MAGIC  0x14ca7e57u
#define ITEM_MAGIC 0x17e3c09bu

struct item {
    uint32_t magic;
    struct list by_use;
    uint64_t key;
    size_t bytes;
};

struct lru {
    uint32_t magic;
    size_t max_bytes, bytes;
    struct map *items;
    struct list by_use;
};

struct lru *lru_create(size_t max_bytes)
{
    struct lru *l;

    OBJ_NEW(l, LRU_MAGIC);
    l->max_bytes = max_bytes;
    l->items = map_create();
    list_init(&l->by_use);
    return l;
}

static void drop_oldest(struct lru *l)
{
    struct item *i = LIST_ENTRY(l->by_use.next, struct item, by_use);

    map_remove(l->items, &i->key, sizeof i->key);
    list_unlink(&i->by_use);
    l->bytes -= i->bytes;
    OBJ_FREE(&i, ITEM_MAGIC);
}

void lru_destroy(struct lru **lp)
{
    CHECK_OBJ(*lp, LRU_MAGIC);
    while (!list_is_empty(&(*lp)->by_use))
        drop_oldest(*lp);
    map_destroy(&(*lp)->items);
    OBJ_FREE(lp, LRU_MAGIC);
}

bool lru_ask(struct lru *l, uint64_t key, size_t bytes)
{
    CHECK_OBJ(l, LRU_MAGIC);
    struct item *i = map_get(l->items, &key, sizeof key);
    if (i != NULL) {
        list_unlink(&i->by_use);
        list_append(&l->by_use, &i->by_use);
        return true;
    }
    if (bytes > l->max_bytes)
        return false;
    while (l->bytes + bytes > l->max_bytes)
        drop_oldest(l);
    OBJ_NEW(i, ITEM_MAGIC);
    i->key = key;
    i->bytes = bytes;
    l->bytes += bytes;
    list_append(&l->by_use, &i->by_use);
    map_put(l->items, &key, sizeof key, i);
    return false;
}
