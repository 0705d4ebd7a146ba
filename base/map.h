/* Hash map from byte strings to pointers, keyed with a random secret (SipHash-2-4) so that a peer who
 * chooses the keys cannot choose the collisions. Open addressing, grows by doubling, keys are copied. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map;

struct map *map_create(void);
/* Frees the table and its keys, not the values. */
void map_destroy(struct map **mp);
/* The value under the key, or NULL. */
void *map_get(const struct map *m, const void *key, size_t key_len);
/* Stores `value` (not NULL) under a copy of the key; returns the value it replaced, or NULL. */
void *map_put(struct map *m, const void *key, size_t key_len, void *value);
/* Takes the entry out; returns its value, or NULL when there was none. */
void *map_remove(struct map *m, const void *key, size_t key_len);
size_t map_count(const struct map *m);
/* Walks all entries in no particular order: start with *cursor = 0; false at the end. Do not change the map
 * while walking. `key`/`key_len` may be NULL. */
bool map_next(const struct map *m, size_t *cursor, const void **key, size_t *key_len, void **value);

/* The keyed hash itself (SipHash-2-4, Aumasson & Bernstein 2012); also used for consistent hashing with a fixed key. */
uint64_t siphash24(const uint8_t key[16], const void *data, size_t len);

#endif
