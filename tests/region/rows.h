/* Tables of JSON rows, in memory or in Redis, where regions share them. Every row is an object with a number `id`. */
#ifndef REGION_ROWS_H
#define REGION_ROWS_H

#include <jansson.h>
#include <stdbool.h>

#define ROWS_TABLES_MAX    1000u
#define ROWS_PER_TABLE_MAX 50000u

struct region;
struct rows;

struct rows *rows_create(struct region *r, const char *redis_url); /* url NULL: memory; NULL when the url is none */
void rows_destroy(struct rows **rp);

/* `rows` is an array ordered by id, borrowed for the call, and NULL when the store could not be asked or is full. Each
 * runs exactly once, possibly before the function returns. */
typedef void rows_fn(void *arg, json_t *rows);

void rows_read(struct rows *r, const char *table, rows_fn *fn, void *arg);
/* Stores the objects of the array `rows` (borrowed); those without an id get one. The callback's rows have it. */
void rows_put(struct rows *r, const char *table, json_t *rows, rows_fn *fn, void *arg);
/* Takes the rows with those ids out. */
void rows_drop(struct rows *r, const char *table, json_t *rows, rows_fn *fn, void *arg);

#endif
