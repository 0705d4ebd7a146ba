/* What was purged: the newest purge of each tag, URL and prefix, by position in the purge log. An entry is purged when
 * one of them names it and is newer than what its fetch knew of (entry->position). Nothing is walked when a purge
 * comes: entries are checked when they are used, once per purge that happened since (see cache/memory.c), and what
 * other processes stored is checked the same way when it arrives.
 *
 * Bounded: when CACHE_PURGES_MAX purges are known the oldest are forgotten, and entries from before them count as
 * purged (`floor`). Pure. */
#ifndef CACHE_PURGES_H
#define CACHE_PURGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/entry.h"

#define CACHE_PURGES_MAX       4096u
#define CACHE_PURGE_TEXT_BYTES 1024u

enum cache_purge_kind { PURGE_ALL = 0, PURGE_TAG, PURGE_URL, PURGE_PREFIX, PURGE_KIND_COUNT };
const char *cache_purge_kind_text(enum cache_purge_kind k); /* all, tag, url, prefix */

/* One purge, as it travels between processes. `text`: a tag; or host and path with or without a query
 * ("example.com/rest/v1/cars?select=*"; without a host, "/rest/..." is meant at every host). A URL without a query
 * purges all its queries. A prefix is one of the text as it is written. Empty for PURGE_ALL. `id` is made once, at
 * random, by whoever makes the purge, and goes with it everywhere (also through the log): the same purge is heard by a
 * process directly and from the log, in either order, and must not count as two. */
struct cache_purge {
    uint64_t id;      /* 0: not known */
    uint32_t kind;    /* enum cache_purge_kind */
    uint32_t is_soft; /* to be taken for stale, not for gone */
    char text[CACHE_PURGE_TEXT_BYTES];
};
/* Whether it makes sense; a few static words when not. */
const char *cache_purge_check(const struct cache_purge *p);

struct cache_purges;

struct cache_purges *cache_purges_create(void);
void cache_purges_destroy(struct cache_purges **pp);

/* Where the log was read to: what a fetch that begins now knows of. */
struct cache_position cache_purges_position(const struct cache_purges *p);
/* Grows with each purge: what was checked at the same count need not be checked again. */
uint64_t cache_purges_count(const struct cache_purges *p);

/* A purge of this process's own, heard before the log has it: takes the next local position. */
void cache_purges_add(struct cache_purges *p, const struct cache_purge *what);
/* One that the log has, at its place there. Older ones than known are no harm. */
void cache_purges_add_at(struct cache_purges *p, const struct cache_purge *what, uint64_t ms, uint64_t seq);
/* The log was read to here, whatever was in it. */
void cache_purges_reach(struct cache_purges *p, uint64_t ms, uint64_t seq);
/* The log is not the one it was, or parts of it were missed: all that is known to have been stored before `ms`-`seq` is
 * not to be trusted. */
void cache_purges_lost(struct cache_purges *p, uint64_t ms, uint64_t seq);

enum cache_purged { CACHE_NOT_PURGED = 0, CACHE_PURGED_SOFT, CACHE_PURGED_HARD };
enum cache_purged cache_purges_judge(const struct cache_purges *p, const struct cache_entry *e);

#endif
