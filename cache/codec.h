/* Entries as Redis holds them: a versioned, length-prefixed form with a checksum, the body compressed by zstd above a
 * size. What comes back may be anything - another version, another program's, cut, altered - and is either the entry
 * that was stored or nothing. Pure. */
#ifndef CACHE_CODEC_H
#define CACHE_CODEC_H

#include "base/buf.h"
#include "cache/entry.h"

#define CACHE_CODEC_VERSION          1u
#define CACHE_CODEC_ZSTD_ABOVE_BYTES 1024u

/* Adds the encoded entry to `out`; strbuf fails beyond its bound. `now_ms` for the age; `wall_ms` is noted as well, so
 * that a reader can take the older of two opinions on the age (see cache_decode). */
void cache_encode(struct strbuf *out, const struct cache_entry *e, int64_t now_ms, int64_t wall_ms);

struct cache_decode_how {
    const char *key; /* the entry must be stored under this very key: 32 bits of luck or malice do not pass */
    size_t key_len;
    int64_t now_ms, wall_ms;
    /* How long Redis will keep it yet, by Redis' clock; -1: not known. The writer let it expire at the end of the
     * entry's whole life, so the difference is its age, whatever the wall clocks of gateways say. */
    int64_t left_ms;
    size_t max_bytes; /* of the body when it is decompressed: a bomb is no entry */
};
/* NULL when it is no good, with a static word in *why. One reference for the caller. The age is the greater of what the
 * wall clocks and what Redis' clock say. */
struct cache_entry *cache_decode(const void *data, size_t len, const struct cache_decode_how *how, const char **why);

#endif
