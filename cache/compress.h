/* Bodies in other codings, made once per entry and kept with it: gzip (zlib), br (brotli), zstd.
 *
 * It happens inside a pass of the loop, so bodies longer than CACHE_COMPRESS_BYTES_MAX stay as they are, and so does
 * what gains less than a tenth. The same body always gives the same bytes. */
#ifndef CACHE_COMPRESS_H
#define CACHE_COMPRESS_H

#include "cache/entry.h"

#define CACHE_COMPRESS_BYTES_MAX (1u << 20)

/* One per process: the states of the compressors, which cost more to make than to use. */
struct cache_compress;

struct cache_compress *cache_compress_create(void);
void cache_compress_destroy(struct cache_compress **zp);

/* Whether an entry is of a kind that shrinks: a type of text, JSON, XML, JavaScript, SVG, WebAssembly, ...; not coded
 * already, long enough (`min_bytes`) and not too long; its answer is not no-transform, and says no digest of its bytes
 * that would be wrong afterwards. */
bool cache_compress_is_worth(const struct cache_entry *e, uint64_t min_bytes);
/* The entry's body in that coding, made if it is not there yet; data NULL when it cannot be had (for CODING_IDENTITY:
 * the body is coded). Borrowed from the entry. *made_bytes: how much memory was added by this call (0: none). */
struct slice cache_compress_get(struct cache_compress *z, struct cache_entry *e, enum cache_coding c,
                                size_t *made_bytes);

#endif
