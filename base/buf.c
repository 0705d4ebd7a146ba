/* Blocks, slices and the text builder. The builder's rule is all or nothing: a write that does not fit leaves what is
 * there untouched, so a caller who takes the text back to a known length and clears `failed` has a whole text again. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define STRBUF_FIRST_BYTES 64u

/* ---- blocks and slices ---- */
struct block *block_create(size_t cap_bytes)
{
    ASSERT(cap_bytes <= SIZE_MAX - sizeof(struct block));
    struct block *b = mem_realloc(NULL, sizeof *b + cap_bytes); /* not mem_alloc: nobody needs the zeroes */

    b->magic = BLOCK_MAGIC;
    b->refs = 1;
    b->cap_bytes = cap_bytes;
    return b;
}

struct block *block_ref(struct block *b)
{
    CHECK_OBJ(b, BLOCK_MAGIC);
    ASSERT(b->refs > 0 && b->refs < UINT32_MAX);
    b->refs++;
    return b;
}

void block_unref(struct block **bp)
{
    struct block *b = *bp;

    CHECK_OBJ(b, BLOCK_MAGIC);
    ASSERT(b->refs > 0);
    if (--b->refs == 0)
        OBJ_FREE(bp, BLOCK_MAGIC);
    else
        *bp = NULL;
}

struct slice slice_copy(const void *data, size_t len)
{
    struct block *b = block_create(len);

    if (len > 0)
        memcpy(b->data, data, len);
    return (struct slice){.data = b->data, .len = len, .owner = b};
}

struct slice slice_ref(struct slice s)
{
    if (s.owner == NULL)
        return slice_copy(s.data, s.len);
    block_ref(s.owner);
    return s;
}

void slice_release(struct slice *s)
{
    if (s->owner != NULL)
        block_unref(&s->owner);
    *s = (struct slice){0};
}

/* ---- builder ---- */
void strbuf_init(struct strbuf *b, size_t max_bytes)
{
    ASSERT(max_bytes < SIZE_MAX);
    *b = (struct strbuf){.max_bytes = max_bytes};
}

void strbuf_fini(struct strbuf *b)
{
    mem_free(b->data);
    *b = (struct strbuf){.max_bytes = b->max_bytes};
}

void strbuf_clear(struct strbuf *b)
{
    b->len = 0;
    b->failed = false;
    if (b->data != NULL)
        b->data[0] = '\0';
}

bool strbuf_grow(struct strbuf *b, size_t len)
{
    if (b->failed || len > b->max_bytes - b->len) {
        b->failed = true;
        return false;
    }
    size_t need = b->len + len + 1;
    size_t cap = b->cap_bytes > 0 ? b->cap_bytes : STRBUF_FIRST_BYTES;
    while (cap < need)
        cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    if (cap > b->max_bytes + 1)
        cap = b->max_bytes + 1;
    b->data = mem_realloc(b->data, cap);
    b->cap_bytes = cap;
    return true;
}

/* The same for the usual case: there is never memory beyond the bound. */
static inline bool reserve(struct strbuf *b, size_t len)
{
    return (!b->failed && len < b->cap_bytes - b->len) || strbuf_grow(b, len);
}

void strbuf_reserve(struct strbuf *b, size_t len)
{
    const size_t room = b->max_bytes - b->len;
    if (!b->failed)
        (void)reserve(b, len < room ? len : room);
}

void strbuf_add(struct strbuf *b, const void *data, size_t len)
{
    char *at = strbuf_extend(b, len);
    if (at != NULL && len > 0)
        memcpy(at, data, len);
}

void strbuf_puts(struct strbuf *b, const char *s)
{
    strbuf_add(b, s, strlen(s));
}

size_t decimal_text(uint64_t n, char *out)
{
    size_t len = 1;
    for (uint64_t rest = n; rest >= 10; rest /= 10)
        len++;
    for (size_t at = len; at > 0; n /= 10)
        out[--at] = (char)('0' + n % 10);
    return len;
}

char *hex_text(const uint8_t *data, size_t count, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        *out++ = digits[data[i] >> 4];
        *out++ = digits[data[i] & 0xf];
    }
    return out;
}

void strbuf_decimal(struct strbuf *b, uint64_t n)
{
    char digits[DECIMAL_BYTES];
    strbuf_add(b, digits, decimal_text(n, digits));
}

/* Into the room there is; what does not fit is formatted again when there is enough. */
void strbuf_printf(struct strbuf *b, const char *fmt, ...)
{
    va_list ap;
    const size_t room = b->failed ? 0 : b->cap_bytes - b->len;

    va_start(ap, fmt);
    int len = vsnprintf(room > 0 ? b->data + b->len : NULL, room, fmt, ap);
    va_end(ap);
    ASSERT(len >= 0);
    if ((size_t)len < room) {
        b->len += (size_t)len;
        return;
    }
    if (room > 0)
        b->data[b->len] = '\0';
    if (!reserve(b, (size_t)len))
        return;
    va_start(ap, fmt);
    (void)vsnprintf(b->data + b->len, (size_t)len + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)len;
}

/* Well-formed sequences as in the table of RFC 3629 section 4: no overlong forms, no surrogates, nothing above
 * U+10FFFF. */
size_t utf8_sequence_len(const char *text, size_t len)
{
    static const struct {
        uint8_t first_min, first_max, second_min, second_max, len;
    } forms[] = {
        {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    const uint8_t *s = (const uint8_t *)text;

    for (size_t i = 0; len > 0 && i < sizeof forms / sizeof *forms; i++) {
        if (s[0] < forms[i].first_min || s[0] > forms[i].first_max)
            continue;
        if (forms[i].len > len)
            return 0;
        if (forms[i].len > 1 && (s[1] < forms[i].second_min || s[1] > forms[i].second_max))
            return 0;
        for (size_t k = 2; k < forms[i].len; k++)
            if ((s[k] & 0xc0) != 0x80)
                return 0;
        return forms[i].len;
    }
    return 0;
}

static bool is_plain(uint8_t c)
{
    return c >= ' ' && c < 0x80 && c != '"' && c != '\\';
}

/* The two-character escape of a byte (RFC 8259 section 7), or 0. */
static char json_short_escape(uint8_t c)
{
    static const char escapes[256] = {
        ['"'] = '"', ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't',
    };
    return escapes[c];
}

void strbuf_json_string(struct strbuf *b, const char *s, size_t len)
{
    strbuf_add(b, "\"", 1);
    for (size_t i = 0; i < len && !b->failed;) {
        uint8_t c = (uint8_t)s[i];
        size_t plain = 0; /* bytes that need nothing */

        while (i + plain < len && is_plain((uint8_t)s[i + plain]))
            plain++;
        if (plain > 0) {
            strbuf_add(b, s + i, plain);
            i += plain;
        } else if (json_short_escape(c) != 0) {
            strbuf_add(b, (const char[]){'\\', json_short_escape(c)}, 2);
            i++;
        } else if (c < ' ') {
            strbuf_printf(b, "\\u%04x", c);
            i++;
        } else {
            size_t sequence = utf8_sequence_len(s + i, len - i);

            if (sequence > 0)
                strbuf_add(b, s + i, sequence);
            else
                strbuf_puts(b, "\xef\xbf\xbd");
            i += sequence > 0 ? sequence : 1;
        }
    }
    strbuf_add(b, "\"", 1);
}
