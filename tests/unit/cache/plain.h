/* A plain entry, in its stored form too, for tests of the codec. */
#ifndef TESTS_UNIT_CACHE_PLAIN_H
#define TESTS_UNIT_CACHE_PLAIN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "cache/codec.h"

#define PLAIN_NOW_MS  INT64_C(5000000)
#define PLAIN_WALL_MS INT64_C(1800000000000)
#define PLAIN_MAX     ((size_t)16 << 20)

#define PLAIN_KEY "1:r,3:GET,11:example.com"

/* One of each kind of part: two fields, two tags, a body of `len` bytes that shrinks. */
static inline struct cache_entry *plain_create(size_t len)
{
    const struct http_field fields[] = {{http_view_of("content-type"), http_view_of("application/json")},
                                        {http_view_of("etag"), http_view_of("\"v1\"")}};
    const struct http_view tags[] = {http_view_of("table:cars"), http_view_of("all")};
    struct block *b = block_create(len);
    memset(b->data, 'z', len);
    const struct cache_draft d = {.status = 200,
                                  .fields = fields,
                                  .field_count = 2,
                                  .tags = tags,
                                  .tag_count = 2,
                                  .key = http_view_of(PLAIN_KEY),
                                  .host = http_view_of("example.com"),
                                  .path = http_view_of("/cars"),
                                  .query = http_view_of("a=1"),
                                  .life = {.fresh_ms = 5000, .stale_ms = 60000, .keep_ms = 90000},
                                  .position = {.ms = 7, .seq = 8, .local = 9},
                                  .born_ms = PLAIN_NOW_MS - 1000,
                                  .body = {.data = b->data, .len = len, .owner = b}};
    struct cache_entry *e = cache_entry_create(&d);
    block_unref(&b);
    return e;
}

/* The same in stored form, for the caller to strbuf_fini(). */
static inline struct strbuf plain_stored(struct cache_codec *c, size_t body_len)
{
    struct strbuf out;
    struct cache_entry *e = plain_create(body_len);
    strbuf_init(&out, PLAIN_MAX);
    cache_encode(c, &out, e, PLAIN_NOW_MS, PLAIN_WALL_MS);
    assert_false(out.failed);
    cache_entry_unref(&e);
    return out;
}

static inline struct cache_decode_how plain_how(void)
{
    return (struct cache_decode_how){.key = PLAIN_KEY,
                                     .key_len = strlen(PLAIN_KEY),
                                     .now_ms = PLAIN_NOW_MS,
                                     .wall_ms = PLAIN_WALL_MS,
                                     .left_ms = -1,
                                     .max_bytes = PLAIN_MAX};
}

/* From a copy that is exactly as long, for a sanitizer to see the first byte too far. NULL: *why says it. */
static inline struct cache_entry *plain_decode(struct cache_codec *c, const void *data, size_t len, const char **why)
{
    const struct cache_decode_how how = plain_how();
    void *copy = mem_realloc(NULL, len > 0 ? len : 1);
    memcpy(copy, data, len);
    struct cache_entry *e = cache_decode(c, copy, len, &how, why);
    mem_free(copy);
    assert_true((e == NULL) == (*why != NULL));
    return e;
}

static inline void plain_refused(struct cache_codec *c, const struct strbuf *b, size_t len, const char *expected)
{
    const char *why = NULL;
    assert_null(plain_decode(c, b->data, len, &why));
    assert_string_equal(why, expected);
}

#endif
