/* Parser and printer of the verdict file. The parser is strict line by line: what the printer would not have written
 * is not taken, so a half-written number or name cannot pass for a whole one. */
#include "health/persist.h"

#include <inttypes.h>
#include <string.h>

#include "base/assert.h"

#define HEAD "tidegate verdicts 1"

/* That many digits always fit into an int64_t, and last for thirty million years of milliseconds. */
#define DIGITS_MAX 18u

/* Bytes from `at` up to `end`, not terminated. */
struct span {
    const char *at;
    const char *end;
};

static size_t span_len(struct span s)
{
    return (size_t)(s.end - s.at);
}

static bool span_is(struct span s, const char *text)
{
    return span_len(s) == strlen(text) && memcmp(s.at, text, span_len(s)) == 0;
}

/* Cuts off what stands before `separator`; false when it does not occur. */
static bool span_cut(struct span *from, char separator, struct span *out)
{
    const char *found = memchr(from->at, separator, span_len(*from));

    if (found == NULL)
        return false;
    *out = (struct span){from->at, found};
    from->at = found + 1;
    return true;
}

static bool parse_state(struct span s, enum verdict_state *state)
{
    static const enum verdict_state states[] = {VERDICT_UNKNOWN, VERDICT_UP, VERDICT_DOWN};

    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        *state = states[i];
        if (span_is(s, verdict_state_text(states[i])))
            return true;
    }
    return false;
}

#define FORCED   "forced-"
#define DRAINING "draining"

static bool says_anything(const struct persist_entry *e)
{
    return e->state != VERDICT_UNKNOWN || e->forced != VERDICT_UNKNOWN || e->is_draining;
}

/* One word of an operator. */
static bool parse_word(struct span s, struct persist_entry *e)
{
    const size_t len = sizeof FORCED - 1;

    if (span_is(s, DRAINING) && !e->is_draining)
        return e->is_draining = true;
    if (span_len(s) <= len || memcmp(s.at, FORCED, len) != 0 || e->forced != VERDICT_UNKNOWN || e->is_draining)
        return false;
    s.at += len;
    return parse_state(s, &e->forced) && e->forced != VERDICT_UNKNOWN;
}

/* `state[,forced-state][,draining]` */
static bool parse_states(struct span s, struct persist_entry *e)
{
    struct span word = s;
    bool has_words = span_cut(&s, ',', &word);

    if (!parse_state(word, &e->state))
        return false;
    while (has_words) {
        has_words = span_cut(&s, ',', &word);
        if (!parse_word(has_words ? word : s, e))
            return false;
    }
    return says_anything(e);
}

static bool parse_number(struct span s, int64_t *value)
{
    *value = 0;
    if (span_len(s) == 0 || span_len(s) > DIGITS_MAX)
        return false;
    for (const char *c = s.at; c < s.end; c++) {
        if (*c < '0' || *c > '9')
            return false;
        *value = *value * 10 + (*c - '0');
    }
    return true;
}

static bool is_usable_name(const char *name, size_t len)
{
    if (len == 0 || len >= SLOTS_NAME_BYTES)
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
            return false;
    return true;
}

static bool parse_line(struct persist *p, struct span line)
{
    struct persist_entry e = {0};
    struct span state, since;

    if (p->count == PERSIST_ENTRIES_MAX || !span_cut(&line, ' ', &state) || !span_cut(&line, ' ', &since) ||
        !parse_states(state, &e) || !parse_number(since, &e.since_wall_ms) || !is_usable_name(line.at, span_len(line)))
        return false;
    memcpy(e.name, line.at, span_len(line));
    if (persist_find(p, e.name) != NULL)
        return false;
    p->entries[p->count++] = e;
    return true;
}

size_t persist_parse(struct persist *p, const char *text, size_t len)
{
    struct span rest = {text, text + len};
    struct span line;
    size_t unusable_count = 0;

    p->count = 0;
    if (!span_cut(&rest, '\n', &line) || !span_is(line, HEAD))
        return 1;
    while (span_cut(&rest, '\n', &line))
        unusable_count += parse_line(p, line) ? 0 : 1;
    return unusable_count + (span_len(rest) > 0 ? 1 : 0); /* a last line without its end was cut off */
}

void persist_add(struct persist *p, const struct persist_entry *e)
{
    if (!says_anything(e) || e->since_wall_ms < 0 || !is_usable_name(e->name, strnlen(e->name, sizeof e->name)) ||
        p->count == PERSIST_ENTRIES_MAX)
        return;
    p->entries[p->count++] = *e;
}

void persist_print(const struct persist *p, struct strbuf *out)
{
    strbuf_puts(out, HEAD "\n");
    for (size_t i = 0; i < p->count; i++) {
        const struct persist_entry *e = &p->entries[i];

        strbuf_puts(out, verdict_state_text(e->state));
        if (e->forced != VERDICT_UNKNOWN)
            strbuf_printf(out, "," FORCED "%s", verdict_state_text(e->forced));
        strbuf_printf(out, "%s %" PRId64 " %s\n", e->is_draining ? "," DRAINING : "", e->since_wall_ms, e->name);
    }
}

const struct persist_entry *persist_find(const struct persist *p, const char *name)
{
    for (size_t i = 0; i < p->count; i++)
        if (strcmp(p->entries[i].name, name) == 0)
            return &p->entries[i];
    return NULL;
}
