/* Widths are counted in characters of UTF-8, not bytes; wide and combining ones are taken for one column, which is
 * wrong for some names and harmless. */
#include "gateway/ctl/grid.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define GRID_MAGIC 0x6e1dce11u
#define CELL_BYTES 256u
#define GAP        2u

struct grid {
    uint32_t magic;
    size_t column_count;
    size_t widths[GRID_COLUMNS_MAX];
    char **cells;
    size_t cell_count, cell_cap;
};

struct grid *grid_create(size_t column_count)
{
    struct grid *g;

    ASSERT(column_count > 0 && column_count <= GRID_COLUMNS_MAX);
    OBJ_NEW(g, GRID_MAGIC);
    g->column_count = column_count;
    return g;
}

static size_t width_of(const char *s)
{
    size_t width = 0;

    for (; *s != '\0'; s++)
        if (((unsigned char)*s & 0xc0u) != 0x80u) /* continuation bytes take no column */
            width++;
    return width;
}

void grid_cell(struct grid *g, const char *fmt, ...)
{
    size_t column, width;
    char text[CELL_BYTES];
    va_list ap;

    CHECK_OBJ(g, GRID_MAGIC);
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    for (char *s = text; *s != '\0'; s++)
        if ((unsigned char)*s < ' ' || *s == 0x7f)
            *s = '?';
    if (g->cell_count == g->cell_cap) {
        g->cell_cap = g->cell_cap == 0 ? 64 : g->cell_cap * 2;
        g->cells = mem_realloc(g->cells, g->cell_cap * sizeof *g->cells);
    }
    column = g->cell_count % g->column_count;
    width = width_of(text);
    if (width > g->widths[column])
        g->widths[column] = width;
    g->cells[g->cell_count++] = mem_strdup(text);
}

void grid_print(const struct grid *g, const char *indent, struct strbuf *out)
{
    CHECK_OBJ(g, GRID_MAGIC);
    for (size_t row = 0; row + g->column_count <= g->cell_count; row += g->column_count) {
        size_t owed = 0; /* blanks are written only when something follows */

        strbuf_puts(out, indent);
        for (size_t i = 0; i < g->column_count; i++) {
            const char *cell = g->cells[row + i];

            if (cell[0] != '\0') {
                strbuf_printf(out, "%*s%s", (int)owed, "", cell);
                owed = 0;
            }
            owed += g->widths[i] - width_of(cell) + GAP;
        }
        strbuf_puts(out, "\n");
    }
}

void grid_destroy(struct grid **gp)
{
    struct grid *g = *gp;

    CHECK_OBJ(g, GRID_MAGIC);
    for (size_t i = 0; i < g->cell_count; i++)
        mem_free(g->cells[i]);
    mem_free(g->cells);
    OBJ_FREE(gp, GRID_MAGIC);
}
