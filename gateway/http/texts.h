/* Text that is made on the way, for heads to look at: values of fields, targets, dates.
 *
 * What was added stays where it is until the end (blocks are chained, never moved), so views into it may be kept as
 * long as the texts. All of it together is bounded: once something does not fit, the texts are `failed`, later
 * additions give views without data, and the caller checks once at the end. */
#ifndef GATEWAY_HTTP_TEXTS_H
#define GATEWAY_HTTP_TEXTS_H

#include <stdbool.h>
#include <stddef.h>

#include "gateway/http/head.h"

struct texts_block;

struct http_texts {
    struct texts_block *last; /* NULL: nothing was added yet, and nothing is owned */
    size_t used_bytes;
    size_t max_bytes;
    bool failed;
};

void http_texts_init(struct http_texts *t, size_t max_bytes);
void http_texts_fini(struct http_texts *t); /* all views into it are dead */

/* `len` bytes to be written by the caller; NULL when they do not fit. */
char *http_texts_room(struct http_texts *t, size_t len);
struct http_view http_texts_add(struct http_texts *t, const void *data, size_t len);
struct http_view http_texts_copy(struct http_texts *t, struct http_view v); /* no data gives no data */
struct http_view http_texts_printf(struct http_texts *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The pieces in a row; those without data count as empty. */
struct http_view http_texts_join(struct http_texts *t, const struct http_view *pieces, size_t count);

#endif
