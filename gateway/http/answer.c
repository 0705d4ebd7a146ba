/* Answers the gateway gives by itself. What a status demands of its answer stands in one table; what the three forms of
 * a body look like in another. The hard part is Accept: of several ranges that fit a form the most specific one says
 * how much it is liked (RFC 9110 section 12.5.1). */
#include "gateway/http/answer.h"

#include <string.h>

#include "gateway/http/date.h"
#include "gateway/http/text.h"

#define RETRY_AFTER_DEFAULT 1u /* a server or a slot may be back at any moment */
#define Q_MAX               1000

/* RFC 9110 section 15, as far as gateways say it themselves; the field must go with the status. */
static const struct {
    uint16_t status;
    const char *reason;
    const char *name;
    const char *value;
} statuses[] = {
    {100, "Continue", NULL, NULL},
    {101, "Switching Protocols", NULL, NULL},
    {200, "OK", NULL, NULL},
    {204, "No Content", NULL, NULL},
    {301, "Moved Permanently", NULL, NULL},
    {302, "Found", NULL, NULL},
    {304, "Not Modified", NULL, NULL},
    {307, "Temporary Redirect", NULL, NULL},
    {308, "Permanent Redirect", NULL, NULL},
    {400, "Bad Request", NULL, NULL},
    {401, "Unauthorized", "WWW-Authenticate", "Bearer"},
    {403, "Forbidden", NULL, NULL},
    {404, "Not Found", NULL, NULL},
    {405, "Method Not Allowed", "Allow", "GET"},
    {406, "Not Acceptable", NULL, NULL},
    {408, "Request Timeout", NULL, NULL},
    {411, "Length Required", NULL, NULL},
    {413, "Content Too Large", NULL, NULL},
    {414, "URI Too Long", NULL, NULL},
    {415, "Unsupported Media Type", NULL, NULL},
    {417, "Expectation Failed", NULL, NULL},
    {421, "Misdirected Request", NULL, NULL},
    {425, "Too Early", NULL, NULL},
    {426, "Upgrade Required", "Sec-WebSocket-Version", "13"},
    {429, "Too Many Requests", NULL, NULL},
    {431, "Request Header Fields Too Large", NULL, NULL},
    {499, "Client Closed Request", NULL, NULL},
    {500, "Internal Server Error", NULL, NULL},
    {501, "Not Implemented", NULL, NULL},
    {502, "Bad Gateway", NULL, NULL},
    {503, "Service Unavailable", NULL, NULL},
    {504, "Gateway Timeout", NULL, NULL},
    {505, "HTTP Version Not Supported", NULL, NULL},
};
#define STATUS_COUNT (sizeof statuses / sizeof statuses[0])

/* Row of the table; STATUS_COUNT: none. */
static size_t row_of(uint16_t status)
{
    size_t i = 0;
    while (i < STATUS_COUNT && statuses[i].status != status)
        i++;
    return i;
}

const char *answer_reason(uint16_t status)
{
    const size_t row = row_of(status);
    return row < STATUS_COUNT ? statuses[row].reason : "Unknown";
}

/* ---- Accept ---- */

static const struct {
    const char *type; /* without parameters, lower case */
    const char *group;
    const char *content_type;
} forms[] = {
    [ANSWER_JSON] = {"application/json", "application/*", "application/json"},
    [ANSWER_HTML] = {"text/html", "text/*", "text/html; charset=utf-8"},
    [ANSWER_TEXT] = {"text/plain", "text/*", "text/plain; charset=utf-8"},
};

/* Takes what stands before the next ";" off `rest`, trimmed. */
static struct http_view part_next(struct http_view *rest)
{
    const char *end = rest->len > 0 ? memchr(rest->data, ';', rest->len) : NULL;
    const size_t len = end != NULL ? (size_t)(end - rest->data) : rest->len;
    const struct http_view part = text_trim((struct http_view){.data = rest->data, .len = len});
    rest->data += end != NULL ? len + 1 : len;
    rest->len -= end != NULL ? len + 1 : len;
    return part;
}

