/* Conditions on rows as PostgREST writes them: a column, and "eq.7" and the like. Pure. */
#ifndef REGION_CONDITION_H
#define REGION_CONDITION_H

#include <jansson.h>
#include <stdbool.h>

/* True also when `condition` is none. */
bool condition_holds(const json_t *row, const char *column, const char *condition);
/* "column=condition" in one text; NULL or "" holds always. */
bool condition_text_holds(const json_t *row, const char *text);

#endif
