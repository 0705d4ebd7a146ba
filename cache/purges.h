/* What was purged: the newest purge of each tag, URL and prefix, by position in the purge log. An entry is purged when
 * one of them names it and is newer than what its fetch knew of (entry->position). Nothing is walked when a purge
 * comes: entries are checked when they are used, once per purge that happened since (see cache/memory.c), and what
 * other processes stored is checked the same way when it arrives.
 *
 * Bounded: when CACHE_PURGES_MAX tags, URLs and prefixes (or CACHE_PURGE_PREFIXES_MAX prefixes) are known, the one
 * purged the longest ago is forgotten, and all entries from before its purges count as purged (as softly, or hard, as
 * it was). Pure. */
#ifndef CACHE_PURGES_H
#define CACHE_PURGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/entry.h"

#define CACHE_PURGES_MAX         4096u
#define CACHE_PURGE_PREFIXES_MAX 256u /* each entry that is looked at anew is compared with all of them */
#define CACHE_PURGE_TEXT_BYTES   1024u

enum cache_purge_kind { PURGE_ALL = 0, PURGE_TAG, PURGE_URL, PURGE_PREFIX, PURGE_KIND_COUNT };
const char *cache_purge_kind_text(enum cache_purge_kind k); /* all, tag, url, prefix */

/* One purge, as it travels between processes. `text`: a tag; or host and path with or without a query
 * ("example.com/rest/v1/cars?select=*"; without a host, "/rest/..." is meant at every host, and without a port at every
 * port). A URL without a query purges all its queries; the order of the parameters in one makes no difference. A prefix
 * is one of the text as it is written. Empty for PURGE_ALL.
 *
 * `id` is made once, at random, by whoever makes the purge, and goes with it everywhere (also through the log): the
 * same purge is heard by a process directly and from the log, in either order, and must not count as two. */
struct cache_purge {
    uint64_t id;      /* 0: not known; of one heard directly: the log will not have it */
    uint32_t kind;    /* enum cache_purge_kind */
    uint32_t is_soft; /* to be taken for stale, not for gone */
    char text[CACHE_PURGE_TEXT_BYTES];
};
/* NULL when it makes sense, else a few static words about why not. For what comes from outside: the functions below
 * assert it. */
const char *cache_purge_check(const struct cache_purge *p);

struct cache_purges;

struct cache_purges *cache_purges_create(void);
void cache_purges_destroy(struct cache_purges **pp);

/* Where the log was read to: what a fetch that begins now knows of. */
struct cache_position cache_purges_position(const struct cache_purges *p);
/* Grows with each purge that may concern an entry that did not count as purged before: what was checked at the same
 * count need not be checked again. */
uint64_t cache_purges_count(const struct cache_purges *p);

/* A purge heard directly - this process's own, or one that was handed around -, not from the log: takes the next local
 * position. One whose id has been heard before, this way or from the log, changes nothing. */
void cache_purges_add(struct cache_purges *p, const struct cache_purge *what);
/* One that the log has, at its place there. Older ones than known are no harm. */
void cache_purges_add_at(struct cache_purges *p, const struct cache_purge *what, uint64_t ms, uint64_t seq);
/* The log was read to here, whatever was in it. */
void cache_purges_reach(struct cache_purges *p, uint64_t ms, uint64_t seq);
/* The log is not the one it was, or parts of it were missed: all that is known to have been stored before `ms`-`seq` is
 * not to be trusted, and all that this process has stored so far. Forgets what was purged before; purges of our own
 * that the log does not have yet are to be sent before its place is taken. */
void cache_purges_lost(struct cache_purges *p, uint64_t ms, uint64_t seq);

enum cache_purged { CACHE_NOT_PURGED = 0, CACHE_PURGED_SOFT, CACHE_PURGED_HARD };
/* Hard wins. What other processes stored (position.local 0) is also purged by what was heard directly and the log does
 * not have yet: it may be older, and a reader must see his own write. Once it is accepted here, it is to be given this
 * process's local position (cache_memory_put() does). */
enum cache_purged cache_purges_judge(const struct cache_purges *p, const struct cache_entry *e);

#endif
