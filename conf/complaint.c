/* Collects, sorts and prints mistakes. What a file can make us keep is bounded three times: so many are remembered,
 * fewer are printed, and what is quoted from the file is shortened and made printable, because a configuration may
 * come from a template and the messages end up in logs and terminals. */
#include "conf/complaint.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "conf/conf.h"

#define KEPT_MAX       1000u
#define PRINTED_MAX    100u
#define WHAT_BYTES     512u
#define QUOTE_MAX      48u
#define RENDERED_BYTES ((size_t)1 << 20)

struct complaint {
    struct place at;
    size_t order; /* keeps the sort stable */
    const char *key;
    const char *what;
};

void complaints_init(struct complaints *c, struct arena *arena, const char *file)
{
    *c = (struct complaints){.magic = COMPLAINTS_MAGIC, .arena = arena, .file = file};
}

void complain(struct complaints *c, struct place at, const char *key, const char *fmt, ...)
{
    CHECK_OBJ(c, COMPLAINTS_MAGIC);
    if (c->is_muted)
        return;
    c->total_count++;
    if (c->kept_count == KEPT_MAX)
        return;
    if (c->all == NULL)
        c->all = arena_alloc(c->arena, KEPT_MAX, sizeof *c->all);
    char what[WHAT_BYTES];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    c->all[c->kept_count] = (struct complaint){
        .at = at, .order = c->kept_count, .key = arena_strdup(c->arena, key), .what = arena_strdup(c->arena, what)};
    c->kept_count++;
}

bool complaints_want_more(struct complaints *c)
{
    CHECK_OBJ(c, COMPLAINTS_MAGIC);
    if (c->kept_count < KEPT_MAX)
        return true;
    c->total_count += c->is_muted ? 0 : 1;
    return false;
}

static int compare_complaints(const void *pa, const void *pb)
{
    const struct complaint *a = pa;
    const struct complaint *b = pb;
    if (a->at.line != b->at.line)
        return a->at.line < b->at.line ? -1 : 1;
    if (a->at.column != b->at.column)
        return a->at.column < b->at.column ? -1 : 1;
    return a->order < b->order ? -1 : 1;
}

/* An alias shows the same mistake at the same place once per use; once is enough for the reader. */
static size_t drop_repeated(struct complaint *all, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        const struct complaint *last = kept > 0 ? &all[kept - 1] : NULL;
        if (last != NULL && last->at.line == all[i].at.line && last->at.column == all[i].at.column &&
            strcmp(last->what, all[i].what) == 0)
            continue;
        all[kept++] = all[i];
    }
    return kept;
}

void complaints_render(struct complaints *c, struct conf_errors *out)
{
    CHECK_OBJ(c, COMPLAINTS_MAGIC);
    *out = (struct conf_errors){0};
    if (c->kept_count == 0)
        return;
    qsort(c->all, c->kept_count, sizeof *c->all, compare_complaints);
    size_t not_kept = c->total_count - c->kept_count;
    size_t count = drop_repeated(c->all, c->kept_count);
    struct strbuf text;
    strbuf_init(&text, RENDERED_BYTES);
    for (size_t i = 0; i < count && i < PRINTED_MAX; i++) {
        const struct complaint *e = &c->all[i];
        strbuf_printf(&text, "%s:%u:%u: %s%s%s\n", c->file, e->at.line, e->at.column, e->key, e->key[0] ? ": " : "",
                      e->what);
    }
    if (count + not_kept > PRINTED_MAX)
        strbuf_printf(&text, "%s: ... and %zu more\n", c->file, count + not_kept - PRINTED_MAX);
    out->count = count + not_kept;
    out->text = mem_strndup(text.data, text.len);
    strbuf_fini(&text);
}

const char *complaint_show(struct complaints *c, const char *text)
{
    char out[QUOTE_MAX + sizeof "..."];
    size_t len = 0;
    for (const char *s = text; *s != '\0'; s++) {
        if (len == QUOTE_MAX) {
            while (len > 0 && ((unsigned char)s[0] & 0xc0u) == 0x80u) { /* not in the middle of a character */
                s--;
                len--;
            }
            memcpy(out + len, "...", 3);
            len += 3;
            break;
        }
        unsigned char byte = (unsigned char)*s;
        out[len++] = byte < 0x20 || byte == 0x7f ? '?' : *s;
    }
    return arena_strndup(c->arena, out, len);
}

const char *complaint_quote(struct complaints *c, const char *text)
{
    return arena_printf(c->arena, "\"%s\"", complaint_show(c, text));
}
