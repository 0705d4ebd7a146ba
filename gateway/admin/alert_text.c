/* What a template's placeholders stand for is first put together as plain text, then escaped for where it goes: a cause
 * comes from somebody's server and may hold anything. */
#include "gateway/admin/alert_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "gateway/report/event_line.h"
#include "gateway/report/json.h"

#define MAIL_LINE_CHARS 76u /* of quoted-printable */

/* ---- words ---- */

static void add_duration(struct strbuf *out, int64_t ms)
{
    const int64_t s = ms / 1000;

    if (s < 60)
        strbuf_printf(out, "%" PRId64 " s", s);
    else if (s < 3600)
        strbuf_printf(out, "%" PRId64 " min %" PRId64 " s", s / 60, s % 60);
    else
        strbuf_printf(out, "%" PRId64 " h %" PRId64 " min", s / 3600, s % 3600 / 60);
}

/* On one line: who could begin another could forge one. */
static void add_plain(struct strbuf *out, const char *before, const char *text, const char *after)
{
    strbuf_puts(out, before);
    for (; *text != '\0'; text++)
        strbuf_add(out, (unsigned char)*text < ' ' || *text == 0x7f ? " " : text, 1);
    strbuf_puts(out, after);
}

/* What became of the subject. */
static void add_change(struct strbuf *out, const struct event *e)
{
    const char *verb = event_verb((enum event_kind)e->kind, (enum event_phase)e->phase);
    const bool has_both = e->from[0] != '\0' && e->to[0] != '\0';

    if (verb == NULL) {
        if (has_both)
            add_plain(out, " ", e->from, " ->");
        if (e->to[0] != '\0')
            add_plain(out, " ", e->to, "");
        return;
    }
    strbuf_printf(out, " %s", verb);
    if (verb[strlen(verb) - 1] != ' ')
        return;
    add_plain(out, "", e->to, "");
    if (has_both && strcmp(e->from, e->to) != 0)
        add_plain(out, ", before ", e->from, "");
}

void alert_item_text(const struct alert_item *i, struct strbuf *out)
{
    static const char *const notes[ALERT_REASON_COUNT] = {
        [ALERT_LASTS] = "still: ", [ALERT_ESCALATED] = "not acknowledged: ", [ALERT_TEST] = "this is a test: "};
    const struct event *e = &i->event;
    const char *note = notes[i->reason] != NULL ? notes[i->reason] : "";

    strbuf_printf(out, "%s%s", note, event_kind_text((enum event_kind)e->kind));
    add_plain(out, ": ", e->subject, "");
    add_change(out, e);
    if (e->duration_ms >= 0) {
        strbuf_puts(out, " after ");
        add_duration(out, e->duration_ms);
    }
    if (e->cause[0] != '\0')
        add_plain(out, " (", e->cause, ")");
}

const char *alert_status(const struct alert_notice *n)
{
    bool is_over = n->count > 0, is_firing = false;

    for (size_t k = 0; k < n->count; k++) {
        const enum alert_reason r = n->items[k].reason;

        is_over = is_over && r == ALERT_ENDED;
        if (r == ALERT_BEGAN || r == ALERT_CHANGED || r == ALERT_LASTS || r == ALERT_ESCALATED) {
            bool has_ended = false;
            for (size_t m = k + 1; m < n->count; m++)
                has_ended = has_ended || (n->items[m].id == n->items[k].id && n->items[m].reason == ALERT_ENDED);
            is_firing = is_firing || !has_ended;
        } else if (r == ALERT_TEST) {
            is_over = false;
        }
    }
    for (size_t k = 0; k < n->count && !is_over && !is_firing; k++)
        is_over = n->items[k].reason == ALERT_ENDED;
    return is_firing ? "firing" : is_over ? "resolved" : "info";
}

void alert_summary(const struct alert_letter *l, struct strbuf *out)
{
    const size_t others = l->notice.count - 1 + l->notice.more_count;

    strbuf_printf(out, "[%s] ", l->node);
    alert_item_text(&l->notice.items[0], out);
    if (others > 0)
        strbuf_printf(out, ", and %zu more", others);
}

