/* The two formats of a line. Peers choose much of what is logged: no value may forge a line, hide what follows, or
 * grow without bound. */
#include "base/log_line.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LINE_TAIL_BYTES 32u  /* kept free for the mark of a cut line and its end */
#define WHAT_BYTES      512u /* of the sentence and of one value */

static const struct {
    const char *name;      /* in text */
    const char *json_name; /* in JSON */
    int priority;          /* syslog(3), for the journal */
} levels[] = {
    [LOG_LEVEL_ERR] = {"ERROR", "error", 3},
    [LOG_LEVEL_WARN] = {"WARN", "warn", 4},
    [LOG_LEVEL_INFO] = {"INFO", "info", 6},
    [LOG_LEVEL_DEBUG] = {"DEBUG", "debug", 7},
};

const char *log_time_text(int64_t wall_ms, char out[LOG_TIME_BYTES])
{
    const time_t s = (time_t)(wall_ms / 1000);
    struct tm tm = {0};

    (void)gmtime_r(&s, &tm);
    size_t len = strftime(out, LOG_TIME_BYTES, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(out + len, LOG_TIME_BYTES - len, ".%03dZ", (int)(wall_ms % 1000));
    return out;
}

/* ---- text ---- */

/* Controls, C1 controls (U+0080..9f, which terminals obey) and what is not UTF-8 never get out as they are. */
static size_t safe_sequence(const char *s, size_t len)
{
    uint8_t c = (uint8_t)*s;
    size_t sequence = utf8_sequence_len(s, len);

    if (c < ' ' || c == 0x7f || c == '\\' || c == '"' || (c == 0xc2 && sequence == 2 && (uint8_t)s[1] < 0xa0))
        return 0;
    return sequence;
}

static void text_escaped(struct strbuf *b, const char *s, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t sequence = safe_sequence(s + i, len - i);
        uint8_t c = (uint8_t)s[i];

        if (sequence > 0)
            strbuf_add(b, s + i, sequence);
        else if (c == '\\' || c == '"')
            strbuf_add(b, (const char[]){'\\', (char)c}, 2);
        else if (c == '\n')
            strbuf_add(b, "\\n", 2);
        else
            strbuf_printf(b, "\\x%02x", c);
        i += sequence > 0 ? sequence : 1;
    }
}

static bool needs_quotes(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((uint8_t)s[i] <= ' ' || (uint8_t)s[i] >= 0x7f || strchr("\"\\=", s[i]) != NULL)
            return true;
    return len == 0;
}

static void text_string(struct strbuf *b, const char *s, size_t len)
{
    if (!needs_quotes(s, len)) {
        strbuf_add(b, s, len);
        return;
    }
    strbuf_add(b, "\"", 1);
    text_escaped(b, s, len);
    strbuf_add(b, "\"", 1);
}

static void text_head(struct strbuf *b, const struct log_stamp *stamp, const char *what, size_t what_len)
{
    if (stamp->time == NULL)
        strbuf_printf(b, "<%d>", levels[stamp->level].priority);
    else
        strbuf_printf(b, "%s %s ", stamp->time, levels[stamp->level].name);
    if (stamp->role[0] != '\0')
        strbuf_printf(b, "%s ", stamp->role);
    text_escaped(b, what, what_len);
}

static void text_key(struct strbuf *b, const char *key)
{
    strbuf_printf(b, " %s=", key);
}

/* ---- JSON ---- */
static void json_head(struct strbuf *b, const struct log_stamp *stamp, const char *what, size_t what_len)
{
    strbuf_puts(b, "{");
    if (stamp->time != NULL)
        strbuf_printf(b, "\"time\":\"%s\",", stamp->time);
    strbuf_printf(b, "\"level\":\"%s\",\"role\":", levels[stamp->level].json_name);
    strbuf_json_string(b, stamp->role, strlen(stamp->role));
    strbuf_puts(b, ",\"msg\":");
    strbuf_json_string(b, what, what_len);
}

static void json_key(struct strbuf *b, const char *key)
{
    strbuf_add(b, ",", 1);
    strbuf_json_string(b, key, strlen(key));
    strbuf_add(b, ":", 1);
}

static const struct {
    void (*head)(struct strbuf *b, const struct log_stamp *stamp, const char *what, size_t what_len);
    void (*key)(struct strbuf *b, const char *key);
    void (*string)(struct strbuf *b, const char *s, size_t len);
    const char *cut; /* says that fields are missing */
    const char *end;
} formats[] = {
    [LOG_FORMAT_TEXT] = {text_head, text_key, text_string, " cut=true", "\n"},
    [LOG_FORMAT_JSON] = {json_head, json_key, strbuf_json_string, ",\"cut\":true", "}\n"},
};

/* ---- one line ---- */

/* The first `max` bytes of the text at most, without splitting a character. */
static size_t bounded_len(const char *s, size_t len, size_t max)
{
    if (len <= max)
        return len;
    for (len = max; len > max - 4 && ((uint8_t)s[len] & 0xc0) == 0x80;)
        len--;
    return len;
}

static void add_field(struct strbuf *b, enum log_format format, const struct log_field *f)
{
    const char *s = f->kind == LOG_KIND_STR && f->str != NULL ? f->str : "";

    formats[format].key(b, f->key);
    switch (f->kind) {
    case LOG_KIND_STR:
        formats[format].string(b, s, bounded_len(s, f->len < 0 ? strlen(s) : (size_t)f->len, WHAT_BYTES));
        break;
    case LOG_KIND_INT:
        strbuf_printf(b, "%" PRId64, f->i);
        break;
    case LOG_KIND_UINT:
        strbuf_printf(b, "%" PRIu64, f->u);
        break;
    case LOG_KIND_BOOL:
        strbuf_puts(b, f->u != 0 ? "true" : "false");
        break;
    case LOG_KIND_END:
        break;
    }
}

static void add_end(struct strbuf *b, enum log_format format, const struct log_field *fields)
{
    for (const struct log_field *f = fields; f->kind != LOG_KIND_END; f++) {
        size_t whole_len = b->len;

        add_field(b, format, f);
        if (!b->failed && b->len + LINE_TAIL_BYTES <= b->max_bytes)
            continue;
        b->len = whole_len; /* a line is cut between fields, so that it stays readable by machines */
        b->failed = false;
        strbuf_puts(b, formats[format].cut);
        break;
    }
    strbuf_puts(b, formats[format].end);
}

void log_line_add(struct strbuf *out, enum log_format format, const struct log_stamp *stamp, const char *what,
                  const struct log_field *fields)
{
    formats[format].head(out, stamp, what, bounded_len(what, strlen(what), WHAT_BYTES));
    add_end(out, format, fields);
}

void log_line_add_fields(struct strbuf *out, const struct log_field *fields)
{
    add_end(out, LOG_FORMAT_TEXT, fields);
}

void log_line_add_text(struct strbuf *out, const char *s, size_t len, size_t max_bytes)
{
    text_escaped(out, s, bounded_len(s, len, max_bytes));
}
