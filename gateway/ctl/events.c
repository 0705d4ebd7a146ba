/* One line for each: when, what kind, about whom, from what to what, why, and how long it lasted. */
#include "gateway/ctl/events.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "base/event.h"

/* What a terminal would take for a command is not passed on. */
static void add_text(struct strbuf *out, const char *text)
{
    for (; *text != '\0'; text++)
        strbuf_add(out, (unsigned char)*text < 0x20 || *text == 0x7f ? " " : text, 1);
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text != NULL ? text : "";
}

static void add_duration(struct strbuf *out, int64_t ms)
{
    int64_t s = ms / 1000;

    if (ms < 10000)
        strbuf_printf(out, " after %" PRId64 ".%" PRId64 " s", s, ms % 1000 / 100);
    else if (s < 60)
        strbuf_printf(out, " after %" PRId64 " s", s);
    else if (s < 3600)
        strbuf_printf(out, " after %" PRId64 " m %" PRId64 " s", s / 60, s % 60);
    else
        strbuf_printf(out, " after %" PRId64 " h %" PRId64 " m", s / 3600, s % 3600 / 60);
}

/* What became of the subject. */
static void add_change(struct strbuf *out, const json_t *o)
{
    const char *from = text_of(o, "from"), *to = text_of(o, "to");
    const char *verb = event_verb(event_kind_of(text_of(o, "kind")), event_phase_of(text_of(o, "phase")));
    const bool has_both = from[0] != '\0' && to[0] != '\0';

    if (verb == NULL) {
        strbuf_puts(out, from[0] != '\0' || to[0] != '\0' ? ": " : "");
        add_text(out, from);
        strbuf_puts(out, has_both ? " -> " : "");
        add_text(out, to);
        return;
    }
    strbuf_printf(out, " %s", verb);
    if (verb[strlen(verb) - 1] != ' ')
        return;
    add_text(out, to);
    if (has_both && strcmp(from, to) != 0) {
        strbuf_puts(out, ", before ");
        add_text(out, from);
    }
}

static void add_event(struct strbuf *out, const json_t *o)
{
    const json_t *duration = json_object_get(o, "duration_ms");
    const char *cause = text_of(o, "cause");

    strbuf_printf(out, "%6" PRId64 "  ", (int64_t)json_integer_value(json_object_get(o, "seq")));
    add_text(out, text_of(o, "time"));
    strbuf_puts(out, "  ");
    strbuf_printf(out, "%-11s ", text_of(o, "kind"));
    add_text(out, text_of(o, "subject"));
    add_change(out, o);
    if (json_is_integer(duration))
        add_duration(out, json_integer_value(duration));
    if (cause[0] != '\0')
        strbuf_puts(out, " (");
    add_text(out, cause);
    strbuf_puts(out, cause[0] != '\0' ? ")\n" : "\n");
}

bool events_render(const char *json, size_t len, struct strbuf *out)
{
    const char *end = json + len;

    for (const char *lf; json < end; json = lf + 1) {
        lf = memchr(json, '\n', (size_t)(end - json));
        json_t *o = lf != NULL ? json_loadb(json, (size_t)(lf - json), 0, NULL) : NULL;

        if (o == NULL)
            return false;
        add_event(out, o);
        json_decref(o);
    }
    return true;
}

uint64_t events_last_seq(const char *json, size_t len)
{
    json_int_t last = 0;
    const char *end = json + len;

    for (const char *lf; json < end && (lf = memchr(json, '\n', (size_t)(end - json))) != NULL; json = lf + 1) {
        json_t *o = json_loadb(json, (size_t)(lf - json), 0, NULL);
        json_int_t seq = json_integer_value(json_object_get(o, "seq"));

        last = seq > last ? seq : last;
        json_decref(o);
    }
    return (uint64_t)last;
}