/* "0.333" as 333; what is no weight counts as a full one. */
static int weight_of(struct http_view v)
{
    int q = 0, unit = Q_MAX;
    if (v.len == 0 || v.len > 5 || (v.data[0] != '0' && v.data[0] != '1') || (v.len > 1 && v.data[1] != '.'))
        return Q_MAX;
    for (size_t i = 0; i < v.len; i++) {
        if (i == 1)
            continue;
        if (!text_is_digit(v.data[i]))
            return Q_MAX;
        q += (v.data[i] - '0') * unit;
        unit /= 10;
    }
    return q > Q_MAX ? Q_MAX : q;
}

static int range_weight(struct http_view parameters)
{
    while (parameters.len > 0) {
        const struct http_view p = part_next(&parameters);
        if (p.len > 2 && text_lower(p.data[0]) == 'q' && p.data[1] == '=')
            return weight_of((struct http_view){.data = p.data + 2, .len = p.len - 2});
    }
    return Q_MAX;
}

/* How closely a range fits a form: 3 its very type, 2 its group, 1 anything, 0 not at all. */
static int closeness(struct http_view range, enum answer_form form)
{
    return http_view_is_nocase(range, forms[form].type)    ? 3
           : http_view_is_nocase(range, forms[form].group) ? 2
           : http_view_is(range, "*/*")                    ? 1
                                                           : 0;
}

enum answer_form answer_choose(const struct http_head *request)
{
    struct {
        int closeness;
        int weight;
    } liked[ANSWER_FORM_COUNT] = {{0, 0}};
    enum answer_form best = ANSWER_JSON;

    for (uint32_t i = 0; i < request->field_count; i++) {
        if (!http_view_is_nocase(request->fields[i].name, "accept"))
            continue;
        struct http_view list = request->fields[i].value, rest;
        while (http_list_next(&list, &rest)) {
            const struct http_view range = part_next(&rest);
            const int weight = range_weight(rest);
            for (enum answer_form f = ANSWER_JSON; f < ANSWER_FORM_COUNT; f++) {
                const int close = closeness(range, f);
                if (close > liked[f].closeness) {
                    liked[f].closeness = close;
                    liked[f].weight = weight;
                }
            }
        }
    }
    for (enum answer_form f = ANSWER_JSON; f < ANSWER_FORM_COUNT; f++) {
        if (liked[f].weight > liked[best].weight)
            best = f;
    }
    return best;
}

/* ---- bodies ---- */

static void json_body(struct strbuf *body, const struct answer *a, const char *error)
{
    strbuf_puts(body, "{\"error\":");
    strbuf_json_string(body, error, strlen(error));
    strbuf_printf(body, ",\"status\":%u", (unsigned)a->status);
    if (a->request_id.data != NULL) {
        strbuf_puts(body, ",\"request_id\":");
        strbuf_json_string(body, a->request_id.data, a->request_id.len);
    }
    strbuf_puts(body, "}\n");
}

static void html_text(struct strbuf *body, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (strchr("<>&\"'", text[i]) != NULL)
            strbuf_printf(body, "&#%d;", text[i]);
        else
            strbuf_add(body, text + i, 1);
    }
}

static void html_body(struct strbuf *body, const struct answer *a, const char *error)
{
    const char *reason = answer_reason(a->status);
    strbuf_printf(body,
                  "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
                  "<meta name=\"viewport\" content=\"width=device-width\">\n<title>%u %s</title>\n"
                  "<style>body{font:16px/1.5 system-ui,sans-serif;color-scheme:light dark;max-width:36em;"
                  "margin:15vh auto;padding:0 1em}small{opacity:.6}</style>\n"
                  "<h1>%u %s</h1>\n",
                  (unsigned)a->status, reason, (unsigned)a->status, reason);
    if (strcmp(error, reason) != 0) {
        strbuf_puts(body, "<p>");
        html_text(body, error, strlen(error));
        strbuf_puts(body, "</p>\n");
    }
    if (a->request_id.len > 0) {
        strbuf_puts(body, "<p><small>request ");
        html_text(body, a->request_id.data, a->request_id.len);
        strbuf_puts(body, "</small></p>\n");
    }
}

