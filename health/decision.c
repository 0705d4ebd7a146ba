/* Views and decisions as lines of text; see the header.
 *
 *   view 1 gateway|checker reaching|cut-off SERIAL ROWS   decision 1 TERM VERSION SINCE SERIAL ZONE ROWS STATES
 *   node NAME                                             node NAME
 *   region NAME                                           row ID CHOSEN LAST_GOOD good|last-resort[,draining]
 *   STATE[,forced][,draining] CHECKS INTERVAL SERVER      state STATE SERVER
 *
 * The counts in the first line tell a text that was cut off at the end of a line. Numbers stand as they are printed:
 * no sign, no leading zero, so that one thing has one text. */
#include "health/decision.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

/* ---- reading ---- */

/* What is left of a text. Once something is not as it has to be it is `failed`, reads nothing more, and is asked at the
 * end. */
struct reader {
    const char *at, *end;
    bool failed;
};

struct word {
    const char *at;
    size_t len;
};

static struct word fail(struct reader *r)
{
    r->failed = true;
    return (struct word){.at = "", .len = 0};
}

/* Up to `separator`, which is taken as well. */
static struct word next_word(struct reader *r, char separator)
{
    if (r->failed)
        return fail(r);
    const char *found = memchr(r->at, separator, (size_t)(r->end - r->at));
    if (found == NULL || memchr(r->at, '\n', (size_t)(found - r->at)) != NULL)
        return fail(r);
    struct word w = {.at = r->at, .len = (size_t)(found - r->at)};
    r->at = found + 1;
    return w;
}

static bool word_is(struct word w, const char *text)
{
    return w.len == strlen(text) && memcmp(w.at, text, w.len) == 0;
}

static void expect(struct reader *r, char separator, const char *text)
{
    if (!word_is(next_word(r, separator), text))
        r->failed = true;
}

