/* A map from keys and token, byte for byte, and a list in the order of use. */
#include "gateway/rules/token_cache.h"

#include <string.h>

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "gateway/rules/token_header.h"

#define CACHE_MAGIC 0x70cac4e5u
#define ENTRY_MAGIC 0x70ce4723u

struct cache_key {
    uint8_t bytes[sizeof(uint64_t) + TOKEN_MAX_BYTES];
    size_t len;
};

struct entry {
    uint32_t magic;
    enum conf_jwt_algorithm algorithm;
    struct list link;
    struct token_claims *claims;
    size_t key_len;
    uint8_t key[]; /* to find it in the map when it goes */
};

struct token_cache {
    uint32_t magic;
    struct map *entries;
    struct list used; /* the one used last at its end */
    size_t bytes;
};

struct token_cache *token_cache_create(void)
{
    struct token_cache *c;
    OBJ_NEW(c, CACHE_MAGIC);
    c->entries = map_create();
    list_init(&c->used);
    return c;
}

static void drop(struct token_cache *c, struct entry *e)
{
    (void)map_remove(c->entries, e->key, e->key_len);
    c->bytes -= e->key_len;
    list_unlink(&e->link);
    token_claims_unref(&e->claims);
    mem_wipe(e->key, e->key_len);
    OBJ_FREE(&e, ENTRY_MAGIC);
}

static struct entry *oldest(struct token_cache *c)
{
    return LIST_ENTRY(c->used.next, struct entry, link);
}

void token_cache_destroy(struct token_cache **cp)
{
    struct token_cache *c = *cp;
    CHECK_OBJ(c, CACHE_MAGIC);
    while (!list_is_empty(&c->used))
        drop(c, oldest(c));
    map_destroy(&c->entries);
    OBJ_FREE(cp, CACHE_MAGIC);
}

static void make_key(struct cache_key *k, uint64_t keys_id, struct http_view token)
{
    ASSERT(token.len <= TOKEN_MAX_BYTES);
    memcpy(k->bytes, &keys_id, sizeof keys_id);
    memcpy(k->bytes + sizeof keys_id, token.data, token.len);
    k->len = sizeof keys_id + token.len;
}

struct token_claims *token_cache_get(struct token_cache *c, uint64_t keys_id, struct http_view token,
                                     enum conf_jwt_algorithm *algorithm)
{
    struct cache_key key;
    CHECK_OBJ(c, CACHE_MAGIC);
    make_key(&key, keys_id, token);
    struct entry *e = map_get(c->entries, key.bytes, key.len);
    if (e == NULL)
        return NULL;
    CHECK_OBJ(e, ENTRY_MAGIC);
    list_unlink(&e->link);
    list_append(&c->used, &e->link);
    *algorithm = e->algorithm;
    return e->claims;
}

void token_cache_put(struct token_cache *c, uint64_t keys_id, struct http_view token, enum conf_jwt_algorithm algorithm,
                     struct token_claims *claims)
{
    struct cache_key key;
    CHECK_OBJ(c, CACHE_MAGIC);
    make_key(&key, keys_id, token);
    while (!list_is_empty(&c->used) &&
           (map_count(c->entries) >= TOKEN_CACHE_COUNT || c->bytes + key.len > TOKEN_CACHE_BYTES))
        drop(c, oldest(c));
    struct entry *e = mem_alloc(sizeof *e + key.len);
    e->magic = ENTRY_MAGIC;
    e->algorithm = algorithm;
    e->claims = token_claims_ref(claims);
    e->key_len = key.len;
    memcpy(e->key, key.bytes, key.len);
    list_append(&c->used, &e->link);
    c->bytes += key.len;
    void *before = map_put(c->entries, key.bytes, key.len, e);
    ASSERT(before == NULL);
}
