/* Ref-counted blocks of bytes and the slices that look into them.
 *
 * A slice with an owner keeps its block alive; one without (owner NULL) is borrowed and valid only until
 * the event its giver names. Reference counts are per process and not atomic. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BLOCK_MAGIC 0x5b10c4e1u

struct block {
    uint32_t magic;
    uint32_t refs;
    size_t cap_bytes;
    uint8_t data[];
};

struct slice {
    const uint8_t *data;
    size_t len;
    struct block *owner; /* NULL: borrowed */
};

struct block *block_create(size_t cap_bytes); /* one reference, contents not initialised */
struct block *block_ref(struct block *b);
void block_unref(struct block **bp); /* frees with the last reference */

static inline struct slice slice_borrow(const void *data, size_t len)
{
    return (struct slice){.data = data, .len = len, .owner = NULL};
}
struct slice slice_copy(const void *data, size_t len); /* into a block of its own */
struct slice slice_ref(struct slice s);                /* borrowed bytes are copied, owned ones shared */
void slice_release(struct slice *s);                   /* drops the reference and empties the slice */

/* Length of the well-formed UTF-8 sequence (RFC 3629) that `text` begins with, 0 when it begins with none. */
size_t utf8_sequence_len(const char *text, size_t len);

/* `n` in decimal digits, without a NUL; how many, DECIMAL_BYTES at most. Nothing is written behind them. Where printf
 * would be called for nothing else. */
#define DECIMAL_BYTES 20u
size_t decimal_text(uint64_t n, char *out);
/* `count` bytes as twice as many hexadecimal digits, in lower case and without a NUL; what is behind them. */
char *hex_text(const uint8_t *data, size_t count, char *out);

/* Growable text/byte builder with a hard bound. Once a write does not fit, the builder is `failed`, later
 * writes do nothing, and the caller checks once at the end. */
struct strbuf {
    char *data; /* always NUL-terminated once something was written; NULL before */
    size_t len;
    size_t cap_bytes;
    size_t max_bytes; /* bound on len */
    bool failed;
};

void strbuf_init(struct strbuf *b, size_t max_bytes);
void strbuf_fini(struct strbuf *b);
void strbuf_clear(struct strbuf *b);               /* keeps the memory */
void strbuf_reserve(struct strbuf *b, size_t len); /* memory for so much more, as far as the bound allows, at once */
/* For the next one: memory for `len` more bytes and the NUL; false, and the builder failed, when they do not fit. */
bool strbuf_grow(struct strbuf *b, size_t len);
/* `len` more bytes, to be written by the caller at once; NULL when they do not fit. */
static inline char *strbuf_extend(struct strbuf *b, size_t len)
{
    /* There is never memory beyond the bound. */
    if ((b->failed || len >= b->cap_bytes - b->len) && !strbuf_grow(b, len))
        return NULL;
    char *at = b->data + b->len;
    b->len += len;
    b->data[b->len] = '\0';
    return at;
}
void strbuf_add(struct strbuf *b, const void *data, size_t len);
void strbuf_puts(struct strbuf *b, const char *s);
void strbuf_decimal(struct strbuf *b, uint64_t n);
void strbuf_printf(struct strbuf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Adds a JSON string with its quotes (RFC 8259 section 7); bytes that are not UTF-8 become U+FFFD. */
void strbuf_json_string(struct strbuf *b, const char *s, size_t len);

#endif
