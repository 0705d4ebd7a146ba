/* zlib, and the stock of its states.
 *
 * The hard part is the end of a message. On the wire a message lacks the empty stored block 00 00 ff ff with which
 * every flush ends (RFC 7692 section 7.2): compressing holds the last four bytes back until it is known that they are
 * those, inflating adds them, and a message was whole only if they bring zlib to the border between two blocks. */
#include "gateway/ws/deflate.h"

#include <string.h>

#define ZLIB_CONST
#include <zlib.h>

#include "base/mem.h"

#define STOCK_MAGIC    0x57a0c4d1u
#define INFLATER_MAGIC 0x1f1a7e42u
#define DEFLATER_MAGIC 0xdef1a7e6u

#define SPARE_INFLATERS 4u
#define SPARE_DEFLATERS 1u /* of each window size */

/* Of zlib's data_type after inflating: at the border of two blocks, with no bits over and none of them the last. */
#define AT_BLOCK_BORDER 128

#define TAIL_BYTES 4u
static const uint8_t tail[TAIL_BYTES] = {0x00, 0x00, 0xff, 0xff};

struct ws_inflater {
    uint32_t magic;
    struct ws_inflater *next; /* at rest */
    uint8_t window_bits;
    uint8_t tail_given; /* of the current message */
    bool has_begun;     /* the current message has brought bytes */
    bool is_at_border;  /* between two blocks */
    z_stream z;
};

struct ws_deflater {
    uint32_t magic;
    struct ws_deflater *next; /* at rest */
    uint8_t window_bits;
    uint8_t level;
    uint8_t span;
    bool has_begun;           /* the current message has brought bytes */
    uint8_t held[TAIL_BYTES]; /* the last bytes of the message so far, maybe the tail */
    uint8_t held_len;
    z_stream z;
};

struct ws_stock {
    uint32_t magic;
    uint32_t inflaters_out; /* lent */
    uint32_t deflaters_out[WS_SPAN_CONNECTION + 1];
    uint32_t inflater_count; /* at rest */
    uint32_t deflater_count[WS_WINDOW_BITS_MAX + 1];
    struct ws_inflater *inflaters;
    struct ws_deflater *deflaters[WS_WINDOW_BITS_MAX + 1];
};

static void *z_alloc(void *arg, unsigned count, unsigned size)
{
    (void)arg;
    return mem_alloc_array(count, size);
}

static void z_free(void *arg, void *p)
{
    (void)arg;
    mem_free(p);
}

struct ws_stock *ws_stock_create(void)
{
    struct ws_stock *s;
    OBJ_NEW(s, STOCK_MAGIC);
    return s;
}

static void inflater_free(struct ws_inflater *z)
{
    (void)inflateEnd(&z->z);
    OBJ_FREE(&z, INFLATER_MAGIC);
}

static void deflater_free(struct ws_deflater *z)
{
    (void)deflateEnd(&z->z);
    OBJ_FREE(&z, DEFLATER_MAGIC);
}

void ws_stock_destroy(struct ws_stock **sp)
{
    struct ws_stock *s = *sp;
    CHECK_OBJ(s, STOCK_MAGIC);
    ASSERT(s->inflaters_out == 0);
    for (int span = WS_SPAN_CALL; span <= WS_SPAN_CONNECTION; span++)
        ASSERT(s->deflaters_out[span] == 0);
    while (s->inflaters != NULL) {
        struct ws_inflater *z = s->inflaters;
        s->inflaters = z->next;
        inflater_free(z);
    }
    for (unsigned bits = 0; bits <= WS_WINDOW_BITS_MAX; bits++) {
        while (s->deflaters[bits] != NULL) {
            struct ws_deflater *z = s->deflaters[bits];
            s->deflaters[bits] = z->next;
            deflater_free(z);
        }
    }
    OBJ_FREE(sp, STOCK_MAGIC);
}

/* ---- inflating ---- */