/* A line for each item, and how to acknowledge. */
static void add_text(const struct alert_letter *l, struct strbuf *out)
{
    bool is_open = false;

    for (size_t k = 0; k < l->notice.count; k++) {
        const struct alert_item *i = &l->notice.items[k];

        if (k > 0)
            strbuf_puts(out, "\n");
        strbuf_printf(out, "#%" PRIu64 " ", i->id);
        alert_item_text(i, out);
        is_open = is_open || (i->reason != ALERT_ENDED && i->reason != ALERT_EVENT && i->reason != ALERT_TEST);
    }
    if (l->notice.more_count > 0)
        strbuf_printf(out, "\nand %zu more: see /events", l->notice.more_count);
    if (is_open)
        strbuf_puts(out, "\ntidegatectl ack [NUMBER] says that somebody takes care");
}

static void add_events(const struct alert_letter *l, struct strbuf *out)
{
    strbuf_puts(out, "[");
    for (size_t k = 0; k < l->notice.count; k++) {
        const struct alert_item *i = &l->notice.items[k];

        strbuf_printf(out, "%s{\"id\":%" PRIu64 ",\"reason\":\"%s\",\"event\":", k > 0 ? "," : "", i->id,
                      alert_reason_text(i->reason));
        event_line_write(&i->event, out);
        strbuf_puts(out, "}");
    }
    strbuf_puts(out, "]");
}

/* ---- placeholders ---- */

static void put_time(const struct alert_letter *l, struct strbuf *out)
{
    time_t seconds = (time_t)(l->notice.items[0].event.wall_ms / 1000);
    struct tm tm;
    char text[40];

    if (gmtime_r(&seconds, &tm) != NULL && strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm) > 0)
        strbuf_puts(out, text);
}

#define PUT(name, format, value)                                                                                       \
    static void put_##name(const struct alert_letter *l, struct strbuf *out)                                           \
    {                                                                                                                  \
        strbuf_printf(out, format, value);                                                                             \
    }
PUT(status, "%s", alert_status(&l->notice))
PUT(node, "%s", l->node)
PUT(rule, "%s", l->rule->name)
PUT(count, "%zu", l->notice.count + l->notice.more_count)
PUT(id, "%" PRIu64, l->notice.items[0].id)
PUT(kind, "%s", event_kind_text((enum event_kind)l->notice.items[0].event.kind))
PUT(subject, "%s", l->notice.items[0].event.subject)
PUT(from, "%s", l->notice.items[0].event.from)
PUT(to, "%s", l->notice.items[0].event.to)
PUT(cause, "%s", l->notice.items[0].event.cause)
#undef PUT

static void put_duration(const struct alert_letter *l, struct strbuf *out)
{
    if (l->notice.items[0].event.duration_ms >= 0)
        add_duration(out, l->notice.items[0].event.duration_ms);
}

/* Those that conf/check_alerts.c lets pass. */
static const struct {
    const char *name;
    void (*put)(const struct alert_letter *l, struct strbuf *out);
    bool is_json; /* already */
} placeholders[] = {
    {"summary", alert_summary, false},
    {"text", add_text, false},
    {"status", put_status, false},
    {"node", put_node, false},
    {"rule", put_rule, false},
    {"count", put_count, false},
    {"id", put_id, false},
    {"kind", put_kind, false},
    {"subject", put_subject, false},
    {"from", put_from, false},
    {"to", put_to, false},
    {"cause", put_cause, false},
    {"duration", put_duration, false},
    {"time", put_time, false},
    {"events", add_events, true},
};

enum escape { ESCAPE_NONE = 0, ESCAPE_JSON, ESCAPE_FORM };

static enum escape escape_of(const char *content_type)
{
    if (strstr(content_type, "json") != NULL)
        return ESCAPE_JSON;
    return strstr(content_type, "x-www-form-urlencoded") != NULL ? ESCAPE_FORM : ESCAPE_NONE;
}

static void add_form(struct strbuf *out, const char *text, size_t len)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

    for (size_t k = 0; k < len; k++)
        if (text[k] != '\0' && strchr(plain, text[k]) != NULL)
            strbuf_add(out, &text[k], 1);
        else
            strbuf_printf(out, "%%%02X", (unsigned char)text[k]);
}

/* JSON's escapes without the quotes around, which are the template's. */
static void add_json(struct strbuf *out, const char *text, size_t len)
{
    struct strbuf quoted;

    strbuf_init(&quoted, ALERT_TEXT_BYTES_MAX);
    strbuf_json_string(&quoted, text, len);
    if (quoted.failed)
        out->failed = true;
    else
        strbuf_add(out, quoted.data + 1, quoted.len - 2);
    strbuf_fini(&quoted);
}

