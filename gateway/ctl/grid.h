/* A table of text in columns just wide enough, for terminals. What is not printable shows as '?', so that nobody's name
 * can move the cursor. */
#ifndef GATEWAY_CTL_GRID_H
#define GATEWAY_CTL_GRID_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define GRID_COLUMNS_MAX 12u

struct grid; /* filled cell by cell, row after row */

struct grid *grid_create(size_t column_count);
void grid_cell(struct grid *g, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Adds all complete rows to `out`, each after `indent`, columns two blanks apart. */
void grid_print(const struct grid *g, const char *indent, struct strbuf *out);
void grid_destroy(struct grid **gp);

#endif
