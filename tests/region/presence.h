/* Who is present on a topic, anywhere in the cluster. Every entry belongs to one channel of one region; the regions
 * tell each other of changes, and what a dead region left behind is cleared when its heartbeat has been missing for a
 * while. */
#ifndef REGION_PRESENCE_H
#define REGION_PRESENCE_H

#include <jansson.h>

#include "base/list.h"
#include "tests/region/hub.h"

#define PRESENCE_MAGIC 0x4e619e0au

struct presence {
    uint32_t magic;
    struct list link; /* topic->presences */
    char *key;        /* who */
    char *ref;        /* phx_ref: unique in the cluster */
    char *node;       /* the region it came from, "" for this one */
    json_t *meta;
    struct channel *channel; /* NULL: of another region */
};

/* Of this region's channels; told to subscribers and to the cluster. Tracking again replaces the meta. */
void presence_track(struct hub *h, struct channel *c, json_t *meta);
void presence_untrack(struct hub *h, struct channel *c);
/* {key: {metas: [...]}}; new reference. */
json_t *presence_state(const struct topic *t);
void presence_forget_topic(struct topic *t);

/* The cluster's side. An entry is {"topic", "key", "ref", "meta"}; a leave needs no meta. */
json_t *presence_entries(const struct hub *h); /* this region's own, as an array; new reference */
void presence_apply(struct hub *h, const char *node, const json_t *joins, const json_t *leaves);
void presence_drop_node(struct hub *h, const char *node);

#endif
