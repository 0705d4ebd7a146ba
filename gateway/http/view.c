/* Text looked at eight or sixteen bytes at a time. The last ones may be some that were looked at before, and in a word
 * made of a shorter text some of its bytes stand twice: neither changes an answer, and nothing outside the text is
 * read. */
#include "gateway/http/view.h"

#include <stdint.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "gateway/http/text.h"

#define EVERY_BYTE(b) ((uint64_t)0x0101010101010101u * (b))

#define WORD_BYTES sizeof(uint64_t)

static uint64_t word_at(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* All of 1 to 7 bytes; what is left of the word repeats them. */
static uint64_t word_of_few(const char *at, size_t len)
{
    uint32_t first, last;
    if (len < sizeof first)
        return EVERY_BYTE((uint8_t)at[0]) << 16 | (uint64_t)(uint8_t)at[len / 2] << 8 | (uint8_t)at[len - 1];
    memcpy(&first, at, sizeof first);
    memcpy(&last, at + len - sizeof last, sizeof last);
    return (uint64_t)first << 32 | last;
}

/* The high bit of each byte that is zero, and perhaps of bytes above one that is. */
static uint64_t zeroes(uint64_t word)
{
    return (word - EVERY_BYTE(1)) & ~word & EVERY_BYTE(0x80);
}

/* Hardly any text has a byte below these at all. */
static bool leaves_line(uint64_t word)
{
    if (((word - EVERY_BYTE('\r' + 1)) & ~word & EVERY_BYTE(0x80)) == 0)
        return false;
    return (zeroes(word) | zeroes(word ^ EVERY_BYTE('\r')) | zeroes(word ^ EVERY_BYTE('\n'))) != 0;
}

/* The high bit of each byte that is a letter. */
static uint64_t letters(uint64_t word)
{
    const uint64_t lower = (word | EVERY_BYTE(0x20)) & EVERY_BYTE(0x7f); /* leaves room for a carry in each byte */
    return (lower + EVERY_BYTE(0x80 - 'a')) & ~(lower + EVERY_BYTE(0x7f - 'z')) & ~word & EVERY_BYTE(0x80);
}

/* Bytes may differ in one bit, where they are letters. */
static bool same_word(uint64_t a, uint64_t b)
{
    const uint64_t difference = a ^ b;
    return difference == 0 || (difference & ~(letters(a) >> 2)) == 0;
}

#if defined(__SSE2__)

#define STEP_BYTES sizeof(__m128i)

static __m128i step_at(const char *at)
{
    return _mm_loadu_si128((const __m128i *)(const void *)at);
}

/* All of 8 to 15 bytes. */
static __m128i step_of_few(const char *at, size_t len)
{
    return _mm_set_epi64x((long long)word_at(at + len - WORD_BYTES), (long long)word_at(at));
}

/* 0xff for each byte that is from `first` to `last`. */
static __m128i within(__m128i step, char first, char last)
{
    const __m128i above = _mm_sub_epi8(step, _mm_set1_epi8(first));
    return _mm_cmpeq_epi8(_mm_min_epu8(above, _mm_set1_epi8((char)(last - first))), above);
}

static bool holds_everywhere(__m128i step)
{
    return _mm_movemask_epi8(step) == 0xffff;
}

static __m128i letters_of(__m128i step)
{
    return within(_mm_or_si128(step, _mm_set1_epi8(0x20)), 'a', 'z');
}

/* As same_word(). */
static bool same_step(__m128i a, __m128i b)
{
    const __m128i may_differ = _mm_and_si128(letters_of(a), _mm_set1_epi8(0x20));
    return holds_everywhere(_mm_cmpeq_epi8(_mm_andnot_si128(may_differ, _mm_xor_si128(a, b)), _mm_setzero_si128()));
}

/* What nearly all names consist of: letters, digits and "-". */
static bool is_usual_step(__m128i step)
{
    const __m128i dash = _mm_cmpeq_epi8(step, _mm_set1_epi8('-'));
    return holds_everywhere(_mm_or_si128(_mm_or_si128(letters_of(step), within(step, '0', '9')), dash));
}

/* Whether all of the text is of that kind; false: it may be, or not. */
static bool is_usual(const char *at, size_t len)
{
    if (len < WORD_BYTES)
        return false;
    if (len < STEP_BYTES)
        return is_usual_step(step_of_few(at, len));
    for (size_t i = 0; i < len - STEP_BYTES; i += STEP_BYTES) {
        if (!is_usual_step(step_at(at + i)))
            return false;
    }
    return is_usual_step(step_at(at + len - STEP_BYTES));
}

static bool stays_in_line(__m128i step)
{
    const __m128i ends =
        _mm_or_si128(_mm_cmpeq_epi8(step, _mm_set1_epi8('\r')), _mm_cmpeq_epi8(step, _mm_set1_epi8('\n')));
    return _mm_movemask_epi8(_mm_or_si128(ends, _mm_cmpeq_epi8(step, _mm_setzero_si128()))) == 0;
}

static bool all_stay_in_line(const char *at, size_t len)
{
    if (len < STEP_BYTES)
        return stays_in_line(step_of_few(at, len));
    for (size_t i = 0; i < len - STEP_BYTES; i += STEP_BYTES) {
        if (!stays_in_line(step_at(at + i)))
            return false;
    }
    return stays_in_line(step_at(at + len - STEP_BYTES));
}

static bool same_words(const char *a, const char *b, size_t len)
{
    if (len < STEP_BYTES)
        return same_step(step_of_few(a, len), step_of_few(b, len));
    for (size_t i = 0; i < len - STEP_BYTES; i += STEP_BYTES) {
        if (!same_step(step_at(a + i), step_at(b + i)))
            return false;
    }
    return same_step(step_at(a + len - STEP_BYTES), step_at(b + len - STEP_BYTES));
}

#else

static bool is_usual(const char *at, size_t len)
{
    (void)at;
    (void)len;
    return false;
}

static bool all_stay_in_line(const char *at, size_t len)
{
    for (size_t i = 0; i < len - WORD_BYTES; i += WORD_BYTES) {
        if (leaves_line(word_at(at + i)))
            return false;
    }
    return !leaves_line(word_at(at + len - WORD_BYTES));
}

static bool same_words(const char *a, const char *b, size_t len)
{
    for (size_t i = 0; i < len - WORD_BYTES; i += WORD_BYTES) {
        if (!same_word(word_at(a + i), word_at(b + i)))
            return false;
    }
    return same_word(word_at(a + len - WORD_BYTES), word_at(b + len - WORD_BYTES));
}

#endif

bool http_view_is_inline(struct http_view v)
{
    if (v.len == 0)
        return true;
    if (v.len < WORD_BYTES)
        return !leaves_line(word_of_few(v.data, v.len));
    return all_stay_in_line(v.data, v.len);
}

bool http_same_nocase(const char *a, const char *b, size_t len)
{
    if (len < WORD_BYTES)
        return same_word(word_of_few(a, len), word_of_few(b, len));
    return same_words(a, b, len);
}

/* clang-format off */
const bool text_tchars[256] = {
    ['!'] = true, ['#'] = true, ['$'] = true, ['%'] = true, ['&'] = true, ['\''] = true, ['*'] = true, ['+'] = true,
    ['-'] = true, ['.'] = true, ['^'] = true, ['_'] = true, ['`'] = true, ['|'] = true, ['~'] = true,
    ['0'] = true, ['1'] = true, ['2'] = true, ['3'] = true, ['4'] = true, ['5'] = true, ['6'] = true, ['7'] = true,
    ['8'] = true, ['9'] = true,
    ['A'] = true, ['B'] = true, ['C'] = true, ['D'] = true, ['E'] = true, ['F'] = true, ['G'] = true, ['H'] = true,
    ['I'] = true, ['J'] = true, ['K'] = true, ['L'] = true, ['M'] = true, ['N'] = true, ['O'] = true, ['P'] = true,
    ['Q'] = true, ['R'] = true, ['S'] = true, ['T'] = true, ['U'] = true, ['V'] = true, ['W'] = true, ['X'] = true,
    ['Y'] = true, ['Z'] = true,
    ['a'] = true, ['b'] = true, ['c'] = true, ['d'] = true, ['e'] = true, ['f'] = true, ['g'] = true, ['h'] = true,
    ['i'] = true, ['j'] = true, ['k'] = true, ['l'] = true, ['m'] = true, ['n'] = true, ['o'] = true, ['p'] = true,
    ['q'] = true, ['r'] = true, ['s'] = true, ['t'] = true, ['u'] = true, ['v'] = true, ['w'] = true, ['x'] = true,
    ['y'] = true, ['z'] = true,
};
/* clang-format on */

/* Four a turn: one test for all of them. */
bool http_is_token(struct http_view v)
{
    const uint8_t *at = (const uint8_t *)v.data;
    size_t left = v.len;
    if (is_usual(v.data, v.len))
        return true;
    for (; left >= 4; at += 4, left -= 4) {
        if (!(text_tchars[at[0]] & text_tchars[at[1]] & text_tchars[at[2]] & text_tchars[at[3]]))
            return false;
    }
    for (; left > 0; at++, left--) {
        if (!text_tchars[*at])
            return false;
    }
    return v.len > 0;
}
