/* Changes of rows, told to the channels that asked for them as Supabase Realtime does: a binding names event, schema,
 * table and perhaps a filter, and has an id that follows from these alone, so that it is the same in every region. */
#ifndef REGION_CHANGES_H
#define REGION_CHANGES_H

#include <jansson.h>
#include <stddef.h>

struct region;

/* What the reply to a join says of its config's postgres_changes: each with its id; new reference, an array. */
json_t *changes_bindings(const json_t *config);

/* One row was stored (`row`), changed (both) or dropped (`before` alone; NULL where there is none). To the channels of
 * the whole cluster. */
void changes_tell(struct region *r, const char *table, const json_t *row, const json_t *before);
/* The same to this region's, with the `data` of the frame as another region has written it. */
void changes_deliver(struct region *r, const char *data, size_t len);

#endif
