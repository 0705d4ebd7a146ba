/* Members of a JSON object as words and as cells of a grid. What is missing, or is of another type, shows as "-": a
 * gateway of another version may send more or less than is known here. */
#ifndef GATEWAY_CTL_CELLS_H
#define GATEWAY_CTL_CELLS_H

#include <jansson.h>
#include <stdint.h>

#include "gateway/ctl/grid.h"

#define AMOUNT_BYTES 32u

const char *text_of(const json_t *object, const char *key);
int64_t number_of(const json_t *object, const char *key); /* 0: none */
/* The two largest units of a time span: "3d 4h", "12m 5s", "850ms". */
const char *span_text(int64_t ms, char out[AMOUNT_BYTES]);

void cell_text(struct grid *g, const json_t *object, const char *key);
void cell_count(struct grid *g, const json_t *object, const char *key);
void cell_span(struct grid *g, const json_t *object, const char *key);
/* A server's or a target's "state", and what an operator or its latency adds to it. */
void cell_state(struct grid *g, const json_t *server);
/* The words of an array of strings, with blanks between. */
void cell_words(struct grid *g, const json_t *words);

/* A grid with its first row. */
struct grid *cells_begin(const char *const *titles, size_t count);
#define GRID_OF(titles) (sizeof(titles) / sizeof((titles)[0]))

/* Prints the grid after an empty line and ends it. */
void cells_finish(struct grid **g, const char *indent, struct strbuf *out);
/* A line of free text; what is not printable is kept out as in the grids. */
void cells_line(struct strbuf *out, const char *indent, const char *text);

#endif