static void add_placeholder(const struct alert_letter *l, struct strbuf *out, const char *name, size_t len,
                            enum escape escape)
{
    struct strbuf value;

    strbuf_init(&value, ALERT_TEXT_BYTES_MAX);
    for (size_t k = 0; k < sizeof placeholders / sizeof placeholders[0]; k++)
        if (strlen(placeholders[k].name) == len && memcmp(placeholders[k].name, name, len) == 0) {
            placeholders[k].put(l, &value);
            if (placeholders[k].is_json && escape == ESCAPE_JSON)
                escape = ESCAPE_NONE;
        }
    if (value.len > 0 && escape == ESCAPE_JSON)
        add_json(out, value.data, value.len);
    else if (value.len > 0 && escape == ESCAPE_FORM)
        add_form(out, value.data, value.len);
    else if (value.len > 0)
        strbuf_add(out, value.data, value.len);
    strbuf_fini(&value);
}

static void fill_template(const struct alert_letter *l, struct strbuf *out)
{
    const enum escape escape = escape_of(l->rule->content_type);
    const char *at = l->rule->body;

    for (const char *open; (open = strstr(at, "{{")) != NULL;) {
        const char *close = strstr(open, "}}");

        if (close == NULL)
            break;
        strbuf_add(out, at, (size_t)(open - at));
        add_placeholder(l, out, open + 2, (size_t)(close - open - 2), escape);
        at = close + 2;
    }
    strbuf_puts(out, at);
}

/* ---- forms ---- */

typedef void add_fn(const struct alert_letter *l, struct strbuf *out);

static void json_made(struct json *j, const char *key, const struct alert_letter *l, add_fn *add)
{
    struct strbuf text;

    strbuf_init(&text, ALERT_TEXT_BYTES_MAX);
    add(l, &text);
    json_str(j, key, text.len > 0 ? text.data : "");
    strbuf_fini(&text);
}

static void fill_generic(const struct alert_letter *l, struct strbuf *out)
{
    struct json j;
    struct strbuf events;

    strbuf_init(&events, ALERT_TEXT_BYTES_MAX);
    add_events(l, &events);
    json_init(&j, out);
    json_object_begin(&j, NULL);
    json_str(&j, "node", l->node);
    json_str(&j, "rule", l->rule->name);
    json_str(&j, "status", alert_status(&l->notice));
    json_made(&j, "summary", l, alert_summary);
    json_made(&j, "text", l, add_text);
    json_uint(&j, "count", l->notice.count + l->notice.more_count);
    json_raw(&j, "events", events.data, events.len);
    json_object_end(&j);
    strbuf_fini(&events);
}

/* Slack takes these three for markup, nothing else (its "Formatting text" says so). */
static void add_slack(const struct alert_letter *l, struct strbuf *out)
{
    struct strbuf text;

    strbuf_init(&text, ALERT_TEXT_BYTES_MAX);
    strbuf_printf(&text, "[%s] ", l->node);
    add_text(l, &text);
    for (size_t k = 0; k < text.len; k++)
        switch (text.data[k]) {
        case '&':
            strbuf_puts(out, "&amp;");
            break;
        case '<':
            strbuf_puts(out, "&lt;");
            break;
        case '>':
            strbuf_puts(out, "&gt;");
            break;
        default:
            strbuf_add(out, &text.data[k], 1);
        }
    strbuf_fini(&text);
}

static void fill_slack(const struct alert_letter *l, struct strbuf *out)
{
    struct json j;

    json_init(&j, out);
    json_object_begin(&j, NULL);
    json_made(&j, "text", l, add_slack);
    json_object_end(&j);
}

static void add_dedup_key(const struct alert_letter *l, struct strbuf *out)
{
    const struct event *e = &l->notice.items[0].event;

    strbuf_printf(out, "tidegate/%s/%s/%s", l->node, event_kind_text(event_condition((enum event_kind)e->kind)),
                  e->subject);
}

