/* Writing entries for Redis, and reading what Redis has.
 *
 * The hard part is that the reader may believe nothing: the checksum says that the bytes are as somebody wrote them,
 * not that they make sense. So every length is checked against what there is and against the limits of entries before
 * anything is allocated, every text against what may stand in a head that goes to clients, and the size of the body is
 * known - and bounded - before it is decompressed, so that a small value cannot become a large one.
 *
 * SipHash is the checksum because base has it and 64 bits of it miss damage less often than the 32 of a CRC do. */
#include "cache/codec.h"

#include <endian.h>
#include <string.h>

#include <zstd.h>

#include "base/map.h"
#include "base/mem.h"
#include "gateway/http/text.h"

#define CODEC_MAGIC 0xc0decac4u

static const char what_it_is[4] = {'T', 'g', 'C', 'e'};
static const uint8_t checksum_key[16] = "cached by a gate";

/* Places in the head (see cache/codec.h). */
#define CHECKSUM_AT 8u
#define CHECKED_AT  16u /* what the checksum is over begins here */
#define FLAGS_AT    16u
#define PACKED_AT   48u /* length of the body as it is stored */

#define FLAG_ZSTD      1u         /* the body is one frame of zstd */
#define NOT_THERE      UINT32_MAX /* length of a text that is not there, which is not the same as empty */
#define TEXT_BYTES_MAX 65536u     /* of any one text */

#define ZSTD_LEVEL 1 /* three times as fast as the usual level, for a tenth more bytes */

/* The longest life of RFC 9111 section 1.2.2, so that sums of them stay far from the end of the numbers, and a wall
 * clock that a sum of all may be added to. */
#define LIFE_MS_MAX ((uint64_t)1000 << 31)
#define AGE_MS_MAX  (2 * LIFE_MS_MAX) /* no whole life is longer, so cutting it off here makes nothing younger */
#define WALL_MS_MAX ((uint64_t)1 << 52)

struct cache_codec {
    uint32_t magic;
    ZSTD_CCtx *packer;
    ZSTD_DCtx *unpacker;
};

enum text { TEXT_KEY = 0, TEXT_HOST, TEXT_PATH, TEXT_QUERY, TEXT_COUNT };
enum time { TIME_WALL = 0, TIME_AGE, TIME_FRESH, TIME_STALE, TIME_ERROR, TIME_DOWN, TIME_KEEP, TIME_COUNT };

struct cache_codec *cache_codec_create(void)
{
    struct cache_codec *c;
    OBJ_NEW(c, CODEC_MAGIC);
    c->packer = ZSTD_createCCtx();
    c->unpacker = ZSTD_createDCtx();
    ASSERT(c->packer != NULL && c->unpacker != NULL);
    const size_t result = ZSTD_CCtx_setParameter(c->packer, ZSTD_c_compressionLevel, ZSTD_LEVEL);
    ASSERT(!ZSTD_isError(result));
    return c;
}

void cache_codec_destroy(struct cache_codec **cp)
{
    CHECK_OBJ(*cp, CODEC_MAGIC);
    (void)ZSTD_freeCCtx((*cp)->packer);
    (void)ZSTD_freeDCtx((*cp)->unpacker);
    OBJ_FREE(cp, CODEC_MAGIC);
}

/* ---- writing ---- */

static void add_u32(struct strbuf *out, uint64_t n)
{
    const uint32_t le = htole32((uint32_t)n);
    if (n > UINT32_MAX)
        out->failed = true;
    strbuf_add(out, &le, sizeof le);
}

static void add_u64(struct strbuf *out, uint64_t n)
{
    const uint64_t le = htole64(n);
    strbuf_add(out, &le, sizeof le);
}

/* A time as the reader will take it. */
static void add_ms(struct strbuf *out, int64_t ms, uint64_t max_ms)
{
    const uint64_t n = ms > 0 ? (uint64_t)ms : 0;
    add_u64(out, n < max_ms ? n : max_ms);
}

