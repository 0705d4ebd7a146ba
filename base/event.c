/* The tables of events, and texts cut to size. */
#include "base/event.h"

#include <string.h>

#include "base/buf.h"

static const struct {
    const char *text;
    enum event_kind condition;
} kinds[EVENT_KIND_COUNT] = {[EVENT_NONE] = {"none", EVENT_NONE},
#define X(id, name, condition, about) [id] = {name, condition},
                             EVENT_TABLE(X)
#undef X
};

static const char *const phases[EVENT_PHASE_COUNT] = {
    [EVENT_ONCE] = "once", [EVENT_BEGINS] = "begins", [EVENT_ENDS] = "ends"};

const char *event_kind_text(enum event_kind k)
{
    return kinds[(unsigned)k < EVENT_KIND_COUNT ? k : EVENT_NONE].text;
}

const char *event_phase_text(enum event_phase p)
{
    return phases[(unsigned)p < EVENT_PHASE_COUNT ? p : EVENT_ONCE];
}

enum event_kind event_kind_of(const char *text)
{
    for (int k = EVENT_NONE + 1; k < EVENT_KIND_COUNT; k++)
        if (strcmp(kinds[k].text, text) == 0)
            return (enum event_kind)k;
    return EVENT_NONE;
}

enum event_phase event_phase_of(const char *text)
{
    int p = 0;
    while (p < EVENT_PHASE_COUNT && strcmp(phases[p], text) != 0)
        p++;
    return (enum event_phase)p;
}

enum event_kind event_condition(enum event_kind k)
{
    return kinds[(unsigned)k < EVENT_KIND_COUNT ? k : EVENT_NONE].condition;
}

/* Bytes that are no UTF-8 are left as they are: whoever prints the text replaces them. */
static void put(char *to, size_t cap_bytes, const char *text)
{
    size_t len = 0, left = text != NULL ? strlen(text) : 0;
    while (left > 0) {
        size_t step = utf8_sequence_len(text + len, left);
        if (step == 0)
            step = 1;
        if (len + step >= cap_bytes)
            break;
        len += step;
        left -= step;
    }
    if (len > 0)
        memcpy(to, text, len);
    to[len] = '\0';
}

const char *event_verb(enum event_kind k, enum event_phase p)
{
    static const char *const verbs[EVENT_KIND_COUNT][EVENT_PHASE_COUNT] = {
        [EVENT_DNS] = {[EVENT_ONCE] = "is answered with ",
                       [EVENT_BEGINS] = "has nothing that stands, its last resort is ",
                       [EVENT_ENDS] = "is answered again with "},
        [EVENT_QUORUM] = {[EVENT_ONCE] = "now ", [EVENT_BEGINS] = "judges alone", [EVENT_ENDS] = "now "},
        [EVENT_SESSIONS] = {[EVENT_ONCE] = "lost its sessions"},
        [EVENT_PUSH] = {[EVENT_BEGINS] = "is not told of changes", [EVENT_ENDS] = "is told of changes again"},
    };
    return (unsigned)k < EVENT_KIND_COUNT && (unsigned)p < EVENT_PHASE_COUNT ? verbs[k][p] : NULL;
}

void event_init(struct event *e, enum event_kind kind, enum event_phase phase, const char *subject, const char *from,
                const char *to, const char *cause)
{
    *e = (struct event){.kind = kind, .phase = phase, .duration_ms = -1};
    put(e->subject, sizeof e->subject, subject);
    put(e->from, sizeof e->from, from);
    put(e->to, sizeof e->to, to);
    put(e->cause, sizeof e->cause, cause);
}

bool event_sanitize(struct event *e)
{
    e->subject[sizeof e->subject - 1] = '\0';
    e->from[sizeof e->from - 1] = '\0';
    e->to[sizeof e->to - 1] = '\0';
    e->cause[sizeof e->cause - 1] = '\0';
    return e->kind > EVENT_NONE && e->kind < EVENT_KIND_COUNT && e->phase < EVENT_PHASE_COUNT;
}
