/* A stored answer (RFC 9111 section 3): immutable and ref-counted, so that those who are sending it are not in the way
 * of those who replace it. What is made of it later - its body in other codings - is made once and changes nothing of
 * what it says.
 *
 * Ages count from `born_ms`, the loop time at which the answer was as good as fresh from its origin. The entry itself
 * knows no other clock: a wall clock that jumps makes nothing older or younger. */
#ifndef CACHE_ENTRY_H
#define CACHE_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "gateway/http/head.h"

#define CACHE_TAGS_MAX      64u   /* of one entry */
#define CACHE_TAG_BYTES_MAX 128u  /* of one tag */
#define CACHE_KEY_BYTES_MAX 8192u /* a request with more to tell it apart by is not cached */

/* How a body is coded (RFC 9110 section 8.4.1), as far as it matters here. CODING_OTHER is one that the gateway does
 * not make, or several at once: such a body is served as it is and never coded again. */
enum cache_coding { CODING_IDENTITY = 0, CODING_GZIP, CODING_BR, CODING_ZSTD, CODING_OTHER, CODING_COUNT };
const char *cache_coding_text(enum cache_coding c); /* as Content-Encoding has it; NULL for CODING_OTHER */

/* How long an entry serves; all but the first begin where it stops being fresh, and run at the same time. */
struct cache_life {
    int64_t fresh_ms;
    int64_t stale_ms; /* served at once, and refreshed behind the client's back (RFC 5861 section 3) */
    int64_t error_ms; /* served when the origin fails (RFC 5861 section 4) */
    int64_t down_ms;  /* served while no origin is up */
    int64_t keep_ms;  /* kept for its validators, and for what route policies need it for */
};
/* From birth until it is of no use to anybody. */
int64_t cache_life_whole_ms(const struct cache_life *l);

/* How much of the purge log was known when the fetch began: what was purged later than that is purged here too. The
 * first two are the log's own ids and the same for all gateways; `local` counts what this process heard before the log
 * had it: from 1 on, and 0 is what other processes stored. */
struct cache_position {
    uint64_t ms;
    uint64_t seq;
    uint64_t local;
};
int cache_position_compare(const struct cache_position *a, const struct cache_position *b); /* <0, 0, >0 */

#define CACHE_ENTRY_MAGIC 0x1e7c0de9u
struct cache_entry {
    uint32_t magic;
    uint32_t refs;
    uint16_t status;
    enum cache_coding coding; /* of `body`, as its Content-Encoding says */
    uint32_t field_count;
    uint32_t tag_count;
    struct http_field *fields; /* end-to-end fields of the answer, without those that are said anew each time */
    struct http_view *tags;
    struct http_view written; /* all fields as HTTP/1 writes them; data NULL: they cannot be */
    struct http_view key;
    struct http_view host, path, query; /* of the request, as purges name them */
    struct http_view etag;              /* data NULL: none that is one; with its quotes and W/ */
    struct http_view last_modified;     /* data NULL: none that is a date */
    int64_t last_modified_wall_ms;      /* -1: none */
    struct cache_life life;
    struct cache_position position;
    int64_t born_ms;
    struct slice body;
    struct slice texts;                  /* what the views look into */
    struct slice coded[CODING_COUNT];    /* the body in other codings, made on first use; data NULL: not yet */
    bool is_coded_in_vain[CODING_COUNT]; /* tried, and not worth it */
    size_t size_bytes;                   /* what it counts for, other codings not included */
};

/* What an entry is made of. All is copied but the body, of which a reference is taken. */
struct cache_draft {
    uint16_t status;
    const struct http_field *fields; /* all fields of the answer; those that are not stored are left out */
    uint32_t field_count;
    const struct http_view *tags;
    uint32_t tag_count;
    struct http_view key;
    struct http_view host, path, query;
    struct cache_life life;
    struct cache_position position;
    int64_t born_ms;
    struct slice body;
};

/* One reference for the caller. Left out of the fields: what belongs to a connection (Connection and all it names,
 * Keep-Alive, TE, Trailer, Transfer-Encoding, Upgrade, Proxy-*), Content-Length, Age and X-Request-Id (said
 * anew each time), Set-Cookie, and the fields that carried tags. The draft has at most HTTP_ROOM_FIELDS fields,
 * CACHE_TAGS_MAX tags and CACHE_KEY_BYTES_MAX of key (asserted: who reads drafts off a wire checks first). A body that
 * is a small part of its block is copied after all, so that what is counted is what is held. */
struct cache_entry *cache_entry_create(const struct cache_draft *d);
/* What a 304 makes of an entry, as a new one, with one reference for the caller (RFC 9111 sections 3.2 and 4.3.4): its
 * fields updated by those of `fields` - but for those that are never stored, Content-Encoding and Content-Range -, the
 * same body in all codings it was made in, the same tags (they are about the body). Fields beyond HTTP_ROOM_FIELDS in
 * all are not added. */
struct cache_entry *cache_entry_update(const struct cache_entry *old, const struct http_field *fields,
                                       uint32_t field_count, const struct cache_life *life,
                                       const struct cache_position *position, int64_t born_ms);
struct cache_entry *cache_entry_ref(struct cache_entry *e);
void cache_entry_unref(struct cache_entry **ep);

/* At that loop time. */
int64_t cache_entry_age_ms(const struct cache_entry *e, int64_t now_ms); /* never negative */

#endif