static void add_text_len(struct strbuf *out, struct http_view v)
{
    add_u32(out, v.data != NULL ? v.len : NOT_THERE);
}

static void add_text(struct strbuf *out, struct http_view v)
{
    if (v.data != NULL)
        strbuf_add(out, v.data, v.len);
}

static void add_head(struct strbuf *out, const struct cache_entry *e, int64_t now_ms, int64_t wall_ms)
{
    strbuf_add(out, what_it_is, sizeof what_it_is);
    add_u32(out, CACHE_CODEC_VERSION);
    add_u64(out, 0); /* the checksum, when all is there */
    add_u32(out, 0); /* no flags, until the body is packed */
    add_u32(out, e->status);
    add_u32(out, e->field_count);
    add_u32(out, e->tag_count);
    add_text_len(out, e->key);
    add_text_len(out, e->host);
    add_text_len(out, e->path);
    add_text_len(out, e->query);
    add_u32(out, e->body.len);
    add_u64(out, e->body.len);
    add_ms(out, wall_ms, WALL_MS_MAX);
    add_ms(out, cache_entry_age_ms(e, now_ms), AGE_MS_MAX);
    add_ms(out, e->life.fresh_ms, LIFE_MS_MAX);
    add_ms(out, e->life.stale_ms, LIFE_MS_MAX);
    add_ms(out, e->life.error_ms, LIFE_MS_MAX);
    add_ms(out, e->life.down_ms, LIFE_MS_MAX);
    add_ms(out, e->life.keep_ms, LIFE_MS_MAX);
    add_u64(out, e->position.ms);
    add_u64(out, e->position.seq);
}

static void add_texts(struct strbuf *out, const struct cache_entry *e)
{
    for (uint32_t i = 0; i < e->field_count; i++) {
        add_u32(out, e->fields[i].name.len);
        add_u32(out, e->fields[i].value.len);
    }
    for (uint32_t i = 0; i < e->tag_count; i++)
        add_u32(out, e->tags[i].len);
    add_text(out, e->key);
    add_text(out, e->host);
    add_text(out, e->path);
    add_text(out, e->query);
    for (uint32_t i = 0; i < e->field_count; i++) {
        add_text(out, e->fields[i].name);
        add_text(out, e->fields[i].value);
    }
    for (uint32_t i = 0; i < e->tag_count; i++)
        add_text(out, e->tags[i]);
}

/* Adds the body as one frame of zstd; false, and nothing was added, where that does not gain a tenth. */
static bool add_packed(struct cache_codec *c, struct strbuf *out, const struct cache_entry *e)
{
    if (out->failed || e->coding != CODING_IDENTITY || e->body.len <= CACHE_CODEC_ZSTD_ABOVE_BYTES ||
        e->is_coded_in_vain[CODING_ZSTD])
        return false;
    const struct slice *made = &e->coded[CODING_ZSTD];
    if (made->data != NULL) { /* made for a client (cache/compress.c), and as good here */
        strbuf_add(out, made->data, made->len);
        return true;
    }
    const size_t from = out->len;
    const size_t gainful = e->body.len - e->body.len / 10;
    const size_t room = out->max_bytes - from;
    const size_t cap = gainful < room ? gainful : room;
    char *to = strbuf_extend(out, cap);
    ASSERT(to != NULL);
    const size_t len = ZSTD_compress2(c->packer, to, cap, e->body.data, e->body.len);
    out->len = ZSTD_isError(len) ? from : from + len;
    out->data[out->len] = '\0';
    return !ZSTD_isError(len);
}

static void put_u32(char *at, uint32_t n)
{
    n = htole32(n);
    memcpy(at, &n, sizeof n);
}

