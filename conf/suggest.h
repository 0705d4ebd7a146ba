/* What to say about a key that does not exist. */
#ifndef CONF_SUGGEST_H
#define CONF_SUGGEST_H

#include "conf/arena.h"
#include "conf/schema.h"

/* Behind "unknown key, ": the nearest known key, where the key does exist, or all that exist here. `prefix` is "" or a
 * group with its dot. */
const char *suggest_instead(struct arena *a, enum schema_section section, const char *prefix, const char *key);
/* The keys of a section below the prefix, "a, b, c". */
const char *suggest_keys(struct arena *a, enum schema_section section, const char *prefix);

#endif
