/* Who was put out of a cache lately: a table of fingerprints of fixed size, 8 bytes for each. It remembers for as many
 * bytes of later evictions as it is asked about, forgets the oldest of a bucket first, and is wrong about one in many
 * millions. Pure. */
#ifndef CACHE_GHOST_H
#define CACHE_GHOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ghost;

/* `slots` is how many it can remember at best; rounded up to a power of two. */
struct ghost *ghost_create(size_t slots);
void ghost_destroy(struct ghost **gp);

/* Something of that hash and size was put out. */
void ghost_add(struct ghost *g, uint64_t hash, size_t bytes);
/* Whether it was put out within the last `window_bytes` of what was put out; forgets it. */
bool ghost_take(struct ghost *g, uint64_t hash, size_t window_bytes);

#endif
