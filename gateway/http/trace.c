/* Trace context. A traceparent that is wrong in any way is not repaired: a trace with made-up parts misleads whoever
 * looks at it, so what the request said is dropped, and tracestate with it (W3C Trace Context section 2.2). */
#include "gateway/http/trace.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"

#define FLAG_SAMPLED 0x01u
#define FLAG_RANDOM  0x02u /* level 2: the trace id is random, at least in its last seven bytes */
#define KNOWN_FLAGS  (FLAG_SAMPLED | FLAG_RANDOM)

/* Where the parts of a traceparent begin; dashes stand before all but the first. */
enum { AT_VERSION = 0, AT_TRACE = 3, AT_SPAN = 36, AT_FLAGS = 53, AT_END = TRACE_PARENT_BYTES };

static bool is_lower_hex(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\0' || strchr("0123456789abcdef", text[i]) == NULL)
            return false;
    }
    return true;
}

static bool is_zero(const char *text)
{
    return text[strspn(text, "0")] == '\0';
}

static unsigned hex_digit(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a' + 10);
}

bool trace_parse(struct http_view value, struct trace *t)
{
    const char *s = value.data;
    if (value.len < AT_END || s[AT_TRACE - 1] != '-' || s[AT_SPAN - 1] != '-' || s[AT_FLAGS - 1] != '-' ||
        !is_lower_hex(s, 2) || !is_lower_hex(s + AT_TRACE, TRACE_ID_BYTES) ||
        !is_lower_hex(s + AT_SPAN, TRACE_SPAN_BYTES) || !is_lower_hex(s + AT_FLAGS, 2) || memcmp(s, "ff", 2) == 0)
        return false;
    const bool is_known = memcmp(s, "00", 2) == 0;
    if (value.len > AT_END && (is_known || s[AT_END] != '-'))
        return false;
    memcpy(t->trace_id, s + AT_TRACE, TRACE_ID_BYTES);
    t->trace_id[TRACE_ID_BYTES] = '\0';
    memcpy(t->parent_id, s + AT_SPAN, TRACE_SPAN_BYTES);
    t->parent_id[TRACE_SPAN_BYTES] = '\0';
    t->flags = (uint8_t)((hex_digit(s[AT_FLAGS]) << 4 | hex_digit(s[AT_FLAGS + 1])) & KNOWN_FLAGS);
    return !is_zero(t->trace_id) && !is_zero(t->parent_id);
}

/* An id of zeros means that there is none; one in 2^64 is as good as none, but not as bad as a wrong one. */
static void put_id(char *out, const uint8_t *bytes, size_t count)
{
    *hex_text(bytes, count, out) = '\0';
    if (is_zero(out))
        out[2 * count - 1] = '1';
}

void trace_begin(struct trace *t, const struct http_head *request, const struct trace_policy *p,
                 const uint8_t random[TRACE_RANDOM_BYTES])
{
    const uint8_t *span = random + TRACE_ID_BYTES / 2;
    const uint8_t chance = random[TRACE_RANDOM_BYTES - 1];
    const bool is_given = http_count(request, "traceparent") == 1;
    struct trace given;

    memset(t, 0, sizeof *t);
    memset(&given, 0, sizeof given);
    if (p->mode == TRACE_OFF) {
        if (is_given && trace_parse(http_value(request, "traceparent"), &given))
            *t = given; /* for the log */
        return;
    }
    t->owns_fields = true;
    t->is_continued = p->is_believed && is_given && trace_parse(http_value(request, "traceparent"), &given);
    if (t->is_continued) {
        *t = given;
        t->owns_fields = t->is_continued = true;
    } else if (p->mode == TRACE_START) {
        put_id(t->trace_id, random, TRACE_ID_BYTES / 2);
        t->flags = FLAG_RANDOM | (chance * 100u < p->sample_percent * 256u ? FLAG_SAMPLED : 0);
    } else {
        return;
    }
    put_id(t->span_id, span, TRACE_SPAN_BYTES / 2);
    (void)snprintf(t->parent, sizeof t->parent, "00-%s-%s-%02x", t->trace_id, t->span_id, t->flags);
}