static int digit_of(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static uint64_t next_number(struct reader *r, char separator, unsigned base, uint64_t max)
{
    const struct word w = next_word(r, separator);
    uint64_t n = 0;

    if (w.len == 0 || (w.len > 1 && w.at[0] == '0'))
        r->failed = true;
    for (size_t i = 0; i < w.len && !r->failed; i++) {
        const int digit = digit_of(w.at[i]);
        if (digit < 0 || (unsigned)digit >= base || n > (max - (unsigned)digit) / base)
            r->failed = true;
        else
            n = n * base + (unsigned)digit;
    }
    return r->failed ? 0 : n;
}

/* A line's rest: a name without control characters, of up to `cap_bytes` with its NUL. */
static void next_name(struct reader *r, char *out, size_t cap_bytes, bool may_be_empty)
{
    const struct word w = next_word(r, '\n');

    if (w.len >= cap_bytes || (w.len == 0 && !may_be_empty))
        r->failed = true;
    for (size_t i = 0; i < w.len && !r->failed; i++)
        if ((unsigned char)w.at[i] < 0x20 || w.at[i] == 0x7f)
            r->failed = true;
    if (r->failed)
        return;
    memcpy(out, w.at, w.len);
    out[w.len] = '\0';
}

/* The first or the second of two words. */
static bool next_choice(struct reader *r, char separator, const char *no, const char *yes)
{
    const struct word w = next_word(r, separator);
    const bool is_yes = word_is(w, yes);
    if (!is_yes && !word_is(w, no))
        r->failed = true;
    return is_yes;
}

/* Cuts `,text` off the end of a word. */
static bool cut_suffix(struct word *w, const char *text)
{
    const size_t len = strlen(text);
    if (w->len <= len || memcmp(w->at + w->len - len, text, len) != 0)
        return false;
    w->len -= len;
    return true;
}

static enum verdict_state state_of(struct reader *r, struct word w)
{
    static const enum verdict_state states[] = {VERDICT_UNKNOWN, VERDICT_UP, VERDICT_DOWN};

    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        if (word_is(w, verdict_state_text(states[i])))
            return states[i];
    r->failed = true;
    return VERDICT_UNKNOWN;
}

static bool is_read_whole(const struct reader *r)
{
    return !r->failed && r->at == r->end;
}

/* ---- a view ---- */

#define FORCED   ",forced"
#define DRAINING ",draining"

void view_print(const struct view *v, struct strbuf *out)
{
    ASSERT(v->count <= SLOTS_SERVERS);
    strbuf_printf(out, "view 1 %s %s %" PRIu32 " %zu\nnode %s\nregion %s\n", v->is_gateway ? "gateway" : "checker",
                  v->is_cut_off ? "cut-off" : "reaching", v->serial, v->count, v->node, v->region);
    for (size_t i = 0; i < v->count; i++) {
        const struct quorum_vote *q = &v->rows[i].vote;
        strbuf_printf(out, "%s%s%s %u %" PRIu32 " %s\n", verdict_state_text(q->state), q->is_forced ? FORCED : "",
                      q->is_draining ? DRAINING : "", q->checks_left, q->interval_ms, v->rows[i].name);
    }
}

static void read_view_row(struct reader *r, struct view_row *row)
{
    struct word says = next_word(r, ' ');

    row->vote.is_draining = cut_suffix(&says, DRAINING);
    row->vote.is_forced = cut_suffix(&says, FORCED);
    row->vote.state = state_of(r, says);
    row->vote.checks_left = (uint8_t)next_number(r, ' ', 10, UINT8_MAX);
    row->vote.interval_ms = (uint32_t)next_number(r, ' ', 10, UINT32_MAX);
    next_name(r, row->name, sizeof row->name, false);
}

bool view_parse(struct view *v, const char *text, size_t len)
{
    struct reader r = {.at = text, .end = text + len, .failed = len > VIEW_BYTES_MAX};

    memset(v, 0, sizeof *v);
    expect(&r, ' ', "view");
    expect(&r, ' ', "1");
    v->is_gateway = next_choice(&r, ' ', "checker", "gateway");
    v->is_cut_off = next_choice(&r, ' ', "reaching", "cut-off");
    v->serial = (uint32_t)next_number(&r, ' ', 10, UINT32_MAX);
    const size_t count = (size_t)next_number(&r, '\n', 10, SLOTS_SERVERS);
    expect(&r, ' ', "node");
    next_name(&r, v->node, sizeof v->node, false);
    expect(&r, ' ', "region");
    next_name(&r, v->region, sizeof v->region, true);
    while (!r.failed && v->count < count) {
        read_view_row(&r, &v->rows[v->count]);
        if (view_find(v, v->rows[v->count].name) != NULL)
            r.failed = true;
        v->count++;
    }
    if (!is_read_whole(&r))
        memset(v, 0, sizeof *v);
    return is_read_whole(&r);
}

const struct view_row *view_find(const struct view *v, const char *name)
{
    for (size_t i = 0; i < v->count; i++)
        if (strcmp(v->rows[i].name, name) == 0)
            return &v->rows[i];
    return NULL;
}

/* ---- a decision ---- */

void decision_print(const struct decision *d, struct strbuf *out)
{
    ASSERT(d->row_count <= CONF_DNS_STEERED_MAX && d->state_count <= SLOTS_SERVERS);
    strbuf_printf(out, "decision 1 %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRIu32 " %" PRIx64 " %zu %zu\nnode %s\n",
                  d->term, d->version, d->since_wall_ms, d->serial, d->zone_hash, d->row_count, d->state_count,
                  d->node);
    for (size_t i = 0; i < d->row_count; i++) {
        const struct decision_row *row = &d->rows[i];
        strbuf_printf(out, "row %" PRIx64 " %" PRIx32 " %" PRIx32 " %s%s\n", row->id, row->chosen, row->last_good,
                      row->is_last_resort ? "last-resort" : "good", row->is_draining ? DRAINING : "");
    }
    for (size_t i = 0; i < d->state_count; i++)
        strbuf_printf(out, "state %s %s\n", verdict_state_text(d->states[i].state), d->states[i].name);
}

static void read_row(struct reader *r, struct decision *d)
{
    struct decision_row *row = &d->rows[d->row_count];

    expect(r, ' ', "row");
    row->id = next_number(r, ' ', 16, UINT64_MAX);
    row->chosen = (uint32_t)next_number(r, ' ', 16, UINT32_MAX);
    row->last_good = (uint32_t)next_number(r, ' ', 16, UINT32_MAX);
    struct word says = next_word(r, '\n');
    row->is_draining = cut_suffix(&says, DRAINING);
    row->is_last_resort = word_is(says, "last-resort");
    if (row->id == 0 || row->chosen == 0 || (!row->is_last_resort && !word_is(says, "good")) ||
        decision_find(d, row->id) != NULL)
        r->failed = true;
    d->row_count++;
}

static void read_state(struct reader *r, struct decision *d)
{
    struct decision_state *s = &d->states[d->state_count];

    expect(r, ' ', "state");
    s->state = state_of(r, next_word(r, ' '));
    next_name(r, s->name, sizeof s->name, false);
    for (size_t i = 0; i < d->state_count && !r->failed; i++)
        if (strcmp(d->states[i].name, s->name) == 0)
            r->failed = true;
    d->state_count++;
}

bool decision_parse(struct decision *d, const char *text, size_t len)
{
    struct reader r = {.at = text, .end = text + len, .failed = len > DECISION_BYTES_MAX};

    memset(d, 0, sizeof *d);
    expect(&r, ' ', "decision");
    expect(&r, ' ', "1");
    d->term = next_number(&r, ' ', 10, UINT64_MAX);
    d->version = next_number(&r, ' ', 10, UINT64_MAX);
    d->since_wall_ms = (int64_t)next_number(&r, ' ', 10, INT64_MAX);
    d->serial = (uint32_t)next_number(&r, ' ', 10, UINT32_MAX);
    d->zone_hash = next_number(&r, ' ', 16, UINT64_MAX);
    const size_t row_count = (size_t)next_number(&r, ' ', 10, CONF_DNS_STEERED_MAX);
    const size_t state_count = (size_t)next_number(&r, '\n', 10, SLOTS_SERVERS);
    expect(&r, ' ', "node");
    next_name(&r, d->node, sizeof d->node, false);
    while (!r.failed && d->row_count < row_count)
        read_row(&r, d);
    while (!r.failed && d->state_count < state_count)
        read_state(&r, d);
    if (!is_read_whole(&r))
        memset(d, 0, sizeof *d);
    return is_read_whole(&r);
}

const struct decision_row *decision_find(const struct decision *d, uint64_t id)
{
    for (size_t i = 0; i < d->row_count; i++)
        if (d->rows[i].id == id)
            return &d->rows[i];
    return NULL;
}
