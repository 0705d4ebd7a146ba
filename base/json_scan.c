/* The scanner is strict where a lax one would let two readers of a text see different things, and fast where texts are
 * long: in strings, which it looks through sixteen bytes at a time. Nesting is a bit per level and no recursion, for a
 * peer must not choose how deep a stack gets. */
#include "base/json_scan.h"

#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "base/assert.h"

/* Which array or object a value belongs to, from the outermost on. A word is set up when its first bit is needed. */
struct nest {
    unsigned depth;
    uint64_t is_object[JSON_DEPTH_MAX / 64];
};

static enum json_read at_end(const struct json_scan *s)
{
    return s->is_whole ? JSON_BAD : JSON_MORE;
}

/* Mostly there is none, and one comparison tells. */
static inline bool is_blank(char c)
{
    return (unsigned char)c <= ' ' && (c == ' ' || c == '\n' || c == '\r' || c == '\t');
}

static inline void skip_blanks(struct json_scan *s)
{
    while (s->at < s->end && is_blank(*s->at))
        s->at++;
}

/* ---- strings ---- */

/* A bit for each byte that ends a run of plain characters: quote, backslash, control characters. */
#if defined(__SSE2__)

static unsigned special_of_16(const char *at)
{
    const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
    const __m128i last_control = _mm_set1_epi8(0x1f);
    const __m128i hit = _mm_or_si128(
        _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'))),
        _mm_cmpeq_epi8(_mm_min_epu8(bytes, last_control), bytes));
    return (unsigned)_mm_movemask_epi8(hit);
}

#else

#define EVERY_BYTE(b) ((uint64_t)0x0101010101010101u * (b))

/* The high bit of each byte below `limit`, which is at most 0x80; no borrow leaves its byte. */
static uint64_t bytes_below(uint64_t word, uint8_t limit)
{
    const uint64_t low = word & EVERY_BYTE(0x7f);
    return ~((low + EVERY_BYTE(0x80 - limit)) | word) & EVERY_BYTE(0x80);
}

/* Eight bytes a turn: their high bits are gathered into one byte by a multiplication. */
static unsigned special_of_8(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    if (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)
        word = __builtin_bswap64(word);
    const uint64_t hit =
        bytes_below(word, 0x20) | bytes_below(word ^ EVERY_BYTE('"'), 1) | bytes_below(word ^ EVERY_BYTE('\\'), 1);
    return (unsigned)((hit >> 7) * 0x0102040810204080u >> 56);
}

static unsigned special_of_16(const char *at)
{
    return special_of_8(at) | special_of_8(at + 8) << 8;
}

#endif

uint64_t json_special_bits(const char *at, size_t len)
{
    char padded[64];
    if (len < sizeof padded) {
        memset(padded, 0, sizeof padded);
        memcpy(padded, at, len);
        at = padded;
    }
    uint64_t bits = 0;
    for (unsigned i = 0; i < 4; i++)
        bits |= (uint64_t)special_of_16(at + 16 * i) << 16 * i;
    return bits;
}