void cache_encode(struct cache_codec *c, struct strbuf *out, const struct cache_entry *e, int64_t now_ms,
                  int64_t wall_ms)
{
    CHECK_OBJ(c, CODEC_MAGIC);
    CHECK_OBJ(e, CACHE_ENTRY_MAGIC);
    const size_t from = out->len;
    add_head(out, e, now_ms, wall_ms);
    add_texts(out, e);
    const size_t body_from = out->len;
    const bool is_packed = add_packed(c, out, e);
    if (!is_packed)
        strbuf_add(out, e->body.data, e->body.len);
    if (out->failed)
        return;
    char *head = out->data + from;
    if (is_packed) {
        put_u32(head + FLAGS_AT, FLAG_ZSTD);
        put_u32(head + PACKED_AT, (uint32_t)(out->len - body_from));
    }
    const uint64_t sum = htole64(siphash24(checksum_key, head + CHECKED_AT, out->len - from - CHECKED_AT));
    memcpy(head + CHECKSUM_AT, &sum, sizeof sum);
}

/* ---- reading ---- */

/* Reads on; once something was not there, everything is zero or empty and `is_short` stays. */
struct cursor {
    const uint8_t *at;
    size_t left;
    bool is_short;
};

static const uint8_t *take(struct cursor *c, size_t len)
{
    if (c->is_short || len > c->left) {
        c->is_short = true;
        return NULL;
    }
    const uint8_t *at = c->at;
    c->at += len;
    c->left -= len;
    return at;
}

static uint32_t take_u32(struct cursor *c)
{
    uint32_t n = 0;
    const uint8_t *at = take(c, sizeof n);
    if (at != NULL)
        memcpy(&n, at, sizeof n);
    return le32toh(n);
}

static uint64_t take_u64(struct cursor *c)
{
    uint64_t n = 0;
    const uint8_t *at = take(c, sizeof n);
    if (at != NULL)
        memcpy(&n, at, sizeof n);
    return le64toh(n);
}

static struct http_view take_text(struct cursor *c, uint32_t len)
{
    const uint8_t *at = len != NOT_THERE ? take(c, len) : NULL;
    return (struct http_view){.data = (const char *)at, .len = at != NULL ? len : 0};
}

/* What was read, all of it looking into the input. */
struct stored {
    uint32_t flags, status, field_count, tag_count;
    uint32_t packed_len; /* of the body as it is stored */
    uint32_t lens[TEXT_COUNT];
    uint64_t body_len;
    uint64_t times[TIME_COUNT];
    struct cache_position position;
    struct http_view texts[TEXT_COUNT];
    struct http_field fields[HTTP_ROOM_FIELDS];
    struct http_view tags[CACHE_TAGS_MAX];
    const uint8_t *packed;
};

/* NULL, or why these bytes are none that this version wrote. */
static const char *read_outside(struct cursor *c)
{
    const uint8_t *mark = take(c, sizeof what_it_is);
    const uint32_t version = take_u32(c);
    const uint64_t sum = take_u64(c);
    if (c->is_short || memcmp(mark, what_it_is, sizeof what_it_is) != 0)
        return "foreign";
    if (version != CACHE_CODEC_VERSION)
        return "version";
    return sum == siphash24(checksum_key, c->at, c->left) ? NULL : "damaged";
}

static void read_head(struct stored *s, struct cursor *c)
{
    s->flags = take_u32(c);
    s->status = take_u32(c);
    s->field_count = take_u32(c);
    s->tag_count = take_u32(c);
    for (size_t i = 0; i < TEXT_COUNT; i++)
        s->lens[i] = take_u32(c);
    s->packed_len = take_u32(c);
    s->body_len = take_u64(c);
    for (size_t i = 0; i < TIME_COUNT; i++)
        s->times[i] = take_u64(c);
    s->position = (struct cache_position){.ms = take_u64(c)};
    s->position.seq = take_u64(c);
}

