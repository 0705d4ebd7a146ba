/* Memory that is given back all at once: a chain of chunks, bumped through. A configuration lives in one arena, what
 * is needed only while reading it in another. */
#ifndef CONF_ARENA_H
#define CONF_ARENA_H

#include <stddef.h>
#include <stdint.h>

#define ARENA_MAGIC 0xa2e7a019u

struct arena_chunk;

struct arena {
    uint32_t magic;
    struct arena_chunk *last;
    size_t used_bytes; /* given out so far */
};

void arena_init(struct arena *a);
/* Frees everything that came from the arena. */
void arena_fini(struct arena *a);

/* Zeroed and aligned for any type; never NULL, valid until arena_fini. A `count` of 0 gives a valid pointer. */
void *arena_alloc(struct arena *a, size_t count, size_t size);
/* A copy of `len` bytes with a NUL behind it. */
char *arena_strndup(struct arena *a, const char *s, size_t len);
char *arena_strdup(struct arena *a, const char *s);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
