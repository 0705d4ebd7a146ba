/* Allocation that ends the process instead of failing. Going on without memory means error paths nobody has ever
 * run; a worker that dies is back within a second. */
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* The C library may return NULL for zero bytes; our callers never see NULL. */
static size_t at_least_one(size_t size)
{
    return size > 0 ? size : 1;
}

/* What the C library keeps at hand goes up to this size, but its calloc(3) does not look there. */
#define AT_HAND_BYTES 1032u

void *mem_alloc(size_t size)
{
    void *p = size <= AT_HAND_BYTES ? realloc(NULL, at_least_one(size)) : calloc(1, size);

    ASSERT(p != NULL && "out of memory");
    return size <= AT_HAND_BYTES ? memset(p, 0, size) : p;
}

void *mem_alloc_begun(size_t size, size_t zeroed)
{
    ASSERT(zeroed <= size);
    return memset(mem_realloc(NULL, size), 0, zeroed);
}

void mem_begin_again(void *p, size_t zeroed)
{
    (void)memset(p, 0, zeroed);
}

void *mem_alloc_array(size_t count, size_t size)
{
    void *p = calloc(at_least_one(count), at_least_one(size)); /* calloc(3) checks the product */

    ASSERT(p != NULL && "out of memory");
    return p;
}

void *mem_realloc(void *p, size_t size)
{
    void *q = realloc(p, at_least_one(size));

    ASSERT(q != NULL && "out of memory");
    return q;
}

void mem_free(void *p)
{
    free(p);
}

char *mem_strdup(const char *s)
{
    return mem_strndup(s, strlen(s));
}

char *mem_strndup(const char *s, size_t len)
{
    ASSERT(len < SIZE_MAX);
    char *copy = mem_realloc(NULL, len + 1);

    if (len > 0)
        memcpy(copy, s, len);
    copy[len] = '\0';
    return copy;
}

char *mem_printf(const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    int len = vasprintf(&text, fmt, ap);
    va_end(ap);
    ASSERT(len >= 0 && "out of memory");
    return text;
}

void mem_wipe(void *p, size_t len)
{
    explicit_bzero(p, len);
}
