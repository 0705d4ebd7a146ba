/* Entries as Redis holds them: a versioned, length-prefixed form with a checksum, the body compressed by zstd above a
 * size. What comes back may be anything - another version, another program's, cut, altered - and is either the entry
 * that was stored or nothing. Pure, but for the states of zstd that it keeps from call to call.
 *
 * Layout, all numbers little-endian:
 *    0  "TgCe"                      what it is
 *    4  u32 CACHE_CODEC_VERSION     of everything behind; another one is no entry
 *    8  u64 checksum                SipHash-2-4 with a fixed key over byte 16 to the end: it finds damage, and is no
 *                                   proof of who wrote it
 *   16  u32 flags                   1: the body is one frame of zstd; a bit that is not known is no entry
 *   20  u32 status, field count, tag count
 *   32  u32 lengths of key, host, path, query, of the body as it is stored here; 2^32 - 1: not there
 *   52  u64 length of the body
 *   60  u64 wall clock, age then    when it was written, ms
 *   76  u64 fresh, stale, error, down, keep, ms
 *  116  u64 position: ms, seq
 *  132  u32 length of name, of value: per field; then u32 length: per tag
 *       texts: key, host, path, query, each field's name and value, each tag; then the body, to the end */
#ifndef CACHE_CODEC_H
#define CACHE_CODEC_H

#include "base/buf.h"
#include "cache/entry.h"

#define CACHE_CODEC_VERSION          1u
#define CACHE_CODEC_ZSTD_ABOVE_BYTES 1024u

/* One per process: it costs a million bytes or so once used, and creating it per call would cost more than what it
 * does. */
struct cache_codec;

struct cache_codec *cache_codec_create(void);
void cache_codec_destroy(struct cache_codec **cp);

/* Adds the encoded entry to `out`, which fails beyond its bound. `now_ms` (loop time) for the age; `wall_ms` is noted
 * as well, so that a reader can take the older of two opinions on the age (see cache_decode). Bodies in other codings
 * and position.local stay here: they mean something to this process alone. */
void cache_encode(struct cache_codec *c, struct strbuf *out, const struct cache_entry *e, int64_t now_ms,
                  int64_t wall_ms);

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
 * wall clocks and what Redis' clock say; what is older than its whole life is no good. */
struct cache_entry *cache_decode(struct cache_codec *c, const void *data, size_t len,
                                 const struct cache_decode_how *how, const char **why);

#endif
