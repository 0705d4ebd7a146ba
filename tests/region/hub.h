/* Topics and who is on them. A topic lives while somebody is on it here or anybody is present on it anywhere in the
 * cluster. What is shouted on a topic goes to its channels here and, through the cluster, to those of the other
 * regions. */
#ifndef REGION_HUB_H
#define REGION_HUB_H

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"
#include "base/map.h"
#include "tests/region/wire.h"

#define HUB_MAGIC      0x4e61b006u
#define HUB_TOPICS_MAX 100000u

struct channel;
struct region;

struct topic {
    uint32_t magic;
    char *name;
    struct list channels;  /* struct channel.in_topic */
    struct list presences; /* struct presence.link */
};

struct hub {
    uint32_t magic;
    struct region *region;
    struct map *topics;
    struct list watching;    /* struct channel.in_watching: those to whom changes of rows flow */
    uint64_t presence_count; /* ever tracked here: numbers the phx_refs */
};

struct hub *hub_create(struct region *r);
void hub_destroy(struct hub **hp); /* no channels are left */

/* Finds or makes the topic; NULL when there are too many. */
struct topic *hub_topic(struct hub *h, const char *name);
/* Forgets the topic when nobody needs it any more. */
void hub_tidy(struct hub *h, struct topic *t);

/* To every channel of the topic in the cluster but `except` (may be NULL). */
void hub_shout(struct hub *h, const struct shout *s, const struct channel *except);
/* To those of this region only. */
void hub_deliver(struct hub *h, const struct shout *s, const struct channel *except);

#endif