const char *json_skip_plain(const char *at, const char *end)
{
    for (; end - at >= 16; at += 16) {
        const unsigned hit = special_of_16(at);
        if (hit != 0)
            return at + __builtin_ctz(hit);
    }
    while (at < end && *at != '"' && *at != '\\' && (unsigned char)*at >= 0x20)
        at++;
    return at;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* `*at` is behind the backslash, and afterwards behind the escape. */
static enum json_read skip_escape(const struct json_scan *s, const char **at)
{
    if (*at == s->end)
        return at_end(s);
    const char c = *(*at)++;
    if (c != 'u')
        return c != '\0' && strchr("\"\\/bfnrt", c) != NULL ? JSON_OK : JSON_BAD;
    for (int i = 0; i < 4; i++, (*at)++) {
        if (*at == s->end)
            return at_end(s);
        if (hex_digit(**at) < 0)
            return JSON_BAD;
    }
    return JSON_OK;
}

/* From behind the opening quote; the cursor is behind the closing one afterwards. */
static enum json_read scan_string(struct json_scan *s, const char *begin, struct json_string *string)
{
    const char *at = begin;
    bool has_escapes = false;
    for (;;) {
        at = json_skip_plain(at, s->end);
        if (at == s->end)
            return at_end(s);
        if (*at == '"')
            break;
        if (*at++ != '\\')
            return JSON_BAD;
        const enum json_read r = skip_escape(s, &at);
        if (r != JSON_OK)
            return r;
        has_escapes = true;
    }
    *string = (struct json_string){.data = begin, .len = (size_t)(at - begin), .has_escapes = has_escapes};
    s->at = at + 1;
    return JSON_OK;
}

/* ---- numbers and words ---- */

static bool skip_digits(const char **at, const char *end)
{
    const char *begin = *at;
    while (*at < end && **at >= '0' && **at <= '9')
        (*at)++;
    return *at > begin;
}

/* -12.5e+3: every part that is begun has its digits. What is cut off in the middle looks bad, and is at the end. */
static const char *skip_number(const char *at, const char *end, bool *is_good)
{
    *is_good = false;
    if (at < end && *at == '-')
        at++;
    if (at < end && *at == '0')
        at++;
    else if (!skip_digits(&at, end))
        return at;
    if (at < end && *at == '.') {
        at++;
        if (!skip_digits(&at, end))
            return at;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        if (!skip_digits(&at, end))
            return at;
    }
    *is_good = true;
    return at;
}

static enum json_read scan_number(struct json_scan *s)
{
    bool is_good;
    const char *at = skip_number(s->at, s->end, &is_good);
    if (at == s->end && !s->is_whole)
        return JSON_MORE;
    if (!is_good)
        return JSON_BAD;
    s->at = at;
    return JSON_OK;
}

static enum json_read scan_word(struct json_scan *s, const char *word, size_t len)
{
    const size_t left = (size_t)(s->end - s->at);
    if (memcmp(s->at, word, left < len ? left : len) != 0)
        return JSON_BAD;
    if (left < len)
        return at_end(s);
    s->at += len;
    return JSON_OK;
}

static enum json_read scan_scalar(struct json_scan *s)
{
    struct json_string string;
    switch (*s->at) {
    case '"':
        return scan_string(s, s->at + 1, &string);
    case 't':
        return scan_word(s, "true", 4);
    case 'f':
        return scan_word(s, "false", 5);
    case 'n':
        return scan_word(s, "null", 4);
    default:
        return scan_number(s);
    }
}

/* ---- nesting ---- */

static enum json_read scan_name(struct json_scan *s, struct json_string *name)
{
    skip_blanks(s);
    if (s->at == s->end)
        return at_end(s);
    if (*s->at != '"')
        return JSON_BAD;
    const enum json_read r = scan_string(s, s->at + 1, name);
    if (r != JSON_OK)
        return r;
    skip_blanks(s);
    if (s->at == s->end)
        return at_end(s);
    return *s->at++ == ':' ? JSON_OK : JSON_BAD;
}

static bool in_object(const struct nest *n)
{
    return n->depth > 0 && (n->is_object[(n->depth - 1) / 64] >> ((n->depth - 1) % 64) & 1) != 0;
}

static bool push(struct nest *n, bool is_object)
{
    if (n->depth == JSON_DEPTH_MAX)
        return false;
    const unsigned word = n->depth / 64, bit = n->depth % 64;
    if (bit == 0)
        n->is_object[word] = 0;
    n->is_object[word] = (n->is_object[word] & ~((uint64_t)1 << bit)) | (uint64_t)is_object << bit;
    n->depth++;
    return true;
}

/* A value, or the beginning of an array or object: then `*is_open`, and its first value is next. */
static enum json_read begin_value(struct json_scan *s, struct nest *n, bool *is_open)
{
    struct json_string name;
    *is_open = false;
    skip_blanks(s);
    if (s->at == s->end)
        return at_end(s);
    const char c = *s->at;
    if (c != '{' && c != '[')
        return scan_scalar(s);
    if (!push(n, c == '{'))
        return JSON_BAD;
    s->at++;
    skip_blanks(s);
    if (s->at == s->end)
        return at_end(s);
    if (*s->at == (c == '{' ? '}' : ']')) {
        s->at++;
        n->depth--;
        return JSON_OK;
    }
    *is_open = true;
    return c == '{' ? scan_name(s, &name) : JSON_OK;
}

/* Behind a value of an array or object: the next one, then `*is_open`, or its end. */
static enum json_read end_value(struct json_scan *s, struct nest *n, bool *is_open)
{
    struct json_string name;
    const bool is_object = in_object(n);
    skip_blanks(s);
    if (s->at == s->end)
        return at_end(s);
    const char c = *s->at++;
    if (c == ',') {
        *is_open = true;
        return is_object ? scan_name(s, &name) : JSON_OK;
    }
    n->depth--;
    return c == (is_object ? '}' : ']') ? JSON_OK : JSON_BAD;
}

/* ---- the cursor ---- */

enum json_read json_peek(struct json_scan *s, char *first)
{
    const char *at = s->at;
    while (at < s->end && is_blank(*at))
        at++;
    if (at == s->end)
        return at_end(s);
    s->at = at;
    *first = *at;
    return JSON_OK;
}

enum json_read json_read_string(struct json_scan *s, struct json_string *string)
{
    const char *at = s->at;
    while (at < s->end && is_blank(*at))
        at++;
    if (at == s->end)
        return at_end(s);
    return *at == '"' ? scan_string(s, at + 1, string) : JSON_BAD;
}

enum json_read json_skip(struct json_scan *s, struct json_text *value)
{
    struct json_scan ahead = *s;
    struct nest nest;
    enum json_read r;

    nest.depth = 0;
    skip_blanks(&ahead);
    const char *begin = ahead.at;
    do {
        bool is_open;
        r = begin_value(&ahead, &nest, &is_open);
        while (r == JSON_OK && !is_open && nest.depth > 0)
            r = end_value(&ahead, &nest, &is_open);
    } while (r == JSON_OK && nest.depth > 0);
    if (r == JSON_OK) {
        *value = (struct json_text){begin, (size_t)(ahead.at - begin)};
        s->at = ahead.at;
    }
    return r;
}

enum json_read json_enter(struct json_walk *w, struct json_scan *s)
{
    char first;
    const enum json_read r = json_peek(s, &first);
    if (r != JSON_OK)
        return r;
    if (first != '{' && first != '[')
        return JSON_BAD;
    s->at++;
    *w = (struct json_walk){.scan = s, .is_object = first == '{'};
    return JSON_OK;
}

/* To the next value or name, over the comma. */
static inline enum json_read advance(const struct json_walk *w, struct json_scan *ahead)
{
    const char closer = w->is_object ? '}' : ']';
    skip_blanks(ahead);
    if (ahead->at == ahead->end)
        return at_end(ahead);
    if (*ahead->at == closer) {
        ahead->at++;
        return JSON_END;
    }
    if (!w->is_begun)
        return JSON_OK;
    if (*ahead->at++ != ',')
        return JSON_BAD;
    skip_blanks(ahead); /* a comma promises a value, which is not the end */
    if (ahead->at == ahead->end)
        return at_end(ahead);
    return *ahead->at == closer ? JSON_BAD : JSON_OK;
}

enum json_read json_next(struct json_walk *w)
{
    struct json_scan ahead = *w->scan;
    ASSERT(!w->is_object);
    const enum json_read r = advance(w, &ahead);
    if (r == JSON_OK || r == JSON_END)
        w->scan->at = ahead.at;
    w->is_begun |= r == JSON_OK;
    return r;
}

enum json_read json_next_member(struct json_walk *w, struct json_string *name)
{
    struct json_scan ahead = *w->scan;
    ASSERT(w->is_object);
    enum json_read r = advance(w, &ahead);
    if (r == JSON_OK)
        r = scan_name(&ahead, name);
    if (r == JSON_OK || r == JSON_END)
        w->scan->at = ahead.at;
    w->is_begun |= r == JSON_OK;
    return r;
}

/* ---- what strings mean ---- */

static uint32_t hex4(const char *at)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++)
        value = value << 4 | (uint32_t)hex_digit(at[i]);
    return value;
}