static void fill_pagerduty(const struct alert_letter *l, struct strbuf *out)
{
    const struct alert_item *i = &l->notice.items[0];
    const bool is_over = i->reason == ALERT_ENDED,
               is_grave = i->event.kind == EVENT_DOWN || i->event.kind == EVENT_CRASH ||
                          (i->event.kind == EVENT_DNS && i->event.phase == EVENT_BEGINS);
    struct strbuf details;
    struct json j;

    strbuf_init(&details, EVENT_LINE_BYTES_MAX);
    event_line_write(&i->event, &details);
    json_init(&j, out);
    json_object_begin(&j, NULL);
    json_str(&j, "routing_key", l->rule->routing_key);
    json_str(&j, "event_action", is_over ? "resolve" : i->reason == ALERT_ACKED ? "acknowledge" : "trigger");
    json_made(&j, "dedup_key", l, add_dedup_key);
    json_object_begin(&j, "payload");
    json_made(&j, "summary", l, alert_summary);
    json_str(&j, "source", l->node);
    json_str(&j, "severity", is_grave ? "critical" : i->reason == ALERT_EVENT ? "info" : "warning");
    json_time(&j, "timestamp", i->event.wall_ms);
    json_str(&j, "component", i->event.subject);
    json_str(&j, "class", event_kind_text((enum event_kind)i->event.kind));
    json_raw(&j, "custom_details", details.data, details.len);
    json_object_end(&j);
    json_object_end(&j);
    strbuf_fini(&details);
}

void alert_body(const struct alert_letter *l, struct strbuf *out)
{
    switch (l->rule->form) {
    case ALERT_FORM_SLACK:
        fill_slack(l, out);
        return;
    case ALERT_FORM_PAGERDUTY:
        ASSERT(l->notice.count == 1);
        fill_pagerduty(l, out);
        return;
    case ALERT_FORM_GENERIC:
        break;
    }
    if (l->rule->body[0] != '\0')
        fill_template(l, out);
    else
        fill_generic(l, out);
}

const char *alert_content_type(const struct conf_alert *c)
{
    return c->form == ALERT_FORM_GENERIC ? c->content_type : "application/json";
}

/* ---- mail ---- */

/* Header fields are ASCII, and one line. */
static void add_field_text(struct strbuf *out, const char *text, size_t len)
{
    for (size_t k = 0; k < len; k++)
        strbuf_add(out, text[k] >= ' ' && text[k] < 0x7f ? &text[k] : "?", 1);
}

/* RFC 2045 section 6.7, with CRLF for each line feed. */
static void add_quoted_printable(struct strbuf *out, const char *text, size_t len)
{
    size_t column = 0;

    for (size_t k = 0; k < len; k++) {
        const unsigned char c = (unsigned char)text[k];
        const bool is_plain = (c > ' ' && c < 0x7f && c != '=') || (c == ' ' && k + 1 < len && text[k + 1] != '\n');

        if (c == '\n') {
            strbuf_puts(out, "\r\n");
            column = 0;
            continue;
        }
        if (column + 3 >= MAIL_LINE_CHARS) {
            strbuf_puts(out, "=\r\n");
            column = 0;
        }
        if (is_plain && !(c == '.' && column == 0)) {
            strbuf_add(out, &text[k], 1);
            column++;
        } else {
            strbuf_printf(out, "=%02X", c);
            column += 3;
        }
    }
    strbuf_puts(out, "\r\n");
}

void alert_mail(const struct alert_letter *l, struct strbuf *out)
{
    time_t seconds = (time_t)(l->wall_ms / 1000);
    struct strbuf text;
    struct tm tm;
    char date[64] = "Thu, 01 Jan 1970 00:00:00 +0000";

    if (gmtime_r(&seconds, &tm) != NULL)
        (void)strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S +0000", &tm);
    strbuf_init(&text, ALERT_TEXT_BYTES_MAX);
    strbuf_printf(out, "Date: %s\r\nFrom: <%s>\r\nTo: ", date, l->rule->email.from);
    for (size_t k = 0; k < l->rule->email.to_count; k++)
        strbuf_printf(out, "%s<%s>", k > 0 ? ",\r\n " : "", l->rule->email.to[k]);
    strbuf_puts(out, "\r\nSubject: ");
    alert_summary(l, &text);
    add_field_text(out, text.data, text.len < 200 ? text.len : 200);
    strbuf_printf(out, "\r\nMessage-ID: <%" PRIu64 ".%" PRIu64 ".tidegate@%s>\r\n", l->number, l->notice.items[0].id,
                  l->node);
    strbuf_puts(out, "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
                     "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n");
    strbuf_clear(&text);
    add_text(l, &text);
    add_quoted_printable(out, text.data, text.len);
    out->failed = out->failed || text.failed;
    strbuf_fini(&text);
}
