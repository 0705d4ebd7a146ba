/* Text in a chain of blocks. A block is filled up and left for the next one; what is too long for any block gets one of
 * its own. Most requests need a few hundred bytes: one block. */
#include "gateway/http/texts.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define TEXTS_BLOCK_MAGIC 0x7e47b10cu
#define BLOCK_BYTES       1000u /* with its header and malloc's own, about a kibibyte */

struct texts_block {
    uint32_t magic;
    struct texts_block *before;
    size_t used_bytes;
    size_t cap_bytes;
    char data[];
};

void http_texts_init(struct http_texts *t, size_t max_bytes)
{
    *t = (struct http_texts){.max_bytes = max_bytes};
}

void http_texts_fini(struct http_texts *t)
{
    while (t->last != NULL) {
        struct texts_block *b = t->last;
        t->last = b->before;
        OBJ_FREE(&b, TEXTS_BLOCK_MAGIC);
    }
    t->used_bytes = 0;
}

static struct texts_block *block_with(struct http_texts *t, size_t len)
{
    struct texts_block *b = t->last;
    if (b != NULL && b->cap_bytes - b->used_bytes >= len)
        return b;
    const size_t cap_bytes = len > BLOCK_BYTES ? len : BLOCK_BYTES;
    b = mem_realloc(NULL, sizeof *b + cap_bytes);
    *b = (struct texts_block){.magic = TEXTS_BLOCK_MAGIC, .before = t->last, .cap_bytes = cap_bytes};
    t->last = b;
    return b;
}

char *http_texts_room(struct http_texts *t, size_t len)
{
    if (t->failed || len > t->max_bytes - t->used_bytes) {
        t->failed = true;
        return NULL;
    }
    struct texts_block *b = block_with(t, len);
    CHECK_OBJ(b, TEXTS_BLOCK_MAGIC);
    char *room = b->data + b->used_bytes;
    b->used_bytes += len;
    t->used_bytes += len;
    return room;
}

struct http_view http_texts_add(struct http_texts *t, const void *data, size_t len)
{
    return http_texts_join(t, &(struct http_view){.data = data, .len = len}, 1);
}

struct http_view http_texts_copy(struct http_texts *t, struct http_view v)
{
    return v.data != NULL ? http_texts_join(t, &v, 1) : v;
}

struct http_view http_texts_printf(struct http_texts *t, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    const int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    ASSERT(len >= 0);
    char *room = http_texts_room(t, (size_t)len + 1); /* and the NUL that vsnprintf writes */
    if (room != NULL)
        (void)vsnprintf(room, (size_t)len + 1, fmt, again);
    va_end(again);
    return (struct http_view){.data = room, .len = room != NULL ? (size_t)len : 0};
}

struct http_view http_texts_join(struct http_texts *t, const struct http_view *pieces, size_t count)
{
    size_t len = 0;
    for (size_t i = 0; i < count; i++)
        len += pieces[i].len;
    char *room = http_texts_room(t, len);
    if (room == NULL)
        return (struct http_view){.data = NULL};
    struct http_view all = {.data = room, .len = len};
    for (size_t i = 0; i < count; i++) {
        if (pieces[i].len > 0)
            memcpy(room, pieces[i].data, pieces[i].len);
        room += pieces[i].len;
    }
    return all;
}