/* Counts are within the limits by now. The lengths of fields and tags come before all texts: two cursors. */
static void read_texts(struct stored *s, struct cursor *lens)
{
    const size_t lens_bytes = (s->field_count * 2 + s->tag_count) * sizeof(uint32_t);
    struct cursor c = *lens;
    (void)take(&c, lens_bytes);
    for (size_t i = 0; i < TEXT_COUNT; i++)
        s->texts[i] = take_text(&c, s->lens[i]);
    for (uint32_t i = 0; i < s->field_count; i++) {
        s->fields[i].name = take_text(&c, take_u32(lens));
        s->fields[i].value = take_text(&c, take_u32(lens));
    }
    for (uint32_t i = 0; i < s->tag_count; i++)
        s->tags[i] = take_text(&c, take_u32(lens));
    s->packed = take(&c, s->packed_len);
    *lens = c;
}

/* ---- judging what was read ---- */

static bool is_printable(struct http_view v)
{
    bool is_fine = true;
    for (size_t i = 0; i < v.len; i++) {
        const unsigned char b = (unsigned char)v.data[i];
        is_fine &= (b >= 0x20 && b != 0x7f) || b == '\t';
    }
    return is_fine && v.len <= TEXT_BYTES_MAX;
}

/* Not a Connection: entries are made without it, and are not to be made to look for all that it names. */
static bool is_field_fine(const struct http_field *f)
{
    return f->name.len <= TEXT_BYTES_MAX && http_is_token(f->name) && !http_view_is_nocase(f->name, "connection") &&
           f->value.data != NULL && is_printable(f->value);
}

/* What may stand in a head, each as its own kind. */
static bool are_texts_fine(const struct stored *s)
{
    bool is_fine = s->texts[TEXT_KEY].len <= CACHE_KEY_BYTES_MAX;
    for (size_t i = TEXT_HOST; i <= TEXT_QUERY; i++)
        is_fine = is_fine && is_printable(s->texts[i]);
    for (uint32_t i = 0; is_fine && i < s->field_count; i++)
        is_fine = is_field_fine(&s->fields[i]);
    for (uint32_t i = 0; is_fine && i < s->tag_count; i++)
        is_fine = s->tags[i].len > 0 && s->tags[i].len <= CACHE_TAG_BYTES_MAX && is_printable(s->tags[i]);
    return is_fine;
}

/* A final answer that is whole by itself: no 206 and no 304, and no body where the status has none. */
static bool is_status_fine(const struct stored *s)
{
    return s->status >= 200 && s->status <= 599 && s->status != 205 && s->status != 206 && s->status != 304 &&
           (s->status != 204 || s->body_len == 0);
}

static bool are_times_fine(const struct stored *s)
{
    bool is_fine = s->times[TIME_WALL] <= WALL_MS_MAX && s->times[TIME_AGE] <= AGE_MS_MAX;
    for (size_t i = TIME_FRESH; i < TIME_COUNT; i++)
        is_fine = is_fine && s->times[i] <= LIFE_MS_MAX;
    return is_fine;
}

static bool is_body_fine(const struct stored *s, size_t max_bytes)
{
    if (s->body_len > max_bytes)
        return false;
    if ((s->flags & FLAG_ZSTD) == 0)
        return s->body_len == s->packed_len;
    /* One frame of the present format (zstd reads older ones as well, and several in a row) that says its size. */
    uint32_t frame = 0;
    if (s->packed_len < sizeof frame || s->body_len == 0)
        return false;
    memcpy(&frame, s->packed, sizeof frame);
    return le32toh(frame) == ZSTD_MAGICNUMBER && ZSTD_getFrameContentSize(s->packed, s->packed_len) == s->body_len &&
           ZSTD_findFrameCompressedSize(s->packed, s->packed_len) == s->packed_len;
}