struct ws_inflater *ws_inflater_acquire(struct ws_stock *s, uint8_t window_bits)
{
    CHECK_OBJ(s, STOCK_MAGIC);
    ASSERT(window_bits >= WS_WINDOW_BITS_MIN && window_bits <= WS_WINDOW_BITS_MAX);
    struct ws_inflater *z = s->inflaters;
    if (z != NULL) {
        s->inflaters = z->next;
        s->inflater_count--;
    } else {
        OBJ_NEW(z, INFLATER_MAGIC);
        z->z.zalloc = z_alloc;
        z->z.zfree = z_free;
    }
    z->tail_given = 0;
    z->has_begun = false;
    const int result =
        z->z.state == NULL ? inflateInit2(&z->z, -(int)window_bits) : inflateReset2(&z->z, -(int)window_bits);
    ASSERT(result == Z_OK);
    s->inflaters_out++;
    return z;
}

void ws_inflater_release(struct ws_stock *s, struct ws_inflater **zp)
{
    struct ws_inflater *z = *zp;
    CHECK_OBJ(s, STOCK_MAGIC);
    CHECK_OBJ(z, INFLATER_MAGIC);
    *zp = NULL;
    s->inflaters_out--;
    if (s->inflater_count == SPARE_INFLATERS) {
        inflater_free(z);
        return;
    }
    z->next = s->inflaters;
    s->inflaters = z;
    s->inflater_count++;
}

/* All input has gone in. */
static enum ws_coded end_of_input(struct ws_inflater *z, bool is_last)
{
    if (!is_last)
        return WS_CODED_MORE;
    if (z->has_begun && !z->is_at_border)
        return WS_CODED_BAD;
    z->tail_given = 0;
    z->has_begun = false;
    return WS_CODED_DONE;
}

enum ws_coded ws_inflate(struct ws_inflater *z, const uint8_t **in, size_t *len, bool is_last, uint8_t *out,
                         size_t room_bytes, size_t *made)
{
    CHECK_OBJ(z, INFLATER_MAGIC);
    ASSERT(*len <= UINT32_MAX && room_bytes <= UINT32_MAX);
    *made = 0;
    z->has_begun = z->has_begun || *len > 0;
    for (;;) {
        /* A message without any byte is empty, though RFC 7692 section 7.2.3.6 asks for one. */
        const bool is_tail = *len == 0 && is_last && z->has_begun;
        z->z.next_in = is_tail ? tail + z->tail_given : *in;
        z->z.avail_in = (unsigned)(is_tail ? TAIL_BYTES - z->tail_given : *len);
        const unsigned given = z->z.avail_in;
        z->z.next_out = out + *made;
        z->z.avail_out = (unsigned)(room_bytes - *made);
        if (z->z.avail_out == 0)
            return WS_CODED_FULL;
        const int result = z->has_begun ? inflate(&z->z, Z_SYNC_FLUSH) : Z_BUF_ERROR;
        const unsigned taken = given - z->z.avail_in;
        if (taken > 0 || room_bytes - z->z.avail_out > *made) /* a call that did nothing says nothing */
            z->is_at_border = z->z.data_type == AT_BLOCK_BORDER;
        *made = room_bytes - z->z.avail_out;
        if (is_tail) {
            z->tail_given = (uint8_t)(z->tail_given + taken);
        } else {
            *in += taken;
            *len -= taken;
        }
        if (result == Z_STREAM_END)
            /* A final block may stand inside a message (section 7.2.3.4); the next one may still look back. */
            (void)inflateResetKeep(&z->z);
        else if (result != Z_OK && result != Z_BUF_ERROR)
            return WS_CODED_BAD;
        else if (z->z.avail_out > 0 && z->z.avail_in == 0 && (is_tail || !is_last || !z->has_begun))
            return end_of_input(z, is_last);
    }
}

/* ---- compressing ---- */

static struct ws_deflater *deflater_create(uint8_t window_bits, uint8_t level)
{
    struct ws_deflater *z;
    OBJ_NEW(z, DEFLATER_MAGIC);
    z->window_bits = window_bits;
    z->level = level;
    z->z.zalloc = z_alloc;
    z->z.zfree = z_free;
    /* The tables grow with the window, so that the memory is 2^(bits + 3) as the manual says. */
    int result = deflateInit2(&z->z, level, Z_DEFLATED, -(int)window_bits, window_bits - 7, Z_DEFAULT_STRATEGY);
    ASSERT(result == Z_OK);
    return z;
}

