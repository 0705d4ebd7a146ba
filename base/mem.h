/* Allocation that cannot fail: out of memory ends the process and the supervisor restarts it. What is
 * allocated on behalf of a peer is bounded by the caller's own limits, never here. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>
#include <string.h>

#include "base/assert.h"

/* `size` zeroed bytes; never NULL. Release with mem_free(). */
void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull, warn_unused_result));
/* The same, but only the first `zeroed` bytes are: for what ends in room that is seldom used. */
void *mem_alloc_begun(size_t size, size_t zeroed) __attribute__((malloc, returns_nonnull, warn_unused_result));
/* The same in the memory of an object of the same kind that is gone. */
void mem_begin_again(void *p, size_t zeroed);
void *mem_alloc_array(size_t count, size_t size) __attribute__((malloc, returns_nonnull, warn_unused_result));
/* Grows or shrinks like realloc(3); new bytes are not zeroed. */
void *mem_realloc(void *p, size_t size) __attribute__((returns_nonnull, warn_unused_result));
void mem_free(void *p);
char *mem_strdup(const char *s) __attribute__((returns_nonnull, warn_unused_result));
/* Copies `len` bytes and adds a NUL. */
char *mem_strndup(const char *s, size_t len) __attribute__((returns_nonnull, warn_unused_result));
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2), returns_nonnull, warn_unused_result));
/* Overwrites secrets in a way the compiler keeps. */
void mem_wipe(void *p, size_t len);

/* Heap objects with magic: NEW sets it, FREE checks it, clears it and nulls the caller's pointer. */
#define OBJ_NEW(p, m) ((p) = mem_alloc(sizeof *(p)), (p)->magic = (m))
/* OBJ_NEW of a struct whose last member is a struct http_head or the like: what it holds behind `tail` is not zeroed.
 */
#define OBJ_NEW_UP_TO(p, m, tail)                                                                                      \
    ((p) = mem_alloc_begun(sizeof *(p), offsetof(__typeof__(*(p)), tail)), (p)->magic = (m))
/* The same in the memory of one that is gone. */
#define OBJ_AGAIN_UP_TO(p, m, tail) (mem_begin_again((p), offsetof(__typeof__(*(p)), tail)), (p)->magic = (m))
#define OBJ_FREE(pp, m)                                                                                                \
    do {                                                                                                               \
        CHECK_OBJ(*(pp), m);                                                                                           \
        (*(pp))->magic = 0;                                                                                            \
        mem_free(*(pp));                                                                                               \
        *(pp) = NULL;                                                                                                  \
    } while (0)

#endif
