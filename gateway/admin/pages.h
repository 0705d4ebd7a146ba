/* The pages of the admin process: one row each, path to text. Everything is computed when asked for, from a
 * report_view; nothing is kept. */
#ifndef GATEWAY_ADMIN_PAGES_H
#define GATEWAY_ADMIN_PAGES_H

#include <stddef.h>

#include "gateway/report/report.h"

#define PAGE_TYPE_TEXT "text/plain; charset=utf-8"
#define PAGE_TYPE_JSON "application/json"

/* Adds the body to `out`; returns the HTTP status. */
typedef int page_fill_fn(const struct report_view *v, struct strbuf *out);

struct page {
    const char *path;
    const char *type;
    const char *about; /* one line, for the index */
    page_fill_fn *fill;
};

/* The page under exactly this path (no query), or NULL. */
const struct page *page_find(const char *path, size_t len);

#endif
