/* Bump allocation. Chunks double up to a bound so that a small configuration costs one page and a large one few
 * calls; a request larger than a chunk gets a chunk of its own. Memory is wiped when it goes, because private keys are
 * part of a configuration. */
#include "conf/arena.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

#define CHUNK_FIRST_BYTES 4096u
#define CHUNK_MAX_BYTES   262144u

struct arena_chunk {
    struct arena_chunk *before;
    size_t cap_bytes;
    size_t used_bytes;
    max_align_t data[];
};

void arena_init(struct arena *a)
{
    *a = (struct arena){.magic = ARENA_MAGIC};
}

void arena_fini(struct arena *a)
{
    CHECK_OBJ(a, ARENA_MAGIC);
    while (a->last != NULL) {
        struct arena_chunk *c = a->last;
        a->last = c->before;
        mem_wipe(c->data, c->used_bytes);
        mem_free(c);
    }
    *a = (struct arena){0};
}

static struct arena_chunk *add_chunk(struct arena *a, size_t need_bytes)
{
    size_t cap_bytes = CHUNK_FIRST_BYTES;
    if (a->last != NULL && a->last->cap_bytes < CHUNK_MAX_BYTES)
        cap_bytes = a->last->cap_bytes * 2;
    else if (a->last != NULL)
        cap_bytes = CHUNK_MAX_BYTES;
    if (cap_bytes < need_bytes)
        cap_bytes = need_bytes;
    struct arena_chunk *c = mem_alloc(sizeof *c + cap_bytes);
    c->before = a->last;
    c->cap_bytes = cap_bytes;
    a->last = c;
    return c;
}

void *arena_alloc(struct arena *a, size_t count, size_t size)
{
    CHECK_OBJ(a, ARENA_MAGIC);
    ASSERT(size == 0 || count <= SIZE_MAX / 2 / size);
    const size_t align = _Alignof(max_align_t);
    size_t need = (count * size + align - 1) / align * align;
    if (need == 0)
        need = align;
    struct arena_chunk *c = a->last;
    if (c == NULL || c->cap_bytes - c->used_bytes < need)
        c = add_chunk(a, need);
    void *p = (char *)c->data + c->used_bytes;
    c->used_bytes += need;
    a->used_bytes += need;
    return p;
}

char *arena_strndup(struct arena *a, const char *s, size_t len)
{
    char *copy = arena_alloc(a, len + 1, 1);
    if (len > 0)
        memcpy(copy, s, len);
    return copy;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return arena_strndup(a, s, strlen(s));
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    ASSERT(len >= 0);
    char *text = arena_alloc(a, (size_t)len + 1, 1);
    (void)vsnprintf(text, (size_t)len + 1, fmt, again);
    va_end(again);
    return text;
}
