/* What a server does to channels of its own accord, on demand (POST /_channels?do=rate&topic=room:1): closing them,
 * with the words that Supabase Realtime has for it. */
#ifndef REGION_TROUBLE_H
#define REGION_TROUBLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct region;

/* Makes that trouble for every channel of the topic ("": of all). False when there is none of that name; *count: how
 * many channels it met. */
bool trouble_make(struct region *r, const char *name, const char *topic, size_t *count);
/* All channels of the region, see channel_json(); new reference, an array. */
json_t *trouble_channels(struct region *r);

#endif