static size_t put_utf8(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    const size_t len = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = len - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(lead[len] | c);
    return len;
}

/* The character of an escape; `*at` is behind its backslash, and afterwards behind it. */
static size_t decode_escape(const char **at, const char *end, char out[4])
{
    static const char letters[] = "bfnrt", meanings[] = "\b\f\n\r\t";
    const char c = *(*at)++;
    if (c != 'u') {
        const char *letter = strchr(letters, c);
        out[0] = letter != NULL ? meanings[letter - letters] : c;
        return 1;
    }
    uint32_t code = hex4(*at);
    *at += 4;
    if (code >= 0xd800 && code < 0xe000) {
        uint32_t low = 0;
        if (code < 0xdc00 && end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u')
            low = hex4(*at + 2);
        if (low >= 0xdc00 && low < 0xe000) {
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            *at += 6;
        } else {
            code = 0xfffd;
        }
    }
    return put_utf8(code, out);
}

/* The next piece of what a string means: a run of plain characters, or what an escape stands for, in `room`. */
static struct json_text next_piece(const char **at, const char *end, char room[4])
{
    if (**at == '\\') {
        (*at)++;
        const size_t len = decode_escape(at, end, room);
        return (struct json_text){room, len};
    }
    const char *begin = *at;
    const char *escape = memchr(begin, '\\', (size_t)(end - begin));
    *at = escape != NULL ? escape : end;
    return (struct json_text){begin, (size_t)(*at - begin)};
}

size_t json_decode(struct json_string string, char *out, size_t room)
{
    const char *at = string.data, *end = string.data + string.len;
    size_t len = 0;
    while (at < end) {
        char escaped[4];
        const struct json_text piece = next_piece(&at, end, escaped);
        if (piece.len > room - len)
            return SIZE_MAX;
        memcpy(out + len, piece.data, piece.len);
        len += piece.len;
    }
    return len;
}

bool json_string_is(struct json_string string, const char *text, size_t len)
{
    if (!string.has_escapes)
        return string.len == len && (len == 0 || memcmp(string.data, text, len) == 0);
    const char *at = string.data, *end = string.data + string.len;
    size_t done = 0;
    while (at < end) {
        char escaped[4];
        const struct json_text piece = next_piece(&at, end, escaped);
        if (piece.len > len - done || memcmp(piece.data, text + done, piece.len) != 0)
            return false;
        done += piece.len;
    }
    return done == len;
}

/* ---- whole texts ---- */

bool json_is_value(struct json_text text)
{
    struct json_text value;
    struct json_scan s = json_scan_of(text.data, text.len, true);
    if (json_skip(&s, &value) != JSON_OK)
        return false;
    skip_blanks(&s);
    return s.at == s.end;
}

static struct json_text find_member(struct json_text text, const char *name, size_t name_len)
{
    struct json_text found = {NULL, 0};
    struct json_scan s = json_scan_of(text.data, text.len, true);
    struct json_walk w;
    struct json_string member;
    if (json_enter(&w, &s) != JSON_OK || !w.is_object)
        return found;
    enum json_read r;
    while ((r = json_next_member(&w, &member)) == JSON_OK) {
        struct json_text value;
        if (json_skip(&s, &value) != JSON_OK)
            return (struct json_text){NULL, 0};
        if (json_string_is(member, name, name_len))
            found = value;
    }
    return r == JSON_END ? found : (struct json_text){NULL, 0};
}

struct json_text json_find(struct json_text text, const char *path)
{
    while (text.data != NULL && *path != '\0') {
        const size_t len = strcspn(path, ".");
        text = find_member(text, path, len);
        path += len + (path[len] == '.');
    }
    return text;
}

static bool begins_with(struct json_text value, char c)
{
    struct json_scan s = json_scan_of(value.data, value.len, true);
    char first;
    return value.data != NULL && json_peek(&s, &first) == JSON_OK && first == c;
}

bool json_text_is_object(struct json_text value)
{
    return begins_with(value, '{');
}

bool json_text_is_array(struct json_text value)
{
    return begins_with(value, '[');
}

bool json_to_string(struct json_text value, struct json_string *string)
{
    struct json_scan s = json_scan_of(value.data, value.len, true);
    return value.data != NULL && json_read_string(&s, string) == JSON_OK;
}

bool json_text_is(struct json_text value, const char *text)
{
    struct json_string string;
    return json_to_string(value, &string) && json_string_is(string, text, strlen(text));
}