struct ws_deflater *ws_deflater_acquire(struct ws_stock *s, uint8_t window_bits, uint8_t level, enum ws_span span)
{
    CHECK_OBJ(s, STOCK_MAGIC);
    ASSERT(window_bits > WS_WINDOW_BITS_MIN && window_bits <= WS_WINDOW_BITS_MAX);
    if (span == WS_SPAN_MESSAGE && s->deflaters_out[span] == WS_SPAN_MESSAGES_MAX)
        return NULL;
    struct ws_deflater *z = s->deflaters[window_bits];
    if (z != NULL) {
        s->deflaters[window_bits] = z->next;
        s->deflater_count[window_bits]--;
        int result = deflateReset(&z->z);
        if (result == Z_OK && z->level != level)
            result = deflateParams(&z->z, level, Z_DEFAULT_STRATEGY);
        ASSERT(result == Z_OK);
        z->level = level;
    } else {
        z = deflater_create(window_bits, level);
    }
    z->span = (uint8_t)span;
    z->has_begun = false;
    z->held_len = 0;
    s->deflaters_out[span]++;
    return z;
}

void ws_deflater_release(struct ws_stock *s, struct ws_deflater **zp)
{
    struct ws_deflater *z = *zp;
    CHECK_OBJ(s, STOCK_MAGIC);
    CHECK_OBJ(z, DEFLATER_MAGIC);
    *zp = NULL;
    s->deflaters_out[z->span]--;
    if (s->deflater_count[z->window_bits] == SPARE_DEFLATERS) {
        deflater_free(z);
        return;
    }
    z->next = s->deflaters[z->window_bits];
    s->deflaters[z->window_bits] = z;
    s->deflater_count[z->window_bits]++;
}

/* The message's bytes are all in: writes the rest of it, but for the tail. */
static enum ws_coded flush_message(struct ws_deflater *z, uint8_t *out, size_t room_bytes, size_t *made)
{
    memcpy(out, z->held, z->held_len);
    z->z.next_out = out + z->held_len;
    z->z.avail_out = (unsigned)(room_bytes - z->held_len);
    const int result = deflate(&z->z, Z_SYNC_FLUSH);
    ASSERT(result == Z_OK || result == Z_BUF_ERROR);
    const size_t have = room_bytes - z->z.avail_out;
    const size_t kept = have < TAIL_BYTES ? have : TAIL_BYTES;
    memcpy(z->held, out + have - kept, kept);
    z->held_len = (uint8_t)kept;
    *made = have - kept;
    if (z->z.avail_out == 0)
        return WS_CODED_FULL;
    ASSERT(kept == TAIL_BYTES && memcmp(z->held, tail, TAIL_BYTES) == 0);
    z->held_len = 0;
    z->has_begun = false;
    return WS_CODED_DONE;
}

enum ws_coded ws_deflate(struct ws_deflater *z, const uint8_t **in, size_t *len, bool is_last, uint8_t *out,
                         size_t room_bytes, size_t *made)
{
    CHECK_OBJ(z, DEFLATER_MAGIC);
    ASSERT(*len <= UINT32_MAX && room_bytes <= UINT32_MAX && room_bytes >= WS_DEFLATE_ROOM);
    *made = 0;
    z->has_begun = z->has_begun || *len > 0;
    if (!z->has_begun) {
        if (is_last) /* an empty message; zlib does not flush twice in a row (RFC 7692 section 7.2.3.6) */
            out[(*made)++] = 0x00;
        return is_last ? WS_CODED_DONE : WS_CODED_MORE;
    }
    if (*len > 0) {
        z->z.next_in = *in;
        z->z.avail_in = (unsigned)*len;
        z->z.next_out = out;
        z->z.avail_out = (unsigned)room_bytes;
        const int result = deflate(&z->z, Z_NO_FLUSH);
        ASSERT(result == Z_OK);
        *in += *len - z->z.avail_in;
        *len = z->z.avail_in;
        *made = room_bytes - z->z.avail_out;
        if (*len > 0 || room_bytes - *made < WS_DEFLATE_ROOM)
            return WS_CODED_FULL;
        if (!is_last)
            return WS_CODED_MORE;
    } else if (!is_last) {
        return WS_CODED_MORE;
    }
    size_t rest = 0;
    const enum ws_coded coded = flush_message(z, out + *made, room_bytes - *made, &rest);
    *made += rest;
    return coded;
}
