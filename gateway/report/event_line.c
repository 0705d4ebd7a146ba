/* Events to JSON and back. The time is kept twice: for people, and as milliseconds for those who count. */
#include "gateway/report/event_line.h"

#include <jansson.h>

#include "gateway/report/json.h"

void event_line_write(const struct event *e, struct strbuf *out)
{
    struct json j;

    json_init(&j, out);
    json_object_begin(&j, NULL);
    json_uint(&j, "seq", e->seq);
    json_time(&j, "time", e->wall_ms);
    json_int(&j, "time_ms", e->wall_ms);
    json_str(&j, "kind", event_kind_text((enum event_kind)e->kind));
    json_str(&j, "phase", event_phase_text((enum event_phase)e->phase));
    json_str(&j, "subject", e->subject);
    json_str(&j, "from", e->from);
    json_str(&j, "to", e->to);
    json_str(&j, "cause", e->cause);
    if (e->duration_ms >= 0)
        json_int(&j, "duration_ms", e->duration_ms);
    json_object_end(&j);
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text != NULL ? text : "";
}

bool event_line_read(const char *line, size_t len, struct event *e)
{
    json_t *o = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
    json_int_t seq = json_integer_value(json_object_get(o, "seq"));
    enum event_kind kind = event_kind_of(text_of(o, "kind"));
    enum event_phase phase = event_phase_of(text_of(o, "phase"));
    bool is_event = seq > 0 && kind != EVENT_NONE && phase != EVENT_PHASE_COUNT;

    if (is_event) {
        const json_t *duration = json_object_get(o, "duration_ms");

        event_init(e, kind, phase, text_of(o, "subject"), text_of(o, "from"), text_of(o, "to"), text_of(o, "cause"));
        e->seq = (uint64_t)seq;
        e->wall_ms = json_integer_value(json_object_get(o, "time_ms"));
        e->duration_ms = json_is_integer(duration) ? json_integer_value(duration) : -1;
    }
    json_decref(o);
    return is_event;
}