/* Fills `s` from what is behind the checksum; NULL, or why it is no entry that could be served. */
static const char *read_inside(struct stored *s, struct cursor *c, const struct cache_decode_how *how)
{
    read_head(s, c);
    if (c->is_short || (s->flags & ~FLAG_ZSTD) != 0 || s->field_count > HTTP_ROOM_FIELDS ||
        s->tag_count > CACHE_TAGS_MAX)
        return "head";
    read_texts(s, c);
    if (c->is_short || c->left > 0)
        return "length";
    const struct http_view key = s->texts[TEXT_KEY];
    if (key.data == NULL || key.len != how->key_len || memcmp(key.data, how->key, key.len) != 0)
        return "key";
    if (!is_status_fine(s))
        return "status";
    if (!are_texts_fine(s))
        return "text";
    if (!are_times_fine(s))
        return "time";
    return is_body_fine(s, how->max_bytes) ? NULL : "body";
}

/* How old it is by the opinion that makes it older: what it was plus what the wall clocks say has passed (none when the
 * reader's is behind), or what Redis' clock has taken off its life. */
static int64_t age_ms(const struct stored *s, const struct cache_life *life, const struct cache_decode_how *how)
{
    const int64_t then_ms = (int64_t)s->times[TIME_WALL];
    const int64_t passed_ms = how->wall_ms > then_ms ? how->wall_ms - then_ms : 0;
    int64_t age = (int64_t)s->times[TIME_AGE];
    age = passed_ms < (int64_t)WALL_MS_MAX ? age + passed_ms : (int64_t)WALL_MS_MAX;
    const int64_t by_redis_ms = how->left_ms >= 0 ? cache_life_whole_ms(life) - how->left_ms : 0;
    return age > by_redis_ms ? age : by_redis_ms;
}

/* The body as the entry keeps it, borrowed from the input where it is stored as it is; data NULL: it does not come out
 * of its packing. */
static struct slice unpack(struct cache_codec *c, const struct stored *s)
{
    if ((s->flags & FLAG_ZSTD) == 0)
        return slice_borrow(s->packed, s->packed_len);
    struct block *b = block_create((size_t)s->body_len);
    const size_t len = ZSTD_decompressDCtx(c->unpacker, b->data, b->cap_bytes, s->packed, s->packed_len);
    if (ZSTD_isError(len) || len != s->body_len) {
        block_unref(&b);
        return (struct slice){0};
    }
    return (struct slice){.data = b->data, .len = len, .owner = b};
}

struct cache_entry *cache_decode(struct cache_codec *c, const void *data, size_t len,
                                 const struct cache_decode_how *how, const char **why)
{
    CHECK_OBJ(c, CODEC_MAGIC);
    struct stored s;
    struct cursor cursor = {.at = data, .left = len};
    *why = read_outside(&cursor);
    if (*why == NULL)
        *why = read_inside(&s, &cursor, how);
    if (*why != NULL)
        return NULL;

    const struct cache_life life = {.fresh_ms = (int64_t)s.times[TIME_FRESH],
                                    .stale_ms = (int64_t)s.times[TIME_STALE],
                                    .error_ms = (int64_t)s.times[TIME_ERROR],
                                    .down_ms = (int64_t)s.times[TIME_DOWN],
                                    .keep_ms = (int64_t)s.times[TIME_KEEP]};
    const int64_t age = age_ms(&s, &life, how);
    if (age >= cache_life_whole_ms(&life)) {
        *why = "expired";
        return NULL;
    }
    struct slice body = unpack(c, &s);
    if (body.data == NULL) {
        *why = "body";
        return NULL;
    }
    const struct cache_draft d = {.status = (uint16_t)s.status,
                                  .fields = s.fields,
                                  .field_count = s.field_count,
                                  .tags = s.tags,
                                  .tag_count = s.tag_count,
                                  .key = s.texts[TEXT_KEY],
                                  .host = s.texts[TEXT_HOST],
                                  .path = s.texts[TEXT_PATH],
                                  .query = s.texts[TEXT_QUERY],
                                  .life = life,
                                  .position = s.position,
                                  .born_ms = how->now_ms - age,
                                  .body = body};
    struct cache_entry *e = cache_entry_create(&d);
    slice_release(&body);
    return e;
}