static void text_body(struct strbuf *body, const struct answer *a, const char *error)
{
    strbuf_printf(body, "%u %s\n", (unsigned)a->status, error);
    if (a->request_id.len > 0)
        strbuf_printf(body, "request %.*s\n", (int)a->request_id.len, a->request_id.data);
}

static void (*const body_makers[])(struct strbuf *body, const struct answer *a, const char *error) = {
    [ANSWER_JSON] = json_body, [ANSWER_HTML] = html_body, [ANSWER_TEXT] = text_body};

/* ---- the whole ---- */

static bool may_have_body(uint16_t status)
{
    return status >= 200 && status != 204 && status != 304;
}

/* A field of the gateway's own, unless the caller has one of that name. */
static bool add(struct http_head *to, const struct answer *a, const char *name, struct http_view value)
{
    for (size_t i = 0; i < a->field_count; i++) {
        if (http_view_equal_nocase(a->fields[i].name, http_view_of(name)))
            return true;
    }
    return http_head_add(to, http_view_of(name), value);
}

static bool add_fields(struct http_head *to, struct http_texts *t, const struct answer *a)
{
    const size_t row = row_of(a->status);
    const uint32_t retry_after_s = a->retry_after_s == 0 && a->status == 503 ? RETRY_AFTER_DEFAULT : a->retry_after_s;
    bool has_room = true;

    if (row < STATUS_COUNT && statuses[row].name != NULL)
        has_room = add(to, a, statuses[row].name, http_view_of(statuses[row].value));
    if (a->status == 426 && a->is_h1)
        has_room = add(to, a, "Upgrade", http_view_of("websocket")) && has_room;
    if (retry_after_s > 0)
        has_room = add(to, a, "Retry-After", http_texts_printf(t, "%u", (unsigned)retry_after_s)) && has_room;
    has_room = add(to, a, "Cache-Control", http_view_of("no-store")) && has_room;
    if (a->server != NULL && a->server[0] != '\0')
        has_room = add(to, a, "Server", http_view_of(a->server)) && has_room;
    if (a->wall_ms != 0) {
        char date[DATE_BYTES];
        (void)date_text(a->wall_ms, date);
        has_room = add(to, a, "Date", http_texts_add(t, date, DATE_BYTES - 1)) && has_room;
    }
    if (a->request_id.len > 0)
        has_room = add(to, a, "X-Request-Id", a->request_id) && has_room;
    for (size_t i = 0; i < a->field_count; i++)
        has_room = http_head_add(to, a->fields[i].name, a->fields[i].value) && has_room;
    return has_room;
}

bool answer_build(struct http_head *to, struct http_texts *t, struct strbuf *body, const struct answer *a)
{
    const char *error = a->error != NULL ? a->error : answer_reason(a->status);
    const char *content_type = a->content_type != NULL ? a->content_type : "text/plain; charset=utf-8";
    const size_t before_bytes = body->len;
    bool has_room = true;

    http_head_clear(to);
    to->status = a->status;
    to->reason = http_view_of(answer_reason(a->status));
    to->major_version = 1;
    to->minor_version = 1;
    if (may_have_body(a->status)) {
        if (a->body == NULL) {
            body_makers[a->form](body, a, error);
            content_type = forms[a->form].content_type;
        } else if (a->body_len > 0) {
            strbuf_add(body, a->body, a->body_len);
        }
        to->content_length = (int64_t)(body->len - before_bytes);
        has_room = add(to, a, "Content-Type", http_view_of(content_type));
    }
    has_room = add_fields(to, t, a) && has_room;
    return has_room && !t->failed && !body->failed;
}
