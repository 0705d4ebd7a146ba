/* Redis holding anything under our keys. The first two bytes say how it is read; the rest is what was stored. Its mark,
 * version and checksum are made right - a fuzzer that had to find them would see nothing behind them - unless a bit
 * says not to. Laws: an entry or a reason, never both; an entry is of the key, not older than its life, not longer than
 * allowed, and could be sent to a client as it is; written again and read again it is the same, and stays so. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "cache/codec.h"
#include "tests/unit/cache/stored.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define NOW_MS     INT64_C(1000000)
#define WALL_MS    INT64_C(1800000000000)
#define STORED_MAX ((size_t)4 << 20)
#define KEY_FROM   ((size_t)STORED_FIELD_LENGTHS) /* and what is before it: lengths of fields and tags */

static void check_text(struct http_view v)
{
    for (size_t i = 0; i < v.len; i++)
        ASSERT(v.data[i] != '\r' && v.data[i] != '\n' && v.data[i] != '\0');
}

static void check_entry(const struct cache_entry *e, const struct cache_decode_how *how)
{
    const int64_t age_ms = cache_entry_age_ms(e, how->now_ms);
    ASSERT(e->status >= 200 && e->status <= 599);
    ASSERT(e->status != 206 && e->status != 304);
    ASSERT(e->body.len <= how->max_bytes);
    ASSERT(e->key.len == how->key_len && memcmp(e->key.data, how->key, e->key.len) == 0);
    ASSERT(age_ms >= 0 && age_ms < cache_life_whole_ms(&e->life));
    ASSERT(e->field_count <= HTTP_ROOM_FIELDS && e->tag_count <= CACHE_TAGS_MAX && e->position.local == 0);
    for (uint32_t i = 0; i < e->field_count; i++) {
        ASSERT(http_is_token(e->fields[i].name));
        ASSERT(!http_view_is_nocase(e->fields[i].name, "set-cookie"));
        check_text(e->fields[i].value);
    }
    for (uint32_t i = 0; i < e->tag_count; i++)
        check_text(e->tags[i]);
}

static void check_same(const struct cache_entry *a, const struct cache_entry *b)
{
    ASSERT(a->status == b->status && a->coding == b->coding);
    ASSERT(a->field_count == b->field_count && a->tag_count == b->tag_count && a->born_ms == b->born_ms);
    ASSERT(a->texts.len == b->texts.len && memcmp(a->texts.data, b->texts.data, a->texts.len) == 0);
    ASSERT(a->query.len == b->query.len && (a->query.data == NULL) == (b->query.data == NULL));
    ASSERT(memcmp(&a->life, &b->life, sizeof a->life) == 0);
    ASSERT(cache_position_compare(&a->position, &b->position) == 0);
    ASSERT(a->body.len == b->body.len);
    ASSERT(a->body.len == 0 || memcmp(a->body.data, b->body.data, a->body.len) == 0);
}

static void check_again(struct cache_codec *c, const struct cache_entry *e, const struct cache_decode_how *first)
{
    struct cache_decode_how how = *first;
    const char *why = NULL;
    struct strbuf once, twice;
    how.wall_ms = WALL_MS;
    how.left_ms = -1;
    strbuf_init(&once, STORED_MAX);
    strbuf_init(&twice, STORED_MAX);
    cache_encode(c, &once, e, how.now_ms, WALL_MS);
    ASSERT(!once.failed);
    struct cache_entry *again = cache_decode(c, once.data, once.len, &how, &why);
    ASSERT(again != NULL && why == NULL);
    check_same(e, again);
    cache_encode(c, &twice, again, how.now_ms, WALL_MS);
    ASSERT(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
    cache_entry_unref(&again);
    strbuf_fini(&twice);
    strbuf_fini(&once);
}

/* The key that is stored there, as if it were the one that is asked for. */
static void use_stored_key(struct cache_decode_how *how, const char *stored, size_t len)
{
    const uint64_t from = KEY_FROM + (uint64_t)stored_u32(stored, STORED_FIELD_COUNT) * 8 +
                          (uint64_t)stored_u32(stored, STORED_TAG_COUNT) * 4;
    const uint32_t key_len = stored_u32(stored, STORED_KEY_BYTES);
    if (from <= len && key_len <= len - from) {
        how->key = stored + from;
        how->key_len = key_len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const int64_t lefts_ms[] = {-1, 0, 1000, 60000, INT64_MAX};
    if (len < 2)
        return 0;
    const uint8_t choice = data[0], moment = data[1];
    struct cache_codec *c = cache_codec_create();
    char *stored = mem_strndup((const char *)data + 2, len - 2);
    len -= 2;
    struct cache_decode_how how = {.key = "k",
                                   .key_len = 1,
                                   .now_ms = NOW_MS,
                                   .wall_ms = WALL_MS + (moment >> 3) * INT64_C(1000),
                                   .left_ms = lefts_ms[(moment & 7u) % (sizeof lefts_ms / sizeof *lefts_ms)],
                                   .max_bytes = (choice & 2) != 0 ? 4096 : 1u << 20};
    if ((choice & 1) == 0 && len >= KEY_FROM) {
        memcpy(stored, "TgCe", 4);
        stored_put_u32(stored, STORED_VERSION, CACHE_CODEC_VERSION);
        stored_seal(stored, len);
        use_stored_key(&how, stored, len);
    }
    const char *why = NULL;
    struct cache_entry *e = cache_decode(c, stored, len, &how, &why);
    ASSERT((e == NULL) == (why != NULL));
    if (e != NULL) {
        check_entry(e, &how);
        check_again(c, e, &how);
        cache_entry_unref(&e);
    }
    mem_free(stored);
    cache_codec_destroy(&c);
    return 0;
}
